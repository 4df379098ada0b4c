//! The store in memory, at the other end of calls that may be lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use patchwright::store::ledger::{Limits, Reserved, Scope, Spending};
use patchwright::store::listing::{GivenUp, Listed, Wanted};
use patchwright::store::{
    Asking, Claim, Decided, Forgotten, JobState, Lanes, Lease, Received, Signals, Store, StoreError, Waiting,
};
use patchwright_domain::event::{DeliveryId, IssueNumber, RawDelivery};
use patchwright_domain::job::{JobId, JobKey, JobSpec};
use patchwright_domain::journal::{Digest, Entry, EntryKind};
use patchwright_domain::policy::Decision;
use patchwright_domain::policy::rates::Recent;

use super::books::Holder;
use super::guards::Guard;
use super::without;
use super::world::{Kind, State, World};

/// The store as one process reaches it.
pub(super) struct WorldStore {
    pub(super) world: Arc<World>,
    pub(super) process: usize,
    pub(super) signals: Signals,
}

/// What the store in memory says; it never waits.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory never waits")
}

fn copy(lease: &Lease) -> Lease {
    Lease::of(lease.job().clone(), lease.fence())
}

/// The lease by which the store writes: the worker's own, or whoever's it is now, where nobody looks.
fn counted(state: &State, lease: &Lease) -> Lease {
    match state.books.holders.get(lease.job()) {
        Some(holder) if state.removed == Some(Guard::EntriesAreFenced) => Lease::of(lease.job().clone(), holder.fence),
        _ => copy(lease),
    }
}

impl WorldStore {
    async fn ask<R: Send + 'static>(
        &self,
        kind: Kind,
        what: impl FnOnce() -> String,
        arrival: impl FnOnce(&mut State) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let answer = self.world.call(self.process, kind, what, arrival).await;
        answer.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer".into())))
    }
}

#[async_trait]
impl Store for WorldStore {
    async fn receive(&self, delivery: &RawDelivery) -> Result<Received, StoreError> {
        let mut delivery = delivery.clone();
        let what = format!("store delivery {}", delivery.id);
        let received = self.ask(
            Kind::Store,
            || what,
            move |state| {
                if state.does_without(Guard::DeliveriesAreDurable, 64) {
                    return Ok(Received::Stored);
                }
                let received = at_once(state.store.receive(&delivery))?;
                state.books.stored.insert(delivery.id.as_str().to_owned());
                if received == Received::Known && state.removed == Some(Guard::DeliveriesAreStoredOnce) {
                    delivery.id = DeliveryId::new(format!("{}-{}", delivery.id, state.rng.u64(..))).expect("a plain name");
                    return at_once(state.store.receive(&delivery));
                }
                Ok(received)
            },
        );
        let received = received.await?;
        self.signals.deliveries.notify_one();
        Ok(received)
    }

    async fn undecided(&self, now: Timestamp, count: u32) -> Result<Vec<Waiting>, StoreError> {
        // A look that finds nothing makes no difference, whenever it arrives.
        if at_once(self.world.state().store.undecided(now, 1))?.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(Kind::Idle, || "look for deliveries".into(), move |state| at_once(state.store.undecided(now, count))).await
    }

    async fn postpone(&self, delivery: &DeliveryId, until: Timestamp) -> Result<u32, StoreError> {
        let delivery = delivery.clone();
        let postponed = self.ask(
            Kind::Store,
            || "put a decision off".into(),
            move |state| {
                let n_times = at_once(state.store.postpone(&delivery, until))?;
                Ok(if state.removed == Some(Guard::DecisionsArePutOff) { u32::MAX } else { n_times })
            },
        );
        postponed.await
    }

    async fn decide(&self, delivery: &DeliveryId, decision: &Decision, now: Timestamp) -> Result<Decided, StoreError> {
        let (delivery, mut decision) = (delivery.clone(), decision.clone());
        let what = format!("decide {delivery}: {}", decision.because());
        let decided = self.ask(
            Kind::Store,
            || what,
            move |state| {
                without::guards_of_a_decision(state, &mut decision);
                let decided = at_once(state.store.decide(&delivery, &decision, now))?;
                if decided == Decided::Before {
                    without::decided_once(state, &decision, now)?;
                }
                state.books.decided.insert(delivery.as_str().to_owned());
                if let (Decision::Start { spec, .. }, Decided::Stored) = (decision, &decided) {
                    state.books.jobs.push(*spec);
                }
                Ok(decided)
            },
        );
        let decided = decided.await?;
        self.signals.jobs.notify_one();
        Ok(decided)
    }

    async fn received_at(&self, delivery: &DeliveryId) -> Result<Timestamp, StoreError> {
        let delivery = delivery.clone();
        self.ask(Kind::Store, || "look at a delivery".into(), move |state| at_once(state.store.received_at(&delivery))).await
    }

