//! Two commits that somebody else has made, brought into a mirror: of a checkout on this machine, or of a pull request.

use std::path::Path;

use git2::{ObjectType, Oid, Repository};
use patchwright_domain::journal::{Change, CommitId};

use super::WorkspaceError;
use super::merged::{Merged, SHARED_MERGES_MAX, merged, shared};
use super::mirror::{commit_id, fetch_pull, git, oid, open, open_or_make, take_in};
use super::proposal::{describe, pack, packed};
use super::relay::Remote;

const WHAT: &str = "bringing the commits here";
const MERGING: &str = "merging the commits";
/// How many names are looked at for what a pull request changes: a few objects can make more files than any disk holds.
const PULLED_NAMES_MAX: usize = 100_000;
/// How many files a pull request may change; GitHub lists as many.
const PULLED_FILES_MAX: usize = 3_000;
/// How many folders may be inside one another: what walks trees behind this does so one call inside another.
const PULLED_DEPTH_MAX: usize = 100;
/// How large the files that it changes may be together, before and after, in bytes.
const PULLED_BYTES_MAX: usize = 100 * 1024 * 1024;
/// How large the pack of its commits may be, in bytes.
const PULLED_PACK_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Two commits that are in the mirror, and how they differ.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// What the patch is against.
    pub base: CommitId,
    /// The commit with the patch.
    pub head: CommitId,
    /// The files of that commit, by the name that git gives them: whoever makes the same merge has the same.
    pub tree: String,
    /// The commit that somebody has made, where the one with the patch is its merge into the base.
    pub proposed: Option<CommitId>,
    /// The difference as text.
    pub diff: String,
    /// The files that differ.
    pub changes: Vec<Change>,
}

/// What a pull request changes, and the objects that its target does not have.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The commits: the base is where the branch points that the pull request is to go to.
    pub adopted: Adopted,
    /// The pack.
    pub pack: Vec<u8>,
}

/// What comes of fetching a pull request.
#[derive(Clone, Debug)]
pub enum Pull {
    /// It goes into its branch.
    Pulled(Box<Pulled>),
    /// It does not go into its branch as that is now.
    Apart {
        /// Where the branch points that it is to go to.
        base: CommitId,
        /// The commit that was proposed.
        head: CommitId,
        /// Why.
        why: Apart,
    },
}

/// Why a pull request does not go into its branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Apart {
    /// It shares no commit with the branch.
    Unrelated,
    /// Some of the paths that are in the way.
    Conflicts(Vec<String>),
    /// Git may merge it in another way than would be tested, for this reason.
    Doubtful(String),
}

/// Fetches what a pull request changes, as it is once it is merged into the branch as that is now: whoever opened it chose where it
/// was begun, and what the branch has gained since counts.
pub(super) fn pull(mirror: &Path, remote: &Remote, branch: &str, number: u64) -> Result<Pull, WorkspaceError> {
    let (target, head) = fetch_pull(mirror, remote, branch, number)?;
    let here = open(mirror)?;
    let (tip, head) = (oid(&target), oid(&head));
    let tree = |commit: Oid| here.find_commit(commit).and_then(|commit| commit.tree()).map_err(|e| git(WHAT, &e));
    // A merge of more of them is refused as it is.
    for shared in shared(&here, tip, head).map_err(|e| git(WHAT, &e))?.into_iter().take(SHARED_MERGES_MAX + 1) {
        bounded(&here, &tree(shared)?, &tree(head)?)?;
    }
    let apart = |why: Apart| Ok(Pull::Apart { base: target.clone(), head: commit_id(head), why });
    let commit = match merged(&here, tip, head).map_err(|e| git(WHAT, &e))? {
        Merged::Unrelated => return apart(Apart::Unrelated),
        Merged::Conflicts(paths) => return apart(Apart::Conflicts(paths)),
        Merged::Doubtful(reason) => return apart(Apart::Doubtful(reason)),
        Merged::Onto => head,
        Merged::Made(commit) => commit,
    };
    let (before, after) = (tree(tip)?, tree(commit)?);
    bounded(&here, &before, &after)?;
    let (diff, changes) = describe(&here, &before, &after).map_err(|e| git(WHAT, &e))?;
    let pack = pack(&here, commit, tip, PULLED_PACK_BYTES_MAX).map_err(|e| git(WHAT, &e))?;
    let too_large = || WorkspaceError::Refused(format!("its commits have more than {PULLED_PACK_BYTES_MAX} bytes"));
    let pack = pack.ok_or_else(too_large)?;
    let proposed = (commit != head).then(|| commit_id(head));
    let adopted = Adopted { base: target, head: commit_id(commit), tree: after.id().to_string(), proposed, diff, changes };
    Ok(Pull::Pulled(Box::new(Pulled { adopted, pack })))
}

