//! Where a run takes place: the store, the address, and which processes there are.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use super::books::Books;
use super::fleet::Post;
use super::postgres;
use super::site::Site;

/// The rehearsed App's number.
const APP_ID: u64 = 726_568;
/// How many processes work where there are several, and how many jobs one works on where there is one.
const N_WORKERS: usize = 3;
/// Below where systems take the ports of clients from: nobody else may have it while the server is being started again.
const PORTS: std::ops::Range<u16> = 21_000..31_000;
const PORTS_TRIED_MAX: u16 = 100;
/// How long a server may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// How many workers may die of a job where they are killed on purpose: it is not to blame.
const CLAIMS_WITH_KILLS: u32 = 1_000;
const CLAIMS: u32 = 3;
const DATABASE: &str = "soak";

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A folder with everything that a run writes.
pub(crate) struct Stage {
    pub(crate) kind: Kind,
    folder: TempDir,
    port: u16,
    postgres: Option<postgres::Server>,
    claims: u32,
}

impl Stage {
    /// A stage with nothing on it yet; none where the store is not installed.
    pub(crate) fn set(kind: Kind, inside: &Path, kills: bool) -> anyhow::Result<Option<Self>> {
        let postgres = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => {
                let Some(programs) = postgres::programs() else { return Ok(None) };
                Some(postgres::Server::start(inside, &programs, ""))
            }
        };
        let folder = tempfile::Builder::new().prefix("soak-").tempdir_in(inside).context("making a folder")?;
        std::fs::write(folder.path().join("key.pem"), WORTHLESS_PRIVATE_KEY).context("writing the App's key")?;
        let claims = if kills { CLAIMS_WITH_KILLS } else { CLAIMS };
        Ok(Some(Self { kind, folder, port: free_port()?, postgres, claims }))
    }

    /// Where deliveries go.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks/github", self.port)
    }

    pub(crate) fn books(&self) -> Books {
        match &self.postgres {
            Some(server) => Books::Postgres(Box::new(server.options(DATABASE))),
            None => Books::Sqlite(self.folder.path().join("soak.db")),
        }
    }

    /// The processes, on a database with nothing in it.
    pub(crate) async fn posts(&self, site: &Site, secret: &str) -> anyhow::Result<Vec<Post>> {
        let mut posts = Vec::new();
        if let Some(server) = &self.postgres {
            let mut connection = PgConnection::connect_with(&server.options("postgres")).await?;
            sqlx::raw_sql("CREATE DATABASE soak").execute(&mut connection).await.context("making a database")?;
            posts.push(self.post(site, secret, "serve", &["serve", "--no-work"])?);
            for number in 1..=N_WORKERS {
                posts.push(self.post(site, secret, &format!("work {number}"), &["work"])?);
            }
        } else {
            posts.push(self.post(site, secret, "serve", &["serve"])?);
        }
        Ok(posts)
    }

    fn post(&self, site: &Site, secret: &str, name: &str, arguments: &[&'static str]) -> anyhow::Result<Post> {
        let folder = self.folder.path().join(name.replace(' ', "-"));
        std::fs::create_dir(&folder).context("making a folder for a process")?;
        let place = |name: &str| self.folder.path().join(name).display().to_string();
        let (store, n_workers) = match &self.postgres {
            Some(server) => (server.url(DATABASE), 1),
            None => (format!("sqlite:{}", place("soak.db")), N_WORKERS),
        };
        let variables = vec![
            ("PATCHWRIGHT__GITHUB__APP_ID", APP_ID.to_string()),
            ("PATCHWRIGHT__GITHUB__PRIVATE_KEY_FILE", place("key.pem")),
            ("PATCHWRIGHT__GITHUB__WEBHOOK_SECRET", secret.to_owned()),
            ("PATCHWRIGHT__GITHUB__API_URL", site.github.api_url()),
            ("PATCHWRIGHT__GITHUB__WEB_URL", site.github.web_url().to_owned()),
            ("PATCHWRIGHT__GITHUB__WRITE_SPACING_MS", "200".into()),
            ("PATCHWRIGHT__GITHUB__SWEEP_MINUTES", "1".into()),
            ("PATCHWRIGHT__LIMITS__CLAIMS", self.claims.to_string()),
            ("PATCHWRIGHT__LIMITS__USER_JOBS_PER_HOUR", "0".into()),
            ("PATCHWRIGHT__LIMITS__REPOSITORY_JOBS_PER_HOUR", "0".into()),
            ("PATCHWRIGHT__MODEL__BASE_URL", site.model.base_url()),
            ("PATCHWRIGHT__MODEL__RETRY_PAUSE_MS", "100".into()),
            ("PATCHWRIGHT__SERVER__LISTEN", format!("127.0.0.1:{}", self.port)),
            ("PATCHWRIGHT__SERVER__WORKERS", n_workers.to_string()),
            ("PATCHWRIGHT__STORE__URL", store),
            ("PATCHWRIGHT__STORE__PASSWORD", postgres::PASSWORD.into()),
            ("PATCHWRIGHT__WORKSPACE__DIR", folder.join("workspace").display().to_string()),
        ];
        Ok(Post { name: name.to_owned(), arguments: arguments.to_vec(), variables, folder })
    }

    /// Waits until the server takes deliveries.
    pub(crate) async fn until_ready(&self) -> anyhow::Result<()> {
        let (client, begun) = (reqwest::Client::builder().no_proxy().build()?, Instant::now());
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            ensure!(begun.elapsed() < READY_MAX, "the server is not ready; it says why in {}", self.folder.path().display());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Leaves the folder as it is.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

/// A port that nobody has.
fn free_port() -> anyhow::Result<u16> {
    let mut random = fastrand::Rng::new();
    for _ in 0..PORTS_TRIED_MAX {
        let port = random.u16(PORTS);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port between {} and {} is free", PORTS.start, PORTS.end)
}
