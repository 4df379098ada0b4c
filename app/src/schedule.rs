//! Schedules: what policy files have done at certain times is handed to the store, as a delivery of our own for each time.
//!
//! A delivery's name follows from what it is of, so that it does not matter how many servers look, or how often one begins anew:
//! the store has it or does not. Whether the policy still says so is looked at when it is decided. What is kept here is what was read
//! last, and may be lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use patchwright_domain::event::{DeliveryId, RepoRef};
use patchwright_domain::policy::schedule::{Schedule, Tick};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::forge::{Forge, ForgeError, Schedules, Unknown};
use crate::policy_file::schedule::Times;
use crate::store::{Received, Store, StoreError};

/// The pause between looking for what is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(20);
/// For how long what was read of the policy files counts.
const READ_EVERY: SignedDuration = SignedDuration::from_mins(15);
/// How long it takes at least until they are read again where none could be.
const READ_AGAIN: SignedDuration = SignedDuration::from_mins(2);
/// How late something is still done, such as when no server was there at its time; what is older is left. No entry comes twice in it.
const CATCH_UP: SignedDuration = SignedDuration::from_hours(1);

/// Looks for what is due.
pub struct Scheduler {
    store: Arc<dyn Store>,
    forge: Arc<dyn Forge>,
    clock: Arc<dyn Clock>,
    known: Vec<(RepoRef, Vec<Schedule>)>,
    /// When the policy files are to be read again.
    read_after: Option<Timestamp>,
    /// What is in the store already, with its time; what is too old to be done is none of it.
    handed: BTreeMap<DeliveryId, Timestamp>,
}

impl Scheduler {
    /// Joins the parts.
    pub fn new(store: Arc<dyn Store>, forge: Arc<dyn Forge>, clock: Arc<dyn Clock>) -> Self {
        Self { store, forge, clock, known: Vec::new(), read_after: None, handed: BTreeMap::new() }
    }

    /// Looks now and then until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let looked = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                looked = self.look() => looked,
            };
            if let Err(error) = looked {
                warn!(error = %error, "what is scheduled cannot be stored now");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.wait(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Hands what is due to the store, and says what nobody had handed to it before.
    ///
    /// # Errors
    /// [`StoreError`]: what is not stored is found again.
    pub async fn look(&mut self) -> Result<Vec<DeliveryId>, StoreError> {
        self.read().await;
        let now = self.clock.now();
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(Timestamp::MIN);
        self.handed.retain(|_, at| *at > earliest);
        let mut stored = Vec::new();
        for tick in self.due(earliest, now) {
            let delivery = tick.delivery(now);
            if self.handed.contains_key(&delivery.id) {
                continue;
            }
            if self.store.receive(&delivery).await? == Received::Stored {
                info!(delivery.id = %delivery.id, repo = %tick.repo, "it is time for what the policy file has done");
                stored.push(delivery.id.clone());
            }
            self.handed.insert(delivery.id, tick.at);
        }
        Ok(stored)
    }

    /// What was to be done since then, and by now.
    fn due(&self, earliest: Timestamp, now: Timestamp) -> Vec<Tick> {
        let all = self.known.iter().flat_map(|(repo, entries)| entries.iter().map(move |schedule| (repo, schedule)));
        let due = all.filter_map(|(repo, schedule)| {
            let at = Times::parse(&schedule.cron).ok()?.next(earliest).filter(|at| *at <= now)?;
            Some(Tick { repo: repo.clone(), schedule: schedule.clone(), at })
        });
        due.collect()
    }

    /// Reads the policy files where that was not done for long enough.
    async fn read(&mut self) {
        if self.read_after.is_some_and(|after| self.clock.now() < after) {
            return;
        }
        let pause = match self.forge.schedules().await {
            Ok(Schedules { of, unknown }) => {
                // What is not known now is as it was.
                let is_unknown = |(repo, _): &(RepoRef, _)| {
                    unknown.contains(&Unknown::Installation(repo.installation)) || unknown.contains(&Unknown::Repository(repo.id))
                };
                self.known.retain(is_unknown);
                self.known.extend(of);
                READ_EVERY
            }
            Err(error) => {
                let (remedy, wait) = match &error {
                    ForgeError::Denied { remedy, .. } => (remedy.as_str(), READ_EVERY),
                    ForgeError::RateLimited { retry_after } => {
                        ("", SignedDuration::try_from(*retry_after).unwrap_or(READ_EVERY).max(READ_AGAIN))
                    }
                    ForgeError::Unavailable(_) | ForgeError::Rejected { .. } => ("", READ_AGAIN),
                };
                warn!(error = %error, remedy, "the schedules of the repositories cannot be read now");
                wait
            }
        };
        self.read_after = Some(self.clock.now().checked_add(pause).unwrap_or(Timestamp::MAX));
    }
}
