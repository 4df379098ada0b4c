//! A run with the journal that it is the fold of, and what others write there meanwhile.

use std::time::Duration;

use patchwright_domain::job::{JobId, Usage};
use patchwright_domain::journal::{Entry, EntryKind};
use patchwright_domain::run::{Run, Step};
use tokio::sync::watch;
use tracing::warn;

use super::Tools;
use crate::store::{Lease, StoreError};

/// How long a cancel may wait until whoever works hears of it.
pub(super) const HEED_INTERVAL: Duration = Duration::from_secs(5);

/// A run with the journal that it is the fold of.
#[derive(Debug)]
pub struct Progress {
    pub(super) run: Run,
    pub(super) journal: Vec<Entry>,
    /// Tells those beside the work what is used.
    usage: watch::Sender<Usage>,
}

impl Progress {
    pub(super) fn new(run: Run, journal: Vec<Entry>) -> Self {
        let usage = watch::Sender::new(*run.usage());
        Self { run, journal, usage }
    }

    /// What the run has used, as it becomes more.
    pub(super) fn usage(&self) -> watch::Receiver<Usage> {
        self.usage.subscribe()
    }

    /// The run, as far as it has come.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Adds an entry, hears what others have added meanwhile, and says whether somebody asked for a cancel among it.
    pub(super) async fn record(&mut self, tools: &Tools, lease: &Lease, kind: EntryKind) -> Result<bool, StoreError> {
        let entries = tools.store.append(lease, self.seen(), kind, tools.clock.now()).await?;
        self.take(entries)
    }

    /// Hears what others have added, and says whether somebody asked for a cancel among it.
    pub(super) async fn hear(&mut self, tools: &Tools, job: &JobId) -> Result<bool, StoreError> {
        let entries = tools.store.journal(job, self.seen()).await?;
        self.take(entries)
    }

    /// Returns once somebody has asked for a cancel, where a step can be given up for it that takes long and writes nothing before
    /// its end. Solving writes down its turns, and hears of it between them.
    pub(super) fn cancelled(&self, tools: &Tools, job: &JobId, step: &Step) -> impl Future<Output = ()> + Send + use<> {
        let heeds = match step {
            Step::Adopt | Step::Triage | Step::Prepare | Step::Verify => true,
            Step::Solve { .. }
            | Step::PlanPublish { .. }
            | Step::Perform { .. }
            | Step::Fail { .. }
            | Step::Complete { .. }
            | Step::Rest => false,
        };
        let (store, clock, job, seen) = (tools.store.clone(), tools.clock.clone(), job.clone(), self.seen());
        async move {
            if !heeds {
                return std::future::pending().await;
            }
            loop {
                clock.wait(HEED_INTERVAL).await;
                match store.journal(&job, seen).await {
                    Ok(entries) if has_cancel(&entries) => return,
                    Ok(_) => {}
                    // The work does not depend on it, and whoever keeps the lease knows what to do about the store.
                    Err(error) => warn!(error = %error, "the journal could not be looked at for a cancel"),
                }
            }
        }
    }

    fn seen(&self) -> u32 {
        u32::try_from(self.journal.len()).unwrap_or(u32::MAX)
    }

    fn take(&mut self, entries: Vec<Entry>) -> Result<bool, StoreError> {
        let is_cancelled = has_cancel(&entries);
        for entry in entries {
            self.run.apply(&entry).map_err(|misfit| StoreError::Corrupt(misfit.to_string()))?;
            self.journal.push(entry);
        }
        self.usage.send_replace(*self.run.usage());
        Ok(is_cancelled)
    }
}

fn has_cancel(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| matches!(entry.kind, EntryKind::CancelRequested { .. }))
}
