//! Tenure: a lease that is kept while a worker works, and let go of in time.
//!
//! The store refuses whoever has lost a lease; the forge asks nobody. So a worker relies on its lease only for a part of the
//! time for which it holds, and sends nothing behind that: what it has sent before has arrived by the lease's end, or never
//! does, and whoever takes the job then finds it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

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
    /// When in the machine's life the last renewal was asked for that was granted.
    renewed_at: Mutex<Duration>,
}

impl<'a> Tenure<'a> {
    /// The time that begins with a claim, by the machine's uptime when it was asked for.
    pub(super) fn new(tools: &'a Tools, lease: Lease, claimed_at: Duration) -> Self {
        Self { tools, lease, renewed_at: Mutex::new(claimed_at) }
    }

    /// The lease, to write by.
    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Refuses where the lease may not be relied on any more, whoever has it.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.left().is_zero() { Err(self.lost()) } else { Ok(()) }
    }

    /// Works while the lease is kept. What is under way when it cannot be relied on any more is given up, and not moved on
    /// even once behind that.
    pub(super) async fn during<T>(&self, work: impl Future<Output = Result<T, StepError>>) -> Result<T, StepError> {
        let mut work = pin!(work);
        // A process that was frozen hears of what has arrived meanwhile before it hears of the time.
        let relied_on = poll_fn(|context| match self.check() {
            Ok(()) => work.as_mut().poll(context),
            Err(lost) => Poll::Ready(Err(lost.into())),
        });
        tokio::select! {
            biased;
            lost = self.keep() => Err(lost.into()),
            done = relied_on => done,
        }
    }

    /// Renews the lease until it is lost, or has not been renewed for too long.
    async fn keep(&self) -> StoreError {
        let mut asked_at = self.renewed_at();
        loop {
            self.tools.clock.wait(RENEWAL_INTERVAL.saturating_sub(self.since(asked_at))).await;
            asked_at = self.tools.clock.uptime();
            let (now, left) = (self.tools.clock.now(), self.left());
            if left.is_zero() {
                return self.lost();
            }
            let renewed = tokio::select! {
                biased;
                () = self.tools.clock.wait(left) => return self.lost(),
                renewed = self.tools.store.renew(&self.lease, now, LEASE) => renewed,
            };
            match renewed {
                Ok(()) => *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner) = asked_at,
                Err(error @ StoreError::LeaseLost { .. }) => return error,
                Err(error) => warn!(error = %error, "the lease could not be renewed"),
            }
        }
    }

    fn renewed_at(&self) -> Duration {
        *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long the lease may still be relied on.
    fn left(&self) -> Duration {
        LEASE.saturating_sub(UNDER_WAY_MAX).saturating_sub(self.since(self.renewed_at()))
    }

    fn since(&self, uptime: Duration) -> Duration {
        self.tools.clock.uptime().saturating_sub(uptime)
    }

    fn lost(&self) -> StoreError {
        StoreError::LeaseLost { job: self.lease.job().clone() }
    }
}
