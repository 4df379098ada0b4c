//! A commit that is put together of two others: one's files, with some as in the other, and some with a text of their own.

use std::path::Path;

use git2::{FileMode, ObjectType, Oid, Repository, Signature, Time};
use patchwright_domain::journal::CommitId;

use super::edit::{Edits, edited, file_mode};
use super::mirror::{commit_id, git, oid, open};
use super::{Composition, WorkspaceError};

const WHAT: &str = "putting a tree together";

/// Makes the commit in the mirror, where nothing points to it; the same parts give the same.
pub(super) fn compose(
    mirror: &Path,
    head: &CommitId,
    base: &CommitId,
    composition: &Composition,
) -> Result<CommitId, WorkspaceError> {
    let repository = open(mirror)?;
    composed(&repository, oid(head), oid(base), composition).map(commit_id).map_err(|e| git(WHAT, &e))
}

fn composed(repository: &Repository, head: Oid, base: Oid, composition: &Composition) -> Result<Oid, git2::Error> {
    let (head, base) = (repository.find_commit(head)?, repository.find_commit(base)?);
    let (tree, before) = (head.tree()?, base.tree()?);
    let mut edits = Edits::new();
    for path in &composition.restored {
        let entry = before.get_path(Path::new(path)).ok();
        let file = entry.filter(|entry| entry.kind() == Some(ObjectType::Blob));
        edits.insert(path.clone(), file.map(|entry| (entry.id(), file_mode(entry.filemode()))));
    }
    for (path, text) in &composition.written {
        let mode = tree.get_path(Path::new(path)).map_or(FileMode::Blob, |entry| file_mode(entry.filemode()));
        edits.insert(path.clone(), Some((repository.blob(text.as_bytes())?, mode)));
    }
    let put_together = edited(repository, &tree, &edits)?;
    if put_together == tree.id() {
        return Ok(head.id());
    }
    let when = Time::new(head.time().seconds(), 0);
    let who = Signature::new("patchwright", "patchwright@localhost", &when)?;
    repository.commit(None, &who, &who, "put together for a proof", &repository.find_tree(put_together)?, &[&base])
}
