//! Servers and workers as processes of their own, joined by nothing but a database.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use patchwright::model::scripted::{Script, ScriptedModel};
use patchwright::rehearsal::scene::{RepositoryId, Role};
use patchwright::rehearsal::{Rehearsal, WORTHLESS_PRIVATE_KEY};
use patchwright::store::postgres::PostgresStore;
use patchwright::store::{JobState, Store as _};
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::job::{JobId, JobKey};
use patchwright_domain::journal::{Entry, EntryKind, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::support::github::APP_ID;
use crate::support::pipeline::{ISSUE, MAINTAINER, SAMPLE, WEBHOOK_SECRET, mends, rehearse};
use crate::support::postgres::{Cluster, Database, PASSWORD, cluster};

/// How long a process may take to say what it is waited for; it takes seconds.
const PATIENCE: Duration = Duration::from_secs(240);

/// A process of the program, and what it says.
struct Process {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Process {
    fn start(folder: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchwright"));
        command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, said }
    }

    /// Reads on until a line holds this, and gives what stands behind it.
    async fn says(&mut self, words: &str) -> String {
        let mut all = String::new();
        let found = timeout(PATIENCE, async {
            while let Some(line) = self.said.next_line().await.expect("it is text") {
                if let Some((_, rest)) = line.split_once(words) {
                    return Some(rest.to_owned());
                }
                all = format!("{all}{line}\n");
            }
            None
        });
        found.await.unwrap_or_default().unwrap_or_else(|| panic!("it never said `{words}`:\n{all}"))
    }

    fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.id().cast_signed()).expect("no process is 0"), signal).expect("it runs");
    }

    /// Asks it to end, and waits until it has.
    async fn ends(mut self) {
        self.send(Signal::TERM);
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it was ours");
        assert_eq!(status.code(), Some(0));
    }
}

