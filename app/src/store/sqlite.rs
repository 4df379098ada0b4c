//! The store on SQLite: one file, one writer.
//!
//! A thread owns the connection. Whatever waits when it looks is done in one transaction, each piece of more than one
//! statement in a savepoint of its own, and is answered after the commit: under load many deliveries share one fsync, alone a
//! delivery waits for nobody. `synchronous=FULL` with a write-ahead log makes a commit durable; another thread moves the log into the database.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use patchwright_domain::event::{DeliveryId, IssueNumber, RawDelivery};
use patchwright_domain::job::{JobId, JobKey, JobSpec};
use patchwright_domain::journal::{Digest, Entry, EntryKind};
use patchwright_domain::policy::Decision;
use patchwright_domain::policy::rates::Recent;
use rusqlite::{Connection, OpenFlags, Savepoint, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::ledger::{Limits, Reserved, Scope, Spending};
use super::listing::{GivenUp, LISTED_MAX, Listed, Wanted};
use super::packed::New;
use super::records::{earlier, later, milliseconds, number};
use super::{
    Asking, Claim, Decided, FLAKY_FOR, FLAKY_TESTS_MAX, FULL, Forgotten, JobState, Lanes, Lease, Received, Signals, Store,
    StoreError, Waiting,
};

mod checkpoint;
mod deliveries;
mod jobs;
mod ledger;
mod listing;
mod retention;

use checkpoint::Checkpoints;

/// How often a write-ahead log is asked for, and how long it is between two times.
const WRITE_AHEAD_ATTEMPTS_MAX: usize = 500;
const PAUSE: Duration = Duration::from_millis(10);
/// How many requests may wait for the writer; more wait in their callers.
const QUEUE_LENGTH_MAX: usize = 1024;
/// How many requests share one transaction.
const BATCH_LENGTH_MAX: usize = 256;
/// How long another process may hold the file before a request fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The schema, oldest first; the file's `user_version` says how many are applied.
const MIGRATIONS: [&str; 9] = [
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_ledger.sql"),
    include_str!("../../migrations/0003_flaky_tests.sql"),
    include_str!("../../migrations/0004_packed_deliveries.sql"),
    include_str!("../../migrations/0005_lanes.sql"),
    include_str!("../../migrations/0006_retention.sql"),
    include_str!("../../migrations/0007_at_work.sql"),
    include_str!("../../migrations/0008_given_up.sql"),
    include_str!("../../migrations/0009_rates.sql"),
];

type Piece = Box<dyn FnOnce(&mut rusqlite::Transaction<'_>) -> Answer + Send>;
/// Told whether the transaction was committed.
type Answer = Box<dyn FnOnce(Result<(), &rusqlite::Error>) + Send>;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    requests: mpsc::Sender<Piece>,
    signals: Signals,
}

impl SqliteStore {
    /// Opens the file, makes it where it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the file cannot be opened or migrated, or was written by a newer program.
    pub async fn open(path: PathBuf) -> Result<Self, StoreError> {
        Self::start(move || {
            let connection = connect(&path)?;
            Ok((Some(Checkpoints::start(&path, &connection)?), connection))
        })
        .await
    }

    /// Opens a file of which another process may be the writer, to look at it alone: nothing keeps that one waiting, however long
    /// it takes, and whatever would write fails.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the file is not there or was written by another version of this program.
    pub async fn open_to_read(path: PathBuf) -> Result<Self, StoreError> {
        Self::start(move || Ok((None, connect_to_read(&path)?))).await
    }

    async fn start(
        connect: impl FnOnce() -> Result<(Option<Checkpoints>, Connection), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (requests, queue) = mpsc::channel(QUEUE_LENGTH_MAX);
        let (opened, is_open) = oneshot::channel();
        let run = move || match connect() {
            Ok((checkpoints, connection)) => {
                let _ = opened.send(Ok(()));
                write(connection, checkpoints.as_ref(), queue);
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name("sqlite-writer".into()).spawn(run);
        thread.map_err(|e| StoreError::Unavailable(format!("no thread for the writer: {e}")))?;
        is_open.await.map_err(|_| stopped())??;
        Ok(Self { requests, signals: Signals::default() })
    }

    /// Does a piece of work inside the writer's transaction and answers once that is committed. Nothing is left of one that fails.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Savepoint<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(move |transaction| in_savepoint(transaction, work)).await
    }

    /// The same for a single statement, of which nothing is left in any case.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut rusqlite::Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let piece: Piece = Box::new(move |transaction| {
            let result = work(transaction);
            Box::new(move |committed| {
                let result = committed.map_err(unavailable_ref).and(result);
                let _ = answer.send(result);
            })
        });
        self.requests.send(piece).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

fn in_savepoint<T>(
    transaction: &mut rusqlite::Transaction<'_>,
    work: impl FnOnce(&Savepoint<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let savepoint = transaction.savepoint()?;
    let value = work(&savepoint)?;
    savepoint.commit()?;
    Ok(value)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    make_private(path).map_err(|e| StoreError::Unavailable(format!("{} cannot be opened: {e}", path.display())))?;
    let mut connection =
        Connection::open(path).map_err(|e| StoreError::Unavailable(format!("{} cannot be opened: {e}", path.display())))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    write_ahead(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    migrate(&mut connection)?;
    Ok(connection)
}

fn connect_to_read(path: &Path) -> Result<Connection, StoreError> {
    let cannot = |e| StoreError::Unavailable(format!("{} cannot be opened: {e}", path.display()));
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(cannot)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let applied: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(cannot)?;
    if usize::try_from(applied) != Ok(MIGRATIONS.len()) {
        let problem = "the database was written by another version of this program; look with that one, or start the server anew";
        return Err(StoreError::Unavailable(problem.into()));
    }
    Ok(connection)
}

/// Payloads of private repositories are in it, so the file is its owner's alone; SQLite gives its log the same mode. A file
/// that is there is not opened: closing it would take this process's other locks on it away.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().append(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Has SQLite keep a write-ahead log. Of several that ask for it at once on a fresh file all but one are told that it is busy,
/// at once: SQLite does not wait there, since those who wait would wait for each other.
fn write_ahead(connection: &Connection) -> Result<(), rusqlite::Error> {
    for _ in 1..WRITE_AHEAD_ATTEMPTS_MAX {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
    connection.pragma_update(None, "journal_mode", "WAL")
}

/// One transaction, so that of two programs that start at once the second waits and finds it done.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let applied = usize::try_from(applied).unwrap_or(usize::MAX);
    if applied > MIGRATIONS.len() {
        let problem = "the database was written by a newer version of this program; run that version, or restore a backup";
        return Err(StoreError::Unavailable(problem.into()));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(applied) {
        transaction.execute_batch(&format!("{migration}\nPRAGMA user_version = {};", index + 1))?;
    }
    Ok(transaction.commit()?)
}

/// The writer's thread: until every sender is gone. Who only looks has no log to move, and locks nobody out.
fn write(mut connection: Connection, checkpoints: Option<&Checkpoints>, mut queue: mpsc::Receiver<Piece>) {
    let behavior = checkpoints.map_or(TransactionBehavior::Deferred, |_| TransactionBehavior::Immediate);
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_LENGTH_MAX {
            let Ok(piece) = queue.try_recv() else { break };
            batch.push(piece);
        }
        commit(&mut connection, behavior, batch);
        if let Some(checkpoints) = checkpoints {
            checkpoints.committed();
        }
    }
}

/// Where no transaction can begin, the pieces and with them their callers' channels are dropped, which they hear as
/// an unavailable store.
fn commit(connection: &mut Connection, behavior: TransactionBehavior, batch: Vec<Piece>) {
    let mut transaction = match connection.transaction_with_behavior(behavior) {
        Ok(transaction) => transaction,
        Err(error) => {
            tracing::error!(error = %error, "the store cannot begin a transaction");
            return;
        }
    };
    let answers: Vec<Answer> = batch.into_iter().map(|piece| piece(&mut transaction)).collect();
    let committed = transaction.commit();
    if let Err(error) = &committed {
        tracing::error!(error = %error, "the store cannot commit");
    }
    for answer in answers {
        answer(committed.as_ref().map(|&()| ()));
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the writer did not answer; its error is in the log".into())
}

fn unavailable_ref(error: &rusqlite::Error) -> StoreError {
    let is_full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    StoreError::Unavailable(if is_full { FULL.to_owned() } else { error.to_string() })
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        unavailable_ref(&error)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn receive(&self, delivery: &RawDelivery) -> Result<Received, StoreError> {
        let new = New::of(delivery).await?;
        let received = self.ask(move |tx| deliveries::receive(tx, &new)).await?;
        self.signals.deliveries.notify_one();
        Ok(received)
    }

    async fn undecided(&self, now: Timestamp, count: u32) -> Result<Vec<Waiting>, StoreError> {
        self.run(move |tx| deliveries::undecided(tx, now, count)).await
    }

    async fn postpone(&self, delivery: &DeliveryId, until: Timestamp) -> Result<u32, StoreError> {
        let id = delivery.clone();
        self.run(move |tx| deliveries::postpone(tx, &id, until)).await
    }

    async fn decide(&self, delivery: &DeliveryId, decision: &Decision, now: Timestamp) -> Result<Decided, StoreError> {
        let (id, decision) = (delivery.clone(), decision.clone());
        let decided = self.run(move |tx| deliveries::decide(tx, &id, decision, now)).await?;
        self.signals.jobs.notify_one();
        Ok(decided)
    }

    async fn received_at(&self, delivery: &DeliveryId) -> Result<Timestamp, StoreError> {
        let id = delivery.clone();
        self.run(move |tx| deliveries::received_at(tx, &id)).await
    }

    async fn decision(&self, delivery: &DeliveryId) -> Result<Option<Decision>, StoreError> {
        let id = delivery.clone();
        self.run(move |tx| deliveries::decision(tx, &id)).await
    }

    async fn open_jobs(&self, repo: u64, issue: IssueNumber) -> Result<Vec<JobKey>, StoreError> {
        self.run(move |tx| jobs::open(tx, repo, issue)).await
    }

    async fn last_ended(&self, repo: u64, issue: IssueNumber) -> Result<Option<JobKey>, StoreError> {
        self.run(move |tx| jobs::last_ended(tx, repo, issue)).await
    }

    async fn asked_last(&self, repo: u64, issue: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError> {
        self.run(move |tx| jobs::last(tx, repo, issue, "issue", n_max)).await
    }

    async fn checked_last(&self, repo: u64, pull_request: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError> {
        self.run(move |tx| jobs::last(tx, repo, pull_request, "commit", n_max)).await
    }

    async fn recent(&self, asking: &Asking, since: Timestamp) -> Result<Recent, StoreError> {
        let asking = *asking;
        self.run(move |tx| jobs::recent(tx, &asking, since)).await
    }

    async fn claim(&self, worker: &str, now: Timestamp, lease: Duration, lanes: Lanes) -> Result<Option<Claim>, StoreError> {
        let worker = worker.to_owned();
        self.run(move |tx| jobs::claim(tx, worker, now, lease, lanes)).await?
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, duration: Duration) -> Result<(), StoreError> {
        let (job, fence) = (lease.job.clone(), lease.fence);
        self.run(move |tx| jobs::renew(tx, &job, fence, later(now, duration))).await
    }

    async fn append(&self, lease: &Lease, seen: u32, kind: EntryKind, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let (job, fence) = (lease.job.clone(), lease.fence);
        self.run(move |tx| jobs::append(tx, &job, fence, seen, kind, now)).await
    }

    async fn request_cancel(&self, key: &JobKey, because: &str, now: Timestamp) -> Result<(), StoreError> {
        let (job, because) = (JobId::of(key), because.to_owned());
        self.run(move |tx| jobs::request_cancel(tx, &job, because, now)).await
    }

    async fn release(&self, lease: Lease, not_before: Timestamp) -> Result<(), StoreError> {
        self.run(move |tx| jobs::release(tx, &lease.job, lease.fence, not_before)).await?;
        self.signals.jobs.notify_one();
        Ok(())
    }

    async fn job(&self, job: &JobId) -> Result<(JobSpec, JobState), StoreError> {
        let job = job.clone();
        self.run(move |tx| jobs::job(tx, &job)).await
    }

    async fn jobs(&self, wanted: &Wanted, count: u32, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let wanted = wanted.clone();
        self.run(move |tx| listing::jobs(tx, &wanted, count.min(LISTED_MAX), now)).await
    }

    async fn given_up(&self, count: u32) -> Result<Vec<GivenUp>, StoreError> {
        self.run(move |tx| listing::deliveries_given_up(tx, count.min(LISTED_MAX))).await
    }

    async fn journal(&self, job: &JobId, seen: u32) -> Result<Vec<Entry>, StoreError> {
        let job = job.clone();
        self.run(move |tx| jobs::journal(tx, &job, seen)).await
    }

    async fn reserve(&self, lease: &Lease, most: Spending, limits: &Limits, now: Timestamp) -> Result<Reserved, StoreError> {
        let (job, fence, limits) = (lease.job.clone(), lease.fence, *limits);
        self.run(move |tx| ledger::reserve(tx, &job, fence, most, &limits, now)).await
    }

    async fn settle(&self, lease: &Lease, used: Spending) -> Result<(), StoreError> {
        let (job, fence) = (lease.job.clone(), lease.fence);
        self.run(move |tx| ledger::settle(tx, &job, fence, used)).await
    }

    async fn spending(&self, scope: Scope, day: Date) -> Result<Spending, StoreError> {
        self.run(move |tx| ledger::spending(tx, scope, day)).await
    }

    async fn put_artifact(&self, bytes: Vec<u8>, now: Timestamp) -> Result<Digest, StoreError> {
        let digest = Digest::of(&bytes);
        self.run(move |tx| {
            // Of a row that is there SQLite writes the pages that differ: the last one, and the index's.
            let sql = "INSERT INTO artifact (digest, bytes, kept_at) VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET kept_at = max(kept_at, excluded.kept_at)";
            tx.prepare_cached(sql)?.execute((digest.to_string(), bytes, milliseconds(now)))?;
            Ok(digest)
        })
        .await
    }

    async fn artifact(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let digest = *digest;
        self.run(move |tx| {
            let mut statement = tx.prepare_cached("SELECT bytes FROM artifact WHERE digest = ?1")?;
            let bytes: Option<Vec<u8>> = optional(statement.query_row([digest.to_string()], |row| row.get(0)))?;
            let bytes = bytes.ok_or_else(|| StoreError::Unknown { what: format!("artifact {digest}") })?;
            if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(StoreError::Corrupt(format!("artifact {digest}"))) }
        })
        .await
    }

    async fn remember_flaky(&self, repo: u64, tests: &[String], now: Timestamp) -> Result<(), StoreError> {
        let (repo, tests) = (number(repo)?, tests.to_vec());
        self.run(move |tx| {
            let sql = "INSERT INTO flaky_test (repo, test, seen_at) VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)";
            let mut statement = tx.prepare_cached(sql)?;
            for test in tests {
                statement.execute((repo, test, milliseconds(now)))?;
            }
            let sql = "DELETE FROM flaky_test WHERE repo = ?1 AND test NOT IN
                       (SELECT test FROM flaky_test WHERE repo = ?1 ORDER BY seen_at DESC, test LIMIT ?2)";
            tx.prepare_cached(sql)?.execute((repo, FLAKY_TESTS_MAX))?;
            Ok(())
        })
        .await
    }

    async fn flaky_tests(&self, repo: u64, now: Timestamp) -> Result<BTreeSet<String>, StoreError> {
        let repo = number(repo)?;
        let since = earlier(now, FLAKY_FOR);
        self.run(move |tx| {
            let mut statement = tx.prepare_cached("SELECT test FROM flaky_test WHERE repo = ?1 AND seen_at >= ?2")?;
            let tests = statement.query_map((repo, since), |row| row.get(0))?;
            Ok(tests.collect::<Result<BTreeSet<String>, _>>()?)
        })
        .await
    }

    async fn forget(&self, before: Timestamp, count: u32) -> Result<Forgotten, StoreError> {
        self.run(move |tx| retention::forget(tx, before, count)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.run(|tx| {
            tx.execute_batch("UPDATE delivery SET postponed = postponed WHERE 0")?;
            // That writes no page, and on a disk that is full it succeeds; this writes one, with what is in it.
            let applied: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok(tx.pragma_update(None, "user_version", applied)?)
        })
        .await
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }
}

fn optional<T>(row: Result<T, rusqlite::Error>) -> Result<Option<T>, rusqlite::Error> {
    rusqlite::OptionalExtension::optional(row)
}
