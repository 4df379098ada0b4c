//! Whether a commit of ours is below what somebody has pushed on top of it.

use std::path::Path;

use git2::{Oid, Repository};
use patchwright_domain::journal::CommitId;

use super::mirror::{commit_id, fetch_pull, git, oid, open};
use super::relay::Remote;
use super::{Update, WorkspaceError};

/// How many commits of a branch are looked at, the last one first.
const COMMITS_MAX: usize = 1_000;

/// Looks for the commit, or for what the forge has made of it, in a pull request of which this is the branch.
pub(super) fn arrived(
    mirror: &Path,
    remote: &Remote,
    target: &str,
    number: u64,
    update: &Update,
) -> Result<Option<CommitId>, WorkspaceError> {
    let (_, head) = fetch_pull(mirror, remote, target, number)?;
    let here = open(mirror)?;
    found(&here, oid(&head), update).map_err(|e| git("looking for the commit", &e))
}

fn found(here: &Repository, head: Oid, Update { from, commit, .. }: &Update) -> Result<Option<CommitId>, git2::Error> {
    let planned = here.find_commit(oid(commit))?;
    let mut walk = here.revwalk()?;
    walk.push(head)?;
    if let Some(from) = from {
        walk.hide(oid(from))?;
    }
    for id in walk.take(COMMITS_MAX) {
        let there = here.find_commit(id?)?;
        let is_made_of_it = there.tree_id() == planned.tree_id()
            && there.parent_ids().eq(planned.parent_ids())
            && there.message_bytes().trim_ascii() == planned.message_bytes().trim_ascii();
        if there.id() == planned.id() || is_made_of_it {
            return Ok(Some(commit_id(there.id())));
        }
    }
    Ok(None)
}
