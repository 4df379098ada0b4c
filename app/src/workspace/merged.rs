//! The merge of two commits, made of their objects alone: no working tree, no configuration, no program of a driver.
//!
//! The same two commits give the same merge everywhere, so that whoever has both can make it again and check what was said of it.

use git2::{Commit, ErrorCode, MergeOptions, Oid, Repository, Signature, Time};

/// How many paths are named that do not merge.
const CONFLICTS_NAMED_MAX: usize = 5;
/// How many new files are compared with those that are gone, to find what was renamed.
const RENAMES_MAX: u32 = 200;
/// In whose name the merge is made; nobody sees it but whoever makes it again.
const AUTHOR: (&str, &str) = ("Patchwright", "patchwright@localhost");

/// How one commit goes into another.
pub(super) enum Merged {
    /// It has no commit in common with the other.
    Unrelated,
    /// It has the other behind it already, so that it is its own merge.
    Onto,
    /// These paths were changed on both sides in ways that do not go together.
    Conflicts(Vec<String>),
    /// A commit with both behind it, to which nothing points.
    Made(Oid),
}

/// Merges `head` into `tip`.
pub(super) fn merged(here: &Repository, tip: Oid, head: Oid) -> Result<Merged, git2::Error> {
    let shared = match here.merge_base(tip, head) {
        Ok(shared) => shared,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(Merged::Unrelated),
        Err(error) => return Err(error),
    };
    if shared == tip {
        return Ok(Merged::Onto);
    }
    let (tip, head) = (here.find_commit(tip)?, here.find_commit(head)?);
    let mut options = MergeOptions::new();
    options.find_renames(true).target_limit(RENAMES_MAX);
    let mut index = here.merge_trees(&here.find_commit(shared)?.tree()?, &tip.tree()?, &head.tree()?, Some(&options))?;
    if index.has_conflicts() {
        return Ok(Merged::Conflicts(conflicts(&index)?));
    }
    let tree = here.find_tree(index.write_tree_to(here)?)?;
    Ok(Merged::Made(commit(here, &tree, &[&tip, &head])?))
}

fn conflicts(index: &git2::Index) -> Result<Vec<String>, git2::Error> {
    let mut paths = Vec::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    paths.sort();
    paths.dedup();
    paths.truncate(CONFLICTS_NAMED_MAX);
    Ok(paths)
}

fn commit(here: &Repository, tree: &git2::Tree<'_>, parents: &[&Commit<'_>; 2]) -> Result<Oid, git2::Error> {
    // Without a date, for there is none that both sides know.
    let author = Signature::new(AUTHOR.0, AUTHOR.1, &Time::new(0, 0))?;
    let message = format!("Merge {} into {}\n", parents[1].id(), parents[0].id());
    here.commit(None, &author, &author, &message, tree, parents)
}
