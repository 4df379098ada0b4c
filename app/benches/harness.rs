//! What the agent's loop costs: from the start of a process to its first request, for each turn, in memory and on the wire.
//!
//! ```text
//! cargo bench -p patchwright --bench harness              # a table
//! cargo bench -p patchwright --bench harness -- --json    # one JSON object
//! ```
//!
//! A scripted model on loopback answers at once: N reads of 40 lines, one edit, one final message. The agent is this
//! program started again, without clone and proof: `Turns` with the Responses format, in the sandbox of `serve`, and
//! without one. Beside it stands the Codex CLI on the same model with the same script, where it is at hand: as `codex` on
//! the `PATH`, where `PATCHWRIGHT_BENCH_CODEX` says, or through `npm`. Rounds are interleaved.
//!
//! The first request's time, the wall-clock time and the requests are seen by the model; the peak of memory is read from
//! `/proc` while the process runs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use codex::Codex;
use measure::{Measured, Script, measure};
use report::{Figure, median, print};

#[path = "harness/bare.rs"]
mod bare;
#[path = "harness/child.rs"]
mod child;
#[path = "harness/codex.rs"]
mod codex;
#[path = "harness/measure.rs"]
mod measure;
#[path = "report/figures.rs"]
mod report;
#[path = "harness/repository.rs"]
mod repository;

const N_ROUNDS: usize = 5;
const LENGTHS: [usize; 3] = [1, 20, 100];
/// The lengths between which the cost of a turn is taken.
const SLOPE: (usize, usize) = (20, 100);

/// Who works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    Bare,
    Sandboxed,
    CodexBare,
    CodexSandboxed,
}

/// What was measured of one contender with scripts of one length.
struct Series {
    contender: Contender,
    n_reads: usize,
    rounds: Vec<Measured>,
}

fn main() -> anyhow::Result<()> {
    // A child of this benchmark is the agent; a child of that is its sandbox's launcher.
    patchwright_launcher::run_if_launched();
    if let Some(work) = child::Work::from_arguments() {
        return child::work(work);
    }
    let runtime = tokio::runtime::Runtime::new().context("starting the asynchronous runtime")?;
    runtime.block_on(compare())
}

async fn compare() -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("harness-bench-").tempdir().context("making a folder")?;
    let codex = Codex::find(folder.path()).await;
    let mut contenders = vec![Contender::Bare, Contender::Sandboxed];
    if codex.is_ok() {
        contenders.extend([Contender::CodexBare, Contender::CodexSandboxed]);
    }
    let mut all: Vec<Series> = Vec::new();
    for n_reads in LENGTHS {
        for &contender in &contenders {
            all.push(Series { contender, n_reads, rounds: Vec::new() });
        }
    }
    for round in 0..=N_ROUNDS {
        for series in &mut all {
            let place = folder.path().join(format!("{round}-{:?}-{}", series.contender, series.n_reads));
            let measured = once(series.contender, series.n_reads, &place, codex.as_ref().ok()).await;
            let measured = measured.with_context(|| format!("{:?} with {} reads", series.contender, series.n_reads))?;
            // The first round warms everything up.
            if round > 0 {
                series.rounds.push(measured);
            }
            std::fs::remove_dir_all(&place).context("removing a repository")?;
        }
    }
    let missing = codex.err().map(|reason| format!("The Codex CLI is left out: {reason}"));
    let mut notes = vec![
        "ours is the agent alone, as this benchmark's executable: no clone, no baseline, no proof",
        "a turn's cost is the slope between 20 and 100 reads; the model answers in 1 to 2 ms and is part of it",
    ];
    notes.extend(missing.as_deref());
    print("The agent's loop", &notes, &figures(&all));
    Ok(())
}

async fn once(contender: Contender, n_reads: usize, place: &Path, codex: Option<&Codex>) -> anyhow::Result<Measured> {
    repository::write(place)?;
    let script = match contender {
        Contender::Bare | Contender::Sandboxed => Script::Ours,
        Contender::CodexBare | Contender::CodexSandboxed => Script::Codex,
    };
    let measured = measure(script, n_reads, |base_url| match contender {
        Contender::Bare => child::command(base_url, place, false),
        Contender::Sandboxed => child::command(base_url, place, true),
        Contender::CodexBare => codex.context("there is no Codex")?.command(base_url, place, false),
        Contender::CodexSandboxed => codex.context("there is no Codex")?.command(base_url, place, true),
    })
    .await?;
    ensure!(repository::is_mended(place)?, "the edit did not arrive");
    Ok(measured)
}

fn of(all: &[Series], contender: Contender, n_reads: usize, value: impl Fn(&Measured) -> f64) -> Option<f64> {
    let series = all.iter().find(|series| series.contender == contender && series.n_reads == n_reads)?;
    Some(median(&series.rounds.iter().map(value).collect::<Vec<_>>()))
}

fn slope(all: &[Series], contender: Contender) -> Option<f64> {
    let (few, many) = SLOPE;
    let wall = |n| of(all, contender, n, |measured| measured.wall_ms);
    #[expect(clippy::cast_precision_loss, reason = "both are small")]
    let turns = (many - few) as f64;
    Some((wall(many)? - wall(few)?) / turns)
}

fn figures(all: &[Series]) -> Vec<Figure> {
    let pairs = [
        ("without a sandbox", Contender::Bare, Contender::CodexBare, "codex exec, bypass"),
        ("sandboxed", Contender::Sandboxed, Contender::CodexSandboxed, "codex exec, workspace-write"),
    ];
    let mut figures = Vec::new();
    for (how, ours, theirs, name) in pairs {
        let mut add = |what: String, unit, ours: Option<f64>, theirs: Option<f64>| {
            let baseline = theirs.map(|value| (name, value));
            figures.push(Figure { name: what, unit, ours: ours.unwrap_or_default(), baseline, n_runs: N_ROUNDS });
        };
        let both = |n, value: fn(&Measured) -> f64| (of(all, ours, n, value), of(all, theirs, n, value));
        let (a, b) = both(20, |measured| measured.first_request_ms);
        add(format!("start to first request, {how}"), "ms", a, b);
        add(format!("a turn, {how}"), "ms", slope(all, ours), slope(all, theirs));
        for n in LENGTHS {
            let (a, b) = both(n, |measured| measured.wall_ms);
            add(format!("{n} reads in all, {how}"), "ms", a, b);
        }
        let (a, b) = both(100, |measured| measured.peak_rss_mb);
        add(format!("peak of resident memory, {how}"), "MB", a, b);
        let (a, b) = both(1, |measured| measured.first_request_kb);
        add(format!("first request, {how}"), "kB", a, b);
        let (a, b) = both(100, |measured| measured.n_connections);
        add(format!("TCP connections of 102 requests, {how}"), "connections", a, b);
        let (a, b) = both(100, |measured| measured.prefix_percent);
        add(format!("of each request a prefix of the next, {how}"), "%", a, b);
    }
    figures
}

/// This program.
fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("finding this program")
}
