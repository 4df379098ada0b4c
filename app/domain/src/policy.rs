//! Whether an event starts, stops or does nothing, and why: a function of the event and of facts fetched before.

use serde::{Deserialize, Serialize};

use crate::demands::Demands;
use crate::ecosystem::Commands;
use crate::event::{Event, Role};
use crate::job::{Budget, JobKey, JobSpec};

pub mod command;
mod trigger;

/// What a repository wants, from `.github/patchwright.yml` on its default branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What starts a run.
    pub triggers: Triggers,
    /// The commands that the ecosystem's are replaced by.
    pub commands: Commands,
    /// How often the work may be begun anew, as far as the operator allows it.
    pub attempts: u32,
    /// In what its code must run.
    pub demands: Demands,
}

/// What starts a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triggers {
    /// The label that does, when somebody with the role puts it on an issue.
    pub label: String,
    /// The least role that may start a run.
    pub minimum_role: Role,
}

/// The label that starts a run where the policy names no other.
pub const DEFAULT_LABEL: &str = "codex";

impl Default for Policy {
    fn default() -> Self {
        let triggers = Triggers { label: DEFAULT_LABEL.into(), minimum_role: Role::Write };
        Self { triggers, commands: Commands::default(), attempts: 1, demands: Demands::default() }
    }
}

/// What the operator of this server has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Our App's number.
    pub app_id: u64,
    /// What users write to call us, with its `@`.
    pub mention: String,
    /// The limits of each job.
    pub budget: Budget,
}

/// What was fetched before deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The repository's policy; the default where its file cannot be read, and the run will then end saying so.
    pub policy: Policy,
    /// What the actor may do in the repository, now.
    pub role: Role,
    /// Whether the issue is open, now: deliveries come in any order, and what one says of it may be over.
    pub is_open: bool,
    /// Jobs of the same issue that are not completed.
    pub open_jobs: Vec<JobKey>,
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// A job begins.
    Start {
        /// The job.
        spec: Box<JobSpec>,
        /// Why.
        because: String,
    },
    /// Jobs stop.
    Cancel {
        /// Which.
        keys: Vec<JobKey>,
        /// Why.
        because: String,
    },
    /// Nothing happens, and nobody is told.
    Ignore {
        /// Why.
        because: String,
        /// Whether that is for want of a decision: nobody could make one, so that an operator may have to look.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_given_up: bool,
    },
}

impl Decision {
    /// The reason, for the record.
    pub fn because(&self) -> &str {
        match self {
            Self::Start { because, .. } | Self::Cancel { because, .. } | Self::Ignore { because, .. } => because,
        }
    }

    /// Nothing happens, for this reason.
    pub fn ignore(because: impl Into<String>) -> Self {
        Self::Ignore { because: because.into(), is_given_up: false }
    }

    /// Nothing happens, since nobody could decide on it for this reason.
    pub fn give_up(because: impl Into<String>) -> Self {
        Self::Ignore { because: because.into(), is_given_up: true }
    }
}

/// The first look at an event, before anything is fetched: most events want nothing.
///
/// # Errors
/// The decision, where none of the facts could change it.
pub fn glance(event: &Event, deployment: &Deployment) -> Result<(), Box<Decision>> {
    trigger::wish(event, deployment).map(|_| ()).map_err(|because| Box::new(Decision::ignore(because)))
}

/// Decides.
pub fn decide(event: &Event, deployment: &Deployment, facts: &Facts) -> Decision {
    let wish = match trigger::wish(event, deployment) {
        Ok(wish) => wish,
        Err(because) => return Decision::ignore(because),
    };
    match wish {
        trigger::Wish::Stop => stop(event, facts),
        trigger::Wish::Start(start) => begin(event, deployment, facts, start),
    }
}

fn stop(event: &Event, facts: &Facts) -> Decision {
    if facts.open_jobs.is_empty() {
        return Decision::ignore("the issue was closed and no job of it is open");
    }
    let because = format!("issue #{} was closed by {}", event.kind.issue(), event.actor.login);
    Decision::Cancel { keys: facts.open_jobs.clone(), because }
}

fn begin(event: &Event, deployment: &Deployment, facts: &Facts, start: trigger::Start) -> Decision {
    let Triggers { label, minimum_role } = &facts.policy.triggers;
    if let Some(put) = &start.label
        && !put.eq_ignore_ascii_case(label)
    {
        return Decision::ignore(format!("the label is not `{label}`, which starts a run here"));
    }
    if facts.role < *minimum_role {
        let login = &event.actor.login;
        return Decision::ignore(format!(
            "{login} has the role {} here, and {minimum_role} is needed to start a run",
            facts.role
        ));
    }
    if !facts.is_open {
        return Decision::ignore("the issue was closed meanwhile");
    }
    if facts.open_jobs.contains(&start.key) {
        return Decision::ignore("the same request has already started a job");
    }
    if !facts.open_jobs.is_empty() {
        return Decision::ignore(format!("a job of issue #{} is still open; one at a time", event.kind.issue()));
    }
    let because = format!("{} by {}, who has the role {}", start.what, event.actor.login, facts.role);
    let budget = Budget { attempts: facts.policy.attempts.min(deployment.budget.attempts), ..deployment.budget };
    let budget = if start.task.adopts() { budget.without_model() } else { budget };
    let spec = JobSpec {
        key: start.key,
        repo: event.repo.clone(),
        task: start.task,
        requested_by: event.actor.clone(),
        role: facts.role,
        delivery: event.delivery.clone(),
        requested_at: event.at,
        budget,
    };
    Decision::Start { spec: Box::new(spec), because }
}

#[cfg(test)]
mod tests;
