//! The service as a process that is stopped, with its store on disk and GitHub outside of it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use patchwright::clock::{Clock as _, SystemClock};
use patchwright::rehearsal::scene::{RepositoryId, Role};
use patchwright::rehearsal::{self, Rehearsal, WORTHLESS_PRIVATE_KEY};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr};

use super::*;
use crate::support::github::APP_ID;
use crate::support::pipeline::{ISSUE, MAINTAINER, WEBHOOK_SECRET};

/// How long anything may take that is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A rehearsed GitHub with a request, a model, and the folder of a service.
pub(super) struct Outside {
    pub(super) folder: TempDir,
    pub(super) github: Rehearsal,
    pub(super) repo: RepositoryId,
    model: ScriptedModel,
}

/// The service, as long as it runs.
pub(super) struct Running {
    pub(super) process: Child,
    /// The address that it listens on, as it tells it.
    address: String,
    /// What it says; it must be read, or the process would wait.
    said: Lines<BufReader<ChildStderr>>,
}

impl Outside {
    pub(super) async fn new() -> Self {
        let folder = folder();
        std::fs::write(folder.path().join("key.pem"), WORTHLESS_PRIVATE_KEY).expect("there is room");
        let mut settings = rehearsal::Settings::new(Arc::new(|| SystemClock.now()));
        settings.webhook_secret = SecretString::from(WEBHOOK_SECRET);
        let github = Rehearsal::start(settings).await.expect("loopback has a free port");
        let files: Vec<_> = SAMPLE.iter().map(|(path, text, executable)| (*path, text.as_bytes(), *executable)).collect();
        let repo = github.create_repository("octo", "rocket", &files).await.expect("the names are fine");
        github.set_role(repo, MAINTAINER, Role::Write).expect("the repository is there");
        github.open_issue(repo, MAINTAINER, "The mean is wrong", "It is 6.").expect("the repository is there");
        let model = ScriptedModel::start(Script::of(mends())).await.expect("loopback has a free port");
        Self { folder, github, repo, model }
    }

    /// Starts the service, and has GitHub send its webhooks there.
    async fn serve(&self) -> Running {
        self.serve_in(&["env"], "sqlite:store.db").await
    }

