//! Search and replace in one file, for models that were not taught the patch format.
//!
//! The text is looked for as it is first, then line by line with the tolerance that chunks of a patch have. Line endings,
//! byte order mark, encoding and mode of the file stay what they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::patch::text::Text;
use crate::patch::{Change, Chunk, FileState, IS_LINK, PATCH_BYTES_MAX, PatchLine, edit, nearest, path};

#[cfg(test)]
mod tests;

/// How many candidates an error shows.
const CANDIDATES_SHOWN_MAX: usize = 5;

/// One text of one file in place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    path: String,
    old: String,
    new: String,
    all: bool,
}

/// Why a replacement does nothing; the text is written for the model that asked for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// The path, the file or the request is such that nothing can be replaced.
    #[error("{path}: {reason}")]
    Refused {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The text is not in the file.
    #[error("{path}: the text to replace cannot be found:\n{wanted}{nearest}")]
    NotFound {
        /// The file.
        path: String,
        /// The text that was looked for, cut.
        wanted: String,
        /// The most similar lines of the file with their numbers.
        nearest: String,
    },
    /// The text is in the file several times, and one was to be replaced.
    #[error(
        "{path}: the text to replace is there {} times:\n{shown}give more lines around it so that it is there once, or ask to \
         replace all of them",
        lines.len()
    )]
    Ambiguous {
        /// The file.
        path: String,
        /// The line where each of them begins, counted from 1.
        lines: Vec<usize>,
        /// The first of these lines with their numbers.
        shown: String,
    },
}

impl Replacement {
    /// Takes `old` for `new` in the file, once or, with `all`, wherever it is. An empty `old` makes a new file of `new`.
    ///
    /// # Errors
    /// [`Miss::Refused`] for a path that leaves the tree, for equal texts and for texts over [`PATCH_BYTES_MAX`].
    pub fn new(path: &str, old: &str, new: &str, all: bool) -> Result<Self, Miss> {
        let path =
            path::normal(path).map_err(|error| refused(&path.escape_debug().take(200).collect::<String>(), error.reason()))?;
        let refuse = |reason| Err(refused(&path, reason));
        if old.len().saturating_add(new.len()) > PATCH_BYTES_MAX {
            return refuse("the texts are too large");
        }
        if old == new {
            return refuse("the old and the new text are the same");
        }
        // The line endings of the file win where there is one.
        let unified = |text: &str| if old.is_empty() { text.to_owned() } else { text.replace("\r\n", "\n") };
        Ok(Self { old: unified(old), new: unified(new), path, all })
    }

    /// The file, in the normal form of its path: what `apply` must be given.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What changes: the one file, or nothing where the file already is as it should be.
    ///
    /// # Errors
    /// Any [`Miss`]; a path that `files` does not hold counts as absent.
    pub fn apply(&self, files: &BTreeMap<String, Option<FileState>>) -> Result<Vec<Change>, Miss> {
        let before = files.get(&self.path).and_then(Option::as_ref);
        let after = replace(&self.path, before, &self.old, &self.new, self.all)?;
        Ok(if before == Some(&after) { Vec::new() } else { vec![(self.path.clone(), Some(after))] })
    }
}

fn replace(path: &str, state: Option<&FileState>, old: &str, new: &str, all: bool) -> Result<FileState, Miss> {
    let refuse = |reason| Err(refused(path, reason));
    let (content, executable) = match state {
        None if old.is_empty() => return Ok(FileState::Regular { content: new.as_bytes().to_vec(), executable: false }),
        None => return refuse("there is no such file; to make it, leave the old text empty"),
        Some(FileState::Symlink { .. }) => return refuse(IS_LINK),
        Some(FileState::Regular { .. }) if old.is_empty() => {
            return refuse("the file exists already; say which text of it to replace");
        }
        Some(FileState::Regular { content, executable }) => (content, *executable),
    };
    let place = Place { path, text: Text::of(content), old, new, all };
    let replaced = match place.exactly(content)? {
        Some(replaced) => replaced,
        None => place.by_lines()?,
    };
    Ok(FileState::Regular { content: replaced, executable })
}

