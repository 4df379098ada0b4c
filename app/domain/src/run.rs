//! The run of a job as a machine: entries in, steps out.
//!
//! [`Run::apply`] folds one entry of the journal, [`Run::next`] says what to do now. There is no other state: a worker
//! that starts anew from the journal goes on where the last one died, and does its last step again.
//!
//! ```text
//!             Claimed*                 +---- verdict, worth another round (feedback) ----+
//!  Preparing -Prepared-> Solving -Solved-> Verifying -Verified-> Planning -PublishPlanned-> Publishing -Performed*-> Ending -> Completed
//!      |                   | GaveUp, Failed ------------------------^  ^                        |
//!      +--------- cancel, deadline, budget, claims: PublishPlanned ----+------ Failed push -----+
//! ```
//! A push fails also where too many workers have died of it; so do the other effects, and what is planned (`deaths`).
//! Where somebody else's change is proven it is Preparing -Adopted-> Preparing -Prepared-> Verifying: nobody solves. Where it does
//! not go into its branch it is Preparing -Unmerged-> Planning. A reply is planned at once: Preparing -PublishPlanned-> Publishing.
//! A red check is looked into and told of: Preparing -Triaged-> Planning. Where it is to be mended: Preparing -Triaged-> Preparing.
//! Every end passes through Planning, so that people are told of it; without a verdict only the telling can be planned.

use jiff::Timestamp;

use crate::effect::{Effect, EffectKey, Published, Receipt};
use crate::job::{Allowance, Budget, JobId, JobSpec, Mode, Task, Usage};
use crate::journal::{Adopted, CommitId, Conclusion, Digest, Entry, EntryKind, Failure, Outcome, Prepared, Proposal, Triaged};
use crate::proof::Verdict;
use crate::walls::Walls;

mod adoption;
mod attempts;
mod conclude;
mod deaths;
mod sound;
mod triage;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Fetch what somebody else has changed, and fix what it is measured against.
    Adopt,
    /// Find out what a red check is about.
    Triage,
    /// Fix the base, find the test command, run it.
    Prepare,
    /// Let the agent work.
    Solve {
        /// Which attempt, from 1.
        attempt: u32,
        /// Which round of it, from 1.
        round: u32,
        /// What was wrong with the round before.
        feedback: Option<String>,
    },
    /// Run the tests on the proposal.
    Verify,
    /// Write down how the run ends and what is to be done about it.
    PlanPublish {
        /// The end.
        conclusion: Conclusion,
    },
    /// Do one effect.
    Perform {
        /// Which.
        effect: Effect,
    },
    /// Write down that workers die of what is to be done, and try it no more.
    Fail {
        /// What is written down.
        failure: Failure,
        /// The effect that they died of, if it was one.
        effect: Option<EffectKey>,
    },
    /// Write the end.
    Complete {
        /// The end.
        outcome: Outcome,
    },
    /// Nothing is left.
    Rest,
}

/// A proposal with its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What was proposed.
    pub proposal: Proposal,
    /// What the harness concluded.
    pub verdict: Verdict,
    /// The attempt that it is from, counted from 1.
    pub attempt: u32,
    /// How many tokens that attempt had used by then.
    pub tokens: u64,
}

/// A run, as far as it has come.
#[derive(Clone, Debug)]
pub struct Run {
    job: JobId,
    budget: Budget,
    usage: Usage,
    claims: u32,
    started_at: Option<Timestamp>,
    cancelled_by: Option<String>,
    walls: Vec<Walls>,
    /// Whether it is somebody else's change that is proven.
    adopts: bool,
    /// Whether something is said, and nothing else done.
    replies: bool,
    /// How it is worked on, where that was asked for in a place of its own.
    asked_for: Option<Mode>,
    /// Of a red check that is looked into, its commit, and the branch that a repair goes to, where it is to be mended as well.
    triages: Option<(CommitId, Option<String>)>,
    triaged: Option<Triaged>,
    /// Of a pull request that is worked on, its commit, and its branch where that may be gone to.
    works_on: Option<(CommitId, Option<String>)>,
    /// Whether it is our own, so that its branch may be moved.
    is_own: bool,
    adopted: Option<Adopted>,
    unmerged: Option<CommitId>,
    prepared: Option<Prepared>,
    finished: Vec<Judged>,
    current: Option<Judged>,
    tokens_before_attempt: u64,
    answer: Option<Digest>,
    /// The answer in its parts.
    closing: Option<Digest>,
    is_answered: bool,
    branch: Option<String>,
    /// The commit whose branch was pushed, as it was planned, and what is there instead, where that was told.
    pushed: Option<(CommitId, Published)>,
    pull_request: Option<String>,
    review: Option<String>,
    notices: Vec<String>,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    Preparing,
    Solving { attempt: u32, round: u32, feedback: Option<String> },
    Verifying { attempt: u32, round: u32, proposal: Proposal },
    Planning { conclusion: Conclusion },
    Publishing { conclusion: Conclusion, remaining: Vec<Effect> },
    Ending { outcome: Outcome },
    Completed { outcome: Outcome },
}

