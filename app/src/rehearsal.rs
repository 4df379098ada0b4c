//! A GitHub in memory: REST over HTTP, signed webhooks, git over HTTP, and faults on request.
//!
//! The demonstration and the tests run the real forge adapter and the real git code against it. It listens on loopback
//! only and forgets everything when it is dropped. It knows nothing of the rest of Patchwright.

mod access;
mod act;
mod body;
mod check_body;
pub mod fault;
mod fork;
mod git;
pub mod hook;
mod look;
mod owner;
mod page;
mod repository_body;
mod rest;
pub mod review;
pub mod scene;
mod serve;
mod smart_http;
mod world;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use fault::Fault;
use scene::{Account, CheckRun, Checker, File, Job, RepositoryId, Role, State};
use world::World;

/// The private half of a key pair that everybody has, for rehearsals only.
pub const WORTHLESS_PRIVATE_KEY: &str = include_str!("rehearsal/worthless_app_key.private.pem.txt");

/// The public half of [`WORTHLESS_PRIVATE_KEY`].
pub const WORTHLESS_PUBLIC_KEY: &str = include_str!("rehearsal/worthless_app_key.public.pem.txt");

/// How long stopping waits for connections to end.
pub const STOP_SECONDS_MAX: u64 = 5;

/// The branch that new repositories have.
pub const DEFAULT_BRANCH: &str = "main";

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the rehearsed App is.
#[derive(Clone)]
pub struct Settings {
    /// The App's number.
    pub app_id: u64,
    /// The App's name in addresses; it writes as `SLUG[bot]`.
    pub app_slug: String,
    /// The key with which the App's own tokens are checked, in PEM.
    pub public_key_pem: String,
    /// The key with which webhooks are signed; installation tokens derive from it as well.
    pub webhook_secret: SecretString,
    /// The events that the App is subscribed to; those of its installation come unasked.
    pub events: Vec<&'static str>,
    /// What every installation grants.
    pub permissions: BTreeMap<String, String>,
    /// The clock.
    pub now: Now,
}

impl Settings {
    /// Describes an App with the worthless key and the permissions that Patchwright asks for.
    pub fn new(now: Now) -> Self {
        let granted = [
            ("metadata", "read"),
            ("contents", "write"),
            ("issues", "write"),
            ("pull_requests", "write"),
            ("checks", "write"),
            ("actions", "read"),
        ];
        Self {
            app_id: 726_568,
            app_slug: "patchwright".to_owned(),
            public_key_pem: WORTHLESS_PUBLIC_KEY.to_owned(),
            webhook_secret: SecretString::from("a secret for rehearsals"),
            events: hook::EVENTS.to_vec(),
            permissions: granted.into_iter().map(|(name, level)| (name.to_owned(), level.to_owned())).collect(),
            now,
        }
    }
}

/// In which order webhooks are released that were kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    AsHappened,
    /// Newest first; GitHub promises no order.
    Reversed,
}

