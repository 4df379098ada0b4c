//! What the sandbox costs: the start of a fresh one, a command in one that is kept, a tree to work in, a real test suite.
//!
//! ```text
//! cargo bench -p patchwright --bench sandbox              # a table
//! cargo bench -p patchwright --bench sandbox -- --json    # one JSON object
//! ```
//!
//! Beside them stand the same commands without any walls and, where it is installed, in bubblewrap; all take turns in each
//! round. The launcher is this benchmark's own executable. A tree counts as ready when the first `git status` in it has
//! ended. The test suites are some of Python's own, where the machine's Python has brought them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::forge::CloneAccess;
use patchwright::rehearsal::{DEFAULT_BRANCH, Rehearsal, Settings};
use patchwright::sandbox::local::{LocalSandbox, LocalSettings, SANDBOX_UID};
use patchwright::sandbox::{Command, Executor, Profile, Sandbox as _, Tree};
use patchwright::workspace::{Scratch, Workspaces};
use patchwright_domain::event::RepoRef;
use patchwright_domain::journal::CommitId;
use patchwright_domain::proof::Exit;

use files::git;
use report::{Figure, median, milliseconds, print};
use repository::{NAME, OWNER};

#[path = "workspace/files.rs"]
mod files;
#[path = "report/figures.rs"]
mod report;
#[path = "workspace/repository.rs"]
mod repository;

const N_COMMANDS: usize = 41;
const N_TREES: usize = 9;
const N_SUITES: usize = 5;
const BARE: &str = "bare exec";
const BUBBLEWRAP: &str = "bubblewrap";
const CLONE: &str = "git clone --shared";
const TIMEOUT: Duration = Duration::from_secs(300);
/// Python's own tests that need neither a network nor much time.
const SUITES: &str = "test_json test_re test_dict test_collections";

fn main() -> anyhow::Result<()> {
    patchwright_launcher::run_if_launched();
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).context("making a folder for the benchmark")?;
    let sandbox = LocalSandbox::new("/proc/self/exe".into(), LocalSettings::default());
    let mut figures = commands(&sandbox, folder.path()).await?;
    figures.extend(trees(&sandbox, folder.path()).await?);
    figures.extend(suites(&sandbox, folder.path()).await?);
    let notes = [
        "every command is `/bin/bash -c 'exec true'`; a fresh sandbox is opened for it, with all its mounts, and is gone after it",
        "a tree has 2,300 files (22 MB) and is ready when the first `git status` in it has ended",
        "the shared tree beneath is written once for each base commit; that is part of no round",
    ];
    print("The sandbox", &notes, &figures);
    Ok(())
}

fn figure(name: &str, ours: &[f64], baseline: Option<(&'static str, &[f64])>) -> Figure {
    let baseline = baseline.map(|(name, values)| (name, median(values)));
    Figure { name: name.into(), unit: "ms", ours: median(ours), baseline, n_runs: ours.len() }
}

fn script(script: &str) -> Command {
    Command { script: script.to_owned(), directory: String::new(), timeout: TIMEOUT, output_bytes_max: 64 * 1024 }
}

async fn executed(executor: &mut dyn Executor, text: &str) -> anyhow::Result<()> {
    let output = executor.execute(&script(text)).await?;
    ensure!(output.exit == Exit::Code(0), "`{text}`: {}: {}", output.exit, String::from_utf8_lossy(&output.output));
    Ok(())
}

/// Runs a program without walls, with its output read as ours is.
async fn bare(program: &str, arguments: &[&str], folder: &Path) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("starting {program}"))?;
    ensure!(output.status.success(), "{program} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn timed(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    work.await?;
    Ok(milliseconds(begun.elapsed()))
}

/// Walls as near to ours as bubblewrap makes them.
fn bubblewrap(workspace: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--unshare-all --die-with-parent --new-session --cap-drop ALL --clearenv --hostname sandbox --ro-bind /usr /usr",
        "--symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --symlink usr/sbin /sbin",
        "--proc /proc --dev /dev --tmpfs /tmp --tmpfs /home --chdir /workspace",
    ]
    .iter()
    .flat_map(|part| part.split(' ').map(str::to_owned))
    .collect();
    arguments.extend(["--bind".to_owned(), workspace.display().to_string(), "/workspace".to_owned()]);
    arguments.extend(["/bin/bash", "-c", "exec true"].map(str::to_owned));
    arguments
}

