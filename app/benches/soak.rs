//! Ten minutes of a steady load with faults: whether memory stays flat, and whether anything is lost or done twice.
//!
//! ```text
//! cargo bench -p patchwright --bench soak                                    # 10 minutes on SQLite, then on PostgreSQL
//! cargo bench -p patchwright --bench soak -- --store sqlite --minutes 1      # a short one
//! cargo bench -p patchwright --bench soak -- --kills 200 --minutes 30        # and 200 times kill -9 at random moments
//! ```
//!
//! The program itself runs as processes: on SQLite one `serve` with its workers, on PostgreSQL `serve --no-work` and three `work`.
//! Real payloads, signed, go to the server at a steady rate, whether it answers or not; what is not accepted is sent again. Among
//! them come, through the rehearsal GitHub, issues with requests for a fix: some of them are edited, closed, told twice or not
//! told at all. GitHub and the model fail at moments that the seed decides. At the end everything has to be decided and ended;
//! then what was accepted must be in the store once, and each request on GitHub once: a branch, a pull request, a comment, a check
//! run. It ends with 1 where something was lost, done twice or left over. What it does not fail: the disk, and the database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::time::Instant;

use audit::{Done, Findings};
use books::{Books, Counts};
use fleet::Fleet;
use load::{Load, Tally};
use site::{Asked, Site};
use stage::{Kind, Stage};
use watch::Watch;

#[path = "soak/audit.rs"]
mod audit;
#[path = "soak/books.rs"]
mod books;
#[path = "soak/faults.rs"]
mod faults;
#[path = "soak/fleet.rs"]
mod fleet;
#[path = "soak/load.rs"]
mod load;
#[path = "soak/outcome.rs"]
mod outcome;
#[path = "ingest/payloads.rs"]
mod payloads;
#[path = "../../tests/support/postgres/server.rs"]
mod postgres;
#[path = "report/figures.rs"]
mod report;
#[path = "soak/site.rs"]
mod site;
#[path = "soak/stage.rs"]
mod stage;
#[path = "soak/watch.rs"]
mod watch;

/// What GitHub signs with.
const SECRET: &str = "a secret for benchmarks";
/// How long everything may take to be decided and ended behind the load.
const SETTLE_MAX: Duration = Duration::from_secs(15 * 60);
/// How often it is looked whether it is.
const SETTLE_PAUSE: Duration = Duration::from_secs(2);
const SAMPLE_PAUSE: Duration = Duration::from_secs(1);
/// How often it is said how far everything is.
const SAID_PAUSE: Duration = Duration::from_secs(60);

