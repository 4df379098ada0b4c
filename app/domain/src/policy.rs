//! Whether an event starts, stops or does nothing, and why: a function of the event and of facts fetched before.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::{Actor, CheckRef, Event, EventKind, IssueNumber, Role};
use crate::job::{Budget, JobId, JobKey, JobSpec, Mode, Opening, Reply, Task};
use crate::journal::{CommitId, Outcome};
use crate::policy::rates::{Rates, Recent};

mod again;
mod bots;
mod branches;
mod checks;
pub mod command;
mod lane;
pub mod rates;
mod reviews;
pub mod schedule;
mod trigger;
pub mod wanted;

pub use bots::BOTS_IN_A_ROW_MAX;
pub use checks::CHECKED_LAST_MAX;

use wanted::{Policy, Source};

/// What the operator of this server has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Our App's number.
    pub app_id: u64,
    /// What users write to call us, with its `@`.
    pub mention: String,
    /// The bots that repositories may let give commands, by GitHub's numbers.
    pub bots: BTreeSet<u64>,
    /// The limits of each job.
    pub budget: Budget,
    /// The limits of what is asked for.
    pub rates: Rates,
}

/// What was fetched before deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The repository's policy; the default where its file cannot be read.
    pub policy: Policy,
    /// Where in its file the policy cannot be read, if it cannot: nobody knows then what the repository wants.
    pub unread: Option<String>,
    /// What the actor may do in the repository, now.
    pub role: Role,
    /// Whether the issue is open, now: deliveries come in any order, and what one says of it may be over.
    pub is_open: bool,
    /// Whether what the event calls an issue is a pull request, of which nothing is known then.
    pub is_no_issue: bool,
    /// Jobs of the same issue that are not completed, without those that are to stop already.
    pub open_jobs: Vec<JobKey>,
    /// Those that are meant where somebody asks to stop: asked for before that, and not at their end.
    pub stoppable: Vec<JobKey>,
    /// Whether the same text has been answered before, as it was before its last edit.
    pub was_answered: bool,
    /// What was asked for within the last hour.
    pub recent: Recent,
    /// The red check that the event is about, where there is one now.
    pub check: Option<RedCheck>,
    /// The pull request that the event is about, where it is about one.
    pub pull: Option<PullHead>,
    /// What was done last in this place, where the event wants that to go on.
    pub last: Option<Last>,
    /// Jobs of the same issue that are to stop, and are not completed yet.
    pub stopping: Vec<JobKey>,
    /// How many of the last jobs in this place were asked for by bots, since a person has asked for one.
    pub n_by_bots: u32,
    /// How many of the last red checks of the pull request that the event is about were mended on its own branch, or are being.
    pub n_mended: u32,
}

/// A job that is over, and that somebody has asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// The job.
    pub spec: Box<JobSpec>,
    /// How it ended.
    pub outcome: Outcome,
    /// Who has asked for the plan that it carried out, by GitHub's number, where it is known.
    pub planned_by: Option<u64>,
}

/// What a pull request proposes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullHead {
    /// Its last commit.
    pub head: CommitId,
    /// Its branch, where that is one of the same repository.
    pub branch: Option<String>,
    /// Whether this App has opened it, from a branch of its own.
    pub is_own: bool,
    /// The branch that it is to go to.
    pub target: Target,
}

/// The branch that a pull request is to go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is called.
    pub branch: String,
    /// Whether anything is begun on pull requests to it: the policy names it, or none.
    pub is_named: bool,
}

/// A check of GitHub Actions that is red now, on the last commit of an open pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedCheck {
    /// The check.
    pub check: CheckRef,
    /// GitHub's number of the run of a workflow that it belongs to, where it tells: two files may each have a job of one name.
    pub suite: Option<u64>,
    /// The pull request.
    pub pull_request: IssueNumber,
    /// Its branch, which is one of the same repository.
    pub branch: String,
    /// The branch that it is to go to.
    pub target: Target,
    /// Whether this App has opened it.
    pub is_own: bool,
    /// How many checks of the same commit were looked into already.
    pub n_triaged: u32,
}

