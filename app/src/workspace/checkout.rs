//! Somebody's checkout, looked at by its objects alone.

use std::path::Path;

use git2::{Oid, Repository};
use patchwright_domain::journal::{Change, CommitId};

use super::WorkspaceError;
use super::merged::merged;
use super::mirror::{commit_id, git, oid, read_from};
use super::proposal::describe;

/// What is written goes to the memory before any other place.
const MEMORY_PRIORITY: i32 = 1_000;
/// Among how many commits one is looked for.
const REMADE_AMONG_MAX: usize = 100_000;
const WHAT: &str = "reading the checkout";

/// A checkout's objects. Its configuration, index, attributes and files are not looked at, so that it says the same of two
/// commits as every other repository that has them.
pub struct Checkout {
    objects: Repository,
    /// Asked for nothing but where its branches and tags point to.
    there: Repository,
}

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
        let opened = || -> Result<Self, git2::Error> {
            let there = Repository::open(path)?;
            let objects = Repository::from_odb(there.odb()?)?;
            Ok(Self { objects, there })
        };
        opened().map_err(|e| WorkspaceError::Rejected { what: WHAT, reason: e.message().to_owned() })
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
            let odb = self.objects.odb()?;
            let _kept = odb.add_new_mempack_backend(MEMORY_PRIORITY)?;
            merged(&self.objects, oid(base), oid(head))
        };
        merge().map(|_| ()).map_err(|e| git(WHAT, &e))
    }

    /// The tree of a commit; none where there is no such commit.
    pub fn tree(&self, commit: &CommitId) -> Option<String> {
        self.objects.find_commit(oid(commit)).ok().map(|commit| commit.tree_id().to_string())
    }

    /// The commit with this tree and no other parent than the base, on any branch or tag or at `HEAD`; looked for among so many
    /// commits behind the base as [`REMADE_AMONG_MAX`].
    pub fn remade(&self, base: &CommitId, tree: &str) -> Option<CommitId> {
        let tree = Oid::from_str(tree).ok()?;
        let mut walk = self.there.revwalk().ok()?;
        // Where nothing is checked out yet there is no `HEAD`.
        let _ = walk.push_head();
        walk.push_glob("refs/*").ok()?;
        walk.hide(oid(base)).ok()?;
        let commits = walk.take(REMADE_AMONG_MAX).filter_map(|found| self.objects.find_commit(found.ok()?).ok());
        let is_it = |commit: &git2::Commit<'_>| commit.tree_id() == tree && commit.parent_ids().eq([oid(base)]);
        commits.into_iter().find(is_it).map(|commit| commit_id(commit.id()))
    }

    /// How a tree differs from a commit's: as text, and file by file.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where one of them cannot be read.
    pub fn difference(&self, base: &CommitId, tree: &str) -> Result<(String, Vec<Change>), WorkspaceError> {
        let described = || {
            let base = self.objects.find_commit(oid(base)).and_then(|commit| commit.tree())?;
            describe(&self.objects, &base, &self.objects.find_tree(Oid::from_str(tree)?)?)
        };
        described().map_err(|e| git(WHAT, &e))
    }

    /// A regular file's bytes at a commit; none where there is no such file.
    ///
    /// # Errors
    /// [`WorkspaceError::Unavailable`] where it cannot be read.
    pub fn read(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, WorkspaceError> {
        read_from(&self.objects, commit, path)
    }
}