/// A GitHub with one repository and one request, a model, a database, and a folder that stands for every machine's disk.
struct Site<'c> {
    folder: TempDir,
    database: Database<'c>,
    github: Rehearsal,
    repo: RepositoryId,
    _model: ScriptedModel,
    variables: [(&'static str, String); 11],
}

impl<'c> Site<'c> {
    async fn new(cluster: &'c Cluster) -> Self {
        let (database, folder) = (cluster.empty_database().await, TempDir::with_prefix("machines-").expect("there is room"));
        let github = rehearse(&Arc::default()).await;
        let files: Vec<_> = SAMPLE.iter().map(|(path, text, executable)| (*path, text.as_bytes(), *executable)).collect();
        let repo = github.create_repository("octo", "rocket", &files).await.expect("the names are fine");
        github.set_role(repo, MAINTAINER, Role::Write).expect("the repository is there");
        let issue = github.open_issue(repo, "reporter", "The mean is wrong", "It is 6.").expect("the repository is there");
        assert_eq!(issue, ISSUE);
        let model = ScriptedModel::start(Script::of(mends())).await.expect("loopback has a free port");
        std::fs::write(folder.path().join("key.pem"), WORTHLESS_PRIVATE_KEY).expect("there is room");
        let variables = [
            ("PATCHWRIGHT__GITHUB__APP_ID", APP_ID.to_string()),
            ("PATCHWRIGHT__GITHUB__PRIVATE_KEY_FILE", "key.pem".into()),
            ("PATCHWRIGHT__GITHUB__WEBHOOK_SECRET", WEBHOOK_SECRET.into()),
            ("PATCHWRIGHT__GITHUB__API_URL", github.api_url()),
            ("PATCHWRIGHT__GITHUB__WEB_URL", github.web_url().to_owned()),
            ("PATCHWRIGHT__MODEL__BASE_URL", model.base_url()),
            ("PATCHWRIGHT__SERVER__LISTEN", "127.0.0.1:0".into()),
            ("PATCHWRIGHT__SERVER__WORKERS", "1".into()),
            ("PATCHWRIGHT__STORE__URL", database.url()),
            ("PATCHWRIGHT__STORE__PASSWORD", PASSWORD.into()),
            ("PATCHWRIGHT__WORKSPACE__DIR", "workspace".into()),
        ];
        Self { folder, database, github, repo, _model: model, variables }
    }

    fn start(&self, arguments: &[&str]) -> Process {
        Process::start(self.folder.path(), arguments, &self.variables)
    }

    /// A server that takes deliveries, and where.
    async fn server(&self) -> (Process, String) {
        let mut server = self.start(&["serve", "--no-work"]);
        let said = server.says("serving webhooks on ").await;
        (server, said.split_whitespace().next().expect("it says where").to_owned())
    }

    async fn worker(&self) -> Process {
        let mut worker = self.start(&["work"]);
        worker.says("working with 1 workers").await;
        worker
    }

    /// Asks for a fix at this server, and says which job it becomes.
    async fn ask(&self, server: &str) -> JobId {
        self.github.send_webhooks_to(server);
        let comment = self.github.comment(self.repo, ISSUE, MAINTAINER, "@codex fix this").expect("the issue is there");
        self.github.settle().await;
        let reference = RepoRef::new(self.repo.0, 0, "octo", "rocket", "main").expect("the names are fine");
        JobId::of(&JobKey::of_comment(&reference, IssueNumber(ISSUE), comment))
    }

    #[track_caller]
    fn is_done_once(&self) {
        let branches = self.github.branches(self.repo).into_keys().filter(|branch| branch.starts_with("codex/")).count();
        let (pulls, checks) = (self.github.pull_requests(self.repo).len(), self.github.check_runs(self.repo).len());
        let comments = self.github.comments(self.repo, ISSUE);
        let ours: Vec<_> = comments.iter().filter(|comment| comment.via_app).collect();
        assert_eq!((branches, pulls, checks, ours.len()), (1, 1, 1, 1));
        assert!(ours[0].body.contains("**Proven.**"), "{}", ours[0].body);
    }
}

/// Waits until a job's journal is as wanted.
async fn until(site: &Site<'_>, store: &PostgresStore, job: &JobId, is_so: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
    let mut told = site.database.told_of("entry").await;
    let waited = async {
        loop {
            let journal = store.journal(job, 0).await.unwrap_or_default();
            if is_so(&journal) {
                return journal;
            }
            told.recv().await.expect("the database is there");
        }
    };
    timeout(PATIENCE, waited).await.expect("the journal comes to this")
}

fn n_progress(journal: &[Entry]) -> usize {
    let is_progress = |entry: &&Entry| {
        matches!(
            entry.kind,
            EntryKind::Prepared { .. }
                | EntryKind::Solved { .. }
                | EntryKind::Verified { .. }
                | EntryKind::PublishPlanned { .. }
                | EntryKind::Performed { .. }
        )
    };
    journal.iter().filter(is_progress).count()
}

fn is_over(journal: &[Entry]) -> bool {
    journal.last().is_some_and(|entry| matches!(entry.kind, EntryKind::Completed { .. }))
}

/// The process that has the job.
fn holder(journal: &[Entry]) -> u32 {
    let last = journal.iter().rev().find_map(|entry| match &entry.kind {
        EntryKind::Claimed { worker, .. } => worker.rsplit('-').nth(1)?.parse().ok(),
        _ => None,
    });
    last.expect("a worker has claimed it, and is named by its process")
}

/// Two servers take the same delivery, and a worker of a third process works on the one job that comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn one_process_takes_a_delivery_and_another_one_works_on_it() {
    let Some(cluster) = cluster().await else { return };
    let site = Site::new(cluster).await;
    // All of them at once on a database in which there is nothing yet.
    let ((one, address), (other, another), mut worker) = tokio::join!(site.server(), site.server(), site.worker());
    let job = site.ask(&address).await;
    // A balancer sends what GitHub sends again to the other one.
    site.github.send_webhooks_to(&another);
    site.github.redeliver(&site.github.deliveries().last().expect("it was sent").guid).expect("it was sent");
    site.github.settle().await;
    worker.says("completed: proven").await;

    let store = site.database.open().await;
    assert_eq!(store.job(&job).await.expect("it is there").1, JobState::Done(Outcome::Proven));
    let journal = store.journal(&job, 0).await.expect("it is there");
    let n_claims = journal.iter().filter(|entry| matches!(entry.kind, EntryKind::Claimed { .. })).count();
    assert_eq!((n_claims, holder(&journal)), (1, worker.id()), "the worker's process, once");
    site.is_done_once();
    for process in [one, other, worker] {
        process.ends().await;
    }
}

