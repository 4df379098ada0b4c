//! Works on jobs: fold the journal, ask the run for its next step, do it, write down what came of it, and again.
//!
//! A worker holds no state of a job but the run, which is a fold of the journal. When it dies, the next one does the
//! step again. While it works it renews its lease (`tenure`); once that cannot be relied on it writes nothing more. When it
//! is stopped it hands its job back, but not before what it has sent to the forge is answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use patchwright_domain::delay;
use patchwright_domain::effect::Effect;
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::{Entry, EntryKind, Failure};
use patchwright_domain::proof::Size;
use patchwright_domain::run::{Run, Step};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, warn};

use crate::agent::Agent;
use crate::attestation::Attestor;
use crate::clock::Clock;
use crate::egress::Egress;
use crate::forge::{Forge, ForgeError};
use crate::guarded::Guarded;
use crate::sandbox::{Sandbox, record};
use crate::store::ledger::Limits;
use crate::store::{Claim, Lanes, Lease, Store, StoreError};
use crate::workspace::{Kept, WorkspaceError, Workspaces};
use bulletin::Bulletin;
pub use progress::Progress;
use tenure::{LEASE, Tenure};
use workshop::{OnDisk, Workshop};

mod adopt;
pub mod attest;
mod branch;
mod build_scripts;
mod bulletin;
mod commands;
mod conclusions;
mod consent;
mod gate;
pub mod meter;
mod on_pull;
mod prepare;
mod progress;
pub mod prove;
mod publish;
mod repair;
mod reports;
mod scope;
pub mod solve;
mod tenure;
mod trees;
mod triage;
mod watch;
pub mod workshop;

/// How long to wait for a signal before looking anyway.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The pause before a store that is not available is asked again to take a job back.
const HAND_BACK_PAUSE: Duration = Duration::from_secs(5);
/// How often in a row a job is handed back before the step counts as failed.
const HANDED_BACK_MAX: usize = 20;
/// For how long a job is put aside whose journal cannot be folded.
const ASIDE: Duration = Duration::from_secs(60 * 60);
/// The longest time for which a job is handed back because the forge asks for it.
const LIMITED_MAX: Duration = Duration::from_secs(60 * 60);
/// For how long a job is handed back at first where something is not available, and at most.
const UNAVAILABLE: Duration = Duration::from_secs(5);
const UNAVAILABLE_MAX: Duration = Duration::from_secs(10 * 60);

/// What a worker works with.
pub struct Tools {
    /// Where jobs and journals are.
    pub store: Arc<dyn Store>,
    /// Where requests come from and effects go.
    pub forge: Arc<dyn Forge>,
    /// Mirrors and scratch trees.
    pub workspaces: Arc<Workspaces>,
    /// What confines every command.
    pub sandbox: Arc<dyn Sandbox>,
    /// Where setups may reach out; nowhere without it.
    pub egress: Option<Arc<Egress>>,
    /// Who solves: the first attempt's agent first; after the last one the first has its turn again.
    pub agents: Vec<Arc<dyn Agent>>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who signs what was executed; without it nothing is signed.
    pub attestor: Option<Arc<Attestor>>,
    /// What the operator set.
    pub settings: Settings,
}

impl Tools {
    /// The agent of an attempt, counted from 1.
    fn agent(&self, attempt: u32) -> &dyn Agent {
        let index = (attempt.max(1) as usize - 1) % self.agents.len().max(1);
        self.agents[index].as_ref()
    }

    /// What no patch may have, beside what none may anywhere.
    pub(crate) fn kept(&self) -> Kept {
        Kept { guarded: self.guarded(), instruction_fallbacks: self.settings.instruction_fallbacks.clone() }
    }

    /// Every secret that this process has read so far, which may be in no patch and in nothing that people are told.
    pub(crate) fn guarded(&self) -> Guarded {
        let key = self.attestor.iter().filter_map(|attestor| attestor.key.secret());
        let egress = self.egress.iter().flat_map(|egress| egress.secrets());
        self.settings.guarded.with(key.map(|key| ("key for attestations", key)).chain(egress))
    }
}

