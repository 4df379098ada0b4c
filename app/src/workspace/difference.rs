//! What stands in a patch, as git tells it: its lines, the kinds of its files, and what the gates find there.

use std::collections::HashMap;
use std::path::Path;

use git2::{Delta, DiffDelta, DiffHunk, DiffLine, DiffOptions, FileMode, Repository};
use patchwright_domain::journal::{Change, ChangeKind, CommitId};
use patchwright_domain::proof::difference::{Difference, LINES_MAX, Line, Mode, ModeChange};
use patchwright_domain::proof::findings::{self, Finding};
use patchwright_domain::proof::secrets;
use patchwright_domain::proof::test_files::TestFiles;

use super::WorkspaceError;
use super::mirror::{git, oid, open, read_from};
use crate::guarded::Guarded;
use crate::syntax::inline;

/// What a patch may not have, beside what none may.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The server's own secrets.
    pub guarded: Guarded,
    /// Names of further files with instructions for agents.
    pub instruction_fallbacks: Vec<String>,
}

/// What is found in the difference of two commits, whose files are `changes`, of which these are `tests`.
pub(super) fn findings(
    mirror: &Path,
    base: &CommitId,
    head: &CommitId,
    changes: &[Change],
    tests: TestFiles,
    kept: &Kept,
) -> Result<Vec<Finding>, WorkspaceError> {
    let repository = open(mirror)?;
    let mut difference = difference(&repository, base, head).map_err(|e| git("reading the difference", &e))?;
    for (commit, lines) in [(base, &mut difference.removed), (head, &mut difference.added)] {
        let is_marked = mark_tests_in_code(&tests, changes, lines, |path| read_from(&repository, commit, path))?;
        difference.is_whole &= is_marked;
    }
    difference.test_files = tests;
    let is_new = |change: &&Change| change.kind == ChangeKind::Added;
    let names: Vec<&str> = changes.iter().filter(is_new).map(|change| change.path.as_str()).collect();
    let hits = match secrets::is_too_much(&difference.added) {
        // What is not looked through is a finding of its own.
        true => Vec::new(),
        false => {
            let secrets::Hits { found, is_whole } = secrets::hits(&difference.added, &names, &kept.guarded.own());
            difference.is_whole &= is_whole;
            found
        }
    };
    let before = |path: &str| {
        let bytes = read_from(&repository, base, path)?;
        Ok::<_, WorkspaceError>(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let hits = secrets::new_hits(hits, &difference.removed, before)?;
    Ok(findings::findings(changes, &difference, &hits, &kept.instruction_fallbacks))
}

/// Marks the lines of Rust sources that stand in tests inside the code or in files that only tests have, and those at which code
/// is another where it is tested; whether none of the sources was left out.
fn mark_tests_in_code(
    tests: &TestFiles,
    changes: &[Change],
    lines: &mut [Line],
    read: impl Fn(&str) -> Result<Option<Vec<u8>>, WorkspaceError>,
) -> Result<bool, WorkspaceError> {
    let (mut sources, mut parsing, mut is_whole) = (HashMap::new(), inline::Parsing::default(), true);
    for path in tests.mixed(changes) {
        let Some(text) = read(path)? else { continue };
        if !parsing.takes(text.len()) {
            is_whole = false;
            break;
        }
        sources.extend(inline::parts(&text).map(|parts| (path, parts)));
    }
    for line in lines {
        line.is_inline_test = tests.declared.contains(&line.path);
        line.is_of_program = tests.used.contains(&line.path);
        if let Some(parts) = sources.get(line.path.as_str()) {
            line.is_inline_test = parts.is_in_test(line.line);
            line.depends_on_tests = parts.conditions.binary_search(&line.line).is_ok();
        }
    }
    Ok(is_whole)
}

/// All lines, those of files that are not text too: a secret can stand in any.
fn difference(repository: &Repository, base: &CommitId, head: &CommitId) -> Result<Difference, git2::Error> {
    let tree = |commit: &CommitId| repository.find_commit(oid(commit)).and_then(|commit| commit.tree());
    let mut options = DiffOptions::new();
    options.context_lines(0).force_text(true);
    let diff = repository.diff_tree_to_tree(Some(&tree(base)?), Some(&tree(head)?), Some(&mut options))?;
    let mut found =
        Difference { modes: diff.deltas().filter_map(|delta| mode_change(&delta)).collect(), ..Difference::default() };
    let mut line = |delta: DiffDelta<'_>, _: Option<DiffHunk<'_>>, line: DiffLine<'_>| {
        let (lines, file, number) = match line.origin() {
            '+' => (&mut found.added, delta.new_file(), line.new_lineno()),
            '-' => (&mut found.removed, delta.old_file(), line.old_lineno()),
            _ => return true,
        };
        if let (Some(path), Some(number)) = (file.path(), number) {
            let text = String::from_utf8_lossy(line.content()).trim_end().to_owned();
            lines.push(Line {
                path: path.to_string_lossy().into_owned(),
                line: number,
                text,
                is_inline_test: false,
                is_of_program: false,
                depends_on_tests: false,
            });
        }
        found.is_whole = lines.len() < LINES_MAX;
        found.is_whole
    };
    match diff.foreach(&mut |_, _| true, None, None, Some(&mut line)) {
        Err(error) if error.code() != git2::ErrorCode::User => Err(error),
        Ok(()) | Err(_) => Ok(found),
    }
}

fn mode_change(delta: &DiffDelta<'_>) -> Option<ModeChange> {
    if delta.status() == Delta::Deleted {
        return None;
    }
    let before = (delta.status() != Delta::Added).then(|| mode(delta.old_file().mode()));
    let after = mode(delta.new_file().mode());
    let is_change = before != Some(after) || after == Mode::Link;
    let path = delta.new_file().path()?.to_string_lossy().into_owned();
    is_change.then_some(ModeChange { path, before, after })
}

fn mode(mode: FileMode) -> Mode {
    match mode {
        FileMode::Blob | FileMode::BlobGroupWritable => Mode::Plain,
        FileMode::BlobExecutable => Mode::Executable,
        FileMode::Link => Mode::Link,
        FileMode::Unreadable | FileMode::Tree | FileMode::Commit => Mode::Other,
    }
}
