//! What is in the database, read beside those who work with it, and without their code.

use std::path::PathBuf;

use anyhow::Context as _;
use rusqlite::OpenFlags;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

/// Where the rows are.
#[derive(Clone)]
pub(crate) enum Books {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) n_deliveries: i64,
    pub(crate) n_undecided: i64,
    pub(crate) n_open: i64,
    pub(crate) n_ended: i64,
    pub(crate) log_mib: f64,
    pub(crate) database_mib: f64,
}

/// A job's row.
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) outcome: Option<String>,
    pub(crate) is_leased: bool,
}

/// What both databases understand.
const COUNTS: &str = "SELECT (SELECT count(*) FROM delivery), (SELECT count(*) FROM delivery WHERE decision IS NULL), \
    (SELECT count(*) FROM job WHERE outcome IS NULL), (SELECT count(*) FROM job WHERE outcome IS NOT NULL)";
const DELIVERIES: &str = "SELECT id, decision IS NOT NULL FROM delivery";
const JOBS: &str = "SELECT id, outcome, lease_until IS NOT NULL FROM job";
/// Of the worker that ended a job. What one that was killed had reserved counts in full, and so does that of a request that was
/// given up for a cancel.
const RESERVED: &str = "SELECT count(*) FROM spending JOIN job ON job.id = spending.job AND job.fence = spending.fence \
    WHERE spending.reserved_tokens IS NOT NULL AND job.outcome <> 'cancelled'";
const MEASURES: &str = "SELECT (SELECT coalesce(sum(size), 0)::float8 FROM pg_ls_waldir()), \
    pg_database_size(current_database())::float8";

impl Books {
    pub(crate) async fn counts(&self) -> anyhow::Result<Counts> {
        let ((n_deliveries, n_undecided, n_open, n_ended), (log, database)) = match self {
            Self::Sqlite(file) => {
                let counts =
                    read(file, |rows| rows.query_row(COUNTS, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))));
                let size = |ending: &str| {
                    std::fs::metadata(format!("{}{ending}", file.display())).map_or(0.0, |found| found.len() as f64)
                };
                (counts.await?, (size("-wal"), size("")))
            }
            Self::Postgres(options) => {
                let mut connection = connect(options).await?;
                let counts = sqlx::query_as(COUNTS).fetch_one(&mut connection).await.context("counting")?;
                (counts, sqlx::query_as(MEASURES).fetch_one(&mut connection).await.context("measuring")?)
            }
        };
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        Ok(Counts { n_deliveries, n_undecided, n_open, n_ended, log_mib: mib(log), database_mib: mib(database) })
    }

    /// The names of all deliveries, and whether each is decided.
    pub(crate) async fn deliveries(&self) -> anyhow::Result<Vec<(String, bool)>> {
        match self {
            Self::Sqlite(file) => {
                read(file, |rows| rows.prepare(DELIVERIES)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()).await
            }
            Self::Postgres(options) => {
                sqlx::query_as(DELIVERIES).fetch_all(&mut connect(options).await?).await.context("reading the deliveries")
            }
        }
    }

    pub(crate) async fn jobs(&self) -> anyhow::Result<Vec<Job>> {
        let rows: Vec<(String, Option<String>, bool)> = match self {
            Self::Sqlite(file) => {
                let of = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                read(file, move |rows| rows.prepare(JOBS)?.query_map([], of)?.collect()).await?
            }
            Self::Postgres(options) => {
                sqlx::query_as(JOBS).fetch_all(&mut connect(options).await?).await.context("reading the jobs")?
            }
        };
        Ok(rows.into_iter().map(|(id, outcome, is_leased)| Job { id, outcome, is_leased }).collect())
    }

    /// How many requests to a model are counted as under way that are not.
    pub(crate) async fn reserved(&self) -> anyhow::Result<i64> {
        match self {
            Self::Sqlite(file) => read(file, |rows| rows.query_row(RESERVED, [], |row| row.get(0))).await,
            Self::Postgres(options) => {
                sqlx::query_scalar(RESERVED).fetch_one(&mut connect(options).await?).await.context("reading what is reserved")
            }
        }
    }
}

/// Reads a file that others write. Whoever closes it last would move its log, which is not this program's to do.
async fn read<T: Send + 'static>(
    file: &std::path::Path,
    ask: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let file = file.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let connection = rusqlite::Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        ask(&connection)
    });
    asked.await.context("reading the database")?.context("reading the database")
}

async fn connect(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    PgConnection::connect_with(options).await.context("connecting to the database")
}