struct Place<'a> {
    path: &'a str,
    text: Text<'a>,
    old: &'a str,
    new: &'a str,
    all: bool,
}

impl Place<'_> {
    /// Replaces the text where it stands as it is but for line endings; `None` where it does not.
    fn exactly(&self, content: &[u8]) -> Result<Option<Vec<u8>>, Miss> {
        let mark = if self.text.bom.is_empty() { "" } else { "\u{feff}" };
        let bare = |text: &str| self.text.encode(text.strip_prefix(mark).unwrap_or(text));
        let Some(old) = bare(self.old).filter(|old| !old.is_empty()) else { return Ok(None) };
        let body = Unified::of(&content[self.text.bom.len()..]);
        let mut places = occurrences(&body.bytes, &old);
        if places.len() > 1 && !self.all {
            return Err(self.ambiguous(&self.lines_at(&body, &places)));
        }
        let mut free = 0;
        places.retain(|at| {
            *at >= free && {
                free = *at + old.len();
                true
            }
        });
        if places.is_empty() {
            return Ok(None);
        }
        let new = bare(self.new).ok_or_else(|| self.refused(edit::NOT_ENCODABLE))?;
        let mut replaced = self.text.bom.to_vec();
        let mut from = 0;
        for at in places {
            replaced.extend_from_slice(body.original(from..at));
            body.put(&mut replaced, &new, at..at + old.len());
            from = at + old.len();
        }
        replaced.extend_from_slice(body.original(from..body.bytes.len()));
        Ok(Some(replaced))
    }

    /// Replaces whole lines that are alike but for white space, quotes and dashes.
    fn by_lines(&self) -> Result<Vec<u8>, Miss> {
        let ends = self.old.ends_with('\n');
        let old: Vec<&str> = lines(self.old, ends);
        if old.iter().all(|line| line.trim().is_empty()) {
            return Err(self.not_found(&old));
        }
        let chunk =
            Chunk { line: 1, contexts: Vec::new(), hint: None, lines: marked(&old, &lines(self.new, ends)), at_end: false };
        let places = edit::best_places(&self.text, &old).ok_or_else(|| self.refused(edit::TOO_REPETITIVE))?;
        match places.as_slice() {
            [] => Err(self.not_found(&old)),
            [_, _, ..] if !self.all => Err(self.ambiguous(&places.iter().map(|place| place.at).collect::<Vec<_>>())),
            places => edit::apply_at(self.path, &self.text, &chunk, places).map_err(|error| self.refused(error.reason())),
        }
    }

    fn lines_at(&self, body: &Unified<'_>, places: &[usize]) -> Vec<usize> {
        let mut line = 0;
        let mut from = 0;
        let mut lines = Vec::with_capacity(places.len());
        for at in places {
            line += body.bytes[from..*at].iter().filter(|byte| **byte == b'\n').count();
            from = *at;
            lines.push(line);
        }
        lines
    }

    fn ambiguous(&self, at: &[usize]) -> Miss {
        let mut shown = String::new();
        for at in at.iter().take(CANDIDATES_SHOWN_MAX) {
            let _ = writeln!(shown, "{:>6}| {}", at + 1, nearest::cut(&self.text.shown(*at)));
        }
        if at.len() > CANDIDATES_SHOWN_MAX {
            let _ = writeln!(shown, "     ... and {} more", at.len() - CANDIDATES_SHOWN_MAX);
        }
        Miss::Ambiguous { path: self.path.to_owned(), lines: at.iter().map(|at| at + 1).collect(), shown }
    }

    fn not_found(&self, old: &[&str]) -> Miss {
        let (wanted, nearest) = (nearest::wanted(old), nearest::describe(&self.text, old));
        Miss::NotFound { path: self.path.to_owned(), wanted, nearest }
    }

    fn refused(&self, reason: &str) -> Miss {
        refused(self.path, reason)
    }
}

fn refused(path: &str, reason: &str) -> Miss {
    Miss::Refused { path: path.to_owned(), reason: reason.to_owned() }
}

