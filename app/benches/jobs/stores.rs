//! Empty and full databases.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use jiff::Timestamp;
use patchwright::store::Store;
use patchwright::store::postgres::address::Address;
use patchwright::store::postgres::schema::Schema;
use patchwright::store::postgres::{PostgresStore, Settings};
use patchwright::store::sqlite::SqliteStore;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::postgres;

pub(crate) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Makes every job one of its own.
static N_QUEUED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn next_number() -> u64 {
    N_QUEUED.fetch_add(1, Ordering::Relaxed)
}

/// What keeps the rows.
pub(crate) enum Engine {
    /// Files in this folder.
    Sqlite(PathBuf),
    /// Databases of this server.
    Postgres(postgres::Server),
}

impl Engine {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }
}

/// One database and the store on it.
pub(crate) struct Database<'e> {
    engine: &'e Engine,
    name: &'static str,
    store: Arc<dyn Store>,
}

impl<'e> Database<'e> {
    pub(crate) async fn new(engine: &'e Engine, name: &'static str) -> anyhow::Result<Self> {
        let store: Arc<dyn Store> = match engine {
            Engine::Sqlite(folder) => Arc::new(SqliteStore::open(folder.join(name)).await?),
            Engine::Postgres(server) => {
                let made = format!("CREATE DATABASE {name}_store");
                sqlx::raw_sql(AssertSqlSafe(made)).execute(&mut connect(server, "postgres").await?).await?;
                let url = server.url(&format!("{name}_store"));
                let address = Address::parse(&url, Some(&postgres::PASSWORD.into())).map_err(anyhow::Error::msg)?;
                Arc::new(PostgresStore::open(Settings { address, migrate: true, schema: Schema::default() }, NOW).await?)
            }
        };
        Ok(Self { engine, name, store })
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Adds deliveries that were decided, of the size that payloads have once they are compressed, and jobs that are over.
    pub(crate) async fn fill(&self, n_deliveries: u64, n_jobs: u64) -> anyhow::Result<()> {
        match self.engine {
            Engine::Sqlite(folder) => {
                let rows = |n: u64, name: &str| {
                    format!(
                        "(WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {n}) SELECT n FROM n) AS {name}"
                    )
                };
                let sql = rows_of(&rows(n_deliveries, "n"), &rows(n_jobs, "n"), &rows(10, "m"), "randomblob(1500)");
                let file = folder.join(self.name);
                let filled = tokio::task::spawn_blocking(move || {
                    let connection = rusqlite::Connection::open(file)?;
                    connection.execute_batch(&format!("BEGIN; {sql} COMMIT; PRAGMA wal_checkpoint(TRUNCATE); ANALYZE;"))
                });
                filled.await?.context("filling the database")
            }
            Engine::Postgres(server) => {
                let rows = |n: u64, name: &str| format!("generate_series(1, {n}) AS {name} (n)");
                let random = "decode(repeat(md5(n.n::text), 94), 'hex')";
                let sql = rows_of(&rows(n_deliveries, "n"), &rows(n_jobs, "n"), &rows(10, "m"), random);
                let mut connection = connect(server, &format!("{}_store", self.name)).await?;
                for statement in sql.split_terminator(';').chain(["VACUUM ANALYZE", "CHECKPOINT"]) {
                    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
                        .execute(&mut connection)
                        .await
                        .context("filling the database")?;
                }
                Ok(())
            }
        }
    }
}

/// What both databases understand.
fn rows_of(deliveries: &str, jobs: &str, entries: &str, body: &str) -> String {
    let digest = "0".repeat(64);
    format!(
        "INSERT INTO delivery (id, event, encoding, body, received_at, decide_after, decision) \
         SELECT 'old-' || n.n, 'issue_comment', 1, {body}, -1, -1, '{{\"decision\":\"ignore\",\"because\":\"it is old\"}}' FROM {deliveries};\
         INSERT INTO job (id, key, repo, installation, issue, spec, created_at, run_after, gives_way, outcome) \
         SELECT 'old-' || n.n, 'old-' || n.n, 7, 1, n.n, '{{}}', -1, -1, 0, 'proven' FROM {jobs};\
         INSERT INTO entry (job, seq, at, kind, digest) \
         SELECT 'old-' || n.n, m.n, -1, '{{\"entry\":\"turn_taken\",\"note\":\"it looked at a file and ran the tests\"}}', '{digest}' \
         FROM {jobs}, {entries};"
    )
}

async fn connect(server: &postgres::Server, database: &str) -> anyhow::Result<PgConnection> {
    Ok(PgConnection::connect_with(&server.options(database)).await?)
}
