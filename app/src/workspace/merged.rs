//! The merge of two commits, made of their objects alone: no working tree, no configuration, no program of a driver.
//!
//! The same two commits give the same merge everywhere, so that whoever has both can make it again and check what was said of it.
//! It is meant to be the one that git and the forge make, and where that is not certain none is made. They may make another where
//! the ways to compare two texts lead to different merges, more has been renamed than is looked for, the last commits that both share
//! do not merge themselves, or a folder has moved to which the other side adds.
//!
//! Git compares texts by the lines that are seldom in them. The library knows no such way, but one that goes by the lines that are
//! there once, and one that looks for the shortest difference: a merge is made where both come to the same.

use std::path::Path;

use git2::{Commit, Delta, ErrorCode, Index, MergeOptions, ObjectType, Oid, Repository, Signature, Time, Tree};

/// How many paths are named that do not merge.
const CONFLICTS_NAMED_MAX: usize = 5;
/// How many files that were changed are compared with one another, to find what was renamed.
const RENAMES_MAX: u32 = 200;
/// How often commits that both sides share are merged with one another, so that there is one to measure both sides against.
pub(super) const SHARED_MERGES_MAX: usize = 16;
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
    /// Git may make another merge of them than would be made here, for this reason.
    Doubtful(String),
    /// A commit with both behind it, to which nothing points.
    Made(Oid),
}

/// Merges `head` into `tip`.
pub(super) fn merged(here: &Repository, tip: Oid, head: Oid) -> Result<Merged, git2::Error> {
    let shared = shared(here, tip, head)?;
    if shared.is_empty() {
        return Ok(Merged::Unrelated);
    }
    if shared.contains(&tip) {
        return Ok(Merged::Onto);
    }
    let base = match measure(here, &shared, &mut SHARED_MERGES_MAX.clone())? {
        Ok(base) => base,
        Err(reason) => return Ok(Merged::Doubtful(reason)),
    };
    let tree = match tree_of(here, base, tip, head)? {
        Whole::Tree(tree) => tree,
        Whole::Conflicts(index) if !may_miss_renames(here, base, tip, head)? => {
            return Ok(Merged::Conflicts(conflicts(&index)?));
        }
        Whole::Conflicts(_) => {
            let reason = format!("more than {RENAMES_MAX} files were changed, too many to know which of them were renamed");
            return Ok(Merged::Doubtful(reason));
        }
        Whole::Differs => return Ok(Merged::Doubtful("two ways to compare their texts lead to different merges".to_owned())),
    };
    if let Some(path) = added_to_a_folder_that_is_gone(here, base, tip, head)? {
        let reason = format!("one side adds {path} to a folder that the other has moved or removed");
        return Ok(Merged::Doubtful(reason));
    }
    Ok(Merged::Made(commit(here, &tree, &[&here.find_commit(tip)?, &here.find_commit(head)?])?))
}