/// The lines of a text; with `ends`, a newline at its end ends the last line instead of beginning another.
fn lines(text: &str, ends: bool) -> Vec<&str> {
    match text.strip_suffix('\n') {
        Some(text) if ends => text.split('\n').collect(),
        _ if ends && text.is_empty() => Vec::new(),
        _ => text.split('\n').collect(),
    }
}

/// The old lines as removed and the new ones as added, but for those at both ends that stay.
fn marked(old: &[&str], new: &[&str]) -> Vec<PatchLine> {
    let n_above = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[n_above..], &new[n_above..]);
    let n_below = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let (removed, below) = old_rest.split_at(old_rest.len() - n_below);
    let added = &new_rest[..new_rest.len() - n_below];
    let keep = |line: &&str| PatchLine::Keep((*line).to_owned());
    let mut lines: Vec<PatchLine> = old[..n_above].iter().map(keep).collect();
    lines.extend(removed.iter().map(|line| PatchLine::Remove((*line).to_owned())));
    lines.extend(added.iter().map(|line| PatchLine::Add((*line).to_owned())));
    lines.extend(below.iter().map(keep));
    lines
}

/// A text with `\n` alone at the ends of lines, and the way back.
struct Unified<'a> {
    source: &'a [u8],
    bytes: Vec<u8>,
    /// Where in `bytes` a `\n` stands that was `\r\n`.
    crlf: Vec<usize>,
}

impl<'a> Unified<'a> {
    fn of(source: &'a [u8]) -> Self {
        let mut bytes = Vec::with_capacity(source.len());
        let mut crlf = Vec::new();
        for (at, byte) in source.iter().enumerate() {
            if *byte == b'\r' && source.get(at + 1) == Some(&b'\n') {
                crlf.push(bytes.len());
            } else {
                bytes.push(*byte);
            }
        }
        Self { source, bytes, crlf }
    }

    fn original(&self, range: std::ops::Range<usize>) -> &'a [u8] {
        let at = |at: usize| at + self.crlf.partition_point(|crlf| *crlf < at);
        &self.source[at(range.start)..at(range.end)]
    }

    /// Writes the new text; its lines end like those it replaces, or else like the nearest line.
    fn put(&self, out: &mut Vec<u8>, new: &[u8], replaced: std::ops::Range<usize>) {
        let newlines = |range: std::ops::Range<usize>| {
            let start = range.start;
            self.bytes[range].iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(move |(at, _)| start + at)
        };
        let mut own = newlines(replaced.clone());
        let mut newline = own.next();
        if newline.is_none() {
            let above = self.bytes[..replaced.start].iter().rposition(|byte| *byte == b'\n');
            newline = newlines(replaced.end..self.bytes.len()).next().or(above);
        }
        for byte in new {
            if *byte == b'\n' {
                if newline.is_some_and(|at| self.crlf.binary_search(&at).is_ok()) {
                    out.push(b'\r');
                }
                newline = own.next().or(newline);
            }
            out.push(*byte);
        }
    }
}

/// Every place where `wanted`, which is not empty, begins, in time linear in both (Knuth, Morris and Pratt).
fn occurrences(text: &[u8], wanted: &[u8]) -> Vec<usize> {
    let mut borders = vec![0; wanted.len()];
    let mut n_alike = 0;
    for at in 1..wanted.len() {
        while n_alike > 0 && wanted[at] != wanted[n_alike] {
            n_alike = borders[n_alike - 1];
        }
        n_alike += usize::from(wanted[at] == wanted[n_alike]);
        borders[at] = n_alike;
    }
    let mut places = Vec::new();
    n_alike = 0;
    for (at, byte) in text.iter().enumerate() {
        while n_alike > 0 && (n_alike == wanted.len() || *byte != wanted[n_alike]) {
            n_alike = borders[n_alike - 1];
        }
        n_alike += usize::from(*byte == wanted[n_alike]);
        if n_alike == wanted.len() {
            places.push(at + 1 - n_alike);
        }
    }
    places
}
