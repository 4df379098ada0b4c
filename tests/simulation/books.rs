//! What an onlooker keeps of a schedule, to hold its end against.

use std::collections::{BTreeMap, BTreeSet};

use patchwright_domain::job::{JobId, JobSpec};

/// Who has a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) fence: u32,
    pub(super) process: usize,
    /// Until when the lease holds that it has.
    pub(super) until_ms: i64,
}

/// The books.
#[derive(Default)]
pub(super) struct Books {
    /// Deliveries that were acknowledged.
    pub(super) accepted: BTreeSet<String>,
    /// Deliveries that were decided.
    pub(super) decided: BTreeSet<String>,
    /// Jobs that were started, in their order.
    pub(super) jobs: Vec<JobSpec>,
    pub(super) completed: BTreeSet<JobId>,
    pub(super) holders: BTreeMap<JobId, Holder>,
    /// Jobs that a worker holds now and has neither ended nor handed back.
    pub(super) held: BTreeMap<JobId, Holder>,
    /// What the model was really asked, in tokens.
    pub(super) spent_tokens: u64,
    /// Processes that a job has killed.
    pub(super) killed: Vec<usize>,
    /// Moments at which issues were closed.
    pub(super) closed_at_ms: BTreeMap<u64, i64>,
    /// How many things went wrong that may have cost a job its worker.
    pub(super) n_faults: u32,
}

impl Books {
    /// Whether there may be a job that nobody has.
    pub(super) fn may_have_work(&self, now_ms: i64) -> bool {
        let n_taken = self.held.values().filter(|holder| holder.until_ms > now_ms).count();
        self.jobs.len() > self.completed.len() + n_taken
    }
}
