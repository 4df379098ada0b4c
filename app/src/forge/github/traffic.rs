//! When a request may go out: limits are kept by everybody whom they are for, and writes take turns.
//!
//! GitHub limits an installation and not a request, and asks for writes to come one after the other, with a pause between
//! them. So what one answer says of a limit holds for every request of the same installation until it is over, and a write
//! waits for the one before. Short waits are waited out here; long ones go to the caller, who has other work to do meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::forge::ForgeError;

/// How long a wait may be for it to be waited out here; a longer one goes to the caller.
pub(super) const WAIT_HERE_MAX: Duration = Duration::from_secs(5);
/// How many installations are remembered; the one that was quiet for longest is forgotten first.
const LANES_MAX: u64 = 10_000;
/// How long a write may wait for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(60);

/// For whom GitHub counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Account {
    /// The App itself.
    App,
    /// One of its installations.
    Installation(u64),
}

/// All accounts' ways to GitHub.
pub(super) struct Traffic {
    lanes: Cache<Account, Arc<Lane>>,
    spacing: Duration,
    clock: Arc<dyn Clock>,
}

/// One account's way.
struct Lane {
    writes: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the last limit ends that was told.
    closed_until: Option<Timestamp>,
    /// When the last write ended.
    last_write: Option<Timestamp>,
}

impl Lane {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write's turn; it ends with this value.
pub(super) struct Turn {
    lane: Arc<Lane>,
    clock: Arc<dyn Clock>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.lane.state().last_write = Some(self.clock.now());
    }
}

impl Traffic {
    pub(super) fn new(spacing: Duration, clock: Arc<dyn Clock>) -> Self {
        let lanes = Cache::builder().max_capacity(LANES_MAX).eviction_policy(EvictionPolicy::lru()).build();
        Self { lanes, spacing, clock }
    }

    /// Waits until the account's limits are over, where that is soon.
    ///
    /// # Errors
    /// [`ForgeError::RateLimited`] where it is not.
    pub(super) async fn admit(&self, account: Account) -> Result<(), ForgeError> {
        let closed_until = self.lane(account).await.state().closed_until;
        self.wait_until(closed_until).await
    }

    /// Waits for the account's limits and for its writes before.
    ///
    /// # Errors
    /// [`ForgeError::RateLimited`] where that takes long.
    pub(super) async fn turn(&self, account: Account) -> Result<Turn, ForgeError> {
        let lane = self.lane(account).await;
        let Ok(permit) = tokio::time::timeout(TURN_TIMEOUT, Arc::clone(&lane.writes).acquire_owned()).await else {
            return Err(ForgeError::RateLimited { retry_after: TURN_TIMEOUT });
        };
        let permit = permit.expect("the semaphore is never closed");
        let due = lane.state().last_write.map(|last| after(last, self.spacing));
        self.wait_until(due).await?;
        // What was told while others had their turn counts.
        let closed_until = lane.state().closed_until;
        self.wait_until(closed_until).await?;
        Ok(Turn { lane, clock: Arc::clone(&self.clock), _permit: permit })
    }

    /// Remembers that the account is limited from now on for so long.
    pub(super) async fn close(&self, account: Account, wait: Duration) {
        let lane = self.lane(account).await;
        let until = after(self.clock.now(), wait);
        let mut state = lane.state();
        state.closed_until = Some(state.closed_until.map_or(until, |before| before.max(until)));
    }

    async fn lane(&self, account: Account) -> Arc<Lane> {
        let new = async { Arc::new(Lane { writes: Arc::new(Semaphore::new(1)), state: Mutex::default() }) };
        self.lanes.get_with(account, new).await
    }

    async fn wait_until(&self, due: Option<Timestamp>) -> Result<(), ForgeError> {
        let wait = due.map_or(SignedDuration::ZERO, |due| due.duration_since(self.clock.now()));
        let Ok(wait) = Duration::try_from(wait) else { return Ok(()) };
        if wait > WAIT_HERE_MAX {
            return Err(ForgeError::RateLimited { retry_after: wait });
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

fn after(moment: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    moment.checked_add(wait).unwrap_or(Timestamp::MAX)
}