    async fn decision(&self, delivery: &DeliveryId) -> Result<Option<Decision>, StoreError> {
        let delivery = delivery.clone();
        self.ask(Kind::Store, || "look at a decision".into(), move |state| at_once(state.store.decision(&delivery))).await
    }

    async fn open_jobs(&self, repo: u64, issue: IssueNumber) -> Result<Vec<JobKey>, StoreError> {
        let open = move |state: &mut State| {
            if state.removed == Some(Guard::IssuesHaveOneWorker) {
                return Ok(without::open_jobs_wherever(state, issue));
            }
            at_once(state.store.open_jobs(repo, issue))
        };
        self.ask(Kind::Store, || format!("look for jobs of #{issue}"), open).await
    }

    async fn last_ended(&self, repo: u64, issue: IssueNumber) -> Result<Option<JobKey>, StoreError> {
        let look = move |state: &mut State| at_once(state.store.last_ended(repo, issue));
        self.ask(Kind::Store, || format!("look what was done last on #{issue}"), look).await
    }

    async fn asked_last(&self, repo: u64, issue: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError> {
        let look = move |state: &mut State| at_once(state.store.asked_last(repo, issue, n_max));
        self.ask(Kind::Store, || format!("look what was asked for last on #{issue}"), look).await
    }

    async fn checked_last(&self, repo: u64, pull_request: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError> {
        let look = move |state: &mut State| at_once(state.store.checked_last(repo, pull_request, n_max));
        self.ask(Kind::Store, || format!("look which checks of #{pull_request} were looked into last"), look).await
    }

    async fn recent(&self, asking: &Asking, since: Timestamp) -> Result<Recent, StoreError> {
        let asking = *asking;
        let look = move |state: &mut State| at_once(state.store.recent(&asking, since));
        self.ask(Kind::Store, || "look at what was begun lately".into(), look).await
    }

    async fn claim(&self, worker: &str, now: Timestamp, lease: Duration, lanes: Lanes) -> Result<Option<Claim>, StoreError> {
        let (worker, process) = (worker.to_owned(), self.process);
        let until_ms = now.as_millisecond() + i64::try_from(lease.as_millis()).expect("leases are short");
        {
            // A look that finds nothing makes no difference, whenever it arrives.
            let state = self.world.state();
            if state.removed.is_none() && !state.books.may_have_work(state.now_ms()) {
                return Ok(None);
            }
        }
        let claim = self.ask(
            Kind::Idle,
            || "claim a job".into(),
            move |state| {
                // Who looks from behind all leases sees none.
                let is_blind = state.removed == Some(Guard::LeasesAreExclusive);
                let seen_from = if is_blind { now + SignedDuration::from_hours(1) } else { now };
                without::reservations_that_outlive(state);
                let claim = at_once(state.store.claim(&worker, seen_from, lease, lanes))?;
                if let Some(claim) = &claim {
                    let (job, holder) = (claim.lease.job().clone(), Holder { fence: claim.lease.fence(), process, until_ms });
                    state.tell(|| format!("p{process} has job {job} as claim {}", holder.fence));
                    if let Some(other) = state.books.beside(&job, state.now_ms()) {
                        let rule = format!("{job} has a worker while {other}, of the same issue, has one");
                        state.violate(rule);
                    }
                    state.books.held.insert(job.clone(), holder);
                    state.books.holders.insert(job, holder);
                }
                Ok(claim)
            },
        );
        claim.await
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, duration: Duration) -> Result<(), StoreError> {
        let lease = copy(lease);
        self.ask(
            Kind::Tenure,
            || "renew the lease".into(),
            move |state| {
                if state.removed == Some(Guard::LeasesAreRenewed) {
                    return Ok(());
                }
                let renewed = at_once(state.store.renew(&lease, now, duration));
                if renewed.is_ok()
                    && let Some(holder) = state.books.held.get_mut(lease.job())
                {
                    holder.until_ms = now.as_millisecond() + i64::try_from(duration.as_millis()).expect("leases are short");
                }
                renewed
            },
        )
        .await
    }

    async fn append(&self, lease: &Lease, seen: u32, kind: EntryKind, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let lease = copy(lease);
        let what = format!("append {}", &format!("{kind:?}").split([' ', '{']).next().unwrap_or_default());
        self.ask(
            Kind::Store,
            || what,
            move |state| {
                let job = lease.job().clone();
                without::effects_that_are_journaled_first(state, &job, &kind);
                if matches!(kind, EntryKind::PublishPlanned { .. }) && state.does_without(Guard::EntriesAreDurable, 64) {
                    return without::durable_entries(state, &job, seen, kind, now);
                }
                let is_end = matches!(kind, EntryKind::Completed { .. });
                let mut entries = at_once(state.store.append(&counted(state, &lease), seen, kind, now))?;
                without::cancels_that_are_heard(state, &mut entries);
                if state.books.holders.get(&job).is_some_and(|holder| holder.fence != lease.fence()) {
                    state.violate(format!("a worker without the lease wrote to the journal of {job}"));
                }
                if is_end {
                    state.books.completed.insert(job.clone());
                    state.books.held.remove(&job);
                }
                Ok(entries)
            },
        )
        .await
    }

    async fn request_cancel(&self, key: &JobKey, because: &str, now: Timestamp) -> Result<(), StoreError> {
        let (key, because) = (key.clone(), because.to_owned());
        self.ask(Kind::Store, || "cancel".into(), move |state| at_once(state.store.request_cancel(&key, &because, now))).await
    }

    async fn release(&self, lease: Lease, not_before: Timestamp) -> Result<(), StoreError> {
        let job = lease.job().clone();
        let released = self.ask(
            Kind::Tenure,
            || "hand the job back".into(),
            move |state| {
                if state.removed == Some(Guard::JobsAreHandedBack) {
                    return Err(StoreError::LeaseLost { job });
                }
                let released = at_once(state.store.release(counted(state, &lease), not_before));
                if released.is_ok() {
                    state.books.held.remove(&job);
                }
                released
            },
        );
        released.await?;
        self.signals.jobs.notify_one();
        Ok(())
    }

    async fn job(&self, job: &JobId) -> Result<(JobSpec, JobState), StoreError> {
        let job = job.clone();
        self.ask(Kind::Store, || format!("look at job {job}"), {
            let job = job.clone();
            move |state| {
                let (mut spec, job) = at_once(state.store.job(&job))?;
                if state.removed == Some(Guard::ClosesStopWhatWasAskedForBefore) {
                    spec.requested_at = Timestamp::MIN;
                }
                Ok((spec, job))
            }
        })
        .await
    }

    async fn jobs(&self, wanted: &Wanted, count: u32, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let wanted = wanted.clone();
        self.ask(Kind::Store, || "list jobs".into(), move |state| at_once(state.store.jobs(&wanted, count, now))).await
    }

    async fn given_up(&self, count: u32) -> Result<Vec<GivenUp>, StoreError> {
        self.ask(Kind::Store, || "list deliveries".into(), move |state| at_once(state.store.given_up(count))).await
    }

    async fn journal(&self, job: &JobId, seen: u32) -> Result<Vec<Entry>, StoreError> {
        let job = job.clone();
        self.ask(Kind::Store, || "read a journal".into(), move |state| at_once(state.store.journal(&job, seen))).await
    }

    async fn reserve(&self, lease: &Lease, most: Spending, limits: &Limits, now: Timestamp) -> Result<Reserved, StoreError> {
        let (lease, limits) = (copy(lease), *limits);
        self.ask(
            Kind::Store,
            || "reserve".into(),
            move |state| {
                let most = if state.removed == Some(Guard::SpendingIsReserved) { Spending::default() } else { most };
                at_once(state.store.reserve(&counted(state, &lease), most, &limits, now))
            },
        )
        .await
    }

    async fn settle(&self, lease: &Lease, used: Spending) -> Result<(), StoreError> {
        let lease = copy(lease);
        self.ask(Kind::Store, || "settle".into(), move |state| at_once(state.store.settle(&counted(state, &lease), used))).await
    }

    async fn spending(&self, scope: Scope, day: Date) -> Result<Spending, StoreError> {
        self.ask(Kind::Store, || "look at the ledger".into(), move |state| at_once(state.store.spending(scope, day))).await
    }

    async fn put_artifact(&self, bytes: Vec<u8>, now: Timestamp) -> Result<Digest, StoreError> {
        self.ask(Kind::Store, || "keep an artifact".into(), move |state| at_once(state.store.put_artifact(bytes, now))).await
    }

    async fn artifact(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let digest = *digest;
        self.ask(Kind::Store, || "read an artifact".into(), move |state| at_once(state.store.artifact(&digest))).await
    }

    async fn remember_flaky(&self, repo: u64, tests: &[String], now: Timestamp) -> Result<(), StoreError> {
        let tests = tests.to_vec();
        self.ask(Kind::Store, || "remember".into(), move |state| at_once(state.store.remember_flaky(repo, &tests, now))).await
    }

    async fn flaky_tests(&self, repo: u64, now: Timestamp) -> Result<BTreeSet<String>, StoreError> {
        self.ask(Kind::Store, || "recall".into(), move |state| at_once(state.store.flaky_tests(repo, now))).await
    }

    async fn forget(&self, before: Timestamp, count: u32) -> Result<Forgotten, StoreError> {
        self.ask(Kind::Store, || "forget".into(), move |state| at_once(state.store.forget(before, count))).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }
}