/// What the operator set for the work.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long one setup or test command may take.
    pub test_timeout: Duration,
    /// How often each tree that a proof rests on is tested.
    pub proof_runs: usize,
    /// Whether a patch is published with which nothing was run, for want of time.
    pub publishes_untested: bool,
    /// The least pause between two edits of the comment that says how far a job has come.
    pub progress_spacing: Duration,
    /// The model's name, for the record.
    pub model: String,
    /// Whether the cost can be known.
    pub is_priced: bool,
    /// The forge's host: the only one that links may lead to.
    pub host: String,
    /// The name that commits are made in.
    pub author: String,
    /// The address that goes with it.
    pub email: String,
    /// Names of further files with instructions for agents, beside `AGENTS.md`.
    pub instruction_fallbacks: Vec<String>,
    /// A test command that goes before what the repository says of itself.
    pub test_command: Option<String>,
    /// The images that `devcontainer.json` may name where the policy file names none; without, that file is not read.
    pub devcontainer_images: Option<Vec<String>>,
    /// How many jobs may be worked on at the same time, by all workers.
    pub lanes: Lanes,
    /// What jobs may use together in a day.
    pub limits_of_day: Limits,
    /// How large an agent's patch may be.
    pub patch_size: Size,
    /// The secrets of the operator's settings; the parts have read more.
    pub guarded: Guarded,
}

/// One worker.
pub struct Worker {
    name: String,
    tools: Arc<Tools>,
    workshop: Arc<dyn Workshop>,
}

/// What came of a step.
#[derive(Debug)]
pub enum Answer {
    /// Something to write down.
    Entry(Box<EntryKind>),
    /// Nothing yet: hand the job back for so long.
    Later {
        /// How long.
        pause: Duration,
        /// Why, for the log.
        because: String,
    },
    /// It was written already, in the course of the step, or by somebody who has asked for a cancel.
    Written,
}

impl Answer {
    /// This is to be written down.
    pub fn entry(kind: EntryKind) -> Self {
        Self::Entry(Box::new(kind))
    }
}

/// Why a step has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The forge did not.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The repository, its mirror or its remote side did not.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The step ends the run, in the words of the failure.
    #[error("{}", .0.internal)]
    Failed(Box<Failure>),
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl Worker {
    /// A worker of this name; two of one name are told apart by their leases.
    pub fn new(name: impl Into<String>, tools: Arc<Tools>) -> Self {
        Self::in_workshop(name, tools, Arc::new(OnDisk))
    }

    /// A worker that works on files in another workshop than this machine's.
    pub fn in_workshop(name: impl Into<String>, tools: Arc<Tools>, workshop: Arc<dyn Workshop>) -> Self {
        Self { name: name.into(), tools, workshop }
    }

    /// Works until told to stop; a step that is under way then is given up and its job handed back.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.work_on_next(&stop).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::error!(error = %error, "a job cannot be worked on"),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.tools.store.signals().jobs.notified() => {}
                () = self.tools.clock.wait(POLL_INTERVAL) => {}
            }
        }
    }

    /// Works on jobs until none is free, and says how many there were.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be asked.
    pub async fn drain(&self) -> Result<u32, StoreError> {
        let stop = CancellationToken::new();
        let mut n_jobs = 0;
        while self.work_on_next(&stop).await? {
            n_jobs += 1;
        }
        Ok(n_jobs)
    }

    async fn work_on_next(&self, stop: &CancellationToken) -> Result<bool, StoreError> {
        let (now, uptime) = (self.tools.clock.now(), self.tools.clock.uptime());
        let claim = self.tools.store.claim(&self.name, now, LEASE, self.tools.settings.lanes).await?;
        let Some(Claim { lease, spec, journal }) = claim else { return Ok(false) };
        let span = info_span!("job", job.id = %lease.job(), repo = %spec.repo);
        // Another worker may find further work while this one is busy.
        self.tools.store.signals().jobs.notify_one();
        async {
            let run = match Run::fold(&spec, &journal) {
                Ok(run) => run,
                // It would come first at every claim, and keep what waits for it waiting.
                Err(misfit) => {
                    tracing::error!(error = %misfit, "the journal cannot be folded; the job is put aside for an hour");
                    let not_before = now.checked_add(ASIDE).unwrap_or(Timestamp::MAX);
                    if let Err(error) = self.tools.store.release(lease, not_before).await {
                        warn!(error = %error, "the job is not put aside; it is free when its lease ends");
                    }
                    return;
                }
            };
            let (tools, workshop, tenure) = (&*self.tools, self.workshop.as_ref(), Tenure::new(&self.tools, lease, uptime));
            let progress = Progress::new(run, journal);
            let bulletin = Bulletin::new(progress.usage());
            let mut shift = Shift { tools, workshop, tenure, spec, progress, bulletin };
            // What a step needs is large, and every caller up to the thread's first would carry it.
            let pause = match Box::pin(shift.work(stop)).await {
                Ok(pause) => pause,
                // The job is not to blame, as it would be for a worker's death.
                Err(error @ StoreError::Unavailable(_)) => {
                    warn!(error = %error, "the job is handed back as soon as the store is there");
                    Some(shift.growing_pause())
                }
                Err(StoreError::LeaseLost { .. }) => {
                    warn!("the lease is lost; another worker has the job");
                    None
                }
                Err(error) => {
                    tracing::error!(error = %error, "the job stops here until its lease ends");
                    None
                }
            };
            if let Some(pause) = pause {
                shift.hand_back(pause, stop).await;
            }
        }
        .instrument(span)
        .await;
        Ok(true)
    }
}

