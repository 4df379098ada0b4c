//! Two commits of a checkout on this machine, brought into a mirror.

use std::path::Path;

use git2::{Oid, Repository};
use patchwright_domain::journal::{Change, CommitId};

use super::WorkspaceError;
use super::mirror::{commit_id, git, open_or_make, take_in};
use super::proposal::{describe, packed};

const WHAT: &str = "bringing the commits here";

/// Two commits that are in the mirror, and how they differ.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// What the patch is against.
    pub base: CommitId,
    /// The commit with the patch.
    pub head: CommitId,
    /// The difference as text.
    pub diff: String,
    /// The files that differ.
    pub changes: Vec<Change>,
}

pub(super) fn adopt(mirror: &Path, checkout: &Path, base: &str, head: &str) -> Result<Adopted, WorkspaceError> {
    let rejected = |reason: String| WorkspaceError::Rejected { what: "finding the commits", reason };
    let there = Repository::open(checkout).map_err(|e| rejected(e.message().to_owned()))?;
    let find = |name: &str| -> Result<Oid, WorkspaceError> {
        let found = there.revparse_single(name).and_then(|object| object.peel_to_commit()).map(|commit| commit.id());
        found.map_err(|e| rejected(format!("`{name}` is no commit here: {}", e.message())))
    };
    let (base, head) = (find(base)?, find(head)?);
    let here = open_or_make(mirror)?;
    bring(&there, &here, &[base, head])?;
    let described = || -> Result<Adopted, git2::Error> {
        let tree = |commit: Oid| here.find_commit(commit).and_then(|commit| commit.tree());
        let (diff, changes) = describe(&here, &tree(base)?, &tree(head)?)?;
        Ok(Adopted { base: commit_id(base), head: commit_id(head), diff, changes })
    };
    described().map_err(|e| git(WHAT, &e))
}

/// Copies what the commits consist of, with their histories, but for what is here already.
fn bring(there: &Repository, here: &Repository, commits: &[Oid]) -> Result<(), WorkspaceError> {
    if commits.iter().all(|commit| here.find_commit(*commit).is_ok()) {
        return Ok(());
    }
    let pack = || -> Result<Vec<u8>, git2::Error> {
        let mut walk = there.revwalk()?;
        for commit in commits {
            walk.push(*commit)?;
        }
        for reference in here.references()?.flatten() {
            let known = reference.target().filter(|known| there.find_commit(*known).is_ok());
            known.map_or(Ok(()), |known| walk.hide(known))?;
        }
        packed(there, &mut walk)
    };
    take_in(here, &pack().map_err(|e| git(WHAT, &e))?, WHAT)
}
