//! Whether the tests that were there still say what they said: none deleted, named so that nobody runs it, or thinner, and no
//! threshold lower.

use std::collections::{BTreeMap, BTreeSet};

use super::{FINDINGS_MAX, Finding, Gate, LINE_CHARS_MAX, found};
use crate::journal::{Change, ChangeKind};
use crate::proof::difference::{Difference, Line};
use crate::proof::test_files::TestFiles;

/// What an assertion says in the common languages, in lower case.
const ASSERTIONS: [&str; 8] = ["assert", "expect(", "expect!", "t.error", "t.fatal", "require.", "should", ".raises"];
/// How lines begin that only make assertions known.
const IMPORTS: [&str; 6] = ["import ", "from ", "use ", "const ", "require ", "#include"];
/// The names of numbers below which something fails, in lower case.
const THRESHOLDS: [&str; 9] =
    ["fail_under", "fail-under", "min_coverage", "minimum_coverage", "threshold", "branches", "functions", "lines", "statements"];

pub(super) fn of_tests(changes: &[Change], difference: &Difference) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (all_added, all_removed) = (by_path(&difference.added), by_path(&difference.removed));
    let tests = &difference.test_files;
    let is_deleted_test = |change: &Change| change.kind == ChangeKind::Deleted && tests.has(&change.path);
    let said = if changes.iter().any(is_deleted_test) { texts(&all_added) } else { Texts::new() };
    let nowhere = Texts::new();
    for change in changes {
        let (added, removed) = (of(&all_added, &change.path), of(&all_removed, &change.path));
        if is_deleted_test(change) {
            // Where there are more than are told anyway, nobody looks where they have gone.
            let said = if findings.len() < FINDINGS_MAX { &said } else { &nowhere };
            findings.push(gone(change, removed, said, tests));
        }
        if change.kind == ChangeKind::Modified {
            findings.extend(weakened(added, removed));
            if holds_thresholds(&change.path) {
                findings.extend(lowered(added, removed));
            }
        }
    }
    findings
}

/// The lines of each file.
type Lines<'a> = BTreeMap<&'a str, Vec<&'a Line>>;
/// How often each file says each text.
type Texts<'a> = BTreeMap<&'a str, BTreeMap<&'a str, usize>>;

fn by_path(lines: &[Line]) -> Lines<'_> {
    let mut by_path = Lines::new();
    lines.iter().for_each(|line| by_path.entry(&line.path).or_default().push(line));
    by_path
}

fn of<'a, 'b>(lines: &'b Lines<'a>, path: &str) -> &'b [&'a Line] {
    lines.get(path).map_or(&[], Vec::as_slice)
}

fn texts<'a>(lines: &Lines<'a>) -> Texts<'a> {
    let mut texts = Texts::new();
    for line in lines.values().flatten() {
        *texts.entry(&line.path).or_default().entry(line.text.trim()).or_default() += 1;
    }
    texts
}

/// What became of a test file that is not there any more, by what the patch adds to others.
fn gone(change: &Change, removed: &[&Line], by_path: &Texts<'_>, tests: &TestFiles) -> Finding {
    let is_run_alike = |before: &str, after: &str| tests.has(after) && is_named_alike(before, after);
    let asserted: Vec<&Line> = removed.iter().copied().filter(|line| asserts(line)).collect();
    let said = if asserted.is_empty() { removed.to_vec() } else { asserted };
    let says_it = |lines: &BTreeMap<&str, usize>| {
        let mut left = lines.clone();
        said.iter().all(|line| left.get_mut(line.text.trim()).is_some_and(|n| n.checked_sub(1).map(|less| *n = less).is_some()))
    };
    let mut targets: Vec<&str> = by_path.iter().filter(|(_, lines)| says_it(lines)).map(|(path, _)| *path).collect();
    targets.sort_by_key(|path| !is_run_alike(&change.path, path));
    let (gate, told) = match targets.first().filter(|_| !said.is_empty()) {
        Some(target) if is_run_alike(&change.path, target) => (Gate::TestMoved, format!("moved to {target}")),
        Some(target) => (Gate::TestRenamedAway, format!("moved to {target}")),
        None => (Gate::TestDeleted, "deleted".to_owned()),
    };
    Finding { gate, path: change.path.clone(), line: None, told: told.chars().take(LINE_CHARS_MAX).collect() }
}

/// Whether a runner that finds a test at one path finds it at the other, by the signs that names have.
fn is_named_alike(before: &str, after: &str) -> bool {
    let parts = |path: &str| {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
        (folder.to_owned(), stem.to_owned(), extension.to_owned())
    };
    let ((folder, stem, extension), (folder_after, stem_after, extension_after)) = (parts(before), parts(after));
    let signs: [fn(&str) -> bool; 5] = [
        |stem| stem.starts_with("test_"),
        |stem| stem.ends_with("_test") || stem.ends_with("_tests"),
        |stem| stem.ends_with("_spec") || stem.ends_with(".spec"),
        |stem| stem.ends_with(".test"),
        |stem| stem.ends_with("Test") || stem.ends_with("Tests"),
    ];
    let own: Vec<_> = signs.iter().filter(|has| has(&stem)).collect();
    let has_its_signs = if own.is_empty() { folder == folder_after } else { own.iter().any(|has| has(&stem_after)) };
    extension == extension_after && has_its_signs
}

