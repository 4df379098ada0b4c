//! How many webhooks a second are accepted and durable, and how long each waits for its answer.
//!
//! ```text
//! cargo bench -p patchwright --bench ingest              # a table
//! cargo bench -p patchwright --bench ingest -- --json    # one JSON object
//! ```
//!
//! Real payloads, signed, go over loopback to the server that `serve` runs, which checks the signature, reads the JSON,
//! writes the delivery to SQLite with `synchronous=FULL` and answers 202. Beside it stands the same server with a store
//! that keeps nothing, in turn, in every round; the difference is what durability costs. Deciding is not part of it: it
//! happens after the answer. At the end of a round the rows in the database must be as many as the answers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use patchwright::clock::SystemClock;
use patchwright::forge::github::{GitHub, GitHubSettings};
use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;
use patchwright::server::{self, Server};
use patchwright::store::Store;
use patchwright::store::sqlite::SqliteStore;
use secrecy::SecretString;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use forgetful::Forgetful;
use load::{Load, Measured, Payload};
use report::{Figure, median, milliseconds, print};

#[path = "ingest/forgetful.rs"]
mod forgetful;
#[path = "ingest/load.rs"]
mod load;
#[path = "report/figures.rs"]
mod report;

const N_ROUNDS: usize = 7;
const SECRET: &str = "a secret for benchmarks";
const BASELINE: &str = "the same server without a store";
/// Connections, and after how many requests a run ends at the latest.
const LOADS: [(usize, usize); 3] = [(1, 800), (32, 4_000), (256, 5_000)];
const RUN_TIME_MAX: Duration = Duration::from_secs(2);

/// What one load gave in all rounds.
#[derive(Default)]
struct Series {
    per_second: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
}

impl Series {
    fn push(&mut self, measured: &Measured) {
        self.per_second.push(measured.per_second());
        self.p50_ms.push(milliseconds(measured.quantile(0.5)));
        self.p99_ms.push(milliseconds(measured.quantile(0.99)));
    }
}

/// The two runtimes are apart so that client and server meet at the socket only.
struct Stage {
    server: Runtime,
    client: Runtime,
    payloads: Arc<Vec<Payload>>,
}

fn main() -> anyhow::Result<()> {
    // `serve` logs every delivery; what is written here goes nowhere.
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::sink).init();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stage = Stage {
        server: Builder::new_multi_thread().enable_all().build().context("starting the server's runtime")?,
        client: Builder::new_multi_thread().worker_threads(1).enable_all().build().context("starting the client's runtime")?,
        payloads: Arc::new(load::payloads(SECRET.as_bytes())?),
    };
    let mut ours: [Series; LOADS.len()] = Default::default();
    let mut baseline: [Series; LOADS.len()] = Default::default();
    let mut idle_mib = None;
    for round in 0..N_ROUNDS {
        run_round(&stage, round, &mut ours, &mut baseline, &mut idle_mib)?;
    }
    let mut figures: Vec<Figure> = LOADS.iter().zip(ours.iter().zip(&baseline)).flat_map(figures_of).collect();
    let memory =
        [("resident memory, idle", idle_mib.unwrap_or_default(), 1), ("resident memory, at the end", resident_mib()?, 1)];
    figures.extend(memory.map(|(name, ours, n_runs)| Figure { name: name.into(), unit: "MiB", ours, baseline: None, n_runs }));
    let notes = [
        "server and load generator share this process and its cores; memory is that of both",
        "every 202 was counted again as a row in the database",
        "payloads: issue_comment, pull_request, check_run and workflow_run in turn, as GitHub publishes them",
    ];
    print("Webhooks accepted and durable", &notes, &figures);
    Ok(())
}

fn run_round(
    stage: &Stage,
    round: usize,
    ours: &mut [Series],
    baseline: &mut [Series],
    idle_mib: &mut Option<f64>,
) -> anyhow::Result<()> {
    // The build folder is on a disk; a temporary folder may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).context("making a folder for the database")?;
    let file = folder.path().join("ingest.db");
    let store = stage.server.block_on(SqliteStore::open(file.clone())).context("opening the database")?;
    let durable = Running::start(stage, Arc::new(store))?;
    let floor = Running::start(stage, Arc::new(Forgetful::default()))?;
    if idle_mib.is_none() {
        *idle_mib = Some(resident_mib()?);
    }
    let mut n_accepted = 0;
    for (index, (n_connections, n_requests)) in LOADS.into_iter().enumerate() {
        let load = |server: &Running| Load { address: server.address, n_connections, n_requests, time_max: RUN_TIME_MAX };
        let measure = |load: Load| stage.client.block_on(load.run(Arc::clone(&stage.payloads)));
        // Whoever comes second may find a warmer or a busier machine.
        let (mine, other) = if round.is_multiple_of(2) {
            let mine = measure(load(&durable))?;
            (mine, measure(load(&floor))?)
        } else {
            let other = measure(load(&floor))?;
            (measure(load(&durable))?, other)
        };
        n_accepted += mine.n_accepted();
        ours[index].push(&mine);
        baseline[index].push(&other);
    }
    floor.stop(stage)?;
    durable.stop(stage)?;
    let n_rows = count_rows(&file)?;
    ensure!(n_rows == n_accepted, "{n_accepted} deliveries were accepted, and {n_rows} are in the database");
    Ok(())
}

fn figures_of((load, (ours, baseline)): (&(usize, usize), (&Series, &Series))) -> [Figure; 3] {
    let n_connections = load.0;
    let plural = if n_connections == 1 { "connection" } else { "connections" };
    let figure = |what: &str, unit, of: fn(&Series) -> &Vec<f64>| Figure {
        name: format!("{what}, {n_connections} {plural}"),
        unit,
        ours: median(of(ours)),
        baseline: Some((BASELINE, median(of(baseline)))),
        n_runs: of(ours).len(),
    };
    [
        figure("durable webhooks", "per second", |series| &series.per_second),
        figure("time to the answer, p50", "ms", |series| &series.p50_ms),
        figure("time to the answer, p99", "ms", |series| &series.p99_ms),
    ]
}

/// A server that listens.
struct Running {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn start(stage: &Stage, store: Arc<dyn Store>) -> anyhow::Result<Self> {
        let _inside = stage.server.enter();
        let forge = GitHub::new(GitHubSettings {
            app_id: 1,
            private_key: SecretString::from(WORTHLESS_PRIVATE_KEY),
            webhook_secrets: vec![SecretString::from(SECRET)],
            api_url: "http://127.0.0.1:9/api/v3".into(),
            web_url: "http://127.0.0.1:9".into(),
            write_spacing: Duration::ZERO,
            clock: Arc::new(SystemClock),
        })?;
        let listener = server::listen(([127, 0, 0, 1], 0).into()).context("listening on loopback")?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let parts = Server { store, forge: Arc::new(forge), clock: Arc::new(SystemClock), attestation_key: None };
        let task = stage.server.spawn(server::serve(listener, parts, stop.clone()));
        Ok(Self { address, stop, task })
    }

    fn stop(self, stage: &Stage) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(stage.server.block_on(self.task)??)
    }
}

fn count_rows(file: &Path) -> anyhow::Result<usize> {
    let database = rusqlite::Connection::open(file).context("opening the database to count")?;
    let n_rows: i64 = database.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0))?;
    Ok(usize::try_from(n_rows)?)
}

fn resident_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading the memory that is used")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the system does not say the memory")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
