//! Consent: who has asked for a run must still be somebody who may when something comes of it. Hours may lie between, in which a
//! maintainer's account is locked, or a contributor's access ends. Where the policy file's schedule has asked, it must still say so.

use patchwright_domain::event::Role;
use patchwright_domain::job::{JobSpec, Task};
use patchwright_domain::journal::{Conclusion, Failure, Outcome};

use super::{StepError, Tools, conclusions};
use crate::forge::ForgeError;

/// Refuses where whoever asked has lost the role that it took, or what asked has been taken back.
pub(super) async fn hold(tools: &Tools, spec: &JobSpec) -> Result<(), StepError> {
    match lost(tools, spec).await? {
        None => Ok(()),
        Some(failure) => Err(failure.into()),
    }
}

/// An answer is given to whoever may still ask for it, and else withheld; so is what the agent said where the run ended otherwise. What is
/// published is looked at when it is.
pub(super) async fn unless_lost(
    tools: &Tools,
    spec: &JobSpec,
    conclusion: Conclusion,
    has_words: bool,
) -> Result<(Conclusion, bool), StepError> {
    let is_answer = conclusion.outcome == Outcome::Answered;
    let is_published = matches!(conclusion.outcome, Outcome::Proven | Outcome::Unproven);
    if is_published || !has_words || matches!(spec.task, Task::Reply { .. }) {
        return Ok((conclusion, false));
    }
    match lost(tools, spec).await {
        Ok(None) => Ok((conclusion, false)),
        Ok(Some(failure)) => Ok((if is_answer { failure.conclusion } else { conclusion }, true)),
        // The end is told whoever may hear it; the words of the agent are not for everybody.
        Err(ForgeError::Denied { .. } | ForgeError::Rejected { .. }) if !is_answer => Ok((conclusion, true)),
        Err(error) => Err(error.into()),
    }
}

/// How a run ends of which nothing comes since who asked for it may not any more.
async fn lost(tools: &Tools, spec: &JobSpec) -> Result<Option<Failure>, ForgeError> {
    let (actor, needed) = (&spec.requested_by, spec.needed);
    if let Some(schedule) = &spec.schedule {
        let is_there = tools.forge.schedule_of(&spec.repo).await?.contains(schedule);
        let cause = format!(
            "`schedule` of the policy file had this done at `{}`, and has no entry any more that says so, so that nothing more comes of it.",
            schedule.cron
        );
        let failure = || conclusions::policy(&cause, "Put the entry back, or ask for it in a comment.");
        return Ok((!is_there).then(failure));
    }
    if needed == Role::None {
        return Ok(None);
    }
    let role = tools.forge.role(&spec.repo, actor).await?;
    let cause = format!(
        "{} had the role {} when this was asked for, and has {role} now; it takes {needed}, so that nothing more comes of it.",
        actor.login, spec.role
    );
    let failure = || conclusions::policy(&cause, "Somebody who has that role can ask for it again.");
    Ok((role < needed).then(failure))
}
