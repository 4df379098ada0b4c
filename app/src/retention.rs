//! Retention: what ended long ago is forgotten, a little at a time, so that nobody waits for it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::store::{Forgotten, Store, StoreError};

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How much of each thing is forgotten in one transaction, how often in a row, and the pause in which others have their turn.
const COUNT: u32 = 500;
const TURNS_MAX: u32 = 2_000;
const PAUSE: Duration = Duration::from_millis(20);

/// Forgets what is older than it is kept.
pub struct Retention {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    kept_for: Duration,
}

impl Retention {
    /// Joins the parts.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, kept_for: Duration) -> Self {
        Self { store, clock, kept_for }
    }

    /// Looks now and then until told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                forgotten = self.forget() => match forgotten {
                    Ok(Forgotten { jobs: 0, artifacts: 0, deliveries: 0 }) => {}
                    Ok(Forgotten { jobs, artifacts, deliveries }) => {
                        info!(jobs, artifacts, deliveries, "what ended long ago is forgotten");
                    }
                    Err(error) => warn!(error = %error, "what ended long ago cannot be forgotten now"),
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    /// Forgets all that is old enough.
    ///
    /// # Errors
    /// [`StoreError`]: what was not forgotten yet is found again.
    pub async fn forget(&self) -> Result<Forgotten, StoreError> {
        let kept_for = SignedDuration::try_from(self.kept_for).unwrap_or(SignedDuration::MAX);
        let before = self.clock.now().checked_sub(kept_for).unwrap_or(Timestamp::MIN);
        let mut all = Forgotten::default();
        for _ in 0..TURNS_MAX {
            let some = self.store.forget(before, COUNT).await?;
            all = all.and(some);
            if some == Forgotten::default() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(all)
    }
}
