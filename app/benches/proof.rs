//! What a proof costs beside the test suite's own time, for a repository of 2,300 files (22 MB).
//!
//! ```text
//! cargo bench -p patchwright --bench proof              # a table
//! cargo bench -p patchwright --bench proof -- --json    # one JSON object
//! ```
//!
//! A patch is proven as by `patchwright prove`: a mirror, a fresh tree for each run, the local sandbox, the runner's report,
//! tests that must fail, the verdict. What is measured is the time of the whole proof without that of its test commands, for
//! each tree that they ran in. Beside the whole proof stand as many runs of the same suite in a folder, without anything.
//! Needs git and Python.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::config::Config;
use patchwright::forge::local::LocalCheckout;
use patchwright::sandbox::local::{LocalSandbox, LocalSettings, SANDBOX_UID};
use patchwright::sandbox::toolchains;
use patchwright::store::memory::MemoryStore;
use patchwright::worker::{self, Tools, prove};
use patchwright::workspace::{Adopted, Workspaces};
use patchwright_domain::event::{Actor, DeliveryId, RepoRef, Role, Untrusted};
use patchwright_domain::job::{JobKey, JobSpec, Mode, Opening, Task};
use patchwright_domain::proof::Verdict;

use files::{contents, git};
use report::{Figure, median, milliseconds, print};

#[path = "workspace/files.rs"]
mod files;
#[path = "report/figures.rs"]
mod report;

const N_ROUNDS: usize = 7;
const BARE: &str = "bare suite";
const SUITE: &str = "python3 -m unittest";
/// Each with its text before the patch and after it.
const FILES: [(&str, &str, &str); 3] = [
    (
        "calc.py",
        "def mean(values):\n    return sum(values) / (len(values) - 1)\n",
        "def mean(values):\n    return sum(values) / len(values)\n",
    ),
    ("tests/__init__.py", "", ""),
    (
        "tests/test_calc.py",
        "import unittest\nfrom calc import mean\n\n\nclass Mean(unittest.TestCase):\n    def test_three(self):\n        \
         self.assertEqual(mean([2, 4, 6]), 4)\n",
        "import unittest\nfrom calc import mean\n\n\nclass Mean(unittest.TestCase):\n    def test_three(self):\n        \
         self.assertEqual(mean([2, 4, 6]), 4)\n\n    def test_one(self):\n        self.assertEqual(mean([2]), 2)\n",
    ),
];

/// What one proof took.
struct Round {
    whole_ms: f64,
    /// For each tree, beside the test command's own time.
    overhead_ms: f64,
    bare_ms: f64,
}

fn main() -> anyhow::Result<()> {
    patchwright_launcher::run_if_launched();
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).context("making a folder for the benchmark")?;
    let checkout = folder.path().join("checkout");
    let (base, head) = commits(&checkout)?;
    let tools = tools(folder.path(), checkout.clone()).await?;
    let path = path().await?;
    let spec = spec()?;
    let adopted = tools.workspaces.adopt(&spec.repo, checkout.clone(), &base, &head).await?;
    // The shared tree beneath is written once for each base commit.
    let (n_trees, _) = round(&tools, &spec, &adopted, (&checkout, &path)).await?;
    let mut rounds = Vec::new();
    for _ in 0..N_ROUNDS {
        rounds.push(round(&tools, &spec, &adopted, (&checkout, &path)).await?.1);
    }
    let notes = [
        "a proof is of the base, the patch's code, its tests and the whole patch, each run as often as by default",
        "the overhead is the whole proof's time without that of its test commands, for each tree that they ran in",
    ];
    let of = |part: fn(&Round) -> f64| median(&rounds.iter().map(part).collect::<Vec<_>>());
    let figure = |name: String, unit, ours, baseline| Figure { name, unit, ours, baseline, n_runs: N_ROUNDS };
    let figures = [
        figure(format!("a proof of {n_trees} trees"), "ms", of(|round| round.whole_ms), Some((BARE, of(|round| round.bare_ms)))),
        figure("overhead for each tree".to_owned(), "ms", of(|round| round.overhead_ms), None),
    ];
    print("The proof", &notes, &figures);
    Ok(())
}