/// An entry that this machine could not have written in its state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} does not fit a run that is {phase}")]
pub struct Misfit {
    /// The entry.
    pub seq: u32,
    /// What the run is doing.
    pub phase: &'static str,
}

fn owned((head, branch): (&CommitId, Option<&str>)) -> (CommitId, Option<String>) {
    (head.clone(), branch.map(str::to_owned))
}

impl Run {
    /// A run of which nothing is written yet.
    pub fn new(spec: &JobSpec) -> Self {
        Self {
            job: spec.id(),
            budget: spec.budget,
            usage: Usage::default(),
            claims: 0,
            started_at: None,
            cancelled_by: None,
            walls: Vec::new(),
            adopts: spec.task.adopts(),
            replies: matches!(spec.task, Task::Reply { .. }),
            asked_for: spec.task.issue().map(|_| spec.task.mode()),
            triages: spec.task.triages().map(owned),
            triaged: None,
            works_on: spec.task.works_on().map(owned),
            is_own: spec.task.goes_onto().is_some(),
            adopted: None,
            unmerged: None,
            prepared: None,
            finished: Vec::new(),
            current: None,
            tokens_before_attempt: 0,
            answer: None,
            closing: None,
            is_answered: false,
            branch: None,
            pushed: None,
            pull_request: None,
            review: None,
            notices: Vec::new(),
            phase: Phase::Preparing,
        }
    }

