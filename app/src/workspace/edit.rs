//! A tree with some paths put in and others taken out.
//!
//! libgit2's own `TreeUpdateBuilder` refuses a file where a folder was, and leaves a folder behind that nothing is in any
//! more; git has neither.

use std::collections::BTreeMap;

use git2::{FileMode, ObjectType, Oid, Repository, Tree};

/// The modes that git gives the entries of a tree, beside 0o100644 for a plain file.
pub(super) const EXECUTABLE: i32 = 0o100_755;
pub(super) const LINK: i32 = 0o120_000;
pub(super) const SUBMODULE: i32 = 0o160_000;

/// The kind of file that a mode stands for.
pub(super) fn file_mode(mode: i32) -> FileMode {
    match mode {
        LINK => FileMode::Link,
        EXECUTABLE => FileMode::BlobExecutable,
        SUBMODULE => FileMode::Commit,
        _ => FileMode::Blob,
    }
}

/// What is to be at each path: an object, or nothing.
pub(super) type Edits = BTreeMap<String, Option<(Oid, FileMode)>>;

/// The edits below one name.
#[derive(Default)]
struct Below<'a> {
    /// What is to be at the name itself, if that is edited.
    here: Option<Option<(Oid, FileMode)>>,
    deeper: Vec<(&'a str, Option<(Oid, FileMode)>)>,
}

/// Writes the tree with the edits made. What is put at a path takes the place of everything at and below it, and of a file
/// that is in the way of its folders.
pub(super) fn edited(repository: &Repository, tree: &Tree<'_>, edits: &Edits) -> Result<Oid, git2::Error> {
    let edits: Vec<_> = edits.iter().map(|(path, edit)| (path.as_str(), *edit)).collect();
    match folder(repository, Some(tree), &edits)? {
        Some(tree) => Ok(tree),
        None => repository.treebuilder(None)?.write(),
    }
}

/// The folder's new tree; none where nothing is left in it.
fn folder(
    repository: &Repository,
    tree: Option<&Tree<'_>>,
    edits: &[(&str, Option<(Oid, FileMode)>)],
) -> Result<Option<Oid>, git2::Error> {
    let mut names: BTreeMap<&str, Below<'_>> = BTreeMap::new();
    for (path, edit) in edits {
        match path.split_once('/') {
            None => names.entry(path).or_default().here = Some(*edit),
            Some((name, rest)) => names.entry(name).or_default().deeper.push((rest, *edit)),
        }
    }
    let mut builder = repository.treebuilder(tree)?;
    for (name, below) in names {
        let before = builder.get(name)?.map(|entry| (entry.id(), entry.kind()));
        let after = match below.here {
            Some(Some((id, mode))) => Some((id, i32::from(mode))),
            here if below.deeper.is_empty() => here.flatten().map(|(id, mode)| (id, i32::from(mode))),
            _ => {
                let is_tree = |(id, kind): (Oid, Option<ObjectType>)| (kind == Some(ObjectType::Tree)).then_some(id);
                let subtree = before.and_then(is_tree).map(|id| repository.find_tree(id)).transpose()?;
                let is_only_removed = below.deeper.iter().all(|(_, edit)| edit.is_none());
                if subtree.is_none() && is_only_removed && below.here.is_none() {
                    continue;
                }
                folder(repository, subtree.as_ref(), &below.deeper)?.map(|id| (id, i32::from(FileMode::Tree)))
            }
        };
        match after {
            Some((id, mode)) => drop(builder.insert(name, id, mode)?),
            None if before.is_some() => builder.remove(name)?,
            None => {}
        }
    }
    if builder.is_empty() { Ok(None) } else { builder.write().map(Some) }
}
