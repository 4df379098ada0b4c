//! Whether an event starts, stops or does nothing, and why: a function of the event and of facts fetched before.

use serde::{Deserialize, Serialize};

use crate::demands::Demands;
use crate::ecosystem::Commands;
use crate::event::{Event, EventKind, Role};
use crate::job::{Budget, JobId, JobKey, JobSpec, Reply, Task};
use crate::policy::rates::{Rates, Recent};

pub mod command;
pub mod rates;
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
    /// The limits of what is asked for.
    pub rates: Rates,
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
    /// Jobs of the same issue that are not completed; where somebody asks for work, without those that are to stop.
    pub open_jobs: Vec<JobKey>,
    /// Whether the same text has been answered before, as it was before its last edit.
    pub was_answered: bool,
    /// What was asked for within the last hour.
    pub recent: Recent,
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

/// Whether somebody asks that what is under way stops: what was asked for since then is not meant.
pub fn stops(event: &Event, deployment: &Deployment) -> bool {
    matches!(trigger::wish(event, deployment), Ok(trigger::Wish::Stop { .. }))
}

/// The job that a text would start which somebody has changed, by what it was called when it was written: was it answered then?
pub fn edited(event: &Event, deployment: &Deployment) -> Option<JobKey> {
    let EventKind::Written { before: Some(_), .. } = &event.kind else { return None };
    match trigger::wish(event, deployment) {
        Ok(trigger::Wish::Start(start)) => Some(start.key),
        Ok(trigger::Wish::Stop { .. } | trigger::Wish::Close | trigger::Wish::Refuse { .. }) | Err(_) => None,
    }
}

/// Decides.
pub fn decide(event: &Event, deployment: &Deployment, facts: &Facts) -> Decision {
    let wish = match trigger::wish(event, deployment) {
        Ok(wish) => wish,
        Err(because) => return Decision::ignore(because),
    };
    let asked = Asked { event, deployment, facts };
    match wish {
        trigger::Wish::Close => asked.close(),
        trigger::Wish::Stop { key } => asked.stop(key),
        trigger::Wish::Refuse { key, told, because } => {
            asked.unless_forbidden(|asked| asked.refuse(key.of_reply(&because), told, &because))
        }
        trigger::Wish::Start(start) => asked.begin(start),
    }
}

/// All that a decision goes by.
struct Asked<'a> {
    event: &'a Event,
    deployment: &'a Deployment,
    facts: &'a Facts,
}

