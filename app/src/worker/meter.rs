//! The meter of a job: keeps the limits that jobs share, by the store's ledger.
//!
//! It fails closed. A ledger that does not answer is asked a few times more; then no request is sent, the agent is told to
//! end, and the solve ends with the store's error in place of the agent's ending ([`LedgerMeter::check`]). To say instead
//! that a budget is used up would be false, and would be published; so the job is taken up again once its lease is over,
//! as after every other failure of the store.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::agent::{Exceeded, Meter, Reservation};
use crate::clock::Clock;
use crate::config;
use crate::store::ledger::{Limits, Quantity, Reserved, Scope, Spending};
use crate::store::{Lease, Store, StoreError};

/// How a ledger is asked that is not available.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often in all.
    pub tries_max: u32,
    /// Between two tries.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries_max: 4, pause: Duration::from_secs(1) }
    }
}

/// Reserves and settles on a job's account.
pub struct LedgerMeter<'a> {
    store: &'a dyn Store,
    clock: &'a dyn Clock,
    lease: &'a Lease,
    limits: Limits,
    patience: Patience,
    /// Why the ledger could not be kept; from then on nothing is reserved.
    broken: Mutex<Option<StoreError>>,
}

impl<'a> LedgerMeter<'a> {
    /// A meter for one solve of the lease's job.
    pub fn new(store: &'a dyn Store, clock: &'a dyn Clock, lease: &'a Lease, limits: Limits) -> Self {
        Self { store, clock, lease, limits, patience: Patience::default(), broken: Mutex::default() }
    }

    /// The same with another patience than the usual one.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Asked after the agent has ended: whether that was for the ledger's sake.
    ///
    /// # Errors
    /// What the store said last.
    pub fn check(&self) -> Result<(), StoreError> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    fn is_broken(&self) -> bool {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Asks again while the store is not available, and remembers what it says in the end.
    async fn patiently<'f, T>(&self, ask: impl Fn() -> BoxFuture<'f, Result<T, StoreError>> + Send) -> Option<T> {
        let mut n_tries = 1;
        loop {
            match ask().await {
                Ok(answer) => return Some(answer),
                Err(StoreError::Unavailable(reason)) if n_tries < self.patience.tries_max => {
                    tracing::warn!(n_tries, "the ledger is asked again: {reason}");
                    self.clock.wait(self.patience.pause).await;
                    n_tries += 1;
                }
                Err(error) => {
                    tracing::warn!(error = %error, "the ledger cannot be kept");
                    *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return None;
                }
            }
        }
    }
}

#[async_trait]
impl Meter for LedgerMeter<'_> {
    async fn reserve(&self, most: Reservation) -> Result<(), Exceeded> {
        let not_kept = || Exceeded { limit: "The limits that jobs share cannot be kept now.".to_owned() };
        if self.is_broken() {
            return Err(not_kept());
        }
        let most = spending(most);
        let reserve = || self.store.reserve(self.lease, most, &self.limits, self.clock.now());
        match self.patiently(reserve).await {
            Some(Reserved::Taken) => Ok(()),
            Some(Reserved::Forbidden { scope, quantity }) => Err(Exceeded { limit: told(scope, quantity) }),
            None => Err(not_kept()),
        }
    }

    async fn settle(&self, _reserved: Reservation, used: Reservation) {
        let (used, n_tries) = (spending(used), AtomicU32::new(0));
        let settle = || -> BoxFuture<'_, Result<(), StoreError>> {
            let is_repeated = n_tries.fetch_add(1, Ordering::Relaxed) > 0;
            let settled = self.store.settle(self.lease, used);
            Box::pin(async move {
                match settled.await {
                    // An earlier try has arrived, and its answer has not.
                    Err(StoreError::Unknown { .. }) if is_repeated => Ok(()),
                    settled => settled,
                }
            })
        };
        self.patiently(settle).await;
    }
}

fn spending(reservation: Reservation) -> Spending {
    let Reservation { tokens, cost_microusd } = reservation;
    Spending { tokens, cost_microusd }
}

/// The limit, as a sentence for the user.
fn told(scope: Scope, quantity: Quantity) -> String {
    let what = match quantity {
        Quantity::Tokens => "token",
        Quantity::Cost => "cost",
    };
    let whose = match scope {
        Scope::Repository(_) => "this repository",
        Scope::User(_) => "the requests of one user",
        Scope::Everything => "all jobs together",
    };
    let key = config::Limits::key_of_day(scope, quantity);
    format!("The daily {what} limit for {whose} leaves no room for another request (`{key}`); the day ends at midnight UTC.")
}

#[cfg(test)]
mod tests;
