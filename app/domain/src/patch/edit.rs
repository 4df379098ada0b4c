//! Applies the chunks of one update to one file.

use std::collections::VecDeque;

use crate::patch::indent::{self, Pair};
use crate::patch::text::{Likeness, Place, Text};
use crate::patch::{Chunk, Dialect, PatchError, PatchLine, nearest};

/// A chunk with its place in the file.
struct Located<'p> {
    chunk: &'p Chunk,
    lines: &'p [PatchLine],
    at: usize,
    n_old: usize,
    likeness: Likeness,
}

/// Applies all chunks or none.
pub(super) fn apply(path: &str, content: &[u8], chunks: &[Chunk], dialect: Dialect) -> Result<Vec<u8>, PatchError> {
    if chunks.is_empty() {
        return Ok(content.to_vec());
    }
    let text = Text::of(content);
    let mut cursor = 0;
    let mut located = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let place = Search { path, text: &text, chunk, cursor, dialect }.locate()?;
        cursor = cursor.max(place.at + place.n_old);
        located.push(place);
    }
    located.sort_by_key(|place| (place.at, place.n_old));
    for pair in located.windows(2) {
        if pair[0].at + pair[0].n_old > pair[1].at {
            return Err(trouble(path, pair[1].chunk, "changes lines that another chunk changes as well"));
        }
    }
    Assembly::new(path, &text, dialect).assemble(&located)
}

/// The places where these lines stand, those that are most alike only, none over another; `None` if that is too much work.
pub(super) fn best_places(text: &Text<'_>, old: &[&str]) -> Option<Vec<Place>> {
    let mut places = closest_likeness(&text.places(old)?);
    let mut free = 0;
    places.retain(|place| {
        let is_free = place.at >= free;
        free = if is_free { place.at + old.len() } else { free };
        is_free
    });
    Some(places)
}

/// Carries one chunk out at each of the places, which are in order.
pub(super) fn apply_at(path: &str, text: &Text<'_>, chunk: &Chunk, places: &[Place]) -> Result<Vec<u8>, PatchError> {
    let n_old = old_lines(&chunk.lines).len();
    let located: Vec<Located<'_>> = places
        .iter()
        .map(|place| Located { chunk, lines: &chunk.lines, at: place.at, n_old, likeness: place.likeness })
        .collect();
    Assembly::new(path, text, Dialect::Strict).assemble(&located)
}

fn trouble(path: &str, chunk: &Chunk, reason: &'static str) -> PatchError {
    PatchError::Chunk { path: path.to_owned(), line: chunk.line, reason }
}

/// The lines that must be in the file: unchanged and removed ones.
fn old_lines(lines: &[PatchLine]) -> Vec<&str> {
    let old = |line| match line {
        &PatchLine::Keep(ref text) | &PatchLine::Remove(ref text) => Some(text.as_str()),
        PatchLine::Add(_) => None,
    };
    lines.iter().filter_map(old).collect()
}

/// The search for the place of one chunk.
struct Search<'s, 't> {
    path: &'s str,
    text: &'s Text<'t>,
    chunk: &'s Chunk,
    /// Behind the chunk before this one.
    cursor: usize,
    dialect: Dialect,
}

