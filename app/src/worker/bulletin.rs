//! What says how far a run has come, kept up to date beside the work: a comment, and a check run where the run is about a commit that
//! somebody else has made.
//!
//! It is a courtesy: the run waits for none of it, and does not depend on it. What is refused or lost is logged and left. At the end
//! the same comment and the same check run say how the run ended, which are effects like any other and planned in the journal; so what
//! is under way is waited for before those, and before another worker may have the job.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use patchwright_domain::delay;
use patchwright_domain::effect::{CheckUnderWay, Effect};
use patchwright_domain::event::IssueNumber;
use patchwright_domain::job::{JobSpec, Usage};
use patchwright_domain::report::progress::{self, Stage, Standing};
use patchwright_domain::run::{Run, Step};
use patchwright_domain::walls::Walls;
use tokio::sync::watch;
use tracing::warn;

use super::Tools;
use crate::forge::{ForgeError, REQUEST_TIMEOUT};

/// The first pause before an edit for nothing but newer numbers; each further one in the same step is twice as long.
const REFRESH: Duration = Duration::from_secs(20);
/// The longest of these pauses. What GitHub takes of all jobs together is 500 edits in an hour.
const REFRESH_MAX: Duration = Duration::from_secs(5 * 60);

/// One worker's telling of one job.
pub(super) struct Bulletin {
    usage: watch::Receiver<Usage>,
    started_at: Option<Timestamp>,
    /// What the comment is to tell now; nothing where the run does what people are not kept up to date about.
    told: Option<Told>,
    /// When the comment was last begun to be written.
    written_at: Option<Timestamp>,
    /// How often the comment has told of the step that is under way.
    n_told: u32,
    /// Whether the forge has said that it takes no comment.
    is_refused: bool,
    /// The check run that is to be begun.
    check: Option<CheckUnderWay>,
    /// Whether that was tried, which is done once.
    is_check_begun: bool,
    /// Until when the forge wants to hear nothing.
    quiet_until: Option<Timestamp>,
    under_way: Option<UnderWay>,
}

/// Something that is being written.
struct UnderWay {
    what: What,
    writing: BoxFuture<'static, Result<(), ForgeError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Comment,
    Check,
}

/// Something that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Notice {
    Comment(Told),
    Check(CheckUnderWay),
}

/// What is told of a step, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    issue: IssueNumber,
    stage: Stage,
    walls: Vec<Walls>,
}

impl Bulletin {
    /// Nothing is told yet. What a run uses is heard of by the receiver.
    pub(super) fn new(usage: watch::Receiver<Usage>) -> Self {
        Self {
            usage,
            started_at: None,
            told: None,
            written_at: None,
            n_told: 0,
            is_refused: false,
            check: None,
            is_check_begun: false,
            quiet_until: None,
            under_way: None,
        }
    }

    /// Turns to a step that begins.
    pub(super) fn turn_to(&mut self, spec: &JobSpec, step: &Step, run: &Run) {
        // Of a red check the check run tells alone, also where it is mended.
        let issue = spec.task.issue().filter(|_| spec.task.triages().is_none());
        let told = issue.zip(stage(step)).map(|(issue, stage)| Told { issue, stage, walls: run.walls().to_vec() });
        let is_at_work = matches!(step, Step::Triage) || stage(step).is_some();
        self.tell(told, is_at_work.then(|| progress::check(spec, run)).flatten());
        self.started_at = run.started_at();
    }

    fn tell(&mut self, told: Option<Told>, check: Option<CheckUnderWay>) {
        if told != self.told {
            self.n_told = 0;
        }
        (self.told, self.check) = (told, check);
    }

    /// Tells of the step for as long as it takes; dropped, it leaves what is under way as it is.
    pub(super) async fn keep(&mut self, tools: &Tools, spec: &JobSpec, mut now: Timestamp) -> Infallible {
        loop {
            if let Some(UnderWay { what, writing }) = &mut self.under_way {
                let (what, written) = (*what, writing.await);
                self.under_way = None;
                now = tools.clock.now();
                self.heard(now, what, written);
            }
            let Some((notice, due)) = self.due(tools.settings.progress_spacing) else { return std::future::pending().await };
            let pause = between(now, due);
            if !pause.is_zero() {
                tools.clock.wait(pause).await;
                now = tools.clock.now();
            }
            self.under_way = Some(match notice {
                Notice::Comment(told) => self.comment(tools, spec, &told, now),
                Notice::Check(check) => self.begin_check(tools, spec, check),
            });
        }
    }