/// The last commits that both share: none where they share nothing, and more than one where each was merged into the other before.
pub(super) fn shared(here: &Repository, one: Oid, other: Oid) -> Result<Vec<Oid>, git2::Error> {
    match here.merge_bases(one, other) {
        Ok(shared) => Ok(shared.iter().copied().collect()),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The commit that both sides are measured against: the shared one or, as git does it, the merge of all of them, the oldest
/// first. Git goes on with the marks of a conflict in there, and libgit2 with other marks, so that one is a reason to stop.
fn measure(here: &Repository, shared: &[Oid], n_left: &mut usize) -> Result<Result<Oid, String>, git2::Error> {
    let Some((oldest, newer)) = shared.split_last() else { return Err(git2::Error::from_str("no commit is shared")) };
    let mut whole = *oldest;
    for next in newer.iter().rev() {
        let Some(left) = n_left.checked_sub(1) else {
            let reason = format!("more than {SHARED_MERGES_MAX} merges of commits that both share would have to be made first");
            return Ok(Err(reason));
        };
        *n_left = left;
        let base = match self::shared(here, whole, *next)?.as_slice() {
            [] => return Ok(Err(format!("{whole} and {next}, which both share, have no commit in common"))),
            // As deep as there are merges left.
            below => match measure(here, below, n_left)? {
                Ok(base) => base,
                Err(reason) => return Ok(Err(reason)),
            },
        };
        let tree = match tree_of(here, base, whole, *next)? {
            Whole::Tree(tree) if added_to_a_folder_that_is_gone(here, base, whole, *next)?.is_none() => tree,
            Whole::Tree(_) | Whole::Conflicts(_) | Whole::Differs => {
                return Ok(Err(format!("{whole} and {next}, which both share, do not merge by themselves")));
            }
        };
        whole = commit(here, &tree, &[&here.find_commit(whole)?, &here.find_commit(*next)?])?;
    }
    Ok(Ok(whole))
}

/// What comes of the files of both sides.
enum Whole<'a> {
    Tree(Tree<'a>),
    Conflicts(Index),
    /// One tree or another, by how texts are compared.
    Differs,
}

fn tree_of(here: &Repository, base: Oid, one: Oid, other: Oid) -> Result<Whole<'_>, git2::Error> {
    let mut shortest = index(here, base, one, other, false)?;
    if shortest.has_conflicts() {
        return Ok(Whole::Conflicts(shortest));
    }
    let mut by_lines_that_are_there_once = index(here, base, one, other, true)?;
    if by_lines_that_are_there_once.has_conflicts() {
        return Ok(Whole::Differs);
    }
    let tree = shortest.write_tree_to(here)?;
    let is_same = tree == by_lines_that_are_there_once.write_tree_to(here)?;
    Ok(if is_same { Whole::Tree(here.find_tree(tree)?) } else { Whole::Differs })
}

fn index(here: &Repository, base: Oid, one: Oid, other: Oid, is_patient: bool) -> Result<Index, git2::Error> {
    let mut options = MergeOptions::new();
    options.find_renames(true).target_limit(RENAMES_MAX).patience(is_patient);
    here.merge_trees(&tree(here, base)?, &tree(here, one)?, &tree(here, other)?, Some(&options))
}

/// Whether a side may have renamed a file that was not looked for, since more was changed than is compared for that.
fn may_miss_renames(here: &Repository, base: Oid, one: Oid, other: Oid) -> Result<bool, git2::Error> {
    let base = tree(here, base)?;
    let (mut n_changed, mut may_have_renamed) = (0, false);
    for side in [one, other] {
        let difference = here.diff_tree_to_tree(Some(&base), Some(&tree(here, side)?), None)?;
        n_changed += difference.deltas().len();
        let has = |status: Delta| difference.deltas().any(|delta| delta.status() == status);
        may_have_renamed |= has(Delta::Added) && has(Delta::Deleted);
    }
    Ok(may_have_renamed && n_changed > RENAMES_MAX as usize)
}

/// A file that one side adds to a folder of the base's that the other side does not have. Where that side has moved it, git moves
/// the file as well or asks; libgit2 knows of no folders that move.
fn added_to_a_folder_that_is_gone(here: &Repository, base: Oid, one: Oid, other: Oid) -> Result<Option<String>, git2::Error> {
    let base = tree(here, base)?;
    let (one, other) = (tree(here, one)?, tree(here, other)?);
    for (adding, moving) in [(&one, &other), (&other, &one)] {
        let is_folder =
            |tree: &Tree<'_>, path: &Path| tree.get_path(path).is_ok_and(|found| found.kind() == Some(ObjectType::Tree));
        let difference = here.diff_tree_to_tree(Some(&base), Some(adding), None)?;
        let added = difference.deltas().filter(|delta| delta.status() == Delta::Added);
        let gone = added.filter_map(|delta| delta.new_file().path().map(Path::to_owned)).find(|path| {
            // The path itself and the root are no folder that moves.
            let mut folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
            folders.any(|folder| is_folder(&base, folder) && !is_folder(moving, folder))
        });
        if let Some(path) = gone {
            return Ok(Some(path.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

fn tree(here: &Repository, commit: Oid) -> Result<Tree<'_>, git2::Error> {
    here.find_commit(commit)?.tree()
}

fn conflicts(index: &Index) -> Result<Vec<String>, git2::Error> {
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

fn commit(here: &Repository, tree: &Tree<'_>, parents: &[&Commit<'_>; 2]) -> Result<Oid, git2::Error> {
    // Without a date, for there is none that both sides know.
    let author = Signature::new(AUTHOR.0, AUTHOR.1, &Time::new(0, 0))?;
    let message = format!("Merge {} into {}\n", parents[1].id(), parents[0].id());
    here.commit(None, &author, &author, &message, tree, parents)
}
