//! A commit as it is told to a forge that is to make it again.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{Delta, DiffOptions};

use super::edit::{EXECUTABLE, LINK, SUBMODULE};
use super::mirror::{commit_id, git, oid, open};
use super::{Update, WorkspaceError};
use crate::forge::signing::{Draft, Entry, Object, ObjectKind};

const WHAT: &str = "reading the commit that is to be signed";

/// Reads what differs from the commit's parent. None where no forge can make it again: it has not one parent, or text in it is none.
pub(super) fn draft(mirror: &Path, update: &Update) -> Result<Option<Draft>, WorkspaceError> {
    let Update { branch, from, commit } = update;
    let repository = open(mirror)?;
    let read = || -> Result<Option<Draft>, git2::Error> {
        let found = repository.find_commit(oid(commit))?;
        let (Ok(message), true) = (std::str::from_utf8(found.message_raw_bytes()), found.parent_count() == 1) else {
            return Ok(None);
        };
        let (base, tree) = (found.parent(0)?, found.tree()?);
        let base_tree = base.tree()?;
        // A rename is a file that is gone and one that is new.
        let diff = repository.diff_tree_to_tree(Some(&base_tree), Some(&tree), Some(&mut DiffOptions::new()))?;
        // By path, for a file that becomes a link is told as gone and as new.
        let mut entries: BTreeMap<String, Option<Object>> = BTreeMap::new();
        for delta in diff.deltas() {
            let is_gone = delta.status() == Delta::Deleted;
            let side = if is_gone { delta.old_file() } else { delta.new_file() };
            let Some(path) = side.path().and_then(Path::to_str) else { return Ok(None) };
            if is_gone {
                entries.entry(path.to_owned()).or_default();
            } else {
                entries.insert(path.to_owned(), Some(Object { kind: kind(side.mode().into()), id: side.id().to_string() }));
            }
        }
        let entries = entries.into_iter().map(|(path, object)| Entry { path, object }).collect();
        Ok(Some(Draft {
            branch: branch.clone(),
            commit: commit.clone(),
            tree: tree.id().to_string(),
            base: commit_id(base.id()),
            base_tree: base_tree.id().to_string(),
            message: message.to_owned(),
            entries,
            moves: from.is_some(),
        }))
    };
    read().map_err(|e| git(WHAT, &e))
}

fn kind(mode: i32) -> ObjectKind {
    match mode {
        EXECUTABLE => ObjectKind::Executable,
        LINK => ObjectKind::Link,
        SUBMODULE => ObjectKind::Submodule,
        _ => ObjectKind::File,
    }
}