/// How long, how much, and what goes wrong.
#[derive(Clone, Debug, clap::Parser)]
struct Options {
    /// Minutes of load
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Deliveries a second
    #[arg(long, default_value_t = 200)]
    per_second: u32,
    /// What decides when what goes wrong
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The store; both in turn where it is not said
    #[arg(long, value_enum)]
    store: Option<Kind>,
    /// Seconds between two requests for a fix, on average
    #[arg(long, default_value_t = 5.0)]
    ask_every: f64,
    /// How often a process is killed and started again, at random moments
    #[arg(long, default_value_t = 0, conflicts_with = "kill_every")]
    kills: u32,
    /// The same, as seconds between two of them, on average
    #[arg(long)]
    kill_every: Option<f64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn lasts(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    fn n_kills(&self) -> u32 {
        self.kill_every.map_or(self.kills, |every| (self.minutes * 60.0 / every).round() as u32)
    }
}

/// How it went on behind the load.
struct Settled {
    is_done: bool,
    /// How many deliveries were not decided when the load was over.
    n_undecided: i64,
    /// How long it took until everything was decided and ended.
    took: Duration,
}

/// What came of a run.
struct Soaked {
    kind: Kind,
    tally: Arc<Tally>,
    counts: Counts,
    settled: Settled,
    watch: Watch,
    n_asked: usize,
    n_faults: usize,
    n_missed: usize,
    n_killed: usize,
    /// How many jobs ended in which way.
    outcomes: BTreeMap<String, usize>,
    findings: Findings,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The build folder is on a disk; a temporary folder may be in memory.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut all = Vec::new();
    for kind in options.store.map_or(vec![Kind::Sqlite, Kind::Postgres], |kind| vec![kind]) {
        let Some(stage) = Stage::set(kind, place, options.n_kills() > 0)? else {
            say(&format!("PostgreSQL is left out, for it is not installed: {}", postgres::INSTALL));
            continue;
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let soaked = runtime.block_on(soak(&stage, &options))?;
        if !soaked.findings.is_clean() {
            say(&format!("what the processes said is kept in {}", stage.keep().display()));
        }
        all.push(soaked);
    }
    outcome::report(&options, &all);
    let is_clean = all.iter().all(|soaked| soaked.findings.is_clean());
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stderr, reason = "whoever waits is told how far it is")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// What runs and is looked at, for as long as a run lasts.
struct Run<'s> {
    options: &'s Options,
    site: Site,
    books: Books,
    fleet: Fleet,
    tally: Arc<Tally>,
    watch: Mutex<Watch>,
    asked: Mutex<Vec<Asked>>,
    told: Mutex<BTreeSet<String>>,
    n_faults: AtomicUsize,
    n_killed: AtomicUsize,
}

async fn soak(stage: &Stage, options: &Options) -> anyhow::Result<Soaked> {
    let site = Site::start(SECRET, &stage.url()).await?;
    let posts = stage.posts(&site, SECRET).await?;
    let fleet = Fleet::start(posts)?;
    stage.until_ready().await?;
    let (tally, watch) = (Arc::<Tally>::default(), Mutex::new(Watch::begin()));
    let run = Run {
        options,
        site,
        books: stage.books(),
        fleet,
        tally,
        watch,
        asked: Mutex::default(),
        told: Mutex::default(),
        n_faults: AtomicUsize::new(0),
        n_killed: AtomicUsize::new(0),
    };
    say(&format!(
        "{}: {} minutes at {} deliveries a second, seed {}",
        stage.kind.name(),
        options.minutes,
        options.per_second,
        options.seed
    ));
    run.play(&stage.url()).await?;
    let settled = run.settle().await?;
    run.end(stage.kind, settled).await
}

impl Run<'_> {
    /// The load with all that happens beside it.
    async fn play(&self, url: &str) -> anyhow::Result<()> {
        let load = Load {
            url: url.to_owned(),
            per_second: self.options.per_second,
            lasts: self.options.lasts(),
            payloads: payloads::payloads(SECRET.as_bytes())?,
            tally: Arc::clone(&self.tally),
        };
        let mut seeds = fastrand::Rng::with_seed(self.options.seed);
        let (mut asking, mut failing, mut killing) = (seeds.fork(), seeds.fork(), seeds.fork());
        let people = async { tokio::try_join!(load.run(), self.ask(&mut asking)) };
        tokio::select! {
            done = people => done.map(|_| ()),
            done = self.kill(&mut killing) => done,
            done = self.look() => done,
            () = faults::strike(&self.site, &mut failing, &self.n_faults) => Ok(()),
        }
    }

    /// People ask until the time is over.
    async fn ask(&self, random: &mut fastrand::Rng) -> anyhow::Result<()> {
        let end = Instant::now() + self.options.lasts();
        loop {
            let next = Instant::now() + Duration::from_secs_f64(self.options.ask_every * (0.5 + random.f64()));
            if next > end {
                return Ok(());
            }
            tokio::time::sleep_until(next).await;
            let asked = self.site.ask(random).await?;
            held(&self.asked).push(asked);
        }
    }