/// Of three workers, whichever has the job is killed after each entry; what it was about to do may be under way to GitHub.
#[tokio::test(flavor = "multi_thread")]
async fn of_three_workers_any_may_be_killed_after_any_entry() {
    let Some(cluster) = cluster().await else { return };
    let site = Site::new(cluster).await;
    let (_server, address) = site.server().await;
    let (one, two, three) = tokio::join!(site.worker(), site.worker(), site.worker());
    let (mut workers, store) = (vec![one, two, three], site.database.open().await);
    let job = site.ask(&address).await;
    let mut n_killed = 0;
    loop {
        let journal = until(&site, &store, &job, |journal| n_progress(journal) > n_killed || is_over(journal)).await;
        if is_over(&journal) {
            break;
        }
        n_killed = n_progress(&journal);
        let place = workers.iter().position(|worker| worker.id() == holder(&journal)).expect("it is one of ours");
        workers.swap_remove(place).child.kill().await.expect("it runs");
        // Nobody waits for a minute until its lease is over.
        site.database.tamper("UPDATE job SET lease_until = 0 WHERE lease_until IS NOT NULL").await;
        workers.push(site.worker().await);
    }
    assert!(n_killed >= 4, "it was killed after {n_killed} entries");
    site.is_done_once();
}

/// A machine that was suspended, or swapped for so long, wakes and believes that the job is still its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_frozen_past_its_lease_writes_nothing_when_it_wakes() {
    let Some(cluster) = cluster().await else { return };
    let site = Site::new(cluster).await;
    let (_server, address) = site.server().await;
    let (mut frozen, store) = (site.worker().await, site.database.open().await);
    let job = site.ask(&address).await;
    until(&site, &store, &job, |journal| n_progress(journal) >= 1).await;
    frozen.send(Signal::STOP);
    // The lease runs out as it does for everybody: this takes a minute, in which nothing happens.
    let other = site.worker().await;
    let journal = until(&site, &store, &job, is_over).await;
    assert_eq!(holder(&journal), other.id());
    frozen.send(Signal::CONT);
    frozen.says("the lease is lost").await;
    frozen.ends().await;
    assert_eq!(store.journal(&job, 0).await.expect("it is there").len(), journal.len());
    site.is_done_once();
}

/// Waits until the server that takes webhooks at this address says of itself that it is ready, or not, with words that begin so.
async fn until_ready(server: &mut Process, address: &str, status: u16, words: &str) {
    let page = address.replace("/webhooks/github", "/readyz");
    let client = reqwest::Client::builder().no_proxy().build().expect("the client needs nothing");
    let ready = timeout(PATIENCE, async {
        loop {
            let answer = client.get(&page).send().await.expect("it serves");
            let (found, text) = (answer.status().as_u16(), answer.text().await.expect("it is text"));
            if found == status && text.starts_with(words) {
                return;
            }
            assert!(server.child.try_wait().expect("it is ours").is_none(), "it runs");
            tokio::task::yield_now().await;
        }
    });
    assert!(ready.await.is_ok(), "it does not come to {status}");
}

/// The database is started again, or fails over: no worker is to blame for that, and no job.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_handed_back_where_the_database_was_gone_for_a_while() {
    let Some(cluster) = cluster().await else { return };
    let site = Site::new(cluster).await;
    let (mut server, address) = site.server().await;
    let (mut worker, store) = (site.worker().await, site.database.open().await);
    let job = site.ask(&address).await;
    until(&site, &store, &job, |journal| n_progress(journal) >= 1).await;
    until_ready(&mut server, &address, 200, "ready\n").await;
    site.database.shut().await;
    until_ready(&mut server, &address, 503, "the store ").await;
    worker.says("the job is handed back as soon as the store is there").await;
    site.database.unshut().await;
    until_ready(&mut server, &address, 200, "ready\n").await;
    let store = site.database.open().await;
    let journal = until(&site, &store, &job, is_over).await;
    let claims = journal.iter().filter_map(|entry| match &entry.kind {
        EntryKind::Claimed { handed_back, .. } => Some(*handed_back),
        _ => None,
    });
    assert_eq!(claims.collect::<Vec<_>>(), [true, true], "nobody died");
    site.is_done_once();
}
