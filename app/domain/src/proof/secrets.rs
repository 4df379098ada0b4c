//! Secrets in what a patch adds: as they stand, and in the encodings that a text is hidden in.
//!
//! What a secret looks like is said by a [kept rule set](rules); which texts are held against it, by the [layers](layers).
//! The server's own secrets are looked for as they are. A model that wants to hide a text has more ways than there are layers:
//! this finds what is careless or simple, and that a secret never enters the sandbox is what holds against the rest.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;

use crate::proof::difference::Line;
use crate::proof::findings::{Finding, Gate};

mod layers;
mod rules;
mod veil;

use layers::Layer;

pub use veil::{Plain, Veil};

/// How much of what is added is looked through, in bytes.
const SCANNED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many secrets are told apart; a patch that has more is published by nobody anyway.
const HITS_MAX: usize = 1_000;
/// How many matches are looked at: most are none, but each takes the time to find that out.
const MATCHES_MAX: usize = 20_000;
/// How many bytes are read; what several rules read counts for each.
const READ_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// How much of a secret is told, in characters.
const SHOWN_CHARS_MAX: usize = 4;
/// The shortest secret of the server's own that is looked for, in bytes: a shorter one stands in any text.
const OWN_BYTES_MIN: usize = 8;
/// The shortest line of such a secret that is looked for by itself, in bytes.
const OWN_LINE_BYTES_MIN: usize = 32;

/// A secret of the server's own, which may be in no patch.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    /// What people call it.
    pub name: &'a str,
    /// What it is.
    pub value: &'a str,
}

/// A secret that was found. It has no `Debug`, so that no log shows it.
#[derive(Clone)]
pub struct Hit {
    path: String,
    /// The first and the last line that it may stand on; none where it is in the file's name.
    lines: Option<(u32, u32)>,
    rule: String,
    secret: Vec<u8>,
    is_own: bool,
}

impl Hit {
    /// The file that it is in.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What people are told: where it is and what it looks like, and never what it is.
    pub fn finding(&self) -> Finding {
        let told = format!("{}: {}", self.rule, shown(&self.secret));
        Finding { gate: Gate::Secret, path: self.path.clone(), line: self.lines.map(|(first, _)| first), told }
    }

    /// Takes the secret out of a finding about the same place.
    pub(super) fn hide(&self, finding: &mut Finding) {
        let is_on = |(first, last): (u32, u32)| finding.line.is_some_and(|line| (first..=last).contains(&line));
        if finding.gate != Gate::Secret && finding.path == self.path && self.lines.is_some_and(is_on) {
            finding.told = "not shown, for a secret stands there".to_owned();
        }
        if let Ok(secret) = str::from_utf8(&self.secret) {
            let shown = shown(&self.secret);
            finding.told = finding.told.replace(secret, &shown);
            finding.path = finding.path.replace(secret, &shown);
        }
    }
}

fn shown(secret: &[u8]) -> String {
    let text = String::from_utf8_lossy(secret);
    // Of a short one, four characters would be too much.
    let n_shown = SHOWN_CHARS_MAX.min(text.chars().count() / 4);
    let begin: String = text.chars().take(n_shown).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{begin}…")
}

/// Whether so much is added that it is not looked through.
pub fn is_too_much(added: &[Line]) -> bool {
    added.iter().map(|line| line.text.len() + 1).sum::<usize>() > SCANNED_BYTES_MAX
}

/// What a scan has found.
#[derive(Clone)]
pub struct Hits {
    /// The secrets.
    pub found: Vec<Hit>,
    /// Whether all was looked through: a scan stops where there is too much to look at.
    pub is_whole: bool,
}

/// The secrets in the lines that a patch adds, and in the names of the files that it makes.
pub fn hits(added: &[Line], names: &[&str], own: &[Own<'_>]) -> Hits {
    let mut scan = Scan::new(own, Left::default());
    for name in names {
        scan.block(name, &[(0, name)], false);
    }
    scan.lines(added);
    Hits { is_whole: !scan.left.is_spent(), found: scan.hits }
}

/// Those secrets that were not there before, in this or another form: neither in a line that the patch takes away nor in the
/// file; `base` reads what it said, if there was one. The server's own are always new, and so is what there is no time to look
/// up.
///
/// # Errors
/// The error of `base`.
pub fn new_hits<E>(
    hits: Vec<Hit>,
    removed: &[Line],
    mut base: impl FnMut(&str) -> Result<Option<String>, E>,
) -> Result<Vec<Hit>, E> {
    if hits.is_empty() {
        return Ok(hits);
    }
    let mut scan = Scan::new(&[], Left::default());
    scan.lines(removed);
    let moved: BTreeSet<Vec<u8>> = scan.hits.into_iter().map(|hit| hit.secret).collect();
    let (mut left, mut kept) = (scan.left, Vec::new());
    for of_file in hits.chunk_by(|one, next| one.path == next.path) {
        let path = of_file[0].path();
        let before = base(path)?.unwrap_or_default();
        let mut there = Scan::new(&[], left);
        let lines: Vec<(u32, &str)> = (1..).zip(before.lines()).collect();
        there.block(path, &lines, true);
        left = there.left;
        let known: BTreeSet<&[u8]> = there.hits.iter().map(|hit| hit.secret.as_slice()).collect();
        let is_known = |hit: &Hit| moved.contains(&hit.secret) || known.contains(hit.secret.as_slice());
        let is_new = |hit: &&Hit| hit.is_own || hit.lines.is_none() || !is_known(hit);
        kept.extend(of_file.iter().filter(is_new).cloned());
    }
    Ok(kept)
}

/// A text without the secrets that stand in it as they are; none of one that has too much in it to be looked through.
pub fn redacted(text: &str, own: &[Own<'_>]) -> String {
    let mut scan = Scan::new(own, Left::default());
    let lines: Vec<(u32, &str)> = (1..).zip(text.lines()).collect();
    scan.block("", &lines, true);
    if scan.left.is_spent() {
        return NOT_SHOWN.to_owned();
    }
    let mut redacted = text.to_owned();
    for hit in scan.hits {
        if let Ok(secret) = str::from_utf8(&hit.secret) {
            redacted = redacted.replace(secret, &shown(&hit.secret));
        }
    }
    redacted
}

/// What is looked for of a secret of the server's own: all of it, and each of its long lines.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let lines = value.lines().filter(|line| line.len() >= OWN_LINE_BYTES_MIN && !line.starts_with("-----"));
    [value.trim()].into_iter().filter(|value| value.len() >= OWN_BYTES_MIN).chain(lines)
}

/// Why a secret of the server's own is hard to keep, if it is.
pub fn weakness(value: &str) -> Option<&'static str> {
    let value = value.trim();
    let is_word = |c: char| c.is_ascii_lowercase() || matches!(c, '-' | '_' | '.' | ' ');
    if value.len() < OWN_BYTES_MIN {
        Some("is so short that it is looked for nowhere")
    } else if value.chars().all(is_word) {
        Some("is a plain word: a run ends where it stands in the name of a branch or in what is signed")
    } else {
        None
    }
}