/// One worker's time with one job.
struct Shift<'a> {
    tools: &'a Tools,
    workshop: &'a dyn Workshop,
    tenure: Tenure<'a>,
    spec: JobSpec,
    progress: Progress,
    bulletin: Bulletin,
}

impl Shift<'_> {
    /// Works until the job is over, or is to be handed back for so long.
    async fn work(&mut self, stop: &CancellationToken) -> Result<Option<Duration>, StoreError> {
        loop {
            let now = self.tools.clock.now();
            self.tenure.check()?;
            let step = self.progress.run.next(now);
            if step == Step::Rest {
                return Ok(None);
            }
            let name = name(&step);
            let answer = self.answer(now, step, stop).instrument(info_span!("step", step = name)).await;
            match self.reaction(answer)? {
                Answer::Entry(kind) => {
                    self.progress.record(self.tools, self.tenure.lease(), *kind).await?;
                }
                Answer::Written => drop(self.progress.hear(self.tools, self.tenure.lease().job()).await?),
                Answer::Later { pause, because } => {
                    info!(pause_s = pause.as_secs(), "handed back: {because}");
                    return Ok(Some(pause));
                }
            }
        }
    }

    /// Hands the job back. A store that is not available is asked again for as long as the lease can be relied on; behind that the
    /// job is free when its lease ends.
    async fn hand_back(&mut self, pause: Duration, stop: &CancellationToken) {
        if let Err(error) = self.fall_silent().await {
            return warn!(error = %error, "the job is not handed back; it is free when its lease ends");
        }
        loop {
            let now = self.tools.clock.now();
            let not_before = now.checked_add(pause).unwrap_or(Timestamp::MAX);
            let released = match self.tenure.check() {
                Ok(()) => self.tools.store.release(self.tenure.lease().again(), not_before).await,
                Err(lost) => Err(lost),
            };
            match released {
                Ok(()) => return,
                Err(error @ StoreError::Unavailable(_)) if !stop.is_cancelled() => {
                    warn!(error = %error, "the job cannot be handed back yet");
                }
                Err(error) => return warn!(error = %error, "the job is not handed back; it is free when its lease ends"),
            }
            self.tools.clock.wait(HAND_BACK_PAUSE).await;
        }
    }

    /// Waits for what is under way of the progress comment, while the lease is kept.
    async fn fall_silent(&mut self) -> Result<(), StepError> {
        let Self { tools, bulletin, tenure, .. } = self;
        if !bulletin.is_under_way() {
            return Ok(());
        }
        let settled = async {
            bulletin.settle(tools).await;
            Ok(())
        };
        tenure.during(settled).await
    }

    async fn answer(&mut self, now: Timestamp, step: Step, stop: &CancellationToken) -> Result<Answer, StepError> {
        let Self { tools, workshop, tenure, spec, progress, bulletin } = self;
        let (tools, workshop, lease) = (*tools, *workshop, tenure.lease());
        let step = async {
            if stop.is_cancelled() {
                return Ok(stopped());
            }
            let confined = confine(tools, lease, progress, &step);
            if let Some(answer) = unless(stop, confined).await? {
                return Ok(answer);
            }
            if needs_base(&step, &progress.run) {
                let fetched = async { workshop.ensure_base(tools, spec, &progress.run).await.map(|()| None) };
                if let Some(answer) = unless(stop, fetched).await? {
                    return Ok(answer);
                }
            }
            bulletin.turn_to(spec, &step, &progress.run);
            // A job that is handed back may be another worker's at once, and must not meet what is still under way to the
            // forge; so that is waited for, and a service that is stopped cuts off what takes too long.
            if let Step::Perform { effect } = step {
                if matches!(effect, Effect::EnsureComment { .. } | Effect::SetCheck { .. }) {
                    // What it says of the way must not come behind what this says of the end.
                    bulletin.settle(tools).await;
                }
                let performed = Box::pin(publish::perform(tools, workshop, spec, effect));
                return beside(performed, bulletin.keep(tools, spec, now)).await;
            }
            let cancelled = progress.cancelled(tools, lease.job(), &step);
            let done = Box::pin(async { do_step(tools, workshop, spec, lease, progress, step).await.map(Some) });
            let done = async {
                tokio::select! {
                    biased;
                    done = done => done,
                    () = cancelled => Ok(Some(Answer::Written)),
                }
            };
            let done = beside(unless(stop, done), bulletin.keep(tools, spec, now)).await?;
            Ok(done.unwrap_or(Answer::Written))
        };
        tenure.during(Box::pin(step)).await
    }

    /// What to do about an answer: an error is an answer too.
    fn reaction(&self, answer: Result<Answer, StepError>) -> Result<Answer, StoreError> {
        let error = match answer {
            // Also where it comes later: a worker that is stopped is no try that did not succeed.
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        warn!(error = %error, "the step is not done");
        match error {
            StepError::Store(error) => Err(error),
            StepError::Failed(failure) => Ok(Answer::entry(EntryKind::Failed { failure: *failure, effect: None })),
            StepError::Forge(ForgeError::RateLimited { retry_after }) => {
                let pause = self.spread(retry_after.min(LIMITED_MAX));
                Ok(self.later(pause, "the forge limits the rate of requests".into()))
            }
            StepError::Forge(ForgeError::Unavailable(reason))
            | StepError::Workspace(WorkspaceError::Unavailable { reason, .. }) => Ok(self.later(self.growing_pause(), reason)),
            StepError::Forge(error @ (ForgeError::Denied { .. } | ForgeError::Rejected { .. })) => {
                Ok(Answer::entry(EntryKind::Failed { failure: conclusions::forge(&error), effect: None }))
            }
            StepError::Workspace(error @ (WorkspaceError::Refused(_) | WorkspaceError::Rejected { .. })) => {
                Ok(Answer::entry(EntryKind::Failed { failure: conclusions::workspace(&error), effect: None }))
            }
        }
    }

    fn later(&self, pause: Duration, because: String) -> Answer {
        if self.n_hand_backs() <= HANDED_BACK_MAX {
            return Answer::Later { pause, because };
        }
        let effect = match self.progress.run.next(self.tools.clock.now()) {
            Step::Perform { effect } => Some(effect.key(self.tenure.lease().job())),
            Step::Adopt
            | Step::Triage
            | Step::Prepare
            | Step::Solve { .. }
            | Step::Verify
            | Step::PlanPublish { .. }
            | Step::Fail { .. }
            | Step::Complete { .. }
            | Step::Rest => None,
        };
        Answer::entry(EntryKind::Failed { failure: conclusions::given_up(HANDED_BACK_MAX, &because), effect })
    }

    /// How often the job was handed back since it got on. Workers that died meanwhile are the run's to count.
    fn n_hand_backs(&self) -> usize {
        let is_idle = |entry: &&Entry| {
            matches!(entry.kind, EntryKind::Claimed { .. } | EntryKind::Confined { .. } | EntryKind::TurnTaken { .. })
        };
        let is_hand_back = |entry: &&Entry| entry.seq > 0 && matches!(entry.kind, EntryKind::Claimed { handed_back: true, .. });
        self.progress.journal.iter().rev().take_while(is_idle).filter(is_hand_back).count()
    }

    fn growing_pause(&self) -> Duration {
        let n_tries = u32::try_from(self.n_hand_backs()).unwrap_or(u32::MAX);
        self.spread(delay::growing(UNAVAILABLE, n_tries, UNAVAILABLE_MAX))
    }

    /// Jobs that were stopped by the same thing do not all come back at once.
    fn spread(&self, pause: Duration) -> Duration {
        let n_tries = u32::try_from(self.progress.journal.len()).unwrap_or(u32::MAX);
        delay::spread(pause, self.tenure.lease().job().as_str(), n_tries)
    }
}

