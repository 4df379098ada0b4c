//! Two commits that somebody else has made, brought into a mirror: of a checkout on this machine, or of a pull request.

use std::path::Path;

use git2::{ErrorCode, ObjectType, Oid, Repository};
use patchwright_domain::journal::{Change, CommitId};

use super::WorkspaceError;
use super::mirror::{commit_id, fetch_pull, git, oid, open, open_or_make, take_in};
use super::proposal::{describe, packed};
use super::relay::Remote;

const WHAT: &str = "bringing the commits here";
/// How many names are looked at for what a pull request changes: a few objects can make more files than any disk holds.
const PULLED_NAMES_MAX: usize = 100_000;
/// How many files a pull request may change; GitHub lists as many.
const PULLED_FILES_MAX: usize = 3_000;
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
    /// The difference as text.
    pub diff: String,
    /// The files that differ.
    pub changes: Vec<Change>,
}

/// What a pull request changes, and the objects that its target does not have.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The commits: the base is the last one that the pull request shares with the branch that it is to go to.
    pub adopted: Adopted,
    /// The pack.
    pub pack: Vec<u8>,
}

/// Fetches what a pull request changes; none where it shares no commit with the branch.
pub(super) fn pull(mirror: &Path, remote: &Remote, branch: &str, number: u64) -> Result<Option<Pulled>, WorkspaceError> {
    let (target, head) = fetch_pull(mirror, remote, branch, number)?;
    let here = open(mirror)?;
    let base = match here.merge_base(oid(&target), oid(&head)) {
        Ok(base) => base,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(git(WHAT, &error)),
    };
    let head = oid(&head);
    let tree = |commit: Oid| here.find_commit(commit).and_then(|commit| commit.tree()).map_err(|e| git(WHAT, &e));
    let (before, after) = (tree(base)?, tree(head)?);
    bounded(&here, &before, &after)?;
    let (diff, changes) = describe(&here, &before, &after).map_err(|e| git(WHAT, &e))?;
    let pack = pack(&here, base, head)?;
    Ok(Some(Pulled { adopted: Adopted { base: commit_id(base), head: commit_id(head), diff, changes }, pack }))
}

/// Refuses what is too large before any of it is read: objects say of themselves how large they are.
fn bounded(here: &Repository, before: &git2::Tree<'_>, after: &git2::Tree<'_>) -> Result<(), WorkspaceError> {
    if !is_finite(here, before.id(), after.id()).map_err(|e| git(WHAT, &e))? {
        return Err(WorkspaceError::Refused(format!("it has more than {PULLED_NAMES_MAX} names in folders that it changes")));
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

/// Whether the folders that differ from the base have no more names than are looked at. The difference itself would be made of
/// all of them before anybody could count.
fn is_finite(here: &Repository, before: Oid, after: Oid) -> Result<bool, git2::Error> {
    let mut folders = vec![(Some(before), after)];
    let mut n_names = 0;
    while let Some((before, after)) = folders.pop() {
        let (before, after) = (before.map(|id| here.find_tree(id)).transpose()?, here.find_tree(after)?);
        for entry in after.iter() {
            n_names += 1;
            if n_names > PULLED_NAMES_MAX {
                return Ok(false);
            }
            let known = before.as_ref().and_then(|before| before.get_name_bytes(entry.name_bytes()));
            let is_same = known.as_ref().is_some_and(|known| known.id() == entry.id());
            if entry.kind() == Some(ObjectType::Tree) && !is_same {
                let known = known.filter(|known| known.kind() == Some(ObjectType::Tree)).map(|known| known.id());
                folders.push((known, entry.id()));
            }
        }
    }
    Ok(true)
}

/// Everything of the head that the base does not have.
fn pack(here: &Repository, base: Oid, head: Oid) -> Result<Vec<u8>, WorkspaceError> {
    let mut pack = Vec::new();
    let mut is_too_large = false;
    let mut packed = || -> Result<(), git2::Error> {
        let (mut walk, mut builder) = (here.revwalk()?, here.packbuilder()?);
        walk.push(head)?;
        walk.hide(base)?;
        builder.insert_walk(&mut walk)?;
        builder.foreach(|bytes| {
            is_too_large = pack.len() + bytes.len() > PULLED_PACK_BYTES_MAX;
            if !is_too_large {
                pack.extend_from_slice(bytes);
            }
            !is_too_large
        })
    };
    match packed() {
        Err(_) if is_too_large => {
            Err(WorkspaceError::Refused(format!("its commits have more than {PULLED_PACK_BYTES_MAX} bytes")))
        }
        Err(error) => Err(git(WHAT, &error)),
        Ok(()) => Ok(pack),
    }
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
