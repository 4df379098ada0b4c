//! The store on PostgreSQL: one database, as many processes and machines as one likes.
//!
//! Whatever must hold together is one transaction at `READ COMMITTED`, and holds the row that it is about: a delivery that is
//! decided, a job whose journal is written. Workers that look for a job at once pass over the rows that others are taking. Every
//! write of a worker names its fence. Times are the callers', never the database's; what depends on them is only when a job may
//! be taken over, never who may write (`PostgresStore::offset`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use patchwright_domain::event::{DeliveryId, IssueNumber, RawDelivery};
use patchwright_domain::job::{JobId, JobKey, JobSpec};
use patchwright_domain::journal::{Digest, Entry, EntryKind};
use patchwright_domain::policy::Decision;
use patchwright_domain::policy::rates::Recent;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, Postgres, Transaction};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::ledger::{Limits, Reserved, Scope, Spending};
use super::listing::{GivenUp, LISTED_MAX, Listed, Wanted};
use super::packed::New;
use super::records::{earlier, later, milliseconds, number};
use super::{
    Asking, Claim, Decided, FLAKY_FOR, FLAKY_TESTS_MAX, FULL, Forgotten, JobState, Lanes, Lease, Received, Signals, Store,
    StoreError, Waiting,
};
use address::Address;
use deliveries::Found;
use jobs::Taken;
use schema::{Kind, Migration, Schema, State};
use writers::Writers;

pub mod address;
mod artifacts;
mod deliveries;
mod flaky;
mod jobs;
mod ledger;
mod listing;
mod refusal;
mod retention;
pub mod schema;
mod wake;
mod writers;

/// How many connections a process holds, the one that listens among them.
const CONNECTIONS_MAX: u32 = 9;
/// How long a connection may take to be made, or a free one to be found.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one request of this port may take, whatever the network does.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the look whether it can be written to may take: whoever asks for it does not wait for long.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// How often in a row a claim may be overtaken by others before it gives way to them for now.
const OVERTAKEN_MAX: usize = 16;
/// The oldest PostgreSQL that still gets corrections.
const VERSION_MIN: u32 = 13_00_00;
/// What the advisory locks are called: of those who change the schema, and of those who reserve.
const MIGRATION_LOCK: i64 = 0x7061_7463_6877_0001;
const LEDGER_LOCK: i64 = 0x7061_7463_6877_0002;
/// The same, with a number of its own behind it: of those who claim a job of a repository, and of an installation.
const REPOSITORY_LOCK: i32 = 0x7061_7463;
const INSTALLATION_LOCK: i32 = 0x7061_7464;

/// What every connection begins with: a statement that hangs ends, and a commit is on disk, whatever the role's defaults are.
const SESSION: &str = "SELECT set_config('statement_timeout', '30s', false), set_config('lock_timeout', '10s', false), \
    set_config('idle_in_transaction_session_timeout', '60s', false), \
    set_config('default_transaction_isolation', 'read committed', false), \
    set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
    ELSE current_setting('synchronous_commit') END, false)";

/// How a claim begins, whose order is that of an index. Where hardly any job was open when PostgreSQL counted last, it would rather
/// sort all that are open at each claim, however many there are by now.
const IN_ORDER: &str = "BEGIN; SET LOCAL enable_sort = off";

/// Whether the database can be written to, by what leaves nothing behind. A write of no row is refused where it takes no writes, and
/// succeeds on a disk that is full; more numbers than its memory may hold go into a file of the server's, which is gone at the end.
/// All of it is one transaction, which ends with its caller's patience.
const CHECK: &str = "SET LOCAL statement_timeout = '5s'; SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 4000); \
    UPDATE delivery SET postponed = postponed WHERE false";

/// Why a database cannot be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub struct Refused {
    /// What is wrong.
    pub problem: String,
    /// The next step.
    pub remedy: String,
}

/// A database and how it is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// Whether missing steps of the schema that older programs can go on beside are applied at the start.
    pub migrate: bool,
    /// The schema that the program knows.
    pub schema: Schema,
}

/// A store in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    writers: Writers,
    signals: Arc<Signals>,
    _listening: AbortOnDropHandle<()>,
}