    /// Waits for what is under way. What has no answer in time has arrived or never does, and nothing more of it is sent.
    pub(super) async fn settle(&mut self, tools: &Tools) {
        if let Some(UnderWay { what, writing }) = self.under_way.take() {
            tokio::select! {
                biased;
                written = writing => self.heard(tools.clock.now(), what, written),
                () = tools.clock.wait(REQUEST_TIMEOUT) => warn!("GitHub was told of the progress for too long, and is left"),
            }
        }
    }

    /// Whether something was sent of which nothing is heard yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// What to write next, and when.
    fn due(&self, spacing: Duration) -> Option<(Notice, Timestamp)> {
        let quiet_until = self.quiet_until.unwrap_or(Timestamp::MIN);
        if let Some(check) = self.check.as_ref().filter(|_| !self.is_check_begun) {
            return Some((Notice::Check(check.clone()), quiet_until));
        }
        let told = self.told.clone().filter(|_| !self.is_refused)?;
        let pause = match self.n_told.checked_sub(1) {
            None => spacing,
            Some(n_refreshed) => delay::growing(REFRESH, n_refreshed, REFRESH_MAX).max(spacing),
        };
        let due = self.written_at.map_or(Timestamp::MIN, |at| at.checked_add(pause).unwrap_or(Timestamp::MAX));
        Some((Notice::Comment(told), due.max(quiet_until)))
    }

    fn comment(&mut self, tools: &Tools, spec: &JobSpec, told: &Told, now: Timestamp) -> UnderWay {
        self.wrote(now);
        let elapsed = self.started_at.map_or(Duration::ZERO, |started_at| between(started_at, now));
        let body = progress::comment(&Standing {
            spec,
            stage: told.stage,
            walls: &told.walls,
            usage: &self.usage.borrow(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            is_priced: tools.settings.is_priced,
        });
        let effect = Effect::EnsureComment { issue: told.issue, body: tools.guarded().veil().text(&body) };
        let (forge, repo, key) = (Arc::clone(&tools.forge), spec.repo.clone(), effect.key(&spec.id()));
        let writing = Box::pin(async move { forge.perform(&repo, &key, &effect).await.map(drop) });
        UnderWay { what: What::Comment, writing }
    }

    /// Every word of it is ours.
    fn begin_check(&mut self, tools: &Tools, spec: &JobSpec, check: CheckUnderWay) -> UnderWay {
        self.is_check_begun = true;
        let (forge, repo, key) = (Arc::clone(&tools.forge), spec.repo.clone(), check.key(&spec.id()));
        let writing = Box::pin(async move { forge.begin_check(&repo, &key, &check).await });
        UnderWay { what: What::Check, writing }
    }

    fn wrote(&mut self, now: Timestamp) {
        self.written_at = Some(now);
        self.n_told = self.n_told.saturating_add(1);
    }

    fn heard(&mut self, now: Timestamp, what: What, written: Result<(), ForgeError>) {
        let Err(error) = written else { return };
        warn!(error = %error, "GitHub could not be told of the progress: {what:?}");
        match (error, what) {
            (ForgeError::RateLimited { retry_after }, what) => {
                self.quiet_until = Some(now.checked_add(retry_after).unwrap_or(Timestamp::MAX));
                self.is_check_begun &= what != What::Check;
            }
            // What was refused once is refused again, and what is not available is told of with the next numbers.
            (ForgeError::Denied { .. } | ForgeError::Rejected { .. }, What::Comment) => self.is_refused = true,
            (ForgeError::Denied { .. } | ForgeError::Rejected { .. }, What::Check) | (ForgeError::Unavailable(_), _) => {}
        }
    }
}

/// What a step is called that takes long.
fn stage(step: &Step) -> Option<Stage> {
    match step {
        Step::Adopt | Step::Prepare => Some(Stage::Preparing),
        Step::Solve { attempt, round, .. } => Some(Stage::Solving { attempt: *attempt, round: *round }),
        Step::Verify => Some(Stage::Verifying),
        // Nobody has asked for a look at a red check, so that nobody is kept up to date.
        Step::Triage
        | Step::PlanPublish { .. }
        | Step::Perform { .. }
        | Step::Fail { .. }
        | Step::Complete { .. }
        | Step::Rest => None,
    }
}

/// How long it was; a clock that went back says that it was no time.
fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier).max(SignedDuration::ZERO)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
