//! Whether an edit breaks the syntax of a file, as far as a parser can tell.
//!
//! Only what is newly broken is reported: a parser may not know the newest syntax, a macro or a template, and then it does
//! not know it before the edit either. It knows no repository and runs nothing; languages without a parser are let through.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use tree_sitter::{Node, ParseOptions, Parser, Tree, TreeCursor};

use crate::syntax::language::Language;

pub mod imports;
pub mod inline;
mod language;
pub mod modules;

#[cfg(test)]
mod tests;

/// Larger files are let through, in bytes.
pub const CHECKED_BYTES_MAX: usize = 1024 * 1024;
/// How much work one parse may be, in hundreds of the parser's operations; what is more is not read. A source of that size has
/// fewer, and it is work and no time, so that a text is read alike on every machine.
const PARSE_STEPS_MAX: usize = 16_000;
/// How long one parse may take for all that, where what comes of it is asked for by a proof: no machine is that slow.
const PARSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one parse of an edit may take; what takes longer is let through.
const EDIT_TIMEOUT: Duration = Duration::from_millis(500);
/// How many places are reported.
const PLACES_SHOWN_MAX: usize = 3;
/// How many places of one file are counted.
const PLACES_MAX: usize = 1000;
/// How much of a line is shown, in characters.
const LINE_SHOWN_MAX: usize = 120;

thread_local! {
    /// Parsers are not cheap to make, and each is used by one thread at a time.
    static PARSERS: RefCell<HashMap<Language, Parser>> = RefCell::new(HashMap::new());
}

/// Where a parser lost its way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// Counted from 0.
    row: usize,
    /// In bytes from the beginning of the line, counted from 0.
    column: usize,
    /// What is wrong, where the parser says so.
    problem: String,
}

/// What an edit of a file breaks, for the model that made it; `None` if nothing, or if nobody can tell. `before` is `None`
/// for a new file.
///
/// It takes up to a second of computing on a hostile file, so it is called where blocking is allowed.
pub fn breakage(path: &str, before: Option<&[u8]>, after: &[u8]) -> Option<String> {
    let language = language::of(path, after)?;
    let places = places(language, after)?;
    if places.is_empty() {
        return None;
    }
    let old = before.unwrap_or_default();
    let n_before = self::places(language, old).map_or(usize::MAX, |places| places.len());
    if places.len() <= n_before {
        return None;
    }
    let new = unlike(&places, after, old);
    (!new.is_empty()).then(|| told(path, language, &new, after))
}

/// The places whose lines the old file does not have; all of them if it has each.
fn unlike(places: &[Place], after: &[u8], before: &[u8]) -> Vec<Place> {
    let old: std::collections::HashSet<&[u8]> = before.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let lines: Vec<&[u8]> = after.split(|byte| *byte == b'\n').collect();
    let is_new = |place: &&Place| lines.get(place.row).is_none_or(|line| !old.contains(line.trim_ascii()));
    let new: Vec<Place> = places.iter().filter(is_new).cloned().collect();
    if new.is_empty() { places.to_vec() } else { new }
}

fn told(path: &str, language: Language, places: &[Place], after: &[u8]) -> String {
    let mut told = format!("{path} has a syntax error now that it had not before ({}):\n", language.name());
    let lines: Vec<&[u8]> = after.split(|byte| *byte == b'\n').collect();
    for place in places.iter().take(PLACES_SHOWN_MAX) {
        let line = String::from_utf8_lossy(lines.get(place.row).copied().unwrap_or_default());
        let line: String = line.trim_end().chars().filter(|c| *c == '\t' || !c.is_control()).take(LINE_SHOWN_MAX).collect();
        let problem = if place.problem.is_empty() { String::new() } else { format!(" [{}]", place.problem) };
        let _ = writeln!(told, "  {}:{}: {line}{problem}", place.row + 1, place.column + 1);
    }
    if places.len() > PLACES_SHOWN_MAX {
        let _ = writeln!(told, "  and {} more", places.len() - PLACES_SHOWN_MAX);
    }
    told
}

