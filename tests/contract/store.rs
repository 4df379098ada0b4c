//! What every store must do; the same suite for each of them. Time is a parameter, so that nothing here waits.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use patchwright::store::memory::MemoryStore;
use patchwright::store::sqlite::SqliteStore;
use patchwright::store::{Claim, Lanes, Store, StoreError, Waiting};
use patchwright_domain::event::{Actor, DeliveryId, IssueNumber, RawDelivery, RepoRef, Role};
use patchwright_domain::job::{Budget, JobKey, JobSpec, Opening, Task};
use patchwright_domain::journal::{Entry, EntryKind, Outcome};
use patchwright_domain::policy::Decision;

mod deliveries;
mod jobs;
mod leases;
mod ledger;
mod listing;
mod postgres;
mod sqlite;

const LEASE: Duration = Duration::from_secs(60);
const REPO: u64 = 7;

/// Runs each test on each store.
macro_rules! contract {
    ($($test:ident)*) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(std::sync::Arc::new(patchwright::store::memory::MemoryStore::default())).await;
            })*
        }
        mod in_sqlite {
            $(#[tokio::test]
            async fn $test() {
                let (_folder, store) = crate::contract::store::sqlite_store().await;
                super::$test(store).await;
            })*
        }
        mod in_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let Some(cluster) = crate::support::postgres::cluster().await else { return };
                let (_database, store) = cluster.store(crate::support::postgres::NOW).await;
                super::$test(store).await;
            })*
        }
        mod beside_a_later_version {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let Some(cluster) = crate::support::postgres::cluster().await else { return };
                let (_database, store) = cluster.store(crate::support::postgres::LATER).await;
                super::$test(store).await;
            })*
        }
    };
}
use contract;

type Shared = Arc<dyn Store>;

async fn sqlite_store() -> (tempfile::TempDir, Shared) {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let store = SqliteStore::open(folder.path().join("store.db")).await.expect("the file can be made");
    (folder, Arc::new(store))
}

/// That many seconds after the beginning.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + seconds).expect("the time is in range")
}

fn id(name: &str) -> DeliveryId {
    DeliveryId::new(name).expect("the name is well-formed")
}

fn delivery(name: &str, seconds: i64) -> RawDelivery {
    RawDelivery { id: id(name), event: "issues".into(), body: name.as_bytes().to_vec(), received_at: at(seconds) }
}

/// One that was never put off.
fn fresh(delivery: RawDelivery) -> Waiting {
    Waiting { delivery, n_postponed: 0 }
}

/// Each comment is on an issue of its own.
fn spec(comment: u64) -> JobSpec {
    spec_of(IssueNumber(100 + comment), comment)
}

fn spec_of(issue: IssueNumber, comment: u64) -> JobSpec {
    let repo = RepoRef::new(REPO, 1, "octo", "rocket", "main").expect("the names are fine");
    JobSpec {
        key: JobKey::of_comment(&repo, issue, comment),
        repo,
        task: Task::FixIssue { issue, request: None },
        requested_by: Actor { id: 9, login: "ada".into(), is_bot: false },
        role: Role::Write,
        needed: Role::Write,
        delivery: id("first"),
        requested_at: at(0),
        budget: Budget { wall_clock_ms: 1, rounds: 1, attempts: 1, turns: 1, claims: 1, tokens: 1, cost_microusd: 1 },
        described: None,
        plan: None,
        opening: Opening::default(),
        schedule: None,
    }
}

fn start(comment: u64) -> Decision {
    Decision::Start { spec: Box::new(spec(comment)), because: "ada asked".into() }
}

/// Receives a delivery and decides that it starts a job.
async fn begin(store: &Shared, comment: u64, seconds: i64) {
    begin_of(store, IssueNumber(100 + comment), comment, seconds).await;
}

async fn begin_of(store: &Shared, issue: IssueNumber, comment: u64, seconds: i64) {
    let name = format!("delivery-{comment}");
    store.receive(&delivery(&name, seconds)).await.expect("the store takes it");
    let start = Decision::Start { spec: Box::new(spec_of(issue, comment)), because: "ada asked".into() };
    store.decide(&id(&name), &start, at(seconds)).await.expect("the store takes it");
}

async fn claim(store: &Shared, worker: &str, seconds: i64) -> Option<Claim> {
    store.claim(worker, at(seconds), LEASE, Lanes::default()).await.expect("the store answers")
}

async fn claimed(store: &Shared, worker: &str, seconds: i64) -> Claim {
    claim(store, worker, seconds).await.expect("a job is free")
}

fn note(text: &str) -> EntryKind {
    EntryKind::TurnTaken { usage: patchwright_domain::job::Usage::default(), note: text.into() }
}

fn completed() -> EntryKind {
    EntryKind::Completed { outcome: Outcome::NoChange }
}

/// The journal in a line: what was written, in order.
fn told(entries: &[Entry]) -> String {
    let words = entries.iter().map(|entry| match &entry.kind {
        EntryKind::Claimed { worker, handed_back } => {
            format!("{worker} claims{}", if *handed_back { "" } else { " after a death" })
        }
        EntryKind::TurnTaken { note, .. } => note.clone(),
        EntryKind::CancelRequested { because } => format!("cancel: {because}"),
        EntryKind::Completed { outcome } => format!("{outcome}"),
        other => format!("{other:?}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn assert_lost<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::LeaseLost { .. })), "{result:?}");
}

#[track_caller]
fn assert_unknown<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unknown { .. })), "{result:?}");
}

/// Each entry follows from the one before, the first from the specification as it is stored.
#[track_caller]
fn assert_chained(spec: &JobSpec, entries: &[Entry]) {
    let text = serde_json::to_string(spec).expect("a specification is JSON");
    let mut previous = patchwright_domain::journal::Digest::of(text.as_bytes());
    for (seq, entry) in (0u32..).zip(entries) {
        let (again, _) = Entry::write(seq, entry.at, previous, entry.kind.clone());
        assert_eq!(*entry, again);
        previous = entry.digest;
    }
}

#[tokio::test]
async fn two_stores_in_memory_share_nothing() {
    let (one, other) = (MemoryStore::default(), MemoryStore::default());
    one.receive(&delivery("a", 0)).await.expect("the store takes it");
    assert!(other.undecided(at(9), 9).await.expect("the store answers").is_empty());
}
