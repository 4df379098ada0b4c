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
    /// Deliveries that the store has, whether or not anybody heard of it.
    pub(super) stored: BTreeSet<String>,
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
    /// How many things went wrong.
    pub(super) n_faults: u32,
    /// How many of them may have cost a job its worker; behind the others it is handed back.
    pub(super) n_blows: u32,
}

impl Books {
    /// Whether a delivery need not be told again.
    pub(super) fn has(&self, delivery: &str) -> bool {
        self.accepted.contains(delivery) || self.stored.contains(delivery)
    }

    /// Notes that something went wrong.
    pub(super) fn fault(&mut self, is_blow: bool) {
        self.n_faults += 1;
        self.n_blows += u32::from(is_blow);
    }

    /// Another job of the same issue that a worker has under a lease.
    pub(super) fn beside(&self, job: &JobId, now_ms: i64) -> Option<&JobId> {
        let issue = |job: &JobId| self.jobs.iter().find(|spec| spec.id() == *job).and_then(|spec| spec.task.issue());
        // A reply is about none, and is beside nothing.
        let own = issue(job)?;
        let is_beside = |other: &JobId, holder: &Holder| other != job && holder.until_ms > now_ms && issue(other) == Some(own);
        self.held.iter().find(|(other, holder)| is_beside(other, holder)).map(|(other, _)| other)
    }

    /// Whether there may be a job that nobody has.
    pub(super) fn may_have_work(&self, now_ms: i64) -> bool {
        let n_taken = self.held.values().filter(|holder| holder.until_ms > now_ms).count();
        self.jobs.len() > self.completed.len() + n_taken
    }
}
