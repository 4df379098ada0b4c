//! What must not be lost: deliveries, jobs, journals, artifacts, and what was spent.
//!
//! The port promises that what it has answered is durable, that a job has one worker at a time, and that a worker whose
//! lease was taken over writes nothing more. It knows no forge and no model. `tests/contract/store.rs` holds every
//! adapter to the same behaviour.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use patchwright_domain::event::{DeliveryId, IssueNumber, RawDelivery};
use patchwright_domain::job::{JobId, JobKey, JobSpec};
use patchwright_domain::journal::{Digest, Entry, EntryKind, Outcome};
use patchwright_domain::policy::Decision;
use patchwright_domain::policy::rates::Recent;
use tokio::sync::Notify;

use ledger::{Limits, Reserved, Scope, Spending};
use listing::{GivenUp, Listed, Wanted};

mod chain;
pub mod ledger;
pub mod listing;
pub mod memory;
mod packed;
pub mod postgres;
mod records;
pub mod sqlite;

/// Why the store did not do it, by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another worker has the job now, or it is done: stop, write nothing, perform nothing.
    #[error("the lease on job {job} is lost")]
    LeaseLost {
        /// The job.
        job: JobId,
    },
    /// There is no such delivery or job.
    #[error("there is no {what}")]
    Unknown {
        /// What was asked for.
        what: String,
    },
    /// The store cannot write now (disk full, locked, gone): try again later, promise nothing.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is stored does not hold together: an operator must look.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
}

/// What [`StoreError::Unavailable`] says where there is no room on a disk.
pub const FULL: &str = "the disk of its database is full";

impl StoreError {
    /// What everybody may hear who asks whether there is a store; the rest may name hosts and roles.
    pub fn told(&self) -> &'static str {
        match self {
            Self::Unavailable(reason) if reason == FULL => FULL,
            Self::LeaseLost { .. } | Self::Unknown { .. } | Self::Unavailable(_) | Self::Corrupt(_) => "its error is in the log",
        }
    }
}

/// What became of a delivery that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is new and now durable.
    Stored,
    /// It was there already.
    Known,
}

/// A delivery that waits for its decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The delivery.
    pub delivery: RawDelivery,
    /// How often the decision on it was put off.
    pub n_postponed: u32,
}

/// Who asks for something, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// GitHub's number of the repository.
    pub repo: u64,
    /// GitHub's number of the user.
    pub requested_by: u64,
    /// The issue or pull request.
    pub place: IssueNumber,
    /// Whether work is counted, too, and not answers alone.
    pub is_work_counted: bool,
}

/// What became of a decision that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is stored as it was.
    Stored,
    /// It would have started a job that exists already; it is stored as ignored.
    Duplicate {
        /// The job that the request had started before.
        job: JobId,
    },
    /// The delivery was decided before; that stands, and nothing was changed.
    Before,
}

/// The right to write to a job's journal until it is lost. Only a store makes one.
#[derive(Debug)]
pub struct Lease {
    job: JobId,
    /// Rises with every claim; a write with an old one is refused.
    fence: u32,
}

impl Lease {
    /// The right that goes with a claim.
    pub fn of(job: JobId, fence: u32) -> Self {
        Self { job, fence }
    }

    /// The same right, for a request that outlives its caller's, or may have to be made again.
    pub(crate) fn again(&self) -> Self {
        Self { job: self.job.clone(), fence: self.fence }
    }

    /// How often the job had been claimed, this claim included; a write with less is refused.
    pub fn fence(&self) -> u32 {
        self.fence
    }

    /// The job.
    pub fn job(&self) -> &JobId {
        &self.job
    }
}

/// A job that was claimed.
#[derive(Debug)]
pub struct Claim {
    /// The right to write.
    pub lease: Lease,
    /// The job.
    pub spec: JobSpec,
    /// Its journal, the claim included.
    pub journal: Vec<Entry>,
}

/// How many jobs may have a worker at the same time; no limit where there is none. Those of one issue are never more than one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// Of one repository.
    pub repository: Option<NonZeroU32>,
    /// Of one installation of the App.
    pub installation: Option<NonZeroU32>,
}

