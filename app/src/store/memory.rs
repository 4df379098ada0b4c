//! The store in memory, for tests and for runs that nobody needs to remember; held to the same contract.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use patchwright_domain::event::{DeliveryId, IssueNumber, RawDelivery};
use patchwright_domain::job::{JobId, JobKey, JobSpec};
use patchwright_domain::journal::{Digest, Entry, EntryKind, Outcome};
use patchwright_domain::policy::Decision;
use patchwright_domain::policy::rates::{COUNTED_MAX, Recent};

use self::ledger::Ledger;
use super::ledger::{Limits, Reserved, Scope, Spending};
use super::listing::{Beside, GivenUp, LISTED_MAX, Listed, Wanted};
use super::records::gives_way;
use super::{
    Asking, Claim, Decided, FLAKY_FOR, FLAKY_TESTS_MAX, Forgotten, JobState, Lanes, Lease, Received, Signals, Store, StoreError,
    Waiting, records,
};

mod ledger;
mod listing;
mod retention;

/// A store that forgets everything at the end of the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
    signals: Signals,
}

#[derive(Debug, Default)]
struct Tables {
    deliveries: Vec<Delivery>,
    jobs: Vec<Job>,
    artifacts: HashMap<Digest, (Vec<u8>, Timestamp)>,
    flaky_tests: BTreeMap<u64, HashMap<String, Timestamp>>,
    places: BTreeMap<DeliveryId, usize>,
    ledger: Ledger,
}

#[derive(Debug)]
struct Delivery {
    raw: RawDelivery,
    decide_after: Timestamp,
    postponed: u32,
    decision: Option<Decision>,
}

#[derive(Debug)]
struct Job {
    id: JobId,
    spec: JobSpec,
    journal: Vec<Entry>,
    created_at: Timestamp,
    run_after: Timestamp,
    lease_until: Option<Timestamp>,
    fence: u32,
    handed_back: bool,
    outcome: Option<Outcome>,
}

impl Job {
    fn write(&mut self, kind: EntryKind, now: Timestamp) {
        let previous = match self.journal.last() {
            Some(entry) => entry.digest,
            None => Digest::of(&serde_json::to_vec(&self.spec).expect("a specification holds only what JSON can hold")),
        };
        let seq = u32::try_from(self.journal.len()).expect("a journal is short");
        self.journal.push(Entry::write(seq, now, previous, kind).0);
    }

    fn is_free(&self, now: Timestamp) -> bool {
        self.outcome.is_none() && self.run_after <= now && self.lease_until.is_none_or(|until| until <= now)
    }

    fn request_cancel(&mut self, because: &str, now: Timestamp) {
        if self.outcome.is_none() {
            if self.lease_until.is_none() {
                self.run_after = self.run_after.min(now);
            }
            self.write(EntryKind::CancelRequested { because: because.to_owned() }, now);
        }
    }
}

impl Tables {
    /// The last jobs of a place, the last one first: those that somebody has asked for, or those of red checks.
    fn last(&self, repo: u64, issue: IssueNumber, is_of_check: bool, n_max: u32) -> Vec<JobKey> {
        let of_place = |job: &&Job| {
            let spec = &job.spec;
            spec.repo.id == repo && spec.task.issue() == Some(issue) && spec.key.is_of_check() == is_of_check
        };
        let mut jobs: Vec<&Job> = self.jobs.iter().filter(of_place).collect();
        jobs.sort_by_key(|job| job.created_at);
        jobs.into_iter().rev().take(n_max as usize).map(|job| job.spec.key.clone()).collect()
    }

    /// Does one thing that follows from a delivery, and says what of it is to be stored.
    fn follow(&mut self, decision: &Decision, now: Timestamp) -> Result<(Decision, Decided), StoreError> {
        Ok(match decision {
            Decision::Start { spec, .. } if !self.insert(spec, now) => records::duplicate(spec),
            Decision::Cancel { keys, because } => {
                let jobs: Vec<JobId> = keys.iter().map(JobId::of).collect();
                jobs.iter().try_for_each(|job| self.job(job).map(|_| ()))?;
                for job in &jobs {
                    self.job(job)?.request_cancel(because, now);
                }
                (decision.clone(), Decided::Stored)
            }
            Decision::Start { .. } | Decision::Ignore { .. } => (decision.clone(), Decided::Stored),
            Decision::Several { .. } => return Err(records::in_itself(decision)),
        })
    }

