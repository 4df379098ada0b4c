//! How long it takes from a webhook to a tree of files to work in, for a repository of 2,300 files (22 MB).
//!
//! ```text
//! cargo bench -p patchwright --bench workspace              # a table
//! cargo bench -p patchwright --bench workspace -- --json    # one JSON object
//! ```
//!
//! A GitHub on loopback sends the signed webhook of a comment; server, store, intake, worker, forge and mirror are those
//! of `serve`. The clock runs from the moment at which GitHub begins to send until the worker asks for a sandbox on the
//! finished tree; the sandbox of the benchmark refuses, which ends the run. The mirror is warm, as it is for every
//! request but a repository's first. Fetching and writing are measured alone as well. Beside them stands
//! `git clone --local`, which fetches nothing. Needs git, with which the rehearsed GitHub serves its repositories.
//!
//! All trees stay until the end: ext4 without a journal, as small virtual machines have it, is slow to make
//! files after many were removed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::config::Config;
use patchwright::forge::Access;
use patchwright::forge::github::{GitHub, GitHubSettings};
use patchwright::rehearsal::scene::RepositoryId;
use patchwright::rehearsal::{DEFAULT_BRANCH, Order, Rehearsal, Settings, WORTHLESS_PRIVATE_KEY};
use patchwright::sandbox::local::SANDBOX_UID;
use patchwright::server;
use patchwright::service::{Service, Staffing};
use patchwright::store::JobState;
use patchwright::store::sqlite::SqliteStore;
use patchwright::worker::{self, Tools};
use patchwright::workspace::Workspaces;
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::job::{JobId, JobKey};
use patchwright_domain::policy::Deployment;
use patchwright_domain::policy::rates::Rates;
use secrecy::SecretString;
use serde_json::Value;

use files::git;
use report::{Figure, median, milliseconds, print};
use repository::{MAINTAINER, NAME, OWNER};
use watched::{Nobody, Refusing, Watch, WatchedForge, keep};

#[path = "workspace/files.rs"]
mod files;
#[path = "report/figures.rs"]
mod report;
#[path = "workspace/repository.rs"]
mod repository;
#[path = "workspace/watched.rs"]
mod watched;

const N_ROUNDS: usize = 9;
const APP_ID: u64 = 726_568;
const BASELINE: &str = "git clone --local";
const RUN_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is asked whether a run has ended; nothing is measured meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// What one round took, in milliseconds.
struct Round {
    whole: f64,
    to_claim: f64,
    to_request: f64,
    to_tree: f64,
    fetch: f64,
    scratch: f64,
    clone: f64,
}

/// What the rounds are run on.
struct Stage {
    github: Rehearsal,
    id: RepositoryId,
    repo: RepoRef,
    tools: Arc<Tools>,
    watch: Watch,
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `serve` logs every delivery and step; what is written here goes nowhere.
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::sink).init();
    // The build folder is on a disk; a temporary folder may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).context("making a folder for the benchmark")?;
    let (stage, service) = set(folder.path()).await?;
    // The first request makes the mirror.
    let cold = stage.request().await?;
    let mut rounds = Vec::new();
    for number in 0..N_ROUNDS {
        rounds.push(stage.round(number).await?);
    }
    service.stop().await;
    let Stage { github, tools, .. } = stage;
    drop(tools);
    github.stop().await;
    let notes = [
        "the whole runs from GitHub's first byte to the finished tree; its parts come next, as medians of their own",
        "server, worker, database and the rehearsed GitHub, which runs git for every fetch, share this machine",
        "files are given to the sandbox's user where this process may do that",
        "trees and clones are kept until the end, so that removing one does not slow the next",
    ];
    print("Webhook to scratch tree, 2,300 files, 22 MB", &notes, &figures(&rounds, cold.whole));
    Ok(())
}

async fn set(folder: &Path) -> anyhow::Result<(Stage, Service)> {
    let rehearsed = Settings::new(Arc::new(|| SystemClock.now()));
    let secret = rehearsed.webhook_secret.clone();
    let github = Rehearsal::start(rehearsed).await.context("starting the rehearsal GitHub")?;
    let id = repository::create(&github).await?;
    let watch = Watch::default();
    let forge = GitHub::new(GitHubSettings {
        app_id: APP_ID,
        private_key: SecretString::from(WORTHLESS_PRIVATE_KEY),
        webhook_secrets: vec![secret],
        api_url: github.api_url(),
        web_url: github.web_url().to_owned(),
        write_spacing: Duration::ZERO,
        signs_commits: false,
        clock: Arc::new(SystemClock),
    })?;
    let tools = Arc::new(Tools {
        store: Arc::new(SqliteStore::open(folder.join("workspace.db")).await?),
        forge: Arc::new(WatchedForge { github: forge, watch: watch.clone() }),
        workspaces: Arc::new(Workspaces::open(folder.join("workspace"), Some(SANDBOX_UID)).await?),
        sandbox: Arc::new(Refusing(watch.clone())),
        egress: None,
        agents: vec![Arc::new(Nobody)],
        clock: Arc::new(SystemClock),
        attestor: None,
        settings: settings(),
    });
    let listener = server::listen(([127, 0, 0, 1], 0).into()).context("listening on loopback")?;
    let config = Config::default();
    let deployment = Deployment {
        app_id: APP_ID,
        mention: config.github.mention.clone(),
        bots: BTreeSet::new(),
        budget: config.limits.budget(),
        rates: Rates::default(),
    };
    github.send_webhooks_to(&format!("http://{}/webhooks/github", listener.local_addr()?));
    let staffing = Staffing { deployment, n_workers: 1, sweep_interval: None, keeps_schedules: false, kept_for: None };
    let service = Service::start(listener, Arc::clone(&tools), staffing);
    // What the worker sees comes from the webhook, and so must what is asked for here.
    let repo = seen(&github, id)?;
    let stage = Stage { github, id, repo, tools, watch, folder: folder.to_owned() };
    Ok((stage, service))
}

