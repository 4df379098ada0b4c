use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use patchwright_domain::event::{Actor, DeliveryId, IssueNumber, RawDelivery, RepoRef, Role};
use patchwright_domain::job::{Budget, JobKey, JobSpec, Task};
use patchwright_domain::policy::Decision;

use super::*;
use crate::store::ledger::{self, Limit};
use crate::store::sqlite::SqliteStore;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A store on disk with one job, claimed; and a clock that mends the store when it is looked at for the so many-th time.
struct Desk {
    store: SqliteStore,
    lease: Lease,
    file: PathBuf,
    _folder: tempfile::TempDir,
    looks_until_mended: AtomicU32,
}

impl Clock for Desk {
    fn now(&self) -> Timestamp {
        if self.looks_until_mended.fetch_sub(1, Ordering::SeqCst) == 1 {
            alter(&self.file, "ALTER TABLE gone RENAME TO spending");
        }
        NOW
    }
}

fn alter(file: &std::path::Path, sql: &str) {
    rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

fn spec() -> JobSpec {
    let repo = RepoRef::new(7, 1, "octo", "rocket", "main").unwrap();
    let issue = IssueNumber(3);
    JobSpec {
        key: JobKey::of_comment(&repo, issue, 1),
        repo,
        task: Task::FixIssue { issue, request: None },
        requested_by: Actor { id: 9, login: "ada".into(), is_bot: false },
        role: Role::Write,
        delivery: DeliveryId::new("first").unwrap(),
        requested_at: NOW,
        budget: Budget { wall_clock_ms: 1, rounds: 1, attempts: 1, turns: 1, claims: 1, tokens: 1, cost_microusd: 1 },
    }
}

impl Desk {
    async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.db");
        let (store, spec) = (SqliteStore::open(file.clone()).await.unwrap(), spec());
        let raw = RawDelivery { id: spec.delivery.clone(), event: "issues".into(), body: Vec::new(), received_at: NOW };
        store.receive(&raw).await.unwrap();
        let start = Decision::Start { spec: Box::new(spec), because: "ada asked".into() };
        store.decide(&raw.id, &start, NOW).await.unwrap();
        let lease = store.claim("one", NOW, Duration::from_secs(60)).await.unwrap().unwrap().lease;
        Self { store, lease, file, _folder: folder, looks_until_mended: AtomicU32::new(0) }
    }

    fn meter(&self, limits: Limits) -> LedgerMeter<'_> {
        let patience = Patience { tries_max: 3, pause: Duration::ZERO };
        LedgerMeter { store: &self.store, clock: self, lease: &self.lease, limits, patience, broken: Mutex::default() }
    }

    /// Has the store fail until the clock was looked at so often.
    fn fail(&self, n_looks: u32) {
        alter(&self.file, "ALTER TABLE spending RENAME TO gone");
        self.looks_until_mended.store(n_looks, Ordering::SeqCst);
    }

    async fn spent(&self) -> u64 {
        self.store.spending(Scope::Everything, ledger::day(NOW)).await.unwrap().tokens
    }
}

fn of(tokens: u64) -> Reservation {
    Reservation { tokens, cost_microusd: 0 }
}

#[tokio::test]
async fn a_limit_is_told_with_its_key() {
    let desk = Desk::make().await;
    let repository = Limit { tokens: Some(100), cost_microusd: None };
    let meter = desk.meter(Limits { repository, ..Limits::default() });
    meter.reserve(of(100)).await.unwrap();
    meter.settle(of(100), of(60)).await;
    let exceeded = meter.reserve(of(41)).await.unwrap_err();
    let told = "The daily token limit for this repository leaves no room for another request \
                (`limits.repository_tokens_per_day`); the day ends at midnight UTC.";
    assert_eq!(exceeded.limit, told);
    meter.check().unwrap();
    assert_eq!(desk.spent().await, 60);
}

#[test]
fn every_limit_is_a_sentence() {
    let mut told = Vec::new();
    for scope in [Scope::Repository(1), Scope::User(1), Scope::Everything] {
        told.extend([Quantity::Tokens, Quantity::Cost].map(|quantity| super::told(scope, quantity)));
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    The daily token limit for this repository leaves no room for another request (`limits.repository_tokens_per_day`); the day ends at midnight UTC.
    The daily cost limit for this repository leaves no room for another request (`limits.repository_usd_per_day`); the day ends at midnight UTC.
    The daily token limit for the requests of one user leaves no room for another request (`limits.user_tokens_per_day`); the day ends at midnight UTC.
    The daily cost limit for the requests of one user leaves no room for another request (`limits.user_usd_per_day`); the day ends at midnight UTC.
    The daily token limit for all jobs together leaves no room for another request (`limits.tokens_per_day`); the day ends at midnight UTC.
    The daily cost limit for all jobs together leaves no room for another request (`limits.usd_per_day`); the day ends at midnight UTC.
    ");
}

#[tokio::test]
async fn a_ledger_that_comes_back_is_asked_again() {
    let desk = Desk::make().await;
    let meter = desk.meter(Limits::default());
    desk.fail(3);
    meter.reserve(of(10)).await.unwrap();
    meter.check().unwrap();
    assert_eq!(desk.spent().await, 10);
}

/// No request without a reservation, and no false word of a budget either: the step ends with the store's error.
#[tokio::test]
async fn a_ledger_that_stays_away_ends_the_step_and_not_the_budget() {
    let desk = Desk::make().await;
    let meter = desk.meter(Limits::default());
    desk.fail(4);
    meter.reserve(of(10)).await.unwrap_err();
    let _mended = desk.now();
    meter.reserve(of(10)).await.unwrap_err();
    assert_eq!(desk.spent().await, 0, "what is broken stays broken for this solve");
    assert!(matches!(meter.check(), Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn what_cannot_be_settled_stays_reserved_and_ends_the_step() {
    let desk = Desk::make().await;
    let meter = desk.meter(Limits::default());
    meter.reserve(of(10)).await.unwrap();
    desk.fail(1);
    meter.settle(of(10), of(1)).await;
    let _mended = desk.now();
    meter.reserve(of(10)).await.unwrap_err();
    assert_eq!(desk.spent().await, 10);
    assert!(matches!(meter.check(), Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_lost_lease_sends_nothing_more() {
    let desk = Desk::make().await;
    let later = NOW + jiff::SignedDuration::from_secs(61);
    let _other = desk.store.claim("two", later, Duration::from_secs(60)).await.unwrap().unwrap();
    let meter = desk.meter(Limits::default());
    meter.reserve(of(10)).await.unwrap_err();
    assert!(matches!(meter.check(), Err(StoreError::LeaseLost { .. })));
}
