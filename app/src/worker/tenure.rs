//! Tenure: a lease that is kept while a worker works, and let go of in time.
//!
//! The store refuses whoever has lost a lease; the forge asks nobody. So a worker relies on its lease only for a part of the
//! time for which it holds, and sends nothing behind that: what it has sent before has arrived by the lease's end, or never
//! does, and whoever takes the job then finds it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::{StepError, Tools};
use crate::store::{Lease, StoreError};

/// How long a lease holds.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// How often it is renewed, whatever step is under way.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);
/// How long a request to the forge may be under way; nothing is begun so short before the lease's end.
const UNDER_WAY_MAX: Duration = crate::forge::REQUEST_TIMEOUT;

/// A worker's time with a job.
pub(super) struct Tenure<'a> {
    tools: &'a Tools,
    lease: Lease,
    /// When the last renewal was asked for that was granted.
    renewed_at: Mutex<Timestamp>,
}

impl<'a> Tenure<'a> {
    /// The time that begins with a claim, by when it was asked for.
    pub(super) fn new(tools: &'a Tools, lease: Lease, claimed_at: Timestamp) -> Self {
        Self { tools, lease, renewed_at: Mutex::new(claimed_at) }
    }

    /// The lease, to write by.
    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Refuses where the lease may not be relied on any more, whoever has it.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.left(now).is_zero() { Err(self.lost()) } else { Ok(()) }
    }

    /// Works while the lease is kept. What is under way when it cannot be relied on any more is given up, and not moved on
    /// even once behind that.
    pub(super) async fn during<T>(
        &self,
        now: Timestamp,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        tokio::select! {
            biased;
            lost = self.keep(now) => Err(lost.into()),
            done = work => done,
        }
    }

    /// Renews the lease until it is lost, or has not been renewed for too long.
    async fn keep(&self, mut now: Timestamp) -> StoreError {
        let mut asked_at = self.renewed_at();
        loop {
            self.tools.clock.wait(RENEWAL_INTERVAL.saturating_sub(between(asked_at, now))).await;
            now = self.tools.clock.now();
            asked_at = now;
            let left = self.left(now);
            if left.is_zero() {
                return self.lost();
            }
            let renewed = tokio::select! {
                biased;
                () = self.tools.clock.wait(left) => return self.lost(),
                renewed = self.tools.store.renew(&self.lease, now, LEASE) => renewed,
            };
            match renewed {
                Ok(()) => *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner) = now,
                Err(error @ StoreError::LeaseLost { .. }) => return error,
                Err(error) => warn!(error = %error, "the lease could not be renewed"),
            }
        }
    }

    fn renewed_at(&self) -> Timestamp {
        *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long the lease may still be relied on.
    fn left(&self, now: Timestamp) -> Duration {
        LEASE.saturating_sub(UNDER_WAY_MAX).saturating_sub(between(self.renewed_at(), now))
    }

    fn lost(&self) -> StoreError {
        StoreError::LeaseLost { job: self.lease.job().clone() }
    }
}

/// How long it was; a clock that went back says that it was no time.
fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier).max(SignedDuration::ZERO)).unwrap_or_default()
}
