//! What a pull request changes, as the forge shows it: from the commit at which it left its branch, with the lines around.

use std::path::Path;

use git2::{Diff, DiffDelta, DiffFindOptions, DiffFormat, DiffHunk, DiffOptions, Repository};
use patchwright_domain::event::Untrusted;
use patchwright_domain::journal::CommitId;
use patchwright_domain::review::{Difference, HUNKS_MAX, Hunk, SHOWN_CHARS_MAX};

use super::WorkspaceError;
use super::mirror::{git, oid, open};

const WHAT: &str = "reading what the pull request changes";
/// How much of one line is shown, in bytes: a file that a program has made may be one line.
const LINE_BYTES_MAX: usize = 2_000;

/// The difference between what a commit proposes and the last commit that it shares with the branch; with the branch where there is
/// none.
pub(super) fn shown(mirror: &Path, base: &CommitId, head: &CommitId) -> Result<Difference, WorkspaceError> {
    let repository = open(mirror)?;
    read(&repository, base, head).map_err(|e| git(WHAT, &e))
}

fn read(repository: &Repository, base: &CommitId, head: &CommitId) -> Result<Difference, git2::Error> {
    let (base, head) = (oid(base), oid(head));
    let from = match repository.merge_base(base, head) {
        Ok(shared) => shared,
        Err(error) if error.code() == git2::ErrorCode::NotFound => base,
        Err(error) => return Err(error),
    };
    let tree = |commit| repository.find_commit(commit).and_then(|commit| commit.tree());
    let mut diff = repository.diff_tree_to_tree(Some(&tree(from)?), Some(&tree(head)?), Some(&mut DiffOptions::new()))?;
    diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
    let (text, is_whole) = text(&diff)?;
    Ok(Difference { text: Untrusted::new(text), is_whole, hunks: hunks(&diff)? })
}

/// As much of it as is shown, in whole lines.
fn text(diff: &Diff<'_>) -> Result<(String, bool), git2::Error> {
    let (mut text, mut is_whole) = (String::new(), true);
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        let content = line.content();
        let shown = String::from_utf8_lossy(&content[..content.len().min(LINE_BYTES_MAX)]);
        let is_cut = content.len() > LINE_BYTES_MAX;
        if text.len() + shown.len() + 2 > SHOWN_CHARS_MAX {
            is_whole = false;
            return false;
        }
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.push(line.origin());
        }
        text.push_str(&shown);
        if is_cut {
            text.push_str("…\n");
            is_whole = false;
        }
        true
    });
    match printed {
        Err(error) if error.code() != git2::ErrorCode::User => Err(error),
        Ok(()) | Err(_) => Ok((text, is_whole)),
    }
}

fn hunks(diff: &Diff<'_>) -> Result<Vec<Hunk>, git2::Error> {
    let mut hunks = Vec::new();
    let mut note = |delta: DiffDelta<'_>, hunk: DiffHunk<'_>| {
        let path = delta.new_file().path().map(|path| path.to_string_lossy().into_owned());
        // Where all lines are gone there is none to say something beside.
        let last_line = (hunk.new_start() + hunk.new_lines()).checked_sub(1).filter(|_| hunk.new_lines() > 0);
        hunks.extend(path.zip(last_line).map(|(path, last_line)| Hunk { path, first_line: hunk.new_start(), last_line }));
        hunks.len() < HUNKS_MAX
    };
    match diff.foreach(&mut |_, _| true, None, Some(&mut note), None) {
        Err(error) if error.code() != git2::ErrorCode::User => Err(error),
        Ok(()) | Err(_) => Ok(hunks),
    }
}