    fn delivery(&mut self, id: &DeliveryId) -> Result<&mut Delivery, StoreError> {
        let place = self.places.get(id).ok_or_else(|| StoreError::Unknown { what: format!("delivery {id}") })?;
        Ok(&mut self.deliveries[*place])
    }

    fn job(&mut self, id: &JobId) -> Result<&mut Job, StoreError> {
        let job = self.jobs.iter_mut().find(|job| job.id == *id);
        job.ok_or_else(|| StoreError::Unknown { what: format!("job {id}") })
    }

    /// The other jobs that may keep this one from being claimed.
    fn beside(&self, job: &Job, now: Timestamp) -> Beside {
        let issue = |job: &Job| job.spec.task.issue().map(|issue| (job.spec.repo.id, issue));
        let has_worker = |other: &&Job| other.outcome.is_none() && other.lease_until.is_some() && other.id != job.id;
        let at_work: Vec<&Job> = self.jobs.iter().filter(has_worker).collect();
        let counted = |of: fn(&Job) -> u64| {
            let is_work = |job: &Job| job.spec.task.issue().is_some();
            let is_beside = |other: &&&Job| {
                let is_held = other.lease_until.is_some_and(|until| until > now);
                is_work(job) && is_work(other) && of(other) == of(job) && is_held
            };
            u32::try_from(at_work.iter().filter(is_beside).count()).unwrap_or(u32::MAX)
        };
        let of_issue = at_work.iter().find(|other| issue(job).is_some() && issue(other) == issue(job));
        Beside {
            of_issue: of_issue.map(|other| other.id.to_string()),
            n_of_repository: counted(|job| job.spec.repo.id),
            n_of_installation: counted(|job| job.spec.repo.installation),
        }
    }

    fn held(&mut self, lease: &Lease) -> Result<&mut Job, StoreError> {
        let job = self.job(&lease.job)?;
        let is_held = job.fence == lease.fence && job.outcome.is_none() && job.lease_until.is_some();
        if is_held { Ok(job) } else { Err(StoreError::LeaseLost { job: lease.job.clone() }) }
    }

    fn insert(&mut self, spec: &JobSpec, now: Timestamp) -> bool {
        let id = spec.id();
        if self.jobs.iter().any(|job| job.id == id) {
            return false;
        }
        let spec = spec.clone();
        self.jobs.push(Job {
            id,
            spec,
            journal: Vec::new(),
            created_at: now,
            run_after: now,
            lease_until: None,
            fence: 0,
            handed_back: true,
            outcome: None,
        });
        true
    }
}

impl MemoryStore {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[async_trait]
impl Store for MemoryStore {
    async fn receive(&self, delivery: &RawDelivery) -> Result<Received, StoreError> {
        let mut tables = self.tables();
        if tables.places.contains_key(&delivery.id) {
            return Ok(Received::Known);
        }
        let place = tables.deliveries.len();
        tables.places.insert(delivery.id.clone(), place);
        let raw = delivery.clone();
        tables.deliveries.push(Delivery { decide_after: raw.received_at, raw, postponed: 0, decision: None });
        self.signals.deliveries.notify_one();
        Ok(Received::Stored)
    }

    async fn undecided(&self, now: Timestamp, count: u32) -> Result<Vec<Waiting>, StoreError> {
        let tables = self.tables();
        let waiting = tables.deliveries.iter().filter(|d| d.decision.is_none() && d.decide_after <= now);
        let waiting = waiting.map(|d| Waiting { delivery: d.raw.clone(), n_postponed: d.postponed });
        let mut waiting: Vec<Waiting> = waiting.collect();
        waiting.sort_by_key(|waiting| waiting.delivery.received_at);
        waiting.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        Ok(waiting)
    }

    async fn postpone(&self, delivery: &DeliveryId, until: Timestamp) -> Result<u32, StoreError> {
        let mut tables = self.tables();
        let delivery = tables.delivery(delivery)?;
        delivery.decide_after = until;
        delivery.postponed += 1;
        Ok(delivery.postponed)
    }