/// What stands for a text of which nobody knows what is in it.
const NOT_SHOWN: &str = "Not shown: there is too much in this text that may be a secret.";

/// What a scan may still do. It stops where any of it is spent, so that nobody keeps it busy.
#[derive(Clone, Copy)]
struct Left {
    hits: usize,
    matches: usize,
    bytes: usize,
}

impl Default for Left {
    fn default() -> Self {
        Self { hits: HITS_MAX, matches: MATCHES_MAX, bytes: READ_BYTES_MAX }
    }
}

impl Left {
    fn is_spent(self) -> bool {
        self.hits == 0 || self.matches == 0 || self.bytes == 0
    }

    /// Takes a reading of so many bytes; whether there was any left.
    fn reads(&mut self, n_bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_sub(n_bytes);
        !self.is_spent()
    }

    /// Takes a match; whether there was any left.
    fn matches(&mut self) -> bool {
        self.matches = self.matches.saturating_sub(1);
        !self.is_spent()
    }
}

/// What is found so far.
struct Scan<'a> {
    own: &'a [Own<'a>],
    /// Each of the server's own secrets, and each of its long lines; whose it is, by its place in `own`.
    values: Vec<(usize, &'a [u8])>,
    finder: Option<AhoCorasick>,
    seen: BTreeSet<(String, Vec<u8>)>,
    hits: Vec<Hit>,
    left: Left,
}

impl<'a> Scan<'a> {
    fn new(own: &'a [Own<'a>], left: Left) -> Self {
        let values: Vec<(usize, &[u8])> =
            own.iter().enumerate().flat_map(|(index, own)| parts(own.value).map(move |part| (index, part.as_bytes()))).collect();
        let finder = AhoCorasick::new(values.iter().map(|(_, value)| value)).ok().filter(|_| !values.is_empty());
        Self { own, values, finder, seen: BTreeSet::new(), hits: Vec::new(), left }
    }

    /// Looks through the lines of a difference.
    fn lines(&mut self, lines: &[Line]) {
        for block in lines.chunk_by(|one, next| one.path == next.path && one.line + 1 == next.line) {
            let lines: Vec<(u32, &str)> = block.iter().map(|line| (line.line, line.text.as_str())).collect();
            self.block(&block[0].path, &lines, true);
        }
    }

    /// Looks through lines that follow one another.
    fn block(&mut self, path: &str, lines: &[(u32, &str)], is_content: bool) {
        if self.left.is_spent() {
            return;
        }
        for layer in layers::layers(lines) {
            if !self.left.reads(layer.bytes.len()) {
                return;
            }
            let values = self.finder.iter().flat_map(|finder| finder.find_iter(&layer.bytes));
            let own: Vec<(usize, usize, usize)> =
                values.take(self.left.matches).map(|found| (found.pattern().as_usize(), found.start(), found.end())).collect();
            for (value, start, end) in own {
                let name = format!("the server's {}", self.own[self.values[value].0].name);
                self.left.matches();
                self.hit(path, &layer, (start, end), name, is_content, true);
            }
            for found in rules::find(path, &layer, &mut self.left) {
                let rule = format!("rule {}", found.rule);
                self.hit(path, &layer, (found.start, found.end), rule, is_content, false);
            }
        }
    }

    fn hit(&mut self, path: &str, layer: &Layer, (start, end): (usize, usize), rule: String, is_content: bool, is_own: bool) {
        let secret = layer.bytes[start..end].to_vec();
        if self.left.hits > 0 && self.seen.insert((path.to_owned(), secret.clone())) {
            let lines = is_content.then(|| (layer.line_at(start), layer.line_at(end.saturating_sub(1))));
            let lines = lines.map(|(one, other)| (one.min(other), one.max(other)));
            self.left.hits -= 1;
            self.hits.push(Hit { path: path.to_owned(), lines, rule, secret, is_own });
        }
    }
}

#[cfg(test)]
mod tests;
