//! Servers and workers as processes of their own, joined by nothing but a database.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use patchwright::model::scripted::{Script, ScriptedModel};
use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;
use patchwright::rehearsal::scene::Role;
use patchwright::store::{JobState, Store as _};
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::job::{JobId, JobKey};
use patchwright_domain::journal::{EntryKind, Outcome};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::support::github::APP_ID;
use crate::support::pipeline::{ISSUE, MAINTAINER, SAMPLE, WEBHOOK_SECRET, mends, rehearse};
use crate::support::postgres::{PASSWORD, cluster};

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

    /// Asks it to end, and waits until it has.
    async fn ends(mut self) {
        let number = rustix::process::Pid::from_raw(self.child.id().expect("it runs").cast_signed()).expect("no process is 0");
        rustix::process::kill_process(number, rustix::process::Signal::TERM).expect("it runs");
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it was ours");
        assert_eq!(status.code(), Some(0));
    }
}

/// Two servers take the same delivery, and a worker of a third process works on the one job that comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn one_process_takes_a_delivery_and_another_one_works_on_it() {
    let Some(cluster) = cluster().await else { return };
    let (database, folder) = (cluster.empty_database().await, TempDir::with_prefix("machines-").expect("there is room"));
    let github = rehearse(&Arc::default()).await;
    let files: Vec<_> = SAMPLE.iter().map(|(path, text, executable)| (*path, text.as_bytes(), *executable)).collect();
    let repo = github.create_repository("octo", "rocket", &files).await.expect("the names are fine");
    github.set_role(repo, MAINTAINER, Role::Write).expect("the repository is there");
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
    // All of them at once on a database in which there is nothing yet.
    let start = |arguments: &[&str]| Process::start(folder.path(), arguments, &variables);
    let (mut one, mut other, mut worker) = (start(&["serve", "--no-work"]), start(&["serve", "--no-work"]), start(&["work"]));
    let place = "serving webhooks on ";
    let (one_said, other_said) = (one.says(place).await, other.says(place).await);
    let address = |said: &str| said.split_whitespace().next().expect("it says where").to_owned();
    worker.says("working with 1 workers").await;

    github.send_webhooks_to(&address(&one_said));
    assert_eq!(github.open_issue(repo, "reporter", "The mean is wrong", "It is 6.").expect("the repository is there"), ISSUE);
    let comment = github.comment(repo, ISSUE, MAINTAINER, "@codex fix this").expect("the issue is there");
    github.settle().await;
    // A balancer sends what GitHub sends again to the other one.
    github.send_webhooks_to(&address(&other_said));
    github.redeliver(&github.deliveries().last().expect("it was sent").guid).expect("it was sent");
    github.settle().await;
    worker.says("completed: proven").await;

    let reference = RepoRef::new(repo.0, 0, "octo", "rocket", "main").expect("the names are fine");
    let job = JobId::of(&JobKey::of_comment(&reference, IssueNumber(ISSUE), comment));
    let store = database.open().await;
    assert_eq!(store.job(&job).await.expect("it is there").1, JobState::Done(Outcome::Proven));
    let journal = store.journal(&job, 0).await.expect("it is there");
    let name = format!("-{}-1", worker.child.id().expect("it runs"));
    let claims = journal.iter().filter_map(|entry| match &entry.kind {
        EntryKind::Claimed { worker, .. } => Some(worker.clone()),
        _ => None,
    });
    let claims: Vec<String> = claims.collect();
    assert!(matches!(&*claims, [claim] if claim.ends_with(&name)), "the worker's process, once: {claims:?}");
    assert_eq!(github.pull_requests(repo).len(), 1);
    for process in [one, other, worker] {
        process.ends().await;
    }
}