/// Tests that assert less than before.
fn weakened(added: &[&Line], removed: &[&Line]) -> Option<Finding> {
    let now: Vec<&Line> = added.iter().copied().filter(|line| line.is_test() && asserts(line)).collect();
    let before: Vec<&Line> = removed.iter().copied().filter(|line| line.is_test() && asserts(line)).collect();
    let kept: BTreeSet<&str> = now.iter().map(|kept| kept.text.trim()).collect();
    let is_kept = |line: &&Line| kept.contains(line.text.trim());
    let missing = before.iter().copied().find(|line| !is_kept(line))?;
    (before.len() > now.len()).then(|| gone_from(Gate::TestWeakened, missing, added, removed))
}

/// What is found about a line that is gone, at the place in the head where it was: the line that stands there instead, or the one
/// before it.
fn gone_from(gate: Gate, gone: &Line, added: &[&Line], removed: &[&Line]) -> Finding {
    let n_removed = removed.iter().filter(|line| line.line < gone.line).count();
    let mut place = gone.line.saturating_sub(u32::try_from(n_removed).unwrap_or(u32::MAX));
    let mut is_replaced = false;
    for line in added.iter().map(|line| line.line) {
        is_replaced = line == place;
        if line >= place {
            break;
        }
        place += 1;
    }
    let line = if is_replaced { place } else { place.saturating_sub(1) };
    Finding { line: Some(line.max(1)), ..found(gate, gone) }
}

fn asserts(line: &Line) -> bool {
    let text = line.text.trim();
    let is_aside = is_comment(text) || IMPORTS.iter().any(|begin| text.starts_with(begin));
    let lower = text.to_ascii_lowercase();
    !is_aside && ASSERTIONS.iter().any(|sign| lower.contains(sign))
}

/// Whether a line is no more than a comment, in any of the common languages.
fn is_comment(text: &str) -> bool {
    ["//", "# ", "* ", "/*"].iter().any(|sign| text.starts_with(sign))
}

/// Whether a file configures something, by its name.
fn holds_thresholds(path: &str) -> bool {
    const ENDINGS: [&str; 9] = [".toml", ".ini", ".cfg", ".yml", ".yaml", ".json", ".jsonc", ".json5", ".mk"];
    const NAMES: [&str; 8] =
        ["jest.config.", "vitest.config.", "karma.conf.", "makefile", "gnumakefile", "justfile", "noxfile.py", ".simplecov"];
    let path = path.to_ascii_lowercase();
    let file = path.rsplit('/').next().unwrap_or(&path);
    let is_hidden = file.starts_with('.') && file.ends_with("rc");
    // Codecov's own is how much may be lost, where less is stricter.
    let is_codecov = file.contains("codecov");
    !is_codecov
        && (is_hidden || ENDINGS.iter().any(|ending| file.ends_with(ending)) || NAMES.iter().any(|name| file.starts_with(name)))
}

/// Thresholds that are lower than before, or gone.
fn lowered(added: &[&Line], removed: &[&Line]) -> Vec<Finding> {
    // Numbers without a sign are in the order of their bits.
    let mut now: BTreeMap<&str, BTreeMap<u64, usize>> = BTreeMap::new();
    for line in added {
        for (name, number) in thresholds(&line.text) {
            *now.entry(name).or_default().entry(number.to_bits()).or_default() += 1;
        }
    }
    let is_lower = |line: &&&Line| {
        thresholds(&line.text).into_iter().any(|(name, number)| {
            let of_name = now.get_mut(name);
            // Each of several of the same name stands for one that was there.
            let kept = of_name.and_then(|numbers| {
                let least = *numbers.range(number.to_bits()..).next()?.0;
                let n_left = numbers.remove(&least)?.saturating_sub(1);
                (n_left > 0).then(|| numbers.insert(least, n_left));
                Some(())
            });
            kept.is_none()
        })
    };
    let gone = removed.iter().filter(is_lower).take(FINDINGS_MAX);
    gone.map(|line| gone_from(Gate::ThresholdLowered, line, added, removed)).collect()
}

/// The names and the numbers of a line's thresholds.
fn thresholds(text: &str) -> Vec<(&'static str, f64)> {
    let lower = text.to_ascii_lowercase();
    let numbers = THRESHOLDS.iter().filter_map(|name| {
        let (before, behind) = lower.split_once(name)?;
        let is_whole = !before.ends_with(|c: char| c.is_alphanumeric()) || *name == "threshold";
        let value = behind.trim_start_matches(['"', '\'', ':', '=', ' ', '\t', '<', '>']);
        let digits: String = value.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        is_whole.then(|| digits.parse().ok()).flatten().map(|number| (*name, number))
    });
    numbers.collect()
}
