//! What nobody needs any more.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use patchwright_domain::event::DeliveryId;
use patchwright_domain::job::JobId;
use patchwright_domain::journal::Digest;

use super::{Forgotten, Job, Tables};
use crate::store::DELIVERY_KEPT_LONGER;

impl Tables {
    pub(super) fn forget(&mut self, before: Timestamp, count: usize) -> Forgotten {
        let ended_at = |job: &Job| job.outcome.and_then(|_| job.journal.last()).map(|entry| entry.at);
        let ended = self.jobs.iter().filter_map(|job| Some((ended_at(job).filter(|at| *at < before)?, job.id.clone())));
        let jobs: BTreeSet<JobId> = oldest(ended, count).collect();
        self.jobs.retain(|job| !jobs.contains(&job.id));
        self.ledger.forget(&jobs);
        let before = self.jobs.iter().map(|job| job.created_at).chain([before]).min().unwrap_or(before);
        let kept = self.artifacts.iter().filter(|(_, (_, at))| *at < before).map(|(digest, (_, at))| (*at, *digest));
        let artifacts: Vec<Digest> = oldest(kept, count).collect();
        artifacts.iter().for_each(|digest| drop(self.artifacts.remove(digest)));
        let longer = SignedDuration::try_from(DELIVERY_KEPT_LONGER).unwrap_or(SignedDuration::MAX);
        let before = before.checked_sub(longer).unwrap_or(Timestamp::MIN);
        let decided = self.deliveries.iter().filter(|delivery| delivery.decision.is_some() && delivery.raw.received_at < before);
        let deliveries: BTreeSet<DeliveryId> =
            oldest(decided.map(|delivery| (delivery.raw.received_at, delivery.raw.id.clone())), count).collect();
        self.deliveries.retain(|delivery| !deliveries.contains(&delivery.raw.id));
        self.places = self.deliveries.iter().enumerate().map(|(place, delivery)| (delivery.raw.id.clone(), place)).collect();
        let number = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        Forgotten { jobs: number(jobs.len()), artifacts: number(artifacts.len()), deliveries: number(deliveries.len()) }
    }
}

/// Those with the earliest times.
fn oldest<T: Ord>(found: impl Iterator<Item = (Timestamp, T)>, count: usize) -> impl Iterator<Item = T> {
    let mut found: Vec<(Timestamp, T)> = found.collect();
    found.sort();
    found.into_iter().take(count).map(|(_, thing)| thing)
}
