//! Reviews of pull requests: what one changes, what a model has found in it, and beside which lines that is said.

use serde::{Deserialize, Serialize};

use crate::event::Untrusted;
use crate::journal::{Change, ChangeKind};
use crate::proof;
use crate::proof::difference::Line;
use crate::proof::findings::findings;
use crate::turn::{Closing, Finding};

/// How much of a difference is shown, in characters.
pub const SHOWN_CHARS_MAX: usize = 120_000;
/// How many pieces of a difference are known beside whose lines something can be said.
pub const HUNKS_MAX: usize = 5_000;

/// What a pull request changes, as the forge shows it: from where it left its branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The difference as git writes it, as much of it as is shown.
    pub text: Untrusted,
    /// Whether the text is all of it.
    pub is_whole: bool,
    /// The pieces of files that the forge shows, of the text that is left out, too.
    pub hunks: Vec<Hunk>,
}

/// Lines of a file, after the change, that a difference shows together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// The file, as it is called after the change.
    pub path: String,
    /// The first line, from 1.
    pub first_line: u32,
    /// The last line.
    pub last_line: u32,
}

/// A review that is to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// What the model said, and what it found.
    pub closing: Closing,
    /// The lines that something can be said beside.
    pub hunks: Vec<Hunk>,
}

/// Where something is said of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The first line.
    pub first_line: u32,
    /// The last line.
    pub last_line: u32,
    /// Whether these are all the finding's lines, so that others can stand in their place.
    pub is_whole: bool,
}

impl Reviewed {
    /// The findings, those that must be mended first before the others, each with the lines beside which it can be said.
    pub fn placed(&self) -> Vec<(&Finding, Option<Beside>)> {
        let mut findings: Vec<&Finding> = self.closing.findings.iter().collect();
        findings.sort_by_key(|finding| finding.weight());
        findings.into_iter().map(|finding| (finding, self.beside(finding))).collect()
    }

    /// The finding's lines within the piece that shows the most of them, the first of several. The forge takes no lines that lie in two.
    fn beside(&self, finding: &Finding) -> Option<Beside> {
        let of_hunk = |hunk: &Hunk| {
            let first_line = finding.first_line.max(hunk.first_line);
            let last_line = finding.last_line.min(hunk.last_line);
            let is_whole = (first_line, last_line) == (finding.first_line, finding.last_line);
            (hunk.path == finding.path && first_line <= last_line).then_some(Beside { first_line, last_line, is_whole })
        };
        self.hunks.iter().filter_map(of_hunk).rev().max_by_key(|beside| beside.last_line - beside.first_line)
    }
}

/// A file with other lines in the place of these; none where it does not have them.
pub fn with_suggestion(content: &[u8], first_line: u32, last_line: u32, lines: &str) -> Option<Vec<u8>> {
    let all: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let (first, last) = ((first_line as usize).checked_sub(1)?, last_line as usize);
    let (before, behind) = (all.get(..first)?, all.get(last.max(first)..)?);
    let lines = lines.strip_suffix('\n').unwrap_or(lines);
    let ends = all.get(last.checked_sub(1)?).is_some_and(|line| line.ends_with(b"\n"));
    let mut after = before.concat();
    after.extend_from_slice(lines.as_bytes());
    after.extend((!lines.is_empty() && ends).then_some(b'\n'));
    after.extend(behind.concat());
    Some(after)
}

/// A suggestion as a change of its file, and what the gates find in it that keep patches from people.
pub fn looked_at(finding: &Finding, lines: &str, instruction_fallbacks: &[String]) -> (Change, Option<String>) {
    let Finding { path, first_line, last_line, .. } = finding;
    let line = |(line, text): (u32, &str)| Line {
        path: path.clone(),
        line,
        text: text.to_owned(),
        is_inline_test: false,
        is_of_program: false,
        depends_on_tests: false,
    };
    let added: Vec<Line> = (*first_line..).zip(lines.lines()).map(line).collect();
    let change = Change {
        path: path.clone(),
        kind: ChangeKind::Modified,
        lines_added: u32::try_from(added.len()).unwrap_or(u32::MAX),
        lines_removed: last_line.saturating_sub(*first_line).saturating_add(1),
    };
    let difference = proof::difference::Difference { added, ..Default::default() };
    let found = findings(std::slice::from_ref(&change), &difference, &[], instruction_fallbacks);
    (change, proof::forbidden(&found))
}

#[cfg(test)]
mod tests;
