//! What a comment says of a run that goes on: the steps, where it is, and what it has used of what it may.
//!
//! The same comment says at the end how it ended ([`super::farewell`], [`super::adopted::comment`]). What is about a commit that others
//! have made is told beside that commit as well, by a check run that is under way.

use std::fmt::Write as _;

use super::neutral::code;
use super::{adopted, dollars, is_bare};
use crate::effect::{CheckName, CheckUnderWay};
use crate::job::{JobSpec, Task, Usage};
use crate::run::Run;
use crate::walls::Walls;

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The base is fetched and tested.
    Preparing,
    /// The agent works.
    Solving {
        /// Which attempt, from 1.
        attempt: u32,
        /// Which round of it, from 1.
        round: u32,
    },
    /// The harness runs the tests on the proposal.
    Verifying,
}

/// A run that goes on, as far as people are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The job.
    pub spec: &'a JobSpec,
    /// What it is doing.
    pub stage: Stage,
    /// What confined the repository's code, as far as any ran.
    pub walls: &'a [Walls],
    /// What it has used so far.
    pub usage: &'a Usage,
    /// For how long it is under way, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether prices are configured, so that the cost means something.
    pub is_priced: bool,
}

/// The comment while the run goes on.
pub fn comment(standing: &Standing<'_>) -> String {
    let Standing { spec, stage, .. } = standing;
    let place = match stage {
        Stage::Preparing => 0,
        Stage::Solving { .. } => 1,
        Stage::Verifying => 2,
    };
    let place = if spec.task.adopts() { adopted::place(*stage) } else { place };
    let steps: &[&str] = match (spec.task.adopts(), is_bare(standing.walls)) {
        (true, _) => &adopted::STEPS,
        (false, _) if spec.task.reviews().is_some() => {
            &["Prepare: fetch the pull request", "Review: look into what it changes, of which nothing can be changed"]
        }
        (false, _) if !spec.task.mode().edits() => {
            &["Prepare: fetch the base", "Answer: look into the code, of which nothing can be changed"]
        }
        (false, bare) => &[
            "Prepare: fetch the base and run its tests",
            if bare { "Solve: work on the code, without a sandbox" } else { "Solve: work on the code in a sandbox" },
            "Prove: run the tests on the result",
            "Publish: open a pull request",
        ],
    };
    let mut body = format!("On it, for {}.\n", code(&spec.requested_by.login));
    for (index, step) in steps.iter().enumerate() {
        let mark = if index < place { "x" } else { " " };
        let here = if index == place { " ← now" } else { "" };
        let _ = write!(body, "\n- [{mark}] {step}{here}");
    }
    again(&mut body, spec, *stage);
    let _ = write!(body, "\n\nSo far: {}.", spent(standing));
    let _ = write!(body, "\n\n<sub>Job {}.</sub>", spec.id());
    body
}

/// The check run while the run goes on, once there is a commit of somebody else's that it is about. A commit of our own has its check
/// run when it is there, with the result.
pub fn check(spec: &JobSpec, run: &Run) -> Option<CheckUnderWay> {
    let (name, commit, title) = match &spec.task {
        Task::ProvePullRequest { .. } => (CheckName::Proof, run.proposed()?, "The tests run with what this changes"),
        Task::TriageCheck { head, .. } => (CheckName::Triage, head, "What is red here is run again"),
        Task::FixIssue { .. } | Task::Answer { .. } | Task::WorkOnPull { .. } | Task::Reply { .. } | Task::Local { .. } => {
            return None;
        }
    };
    let summary = format!("The result will stand here.\n\n<sub>Job {}.</sub>", spec.id());
    Some(CheckUnderWay { name, commit: commit.clone(), title: title.into(), summary })
}

/// Why a step is done that was done before.
fn again(body: &mut String, spec: &JobSpec, stage: Stage) {
    let Stage::Solving { attempt, round } = stage else { return };
    let attempts = spec.budget.attempts;
    let _ = match (attempt, round) {
        (..=1, ..=1) => Ok(()),
        (_, ..=1) => write!(body, "\n\nAttempt {attempt} of {attempts}: begun anew from the base."),
        (..=1, _) => write!(body, "\n\nRound {round} of {}: the tests did not pass yet.", spec.budget.rounds),
        (_, _) => write!(
            body,
            "\n\nAttempt {attempt} of {attempts}, round {round} of {}: the tests did not pass yet.",
            spec.budget.rounds
        ),
    };
}

/// What is used of the limits that the job has; a limit of the model where it asks none is no news.
fn spent(standing: &Standing<'_>) -> String {
    let Standing { spec, usage, .. } = standing;
    let budget = &spec.budget;
    let minutes = match budget.wall_clock_ms.div_ceil(60_000) {
        1 => "1 minute".to_owned(),
        n => format!("{n} minutes"),
    };
    let mut spent = match standing.elapsed_ms / 60_000 {
        0 => format!("less than 1 of {minutes}"),
        n => format!("{n} of {minutes}"),
    };
    if spec.task.asks_a_model() {
        let _ = write!(spent, ", {} of {} model calls", usage.turns, budget.turns);
        let _ = write!(spent, ", {} of {} tokens", usage.tokens(), budget.tokens);
        if standing.is_priced {
            let _ = write!(spent, ", ${} of ${}", dollars(usage.cost_microusd), dollars(budget.cost_microusd));
        }
    }
    spent
}

#[cfg(test)]
mod tests;