impl PostgresStore {
    /// Connects, looks at the schema, and brings it up to date where that is wanted.
    ///
    /// # Errors
    /// [`Refused`] where the database cannot be reached or used.
    pub async fn open(settings: Settings, now: Timestamp) -> Result<Self, Refused> {
        let Settings { address, migrate, schema } = settings;
        let mut connection = connect(&address).await?;
        if migrate {
            for step in schema.apply(&mut connection, |kind| kind == Kind::Expands, now).await? {
                tracing::info!("the database's schema has step {} ({}) now", step.number, step.name);
            }
        }
        schema.check(&schema.state(&mut connection).await?)?;
        warn_of_lost_commits(&mut connection).await;
        let _ = connection.close().await;
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(CONNECT_TIMEOUT);
        let pool = pool.after_connect(|connection, _| Box::pin(async { connection.execute(SESSION).await.map(drop) }));
        let pool = pool.connect_lazy_with(address.options().clone());
        let listener = wake::listener(&pool).await.map_err(|error| refusal::of(&error, &address))?;
        let signals = Arc::new(Signals::default());
        let listening = tokio::spawn(wake::listen(pool.clone(), listener, Arc::clone(&signals)));
        let writers = Writers::start(&pool);
        Ok(Self { pool, writers, signals, _listening: AbortOnDropHandle::new(listening) })
    }

    /// How far the clock that says `now` goes before the database's, half the way there and back counted off.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn offset(&self, clock: impl Fn() -> Timestamp) -> Result<SignedDuration, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let before = clock();
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let theirs: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
        let ours = milliseconds(before).midpoint(milliseconds(clock()));
        Ok(SignedDuration::from_millis(ours.saturating_sub(theirs)))
    }

    /// Asks by one statement, or by several that need not hold together.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = self.pool.clone();
        whole(async move { work(&mut *pool.acquire().await?).await }).await
    }

    /// Does a piece of work in a transaction, of which all is kept or nothing.
    async fn run<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = self.pool.clone();
        whole(async move {
            let mut tx = pool.begin().await?;
            let done = work(&mut tx).await;
            end(tx, done).await
        })
        .await
    }
}

/// How far a database is, without changing it.
///
/// # Errors
/// [`Refused`] where it cannot be reached or read.
pub async fn state(address: &Address, schema: &Schema) -> Result<State, Refused> {
    let mut connection = connect(address).await?;
    let state = schema.state(&mut connection).await;
    let _ = connection.close().await;
    state
}

/// Applies all steps that are missing, those too that older programs cannot go on beside, and says what they were.
///
/// # Errors
/// [`Refused`] where it cannot be reached or changed; then nothing was changed.
pub async fn migrate(address: &Address, schema: &Schema, now: Timestamp) -> Result<Vec<Migration>, Refused> {
    let mut connection = connect(address).await?;
    let applied = schema.apply(&mut connection, |_| true, now).await;
    let _ = connection.close().await;
    applied
}

async fn connect(address: &Address) -> Result<PgConnection, Refused> {
    let connected = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(address.options())).await;
    let mut connection = match connected {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(refusal::of(&error, address)),
        Err(_) => return Err(refusal::of_silence(address)),
    };
    let version = connection.server_version_num().unwrap_or_default();
    if version < VERSION_MIN {
        return Err(refusal::of_version(version, address));
    }
    connection.execute(SESSION).await.map_err(|error| refusal::of(&error, address))?;
    Ok(connection)
}

/// Only the server's own configuration can do something about it.
async fn warn_of_lost_commits(connection: &mut PgConnection) {
    let fsync = sqlx::query_scalar::<_, String>("SELECT current_setting('fsync')").fetch_one(connection).await;
    if fsync.is_ok_and(|fsync| fsync == "off") {
        tracing::warn!("the database runs with `fsync = off`: what it has answered is lost where its machine loses power");
    }
}

/// Has a request run to its end, or until no answer comes to it.
///
/// It is a task of its own, so that it goes on also while its caller attends to something else, or has given it up: a caller
/// that holds a row by one request and waits for that row by another would wait for itself.
async fn whole<T: Send + 'static>(
    request: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let silence = || StoreError::Unavailable(format!("the database did not answer within {} s", REQUEST_TIMEOUT.as_secs()));
    let done = tokio::spawn(timeout(REQUEST_TIMEOUT, request)).await;
    done.map_err(|fault| StoreError::Unavailable(format!("the request to the database broke off: {fault}")))?
        .map_err(|_| silence())?
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string()),
            error if refusal::is_full(&error) => Self::Unavailable(FULL.to_owned()),
            error => Self::Unavailable(refusal::told(&error)),
        }
    }
}

