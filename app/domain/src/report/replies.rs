//! Short answers to commands for which nobody works.

use std::fmt::Write as _;

use super::neutral::{clip, code};
use super::{BODY_CHARS_MAX, Story};
use crate::job::{JobId, JobSpec, Reply};
use crate::policy::command;
use crate::run::Run;

/// How many jobs are told of.
const JOBS_MAX: usize = 20;

/// A job that is not over.
#[derive(Clone, Debug)]
pub enum UnderWay {
    /// One, as far as it has come.
    Known {
        /// The job.
        spec: Box<JobSpec>,
        /// Its run.
        run: Box<Run>,
        /// Whether a worker has it.
        is_at_work: bool,
    },
    /// One that this program cannot read.
    Unreadable(JobId),
}

/// The whole comment.
pub fn comment(story: &Story<'_>, reply: &Reply) -> String {
    let said = match reply {
        Reply::Help { mention } => help(mention),
        Reply::Status => status(story.under_way),
        Reply::Refused { because } => because.clone(),
    };
    let body = format!("{said}\n\n<sub>For {}. Job {}.</sub>", code(&story.spec.requested_by.login), story.spec.id());
    clip(&body, BODY_CHARS_MAX)
}

fn help(mention: &str) -> String {
    let table = command::table(mention);
    format!("{table}\nWho may push here may give commands, unless `.github/patchwright.yml` says otherwise.")
}

fn status(under_way: &[UnderWay]) -> String {
    if under_way.is_empty() {
        return "Nothing is under way here.".into();
    }
    let mut said = "Under way here:\n".to_owned();
    for job in under_way.iter().take(JOBS_MAX) {
        let (spec, stage, usage) = match job {
            UnderWay::Known { spec, run, is_at_work } => (spec, stage(spec, run, *is_at_work), run.usage()),
            UnderWay::Unreadable(job) => {
                let _ = write!(said, "\n- Job {job}, which cannot be read: an operator should look at it.");
                continue;
            }
        };
        let (task, who) = (spec.task.command(), code(&spec.requested_by.login));
        let _ = write!(said, "\n- Job {}, `{task}`, asked for by {who}: {}.", spec.id(), stage);
        if usage.turns > 0 {
            let budget = spec.budget;
            let _ =
                write!(said, " {} of {} model calls, {} of {} tokens.", usage.turns, budget.turns, usage.tokens(), budget.tokens);
        }
    }
    if let Some(n_more) = under_way.len().checked_sub(JOBS_MAX).filter(|n| *n > 0) {
        let _ = write!(said, "\n\nand {n_more} more.");
    }
    said
}

fn stage(spec: &JobSpec, run: &Run, is_at_work: bool) -> String {
    if run.is_ending() {
        "it ends".into()
    } else if run.conclusion().is_some() {
        "its result is being told".into()
    } else if run.is_to_stop() {
        "it is being stopped".into()
    } else if !is_at_work {
        "it waits for a worker".into()
    } else if run.proposal().is_some() {
        "the tests run on what is changed".into()
    } else if let Some((attempt, round, _)) = run.solving() {
        let attempts =
            if spec.budget.attempts > 1 { format!("attempt {attempt} of {}, ", spec.budget.attempts) } else { String::new() };
        format!("the agent works, {attempts}round {round} of {}", spec.budget.rounds)
    } else {
        "the base is being prepared".into()
    }
}