fn settings() -> worker::Settings {
    worker::Settings {
        test_timeout: Duration::from_secs(60),
        proof_runs: 1,
        publishes_untested: false,
        progress_spacing: Duration::from_secs(5),
        model: "none".into(),
        is_priced: false,
        host: "127.0.0.1".into(),
        author: "patchwright[bot]".into(),
        email: "patchwright[bot]@users.noreply.127.0.0.1".into(),
        instruction_fallbacks: Vec::new(),
        test_command: None,
        devcontainer_images: None,
        lanes: patchwright::store::Lanes::default(),
        limits_of_day: patchwright::store::ledger::Limits::default(),
        patch_size: patchwright::config::Limits::default().patch_size(),
        guarded: patchwright::guarded::Guarded::default(),
    }
}

/// The repository as webhooks describe it; the issue that is opened for this wakes nobody.
fn seen(github: &Rehearsal, id: RepositoryId) -> anyhow::Result<RepoRef> {
    github.open_issue(id, MAINTAINER, "A first issue", "Nobody is asked.")?;
    let installation = github.deliveries().iter().find_map(|delivery| {
        let payload: &Value = &delivery.payload;
        payload.pointer("/installation/id").and_then(Value::as_u64)
    });
    Ok(RepoRef::new(id.0, installation.context("no webhook names the installation")?, OWNER, NAME, DEFAULT_BRANCH)?)
}

/// One request from webhook to tree, in milliseconds.
struct Requested {
    whole: f64,
    to_claim: f64,
    to_request: f64,
    to_tree: f64,
}

impl Stage {
    async fn round(&self, number: usize) -> anyhow::Result<Round> {
        // Whoever comes second may find a warmer or a busier machine.
        let is_first = number.is_multiple_of(2);
        let early = if is_first { None } else { Some(self.clone_locally(number)?) };
        let Requested { whole, to_claim, to_request, to_tree } = self.request().await?;
        let (fetch, scratch) = self.alone().await?;
        let clone = match early {
            Some(clone) => clone,
            None => self.clone_locally(number)?,
        };
        Ok(Round { whole, to_claim, to_request, to_tree, fetch, scratch, clone })
    }

    async fn request(&self) -> anyhow::Result<Requested> {
        self.github.settle().await;
        self.watch.take();
        self.github.hold_webhooks();
        let issue = self.github.open_issue(self.id, "reporter", "It does not add up", "One and one is three.")?;
        let comment = self.github.comment(self.id, issue, MAINTAINER, "@codex fix this")?;
        let job = JobId::of(&JobKey::of_comment(&self.repo, IssueNumber(issue), comment));
        let begun = Instant::now();
        self.github.release_webhooks(Order::Reversed);
        tokio::time::timeout(RUN_TIMEOUT, self.ended(&job)).await.context("the run did not end in time")?;
        let times = self.watch.take();
        let (Some(claimed), Some(fetching), Some(written)) = (times.claimed, times.fetching, times.written) else {
            bail!("the run ended before its tree was written: {times:?}");
        };
        Ok(Requested {
            whole: milliseconds(written - begun),
            to_claim: milliseconds(claimed - begun),
            to_request: milliseconds(fetching - claimed),
            to_tree: milliseconds(written - fetching),
        })
    }

    async fn ended(&self, job: &JobId) {
        while !matches!(self.tools.store.job(job).await, Ok((_, JobState::Done(_)))) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// A fetch that finds nothing new, and a tree.
    async fn alone(&self) -> anyhow::Result<(f64, f64)> {
        let access = self.tools.forge.clone_access(&self.repo, Access::Fetch).await?;
        let begun = Instant::now();
        let commit = self.tools.workspaces.fetch(&self.repo, access).await?;
        let fetch = milliseconds(begun.elapsed());
        let begun = Instant::now();
        let tree = self.tools.workspaces.scratch(&self.repo, &commit).await?;
        let scratch = milliseconds(begun.elapsed());
        keep(tree.path()).context("putting a tree aside")?;
        Ok((fetch, scratch))
    }

    fn clone_locally(&self, number: usize) -> anyhow::Result<f64> {
        let bare = self.github.repository_path(self.id).context("the repository has no folder")?;
        let target = self.folder.join(format!("clone-{number}"));
        let (from, to) = (bare.to_string_lossy(), target.to_string_lossy());
        let begun = Instant::now();
        git(&self.folder, &["clone", "--local", "--quiet", &from, &to])?;
        let took = milliseconds(begun.elapsed());
        Ok(took)
    }
}

fn figures(rounds: &[Round], cold_ms: f64) -> Vec<Figure> {
    let of = |value: fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
    let clone = Some((BASELINE, of(|round| round.clone)));
    let figure = |name: &str, ours, baseline, n_runs| Figure { name: name.into(), unit: "ms", ours, baseline, n_runs };
    let n = rounds.len();
    vec![
        figure("webhook to scratch tree", of(|round| round.whole), clone, n),
        figure("  webhook, decision, claim", of(|round| round.to_claim), None, n),
        figure("  progress comment, reading the request", of(|round| round.to_request), None, n),
        figure("  token, fetch, plan, scratch tree", of(|round| round.to_tree), None, n),
        figure("fetch alone, nothing new", of(|round| round.fetch), None, n),
        figure("scratch tree alone", of(|round| round.scratch), clone, n),
        figure("webhook to scratch tree, first time", cold_ms, None, 1),
    ]
}
