//! A place where the program runs for real: processes that can be killed, their store, and a GitHub and a model outside of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use patchwright::model::scripted::{Script, ScriptedModel};
use patchwright::rehearsal::scene::{Comment, RepositoryId, Role};
use patchwright::rehearsal::{Rehearsal, WORTHLESS_PRIVATE_KEY};
use serde_json::Value;
use tempfile::TempDir;

use super::github::APP_ID;
use super::pipeline::{MAINTAINER, SAMPLE, WEBHOOK_SECRET, mends, rehearse};
use super::postgres::{Cluster, Database, PASSWORD};
use front::Front;
use passage::{Beyond, Guard, Passage};
use process::{Duty, Process};
use storage::{Journal, Storage};

pub(crate) mod front;
pub(crate) mod passage;
pub(crate) mod process;
pub(crate) mod storage;

/// A GitHub with repositories, a model, a store, and a folder that stands for every machine's disk.
pub(crate) struct Site<'c> {
    pub(crate) github: Rehearsal,
    pub(crate) repos: Vec<RepositoryId>,
    pub(crate) storage: Storage<'c>,
    folder: TempDir,
    model: ScriptedModel,
    guard: Guard,
    variables: Vec<(&'static str, String)>,
    n_passages: AtomicUsize,
    front: Front,
}

impl<'c> Site<'c> {
    /// A place with a database.
    pub(crate) async fn on_postgres(cluster: &'c Cluster) -> Self {
        let database = cluster.empty_database().await;
        let url = database.url();
        Self::new(url, |_| Storage::Database(database)).await
    }

    /// A place with a file.
    pub(crate) async fn on_sqlite() -> Self {
        Self::new("sqlite:store.db".to_owned(), |folder| Storage::File(folder.join("store.db"))).await
    }

    async fn new(url: String, storage: impl FnOnce(&std::path::Path) -> Storage<'c>) -> Self {
        let folder = TempDir::with_prefix("site-").expect("there is room");
        let github = rehearse(&Arc::default()).await;
        let model = ScriptedModel::start(Script::of(mends())).await.expect("loopback has a free port");
        std::fs::write(folder.path().join("key.pem"), WORTHLESS_PRIVATE_KEY).expect("there is room");
        let variables = vec![
            ("PATCHWRIGHT__GITHUB__APP_ID", APP_ID.to_string()),
            ("PATCHWRIGHT__GITHUB__PRIVATE_KEY_FILE", "key.pem".into()),
            ("PATCHWRIGHT__GITHUB__WEBHOOK_SECRET", WEBHOOK_SECRET.into()),
            ("PATCHWRIGHT__GITHUB__WRITE_SPACING_MS", "0".into()),
            ("PATCHWRIGHT__GITHUB__PROGRESS_SECONDS", "0".into()),
            ("PATCHWRIGHT__MODEL__RETRY_PAUSE_MS", "1".into()),
            ("PATCHWRIGHT__SERVER__LISTEN", "127.0.0.1:0".into()),
            ("PATCHWRIGHT__SERVER__WORKERS", "1".into()),
            ("PATCHWRIGHT__STORE__URL", url),
            ("PATCHWRIGHT__STORE__PASSWORD", PASSWORD.into()),
            ("PATCHWRIGHT__WORKSPACE__DIR", "workspace".into()),
        ];
        let (storage, front) = (storage(folder.path()), Front::open().await);
        github.send_webhooks_to(&format!("http://{}/webhooks/github", front.address));
        let mut site = Self {
            github,
            repos: Vec::new(),
            storage,
            folder,
            model,
            guard: Arc::new(|_, _| false),
            variables,
            n_passages: AtomicUsize::new(0),
            front,
        };
        site.add_repository().await;
        site
    }

    /// One more repository with the same fault.
    pub(crate) async fn add_repository(&mut self) {
        let files: Vec<_> = SAMPLE.iter().map(|(path, text, executable)| (*path, text.as_bytes(), *executable)).collect();
        let name = format!("rocket-{}", self.repos.len());
        let repo = self.github.create_repository("octo", &name, &files).await.expect("the names are fine");
        self.github.set_role(repo, MAINTAINER, Role::Write).expect("the repository is there");
        self.repos.push(repo);
    }

    /// Has processes that are started from now on configured so.
    pub(crate) fn set(&mut self, variable: &'static str, value: &str) {
        self.variables.push((variable, value.to_owned()));
    }

    /// Has somebody asked about every request of the processes that are started from now on.
    pub(crate) fn watch(&mut self, guard: Guard) {
        self.guard = guard;
    }

    /// Starts a process, and does not wait for it.
    pub(crate) async fn begin(&self, duty: Duty) -> Process {
        let number = self.n_passages.fetch_add(1, Ordering::Relaxed);
        let (github, model) = (self.github.web_url().to_owned(), self.model.base_url());
        let passage = Passage::open(number, Beyond { github, model, guard: Arc::clone(&self.guard) }).await;
        Process::start(self.folder.path(), duty, passage, &self.variables)
    }

