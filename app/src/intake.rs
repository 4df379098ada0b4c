//! From a stored delivery to a decision: parse, fetch the facts, ask the policy, store what it says and why.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, TryStreamExt as _};
use jiff::Timestamp;
use patchwright_domain::delay;
use patchwright_domain::effect::{Button, Effect, Subject};
use patchwright_domain::event::{DeliveryId, Event, EventKind, IssueNumber, OfCheck, Place, RepoRef};
use patchwright_domain::job::{JobId, JobKey, Task};
use patchwright_domain::journal::{CommitId, EntryKind, Outcome};
use patchwright_domain::policy::rates::{PERIOD, Recent};
use patchwright_domain::policy::schedule::{self, Tick};
use patchwright_domain::policy::wanted::Policy;
use patchwright_domain::policy::{self, CHECKER_ID, Decision, Deployment, Facts, Last};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info, info_span, warn};

use crate::clock::Clock;
use crate::forge::{Forge, ForgeError, RepoFacts};
use crate::store::{Asking, Decided, JobState, Store, StoreError, Waiting};

mod policy_check;

/// How long to wait for a signal before looking anyway.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How many deliveries are looked at in one go, and at most decided at the same time. All of them are in memory.
const BATCH: u32 = 10;
/// How often a decision is put off before it is given up.
const POSTPONED_MAX: u32 = 12;
/// For how long a decision that cannot be made yet is put off at first and at most: twice as long each time, so that the last try
/// comes hours behind the first. It does not matter how long its delivery has waited before. A limit's own wish is cut to it, too.
const PAUSE_MIN: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// Decides on deliveries: on those about one issue one after the other, on others at the same time, so that nobody waits for what
/// GitHub takes to answer about somebody else.
pub struct Intake {
    store: Arc<dyn Store>,
    forge: Arc<dyn Forge>,
    clock: Arc<dyn Clock>,
    deployment: Deployment,
    reactions: TaskTracker,
}

impl Intake {
    /// Joins the parts.
    pub fn new(store: Arc<dyn Store>, forge: Arc<dyn Forge>, clock: Arc<dyn Clock>, deployment: Deployment) -> Self {
        Self { store, forge, clock, deployment, reactions: TaskTracker::new() }
    }