/// Who is answered also where a command takes more: everybody who can push here.
const WRITER: Role = Role::Write;
/// Whom a job is for that a check has started: GitHub Actions' own account.
pub const CHECKER_ID: u64 = 41_898_282;
/// What that account is called.
pub(crate) const CHECKER_LOGIN: &str = "github-actions[bot]";

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
    /// A text asks for several things.
    Several {
        /// What follows from each, in its order; none of them is several.
        decisions: Vec<Decision>,
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
    /// What follows from several things; where nothing follows from any, nothing does.
    fn of(mut decisions: Vec<Self>) -> Self {
        if decisions.len() == 1 {
            return decisions.remove(0);
        }
        if decisions.iter().any(|decision| !matches!(decision, Self::Ignore { .. })) {
            return Self::Several { decisions };
        }
        Self::ignore(joined(&decisions))
    }

    /// Each thing that follows.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Several { decisions } => decisions,
            Self::Start { .. } | Self::Cancel { .. } | Self::Ignore { .. } => std::slice::from_ref(self),
        }
    }

    /// The reason, for the record.
    pub fn because(&self) -> Cow<'_, str> {
        match self {
            Self::Start { because, .. } | Self::Cancel { because, .. } | Self::Ignore { because, .. } => Cow::Borrowed(because),
            Self::Several { decisions } => Cow::Owned(joined(decisions)),
        }
    }

    /// Nothing happens, for this reason.
    pub fn ignore(because: impl Into<String>) -> Self {
        Self::Ignore { because: because.into(), is_given_up: false }
    }

    /// The same, with what was done besides where nothing else was.
    #[must_use]
    pub fn with(self, done: &str) -> Self {
        match self {
            Self::Ignore { because, is_given_up } => Self::Ignore { because: format!("{because}; {done}"), is_given_up },
            decision @ (Self::Start { .. } | Self::Cancel { .. } | Self::Several { .. }) => decision,
        }
    }

    /// Nothing happens, since nobody could decide on it for this reason.
    pub fn give_up(because: impl Into<String>) -> Self {
        Self::Ignore { because: because.into(), is_given_up: true }
    }
}

fn joined(decisions: &[Decision]) -> String {
    decisions.iter().map(|decision| decision.because().into_owned()).collect::<Vec<_>>().join("; ")
}

/// The first look at an event, before anything is fetched: most events want nothing.
///
/// # Errors
/// The decision, where none of the facts could change it.
pub fn glance(event: &Event, deployment: &Deployment) -> Result<(), Box<Decision>> {
    trigger::wishes(event, deployment).map(|_| ()).map_err(|because| Box::new(Decision::ignore(because)))
}

/// Whether somebody asks that what is under way stops: what was asked for since then is not meant.
pub fn stops(event: &Event, deployment: &Deployment) -> bool {
    wants(event, deployment, |wish| matches!(wish, trigger::Wish::Stop { .. }))
}

/// Whether somebody asks that what was done last goes on, so that one has to know what that is.
pub fn looks_back(event: &Event, deployment: &Deployment) -> bool {
    wants(event, deployment, |wish| matches!(wish, trigger::Wish::Again { .. }))
}

/// The job that a text would start which somebody has changed, by what it was called when it was written: was it answered then?
pub fn edited(event: &Event, deployment: &Deployment) -> Option<JobKey> {
    let EventKind::Written { before: Some(_), .. } = &event.kind else { return None };
    let wishes = trigger::wishes(event, deployment).ok()?;
    wishes.into_iter().find_map(|wish| match wish {
        trigger::Wish::Start(trigger::Start { key, .. }) | trigger::Wish::Again { key, .. } => Some(key),
        trigger::Wish::Stop { .. } | trigger::Wish::Close | trigger::Wish::Refuse { .. } | trigger::Wish::Triage { .. } => None,
    })
}

fn wants(event: &Event, deployment: &Deployment, this: fn(&trigger::Wish) -> bool) -> bool {
    trigger::wishes(event, deployment).is_ok_and(|wishes| wishes.iter().any(this))
}

/// Decides. What a text asks for is decided in its order: what it stops is in nobody's way behind that.
pub fn decide(event: &Event, deployment: &Deployment, facts: &Facts) -> Decision {
    let wishes = match trigger::wishes(event, deployment) {
        Ok(wishes) => wishes,
        Err(because) => return Decision::ignore(because),
    };
    let mut facts = facts.clone();
    let mut decisions = Vec::new();
    for wish in wishes {
        let decision = Asked { event, deployment, facts: &facts }.decide(wish);
        if let Decision::Cancel { keys, .. } = &decision {
            facts.open_jobs.retain(|key| !keys.contains(key));
            facts.stopping.extend(keys.iter().cloned());
        }
        decisions.push(decision);
    }
    Decision::of(decisions)
}

