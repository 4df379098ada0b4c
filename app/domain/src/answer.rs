//! Answers, plans and reviews: the places that they name, and their text as people read it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::report::neutral::fence;
use crate::turn::{Closing, Finding};

/// How many places of one answer are looked up.
pub const PLACES_MAX: usize = 200;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the repository's root.
    pub path: String,
    /// The last line that is named, from 1.
    pub line: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// The places that an answer names as `path:line` or `path:first-last`, and those of its findings.
pub fn places(closing: &Closing) -> BTreeSet<Place> {
    let words = closing.text.split(|c: char| c.is_whitespace() || "`'\"()[]<>{},;*|".contains(c));
    let found = closing.findings.iter().map(|finding| Place { path: finding.path.clone(), line: finding.last_line });
    let all: BTreeSet<Place> = words.filter_map(place).collect();
    let mut places: BTreeSet<Place> = found.take(PLACES_MAX).collect();
    let room = PLACES_MAX - places.len();
    places.extend(all.into_iter().take(room));
    places
}

/// Reads one word as a place; a time or an address is none.
fn place(word: &str) -> Option<Place> {
    let word = word.trim_end_matches(['.', ':', '!', '?']);
    let (path, lines) = word.rsplit_once(':')?;
    let last = lines.rsplit_once('-').map_or(lines, |(_, last)| last).trim_start_matches('L');
    let line = last.parse().ok()?;
    let path = path.strip_prefix("./").unwrap_or(path).trim_start_matches("/workspace/");
    let is_path = path.contains(['.', '/']) && path.contains(|c: char| c.is_ascii_alphabetic()) && !path.contains("//");
    is_path.then(|| Place { path: path.to_owned(), line })
}

/// The answer as Markdown. `missing` are places that it names and that do not exist, which is said.
pub fn text(closing: &Closing, missing: &[Place]) -> String {
    let mut text = closing.text.trim().to_owned();
    let mut findings: Vec<&Finding> = closing.findings.iter().collect();
    findings.sort_by_key(|finding| finding.weight());
    for finding in findings {
        let Finding { title, body, priority, confidence_percent, path, first_line, last_line, suggestion } = finding;
        let lines = if first_line == last_line { first_line.to_string() } else { format!("{first_line}-{last_line}") };
        let _ = write!(text, "\n\n### P{priority}: {title}\n\n`{path}:{lines}` ({confidence_percent} % sure)\n\n{}", body.trim());
        if let Some(suggestion) = suggestion {
            let _ = write!(text, "\n\nSuggested instead:\n\n{}", fence(suggestion));
        }
    }
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|place| format!("`{place}`")).collect();
        let _ = write!(text, "\n\n(The harness looked these places up, and they do not exist: {}.)", missing.join(", "));
    }
    text
}

#[cfg(test)]
mod tests;
