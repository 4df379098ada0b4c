//! Where a worker works on a repository's files: all of its steps that need any, as a port.
//!
//! What a worker does with a journal, a lease and the forge does not depend on the files, and is the same in every workshop.

use async_trait::async_trait;
use patchwright_domain::effect::Receipt;
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::CommitId;
use patchwright_domain::run::Run;

use super::solve::Solve;
use super::{Answer, Progress, StepError, Tools, adopt, branch, prepare, prove, solve, triage};
use crate::forge::Access;
use crate::store::Lease;
use crate::workspace::Update;

/// Does the steps that need a repository's files.
#[async_trait]
pub trait Workshop: Send + Sync {
    /// Fetches the commits that a run looks at, where another machine has prepared it.
    ///
    /// # Errors
    /// [`StepError`].
    async fn ensure_base(&self, tools: &Tools, spec: &JobSpec, run: &Run) -> Result<(), StepError>;

    /// Fetches what somebody else has changed, and fixes what it is measured against.
    ///
    /// # Errors
    /// [`StepError`].
    async fn adopt(&self, tools: &Tools, spec: &JobSpec) -> Result<Answer, StepError>;

    /// Finds out what a red check is about.
    ///
    /// # Errors
    /// [`StepError`].
    async fn triage(&self, tools: &Tools, spec: &JobSpec) -> Result<Answer, StepError>;

    /// Fixes the base, finds out how it is tested, and tests it.
    ///
    /// # Errors
    /// [`StepError`].
    async fn prepare(&self, tools: &Tools, spec: &JobSpec, run: &Run) -> Result<Answer, StepError>;

    /// Lets the agent work, and makes a commit of what it left. Its turns are written down as they happen.
    ///
    /// # Errors
    /// [`StepError`].
    async fn solve(
        &self,
        tools: &Tools,
        spec: &JobSpec,
        lease: &Lease,
        progress: &mut Progress,
        solve: Solve,
    ) -> Result<Answer, StepError>;

    /// Runs the tests on what is proposed.
    ///
    /// # Errors
    /// [`StepError`].
    async fn verify(&self, tools: &Tools, spec: &JobSpec, run: &Run) -> Result<Answer, StepError>;

    /// Where the repository's branch points now; `None` where that cannot be found out.
    async fn base(&self, tools: &Tools, spec: &JobSpec) -> Option<CommitId>;

    /// Makes the branch point to the commit, which is in the pack, or to what the forge has made of it; finds it done where it does.
    ///
    /// # Errors
    /// [`StepError`].
    async fn push(&self, tools: &Tools, spec: &JobSpec, update: &Update, pack: Vec<u8>) -> Result<Receipt, StepError>;
}

/// Mirrors and scratch trees on this machine, and the commands in its sandbox.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnDisk;

#[async_trait]
impl Workshop for OnDisk {
    async fn ensure_base(&self, tools: &Tools, spec: &JobSpec, run: &Run) -> Result<(), StepError> {
        prepare::ensure_base(tools, spec, run).await
    }

    async fn adopt(&self, tools: &Tools, spec: &JobSpec) -> Result<Answer, StepError> {
        adopt::adopt(tools, spec).await
    }

    async fn triage(&self, tools: &Tools, spec: &JobSpec) -> Result<Answer, StepError> {
        triage::triage(tools, spec).await
    }

    async fn prepare(&self, tools: &Tools, spec: &JobSpec, run: &Run) -> Result<Answer, StepError> {
        prepare::prepare(tools, spec, run).await
    }

    async fn solve(
        &self,
        tools: &Tools,
        spec: &JobSpec,
        lease: &Lease,
        progress: &mut Progress,
        solve: Solve,
    ) -> Result<Answer, StepError> {
        solve::solve(tools, spec, lease, progress, solve).await
    }

    async fn verify(&self, tools: &Tools, spec: &JobSpec, run: &Run) -> Result<Answer, StepError> {
        prove::verify(tools, spec, run).await
    }

    async fn base(&self, tools: &Tools, spec: &JobSpec) -> Option<CommitId> {
        let access = tools.forge.clone_access(&spec.repo, Access::Fetch).await.ok()?;
        tools.workspaces.fetch(&spec.repo, access).await.ok()
    }

    async fn push(&self, tools: &Tools, spec: &JobSpec, update: &Update, pack: Vec<u8>) -> Result<Receipt, StepError> {
        branch::push(tools, spec, update, pack).await
    }
}