impl<'s> Search<'s, '_> {
    fn locate(&self) -> Result<Located<'s>, PatchError> {
        let anchors = self.anchors()?;
        let mut lines = self.chunk.lines.as_slice();
        if old_lines(lines).is_empty() {
            return self.addition(&anchors, lines);
        }
        loop {
            let old = old_lines(lines);
            let places = self.text.places(&old).ok_or_else(|| trouble(self.path, self.chunk, TOO_REPETITIVE))?;
            if let Some(place) = self.choose(&places, &anchors, old.len())? {
                return Ok(Located { chunk: self.chunk, lines, at: place.at, n_old: old.len(), likeness: place.likeness });
            }
            // Blank lines at the end of a chunk are often only the space before the next header.
            match lines.split_last() {
                Some((PatchLine::Keep(last) | PatchLine::Remove(last), rest))
                    if last.is_empty() && !old_lines(rest).is_empty() =>
                {
                    lines = rest;
                }
                Some((PatchLine::Keep(last), rest)) if last.is_empty() && !rest.is_empty() => {
                    return self.addition(&anchors, rest);
                }
                _ => return Err(self.not_found("the lines", &old_lines(&self.chunk.lines))),
            }
        }
    }

    /// The lines that the innermost `@@` context may mean, each with the outer ones above it; none without a context.
    fn anchors(&self) -> Result<Vec<usize>, PatchError> {
        let mut anchors: Vec<usize> = Vec::new();
        for (depth, context) in self.chunk.contexts.iter().enumerate() {
            let found = self.context(context);
            let behind = |at: usize| found.get(found.partition_point(|found| *found < at)).copied();
            let mut next: Vec<usize> = if depth == 0 {
                let later: Vec<usize> = found.iter().copied().filter(|at| *at >= self.cursor).collect();
                if later.is_empty() && self.dialect == Dialect::Strict { found.clone() } else { later }
            } else {
                anchors.iter().filter_map(|at| behind(at + 1)).collect()
            };
            next.dedup();
            if next.is_empty() {
                return Err(self.not_found("the `@@` line", &[context.as_str()]));
            }
            anchors = next;
        }
        Ok(anchors)
    }

    /// Where a context stands: as a whole line, without a closing `@@`, or as a part of a line.
    fn context(&self, context: &str) -> Vec<usize> {
        let whole = self.best(context);
        if !whole.is_empty() {
            return whole;
        }
        let bare = context.trim_end().trim_end_matches('@').trim();
        let found = self.best(bare);
        if found.is_empty() && self.dialect == Dialect::Strict { self.text.containing(bare) } else { found }
    }

    /// The lines that are most like this one.
    fn best(&self, line: &str) -> Vec<usize> {
        let places = self.text.places(&[line]).unwrap_or_default();
        let best = places.iter().map(|place| place.likeness).min();
        places.iter().filter(|place| Some(place.likeness) == best).map(|place| place.at).collect()
    }

    /// A chunk without old lines: behind its context, at the line of its header, or at the end of the file.
    fn addition(&self, anchors: &[usize], lines: &'s [PatchLine]) -> Result<Located<'s>, PatchError> {
        let at = match (anchors, self.chunk.hint) {
            _ if self.chunk.at_end => self.text.lines.len(),
            ([anchor], _) => anchor + 1,
            ([first, ..], _) if self.dialect == Dialect::Codex => first + 1,
            ([_, _, ..], _) => return Err(self.ambiguous("the `@@` line", anchors)),
            ([], Some(hint)) if hint.n_lines == 0 && hint.line <= self.text.lines.len() => hint.line,
            ([], Some(hint)) if hint.line > 0 => {
                return Err(trouble(self.path, self.chunk, "only adds lines, and a line number alone does not say where"));
            }
            ([], _) => self.text.lines.len(),
        };
        Ok(Located { chunk: self.chunk, lines, at, n_old: 0, likeness: Likeness::Exact })
    }

    fn choose(&self, places: &[Place], anchors: &[usize], n_old: usize) -> Result<Option<Place>, PatchError> {
        if self.chunk.at_end {
            let end = self.text.lines.len() - n_old.min(self.text.lines.len());
            if let Some(place) = places.iter().find(|place| place.at == end) {
                return Ok(Some(*place));
            }
            // A blank line is everywhere, so one that is to stand at the end of the file is not looked for before it.
            let is_text =
                |line: &PatchLine| matches!(line, PatchLine::Keep(text) | PatchLine::Remove(text) if !text.trim().is_empty());
            if self.dialect == Dialect::Strict && !self.chunk.lines.iter().any(is_text) {
                return Ok(None);
            }
        }
        let later: Vec<Place> = places.iter().copied().filter(|place| place.at >= self.cursor).collect();
        let open = if later.is_empty() && self.dialect == Dialect::Strict { places.to_vec() } else { later };
        let candidates = if anchors.is_empty() { closest_likeness(&open) } else { behind_anchors(&open, anchors) };
        match candidates.as_slice() {
            [] => Ok(None),
            [place] => Ok(Some(*place)),
            [first, ..] if self.dialect == Dialect::Codex => Ok(Some(*first)),
            several => {
                let hinted = several.iter().find(|place| self.chunk.hint.is_some_and(|hint| hint.line == place.at + 1));
                let lines: Vec<usize> = several.iter().map(|place| place.at).collect();
                hinted.map(|place| Some(*place)).ok_or_else(|| self.ambiguous("the lines", &lines))
            }
        }
    }

    fn ambiguous(&self, what: &'static str, at: &[usize]) -> PatchError {
        let lines = at.iter().map(|at| at + 1).collect();
        PatchError::Ambiguous { path: self.path.to_owned(), line: self.chunk.line, what, lines }
    }

    fn not_found(&self, what: &'static str, wanted: &[&str]) -> PatchError {
        PatchError::NotFound {
            path: self.path.to_owned(),
            line: self.chunk.line,
            what,
            wanted: nearest::wanted(wanted),
            nearest: nearest::describe(self.text, wanted),
        }
    }
}