impl Asked<'_> {
    fn close(&self) -> Decision {
        if self.facts.open_jobs.is_empty() {
            return Decision::ignore("the issue was closed and no job of it is open");
        }
        let because = format!("issue #{} was closed by {}", self.event.kind.issue(), self.event.actor.login);
        Decision::Cancel { keys: self.facts.open_jobs.clone(), because }
    }

    fn stop(&self, key: JobKey) -> Decision {
        self.unless_forbidden(|asked| {
            let login = &asked.event.actor.login;
            if asked.facts.open_jobs.is_empty() {
                let told = "Nothing is under way here that could still be stopped.".into();
                let because = "nothing is under way that could be stopped";
                return asked.refuse(key.of_reply(because), told, because);
            }
            Decision::Cancel { keys: asked.facts.open_jobs.clone(), because: format!("{login} asked to stop") }
        })
    }

    /// What follows for whoever may give commands; others hear nothing.
    fn unless_forbidden(&self, follows: impl FnOnce(&Self) -> Decision) -> Decision {
        let (role, minimum_role) = (self.facts.role, self.facts.policy.triggers.minimum_role);
        if role < minimum_role {
            let login = &self.event.actor.login;
            return Decision::ignore(format!("{login} has the role {role} here, and {minimum_role} is needed to start a run"));
        }
        follows(self)
    }

    /// The answer to a command of which nothing else comes. Where it could be had at another time, the key is the command's own:
    /// whatever tells of it once more, the answer was that it is to be asked for again.
    fn refuse(&self, key: JobKey, told: String, because: &str) -> Decision {
        let reply = Reply::Refused { because: told };
        let (login, role) = (&self.event.actor.login, self.facts.role);
        self.reply(key, reply, format!("{because}; {login}, who has the role {role}, is told so"))
    }

    /// An answer without work, of which there are few in one place: who goes on asking, or lets another program ask, hears nothing.
    fn reply(&self, key: JobKey, reply: Reply, because: String) -> Decision {
        let issue = self.event.kind.issue();
        if rates::are_answered_enough(&self.facts.recent) {
            let rates::Recent { answers_in_place, answers, .. } = self.facts.recent;
            let given = format!("{answers_in_place} answers were given on #{issue} within an hour, {answers} in the repository");
            return Decision::ignore(format!("{given}, and no more are"));
        }
        self.start(key, Task::Reply { issue, reply }, because)
    }

    fn begin(&self, start: trigger::Start) -> Decision {
        let trigger::Start { key, task, way, what } = start;
        let label = &self.facts.policy.triggers.label;
        if matches!(&way, trigger::Way::Label(put) if !put.eq_ignore_ascii_case(label)) {
            return Decision::ignore(format!("the label is not `{label}`, which starts a run here"));
        }
        self.unless_forbidden(|asked| {
            let Facts { open_jobs, is_open, role, .. } = asked.facts;
            let wanted = format!("{what} by {}, who has the role {role}", asked.event.actor.login);
            if let Task::Reply { reply, .. } = task {
                return asked.reply(key.of_reply(what), reply, wanted);
            }
            if asked.facts.was_answered {
                let because = "the text had been answered before it was edited";
                let told = "This was answered before it was edited. Write a new comment to ask for more.".into();
                return asked.refuse(key.of_reply(because), told, because);
            }
            if open_jobs.contains(&key) {
                return Decision::ignore("the same request has already started a job");
            }
            if !is_open {
                let because = "the issue is closed";
                let told = "This is closed. Open it again, then ask again in a new comment.".into();
                return if way.is_silent() { Decision::ignore(because) } else { asked.refuse(key, told, because) };
            }
            let Some(open) = open_jobs.first() else { return asked.work(key, task, &way, wanted) };
            let because = format!("a job of issue #{} is still open; one at a time", asked.event.kind.issue());
            if way.is_silent() {
                return Decision::ignore(because);
            }
            let (job, mention) = (JobId::of(open), &asked.deployment.mention);
            let told = format!(
                "Job {job} is still under way here. Ask again in a new comment when its result is here, or after \
                 `{mention} stop`; `{mention} status` says how far it is."
            );
            asked.refuse(key, told, &because)
        })
    }

    /// A job, unless as many were asked for as may be.
    fn work(&self, key: JobKey, task: Task, way: &trigger::Way, because: String) -> Decision {
        match self.deployment.rates.reached(&self.facts.recent) {
            None => self.start(key, task, because),
            Some(reached) if way.is_silent() => Decision::ignore(reached),
            Some(reached) => self.refuse(key, format!("{reached}. Ask again later, in a new comment."), &reached),
        }
    }

    fn start(&self, key: JobKey, task: Task, because: String) -> Decision {
        let Self { event, deployment, facts } = self;
        let budget = Budget { attempts: facts.policy.attempts.min(deployment.budget.attempts), ..deployment.budget };
        let budget = if task.asks_a_model() { budget } else { budget.without_model() };
        let described = event.described.clone().filter(|_| task.asks_a_model());
        let spec = JobSpec {
            key,
            repo: event.repo.clone(),
            task,
            requested_by: event.actor.clone(),
            role: facts.role,
            delivery: event.delivery.clone(),
            requested_at: event.at,
            budget,
            described,
        };
        Decision::Start { spec: Box::new(spec), because }
    }
}

#[cfg(test)]
mod tests;
