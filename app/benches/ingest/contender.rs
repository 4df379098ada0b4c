//! A server that is measured, as a process of its own: this program again, or Node's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::forge::github::{GitHub, GitHubSettings};
use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;
use patchwright::server::{self, Server};
use patchwright::store::Store;
use patchwright::store::postgres::address::Address;
use patchwright::store::postgres::schema::Schema;
use patchwright::store::postgres::{PostgresStore, Settings};
use patchwright::store::sqlite::SqliteStore;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use super::forgetful::Forgetful;
use super::{SECRET, postgres, probot};

/// Asks this program to be a server: behind it stand the kind and its place.
pub(crate) const ARGUMENT: &str = "--contender";

/// What kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Forgetful,
    Sqlite,
    Postgres,
    Probot,
}

const KINDS: [Kind; 4] = [Kind::Forgetful, Kind::Sqlite, Kind::Postgres, Kind::Probot];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forgetful => "nothing",
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::Probot => "Probot",
        }
    }

    /// How the answer to a delivery that was taken begins.
    pub(crate) fn taken(self) -> &'static str {
        if self == Self::Probot { "HTTP/1.1 200 " } else { "HTTP/1.1 202 " }
    }
}

/// A server that listens, until its standard input ends.
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) place: String,
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Contender {
    pub(crate) fn start(kind: Kind, place: String) -> anyhow::Result<Self> {
        let mut command = match kind {
            Kind::Probot => probot::command(Path::new(&place)),
            Kind::Forgetful | Kind::Sqlite | Kind::Postgres => {
                let mut command = Command::new(std::env::current_exe().context("finding this program")?);
                command.args([ARGUMENT, kind.name(), &place]);
                command
            }
        };
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting a server")?;
        let mut said = String::new();
        let answers = process.stdout.take().context("its output is a pipe")?;
        BufReader::new(answers).read_line(&mut said).context("reading where it listens")?;
        let address =
            said.trim().parse().with_context(|| format!("{} says `{said}` where it should say where it listens", kind.name()))?;
        Ok(Self { kind, place, address, process })
    }

    /// Memory as the kernel counts it: `VmRSS` is what it has now, `VmHWM` the most that it had.
    pub(crate) fn memory_mib(&self, field: &str) -> anyhow::Result<f64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).context("reading the memory that is used")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib: f64 = line.context("the system does not say the memory")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        drop(self.process.stdin.take());
        let status = self.process.wait().context("waiting for a server's end")?;
        if status.success() { Ok(()) } else { bail!("{} ended with {status}", self.kind.name()) }
    }
}

/// Is that server, in the process that was started for it.
pub(crate) fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let [kind, place] = arguments else { bail!("a contender has a kind and a place") };
    let kind = KINDS.into_iter().find(|known| known.name() == kind).context("nobody knows this kind")?;
    // `serve` logs every delivery; what is written here goes nowhere.
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::sink).init();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let store: Arc<dyn Store> = match kind {
            Kind::Forgetful => Arc::new(Forgetful::default()),
            Kind::Sqlite => Arc::new(SqliteStore::open(place.into()).await.context("opening the database")?),
            Kind::Postgres => {
                let settings = Settings { address: address(place)?, migrate: true, schema: Schema::default() };
                Arc::new(PostgresStore::open(settings, SystemClock.now()).await.context("opening the database")?)
            }
            Kind::Probot => bail!("Probot is a program of its own"),
        };
        let forge = GitHub::new(GitHubSettings {
            app_id: 1,
            private_key: SecretString::from(WORTHLESS_PRIVATE_KEY),
            webhook_secrets: vec![SecretString::from(SECRET)],
            api_url: "http://127.0.0.1:9/api/v3".into(),
            web_url: "http://127.0.0.1:9".into(),
            write_spacing: Duration::ZERO,
            signs_commits: false,
            clock: Arc::new(SystemClock),
        })?;
        let listener = server::listen(([127, 0, 0, 1], 0).into()).context("listening on loopback")?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", listener.local_addr()?).and_then(|()| out.flush()).context("saying where it listens")?;
        let stop = CancellationToken::new();
        let parts = Server { store, forge: Arc::new(forge), clock: Arc::new(SystemClock), attestation_key: None };
        let serving = tokio::spawn(server::serve(listener, parts, stop.clone()));
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await?.context("waiting for the end")?;
        stop.cancel();
        Ok(serving.await??)
    })
}

fn address(url: &str) -> anyhow::Result<Address> {
    Address::parse(url, Some(&postgres::PASSWORD.into())).map_err(anyhow::Error::msg)
}

async fn connect(server: &postgres::Server, database: &str) -> anyhow::Result<PgConnection> {
    Ok(PgConnection::connect_with(&server.options(database)).await?)
}

/// Makes an empty database and says its address.
pub(crate) async fn create_database(server: &postgres::Server, name: &str) -> anyhow::Result<String> {
    let mut connection = connect(server, "postgres").await?;
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
    Ok(server.url(name))
}

pub(crate) async fn drop_database(server: &postgres::Server, name: &str) -> anyhow::Result<()> {
    let mut connection = connect(server, "postgres").await?;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut connection).await?;
    Ok(())
}

pub(crate) async fn count_in_database(server: &postgres::Server, database: &str) -> anyhow::Result<usize> {
    let n_rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM delivery").fetch_one(&mut connect(server, database).await?).await?;
    Ok(usize::try_from(n_rows)?)
}

pub(crate) fn count_in_file(file: &Path) -> anyhow::Result<usize> {
    let database = rusqlite::Connection::open(file).context("opening the database to count")?;
    let n_rows: i64 = database.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0))?;
    Ok(usize::try_from(n_rows)?)
}