    async fn decide(&self, delivery: &DeliveryId, decision: &Decision, now: Timestamp) -> Result<Decided, StoreError> {
        let mut tables = self.tables();
        if tables.delivery(delivery)?.decision.is_some() {
            return Ok(Decided::Before);
        }
        let (stored, decided) = match decision {
            Decision::Several { decisions } => {
                // There is no way back from a part.
                let cancelled = decisions.iter().filter_map(|part| match part {
                    Decision::Cancel { keys, .. } => Some(keys),
                    Decision::Start { .. } | Decision::Ignore { .. } | Decision::Several { .. } => None,
                });
                cancelled.flatten().try_for_each(|key| tables.job(&JobId::of(key)).map(|_| ()))?;
                let done = decisions.iter().map(|part| tables.follow(part, now)).collect::<Result<Vec<_>, StoreError>>()?;
                records::several(done)
            }
            one => tables.follow(one, now)?,
        };
        tables.delivery(delivery)?.decision = Some(stored);
        self.signals.jobs.notify_one();
        Ok(decided)
    }

    async fn received_at(&self, delivery: &DeliveryId) -> Result<Timestamp, StoreError> {
        Ok(self.tables().delivery(delivery)?.raw.received_at)
    }

    async fn decision(&self, delivery: &DeliveryId) -> Result<Option<Decision>, StoreError> {
        Ok(self.tables().delivery(delivery)?.decision.clone())
    }

    async fn open_jobs(&self, repo: u64, issue: IssueNumber) -> Result<Vec<JobKey>, StoreError> {
        let tables = self.tables();
        let of_issue = |job: &&Job| job.outcome.is_none() && job.spec.repo.id == repo && job.spec.task.issue() == Some(issue);
        Ok(tables.jobs.iter().filter(of_issue).map(|job| job.spec.key.clone()).collect())
    }

    async fn last_ended(&self, repo: u64, issue: IssueNumber) -> Result<Option<JobKey>, StoreError> {
        let tables = self.tables();
        let is_one = |job: &&Job| {
            let spec = &job.spec;
            job.outcome.is_some() && spec.repo.id == repo && spec.task.issue() == Some(issue) && !spec.key.is_of_check()
        };
        // The later one of those that were made at one time.
        Ok(tables.jobs.iter().filter(is_one).max_by_key(|job| job.created_at).map(|job| job.spec.key.clone()))
    }

    async fn asked_last(&self, repo: u64, issue: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError> {
        Ok(self.tables().last(repo, issue, false, n_max))
    }

    async fn checked_last(&self, repo: u64, pull_request: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError> {
        Ok(self.tables().last(repo, pull_request, true, n_max))
    }

    async fn recent(&self, asking: &Asking, since: Timestamp) -> Result<Recent, StoreError> {
        let tables = self.tables();
        let jobs: Vec<&Job> =
            tables.jobs.iter().filter(|job| job.spec.repo.id == asking.repo && job.created_at >= since).collect();
        let count = |is_counted: &dyn Fn(&JobSpec) -> bool| {
            let n_jobs = jobs.iter().filter(|job| is_counted(&job.spec)).count();
            u32::try_from(n_jobs).unwrap_or(u32::MAX).min(COUNTED_MAX)
        };
        let is_work = |spec: &JobSpec| asking.is_work_counted && spec.task.issue().is_some();
        let is_answer = |spec: &JobSpec| spec.task.issue().is_none();
        Ok(Recent {
            by_user: count(&|spec| is_work(spec) && spec.requested_by.id == asking.requested_by),
            in_repository: count(&is_work),
            answers_in_place: count(&|spec| is_answer(spec) && spec.task.place() == Some(asking.place)),
            answers: count(&is_answer),
        })
    }

    async fn claim(&self, worker: &str, now: Timestamp, lease: Duration, lanes: Lanes) -> Result<Option<Claim>, StoreError> {
        let mut tables = self.tables();
        let free = tables
            .jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| job.is_free(now) && tables.beside(job, now).hindrance(lanes).is_none());
        let Some((place, _)) = free.min_by_key(|(_, job)| job.run_after.as_millisecond().saturating_add(gives_way(&job.spec)))
        else {
            return Ok(None);
        };
        let job = &mut tables.jobs[place];
        job.lease_until = Some(later(now, lease));
        job.fence += 1;
        let handed_back = std::mem::replace(&mut job.handed_back, false);
        job.write(EntryKind::Claimed { worker: worker.to_owned(), handed_back }, now);
        let lease = Lease { job: job.id.clone(), fence: job.fence };
        Ok(Some(Claim { lease, spec: job.spec.clone(), journal: job.journal.clone() }))
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, duration: Duration) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let job = tables.held(lease)?;
        job.lease_until = job.lease_until.max(Some(later(now, duration)));
        Ok(())
    }