/// A job that is to begin.
struct Work {
    key: JobKey,
    task: Task,
    /// The role that it takes.
    needed: Role,
    /// The job whose plan is carried out.
    plan: Option<JobId>,
}

impl Work {
    /// One that nobody's role counts for.
    fn unasked(key: JobKey, task: Task) -> Self {
        Self { key, task, needed: Role::None, plan: None }
    }
}

/// All that a decision goes by.
struct Asked<'a> {
    event: &'a Event,
    deployment: &'a Deployment,
    facts: &'a Facts,
}

impl Asked<'_> {
    fn decide(&self, wish: trigger::Wish) -> Decision {
        if let Some(because) = self.refuse_bot(&wish) {
            return Decision::ignore(because);
        }
        if let Some(place) = &self.facts.unread {
            return self.without_policy(wish, place);
        }
        match wish {
            trigger::Wish::Close => self.close(),
            trigger::Wish::Stop { key } => self.stop(key),
            trigger::Wish::Refuse { key, told, because } => {
                let (needed, key) = (self.facts.policy.triggers.least_role(), key.of_reply(&because));
                self.unless_below(needed, Some(&key.clone()), |asked| asked.refuse(key, told, &because))
            }
            trigger::Wish::Start(start) => self.begin(start),
            trigger::Wish::Again { key, again } => self.again(key, again),
            trigger::Wish::Triage { head } => self.triage(&head),
        }
    }

    fn close(&self) -> Decision {
        if self.facts.open_jobs.is_empty() {
            return Decision::ignore("the issue was closed and no job of it is open");
        }
        let because = format!("{} was closed by {}", self.subject(), self.event.actor.login);
        Decision::Cancel { keys: self.facts.open_jobs.clone(), because }
    }

    fn stop(&self, key: JobKey) -> Decision {
        // The text's own key is that of the work which it asks for besides.
        let called = key.of_reply("stop");
        self.unless_below(self.facts.policy.triggers.role_for("stop"), Some(&called), |asked| {
            let login = &asked.event.actor.login;
            if asked.facts.stoppable.is_empty() {
                let told = "Nothing is under way here that could still be stopped.".into();
                let because = "nothing is under way that could be stopped";
                return asked.refuse(key.of_reply(because), told, because);
            }
            Decision::Cancel { keys: asked.facts.stoppable.clone(), because: format!("{login} asked to stop") }
        })
    }

    /// What follows where nobody knows what the repository wants: nothing is begun, for less might be allowed than by default. What
    /// is under way can be stopped.
    fn without_policy(&self, wish: trigger::Wish, place: &str) -> Decision {
        let because = format!("the policy file cannot be read {place}");
        let key = match wish {
            trigger::Wish::Close => return self.close(),
            trigger::Wish::Stop { key } => return self.stop(key),
            trigger::Wish::Triage { .. } => return Decision::ignore(because),
            trigger::Wish::Start(start) if start.way.is_silent() => return Decision::ignore(because),
            trigger::Wish::Start(trigger::Start { key, .. })
            | trigger::Wish::Again { key, .. }
            | trigger::Wish::Refuse { key, .. } => key,
        };
        let told = format!(
            "`.github/patchwright.yml` of the default branch cannot be read {place}, so that nothing is begun. Mend it, then ask \
             again in a new comment; `patchwright policy check` says what is wrong."
        );
        self.unless_below(self.facts.policy.triggers.minimum_role, None, |asked| asked.refuse(key, told, &because))
    }

    /// What follows for whoever has the role. Who can push, and has too low a role all the same, is told which one it takes where there
    /// is something to answer; strangers hear nothing.
    fn unless_below(&self, needed: Role, answered: Option<&JobKey>, follows: impl FnOnce(&Self) -> Decision) -> Decision {
        let role = self.role();
        if role >= needed {
            return follows(self);
        }
        let login = &self.event.actor.login;
        let because = format!("{login} has the role {role} here, and {needed} is needed to start a run");
        match answered.filter(|_| role >= WRITER) {
            None => Decision::ignore(because),
            Some(key) => {
                let told = format!(
                    "This takes the role `{needed}` here, and you have `{role}`: `triggers` in `.github/patchwright.yml` says so. \
                     Somebody with that role can ask for it in a new comment."
                );
                self.refuse(key.clone(), told, &because)
            }
        }
    }

    /// The answer to a command of which nothing else comes. Where it could be had at another time, the key is the command's own:
    /// whatever tells of it once more, the answer was that it is to be asked for again.
    fn refuse(&self, key: JobKey, told: String, because: &str) -> Decision {
        let reply = Reply::Refused { because: told };
        let (login, role) = (&self.event.actor.login, self.role());
        self.reply(key, reply, format!("{because}; {login}, who has the role {role}, is told so"))
    }

    /// An answer without work, of which there are few in one place: who goes on asking, or lets another program ask, hears nothing.
    fn reply(&self, key: JobKey, reply: Reply, because: String) -> Decision {
        let Some(issue) = self.event.kind.issue() else { return Decision::ignore(because) };
        if self.event.actor.is_bot {
            return Decision::ignore(format!("{because}; a bot is told nothing"));
        }
        if rates::are_answered_enough(&self.facts.recent) {
            let rates::Recent { answers_in_place, answers, .. } = self.facts.recent;
            let given = format!("{answers_in_place} answers were given on #{issue} within an hour, {answers} in the repository");
            return Decision::ignore(format!("{given}, and no more are"));
        }
        self.start(Work::unasked(key, Task::Reply { issue, reply }), because)
    }

    fn begin(&self, start: trigger::Start) -> Decision {
        let trigger::Start { key, task, is_of_pull, needed, plan, way, what } = start;
        let triggers = &self.facts.policy.triggers;
        let label = &triggers.label;
        if matches!(&way, trigger::Way::Label(put) if !put.eq_ignore_ascii_case(label)) {
            return Decision::ignore(format!("the label is not `{label}`, which starts a run here"));
        }
        match (&way, &triggers.assignee) {
            (trigger::Way::Assignment(_), None) => return Decision::ignore("the policy names no `triggers.assignee`"),
            (trigger::Way::ReviewRequest(_), None) => return Decision::ignore("the policy names no `triggers.assignee`"),
            (trigger::Way::Assignment(to), Some(ours)) if !to.eq_ignore_ascii_case(ours) => {
                return Decision::ignore(format!("the issue was not assigned to `{ours}`, which starts a run here"));
            }
            (trigger::Way::ReviewRequest(of), Some(ours)) if !of.eq_ignore_ascii_case(ours) => {
                return Decision::ignore(format!("the review was not asked of `{ours}`, which starts a run here"));
            }
            (
                trigger::Way::Assignment(_)
                | trigger::Way::ReviewRequest(_)
                | trigger::Way::Words
                | trigger::Way::Label(_)
                | trigger::Way::Button
                | trigger::Way::Schedule(_)
                | trigger::Way::Review,
                _,
            ) => {}
        }
        if let Some(because) = self.is_not_ours(&way).map(str::to_owned).or_else(|| self.is_unscheduled(&way)) {
            return Decision::ignore(because);
        }
        let is_reply = matches!(task, Task::Reply { .. });
        let needed = if self.schedule().is_some() {
            // The default branch's own file asks, and who may change that was asked when it was changed.
            Role::None
        } else if is_reply {
            triggers.least_role()
        } else {
            triggers.role_for(task.asked_by()).max(needed)
        };
        let called = if is_reply { key.of_reply(what) } else { key.clone() };
        self.unless_below(needed, (!way.is_silent()).then_some(&called), |asked| {
            let is_open = asked.facts.is_open;
            let wanted = format!("{what} by {}", asked.by_whom());
            if let Task::Reply { reply, .. } = task {
                return asked.reply(key.of_reply(what), reply, wanted);
            }
            if let Some(already) = asked.already(&key) {
                return already;
            }
            if let Some(refusal) = asked.refuse_source(&key, &way) {
                return refusal;
            }
            if let Some(refusal) = asked.refuse_branch(&key, &way, &task, is_of_pull) {
                return refusal;
            }
            if !is_open {
                let because = "the issue is closed";
                let told = "This is closed. Open it again, then ask again in a new comment.".into();
                return if way.is_silent() { Decision::ignore(because) } else { asked.refuse(key, told, because) };
            }
            let task = match asked.on_what(task, is_of_pull) {
                Ok(task) => task,
                Err((_, because)) if way.is_silent() => return Decision::ignore(because),
                Err((told, because)) => return asked.refuse(key, told, because),
            };
            // Nobody asks GitHub what a bot may do: whether it is heard is the policy's choice.
            let needed = if asked.event.actor.is_bot { Role::None } else { needed };
            match asked.beside(&key, way.is_silent()) {
                Some(refusal) => refusal,
                None => asked.work(Work { key, task, needed, plan }, &way, wanted),
            }
        })
    }

    /// Work on an issue as it is, and of a pull request on what it proposes now.
    ///
    /// # Errors
    /// Why there is nothing that could be worked on, for the one who asked and for the record.
    fn on_what(&self, task: Task, is_of_pull: bool) -> Result<Task, (String, &'static str)> {
        if self.facts.is_no_issue {
            let told =
                "This is a pull request. Whoever asks from outside names it as `pull_request`, so that its own rules hold.";
            return Err((told.into(), "what was named as an issue is a pull request"));
        }
        let mode = task.mode();
        let (pull_request, request) = match task {
            Task::FixIssue { issue, request } | Task::Answer { issue, request, .. } if is_of_pull => (issue, request),
            Task::TriageCheck { .. } if is_of_pull => return self.on_red(task),
            task => return Ok(task),
        };
        let Some(PullHead { head, branch, is_own, .. }) = self.facts.pull.clone() else {
            let told = "GitHub names no commit of this pull request. Ask again in a new comment once it does.".into();
            return Err((told, "GitHub names no commit of the pull request"));
        };
        let mention = &self.deployment.mention;
        if mode == Mode::Fix && branch.is_none() {
            let told = format!(
                "The branch of this pull request is in another repository, to which nothing goes from here. `{mention} ask`, \
                 `{mention} plan`, `{mention} review` and `{mention} prove` are served."
            );
            return Err((told, "the pull request's branch is in another repository"));
        }
        Ok(Task::WorkOnPull { pull_request, head, branch, is_own, request, mode })
    }

    /// A job, unless as many were asked for as may be.
    fn work(&self, work: Work, way: &trigger::Way, because: String) -> Decision {
        match self.deployment.rates.reached(&self.facts.recent) {
            None => self.start(work, because),
            Some(reached) if way.is_silent() => Decision::ignore(reached),
            Some(reached) => self.refuse(work.key, format!("{reached}. Ask again later, in a new comment."), &reached),
        }
    }

    /// What follows where the policy starts no run from where this one was asked for; whoever wrote is told where to ask.
    fn refuse_source(&self, key: &JobKey, way: &trigger::Way) -> Option<Decision> {
        let sources = &self.facts.policy.triggers.sources;
        let source = Source::of(&self.event.kind).filter(|source| !sources.contains(source))?;
        let because = format!("`triggers.sources` of the policy file does not name `{}`", source.as_str());
        if way.is_silent() {
            return Some(Decision::ignore(because));
        }
        let names = sources.iter().map(|source| format!("`{}`", source.as_str())).collect::<Vec<_>>().join(", ");
        let told = format!("{because}, which is where this was asked: it names {names}.");
        Some(self.refuse(key.clone(), told, &because))
    }

    /// What the event is about, in words.
    fn subject(&self) -> String {
        self.event.kind.issue().map_or_else(|| "the commit".into(), |issue| format!("issue #{issue}"))
    }

    fn start(&self, Work { key, task, needed, plan }: Work, because: String) -> Decision {
        let Self { event, deployment, facts } = self;
        let attempts = facts.policy.attempts.min(deployment.budget.attempts);
        let budget = facts.policy.limits.narrow(Budget { attempts, ..deployment.budget });
        let budget = if task.asks_a_model() { budget } else { budget.without_model() };
        let described = event.described.clone().filter(|_| task.asks_a_model());
        let opening = if task.may_open() { facts.policy.opening.clone() } else { Opening::default() };
        let spec = JobSpec {
            key,
            repo: event.repo.clone(),
            task,
            requested_by: match &event.kind {
                // Whoever has pushed the commit has not asked for this.
                EventKind::CheckFailed { .. } => Actor { id: CHECKER_ID, login: CHECKER_LOGIN.into(), is_bot: true },
                EventKind::Written { .. }
                | EventKind::IssueLabeled { .. }
                | EventKind::IssueAssigned { .. }
                | EventKind::ReviewRequested { .. }
                | EventKind::Dispatched { .. }
                | EventKind::Scheduled { .. }
                | EventKind::Pushed { .. }
                | EventKind::IssueClosed { .. }
                | EventKind::CheckAsked { .. } => event.actor.clone(),
            },
            role: self.role(),
            needed,
            delivery: event.delivery.clone(),
            requested_at: event.at,
            budget,
            described,
            plan,
            opening,
            schedule: self.schedule().cloned(),
        };
        Decision::Start { spec: Box::new(spec), because }
    }
}

#[cfg(test)]
mod tests;
