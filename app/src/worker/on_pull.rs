//! Work on a pull request: what differs from other runs where somebody asks for something of what a pull request proposes.
//!
//! It begins from that pull request's last commit as it was when it was asked. How it is run, and what the agent is told of the
//! repository, the branch says that it is to go to: whoever proposes something does not rule who looks at it.

use patchwright_domain::brief::Request;
use patchwright_domain::event::IssueNumber;
use patchwright_domain::job::{JobSpec, Mode};
use patchwright_domain::journal::{CommitId, Failure, Outcome, Prepared};
use tracing::info;

use super::{StepError, Tools, adopt, conclusions, prepare};
use crate::store::StoreError;
use crate::workspace::Pull;

pub(super) async fn prepared(
    tools: &Tools,
    spec: &JobSpec,
    head: &CommitId,
    mut request: Request,
) -> Result<Prepared, StepError> {
    let number = spec.task.issue().ok_or_else(|| StoreError::Corrupt("a pull request without a number is worked on".into()))?;
    let target = adopt::target_of(tools, spec, number, head, |now| moved_on(number, now)).await?;
    let rules = match adopt::pulled(tools, spec, &target, number).await? {
        Pull::Pulled(pulled) => pulled.adopted.base,
        // Whether it merges is another question.
        Pull::Apart { base, .. } => base,
    };
    if !tools.workspaces.has(&spec.repo, head).await? {
        return Err(pushed_meanwhile(number).into());
    }
    let (plan, notes) = prepare::plan(tools, spec, &rules).await?;
    // A setup runs with the files of its base, which are the proposal's here, and anybody may have proposed them. Where nothing is
    // changed nothing is set up.
    let mode = spec.task.mode();
    if mode.edits() && prepare::is_set_up_before_patches(tools, &plan) {
        return Err(out_of_reach(mode).into());
    }
    if mode == Mode::Review {
        request.difference = Some(tools.workspaces.shown(&spec.repo, &rules, head).await?);
    }
    let request = prepare::kept(tools, &request).await?;
    let baseline = prepare::baseline(tools, spec, head, &plan, &notes).await?;
    let reach = prepare::reach(tools, &plan).await;
    info!(base = %head, rules = %rules, "prepared on a pull request");
    Ok(Prepared { rules: Some(rules), base: head.clone(), plan, baseline, request, reach, notes })
}

fn moved_on(number: IssueNumber, now: &CommitId) -> Failure {
    let cause = format!("#{number} has moved on to {} since this was asked.", now.short());
    adopt::ended(Outcome::Superseded, cause, "Ask again in a new comment, of what is there now.")
}

fn pushed_meanwhile(number: IssueNumber) -> Failure {
    let cause = format!("Somebody has pushed to #{number} since this was asked.");
    adopt::ended(Outcome::Superseded, cause, "Ask again in a new comment, of what is there now.")
}

/// What was made for our own pull request, onto whose branch somebody has pushed at the very moment that it was to go there.
pub(super) fn pushed_while_published(spec: &JobSpec, now: &CommitId) -> Failure {
    let number = spec.task.issue().map_or_else(|| "the pull request".to_owned(), |number| format!("#{number}"));
    let cause = format!("Somebody has pushed to {number} when the change was to go there; it ends in {} now.", now.short());
    adopt::ended(Outcome::Superseded, cause, "Ask again in a new comment, of what is there now.")
}

fn out_of_reach(mode: Mode) -> Failure {
    let cause = format!(
        "`{}` is not served on pull requests here: setups may reach out, but not with a proposal's own files in them.",
        mode.as_str()
    );
    conclusions::policy(&cause, "Have the operator set `sandbox.egress.patched`, or ask on an issue.")
}
