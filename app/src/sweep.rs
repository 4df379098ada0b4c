//! Missed deliveries: what the forge has sent and nobody took is asked for again.
//!
//! A forge sends a delivery once. Whether it arrived, two know: the forge, which lists its attempts, and the store, which has
//! the delivery or does not, even where the forge did not hear the answer. Everything is derived from the two, so a sweep that
//! was interrupted is simply begun again; and since a delivery keeps its name, one that comes twice after all changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use patchwright_domain::event::DeliveryId;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::forge::{Attempt, Cursor, Forge, ForgeError};
use crate::store::{Store, StoreError};

/// How far back the first sweep looks; GitHub sends nothing again that is older.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(3 * 24);
/// How far behind the one before a later sweep begins, for attempts that were still under way then.
const OVERLAP: SignedDuration = SignedDuration::from_mins(30);
/// How many pages of the list one sweep reads; GitHub's have a hundred attempts.
const PAGES_MAX: u32 = 200;
/// How many deliveries one sweep asks for; the next one goes on with those that are left.
const ASKED_MAX: usize = 500;
/// How often a delivery is sent before it is given up: something is wrong with it, and not with the way.
const ATTEMPTS_MAX: usize = 5;

/// Why a sweep came to no end.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The forge did not do it.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was sent in a time, and what of it nobody took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many deliveries there were.
    pub n_sent: usize,
    /// The last attempt of each that did not arrive, oldest first.
    pub missed: Vec<Attempt>,
    /// Those that did not arrive however often they were sent.
    pub given_up: Vec<DeliveryId>,
    /// Whether the list was longer than what is read of it.
    pub is_cut: bool,
    /// When the last of them was sent, by the forge's clock.
    pub newest: Option<Timestamp>,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many deliveries were asked for.
    pub n_asked: usize,
    /// How many more did not arrive, which the next sweep asks for.
    pub n_left: usize,
}

/// Looks for missed deliveries.
pub struct Sweep {
    store: Arc<dyn Store>,
    forge: Arc<dyn Forge>,
    clock: Arc<dyn Clock>,
}

impl Sweep {
    /// Joins the parts.
    pub fn new(store: Arc<dyn Store>, forge: Arc<dyn Forge>, clock: Arc<dyn Clock>) -> Self {
        Self { store, forge, clock }
    }

    /// Sweeps now and then until told to stop. The first time, and after every time that came to no end, all that can still
    /// be sent is looked through.
    pub async fn run(&self, interval: Duration, stop: CancellationToken) {
        let mut looked_until: Option<Timestamp> = None;
        loop {
            let since = looked_until.and_then(|until| until.checked_sub(OVERLAP).ok());
            let swept = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                swept = self.sweep_on(since) => swept,
            };
            // By the forge's clock, for ours may be set meanwhile: then there is nothing behind a moment that is still to come.
            looked_until = match swept {
                Ok((swept, newest)) => newest.or(looked_until).filter(|_| swept.n_left == 0),
                Err(error) => {
                    let remedy = if let SweepError::Forge(ForgeError::Denied { remedy, .. }) = &error { remedy } else { "" };
                    warn!(error = %error, remedy, "missed deliveries cannot be asked for now");
                    None
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.wait(interval) => {}
            }
        }
    }

    /// Asks for every delivery that did not arrive since then, or in as long as it can still be sent.
    ///
    /// # Errors
    /// [`SweepError`]: what was not asked for yet is found again.
    pub async fn sweep(&self, since: Option<Timestamp>) -> Result<Swept, SweepError> {
        Ok(self.sweep_on(since).await?.0)
    }

    /// Sweeps, and says when the last of what was found had been sent.
    async fn sweep_on(&self, since: Option<Timestamp>) -> Result<(Swept, Option<Timestamp>), SweepError> {
        let found = self.look(since).await?;
        for delivery in &found.given_up {
            warn!(delivery.id = %delivery, "a delivery was sent {ATTEMPTS_MAX} times and never taken; look at it in the App's settings");
        }
        if found.is_cut {
            warn!("of the list of deliveries only the newest {PAGES_MAX} pages are looked through");
        }
        let asked = found.missed.get(..ASKED_MAX).unwrap_or(&found.missed);
        for attempt in asked {
            self.forge.redeliver(attempt).await?;
            info!(delivery.id = %attempt.delivery, "a delivery that did not arrive is asked for again");
        }
        let swept = Swept { n_asked: asked.len(), n_left: found.missed.len() - asked.len() };
        if swept.n_asked > 0 {
            info!("{} of {} deliveries did not arrive; {} are asked for again", found.missed.len(), found.n_sent, swept.n_asked);
        }
        Ok((swept, found.newest))
    }

    /// Looks what did not arrive, and changes nothing.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn look(&self, since: Option<Timestamp>) -> Result<Found, SweepError> {
        let earliest = self.clock.now().checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        let (deliveries, is_cut) = self.attempts(since.map_or(earliest, |since| since.max(earliest))).await?;
        let newest = deliveries.values().map(|of| of.last.at).max();
        let mut found = Found { n_sent: deliveries.len(), is_cut, newest, ..Found::default() };
        for (delivery, attempts) in deliveries {
            if attempts.is_taken || self.has(&delivery).await? {
                continue;
            }
            if attempts.count >= ATTEMPTS_MAX {
                found.given_up.push(delivery);
            } else {
                found.missed.push(attempts.last);
            }
        }
        found.missed.sort_by_key(|attempt| (attempt.at, attempt.number));
        Ok(found)
    }

    /// The attempts since a time, by what they were to deliver.
    async fn attempts(&self, since: Timestamp) -> Result<(BTreeMap<DeliveryId, Of>, bool), SweepError> {
        let mut deliveries: BTreeMap<DeliveryId, Of> = BTreeMap::new();
        let mut cursor: Option<Cursor> = None;
        for _ in 0..PAGES_MAX {
            let page = self.forge.attempts(cursor.as_ref()).await?;
            let is_last = page.attempts.iter().any(|attempt| attempt.at < since);
            for attempt in page.attempts.into_iter().filter(|attempt| attempt.at >= since) {
                match deliveries.get_mut(&attempt.delivery) {
                    Some(of) => of.add(attempt),
                    None => drop(deliveries.insert(attempt.delivery.clone(), Of::first(attempt))),
                }
            }
            cursor = page.next;
            if is_last || cursor.is_none() {
                return Ok((deliveries, false));
            }
        }
        Ok((deliveries, true))
    }

    async fn has(&self, delivery: &DeliveryId) -> Result<bool, StoreError> {
        match self.store.received_at(delivery).await {
            Ok(_) => Ok(true),
            Err(StoreError::Unknown { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The attempts of one delivery.
struct Of {
    count: usize,
    is_taken: bool,
    last: Attempt,
}

impl Of {
    fn first(attempt: Attempt) -> Self {
        Self { count: 1, is_taken: attempt.is_taken, last: attempt }
    }

    fn add(&mut self, attempt: Attempt) {
        self.count += 1;
        self.is_taken |= attempt.is_taken;
        if (attempt.at, attempt.number) > (self.last.at, self.last.number) {
            self.last = attempt;
        }
    }
}