/// Proves the patch once, and runs its suite as often without anything.
async fn round(
    tools: &Tools,
    spec: &JobSpec,
    adopted: &Adopted,
    (checkout, path): (&Path, &OsStr),
) -> anyhow::Result<(usize, Round)> {
    let started = Instant::now();
    let proof = prove::prove(tools, spec, adopted, prove::About::Tests)
        .await
        .map_err(|failure| anyhow!("{}", failure.conclusion.cause))?;
    let whole = started.elapsed();
    ensure!(matches!(proof.verdict, Verdict::Proven { .. }), "the patch is not proven: {:?}", proof.verdict);
    let account = proof.verdict.account().context("a verdict without an account")?;
    let tests: Duration = account.runs.iter().map(|run| Duration::from_millis(run.duration_ms)).sum();
    let n_trees = account.runs.len();
    let started = Instant::now();
    for _ in 0..n_trees {
        bare(checkout, path)?;
    }
    let bare_ms = milliseconds(started.elapsed());
    let overhead_ms = milliseconds(whole.saturating_sub(tests)) / f64::from(u32::try_from(n_trees)?);
    Ok((n_trees, Round { whole_ms: milliseconds(whole), overhead_ms, bare_ms }))
}

/// The suite of the whole patch, without any walls.
fn bare(checkout: &Path, path: &OsStr) -> anyhow::Result<()> {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", SUITE]).current_dir(checkout).env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().context("running Python")?;
    ensure!(status.success(), "`{SUITE}` ended with {status}");
    Ok(())
}

/// Where programs are looked for without walls: first where they are inside. What is found otherwise may be a wrapper that takes
/// longer to find Python than Python takes.
async fn path() -> anyhow::Result<OsString> {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = toolchains::discover(Some(usual.clone())).await.path;
    folders.extend(std::env::split_paths(&usual));
    Ok(std::env::join_paths(folders)?)
}

fn commits(checkout: &Path) -> anyhow::Result<(String, String)> {
    let put = |path: &str, bytes: &[u8]| -> anyhow::Result<()> {
        let place = checkout.join(path);
        std::fs::create_dir_all(place.parent().context("a file without a folder")?)?;
        Ok(std::fs::write(place, bytes)?)
    };
    std::fs::create_dir_all(checkout)?;
    git(checkout, &["init", "-q"])?;
    for (path, bytes) in contents() {
        put(&path, &bytes)?;
    }
    let commit = |message: &str| {
        git(checkout, &["add", "-A"])?;
        git(checkout, &["-c", "user.name=Mona", "-c", "user.email=mona@example.com", "commit", "-q", "-m", message])?;
        let head = git2::Repository::open(checkout)?.head()?.target().context("a branch without a commit")?;
        anyhow::Ok(head.to_string())
    };
    for (path, before, _) in FILES {
        put(path, before.as_bytes())?;
    }
    let base = commit("base")?;
    for (path, _, after) in FILES {
        put(path, after.as_bytes())?;
    }
    Ok((base, commit("head")?))
}

fn spec() -> anyhow::Result<JobSpec> {
    let now = SystemClock.now();
    Ok(JobSpec {
        key: JobKey::of_command_line("base", "head", now),
        repo: RepoRef::new(1, 0, "local", "large", "HEAD")?,
        task: Task::Local { request: Untrusted::new(""), leaves_branch: false, mode: Mode::Fix },
        requested_by: Actor { id: 0, login: "mona".into(), is_bot: false },
        role: Role::Admin,
        needed: Role::None,
        delivery: DeliveryId::new("bench".to_owned())?,
        requested_at: now,
        budget: Config::default().limits.budget(),
        described: None,
        plan: None,
        opening: Opening::default(),
        schedule: None,
    })
}

async fn tools(folder: &Path, checkout: PathBuf) -> anyhow::Result<Tools> {
    Ok(Tools {
        store: Arc::new(MemoryStore::default()),
        forge: Arc::new(LocalCheckout { path: checkout }),
        workspaces: Arc::new(Workspaces::open(folder.join("workspaces"), Some(SANDBOX_UID)).await?),
        sandbox: Arc::new(LocalSandbox::new("/proc/self/exe".into(), LocalSettings::default())),
        egress: None,
        agents: Vec::new(),
        clock: Arc::new(SystemClock),
        attestor: None,
        settings: worker::Settings {
            test_timeout: Duration::from_secs(60),
            patch_size: Config::default().limits.patch_size(),
            guarded: patchwright::guarded::Guarded::default(),
            proof_runs: usize::try_from(Config::default().limits.proof_runs)?,
            publishes_untested: false,
            progress_spacing: std::time::Duration::from_secs(5),
            model: "none".into(),
            is_priced: false,
            host: "127.0.0.1".into(),
            author: "patchwright".into(),
            email: "patchwright@localhost".into(),
            instruction_fallbacks: Vec::new(),
            test_command: None,
            devcontainer_images: None,
            lanes: patchwright::store::Lanes::default(),
            limits_of_day: patchwright::store::ledger::Limits::default(),
        },
    })
}