    /// Decides until told to stop. A delivery that comes in between looking and waiting leaves its signal.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.drain().await {
                tracing::error!(error = %error, "deliveries cannot be decided");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.store.signals().deliveries.notified() => {}
                () = self.clock.wait(POLL_INTERVAL) => {}
            }
        }
        self.finish_reactions().await;
    }

    /// Waits for the reactions that are under way; no decision waits for one.
    pub async fn finish_reactions(&self) {
        self.reactions.close();
        self.reactions.wait().await;
        self.reactions.reopen();
    }

    /// Decides on everything that waits now, and says how many there were.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be asked.
    pub async fn drain(&self) -> Result<u32, StoreError> {
        let mut n_decided = 0;
        loop {
            let waiting = self.store.undecided(self.clock.now(), BATCH).await?;
            if waiting.is_empty() {
                return Ok(n_decided);
            }
            n_decided += u32::try_from(waiting.len()).unwrap_or(u32::MAX);
            let lanes = stream::iter(self.lanes(waiting).await?.into_values().map(Ok));
            lanes.try_for_each_concurrent(None, |lane| self.settle_all(lane)).await?;
        }
    }

    /// Puts those beside each other that are about the same, in their order.
    async fn lanes(&self, waiting: Vec<Waiting>) -> Result<BTreeMap<Lane, Vec<Parsed>>, StoreError> {
        let mut lanes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for waiting in waiting {
            let mut event = match waiting.delivery.event.as_str() {
                schedule::EVENT => Tick::event(&waiting.delivery),
                _ => self.forge.parse(&waiting.delivery),
            };
            if let Ok(event) = &mut event {
                self.look_for_check(event).await?;
            }
            let lane = match &event {
                Ok(event) => match (&event.kind, event.kind.issue()) {
                    (EventKind::CheckFailed { head, .. }, _) => Lane::Commit(event.repo.id, head.clone()),
                    (_, Some(issue)) => Lane::Issue(event.repo.id, issue),
                    (_, None) => Lane::Alone(waiting.delivery.id.clone()),
                },
                Err(_) => Lane::Alone(waiting.delivery.id.clone()),
            };
            lanes.entry(lane).or_default().push(Parsed { waiting, event });
        }
        Ok(lanes)
    }

    /// Finds out what is asked for beside a check: the proof of what its job has proven, or, where that has opened a pull request
    /// itself, of that one; or that what it looked into is mended.
    async fn look_for_check(&self, event: &mut Event) -> Result<(), StoreError> {
        let EventKind::CheckAsked { job, pull_request, button, wanted, .. } = &mut event.kind else { return Ok(()) };
        let spec = match self.store.job(job).await {
            Ok((spec, _)) if spec.repo.id == event.repo.id => spec,
            Ok(_) | Err(StoreError::Unknown { .. } | StoreError::Corrupt(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        *wanted = match (spec.task, button) {
            (Task::ProvePullRequest { pull_request, is_about_the_build }, None) => {
                Some(OfCheck::Prove { pull_request, is_about_the_build })
            }
            (Task::FixIssue { .. } | Task::WorkOnPull { .. }, None) => {
                pull_request.map(|pull_request| OfCheck::Prove { pull_request, is_about_the_build: false })
            }
            (Task::TriageCheck { pull_request, head, check, .. }, Some(Button::Mend)) => {
                Some(OfCheck::Mend { pull_request, head, check })
            }
            (Task::TriageCheck { .. }, None)
            | (Task::ProvePullRequest { .. } | Task::FixIssue { .. } | Task::WorkOnPull { .. }, Some(Button::Mend))
            | (Task::Answer { .. } | Task::Reply { .. } | Task::Local { .. }, _) => None,
        };
        Ok(())
    }

    async fn settle_all(&self, lane: Vec<Parsed>) -> Result<(), StoreError> {
        for parsed in lane {
            let span = info_span!("delivery", delivery.id = %parsed.waiting.delivery.id);
            self.settle(&parsed).instrument(span).await?;
        }
        Ok(())
    }

    async fn settle(&self, Parsed { waiting, event }: &Parsed) -> Result<(), StoreError> {
        let delivery = &waiting.delivery;
        let decision = match self.decision(event).await {
            Ok(decision) => decision,
            Err(error) => match self.postpone(waiting, &error).await? {
                None => return Ok(()),
                Some(given_up) => given_up,
            },
        };
        let decided = self.store.decide(&delivery.id, &decision, self.clock.now()).await?;
        info!(delivery.event = %delivery.event, "decided: {}", decision.because());
        let (Ok(event), Decided::Stored) = (event, decided) else { return Ok(()) };
        // One sign is enough, whatever the text asks for.
        let heard = decision.parts().iter().find_map(|part| match part {
            Decision::Start { spec, .. } => Some(spec.id()),
            Decision::Cancel { keys, .. } if matches!(event.kind, EventKind::Written { .. }) => keys.first().map(JobId::of),
            Decision::Cancel { .. } | Decision::Ignore { .. } | Decision::Several { .. } => None,
        });
        if let Some(job) = heard {
            self.react(&event.repo, &job, &event.kind);
        }
        Ok(())
    }

    async fn decision(&self, event: &Result<Event, String>) -> Result<Decision, Undecided> {
        let event = match event {
            Ok(event) => event,
            Err(because) => return Ok(Decision::ignore(because.clone())),
        };
        let done = self.check_policy(event).await?;
        let decision = match policy::glance(event, &self.deployment) {
            Err(decision) => *decision,
            Ok(()) => policy::decide(event, &self.deployment, &self.facts(event).await?),
        };
        Ok(done.into_iter().fold(decision, Decision::with))
    }

    async fn facts(&self, event: &Event) -> Result<Facts, Undecided> {
        let Some(issue) = event.kind.issue() else { return self.facts_of_commit(event).await };
        let open_jobs = self.store.open_jobs(event.repo.id, issue).await?;
        // Stopping asks nobody's permission: whoever may close an issue may stop the work on it.
        if matches!(event.kind, EventKind::IssueClosed { .. }) {
            let role = patchwright_domain::event::Role::None;
            let open_jobs = self.asked_for_before(event.at, open_jobs).await?;
            let closed = RepoFacts {
                policy: Policy::default(),
                unread: None,
                role,
                is_open: false,
                is_no_issue: false,
                check: None,
                pull: None,
            };
            return Ok(Facts { open_jobs, ..of_repo(closed) });
        }
        let facts = self.forge.facts(event).await?;
        let is_stop = policy::stops(event, &self.deployment);
        let stoppable = match is_stop {
            true => {
                let meant = self.asked_for_before(event.at, open_jobs.clone()).await?;
                self.without(meant, |kind| matches!(kind, EntryKind::PublishPlanned { .. })).await?
            }
            false => Vec::new(),
        };
        // Who says that one is to stop and asks for something else need not wait between the two.
        let all = open_jobs.clone();
        let open_jobs = self.without(open_jobs, |kind| matches!(kind, EntryKind::CancelRequested { .. })).await?;
        let stopping = all.into_iter().filter(|key| !key.is_of_check() && !open_jobs.contains(key)).collect();
        let was_answered = self.was_answered(event).await?;
        let recent = self.recent(&event.repo, event.actor.id, issue).await?;
        let last = match policy::looks_back(event, &self.deployment) {
            true => self.last(event.repo.id, issue).await?,
            false => None,
        };
        let n_by_bots = if event.actor.is_bot { self.by_bots(event.repo.id, issue).await? } else { 0 };
        Ok(Facts { open_jobs, stoppable, was_answered, recent, last, stopping, n_by_bots, ..of_repo(facts) })
    }

    /// What was done last in a place; one that cannot be read is as none.
    async fn last(&self, repo: u64, issue: IssueNumber) -> Result<Option<Last>, StoreError> {
        let Some(key) = self.store.last_ended(repo, issue).await? else { return Ok(None) };
        match self.store.job(&JobId::of(&key)).await {
            Ok((spec, JobState::Done(outcome))) => {
                let planned_by = match &spec.plan {
                    Some(plan) => self.asked_by(plan).await?,
                    None => None,
                };
                Ok(Some(Last { spec: Box::new(spec), outcome, planned_by }))
            }
            Ok((_, JobState::Ready | JobState::Running)) | Err(StoreError::Unknown { .. } | StoreError::Corrupt(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Who has asked for a job, where that is still known.
    async fn asked_by(&self, job: &JobId) -> Result<Option<u64>, StoreError> {
        match self.store.job(job).await {
            Ok((spec, _)) => Ok(Some(spec.requested_by.id)),
            Err(StoreError::Unknown { .. } | StoreError::Corrupt(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many of the jobs that were asked for last in a place were asked for by bots, the last one first, and no more than matters.
    async fn by_bots(&self, repo: u64, issue: IssueNumber) -> Result<u32, StoreError> {
        let mut n_by_bots = 0;
        for key in self.store.asked_last(repo, issue, policy::BOTS_IN_A_ROW_MAX).await? {
            match self.store.job(&JobId::of(&key)).await {
                Ok((spec, _)) if spec.requested_by.is_bot => n_by_bots += 1,
                Ok(_) => break,
                // Nobody knows who has asked for it, so that nobody says that it was a person.
                Err(StoreError::Unknown { .. } | StoreError::Corrupt(_)) => n_by_bots += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(n_by_bots)
    }

    /// The jobs in whose journals this does not stand.
    async fn without(&self, jobs: Vec<JobKey>, this: fn(&EntryKind) -> bool) -> Result<Vec<JobKey>, StoreError> {
        let mut without = Vec::new();
        for key in jobs {
            match self.store.journal(&JobId::of(&key), 0).await {
                Ok(journal) if journal.iter().any(|entry| this(&entry.kind)) => {}
                Ok(_) | Err(StoreError::Corrupt(_) | StoreError::Unknown { .. }) => without.push(key),
                Err(error) => return Err(error),
            }
        }
        Ok(without)
    }

    /// Whether a text that was edited has started a job as it was before. The same edit may be told twice.
    async fn was_answered(&self, event: &Event) -> Result<bool, StoreError> {
        let Some(key) = policy::edited(event, &self.deployment) else { return Ok(false) };
        match self.store.job(&JobId::of(&key)).await {
            Ok((spec, _)) => Ok(spec.requested_at < event.at),
            Err(StoreError::Unknown { .. } | StoreError::Corrupt(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is about a commit is about its pull request, which the forge knows.
    async fn facts_of_commit(&self, event: &Event) -> Result<Facts, Undecided> {
        let facts = self.forge.facts(event).await?;
        let Some(pull_request) = facts.check.as_ref().map(|check| check.pull_request) else { return Ok(of_repo(facts)) };
        let open_jobs = self.store.open_jobs(event.repo.id, pull_request).await?;
        let recent = self.recent(&event.repo, CHECKER_ID, pull_request).await?;
        let n_mended = self.mended(event.repo.id, pull_request).await?;
        Ok(Facts { open_jobs, recent, n_mended, ..of_repo(facts) })
    }

    /// How many of the red checks of a pull request that were looked into last were mended on its own branch, or are being.
    async fn mended(&self, repo: u64, pull_request: IssueNumber) -> Result<u32, StoreError> {
        let mut n_mended = 0;
        for key in self.store.checked_last(repo, pull_request, policy::CHECKED_LAST_MAX).await? {
            match self.store.job(&JobId::of(&key)).await {
                Ok((spec, JobState::Ready | JobState::Running | JobState::Done(Outcome::Proven))) => {
                    n_mended += u32::from(spec.task.goes_onto().is_some());
                }
                Ok((_, JobState::Done(_))) => {}
                // Nobody knows what it has done, so that nobody says that there is room for more.
                Err(StoreError::Unknown { .. } | StoreError::Corrupt(_)) => n_mended += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(n_mended)
    }

    /// What somebody has asked for within the last hour, and what was asked for in his repository.
    async fn recent(&self, repo: &RepoRef, requested_by: u64, place: IssueNumber) -> Result<Recent, StoreError> {
        let is_work_counted = self.deployment.rates.are_limited();
        let asking = Asking { repo: repo.id, requested_by, place, is_work_counted };
        let since = self.clock.now().checked_sub(PERIOD).unwrap_or(Timestamp::MIN);
        self.store.recent(&asking, since).await
    }

    /// The jobs that were asked for by then. Deliveries come in any order: who asks after an issue was closed has opened it
    /// again, and a close that is told late must not stop that.
    async fn asked_for_before(&self, moment: Timestamp, jobs: Vec<JobKey>) -> Result<Vec<JobKey>, StoreError> {
        let mut before = Vec::new();
        for key in jobs {
            match self.store.job(&JobId::of(&key)).await {
                Ok((spec, _)) if spec.requested_at > moment => {}
                // Nobody knows since when one is wanted that cannot be read.
                Ok(_) | Err(StoreError::Corrupt(_)) => before.push(key),
                Err(error) => return Err(error),
            }
        }
        Ok(before)
    }

    /// Puts a decision off, or gives it up where that cannot help or was done too often.
    async fn postpone(&self, waiting: &Waiting, error: &Undecided) -> Result<Option<Decision>, StoreError> {
        let Waiting { delivery, n_postponed } = waiting;
        let wait = match error {
            // What cannot be stored of this one must not keep the others waiting.
            Undecided::Store(StoreError::Corrupt(problem)) => {
                tracing::error!("a delivery cannot be decided: {problem}");
                return Ok(Some(Decision::give_up(format!("it cannot be decided: {problem}"))));
            }
            Undecided::Store(error) => return Err(StoreError::Unavailable(error.to_string())),
            Undecided::Forge(ForgeError::Denied { remedy, .. }) => {
                warn!(error = %error, remedy, "a delivery cannot be decided");
                return Ok(Some(Decision::give_up(format!("what is needed to decide cannot be fetched: {error}; {remedy}"))));
            }
            Undecided::Forge(ForgeError::Rejected { .. }) => {
                warn!(error = %error, "a delivery cannot be decided");
                return Ok(Some(Decision::give_up(format!("what is needed to decide cannot be fetched: {error}"))));
            }
            Undecided::Forge(ForgeError::RateLimited { retry_after }) => *retry_after,
            Undecided::Forge(ForgeError::Unavailable(_)) => delay::growing(PAUSE_MIN, *n_postponed, PAUSE_MAX),
        };
        let pause = delay::spread(wait.min(PAUSE_MAX), delivery.id.as_str(), *n_postponed);
        let until = self.clock.now().checked_add(pause).unwrap_or(Timestamp::MAX);
        if self.store.postpone(&delivery.id, until).await? > POSTPONED_MAX {
            return Ok(Some(Decision::give_up(format!("given up after {POSTPONED_MAX} tries: {error}"))));
        }
        warn!(error = %error, pause_s = pause.as_secs(), "a decision is put off");
        Ok(None)
    }

    /// Shows at once that the request was heard; the work does not depend on it.
    fn react(&self, repo: &RepoRef, job: &JobId, event: &EventKind) {
        let subject = match event {
            EventKind::Written { place: Place::Comment(comment_id), .. } => Subject::Comment(*comment_id),
            EventKind::Written { place: Place::ReviewComment { comment, .. }, .. } => Subject::ReviewComment(*comment),
            // On what a review says as a whole GitHub lets no program react.
            EventKind::Written { issue, .. }
            | EventKind::IssueLabeled { issue, .. }
            | EventKind::IssueAssigned { issue, .. }
            | EventKind::ReviewRequested { pull_request: issue, .. }
            | EventKind::Dispatched { issue, .. }
            | EventKind::Pushed { pull_request: issue }
            | EventKind::IssueClosed { issue } => Subject::Issue(*issue),
            // Nobody has asked, so that nobody waits for a sign; and a check that is asked for shows that it is under way.
            EventKind::CheckFailed { .. } | EventKind::CheckAsked { .. } | EventKind::Scheduled { .. } => return,
        };
        let (forge, repo, effect) = (Arc::clone(&self.forge), repo.clone(), Effect::React { subject });
        let key = effect.key(job);
        let react = async move {
            if let Err(error) = forge.perform(&repo, &key, &effect).await {
                warn!(error = %error, "the reaction could not be set");
            }
        };
        self.reactions.spawn(react.in_current_span());
    }
}

/// What a repository says, in a place where nothing was asked for before.
fn of_repo(facts: RepoFacts) -> Facts {
    let RepoFacts { policy, unread, role, is_open, is_no_issue, check, pull } = facts;
    Facts {
        policy,
        unread,
        role,
        is_open,
        is_no_issue,
        open_jobs: Vec::new(),
        stoppable: Vec::new(),
        was_answered: false,
        recent: Recent::default(),
        check,
        pull,
        last: None,
        stopping: Vec::new(),
        n_by_bots: 0,
        n_mended: 0,
    }
}

/// What waits for a decision, and what it says.
struct Parsed {
    waiting: Waiting,
    event: Result<Event, String>,
}

/// What a delivery is about.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    /// An issue or pull request of a repository.
    Issue(u64, IssueNumber),
    /// A commit of a repository, of which several checks may be told.
    Commit(u64, CommitId),
    /// Nothing that another one could be about.
    Alone(DeliveryId),
}

/// Why there is no decision yet.
#[derive(Debug, thiserror::Error)]
enum Undecided {
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
