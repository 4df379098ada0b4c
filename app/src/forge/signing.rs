//! Commits that the forge makes again, to sign them as its own.
//!
//! An App has no key that a forge would know, but what it has the forge make, the forge signs. Its objects have to be there before,
//! below a hidden name that starts nothing. Until the branch is made nobody is shown what was done here, and all of it can be given
//! up for a plain push at any moment; the hidden names are listed to those who ask git for all.

use async_trait::async_trait;
use patchwright_domain::effect::Published;
use patchwright_domain::event::RepoRef;
use patchwright_domain::job::JobId;
use patchwright_domain::journal::CommitId;

use super::ForgeError;

/// Where the names of hidden commits begin.
pub const HIDDEN: &str = "refs/patchwright/";

/// The hidden name of a job's commit; it says which job, so that what a dead one has left can be known.
pub fn hidden(job: &JobId) -> String {
    format!("{HIDDEN}{job}")
}

/// A commit of ours and its branch, as far as a forge needs to know it to make it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The branch's name below `refs/heads/`.
    pub branch: String,
    /// The commit that was proven.
    pub commit: CommitId,
    /// Its tree, by git's name: what the forge makes must be the same.
    pub tree: String,
    /// Its only parent.
    pub base: CommitId,
    /// The parent's tree.
    pub base_tree: String,
    /// The commit's message, by which it is known again.
    pub message: String,
    /// What differs from the parent's tree, by path.
    pub entries: Vec<Entry>,
    /// Whether the branch is there, and points to the parent until then.
    pub moves: bool,
}

/// A path of a tree that differs from the base's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From the repository's root.
    pub path: String,
    /// What is there; none where nothing is left.
    pub object: Option<Object>,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What kind of entry it is.
    pub kind: ObjectKind,
    /// The object, by git's name.
    pub id: String,
}

/// What kinds of entries git's trees have, beside folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A file.
    File,
    /// A file that can be started.
    Executable,
    /// A link.
    Link,
    /// A commit of another repository.
    Submodule,
}

/// Has a forge make commits. Each of its steps can be done again.
#[async_trait]
pub trait Signer: Send + Sync {
    /// Whether it is wanted. Where it is not, a branch that was made when it was is still known again.
    fn is_wanted(&self) -> bool;

    /// Looks where the draft's branch points; none where there is no such branch, or where it is one that moves and has not yet.
    ///
    /// # Errors
    /// [`ForgeError::Rejected`] where it points to something else than the draft.
    async fn look(&self, repo: &RepoRef, draft: &Draft) -> Result<Option<Published>, ForgeError>;

    /// Says how a commit is shown, wherever it is.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn shown(&self, repo: &RepoRef, commit: &CommitId) -> Result<Published, ForgeError>;

    /// Makes the commit out of objects that are there, to which nothing points then, and says its name.
    ///
    /// # Errors
    /// [`ForgeError`], also where it is not what was asked for, or carries no signature that holds.
    async fn sign(&self, repo: &RepoRef, draft: &Draft) -> Result<CommitId, ForgeError>;

    /// Makes the draft's branch at a commit, or moves it there. One that is to be made and is there is left alone, and so is one that
    /// is to be moved and would lose a commit by it.
    ///
    /// # Errors
    /// [`ForgeError`]; behind one that is not sure, it has to be looked for.
    async fn point(&self, repo: &RepoRef, draft: &Draft, commit: &CommitId) -> Result<(), ForgeError>;

    /// Takes a hidden name away, if it is there.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn unhide(&self, repo: &RepoRef, job: &JobId) -> Result<(), ForgeError>;
}