async fn commands(sandbox: &LocalSandbox, folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let workspace = folder.join("workspace");
    std::fs::create_dir(&workspace)?;
    let wrapped = bubblewrap(&workspace);
    let wrapped: Vec<&str> = wrapped.iter().map(String::as_str).collect();
    let has_bubblewrap = bare("bwrap", &wrapped, folder).await.is_ok();
    let mut kept = sandbox.open(Tree::alone(&workspace), Profile::Agent.into()).await?;
    executed(kept.as_mut(), "exec true").await?;
    let [mut of_bare, mut of_fresh, mut of_kept, mut of_wrapped] = [const { Vec::new() }; 4];
    for _ in 0..N_COMMANDS {
        of_bare.push(timed(bare("/bin/bash", &["-c", "exec true"], folder)).await?);
        of_fresh.push(
            timed(async {
                let mut fresh = sandbox.open(Tree::alone(&workspace), Profile::Proof.into()).await?;
                executed(fresh.as_mut(), "exec true").await
            })
            .await?,
        );
        of_kept.push(timed(executed(kept.as_mut(), "exec true")).await?);
        if has_bubblewrap {
            of_wrapped.push(timed(bare("bwrap", &wrapped, folder)).await?);
        }
    }
    let over = |values: &[f64]| values.iter().zip(&of_bare).map(|(ours, bare)| ours - bare).collect::<Vec<_>>();
    let mut figures = vec![
        figure("a command in a fresh sandbox", &of_fresh, Some((BARE, &of_bare))),
        figure("  over bare exec", &over(&of_fresh), None),
        figure("a command in a kept sandbox", &of_kept, Some((BARE, &of_bare))),
        figure("  over bare exec", &over(&of_kept), None),
    ];
    if has_bubblewrap {
        figures.push(figure("a command in a fresh sandbox", &of_fresh, Some((BUBBLEWRAP, &of_wrapped))));
    }
    Ok(figures)
}

/// A mirror on this machine, and the commit of which trees are made.
struct Repository {
    workspaces: Workspaces,
    repo: RepoRef,
    commit: CommitId,
    bare: PathBuf,
}

async fn repository(folder: &Path) -> anyhow::Result<(Rehearsal, Repository)> {
    let github = Rehearsal::start(Settings::new(std::sync::Arc::new(|| SystemClock.now()))).await?;
    let id = repository::create(&github).await?;
    let bare = github.repository_path(id).context("the repository has no folder")?;
    let workspaces = Workspaces::open(folder.join("workspaces"), Some(SANDBOX_UID)).await?;
    let repo = RepoRef::new(1, 1, OWNER, NAME, DEFAULT_BRANCH).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let commit = workspaces.fetch(&repo, CloneAccess { url: bare.display().to_string(), token: None }).await?;
    Ok((github, Repository { workspaces, repo, commit, bare }))
}

async fn looked_at(sandbox: &LocalSandbox, tree: &Scratch) -> anyhow::Result<()> {
    let mut opened = sandbox.open(tree.tree(), Profile::Proof.into()).await?;
    executed(opened.as_mut(), "[ -z \"$(git status --porcelain)\" ]").await
}

async fn trees(sandbox: &LocalSandbox, folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let (github, repository) = repository(folder).await?;
    let Repository { workspaces, repo, commit, bare } = &repository;
    if !sandbox.layers(&workspaces.folder(), Profile::Proof).await {
        bail!("this machine cannot lay one tree over another; see `patchwright doctor`");
    }
    workspaces.layered(repo, commit, commit).await?;
    let [mut of_layered, mut of_whole, mut of_clone] = [const { Vec::new() }; 3];
    // Removing thousands of files slows down the making of others on some disks.
    let mut kept = Vec::new();
    for number in 0..N_TREES {
        of_layered.push(
            timed(async {
                let tree = workspaces.layered(repo, commit, commit).await?;
                looked_at(sandbox, &tree).await?;
                kept.push(tree);
                Ok(())
            })
            .await?,
        );
        of_whole.push(
            timed(async {
                let tree = workspaces.scratch(repo, commit).await?;
                looked_at(sandbox, &tree).await?;
                kept.push(tree);
                Ok(())
            })
            .await?,
        );
        of_clone.push(
            timed(async {
                let target = folder.join(format!("clone-{number}"));
                let (from, to) = (bare.to_string_lossy(), target.to_string_lossy());
                git(folder, &["clone", "--shared", "--quiet", &from, &to])?;
                git(&target, &["status", "--porcelain"])
            })
            .await?,
        );
    }
    drop(kept);
    github.stop().await;
    Ok(vec![
        figure("a tree over a shared one, with git status", &of_layered, Some((CLONE, &of_clone))),
        figure("a tree of its own, with git status", &of_whole, Some((CLONE, &of_clone))),
    ])
}

async fn suites(sandbox: &LocalSandbox, folder: &Path) -> anyhow::Result<Vec<Figure>> {
    let command = format!("cd /tmp && python3 -m test -q {SUITES}");
    if bare("/bin/bash", &["-c", &command], folder).await.is_err() {
        return Ok(Vec::new());
    }
    let workspace = folder.join("workspace");
    let [mut of_bare, mut of_ours] = [const { Vec::new() }; 2];
    for _ in 0..N_SUITES {
        of_bare.push(timed(bare("/bin/bash", &["-c", &command], folder)).await?);
        of_ours.push(
            timed(async {
                let mut fresh = sandbox.open(Tree::alone(&workspace), Profile::Proof.into()).await?;
                executed(fresh.as_mut(), &command).await
            })
            .await?,
        );
    }
    Ok(vec![figure("test suites of Python", &of_ours, Some((BARE, &of_bare)))])
}
