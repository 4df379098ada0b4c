//! The meter of a job with a real store: it keeps the limits, and it fails closed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use patchwright::agent::{Meter as _, Reservation};
use patchwright::clock::Clock;
use patchwright::store::ledger::{self, Limit, Limits, Scope};
use patchwright::store::sqlite::SqliteStore;
use patchwright::store::{Lanes, Lease, Store as _, StoreError};
use patchwright::worker::meter::{LedgerMeter, Patience};
use patchwright_domain::event::{Actor, DeliveryId, IssueNumber, RawDelivery, RepoRef, Role};
use patchwright_domain::job::{Budget, JobKey, JobSpec, Opening, Task};
use patchwright_domain::policy::Decision;

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

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

fn alter(file: &Path, sql: &str) {
    rusqlite::Connection::open(file).expect("it is the test's own").execute_batch(sql).expect("it is the test's own");
}

fn spec() -> JobSpec {
    let repo = RepoRef::new(7, 1, "octo", "rocket", "main").expect("it is the test's own");
    let issue = IssueNumber(3);
    JobSpec {
        key: JobKey::of_comment(&repo, issue, 1),
        repo,
        task: Task::FixIssue { issue, request: None },
        requested_by: Actor { id: 9, login: "ada".into(), is_bot: false },
        role: Role::Write,
        needed: Role::Write,
        delivery: DeliveryId::new("first").expect("it is the test's own"),
        requested_at: NOW,
        budget: Budget { wall_clock_ms: 1, rounds: 1, attempts: 1, turns: 1, claims: 1, tokens: 1, cost_microusd: 1 },
        described: None,
        plan: None,
        opening: Opening::default(),
        schedule: None,
    }
}

impl Desk {
    async fn make() -> Self {
        let folder = tempfile::tempdir().expect("it is the test's own");
        let file = folder.path().join("store.db");
        let (store, spec) = (SqliteStore::open(file.clone()).await.expect("it is the test's own"), spec());
        let raw = RawDelivery { id: spec.delivery.clone(), event: "issues".into(), body: Vec::new(), received_at: NOW };
        store.receive(&raw).await.expect("it is the test's own");
        let start = Decision::Start { spec: Box::new(spec), because: "ada asked".into() };
        store.decide(&raw.id, &start, NOW).await.expect("it is the test's own");
        let lease = store
            .claim("one", NOW, Duration::from_secs(60), Lanes::default())
            .await
            .expect("it is the test's own")
            .expect("it is the test's own")
            .lease;
        Self { store, lease, file, _folder: folder, looks_until_mended: AtomicU32::new(0) }
    }

    fn meter(&self, limits: Limits) -> LedgerMeter<'_> {
        let patience = Patience { tries_max: 3, pause: Duration::ZERO };
        LedgerMeter::new(&self.store, self, &self.lease, limits).with_patience(patience)
    }

    /// Has the store fail until the clock was looked at so often.
    fn fail(&self, n_looks: u32) {
        alter(&self.file, "ALTER TABLE spending RENAME TO gone");
        self.looks_until_mended.store(n_looks, Ordering::SeqCst);
    }

    async fn spent(&self) -> u64 {
        self.store.spending(Scope::Everything, ledger::day(NOW)).await.expect("it is the test's own").tokens
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
    meter.reserve(of(100)).await.expect("it is the test's own");
    meter.settle(of(100), of(60)).await;
    let exceeded = meter.reserve(of(41)).await.unwrap_err();
    let told = "The daily token limit for this repository leaves no room for another request \
                (`limits.repository_tokens_per_day`); the day ends at midnight UTC.";
    assert_eq!(exceeded.limit, told);
    meter.check().expect("it is the test's own");
    assert_eq!(desk.spent().await, 60);
}

#[tokio::test]
async fn a_ledger_that_comes_back_is_asked_again() {
    let desk = Desk::make().await;
    let meter = desk.meter(Limits::default());
    desk.fail(3);
    meter.reserve(of(10)).await.expect("it is the test's own");
    meter.check().expect("it is the test's own");
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
    meter.reserve(of(10)).await.expect("it is the test's own");
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
    let _other = desk
        .store
        .claim("two", later, Duration::from_secs(60), Lanes::default())
        .await
        .expect("it is the test's own")
        .expect("it is the test's own");
    let meter = desk.meter(Limits::default());
    meter.reserve(of(10)).await.unwrap_err();
    assert!(matches!(meter.check(), Err(StoreError::LeaseLost { .. })));
}
