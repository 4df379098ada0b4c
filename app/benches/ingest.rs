//! How many webhooks a second are accepted and durable, how long each waits for its answer, and in how much memory.
//!
//! ```text
//! cargo bench -p patchwright --bench ingest              # a table
//! cargo bench -p patchwright --bench ingest -- --json    # one JSON object
//! cargo bench -p patchwright --bench ingest -- --probot  # a Probot app beside it, which npm installs
//! ```
//!
//! Real payloads, signed, go over loopback to the server that `serve` runs, which checks the signature, reads the JSON, makes the
//! delivery durable and answers 202: on SQLite with `synchronous=FULL`, and on a PostgreSQL with its defaults. Beside them stands
//! the same server with a store that keeps nothing; the difference is what durability costs. Each server is a process of its own,
//! so that its memory is its own; all of them take turns in every round, each time in another order. Deciding is not part of it:
//! it happens after the answer. At the end of a round the rows in the databases must be as many as the answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::runtime::{Builder, Runtime};

use contender::{Contender, Kind};
use load::{Load, Measured};
use payloads::Payload;
use report::{Figure, median, milliseconds, print};

#[path = "ingest/contender.rs"]
mod contender;
#[path = "ingest/forgetful.rs"]
mod forgetful;
#[path = "ingest/load.rs"]
mod load;
#[path = "ingest/payloads.rs"]
mod payloads;
#[path = "../../tests/support/postgres/server.rs"]
mod postgres;
#[path = "ingest/probot.rs"]
mod probot;
#[path = "report/figures.rs"]
mod report;

const N_ROUNDS: usize = 7;
const SECRET: &str = "a secret for benchmarks";
const BASELINE: &str = "without a store";
/// Connections, and after how many requests a run ends at the latest.
const LOADS: [(usize, usize); 3] = [(1, 800), (32, 8_000), (256, 8_000)];
const RUN_TIME_MAX: Duration = Duration::from_secs(2);

/// What one load gave in all rounds.
#[derive(Default)]
struct Series {
    per_second: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
}

/// What one contender gave, for each load, and its memory.
#[derive(Default)]
struct Results {
    loads: [Series; LOADS.len()],
    idle_mib: Vec<f64>,
    peak_mib: Vec<f64>,
}

impl Series {
    fn push(&mut self, measured: &Measured) {
        self.per_second.push(measured.per_second());
        self.p50_ms.push(milliseconds(measured.quantile(0.5)));
        self.p99_ms.push(milliseconds(measured.quantile(0.99)));
    }
}

/// What the rounds are played with.
struct Stage {
    client: Runtime,
    payloads: Arc<Vec<Payload>>,
    kinds: Vec<Kind>,
    postgres: Option<postgres::Server>,
    probot: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == contender::ARGUMENT) {
        return contender::serve(&arguments[place + 1..]);
    }
    let client = Builder::new_multi_thread().worker_threads(1).enable_all().build().context("starting the client's runtime")?;
    let payloads = Arc::new(payloads::payloads(SECRET.as_bytes())?);
    // The build folder is on a disk; a temporary folder may be in memory.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let postgres = postgres::programs().map(|programs| postgres::Server::start(place, &programs, ""));
    let probot = if arguments.iter().any(|argument| argument == "--probot") { Some(probot::install(place)?) } else { None };
    let mut kinds = vec![Kind::Forgetful, Kind::Sqlite];
    kinds.extend(postgres.iter().map(|_| Kind::Postgres));
    kinds.extend(probot.iter().map(|_| Kind::Probot));
    let stage = Stage { client, payloads, kinds, postgres, probot };
    let mut results: Vec<Results> = stage.kinds.iter().map(|_| Results::default()).collect();
    for round in 0..N_ROUNDS {
        run_round(&stage, round, &mut results)?;
    }
    report(&stage, &results);
    Ok(())
}

