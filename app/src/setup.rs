//! Trees that are ready to be worked or tested in: a repository's setup has run, and it alone had a way out.
//!
//! What a setup runs is the repository's code. Where it may reach out, it runs on the base, and what the agent has changed
//! is put in its place only then: otherwise the agent's own code would run with a way out. The operator can give that up
//! with `sandbox.egress.patched`. Where nothing can be reached, the setup runs on what it is for.

use std::io;

use patchwright_domain::demands::Demands;
use patchwright_domain::event::RepoRef;
use patchwright_domain::journal::{Change, CommitId};
use patchwright_domain::proof::Colour;

use crate::egress::log::Log;
use crate::egress::name::Pattern;
use crate::egress::{Egress, Gate};
use crate::sandbox::stamps::{Look, Stamps};
use crate::sandbox::{Command, Executor, Output, Profile, Refusal, Sandbox, SandboxError, Terms, Tree};
use crate::workspace::{Scratch, WorkspaceError, Workspaces};

/// What trees are made ready with.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// Where commits are.
    pub workspaces: &'a Workspaces,
    /// Where the setup runs.
    pub sandbox: &'a dyn Sandbox,
    /// Where it may reach out; nowhere without it.
    pub egress: Option<&'a Egress>,
    /// What the repository demands of the sandbox.
    pub demands: &'a Demands,
    /// What of the tree is looked at before the setup and behind it, if that is asked for.
    pub look: Option<&'a Look>,
}

/// What an agent has made of a base.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'a> {
    /// The commit that holds it.
    pub commit: &'a CommitId,
    /// The files in which it may differ from the base.
    pub changes: &'a [Change],
}

/// A tree, and what its setup said, if there was one.
#[derive(Debug)]
pub struct Ready {
    /// The tree. Where the setup failed, it is of no use.
    pub tree: Scratch,
    /// What the setup did.
    pub said: Option<Said>,
}

/// What a setup did.
#[derive(Debug)]
pub struct Said {
    /// Its end and its output.
    pub output: Output,
    /// What it asked for outside; none where it had no way out.
    pub log: Option<Log>,
    /// The tree as it was before and as it was left, where that was asked for.
    pub stamps: Option<(Stamps, Stamps)>,
}

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The commits are not there, or there is no room.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The machine has no sandbox, or it broke.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The way out could not be opened.
    #[error("opening the setup's way out")]
    Gate(#[source] io::Error),
}

impl From<Refusal> for SetupError {
    fn from(refusal: Refusal) -> Self {
        Self::Sandbox(refusal.into())
    }
}

/// How an executor for a repository is to be.
pub fn terms(profile: Profile, demands: &Demands) -> Terms<'_> {
    Terms { profile, outlet: None, image: demands.image.as_deref(), isolation: demands.isolation }
}

/// The hosts that the repository's setup may reach at most, if it names any. What is no host was refused when the policy was read,
/// and would lead nowhere.
pub fn narrowed(demands: &Demands) -> Option<Vec<Pattern>> {
    let hosts = demands.hosts.as_ref()?;
    Some(hosts.iter().filter_map(|host| Pattern::parse(host).ok()).collect())
}

impl Ground<'_> {
    /// Writes a tree of the base for what `profile` does with it, with the patch if there is one, and runs the setup if there
    /// is one.
    ///
    /// # Errors
    /// [`SetupError`]; a setup that fails is a result.
    pub async fn ready(
        &self,
        repo: &RepoRef,
        base: &CommitId,
        patch: Option<Patch<'_>>,
        setup: Option<&Command>,
        profile: Profile,
    ) -> Result<Ready, SetupError> {
        let Some(setup) = setup else { return Ok(Ready { tree: self.patched(repo, base, patch, profile).await?, said: None }) };
        let (first, later) = match (patch, self.egress) {
            (Some(patch), Some(egress)) if !egress.is_for_patches() => (None, Some(patch)),
            (patch, _) => (patch, None),
        };
        let mut tree = self.patched(repo, base, first, profile).await?;
        let gate = match self.egress {
            Some(egress) => Some(self.open(egress).await.map_err(SetupError::Gate)?),
            None => None,
        };
        if let Some(gate) = &gate {
            // What is fetched is for those who come after as well, and so is what says from where.
            tree.keep_home()?;
            tree.carry(&gate.outlet().read_only)?;
        }
        let terms = Terms { outlet: gate.as_ref().map(Gate::outlet), ..terms(Profile::Setup, self.demands) };
        let mut executor = self.sandbox.open(Tree { read_only: &[], ..tree.tree() }, terms).await?;
        let before = self.stamps(executor.as_mut(), true).await?;
        let output = executor.execute(setup).await?;
        let after = self.stamps(executor.as_mut(), false).await?;
        // Closed before anything of the patch is there.
        let log = match gate {
            Some(gate) => Some(gate.close().await),
            None => None,
        };
        if let (Some(patch), Colour::Green) = (later, output.exit.colour()) {
            self.apply(repo, patch, executor.as_mut()).await?;
        }
        drop(executor);
        Ok(Ready { tree, said: Some(Said { output, log, stamps: before.zip(after) }) })
    }

    /// Opens the way out, to no other hosts than the repository names.
    async fn open(&self, egress: &Egress) -> io::Result<Gate> {
        match narrowed(self.demands) {
            Some(hosts) => egress.open_to(hosts).await,
            None => egress.open().await,
        }
    }

    async fn stamps(&self, executor: &mut dyn Executor, is_first: bool) -> Result<Option<Stamps>, SandboxError> {
        let Some(look) = self.look else { return Ok(None) };
        executor.stamps(&Look { is_first, ..look.clone() }).await.map(Some)
    }

    /// Writes the tree, over that of the base where the sandbox can lay one over the other.
    async fn patched(
        &self,
        repo: &RepoRef,
        base: &CommitId,
        patch: Option<Patch<'_>>,
        profile: Profile,
    ) -> Result<Scratch, WorkspaceError> {
        let commit = patch.map_or(base, |patch| patch.commit);
        if self.sandbox.layers(&self.workspaces.folder(), profile).await {
            return self.workspaces.layered(repo, commit, base).await;
        }
        self.workspaces.scratch(repo, commit).await
    }

    /// Puts the patch in its place, through the executor, for what the setup has left may be links that lead elsewhere.
    async fn apply(&self, repo: &RepoRef, patch: Patch<'_>, executor: &mut dyn Executor) -> Result<(), SetupError> {
        let paths = patch.changes.iter().map(|change| change.path.clone()).collect();
        let states = self.workspaces.states(repo, patch.commit, paths).await?;
        // What is gone first, so that a folder can stand where a file stood.
        let (gone, there): (Vec<_>, Vec<_>) = states.into_iter().partition(|(_, state)| state.is_none());
        executor.write(&gone).await?;
        executor.write(&there).await?;
        Ok(())
    }
}
