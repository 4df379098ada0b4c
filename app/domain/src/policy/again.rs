//! What goes on from what was done last in a place: `retry` does it once more, `approve` carries out the plan that came of it.
//!
//! What that was is what is stored of it: its words as they were when it was asked for, whatever stands on GitHub by now.

use super::trigger::{Again, Start, Way};
use super::{Asked, Decision, Last, PullHead};
use crate::event::{Role, Untrusted};
use crate::job::{JobId, JobKey, JobSpec, Mode, Repair, Task};
use crate::journal::Outcome;

/// Why nothing goes on, for the one who asked and for the record.
type Refusal = (String, &'static str);

impl Asked<'_> {
    pub(super) fn again(&self, key: JobKey, again: Again) -> Decision {
        self.unless_below(self.facts.policy.triggers.least_role(), Some(&key.clone()), |asked| {
            if let Some(refusal) = asked.already(&key).or_else(|| asked.beside(&key, false)) {
                return refusal;
            }
            if let Some((told, because)) = asked.too_early() {
                return asked.refuse(key.of_reply(because), told, because);
            }
            let start = match again {
                Again::Retry => asked.retry(key.clone()),
                Again::Approve(request) => asked.approve(key.clone(), request),
            };
            match start {
                Ok(start) => asked.begin(start),
                Err((told, because)) => asked.refuse(key.of_reply(because), told, because),
            }
        })
    }

    /// Why it is not known what was done last, or not what whoever asks has seen of it.
    fn too_early(&self) -> Option<Refusal> {
        if let Some(stopping) = self.facts.stopping.first() {
            let told = format!(
                "Job {} is being stopped. Ask again in a new comment when its own says that it is over.",
                JobId::of(stopping)
            );
            return Some((told, "what was done last is being stopped"));
        }
        let is_later = |last: &Last| last.spec.requested_at > self.event.at;
        self.facts.last.as_ref().filter(|last| is_later(last)).map(|last| {
            let told =
                format!("Job {} was asked for and done since this was written. Look at it, and ask again.", last.spec.id());
            (told, "what was done last was asked for later than this")
        })
    }

    /// Whether a job is of an issue, or of the commit that its pull request proposes now.
    fn is_of_now(&self, spec: &JobSpec) -> bool {
        let is_now = |head| matches!(&self.facts.pull, Some(PullHead { head: now, .. }) if now == head);
        spec.task.works_on().is_none_or(|(head, _)| is_now(head))
    }

    /// Why somebody may not have a plan carried out whom this account has asked for, if he may not.
    fn refuse_planner(&self, planner: Option<u64>) -> Option<Refusal> {
        let is_another = planner.is_some_and(|planner| planner != self.event.actor.id);
        (self.facts.policy.triggers.second_person && !is_another).then(|| {
            let told = "Who has asked for a plan does not approve it here: `triggers.second_person` in `.github/patchwright.yml` wants \
                        somebody else who may.";
            (told.into(), "who has asked for the plan may not approve it")
        })
    }

    fn retry(&self, key: JobKey) -> Result<Start, Refusal> {
        let Some(Last { spec, outcome, planned_by }) = &self.facts.last else {
            let told = "Nothing that was asked for here has ended, so that there is nothing to do once more.".into();
            return Err((told, "nothing was done here that could be done once more"));
        };
        if matches!(outcome, Outcome::Proven | Outcome::Answered) {
            let told = format!(
                "Job {} was the last one here, and it succeeded: its comment says what came of it. Say in a new comment what else is \
                 wanted.",
                spec.id()
            );
            return Err((told, "what was done last has succeeded"));
        }
        // Whoever has it done once more approves it once more.
        if spec.plan.is_some() {
            if let Some(refusal) = self.refuse_planner(*planned_by) {
                return Err(refusal);
            }
            if !self.is_of_now(spec) {
                return Err(self.of_another_commit());
            }
        }
        let (task, is_of_pull) = as_asked(spec.task.clone());
        let plan = spec.plan.clone();
        let needed = if plan.is_some() { self.facts.policy.triggers.role_for("approve") } else { Role::None };
        Ok(Start { is_of_pull, needed, plan, ..Start::new(key, task, Way::Words, "`retry` was asked for") })
    }

    fn of_another_commit(&self) -> Refusal {
        let mention = &self.deployment.mention;
        let told =
            format!("The pull request has another last commit since the plan was made. `{mention} plan` asks for a new one.");
        (told, "the plan is of another commit")
    }

    fn approve(&self, key: JobKey, more: Option<Untrusted>) -> Result<Start, Refusal> {
        let mention = &self.deployment.mention;
        let planned = |last: &&Last| last.outcome == Outcome::Answered && last.spec.task.mode() == Mode::Plan;
        let Some(Last { spec, .. }) = self.facts.last.as_ref().filter(planned) else {
            let told = format!("What was done last here made no plan that could be approved. `{mention} plan` asks for one.");
            return Err((told, "what was done last made no plan"));
        };
        if let Some(refusal) = self.refuse_planner(Some(spec.requested_by.id)) {
            return Err(refusal);
        }
        if !self.is_of_now(spec) {
            return Err(self.of_another_commit());
        }
        let (task, is_of_pull) = as_asked(spec.task.clone());
        let Some(issue) = task.issue() else { return Err(("This is no place for it.".into(), "the plan has no place")) };
        let task = Task::FixIssue { issue, request: both(task.request(), more) };
        let needed = self.facts.policy.triggers.role_for("approve");
        Ok(Start { is_of_pull, needed, plan: Some(spec.id()), ..Start::new(key, task, Way::Words, "`approve` was asked for") })
    }
}

/// A task as it was asked for, before it was known which commit it is about, and whether it was asked of a pull request.
fn as_asked(task: Task) -> (Task, bool) {
    match task {
        Task::WorkOnPull { pull_request: issue, request, mode: Mode::Fix, .. } => (Task::FixIssue { issue, request }, true),
        Task::WorkOnPull { pull_request: issue, request, mode, .. } => (Task::Answer { issue, request, mode }, true),
        Task::TriageCheck { pull_request, head, check, .. } => {
            (Task::TriageCheck { pull_request, head, check, repair: Repair::Unwanted }, true)
        }
        Task::FixIssue { .. } | Task::Answer { .. } | Task::Reply { .. } | Task::ProvePullRequest { .. } | Task::Local { .. } => {
            (task, false)
        }
    }
}

/// What was asked for first, and what is to be different.
fn both(first: Option<&Untrusted>, more: Option<Untrusted>) -> Option<Untrusted> {
    match (first, more) {
        (Some(first), Some(more)) => Some(Untrusted::new(format!("{}\n\n{}", first.raw(), more.raw()))),
        (first, more) => more.or_else(|| first.cloned()),
    }
}