    /// Folds a whole journal.
    ///
    /// # Errors
    /// [`Misfit`] at the first entry that does not fit.
    pub fn fold<'a>(spec: &JobSpec, journal: impl IntoIterator<Item = &'a Entry>) -> Result<Self, Misfit> {
        let mut run = Self::new(spec);
        journal.into_iter().try_for_each(|entry| run.apply(entry))?;
        Ok(run)
    }

    /// What has been used so far.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// What confined its code, the first walls first; more than one where they became others on the way.
    pub fn walls(&self) -> &[Walls] {
        &self.walls
    }

    /// What preparing found, once it is done.
    pub fn prepared(&self) -> Option<&Prepared> {
        self.prepared.as_ref()
    }

    /// The proposal that waits for its verdict.
    pub fn proposal(&self) -> Option<&Proposal> {
        match &self.phase {
            Phase::Verifying { proposal, .. } => Some(proposal),
            Phase::Preparing
            | Phase::Solving { .. }
            | Phase::Planning { .. }
            | Phase::Publishing { .. }
            | Phase::Ending { .. }
            | Phase::Completed { .. } => None,
        }
    }

    /// The attempt and the round that are being solved, and what was found after the round before.
    pub fn solving(&self) -> Option<(u32, u32, Option<&str>)> {
        match &self.phase {
            Phase::Solving { attempt, round, feedback } => Some((*attempt, *round, feedback.as_deref())),
            Phase::Preparing
            | Phase::Verifying { .. }
            | Phase::Planning { .. }
            | Phase::Publishing { .. }
            | Phase::Ending { .. }
            | Phase::Completed { .. } => None,
        }
    }

    /// What the model said: of the proposal that counts where one is published, else what it said last.
    pub fn answer(&self, outcome: Outcome) -> Option<Digest> {
        let of_proposal = self.judged().map(|judged| judged.proposal.answer);
        match outcome {
            Outcome::Proven | Outcome::Unproven | Outcome::TimedOut | Outcome::BudgetExhausted => of_proposal.or(self.answer),
            Outcome::Answered
            | Outcome::NoChange
            | Outcome::NeedsInput
            | Outcome::EnvironmentFailed
            | Outcome::BlockedByPolicy
            | Outcome::Superseded
            | Outcome::Cancelled
            | Outcome::Failed => self.answer,
        }
    }

    /// What the model answered, in its parts.
    pub fn closing(&self) -> Option<Digest> {
        self.closing
    }

    /// When the first worker took the job.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// The branch that was pushed.
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }

    /// What is on the branch that was pushed, where the forge was asked to sign it.
    pub fn published(&self) -> Option<&Published> {
        self.pushed.as_ref().map(|(_, published)| published)
    }

    /// The pull request's address, once there is one.
    pub fn pull_request(&self) -> Option<&str> {
        self.pull_request.as_deref()
    }

    /// Effects that were refused and that the run could do without, a sentence each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Whether nothing is left but to write the end.
    pub fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. })
    }

    /// How the run ended, or is about to.
    pub fn conclusion(&self) -> Option<&Conclusion> {
        match &self.phase {
            Phase::Planning { conclusion } | Phase::Publishing { conclusion, .. } => Some(conclusion),
            Phase::Preparing
            | Phase::Solving { .. }
            | Phase::Verifying { .. }
            | Phase::Ending { .. }
            | Phase::Completed { .. } => None,
        }
    }

    /// The outcome, once it is written.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.phase {
            Phase::Completed { outcome } => Some(outcome),
            Phase::Preparing
            | Phase::Solving { .. }
            | Phase::Verifying { .. }
            | Phase::Planning { .. }
            | Phase::Publishing { .. }
            | Phase::Ending { .. } => None,
        }
    }

    /// What a solve or a proof may still use.
    pub fn allowance(&self, now: Timestamp) -> Allowance {
        self.budget.less(&self.usage, self.elapsed_ms(now))
    }

    fn elapsed_ms(&self, now: Timestamp) -> u64 {
        let elapsed = self.started_at.map_or(0, |start| now.as_millisecond() - start.as_millisecond());
        u64::try_from(elapsed).unwrap_or(0)
    }

    /// Says what to do now. Until there is a verdict the deadline, the budget and too many claims end the run, and until
    /// publishing begins a cancel does; once it has begun it goes to its end, without the effects that too many workers died of.
    pub fn next(&self, now: Timestamp) -> Step {
        if let Some(failed) = self.fatal(now) {
            return failed;
        }
        match &self.phase {
            Phase::Preparing | Phase::Solving { .. } | Phase::Verifying { .. } => match self.interruption(now) {
                Some(conclusion) => Step::PlanPublish { conclusion },
                None => self.work(),
            },
            Phase::Planning { conclusion } => {
                let cancelled = || self.judged().and_then(|_| self.cancellation());
                let other = self.worn_out_by_planning().or_else(cancelled);
                Step::PlanPublish { conclusion: other.unwrap_or_else(|| conclusion.clone()) }
            }
            Phase::Publishing { conclusion, remaining } => match remaining.first() {
                Some(effect) => Step::Perform { effect: self.addressed(effect) },
                None => Step::Complete { outcome: conclusion.outcome },
            },
            Phase::Ending { outcome } => Step::Complete { outcome: *outcome },
            Phase::Completed { .. } => Step::Rest,
        }
    }

    fn work(&self) -> Step {
        match &self.phase {
            Phase::Solving { attempt, round, feedback } => {
                Step::Solve { attempt: *attempt, round: *round, feedback: feedback.clone() }
            }
            Phase::Verifying { .. } => Step::Verify,
            Phase::Preparing
            | Phase::Planning { .. }
            | Phase::Publishing { .. }
            | Phase::Ending { .. }
            | Phase::Completed { .. } => self.preparation(),
        }
    }

    fn addressed(&self, effect: &Effect) -> Effect {
        let effect = effect.clone().with_pull_request(self.pull_request.as_deref().unwrap_or("the pull request"));
        let effect = effect.with_review(self.review.as_deref().unwrap_or("GitHub did not take it."));
        match &self.pushed {
            Some((planned, published)) => effect.with_published(planned, published),
            None => effect,
        }
    }

    /// Folds one entry.
    ///
    /// # Errors
    /// [`Misfit`] for an entry that this machine could not have written; the run is then unchanged.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Misfit> {
        let fits = match &entry.kind {
            EntryKind::Claimed { handed_back, .. } => self.claimed(entry.at, *handed_back),
            EntryKind::Confined { walls } => self.confined(walls),
            EntryKind::Adopted { adopted } => self.on_adopted(adopted),
            EntryKind::Unmerged { head, conclusion } => self.on_unmerged(head, conclusion),
            EntryKind::Triaged { triaged } => self.on_triaged(triaged),
            EntryKind::Prepared { prepared } => self.on_prepared(prepared),
            EntryKind::TurnTaken { usage, .. } => self.turn_taken(usage),
            EntryKind::Solved { proposal } => self.solved(proposal),
            EntryKind::Answered { answer, closing, .. } => self.answered(*answer, *closing),
            EntryKind::GaveUp { conclusion, answer, .. } => self.gave_up(conclusion, *answer),
            EntryKind::Verified { verdict } => self.verified(verdict),
            EntryKind::PublishPlanned { conclusion, effects, .. } => self.planned(conclusion, effects),
            EntryKind::Performed { key, receipt } => self.performed(key, receipt),
            EntryKind::CancelRequested { because } => self.cancel_requested(because),
            EntryKind::Failed { failure, effect } => self.failed(failure, effect.as_ref()),
            EntryKind::Completed { outcome } => self.completed(*outcome),
        };
        if fits { Ok(()) } else { Err(Misfit { seq: entry.seq, phase: self.phase.name() }) }
    }

    fn claimed(&mut self, at: Timestamp, handed_back: bool) -> bool {
        if matches!(self.phase, Phase::Completed { .. }) {
            return false;
        }
        self.claims = if handed_back { self.claims.max(1) } else { self.claims.saturating_add(1) };
        self.started_at.get_or_insert(at);
        true
    }

    /// It is no progress: the claims before it may have died of the very step that it was written for.
    fn confined(&mut self, walls: &Walls) -> bool {
        let runs_code = matches!(self.phase, Phase::Preparing | Phase::Solving { .. } | Phase::Verifying { .. });
        let fits = runs_code && self.claims > 0 && self.walls.last() != Some(walls);
        if fits {
            self.walls.push(walls.clone());
        }
        fits
    }

    fn on_prepared(&mut self, prepared: &Prepared) -> bool {
        let is_due = matches!(self.phase, Phase::Preparing) && self.preparation() == Step::Prepare;
        if !is_due || self.claims == 0 || !self.is_base(&prepared.base) {
            return false;
        }
        self.prepared = Some(prepared.clone());
        let next = self.after_preparing();
        self.advance(next)
    }

    fn turn_taken(&mut self, usage: &Usage) -> bool {
        let fits = matches!(self.phase, Phase::Solving { .. });
        if fits {
            self.usage.add(usage);
        }
        fits
    }

    fn solved(&mut self, proposal: &Proposal) -> bool {
        let Phase::Solving { attempt, round, .. } = self.phase else { return false };
        self.answer = Some(proposal.answer);
        if self.is_known(proposal) {
            let same = Conclusion::new(Outcome::NoChange, "The attempt is the same as another.", "Review the other.");
            let next = self.after_attempt(attempt, same);
            return self.advance(next);
        }
        self.advance(Phase::Verifying { attempt, round, proposal: proposal.clone() })
    }

    fn answered(&mut self, answer: Digest, closing: Digest) -> bool {
        if !matches!(self.phase, Phase::Solving { .. }) {
            return false;
        }
        self.answer = Some(answer);
        self.closing = Some(closing);
        self.is_answered = true;
        self.advance(Phase::Planning { conclusion: conclude::answered(self.asked_for) })
    }

    fn gave_up(&mut self, conclusion: &Conclusion, answer: Digest) -> bool {
        let Phase::Solving { attempt, .. } = self.phase else { return false };
        if matches!(conclusion.outcome, Outcome::Proven | Outcome::Answered) {
            return false;
        }
        self.answer = Some(answer);
        let next = self.give_up(attempt, conclusion.clone());
        self.advance(next)
    }

    fn verified(&mut self, verdict: &Verdict) -> bool {
        let Phase::Verifying { attempt, round, proposal } = &self.phase else { return false };
        let (attempt, round, proposal) = (*attempt, *round, proposal.clone());
        let next = self.judge(attempt, round, proposal, verdict.clone());
        self.advance(next)
    }

    fn planned(&mut self, conclusion: &Conclusion, effects: &[Effect]) -> bool {
        let is_early_enough = match self.phase {
            Phase::Preparing | Phase::Solving { .. } | Phase::Verifying { .. } | Phase::Planning { .. } => self.claims > 0,
            Phase::Publishing { .. } | Phase::Ending { .. } | Phase::Completed { .. } => false,
        };
        let is_covered = self.judged().is_some() || !effects.iter().any(Effect::publishes);
        let is_entitled = (conclusion.outcome != Outcome::Proven || self.has_proof())
            && (conclusion.outcome != Outcome::Answered || self.is_answered || self.replies);
        if !(is_early_enough && is_covered && is_entitled && self.is_in_bounds(conclusion, effects)) {
            return false;
        }
        self.advance(Phase::Publishing { conclusion: conclusion.clone(), remaining: effects.to_vec() })
    }

    fn has_proof(&self) -> bool {
        matches!(self.judged(), Some(Judged { verdict: Verdict::Proven { .. }, .. }))
    }

    fn performed(&mut self, key: &EffectKey, receipt: &Receipt) -> bool {
        let Phase::Publishing { remaining, .. } = &mut self.phase else { return false };
        if remaining.first().is_none_or(|effect| effect.key(&self.job) != *key) {
            return false;
        }
        match remaining.remove(0) {
            Effect::PushBranch { branch, commit, .. } => {
                self.branch = Some(branch);
                self.pushed = receipt.published.clone().map(|published| (commit, published));
            }
            Effect::EnsurePullRequest { .. } => self.pull_request = receipt.url.clone(),
            Effect::EnsureReview { .. } => self.review = receipt.url.clone(),
            Effect::IntroducePull { .. }
            | Effect::EnsureComment { .. }
            | Effect::SetCheck { .. }
            | Effect::AnswerThreads { .. }
            | Effect::React { .. } => {}
        }
        self.claims = 1;
        true
    }

    fn cancel_requested(&mut self, because: &str) -> bool {
        if matches!(self.phase, Phase::Completed { .. }) {
            return false;
        }
        self.cancelled_by.get_or_insert_with(|| because.to_owned());
        true
    }

    fn failed(&mut self, failure: &Failure, effect: Option<&EffectKey>) -> bool {
        if self.claims == 0 || failure.conclusion.outcome.is_positive() {
            return false;
        }
        match (&mut self.phase, effect) {
            (Phase::Preparing | Phase::Solving { .. } | Phase::Verifying { .. }, None) => {
                self.advance(Phase::Planning { conclusion: failure.conclusion.clone() })
            }
            (Phase::Planning { conclusion }, None) => {
                // Nobody will be told of it and nothing is published, so that nothing was done either.
                let outcome = if conclusion.outcome.is_positive() { failure.conclusion.outcome } else { conclusion.outcome };
                self.notices.push(failure.conclusion.cause.clone());
                self.advance(Phase::Ending { outcome })
            }
            (Phase::Publishing { remaining, .. }, Some(key)) => {
                if remaining.first().is_none_or(|effect| effect.key(&self.job) != *key) {
                    return false;
                }
                let refused = remaining.remove(0);
                if !refused.publishes() {
                    self.notices.push(failure.conclusion.cause.clone());
                    // The effects behind it have killed nobody yet.
                    self.claims = self.claims.min(1);
                    return true;
                }
                self.finished.clear();
                self.current = None;
                self.advance(Phase::Planning { conclusion: failure.conclusion.clone() })
            }
            (Phase::Preparing | Phase::Solving { .. } | Phase::Verifying { .. } | Phase::Planning { .. }, Some(_))
            | (Phase::Publishing { .. }, None)
            | (Phase::Ending { .. } | Phase::Completed { .. }, _) => false,
        }
    }

    fn completed(&mut self, outcome: Outcome) -> bool {
        let is_due = match &self.phase {
            Phase::Publishing { conclusion, remaining } => remaining.is_empty() && conclusion.outcome == outcome,
            Phase::Ending { outcome: due } => *due == outcome,
            Phase::Preparing
            | Phase::Solving { .. }
            | Phase::Verifying { .. }
            | Phase::Planning { .. }
            | Phase::Completed { .. } => false,
        };
        is_due && self.advance(Phase::Completed { outcome })
    }

    /// Progress was made, so the claims before it did not die of this.
    fn advance(&mut self, phase: Phase) -> bool {
        self.claims = self.claims.min(1);
        self.phase = phase;
        true
    }
}

impl Phase {
    fn name(&self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Solving { .. } => "solving",
            Self::Verifying { .. } => "verifying",
            Self::Planning { .. } => "planning",
            Self::Publishing { .. } => "publishing",
            Self::Ending { .. } => "ending",
            Self::Completed { .. } => "completed",
        }
    }
}

#[cfg(test)]
mod tests;