    /// The same as the program that these words start with, and with a store there.
    pub(super) async fn serve_in(&self, words: &[&str], store: &str) -> Running {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args([env!("CARGO_BIN_EXE_patchwright"), "serve", "--without-sandbox"]);
        command.current_dir(self.folder.path()).env_clear().envs(bare::CONFIG);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.folder.path());
        let app_id = APP_ID.to_string();
        for (name, value) in [
            ("GITHUB__APP_ID", app_id.as_str()),
            ("GITHUB__PRIVATE_KEY_FILE", "key.pem"),
            ("GITHUB__WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("GITHUB__API_URL", &self.github.api_url()),
            ("GITHUB__WEB_URL", self.github.web_url()),
            ("MODEL__BASE_URL", &self.model.base_url()),
            ("SERVER__LISTEN", "127.0.0.1:0"),
            ("SERVER__WORKERS", "1"),
            ("STORE__URL", store),
            ("WORKSPACE__DIR", "state"),
        ] {
            command.env(format!("PATCHWRIGHT__{name}"), value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("the program starts");
        let mut said = BufReader::new(process.stderr.take().expect("it is a pipe")).lines();
        let mut before = String::new();
        let address = async {
            while let Some(line) = said.next_line().await.expect("it is text") {
                if let Some((_, rest)) = line.split_once("serving webhooks on ") {
                    return rest.split(' ').next().map(str::to_owned);
                }
                before.push_str(&line);
            }
            None
        };
        let address = tokio::time::timeout(PATIENCE, address).await.expect("it starts in time");
        let address = address.unwrap_or_else(|| panic!("it does not serve: {before}"));
        self.github.send_webhooks_to(&address);
        Running { process, address, said }
    }

    /// The names of the journal's entries, of the one job; none before it is there.
    pub(super) fn journal(&self) -> Vec<String> {
        let kinds = || -> rusqlite::Result<Vec<String>> {
            let store = rusqlite::Connection::open(self.folder.path().join("store.db"))?;
            store.busy_timeout(PATIENCE)?;
            let mut statement = store.prepare("SELECT json_extract(kind, '$.entry') FROM entry ORDER BY seq")?;
            statement.query_map((), |row| row.get(0))?.collect()
        };
        kinds().unwrap_or_default()
    }

    /// Waits, while the service runs, until its journal is as wanted.
    pub(super) async fn until(&self, running: &mut Running, is_so: impl Fn(&[String]) -> bool) {
        let waited = async {
            while !is_so(&self.journal()) {
                running.goes_on().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waited).await;
        assert!(waited.is_ok(), "the journal does not come to this: {:?}", self.journal());
    }

    /// Lets what waits until a moment be looked at again now.
    pub(super) fn wait_no_longer(&self) {
        let store = rusqlite::Connection::open(self.folder.path().join("store.db")).expect("it is there");
        store.busy_timeout(PATIENCE).expect("it is open");
        let sql = "UPDATE delivery SET decide_after = 0; UPDATE job SET run_after = 0";
        store.execute_batch(sql).expect("the statements are well-formed");
    }

    #[track_caller]
    pub(super) fn is_done_once(&self) {
        let branches = self.github.branches(self.repo).into_keys().filter(|branch| branch.starts_with("codex/")).count();
        let (pulls, checks) = (self.github.pull_requests(self.repo).len(), self.github.check_runs(self.repo).len());
        let comments = self.github.comments(self.repo, ISSUE);
        let ours: Vec<_> = comments.iter().filter(|comment| comment.via_app).collect();
        assert_eq!((branches, pulls, checks, ours.len()), (1, 1, 1, 1), "{:?}", self.journal());
        assert!(ours[0].body.contains("**Proven.**"), "{}", ours[0].body);
    }
}

impl Running {
    pub(super) fn id(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    /// Where it listens.
    pub(super) fn host(&self) -> &str {
        let rest = self.address.strip_prefix("http://").expect("it is an address");
        rest.split('/').next().expect("it begins with a host")
    }

    /// Reads what it says now, if it says anything.
    pub(super) async fn goes_on(&mut self) {
        tokio::select! {
            line = self.said.next_line() => assert!(line.is_ok_and(|line| line.is_some()), "it goes on until it is ended"),
            () = tokio::task::yield_now() => {}
        }
    }

    /// Waits until it says one of these.
    pub(super) async fn says(&mut self, words: &[&str]) {
        let mut all = String::new();
        let said = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.said.next_line().await.expect("it is text") {
                if words.iter().any(|words| line.contains(words)) {
                    return true;
                }
                all += &format!("{line}\n");
            }
            false
        });
        assert!(said.await.unwrap_or_default(), "it never says one of {words:?}:\n{all}");
    }
}

#[tokio::test]
async fn a_service_that_is_told_to_stop_hands_its_job_back_to_the_next() {
    let outside = Outside::new().await;
    let mut running = outside.serve().await;
    outside.github.comment(outside.repo, ISSUE, MAINTAINER, "@codex fix this").expect("the issue is there");
    outside.until(&mut running, |journal| journal.iter().any(|entry| entry == "prepared")).await;
    let number = Pid::from_raw(running.process.id().expect("it runs").cast_signed()).expect("no process is 0");
    kill_process(number, Signal::TERM).expect("it runs");
    while running.said.next_line().await.is_ok_and(|line| line.is_some()) {}
    assert_eq!(running.process.wait().await.expect("it was ours").code(), Some(0));
    // Nobody waits for the lease, which would hold for a minute.
    let mut running = outside.serve().await;
    outside.until(&mut running, |journal| journal.last().is_some_and(|entry| entry == "completed")).await;
    running.process.kill().await.expect("it runs");
    outside.is_done_once();
}