pub(super) const TOO_REPETITIVE: &str = "fits so many places that looking for the right one takes too long; add context";

fn closest_likeness(places: &[Place]) -> Vec<Place> {
    let best = places.iter().map(|place| place.likeness).min();
    places.iter().filter(|place| Some(place.likeness) == best).copied().collect()
}

/// The first place behind each anchor, the closest likeness only; the anchor's own line where nothing else fits.
fn behind_anchors(places: &[Place], anchors: &[usize]) -> Vec<Place> {
    let firsts = |offset: usize| {
        let mut found: Vec<Place> = Vec::new();
        for likeness in [Likeness::Exact, Likeness::TrailingSpace, Likeness::Indentation, Likeness::Punctuation] {
            let alike: Vec<&Place> = places.iter().filter(|place| place.likeness == likeness).collect();
            let behind =
                |anchor: &usize| alike.get(alike.partition_point(|place| place.at < anchor + offset)).map(|place| **place);
            found.extend(anchors.iter().filter_map(behind));
            if !found.is_empty() {
                break;
            }
        }
        found.dedup();
        found
    };
    let behind = firsts(1);
    if behind.is_empty() { firsts(0) } else { behind }
}

/// A line of the new file.
struct OutLine<'t> {
    content: std::borrow::Cow<'t, [u8]>,
    eol: &'t [u8],
    is_new: bool,
}

/// Builds the new file.
struct Assembly<'s, 't> {
    path: &'s str,
    text: &'s Text<'t>,
    dialect: Dialect,
    out: Vec<OutLine<'t>>,
    /// The next line of the old file.
    at: usize,
}

impl<'s, 't> Assembly<'s, 't> {
    fn new(path: &'s str, text: &'s Text<'t>, dialect: Dialect) -> Self {
        Self { path, text, dialect, out: Vec::with_capacity(text.lines.len()), at: 0 }
    }