    async fn append(&self, lease: &Lease, seen: u32, kind: EntryKind, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let mut tables = self.tables();
        let job = tables.held(lease)?;
        if let EntryKind::Completed { outcome } = &kind {
            job.outcome = Some(*outcome);
            job.lease_until = None;
        }
        job.write(kind, now);
        Ok(job.journal.iter().filter(|entry| entry.seq >= seen).cloned().collect())
    }

    async fn request_cancel(&self, key: &JobKey, because: &str, now: Timestamp) -> Result<(), StoreError> {
        self.tables().job(&JobId::of(key))?.request_cancel(because, now);
        Ok(())
    }

    async fn release(&self, lease: Lease, not_before: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let job = tables.held(&lease)?;
        job.lease_until = None;
        job.run_after = not_before;
        job.handed_back = true;
        self.signals.jobs.notify_one();
        Ok(())
    }

    async fn job(&self, job: &JobId) -> Result<(JobSpec, JobState), StoreError> {
        let mut tables = self.tables();
        let job = tables.job(job)?;
        Ok((job.spec.clone(), job.state()))
    }

    async fn jobs(&self, wanted: &Wanted, count: u32, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        Ok(self.tables().list(wanted, count.min(LISTED_MAX) as usize, now))
    }

    async fn given_up(&self, count: u32) -> Result<Vec<GivenUp>, StoreError> {
        Ok(self.tables().given_up(count.min(LISTED_MAX) as usize))
    }

    async fn journal(&self, job: &JobId, seen: u32) -> Result<Vec<Entry>, StoreError> {
        let mut tables = self.tables();
        Ok(tables.job(job)?.journal.iter().filter(|entry| entry.seq >= seen).cloned().collect())
    }

    async fn reserve(&self, lease: &Lease, most: Spending, limits: &Limits, now: Timestamp) -> Result<Reserved, StoreError> {
        let mut tables = self.tables();
        let spec = tables.held(lease)?.spec.clone();
        Ok(tables.ledger.reserve(&spec, lease.fence, most, limits, now))
    }

    async fn settle(&self, lease: &Lease, used: Spending) -> Result<(), StoreError> {
        let mut tables = self.tables();
        tables.held(lease)?;
        let is_settled = tables.ledger.settle(&lease.job, lease.fence, used);
        if is_settled { Ok(()) } else { Err(StoreError::Unknown { what: format!("reservation of job {}", lease.job) }) }
    }

    async fn spending(&self, scope: Scope, day: Date) -> Result<Spending, StoreError> {
        Ok(self.tables().ledger.spending(scope, day))
    }

    async fn put_artifact(&self, bytes: Vec<u8>, now: Timestamp) -> Result<Digest, StoreError> {
        let (digest, mut tables) = (Digest::of(&bytes), self.tables());
        let kept_at = tables.artifacts.get(&digest).map_or(now, |(_, kept_at)| now.max(*kept_at));
        tables.artifacts.insert(digest, (bytes, kept_at));
        Ok(digest)
    }

    async fn artifact(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let bytes = self.tables().artifacts.get(digest).map(|(bytes, _)| bytes.clone());
        bytes.ok_or_else(|| StoreError::Unknown { what: format!("artifact {digest}") })
    }

    async fn remember_flaky(&self, repo: u64, tests: &[String], now: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let known = tables.flaky_tests.entry(repo).or_default();
        known.extend(tests.iter().map(|test| (test.clone(), now)));
        let mut newest: Vec<(Timestamp, String)> = known.drain().map(|(test, at)| (at, test)).collect();
        newest.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        newest.truncate(usize::try_from(FLAKY_TESTS_MAX).unwrap_or(usize::MAX));
        known.extend(newest.into_iter().map(|(at, test)| (test, at)));
        Ok(())
    }

    async fn flaky_tests(&self, repo: u64, now: Timestamp) -> Result<BTreeSet<String>, StoreError> {
        let tables = self.tables();
        let known = tables.flaky_tests.get(&repo).into_iter().flatten();
        let is_fresh =
            |at: Timestamp| now.duration_since(at) <= SignedDuration::try_from(FLAKY_FOR).unwrap_or(SignedDuration::MAX);
        Ok(known.filter(|(_, at)| is_fresh(**at)).map(|(test, _)| test.clone()).collect())
    }

    async fn forget(&self, before: Timestamp, count: u32) -> Result<Forgotten, StoreError> {
        Ok(self.tables().forget(before, usize::try_from(count).unwrap_or(usize::MAX)))
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }
}