/// Ends a transaction, and has the database let go of its rows before anybody is answered: who looks for a job passes over rows
/// that are held.
async fn end<T>(tx: Transaction<'_, Postgres>, done: Result<T, StoreError>) -> Result<T, StoreError> {
    match done {
        Ok(value) => {
            tx.commit().await?;
            Ok(value)
        }
        Err(error) => {
            // Where it cannot be told, the connection is over, and so is what it held.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn receive(&self, delivery: &RawDelivery) -> Result<Received, StoreError> {
        let received = self.writers.receive(New::of(delivery).await?).await?;
        // Who takes deliveries decides on them too, so nobody else needs to hear of this one at once.
        self.signals.deliveries.notify_one();
        Ok(received)
    }

    async fn undecided(&self, now: Timestamp, count: u32) -> Result<Vec<Waiting>, StoreError> {
        let Found { sound, broken } = self.ask(move |tx| Box::pin(deliveries::undecided(tx, now, count))).await?;
        if !broken.is_empty() {
            self.run(move |tx| Box::pin(deliveries::give_up(tx, broken, now))).await?;
        }
        Ok(sound)
    }

    async fn postpone(&self, delivery: &DeliveryId, until: Timestamp) -> Result<u32, StoreError> {
        let id = delivery.clone();
        self.ask(move |tx| Box::pin(async move { deliveries::postpone(tx, &id, until).await })).await
    }

    async fn decide(&self, delivery: &DeliveryId, decision: &Decision, now: Timestamp) -> Result<Decided, StoreError> {
        let (id, decision) = (delivery.clone(), decision.clone());
        let decided = self.run(move |tx| Box::pin(async move { deliveries::decide(tx, &id, decision, now).await })).await?;
        self.signals.jobs.notify_one();
        Ok(decided)
    }

    async fn received_at(&self, delivery: &DeliveryId) -> Result<Timestamp, StoreError> {
        let id = delivery.clone();
        self.ask(|tx| Box::pin(async move { deliveries::received_at(tx, &id).await })).await
    }

    async fn decision(&self, delivery: &DeliveryId) -> Result<Option<Decision>, StoreError> {
        let id = delivery.clone();
        self.ask(|tx| Box::pin(async move { deliveries::decision(tx, &id).await })).await
    }

    async fn open_jobs(&self, repo: u64, issue: IssueNumber) -> Result<Vec<JobKey>, StoreError> {
        self.ask(move |tx| Box::pin(jobs::open(tx, repo, issue))).await
    }

    async fn last_ended(&self, repo: u64, issue: IssueNumber) -> Result<Option<JobKey>, StoreError> {
        self.ask(move |tx| Box::pin(jobs::last_ended(tx, repo, issue))).await
    }

    async fn asked_last(&self, repo: u64, issue: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError> {
        self.ask(move |tx| Box::pin(jobs::last(tx, repo, issue, "issue", n_max))).await
    }

    async fn checked_last(&self, repo: u64, pull_request: IssueNumber, n_max: u32) -> Result<Vec<JobKey>, StoreError> {
        self.ask(move |tx| Box::pin(jobs::last(tx, repo, pull_request, "commit", n_max))).await
    }

    async fn recent(&self, asking: &Asking, since: Timestamp) -> Result<Recent, StoreError> {
        let asking = *asking;
        self.ask(move |tx| Box::pin(jobs::recent(tx, asking, since))).await
    }

    async fn claim(&self, worker: &str, now: Timestamp, lease: Duration, lanes: Lanes) -> Result<Option<Claim>, StoreError> {
        let (pool, worker) = (self.pool.clone(), worker.to_owned());
        let taken = whole(async move {
            for _ in 0..OVERTAKEN_MAX {
                let mut tx = pool.begin_with(IN_ORDER).await?;
                match jobs::claim(&mut tx, &worker, now, lease, lanes).await {
                    Ok(Taken::Overtaken) => tx.rollback().await?,
                    taken => return end(tx, taken).await,
                }
            }
            Ok(Taken::Overtaken)
        });
        match taken.await? {
            Taken::Claim(claim) => Ok(claim.map(|claim| *claim)),
            Taken::Unsound(error) => Err(error),
            Taken::Overtaken => {
                // The others have work; there may be more of it.
                self.signals.jobs.notify_one();
                Ok(None)
            }
        }
    }

    async fn renew(&self, lease: &Lease, now: Timestamp, duration: Duration) -> Result<(), StoreError> {
        let lease = lease.again();
        self.ask(move |tx| Box::pin(async move { jobs::renew(tx, &lease, later(now, duration)).await })).await
    }

    async fn append(&self, lease: &Lease, seen: u32, kind: EntryKind, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let lease = lease.again();
        self.run(move |tx| Box::pin(async move { jobs::append(tx, &lease, seen, kind, now).await })).await
    }

    async fn request_cancel(&self, key: &JobKey, because: &str, now: Timestamp) -> Result<(), StoreError> {
        let (job, because) = (JobId::of(key), because.to_owned());
        self.run(move |tx| Box::pin(async move { jobs::request_cancel(tx, &job, &because, now).await })).await
    }

    async fn release(&self, lease: Lease, not_before: Timestamp) -> Result<(), StoreError> {
        self.run(move |tx| Box::pin(async move { jobs::release(tx, &lease, not_before).await })).await?;
        self.signals.jobs.notify_one();
        Ok(())
    }

    async fn job(&self, job: &JobId) -> Result<(JobSpec, JobState), StoreError> {
        let job = job.clone();
        self.ask(|tx| Box::pin(async move { jobs::job(tx, &job).await })).await
    }

    async fn jobs(&self, wanted: &Wanted, count: u32, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let wanted = wanted.clone();
        self.ask(move |tx| Box::pin(async move { listing::jobs(tx, &wanted, count.min(LISTED_MAX), now).await })).await
    }

    async fn given_up(&self, count: u32) -> Result<Vec<GivenUp>, StoreError> {
        self.ask(move |tx| Box::pin(listing::deliveries_given_up(tx, count.min(LISTED_MAX)))).await
    }

    async fn journal(&self, job: &JobId, seen: u32) -> Result<Vec<Entry>, StoreError> {
        let job = job.clone();
        self.ask(move |tx| Box::pin(async move { jobs::journal(tx, &job, seen).await })).await
    }

    async fn reserve(&self, lease: &Lease, most: Spending, limits: &Limits, now: Timestamp) -> Result<Reserved, StoreError> {
        let (lease, limits) = (lease.again(), *limits);
        self.run(move |tx| Box::pin(async move { ledger::reserve(tx, &lease, most, &limits, now).await })).await
    }

    async fn settle(&self, lease: &Lease, used: Spending) -> Result<(), StoreError> {
        let lease = lease.again();
        self.run(move |tx| Box::pin(async move { ledger::settle(tx, &lease, used).await })).await
    }

    async fn spending(&self, scope: Scope, day: Date) -> Result<Spending, StoreError> {
        self.ask(move |tx| Box::pin(ledger::spending(tx, scope, day))).await
    }

    async fn put_artifact(&self, bytes: Vec<u8>, now: Timestamp) -> Result<Digest, StoreError> {
        self.ask(move |tx| Box::pin(artifacts::put(tx, bytes, now))).await
    }

    async fn artifact(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let digest = *digest;
        self.ask(move |tx| Box::pin(artifacts::get(tx, digest))).await
    }

    async fn remember_flaky(&self, repo: u64, tests: &[String], now: Timestamp) -> Result<(), StoreError> {
        let (repo, tests) = (number(repo)?, tests.iter().cloned().collect());
        self.run(move |tx| Box::pin(flaky::remember(tx, repo, tests, now))).await
    }

    async fn flaky_tests(&self, repo: u64, now: Timestamp) -> Result<BTreeSet<String>, StoreError> {
        let (repo, since) = (number(repo)?, earlier(now, FLAKY_FOR));
        self.ask(move |tx| Box::pin(flaky::seen(tx, repo, since))).await
    }

    async fn forget(&self, before: Timestamp, count: u32) -> Result<Forgotten, StoreError> {
        self.run(move |tx| Box::pin(retention::forget(tx, before, count))).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let looking = self.ask(|tx| Box::pin(async move { Ok(sqlx::raw_sql(CHECK).execute(tx).await.map(drop)?) }));
        let silence = || StoreError::Unavailable(format!("the database did not answer within {} s", CHECK_TIMEOUT.as_secs()));
        timeout(CHECK_TIMEOUT, looking).await.map_err(|_| silence())?
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }
}