fn report(stage: &Stage, results: &[Results]) {
    let floor = &results[0];
    let mut figures = Vec::new();
    for (kind, results) in stage.kinds.iter().zip(results).skip(1) {
        for (index, (n_connections, _)) in LOADS.into_iter().enumerate() {
            let figure = |what: &str, unit, of: fn(&Series) -> &Vec<f64>| Figure {
                name: format!("{}: {what}, {n_connections} at once", kind.name()),
                unit,
                ours: median(of(&results.loads[index])),
                baseline: Some((BASELINE, median(of(&floor.loads[index])))),
                n_runs: N_ROUNDS,
            };
            figures.push(figure("accepted", "per second", |series| &series.per_second));
            figures.push(figure("p50", "ms", |series| &series.p50_ms));
            figures.push(figure("p99", "ms", |series| &series.p99_ms));
        }
        for (what, of) in [
            ("idle", (|results: &Results| &results.idle_mib) as fn(&Results) -> &Vec<f64>),
            ("peak", |results| &results.peak_mib),
        ] {
            let name = format!("{}: resident memory, {what}", kind.name());
            figures.push(Figure {
                name,
                unit: "MiB",
                ours: median(of(results)),
                baseline: Some((BASELINE, median(of(floor)))),
                n_runs: N_ROUNDS,
            });
        }
    }
    let left_out = match (&stage.postgres, &stage.probot) {
        (None, _) => format!("PostgreSQL is left out, for it is not installed: {}", postgres::INSTALL),
        (_, None) => "Probot is left out; `--probot` has npm install it".to_owned(),
        (Some(_), Some(_)) => "Probot keeps nothing and answers once its handler has ended, which does nothing".to_owned(),
    };
    let notes = [
        "servers and load generator share this machine's cores; memory is the server's alone, PostgreSQL's own is not counted",
        "every 202 was counted again as a row in the database",
        "payloads: issue_comment, pull_request, check_run and workflow_run in turn, as GitHub publishes them",
        &left_out,
    ];
    print("Webhooks accepted and durable", &notes, &figures);
}

fn run_round(stage: &Stage, round: usize, results: &mut [Results]) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).context("making a folder for the database")?;
    let database = format!("round_{round}");
    let mut contenders = Vec::new();
    for kind in &stage.kinds {
        let place = match kind {
            Kind::Forgetful => String::new(),
            Kind::Sqlite => folder.path().join("ingest.db").display().to_string(),
            Kind::Postgres => {
                let server = stage.postgres.as_ref().context("PostgreSQL is among the contenders")?;
                stage.client.block_on(contender::create_database(server, &database))?
            }
            Kind::Probot => stage.probot.as_ref().context("Probot is among the contenders")?.display().to_string(),
        };
        contenders.push(Contender::start(*kind, place)?);
    }
    for (contender, results) in contenders.iter().zip(&mut *results) {
        results.idle_mib.push(contender.memory_mib("VmRSS")?);
    }
    let mut n_accepted = vec![0; contenders.len()];
    for (index, (n_connections, n_requests)) in LOADS.into_iter().enumerate() {
        // Whoever comes later may find a warmer or a busier machine.
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            let contender = &contenders[place];
            let load = Load {
                address: contender.address,
                n_connections,
                n_requests,
                time_max: RUN_TIME_MAX,
                taken: contender.kind.taken(),
            };
            let measured = stage.client.block_on(load.run(Arc::clone(&stage.payloads)))?;
            n_accepted[place] += measured.n_accepted();
            results[place].loads[index].push(&measured);
        }
    }
    for ((contender, results), n_accepted) in contenders.into_iter().zip(results).zip(n_accepted) {
        results.peak_mib.push(contender.memory_mib("VmHWM")?);
        let (kind, place) = (contender.kind, contender.place.clone());
        contender.stop()?;
        let n_rows = match kind {
            Kind::Forgetful | Kind::Probot => continue,
            Kind::Sqlite => contender::count_in_file(Path::new(&place))?,
            Kind::Postgres => {
                let server = stage.postgres.as_ref().context("PostgreSQL is among the contenders")?;
                stage.client.block_on(contender::count_in_database(server, &database))?
            }
        };
        ensure!(n_rows == n_accepted, "{n_accepted} deliveries were accepted, and {n_rows} are in the database");
    }
    if let Some(server) = &stage.postgres {
        stage.client.block_on(contender::drop_database(server, &database))?;
    }
    Ok(())
}