/// Refuses what is too large before any of it is read: objects say of themselves how large they are.
fn bounded(here: &Repository, before: &git2::Tree<'_>, after: &git2::Tree<'_>) -> Result<(), WorkspaceError> {
    if let Some(reason) = endless(here, before.id(), after.id()).map_err(|e| git(WHAT, &e))? {
        return Err(WorkspaceError::Refused(reason));
    }
    let sized = || -> Result<(usize, usize), git2::Error> {
        let (diff, odb) = (here.diff_tree_to_tree(Some(before), Some(after), None)?, here.odb()?);
        let (mut n_files, mut n_bytes) = (0, 0_usize);
        for delta in diff.deltas().take(PULLED_FILES_MAX + 1) {
            n_files += 1;
            for file in [delta.old_file().id(), delta.new_file().id()] {
                // What is not here is a commit of another repository, or no file at all.
                n_bytes = n_bytes.saturating_add(odb.read_header(file).map_or(0, |(size, _)| size));
            }
        }
        Ok((n_files, n_bytes))
    };
    let (n_files, n_bytes) = sized().map_err(|e| git(WHAT, &e))?;
    if n_files > PULLED_FILES_MAX {
        return Err(WorkspaceError::Refused(format!("it changes more than {PULLED_FILES_MAX} files")));
    }
    if n_bytes > PULLED_BYTES_MAX {
        let reason = format!("the files that it changes have {n_bytes} bytes, and {PULLED_BYTES_MAX} are looked at");
        return Err(WorkspaceError::Refused(reason));
    }
    Ok(())
}

/// Why the folders that differ from the base are more than are looked at, or deeper, if they are. The difference itself would be
/// made of all of them before anybody could count.
fn endless(here: &Repository, before: Oid, after: Oid) -> Result<Option<String>, git2::Error> {
    let mut folders = vec![(Some(before), after, 1)];
    let mut n_names = 0;
    while let Some((before, after, depth)) = folders.pop() {
        if depth > PULLED_DEPTH_MAX {
            return Ok(Some(format!("it has more than {PULLED_DEPTH_MAX} folders inside one another")));
        }
        let (before, after) = (before.map(|id| here.find_tree(id)).transpose()?, here.find_tree(after)?);
        for entry in after.iter() {
            n_names += 1;
            if n_names > PULLED_NAMES_MAX {
                return Ok(Some(format!("it has more than {PULLED_NAMES_MAX} names in folders that it changes")));
            }
            let known = before.as_ref().and_then(|before| before.get_name_bytes(entry.name_bytes()));
            let is_same = known.as_ref().is_some_and(|known| known.id() == entry.id());
            if entry.kind() == Some(ObjectType::Tree) && !is_same {
                let known = known.filter(|known| known.kind() == Some(ObjectType::Tree)).map(|known| known.id());
                folders.push((known, entry.id(), depth + 1));
            }
        }
    }
    Ok(None)
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
    if shared(&here, base, head).map_err(|e| git(WHAT, &e))?.contains(&head) {
        let reason = "the base has that commit already, so it brings no patch; name one that the base does not have";
        return Err(WorkspaceError::Rejected { what: "looking at the commit with the patch", reason: reason.to_owned() });
    }
    let commit = match merged(&here, base, head).map_err(|e| git(WHAT, &e))? {
        // Two trees that have nothing in common differ as well.
        Merged::Onto | Merged::Unrelated => head,
        Merged::Made(commit) => commit,
        Merged::Conflicts(paths) => {
            let reason = format!("they do not merge ({}); put the patch on top of the base", paths.join(", "));
            return Err(WorkspaceError::Rejected { what: MERGING, reason });
        }
        Merged::Doubtful(reason) => {
            let reason =
                format!("git may merge them in another way than would be tested: {reason}; put the patch on top of the base");
            return Err(WorkspaceError::Rejected { what: MERGING, reason });
        }
    };
    let described = || -> Result<Adopted, git2::Error> {
        let tree = |commit: Oid| here.find_commit(commit).and_then(|commit| commit.tree());
        let after = tree(commit)?;
        let (diff, changes) = describe(&here, &tree(base)?, &after)?;
        let proposed = (commit != head).then(|| commit_id(head));
        Ok(Adopted { base: commit_id(base), head: commit_id(commit), tree: after.id().to_string(), proposed, diff, changes })
    };
    described().map_err(|e| git(WHAT, &e))
}

/// Copies what the commits consist of, with their histories, but for what is here already.
fn bring(there: &Repository, here: &Repository, commits: &[Oid]) -> Result<(), WorkspaceError> {
    if commits.iter().all(|commit| here.find_commit(*commit).is_ok()) {
        return Ok(());
    }
    let pack = || -> Result<Option<Vec<u8>>, git2::Error> {
        let mut walk = there.revwalk()?;
        for commit in commits {
            walk.push(*commit)?;
        }
        for reference in here.references()?.flatten() {
            let known = reference.target().filter(|known| there.find_commit(*known).is_ok());
            known.map_or(Ok(()), |known| walk.hide(known))?;
        }
        // The operator's own checkout, with as much history as it has.
        packed(there, &mut walk, usize::MAX)
    };
    take_in(here, &pack().map_err(|e| git(WHAT, &e))?.unwrap_or_default(), WHAT)
}