/// Whether a step looks at commits.
fn needs_base(step: &Step, run: &Run) -> bool {
    match step {
        Step::Solve { .. } | Step::Verify => true,
        Step::PlanPublish { conclusion } => publish::looks_at_commits(run, conclusion),
        Step::Perform { effect } => matches!(effect, Effect::PushBranch { .. }),
        // What these need they fetch themselves.
        Step::Adopt | Step::Triage | Step::Prepare | Step::Fail { .. } | Step::Complete { .. } | Step::Rest => false,
    }
}

/// Does what can be given up at any moment, and gives it up when the worker is stopped.
async fn unless(
    stop: &CancellationToken,
    work: impl Future<Output = Result<Option<Answer>, StepError>>,
) -> Result<Option<Answer>, StepError> {
    tokio::select! {
        biased;
        done = work => done,
        () = stop.cancelled() => Ok(Some(stopped())),
    }
}

/// Does something, and what goes on beside it for as long as it takes.
async fn beside<T>(work: impl Future<Output = T>, goes_on: impl Future<Output = Infallible>) -> T {
    tokio::select! {
        biased;
        done = work => done,
        never = goes_on => match never {},
    }
}

fn stopped() -> Answer {
    Answer::Later { pause: Duration::ZERO, because: "this worker is being stopped".into() }
}