    /// A process that is at work; one that takes deliveries is where they come to from now on.
    pub(crate) async fn start(&self, duty: Duty) -> Process {
        let mut process = self.begin(duty).await;
        match duty {
            Duty::Everything | Duty::Serving => {
                let url = process.serves().await;
                let address = url.trim_start_matches("http://").split('/').next().and_then(|address| address.parse().ok());
                self.front.lead_to(Some(address.expect("it says an address")));
            }
            Duty::Working => drop(process.says("working with ").await),
        }
        process
    }

    /// Kills a process with all that it has at work, which is free for others at once. Gives its number.
    pub(crate) async fn kill(&self, process: Process) -> u32 {
        if process.duty != Duty::Working {
            self.front.lead_to(None);
        }
        let number = process.killed().await;
        self.storage.bury(number).await;
        number
    }

    /// The database of a place that has one.
    pub(crate) fn database(&self) -> &Database<'c> {
        match &self.storage {
            Storage::Database(database) => database,
            Storage::File(_) => panic!("this place has a file"),
        }
    }

    /// Opens another issue in a repository and asks for a fix of it. Gives its number.
    pub(crate) fn ask(&self, repo: RepositoryId) -> u64 {
        let issue = self.github.open_issue(repo, "reporter", "The mean is wrong", "It is 6.").expect("the repository is there");
        self.github.comment(repo, issue, MAINTAINER, "@codex fix this").expect("the issue is there");
        issue
    }

    /// What is wrong, if what was asked for is not there exactly once: a proven branch, pull request, check run and comment for
    /// each of so many issues, and a job that has ended well.
    pub(crate) async fn complaint(&self, asked: &[(RepositoryId, u64)]) -> Option<String> {
        let journals = self.storage.journals().await;
        if journals.len() != asked.len() || !journals.iter().all(is_proven) {
            return Some(format!("{} jobs for {} requests: {}", journals.len(), asked.len(), told(&journals)));
        }
        for repo in &self.repos {
            let issues: Vec<u64> = asked.iter().filter(|(place, _)| place == repo).map(|(_, issue)| *issue).collect();
            let branches = self.github.branches(*repo).into_keys().filter(|branch| branch.starts_with("codex/")).count();
            let (pulls, checks) = (self.github.pull_requests(*repo).len(), self.github.check_runs(*repo).len());
            if [branches, pulls, checks] != [issues.len(); 3] {
                let n_issues = issues.len();
                return Some(format!("{branches} branches, {pulls} pull requests, {checks} check runs for {n_issues} requests"));
            }
            let references = self.github.references(*repo);
            let heads: Vec<_> =
                references.iter().filter(|(name, _)| name.starts_with("refs/heads/")).map(|(_, sha)| sha).collect();
            if let Some(check) = self.github.check_runs(*repo).iter().find(|check| !heads.contains(&&check.head_sha)) {
                return Some(format!("a check run is on {}, which is no branch's last commit", check.head_sha));
            }
            if let Some(hidden) = references.keys().find(|name| name.starts_with("refs/patchwright/")) {
                return Some(format!("{hidden} is left"));
            }
            for issue in issues {
                let comments: Vec<Comment> = self.github.comments(*repo, issue);
                let ours: Vec<_> = comments.iter().filter(|comment| comment.via_app).collect();
                if ours.len() != 1 || !ours[0].body.contains("**Proven.**") {
                    return Some(format!("the comments of issue {issue}: {ours:#?}"));
                }
            }
        }
        None
    }

    /// As [`complaint`](Self::complaint), which it must not have.
    pub(crate) async fn is_done_once(&self, asked: &[(RepositoryId, u64)]) {
        if let Some(complaint) = self.complaint(asked).await {
            panic!("{complaint}");
        }
    }
}

/// Whether a job has ended.
pub(crate) fn is_over((_, entries): &Journal) -> bool {
    entries.last().is_some_and(|entry| entry["entry"] == "completed")
}

fn is_proven((_, entries): &Journal) -> bool {
    entries.last().is_some_and(|entry| entry["entry"] == "completed" && entry["outcome"] == "proven")
}

/// The process that had a job last, by its number.
pub(crate) fn holder((_, entries): &Journal) -> u32 {
    let claimed = entries.iter().rev().find(|entry| entry["entry"] == "claimed").expect("a worker has claimed it");
    let worker = claimed["worker"].as_str().and_then(|name| name.rsplit('-').nth(1));
    worker.and_then(|number| number.parse().ok()).expect("a worker is named by its process")
}

/// What a person reads of journals: the entries by name, and what failed.
pub(crate) fn told(journals: &[Journal]) -> String {
    let words = |entries: &[Value]| {
        let names: Vec<&str> = entries.iter().map(|entry| entry["entry"].as_str().unwrap_or_default()).collect();
        let failures: Vec<String> = entries.iter().filter(|entry| entry["entry"] == "failed").map(Value::to_string).collect();
        format!("{} ({}) {}", names.join(" "), entries.last().unwrap_or(&Value::Null)["outcome"], failures.join(" "))
    };
    journals.iter().map(|(job, entries)| format!("\n{job}: {}", words(entries))).collect()
}