    fn assemble(mut self, located: &[Located<'_>]) -> Result<Vec<u8>, PatchError> {
        for place in located {
            self.keep_until(place.at);
            self.chunk(place)?;
        }
        self.keep_until(self.text.lines.len());
        Ok(self.bytes())
    }

    fn keep_until(&mut self, end: usize) {
        for line in &self.text.lines[self.at..end] {
            self.out.push(OutLine { content: line.content.into(), eol: line.eol, is_new: false });
        }
        self.at = end;
    }

    fn chunk(&mut self, place: &Located<'_>) -> Result<(), PatchError> {
        let indents = Indents::of(place, self.text);
        let mut lines = place.lines.iter().enumerate().peekable();
        while lines.peek().is_some() {
            let mut removed = VecDeque::new();
            let mut added = Vec::new();
            while let Some((index, line)) = lines.next_if(|(_, line)| !matches!(line, PatchLine::Keep(_))) {
                match line {
                    PatchLine::Add(text) => added.push((index, text)),
                    PatchLine::Keep(_) | PatchLine::Remove(_) => {
                        removed.push_back(self.text.lines[self.at].eol);
                        self.at += 1;
                    }
                }
            }
            for (index, text) in added {
                let content = indents.adjust(index, text).ok_or_else(|| trouble(self.path, place.chunk, INDENTED_ELSEWISE))?;
                let content = self.text.encode(&content).ok_or_else(|| trouble(self.path, place.chunk, NOT_ENCODABLE))?;
                let eol = self.eol_for_new(&mut removed);
                self.out.push(OutLine { content: content.into(), eol, is_new: true });
            }
            if lines.next().is_some() {
                self.keep_until(self.at + 1);
            }
        }
        Ok(())
    }

    /// The ending of the line that is replaced, or else of a neighbour.
    fn eol_for_new(&self, removed: &mut VecDeque<&'t [u8]>) -> &'t [u8] {
        let replaced = if removed.len() > 1 { removed.pop_front() } else { removed.front().copied() };
        let above = self.out.last().map(|line| line.eol);
        let below = self.text.lines.get(self.at).map(|line| line.eol);
        [replaced, above, below].into_iter().flatten().find(|eol| !eol.is_empty()).unwrap_or_else(|| self.text.eol())
    }

    /// Writes the lines; only the last one may lack its ending, and only as the old file or an untouched line has it.
    fn bytes(mut self) -> Vec<u8> {
        let ended = self.text.lines.last().is_none_or(|line| !line.eol.is_empty());
        let n_lines = self.out.len();
        let mut last_eol = self.text.eol();
        for (index, line) in self.out.iter_mut().enumerate() {
            let is_last = index + 1 == n_lines;
            if line.eol.is_empty() && (!is_last || self.dialect == Dialect::Codex) {
                line.eol = last_eol;
            } else if is_last && line.is_new && !ended && self.dialect == Dialect::Strict {
                line.eol = b"";
            }
            last_eol = if line.eol.is_empty() { last_eol } else { line.eol };
        }
        let mut bytes = self.text.bom.to_vec();
        for (index, line) in self.out.iter().enumerate() {
            let doubled = index == 0 && !bytes.is_empty() && line.content.starts_with(&bytes);
            bytes.extend_from_slice(if doubled { &line.content[self.text.bom.len()..] } else { &line.content });
            bytes.extend_from_slice(line.eol);
        }
        bytes
    }
}

const INDENTED_ELSEWISE: &str = "is indented differently from the file, in a way that cannot be carried over to its new \
                                 lines; repeat it with the indentation of the file";
pub(super) const NOT_ENCODABLE: &str = "adds characters that the file's encoding, which is not UTF-8, does not have; leave such \
                             lines as they are";

/// The indentations of a chunk's old lines in the patch and in the file; empty where they agree.
struct Indents<'p> {
    /// With the index of the line in the chunk.
    pairs: Vec<(usize, &'p str, String)>,
}

impl<'p> Indents<'p> {
    fn of(place: &Located<'p>, text: &Text<'_>) -> Self {
        if place.likeness < Likeness::Indentation {
            return Self { pairs: Vec::new() };
        }
        let mut at = place.at;
        let mut pairs = Vec::new();
        for (index, line) in place.lines.iter().enumerate() {
            let (PatchLine::Keep(line) | PatchLine::Remove(line)) = line else { continue };
            if !line.trim().is_empty() {
                pairs.push((index, indent::of(line), indent::of(&text.shown(at)).to_owned()));
            }
            at += 1;
        }
        if pairs.iter().all(|(_, in_patch, in_file)| in_patch == in_file) {
            pairs.clear();
        }
        Self { pairs }
    }

    /// An added line with the file's indentation; `None` if the old lines do not tell what that is.
    fn adjust(&self, index: usize, line: &str) -> Option<String> {
        if self.pairs.is_empty() || line.trim().is_empty() {
            return Some(line.to_owned());
        }
        let split = self.pairs.partition_point(|(at, ..)| *at < index);
        let (before, after) = self.pairs.split_at(split);
        let ordered = before.iter().rev().chain(after);
        let pairs: Vec<Pair<'_>> = ordered.map(|(_, in_patch, in_file)| Pair { in_patch, in_file }).collect();
        let indent = indent::of(line);
        Some(format!("{}{}", indent::carried_over(indent, &pairs)?, &line[indent.len()..]))
    }
}