    /// Processes are killed at random moments, and never more.
    async fn kill(&self, random: &mut fastrand::Rng) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut moments: Vec<f64> = (0..self.options.n_kills()).map(|_| random.f64()).collect();
        moments.sort_by(f64::total_cmp);
        for moment in moments {
            tokio::time::sleep_until(begun + self.options.lasts().mul_f64(moment)).await;
            self.fleet.kill_one(random)?;
            self.n_killed.fetch_add(1, Ordering::Relaxed);
        }
        std::future::pending().await
    }

    /// Looks every second what the processes use, and says every minute how far everything is.
    async fn look(&self) -> anyhow::Result<()> {
        let mut said = Instant::now();
        loop {
            tokio::time::sleep(SAMPLE_PAUSE).await;
            let uses = self.fleet.look()?;
            held(&self.watch).add(&uses);
            if said.elapsed() >= SAID_PAUSE {
                said = Instant::now();
                self.site.collect(&mut held(&self.told));
                let counts = self.books.counts().await.ok();
                say(&held(&self.watch).line(self.tally.n_accepted(), counts, &uses));
            }
        }
    }

    /// Waits until everything is stored, decided and ended.
    async fn settle(&self) -> anyhow::Result<Settled> {
        let n_undecided = self.books.counts().await?.n_undecided;
        let n_asked = held(&self.asked).len();
        say(&format!("the load is over; {n_asked} requests for a fix were made, and {n_undecided} deliveries are undecided"));
        let (begun, mut said, mut was_done) = (Instant::now(), Instant::now(), false);
        while begun.elapsed() < SETTLE_MAX {
            self.site.github.settle().await;
            self.site.collect(&mut held(&self.told));
            let (uses, counts) = (self.fleet.look()?, self.books.counts().await.ok());
            // Twice in a row: what GitHub told in between is collected the second time.
            let is_done_now = counts.is_some_and(|counts| self.is_done(&counts));
            let is_done = is_done_now && was_done;
            was_done = is_done_now;
            if is_done || said.elapsed() >= SAID_PAUSE {
                said = Instant::now();
                say(&held(&self.watch).line(self.tally.n_accepted(), counts, &uses));
            }
            if is_done {
                return Ok(Settled { is_done, n_undecided, took: begun.elapsed() });
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
        Ok(Settled { is_done: false, n_undecided, took: begun.elapsed() })
    }

    /// Whether all that was sent is stored and decided, and all that came of it has ended.
    fn is_done(&self, counts: &Counts) -> bool {
        let n_sent = self.tally.n_accepted() + held(&self.told).len();
        let is_stored = usize::try_from(counts.n_deliveries).is_ok_and(|n_stored| n_stored >= n_sent);
        is_stored && counts.n_undecided == 0 && counts.n_open == 0
    }

    /// Looks through everything, and stops it.
    async fn end(self, kind: Kind, settled: Settled) -> anyhow::Result<Soaked> {
        let counts = self.books.counts().await?;
        let asked = self.asked.into_inner().unwrap_or_else(PoisonError::into_inner);
        let told = self.told.into_inner().unwrap_or_else(PoisonError::into_inner);
        let n_asked = asked.len();
        let done = Done { asked, accepted: self.tally.accepted(), told };
        let mut findings = Findings::of(&self.site, &self.books, &done).await?;
        if !settled.is_done {
            findings.lost.push(format!("not all was decided and ended {} minutes behind the load", SETTLE_MAX.as_secs() / 60));
        }
        findings
            .lost
            .extend(self.tally.given_up().into_iter().map(|given_up| format!("delivery {given_up}, and never accepted")));
        let mut outcomes = BTreeMap::new();
        for job in self.books.jobs().await? {
            *outcomes.entry(job.outcome.unwrap_or_else(|| "open".into())).or_default() += 1;
        }
        let fleet = self.fleet;
        findings.left.extend(tokio::task::spawn_blocking(move || fleet.stop()).await.context("stopping the processes")??);
        Ok(Soaked {
            kind,
            tally: self.tally,
            counts,
            settled,
            watch: self.watch.into_inner().unwrap_or_else(PoisonError::into_inner),
            n_asked,
            n_faults: self.n_faults.into_inner(),
            n_missed: self.site.n_missed.into_inner(),
            n_killed: self.n_killed.into_inner(),
            outcomes,
            findings,
        })
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