/// Does a step that sends nothing to the forge.
async fn do_step(
    tools: &Tools,
    workshop: &dyn Workshop,
    spec: &JobSpec,
    lease: &Lease,
    progress: &mut Progress,
    step: Step,
) -> Result<Answer, StepError> {
    match step {
        Step::Adopt => workshop.adopt(tools, spec).await,
        Step::Triage => workshop.triage(tools, spec).await,
        Step::Prepare => workshop.prepare(tools, spec, &progress.run).await,
        Step::Solve { attempt, round, feedback } => {
            let solve = solve::Solve { attempt, round, feedback };
            workshop.solve(tools, spec, lease, progress, solve).await
        }
        Step::Verify => workshop.verify(tools, spec, &progress.run).await,
        Step::PlanPublish { conclusion } => match publish::untested(tools, spec, &progress.run, &conclusion) {
            Some(verdict) => Ok(Answer::entry(EntryKind::Verified { verdict })),
            None => publish::plan(tools, workshop, spec, progress, conclusion).await,
        },
        Step::Fail { failure, effect } => {
            tracing::error!(error = %failure.internal, "{}", failure.conclusion.cause);
            Ok(Answer::entry(EntryKind::Failed { failure, effect }))
        }
        Step::Complete { outcome } => {
            info!("completed: {outcome}");
            Ok(Answer::entry(EntryKind::Completed { outcome }))
        }
        Step::Perform { .. } | Step::Rest => Ok(Answer::Written),
    }
}

/// Writes down what confines the code that a step runs, before any of it runs. Where nothing does that may be used, the run
/// ends.
async fn confine(tools: &Tools, lease: &Lease, progress: &mut Progress, step: &Step) -> Result<Option<Answer>, StepError> {
    let runs_code = match step {
        Step::Triage | Step::Prepare | Step::Solve { .. } | Step::Verify => true,
        Step::Adopt
        | Step::PlanPublish { .. }
        | Step::Perform { .. }
        | Step::Fail { .. }
        | Step::Complete { .. }
        | Step::Rest => false,
    };
    if !runs_code {
        return Ok(None);
    }
    let walls = record::walls(tools.sandbox.as_ref()).await.map_err(|refusal| conclusions::refusal(&refusal))?;
    if progress.run.walls().last() == Some(&walls) {
        return Ok(None);
    }
    let is_cancelled = progress.record(tools, lease, EntryKind::Confined { walls }).await?;
    // What the cancel comes to is the next step.
    Ok(is_cancelled.then_some(Answer::Written))
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Adopt => "adopt",
        Step::Triage => "triage",
        Step::Prepare => "prepare",
        Step::Solve { .. } => "solve",
        Step::Verify => "verify",
        Step::PlanPublish { .. } => "plan",
        Step::Perform { .. } => "perform",
        Step::Fail { .. } => "fail",
        Step::Complete { .. } => "complete",
        Step::Rest => "rest",
    }
}