/// How many of each thing were forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Jobs.
    pub jobs: u64,
    /// Artifacts.
    pub artifacts: u64,
    /// Deliveries.
    pub deliveries: u64,
}

impl Forgotten {
    /// Together with what was forgotten another time.
    pub fn and(self, other: Self) -> Self {
        let Self { jobs, artifacts, deliveries } = self;
        Self { jobs: jobs + other.jobs, artifacts: artifacts + other.artifacts, deliveries: deliveries + other.deliveries }
    }
}

/// How much longer a delivery is kept than the job that may have come of it.
const DELIVERY_KEPT_LONGER: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits for a worker.
    Ready,
    /// A worker has it.
    Running,
    /// It is completed.
    Done(Outcome),
}

/// Wakes those who wait for work in this process; polling is the net below it.
#[derive(Debug, Default)]
pub struct Signals {
    /// A delivery was stored.
    pub deliveries: Notify,
    /// A job became ready.
    pub jobs: Notify,
}

/// How long a delivery's body may be, in bytes; GitHub sends none above 25 MB.
pub const DELIVERY_BYTES_MAX: usize = 25 * 1024 * 1024;

/// Keeps what must not be lost.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes a delivery durable; the same id again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it is not durable and must not be acknowledged.
    async fn receive(&self, delivery: &RawDelivery) -> Result<Received, StoreError>;

    /// The oldest deliveries that wait for a decision now, at most `count`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn undecided(&self, now: Timestamp, count: u32) -> Result<Vec<Waiting>, StoreError>;

    /// Puts off the decision on a delivery and says how often it was put off, this time included.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for no such delivery.
    async fn postpone(&self, delivery: &DeliveryId, until: Timestamp) -> Result<u32, StoreError>;

    /// Stores the decision on a delivery together with what follows from it: a new job, or a cancel in the journals; all
    /// of it or nothing. A delivery is decided once.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for no such delivery, or no such job to cancel.
    async fn decide(&self, delivery: &DeliveryId, decision: &Decision, now: Timestamp) -> Result<Decided, StoreError>;

    /// When a delivery was received.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for no such delivery.
    async fn received_at(&self, delivery: &DeliveryId) -> Result<Timestamp, StoreError>;

    /// The stored decision on a delivery, if it is made.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for no such delivery.
    async fn decision(&self, delivery: &DeliveryId) -> Result<Option<Decision>, StoreError>;

    /// The keys of an issue's jobs that are not completed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn open_jobs(&self, repo: u64, issue: IssueNumber) -> Result<Vec<JobKey>, StoreError>;

    /// The job that was asked for last of those of an issue or pull request that are completed. What nobody has asked for is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn last_ended(&self, repo: u64, issue: IssueNumber) -> Result<Option<JobKey>, StoreError>;

    /// The jobs that were asked for last of an issue or pull request, the last one first, and no more than so many. What nobody has
    /// asked for is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn asked_last(&self, repo: u64, issue: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError>;

    /// The red checks of a pull request that were looked into last, the last one first, and no more than so many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn checked_last(&self, repo: u64, pull_request: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError>;

    /// How many of a repository's jobs were begun since then. Those that a program of before there were any limits has begun are
    /// nobody's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn recent(&self, asking: &Asking, since: Timestamp) -> Result<Recent, StoreError>;

    /// Takes the free job that waits longest, if there is one, for `lease` from now, and journals the claim. What a program
    /// asked for lets others go first for a while ([`JobSpec::gives_way`]). A job whose lease ran out is free; one of an issue of
    /// which another job is leased is not, nor is one whose repository or installation has as many leased jobs as `lanes` allow,
    /// also where those leases ran out: those jobs are first. One that is corrupt is told, and set aside for as long as a lease:
    /// the next claim finds another.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    async fn claim(&self, worker: &str, now: Timestamp, lease: Duration, lanes: Lanes) -> Result<Option<Claim>, StoreError>;

    /// Prolongs a lease to `duration` from now. One that holds for longer is left as it is: what was asked for earlier may arrive
    /// later.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`].
    async fn renew(&self, lease: &Lease, now: Timestamp, duration: Duration) -> Result<(), StoreError>;

    /// Adds an entry to the journal and returns all entries from `seen` on, the new one last. A `Completed` entry ends
    /// the job and the lease.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`].
    async fn append(&self, lease: &Lease, seen: u32, kind: EntryKind, now: Timestamp) -> Result<Vec<Entry>, StoreError>;

    /// Journals that a job should stop; nothing happens to one that is completed.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for no such job.
    async fn request_cancel(&self, key: &JobKey, because: &str, now: Timestamp) -> Result<(), StoreError>;

    /// Hands a job back, to be claimed again no earlier than `not_before`.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`].
    async fn release(&self, lease: Lease, not_before: Timestamp) -> Result<(), StoreError>;

    /// A job's specification and state.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for no such job.
    async fn job(&self, job: &JobId) -> Result<(JobSpec, JobState), StoreError>;

    /// The newest of the wanted jobs, newest first: at most `count`, and never more than [`listing::LISTED_MAX`]. Of each it is told
    /// what a claim at this moment would find beside it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn jobs(&self, wanted: &Wanted, count: u32, now: Timestamp) -> Result<Vec<Listed>, StoreError>;

    /// The newest of the deliveries that nobody could decide on, newest first: at most `count`, and never more than
    /// [`listing::LISTED_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn given_up(&self, count: u32) -> Result<Vec<GivenUp>, StoreError>;

    /// A job's journal from `seen` on.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for no such job, [`StoreError::Corrupt`] for a broken chain.
    async fn journal(&self, job: &JobId, seen: u32) -> Result<Vec<Entry>, StoreError>;

    /// Takes the most that a request may use off the limits of the job's repository, of who asked for the job, and of
    /// everything, for the UTC day of `now`; off all of them or off none. It counts as spent there until it is settled,
    /// and for good where it never is: nobody knows then what was used. A job has one reservation at a time; the next one
    /// gives up the settling of the one before.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`].
    async fn reserve(&self, lease: &Lease, most: Spending, limits: &Limits, now: Timestamp) -> Result<Reserved, StoreError>;

    /// Puts what was used in place of the lease's reservation, on the day on which that was made; the truth counts, even
    /// where it is more than was reserved.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]: the reservation stays counted. [`StoreError::Unknown`] where there is none to settle.
    async fn settle(&self, lease: &Lease, used: Spending) -> Result<(), StoreError>;

    /// What was spent in a scope on a UTC day, open reservations included.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn spending(&self, scope: Scope, day: Date) -> Result<Spending, StoreError>;

    /// Keeps some bytes under their digest, for jobs that are there now or come later.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn put_artifact(&self, bytes: Vec<u8>, now: Timestamp) -> Result<Digest, StoreError>;

    /// The bytes of a digest.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for no such artifact.
    async fn artifact(&self, digest: &Digest) -> Result<Vec<u8>, StoreError>;

    /// Remembers tests of a repository that were seen to end differently on the same commit: the last
    /// [`FLAKY_TESTS_MAX`] that were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn remember_flaky(&self, repo: u64, tests: &[String], now: Timestamp) -> Result<(), StoreError>;

    /// The tests of a repository that were seen so in the last [`FLAKY_FOR`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn flaky_tests(&self, repo: u64, now: Timestamp) -> Result<BTreeSet<String>, StoreError>;

    /// Forgets what nobody needs any more: jobs that were completed before then, with their journals and what they spent;
    /// artifacts from before then and from before every job that is left; deliveries that were decided, a day older than that. Of
    /// each at most `count`, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn forget(&self, before: Timestamp, count: u32) -> Result<Forgotten, StoreError>;

    /// Whether the store can be written to, for readiness checks: by a write to its disk that leaves nothing behind.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn check(&self) -> Result<(), StoreError>;

    /// Wakes those who wait in this process.
    fn signals(&self) -> &Signals;
}

/// How many flaky tests of a repository are remembered.
pub const FLAKY_TESTS_MAX: u32 = 500;
/// How long a test is remembered as flaky that was not seen so again.
pub const FLAKY_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);
