//! How many jobs a second are claimed and completed, by workers that do nothing else, on an empty store and on a full one.
//!
//! ```text
//! cargo bench -p patchwright --bench jobs              # a table
//! cargo bench -p patchwright --bench jobs -- --json    # one JSON object
//! ```
//!
//! A worker claims a job, writes that it is completed, and claims the next: two transactions, each of them durable. SQLite runs
//! with `synchronous=FULL`, PostgreSQL with its defaults. The full store has a million deliveries that were decided and a hundred
//! thousand jobs that are over, each with a journal of ten entries; the empty one is the baseline.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use patchwright::store::{Lanes, Store};
use patchwright_domain::event::{Actor, DeliveryId, IssueNumber, RawDelivery, RepoRef, Role};
use patchwright_domain::job::{Budget, JobKey, JobSpec, Opening, Task};
use patchwright_domain::journal::{EntryKind, Outcome};
use patchwright_domain::policy::Decision;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use report::{Figure, median, milliseconds, print};
use stores::{Database, Engine};

#[path = "../../tests/support/postgres/server.rs"]
mod postgres;
#[path = "report/figures.rs"]
mod report;
#[path = "jobs/stores.rs"]
mod stores;

const N_ROUNDS: usize = 5;
const N_JOBS: u64 = 2_000;
const N_WORKERS: [usize; 3] = [1, 8, 32];
/// How many of each thing the full store has.
const N_DELIVERIES: u64 = 1_000_000;
const N_JOURNALS: u64 = 100_000;
const LEASE: Duration = Duration::from_secs(60);
const BASELINE: &str = "an empty store";

fn main() -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let server = postgres::programs().map(|programs| postgres::Server::start(place, &programs, ""));
    let folder = tempfile::tempdir_in(place).context("making a folder for the databases")?;
    let mut engines = vec![Engine::Sqlite(folder.path().to_owned())];
    engines.extend(server.map(Engine::Postgres));
    let mut figures = Vec::new();
    for engine in &engines {
        figures.extend(runtime.block_on(measured(engine))?);
    }
    let mut notes = vec!["workers, store and database share this machine's cores".to_owned()];
    if engines.len() == 1 {
        notes.push(format!("PostgreSQL is left out, for it is not installed: {}", postgres::INSTALL));
    }
    let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
    print("Jobs claimed and completed", &notes, &figures);
    Ok(())
}

async fn measured(engine: &Engine) -> anyhow::Result<Vec<Figure>> {
    let (empty, full) = (Database::new(engine, "empty").await?, Database::new(engine, "full").await?);
    full.fill(N_DELIVERIES, N_JOURNALS).await?;
    let mut series = N_WORKERS.map(|_| [Series::default(), Series::default()]);
    for round in 0..N_ROUNDS {
        for (n_workers, series) in N_WORKERS.into_iter().zip(&mut series) {
            // Whoever comes later may find a warmer or a busier machine.
            for turn in [round % 2, (round + 1) % 2] {
                run([&empty, &full][turn].store(), n_workers, &mut series[turn]).await?;
            }
        }
    }
    let figures = |(n_workers, [empty, full]): (usize, [Series; 2])| {
        let figure = |what, unit, of: fn(&Series) -> &Vec<f64>| Figure {
            name: format!("{}: {what}, {n_workers} workers, full", engine.name()),
            unit,
            ours: median(of(&full)),
            baseline: Some((BASELINE, median(of(&empty)))),
            n_runs: N_ROUNDS,
        };
        [figure("jobs", "per second", |series| &series.per_second), figure("claim p99", "ms", |series| &series.p99_ms)]
    };
    Ok(N_WORKERS.into_iter().zip(series).flat_map(figures).collect())
}

/// What all rounds gave.
#[derive(Default)]
struct Series {
    per_second: Vec<f64>,
    p99_ms: Vec<f64>,
}

/// Queues jobs, then has them claimed and completed.
async fn run(store: &Arc<dyn Store>, n_workers: usize, series: &mut Series) -> anyhow::Result<()> {
    queue(store).await?;
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..n_workers {
        workers.spawn(work(Arc::clone(store), format!("worker-{worker}")));
    }
    let mut claims = Vec::new();
    while let Some(done) = workers.join_next().await {
        claims.extend(done??);
    }
    let elapsed = begun.elapsed();
    ensure!(claims.len() as u64 == N_JOBS, "{N_JOBS} jobs were queued, and {} were completed", claims.len());
    claims.sort_unstable();
    series.per_second.push(claims.len() as f64 / elapsed.as_secs_f64());
    series.p99_ms.push(milliseconds(claims[claims.len() * 99 / 100]));
    Ok(())
}

/// Says how long each claim took that found a job.
async fn work(store: Arc<dyn Store>, name: String) -> anyhow::Result<Vec<Duration>> {
    let (mut claims, mut asked) = (Vec::new(), Instant::now());
    while let Some(claim) = store.claim(&name, stores::NOW, LEASE, Lanes::default()).await? {
        claims.push(asked.elapsed());
        let completed = EntryKind::Completed { outcome: Outcome::NoChange };
        store.append(&claim.lease, 1, completed, stores::NOW).await?;
        asked = Instant::now();
    }
    Ok(claims)
}

/// As many at once as a busy server would have.
async fn queue(store: &Arc<dyn Store>) -> anyhow::Result<()> {
    let mut queued = JoinSet::new();
    for _ in 0..N_JOBS {
        let (store, number) = (Arc::clone(store), stores::next_number());
        queued.spawn(async move {
            let id = DeliveryId::new(format!("d-{number}"))?;
            let delivery =
                RawDelivery { id: id.clone(), event: "issue_comment".into(), body: b"{}".to_vec(), received_at: stores::NOW };
            store.receive(&delivery).await?;
            let start = Decision::Start { spec: Box::new(spec(id.clone(), number)?), because: "ada asked".into() };
            store.decide(&id, &start, stores::NOW).await?;
            anyhow::Ok(())
        });
    }
    while let Some(done) = queued.join_next().await {
        done??;
    }
    Ok(())
}

/// Each on an issue of its own.
fn spec(delivery: DeliveryId, number: u64) -> anyhow::Result<JobSpec> {
    let (repo, issue) = (RepoRef::new(7, 1, "octo", "rocket", "main")?, IssueNumber(number));
    Ok(JobSpec {
        key: JobKey::of_comment(&repo, issue, number),
        repo,
        task: Task::FixIssue { issue, request: None },
        requested_by: Actor { id: 9, login: "ada".into(), is_bot: false },
        role: Role::Write,
        needed: Role::Write,
        delivery,
        requested_at: stores::NOW,
        budget: Budget { wall_clock_ms: 1, rounds: 1, attempts: 1, turns: 1, claims: 1, tokens: 1, cost_microusd: 1 },
        described: None,
        plan: None,
        opening: Opening::default(),
        schedule: None,
    })
}