/// Where the text is no program of the language; `None` if that cannot be told in time.
fn places(language: Language, text: &[u8]) -> Option<Vec<Place>> {
    if text.len() > CHECKED_BYTES_MAX {
        return None;
    }
    match language.grammar() {
        Some(_) => {
            let tree = tree_within(language, text, EDIT_TIMEOUT)?;
            Some(if tree.root_node().has_error() { errors(&mut tree.walk()) } else { Vec::new() })
        }
        None => Some(data(language, std::str::from_utf8(text).ok()?).into_iter().collect()),
    }
}

/// What a parser makes of a program; `None` where there is no parser for it, it is too large, or that would be too much work.
fn tree(language: Language, text: &[u8]) -> Option<Tree> {
    tree_within(language, text, PARSE_TIMEOUT)
}

fn tree_within(language: Language, text: &[u8], timeout: Duration) -> Option<Tree> {
    let grammar = language.grammar().filter(|_| text.len() <= CHECKED_BYTES_MAX)?;
    PARSERS.with_borrow_mut(|parsers| {
        let parser = parsers.entry(language).or_default();
        parser.set_language(&grammar).ok()?;
        parsed(parser, text, timeout)
    })
}

fn parsed(parser: &mut Parser, text: &[u8], timeout: Duration) -> Option<Tree> {
    let (mut n_steps_left, deadline) = (PARSE_STEPS_MAX, Instant::now() + timeout);
    // The parser asks after every hundred operations.
    let mut go_on = |_: &_| {
        n_steps_left = n_steps_left.saturating_sub(1);
        if n_steps_left > 0 && Instant::now() < deadline { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut go_on);
    let tree = parser.parse_with_options(&mut |at, _| text.get(at..).unwrap_or_default(), None, Some(options));
    if tree.is_none() {
        // Otherwise the next text would go on where this one was left.
        parser.reset();
    }
    tree
}

/// The outermost erroneous nodes, in order; a loop, since a tree may be deeper than the stack.
fn errors(cursor: &mut TreeCursor<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    loop {
        let node = cursor.node();
        let is_one = node.is_error() || node.is_missing();
        if is_one {
            places.push(place(&node));
        }
        let goes_in = !is_one && node.has_error() && places.len() < PLACES_MAX;
        if goes_in && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return places;
            }
        }
    }
}

fn place(node: &Node<'_>) -> Place {
    let at = node.start_position();
    let problem = if node.is_missing() { format!("`{}` is missing", node.kind()) } else { String::new() };
    Place { row: at.row, column: at.column, problem }
}

/// The first error of a data format; its parsers know no second one.
fn data(language: Language, text: &str) -> Option<Place> {
    let (line, column, problem) = match language {
        Language::Toml => {
            let error = toml::from_str::<toml::Table>(text).err()?;
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let above = &text.as_bytes()[..at];
            let row = above.iter().filter(|byte| **byte == b'\n').count();
            (
                row + 1,
                at - above.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1) + 1,
                error.message().to_owned(),
            )
        }
        // A template is YAML only once it is filled in.
        Language::Yaml if text.contains("{{") || text.contains("{%") => return None,
        Language::Yaml => {
            let error = serde_saphyr::from_multiple::<IgnoredAny>(text).err()?;
            let at = error.location();
            let (line, column) =
                at.map_or((1, 1), |at| (usize::try_from(at.line()).unwrap_or(1), usize::try_from(at.column()).unwrap_or(1)));
            (line, column, error.without_snippet().to_string())
        }
        Language::Bash
        | Language::C
        | Language::Cpp
        | Language::Go
        | Language::Java
        | Language::JavaScript
        | Language::Json
        | Language::Python
        | Language::Ruby
        | Language::Rust
        | Language::Tsx
        | Language::TypeScript => return None,
    };
    let problem = problem.lines().next().unwrap_or_default().chars().take(LINE_SHOWN_MAX).collect();
    Some(Place { row: line.saturating_sub(1), column: column.saturating_sub(1), problem })
}