/// Why the scene cannot be set so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something was named that is not there, or has a name that cannot be.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The file system or the socket refused.
    #[error("the rehearsal's files or sockets")]
    Io(#[from] io::Error),
    /// git refused.
    #[error("the rehearsal's repository")]
    Git(#[from] git2::Error),
    /// The HTTP client for webhooks could not be made.
    #[error("the rehearsal's webhook client")]
    Client(#[from] reqwest::Error),
    /// A task did not end well.
    #[error("a task of the rehearsal")]
    Task(#[from] tokio::task::JoinError),
}

/// What the server's tasks and the scene share.
pub(crate) struct Shared {
    world: Mutex<World>,
    postbox: mpsc::Sender<hook::Outgoing>,
    /// How many webhooks have not been answered yet.
    waiting: watch::Sender<usize>,
}

impl Shared {
    /// Does something to the world and posts the webhooks that come of it, in order.
    fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut world);
        let ready = if world.holds_webhooks { Vec::new() } else { std::mem::take(&mut world.outbox) };
        for outgoing in ready {
            self.waiting.send_modify(|n| *n += 1);
            if self.postbox.try_send(outgoing).is_err() {
                self.waiting.send_modify(|n| *n -= 1);
            }
        }
        result
    }
}

/// A running GitHub on loopback.
pub struct Rehearsal {
    shared: Arc<Shared>,
    web: String,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    _root: TempDir,
}

impl Rehearsal {
    /// Starts an empty GitHub at a free port of loopback.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no temporary folder or no port.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let client = crate::http_client::builder().no_proxy().build()?;
        let root = TempDir::with_prefix("rehearsal-")?;
        smart_http::install_hooks(root.path())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let web = format!("http://{}", listener.local_addr()?);
        let (postbox, queue) = mpsc::channel(hook::WAITING_MAX);
        let world = World::new(settings, web.clone(), root.path().to_owned());
        let shared = Arc::new(Shared { world: Mutex::new(world), postbox, waiting: watch::Sender::new(0) });
        let stop = CancellationToken::new();
        let serve = axum::serve(listener, serve::router(shared.clone())).with_graceful_shutdown(stop.clone().cancelled_owned());
        let serve = tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "the rehearsal's server ended");
            }
        });
        let send = tokio::spawn(hook::send_all(shared.clone(), queue, client, stop.clone()));
        Ok(Self { shared, web, stop, tasks: vec![serve, send], _root: root })
    }

    /// Stops the server and waits for its tasks.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for mut task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout(Duration::from_secs(STOP_SECONDS_MAX), &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    /// The address of pages and of git, without a slash at the end.
    pub fn web_url(&self) -> &str {
        &self.web
    }

    /// The address of the REST API, without a slash at the end.
    pub fn api_url(&self) -> String {
        format!("{}/api/v3", self.web)
    }

    /// Sends webhooks to this address from now on.
    pub fn send_webhooks_to(&self, url: &str) {
        self.shared.with(|world| world.webhook_url = Some(url.to_owned()));
    }

    /// Waits until every webhook sent so far, and those that come of them meanwhile, were answered or given up.
    pub async fn settle(&self) {
        // The sender lives in `self.shared`, so the channel cannot be closed.
        let _ = self.shared.waiting.subscribe().wait_for(|n| *n == 0).await;
    }

    /// Keeps webhooks back until they are released.
    pub fn hold_webhooks(&self) {
        self.shared.with(|world| world.holds_webhooks = true);
    }

    /// Sends the webhooks that were kept back.
    pub fn release_webhooks(&self, order: Order) {
        self.shared.with(|world| {
            world.holds_webhooks = false;
            match order {
                Order::AsHappened => {}
                Order::Reversed => world.outbox.reverse(),
            }
        });
    }

    /// Loses the webhooks that were kept back; they stay in the log, unanswered, and can be sent again.
    pub fn lose_webhooks(&self) {
        self.shared.with(|world| {
            world.holds_webhooks = false;
            world.lose_outbox();
        });
    }

    /// Does not hear the next answers to webhooks, as if they came too late.
    pub fn miss_answers(&self, count: u32) {
        self.shared.with(|world| world.n_unheard = count);
    }

    /// Sends a webhook again under the same name.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there was none of that name, or there is nowhere to send it.
    pub fn redeliver(&self, guid: &str) -> Result<(), Error> {
        self.shared.with(|world| world.redeliver(guid)).ok_or(Error::Unknown("delivery"))
    }

    /// Arranges for something to go wrong.
    pub fn fault(&self, fault: Fault) {
        self.shared.with(|world| world.faults.push(fault));
    }

    /// Takes back all faults that have not struck as often as they would.
    pub fn heal(&self) {
        self.shared.with(|world| world.faults.clear());
    }

    /// Makes an account, or gives the number of the one that is there.
    pub fn create_user(&self, login: &str, account: Account) -> u64 {
        self.shared.with(|world| world.ensure_user(login, account))
    }

    /// Makes a repository whose first commit on `main` has these files, and installs the App for its owner.
    ///
    /// # Errors
    /// [`Error::Unknown`] if a name could not be GitHub's, [`Error::Git`] if git refuses a path.
    pub async fn create_repository(&self, owner: &str, name: &str, files: &[File<'_>]) -> Result<RepositoryId, Error> {
        if !is_name(owner) || !is_name(name) {
            return Err(Error::Unknown("name of a repository"));
        }
        let root = self.shared.with(|world| world.root.clone());
        let path = root.join(owner).join(format!("{name}.git"));
        let created = path.clone();
        tokio::task::spawn_blocking(move || git::create(&created, DEFAULT_BRANCH)).await??;
        self.commit(path, DEFAULT_BRANCH, files, "Begin").await?;
        let (shared, owner, name) = (self.shared.clone(), owner.to_owned(), name.to_owned());
        let add = move || shared.with(|world| world.add_repository(&owner, &name, DEFAULT_BRANCH));
        Ok(tokio::task::spawn_blocking(add).await?)
    }

    async fn commit(&self, path: PathBuf, branch: &str, files: &[File<'_>], message: &str) -> Result<String, Error> {
        let at = self.shared.with(|world| world.now().as_second());
        let files: Vec<(String, Vec<u8>, bool)> =
            files.iter().map(|(path, bytes, executable)| ((*path).to_owned(), bytes.to_vec(), *executable)).collect();
        let (branch, message) = (branch.to_owned(), message.to_owned());
        let commit = move || {
            let files: Vec<File<'_>> =
                files.iter().map(|(path, bytes, executable)| (path.as_str(), bytes.as_slice(), *executable)).collect();
            git::commit(&path, &branch, DEFAULT_BRANCH, &files, &message, at)
        };
        Ok(tokio::task::spawn_blocking(commit).await??)
    }

    /// Commits files on top of a branch as somebody, tells of the push, and gives the commit. A branch that is not there
    /// begins at `main`.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository, [`Error::Git`] if git refuses.
    pub async fn push_commit(
        &self,
        repo: RepositoryId,
        branch: &str,
        user: &str,
        files: &[File<'_>],
        message: &str,
    ) -> Result<String, Error> {
        let path = self.shared.with(|world| world.repository(repo).map(|repo| repo.path.clone()));
        let sha = self.commit(path.ok_or(Error::Unknown("repository"))?, branch, files, message).await?;
        let (shared, user) = (self.shared.clone(), user.to_owned());
        let observe = move || {
            shared.with(|world| {
                world.ensure_user(&user, Account::User);
                world.observe_branches(repo, &user)
            })
        };
        tokio::task::spawn_blocking(observe).await??;
        Ok(sha)
    }

    /// Gives somebody a role, and makes the account if need be.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository.
    pub fn set_role(&self, repo: RepositoryId, login: &str, role: Role) -> Result<(), Error> {
        self.shared.with(|world| {
            world.ensure_user(login, Account::User);
            let repo = world.repository_mut(repo).ok_or(Error::Unknown("repository"))?;
            repo.roles.insert(login.to_lowercase(), role);
            Ok(())
        })
    }

    /// Refuses pushes to a branch from now on.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository.
    pub fn protect_branch(&self, repo: RepositoryId, branch: &str) -> Result<(), Error> {
        self.shared.with(|world| {
            let repo = world.repository_mut(repo).ok_or(Error::Unknown("repository"))?;
            repo.protected.insert(branch.to_owned());
            Ok(())
        })
    }

    /// Signs none of the commits that GitHub makes from now on, as some GitHubs do.
    pub fn leave_commits_unsigned(&self) {
        self.shared.with(|world| world.leaves_unsigned = true);
    }

    /// Suspends the App's installation of an account: its tokens stop working at once.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the App is not installed there.
    pub fn suspend(&self, owner: &str) -> Result<(), Error> {
        self.shared.with(|world| world.set_suspended(owner, true)).ok_or(Error::Unknown("installation"))
    }

    /// Lifts a suspension.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the App is not installed there.
    pub fn unsuspend(&self, owner: &str) -> Result<(), Error> {
        self.shared.with(|world| world.set_suspended(owner, false)).ok_or(Error::Unknown("installation"))
    }

    /// Opens an issue and gives its number.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository.
    pub fn open_issue(&self, repo: RepositoryId, user: &str, title: &str, body: &str) -> Result<u64, Error> {
        self.shared.with(|world| world.open_issue(repo, user, title, body)).ok_or(Error::Unknown("repository"))
    }

    /// Rewrites an issue's `title` and `body`, those of the two that are given.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such issue.
    pub fn edit_issue(&self, repo: RepositoryId, issue: u64, user: &str, text: &serde_json::Value) -> Result<(), Error> {
        self.shared.with(|world| world.edit_issue(repo, issue, user, text)).ok_or(Error::Unknown("issue"))
    }

    /// Comments on an issue or pull request and gives the comment's number.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such issue.
    pub fn comment(&self, repo: RepositoryId, issue: u64, user: &str, body: &str) -> Result<u64, Error> {
        self.shared.with(|world| world.comment_on(repo, issue, user, body)).ok_or(Error::Unknown("issue"))
    }

    /// Rewrites a comment.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such comment.
    pub fn edit_comment(&self, repo: RepositoryId, comment: u64, user: &str, body: &str) -> Result<(), Error> {
        self.shared.with(|world| world.edit_comment(repo, comment, user, body)).ok_or(Error::Unknown("comment"))
    }

    /// Deletes a comment.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such comment.
    pub fn delete_comment(&self, repo: RepositoryId, comment: u64, user: &str) -> Result<(), Error> {
        self.shared.with(|world| world.delete_comment(repo, comment, user)).ok_or(Error::Unknown("comment"))
    }

    /// Puts a label on an issue or pull request.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such issue.
    pub fn label(&self, repo: RepositoryId, issue: u64, user: &str, label: &str) -> Result<(), Error> {
        self.shared.with(|world| world.set_label(repo, issue, user, label, true)).ok_or(Error::Unknown("issue"))
    }

    /// Takes a label off an issue or pull request.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such issue.
    pub fn unlabel(&self, repo: RepositoryId, issue: u64, user: &str, label: &str) -> Result<(), Error> {
        self.shared.with(|world| world.set_label(repo, issue, user, label, false)).ok_or(Error::Unknown("issue"))
    }

    /// Assigns an issue or pull request to somebody more.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such issue.
    pub fn assign(&self, repo: RepositoryId, issue: u64, user: &str, assignee: &str) -> Result<(), Error> {
        self.shared.with(|world| world.assign(repo, issue, user, assignee)).ok_or(Error::Unknown("issue"))
    }

    /// Asks somebody for a review of a pull request.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such pull request.
    pub fn request_review(&self, repo: RepositoryId, pull_request: u64, user: &str, reviewer: &str) -> Result<(), Error> {
        let ask = |world: &mut World| world.request_review(repo, pull_request, user, reviewer);
        self.shared.with(ask).ok_or(Error::Unknown("pull request"))
    }

    /// Sends a `repository_dispatch` of a type, as a program of the repository's does with its token.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository.
    pub fn dispatch(&self, repo: RepositoryId, user: &str, event_type: &str, payload: serde_json::Value) -> Result<(), Error> {
        self.shared.with(|world| world.dispatch(repo, user, event_type, payload)).ok_or(Error::Unknown("repository"))
    }

    /// Closes an issue or pull request.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such issue.
    pub fn close_issue(&self, repo: RepositoryId, issue: u64, user: &str) -> Result<(), Error> {
        self.shared.with(|world| world.set_state(repo, issue, user, State::Closed)).ok_or(Error::Unknown("issue"))
    }

    /// Locks the conversation of an issue or pull request: Apps cannot comment any more.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such issue.
    pub fn lock_issue(&self, repo: RepositoryId, issue: u64) -> Result<(), Error> {
        self.shared.with(|world| world.issue_mut(repo, issue).map(|issue| issue.locked = true)).ok_or(Error::Unknown("issue"))
    }

    /// Has GitHub Actions report a completed check on the last commit of a branch, and gives the run's number.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository or branch.
    pub fn report_check(
        &self,
        repo: RepositoryId,
        branch: &str,
        name: &str,
        conclusion: &str,
        summary: &str,
    ) -> Result<u64, Error> {
        self.end_check(repo, branch, name, conclusion, summary, None)
    }

    /// Has somebody ask for a check run once more, by the button beside it. GitHub leaves the run as it is.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such check run.
    pub fn ask_for_check(&self, repo: RepositoryId, check: u64, user: &str) -> Result<(), Error> {
        self.shared.with(|world| world.ask_for_check(repo, check, user)).ok_or(Error::Unknown("check run"))
    }

    /// Has somebody press a button beside a check run, by what it is called.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such check run, or no such button beside it.
    pub fn press(&self, repo: RepositoryId, check: u64, user: &str, identifier: &str) -> Result<(), Error> {
        self.shared.with(|world| world.press(repo, check, user, identifier)).ok_or(Error::Unknown("button"))
    }

    /// The same of a branch's last commit or of another commit, with the job that the check is of. GitHub tells of it as a check, as its suite, and as its workflow's run.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such repository, branch or commit.
    pub fn end_job(&self, repo: RepositoryId, at: &str, name: &str, conclusion: &str, job: Job) -> Result<u64, Error> {
        self.end_check(repo, at, name, conclusion, "", Some(job))
    }

    fn end_check(
        &self,
        repo: RepositoryId,
        at: &str,
        name: &str,
        conclusion: &str,
        summary: &str,
        job: Option<Job>,
    ) -> Result<u64, Error> {
        self.shared.with(|world| {
            let found = world.repository(repo).ok_or(Error::Unknown("repository"))?;
            let head_sha = found.heads.get(at).cloned().or_else(|| git::find_commit(&found.path, at));
            let head_sha = head_sha.ok_or(Error::Unknown("branch"))?;
            let (id, now) = (world.next_id(), world.now());
            let run = CheckRun {
                id,
                checker: Checker::Actions,
                name: name.to_owned(),
                head_sha,
                status: "completed".to_owned(),
                conclusion: Some(conclusion.to_owned()),
                external_id: String::new(),
                details_url: None,
                output: json!({"title": name, "summary": summary}),
                annotations: Vec::new(),
                actions: Vec::new(),
                started_at: now,
                completed_at: Some(now),
                job,
            };
            world.put_check(repo, run.clone(), "github-actions[bot]").ok_or(Error::Unknown("repository"))?;
            if run.job.is_some() {
                world.tell_of_job(repo, &run);
            }
            Ok(id)
        })
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && !text.starts_with('.') && !text.ends_with(".git") && text.bytes().all(is_fine) && text != "hooks"
}
