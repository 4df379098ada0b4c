//! The forge and the sandbox of the benchmark, which write down when they are asked.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use patchwright::agent::{Agent, Assignment, Ending, Solution};
use patchwright::forge::github::GitHub;
use patchwright::forge::{
    Access, Attempt, Attempts, CheckedJob, CloneAccess, Cursor, Forge, ForgeError, PullRequest, RepoFacts, Unauthentic,
};
use patchwright::sandbox::{Capabilities, Executor, Isolation, Limits, Refusal, Sandbox, Terms, Tree};
use patchwright_domain::brief::Request;
use patchwright_domain::effect::{Effect, EffectKey, Receipt};
use patchwright_domain::event::{Actor, Event, RawDelivery, RepoRef, Role};
use patchwright_domain::job::{JobSpec, Usage};
use patchwright_domain::turn::Closing;

/// When one request reached each point on its way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// The worker has claimed the job and says so in its comment.
    pub(crate) claimed: Option<Instant>,
    /// The worker knows the request and asks for the repository.
    pub(crate) fetching: Option<Instant>,
    /// The scratch tree is written, and the sandbox is asked for.
    pub(crate) written: Option<Instant>,
}

/// The times of the request that is under way.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Times>>);

impl Watch {
    /// What was noted since the last time.
    pub(crate) fn take(&self) -> Times {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the first time only.
    fn note(&self, point: impl FnOnce(&mut Times) -> &mut Option<Instant>) {
        point(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)).get_or_insert_with(Instant::now);
    }
}

/// GitHub, watched.
pub(crate) struct WatchedForge {
    pub(crate) github: GitHub,
    pub(crate) watch: Watch,
}

#[async_trait]
impl Forge for WatchedForge {
    fn authenticate(&self, signature: Option<&str>, body: &[u8]) -> Result<(), Unauthentic> {
        self.github.authenticate(signature, body)
    }

    fn parse(&self, delivery: &RawDelivery) -> Result<Event, String> {
        self.github.parse(delivery)
    }

    async fn facts(&self, event: &Event) -> Result<RepoFacts, ForgeError> {
        self.github.facts(event).await
    }

    async fn role(&self, repo: &RepoRef, actor: &Actor) -> Result<Role, ForgeError> {
        self.github.role(repo, actor).await
    }

    async fn context(&self, spec: &JobSpec) -> Result<Request, ForgeError> {
        self.github.context(spec).await
    }

    async fn pull_request(&self, spec: &JobSpec) -> Result<Option<PullRequest>, ForgeError> {
        self.github.pull_request(spec).await
    }

    async fn checked_job(&self, repo: &RepoRef, check: u64) -> Result<Option<CheckedJob>, ForgeError> {
        self.github.checked_job(repo, check).await
    }

    async fn clone_access(&self, repo: &RepoRef, access: Access) -> Result<CloneAccess, ForgeError> {
        self.watch.note(|times| &mut times.fetching);
        self.github.clone_access(repo, access).await
    }

    async fn attempts(&self, from: Option<&Cursor>) -> Result<Attempts, ForgeError> {
        self.github.attempts(from).await
    }

    async fn redeliver(&self, attempt: &Attempt) -> Result<(), ForgeError> {
        self.github.redeliver(attempt).await
    }

    async fn perform(&self, repo: &RepoRef, key: &EffectKey, effect: &Effect) -> Result<Receipt, ForgeError> {
        if matches!(effect, Effect::EnsureComment { .. }) {
            self.watch.note(|times| &mut times.claimed);
        }
        self.github.perform(repo, key, effect).await
    }
}

/// A sandbox that notes that it was asked for and refuses, which ends the run.
pub(crate) struct Refusing(pub(crate) Watch);

/// Renames a tree's folder, so that its owner finds nothing to remove.
pub(crate) fn keep(tree: &Path) -> std::io::Result<()> {
    let folder = tree.parent().unwrap_or(tree);
    std::fs::rename(folder, folder.with_extension("kept"))
}

fn refusal() -> Refusal {
    Refusal { missing: "the benchmark ends here".into(), remedy: "none is needed".into() }
}

#[async_trait]
impl Sandbox for Refusing {
    fn name(&self) -> &'static str {
        "none"
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    async fn probe(&self) -> Result<Capabilities, Refusal> {
        Ok(Capabilities { isolation: Isolation::None, layers: Vec::new(), limits: Vec::new(), advice: Vec::new() })
    }

    async fn open(&self, tree: Tree<'_>, _: Terms<'_>) -> Result<Box<dyn Executor>, Refusal> {
        self.0.note(|times| &mut times.written);
        keep(tree.path).map_err(|error| Refusal { missing: error.to_string(), ..refusal() })?;
        Err(refusal())
    }

    async fn sweep(&self) -> Result<(), Refusal> {
        Ok(())
    }
}

/// An agent that is never reached.
pub(crate) struct Nobody;

#[async_trait]
impl Agent for Nobody {
    async fn solve(&self, _: Assignment<'_>, _: &mut dyn Executor) -> Solution {
        let ending = Ending::ModelFailed { public: "There is no agent.".into(), internal: String::new() };
        Solution { ending, closing: Closing::default(), usage: Usage::default(), transcript: Vec::new() }
    }
}
