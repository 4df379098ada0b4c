//! Somebody's checkout, looked at by its objects alone.

use std::path::Path;

use git2::Repository;
use patchwright_domain::journal::{Change, CommitId};

use super::WorkspaceError;
use super::merged::merged;
use super::mirror::{git, oid, read_from};
use super::proposal::describe;

/// What is written goes to the memory before any other place.
const MEMORY_PRIORITY: i32 = 1_000;
const WHAT: &str = "reading the checkout";

/// A checkout's objects. Its configuration, index, attributes and files are not looked at, so that it says the same of two
/// commits as every other repository that has them.
pub struct Checkout(Repository);

impl std::fmt::Debug for Checkout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checkout")
    }
}

impl Checkout {
    /// Opens a checkout, or a bare repository.
    ///
    /// # Errors
    /// [`WorkspaceError::Rejected`] where there is none.
    pub fn open(path: &Path) -> Result<Self, WorkspaceError> {
        let opened = || -> Result<Repository, git2::Error> {
            let there = Repository::open(path)?;
            Repository::from_odb(there.odb()?)
        };
        opened().map(Self).map_err(|e| WorkspaceError::Rejected { what: WHAT, reason: e.message().to_owned() })
    }

    /// Makes the merge of one commit into another, where this checkout has both and they go together. It is kept in memory alone.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where one of them cannot be read.
    pub fn merge(&self, base: &CommitId, head: &CommitId) -> Result<(), WorkspaceError> {
        if self.tree(base).is_none() || self.tree(head).is_none() {
            return Ok(());
        }
        let merge = || {
            let odb = self.0.odb()?;
            let _kept = odb.add_new_mempack_backend(MEMORY_PRIORITY)?;
            merged(&self.0, oid(base), oid(head))
        };
        merge().map(|_| ()).map_err(|e| git(WHAT, &e))
    }

    /// The tree of a commit; none where there is no such commit.
    pub fn tree(&self, commit: &CommitId) -> Option<String> {
        self.0.find_commit(oid(commit)).ok().map(|commit| commit.tree_id().to_string())
    }

    /// How two commits differ: as text, and file by file.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where one of them cannot be read.
    pub fn difference(&self, base: &CommitId, head: &CommitId) -> Result<(String, Vec<Change>), WorkspaceError> {
        let tree = |commit: &CommitId| self.0.find_commit(oid(commit)).and_then(|commit| commit.tree());
        let described = || describe(&self.0, &tree(base)?, &tree(head)?);
        described().map_err(|e| git(WHAT, &e))
    }

    /// A regular file's bytes at a commit; none where there is no such file.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where it cannot be read.
    pub fn read(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, WorkspaceError> {
        read_from(&self.0, commit, path)
    }
}
