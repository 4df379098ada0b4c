//! What is wrong with a policy file, in words and with its place. What somebody wrote in it is shown without anything that a
//! terminal, a page or a reader would be misled by.

use std::fmt;

use serde_saphyr::{DefaultMessageFormatter, Error, MessageFormatter as _};

/// How much of what somebody wrote is repeated, in characters.
const SHOWN_CHARS_MAX: usize = 200;
/// How much of a line is shown on either side of a mistake, in characters.
const LINE_CHARS_MAX: usize = 60;
/// How many changed letters make another key of one.
const TYPOS_MAX: usize = 3;
/// The longest name that is held against those that there are, in bytes.
const NAME_BYTES_MAX: usize = 60;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: u64,
    /// The character in the line, from 1.
    pub column: u64,
    /// What is wrong.
    pub what: String,
    /// What to do about it, if anybody knows.
    pub hint: Option<String>,
    /// The line, and below it a caret at the mistake.
    pub picture: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}: {}", self.line, self.column, self.what)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

impl Problem {
    pub(crate) fn of_file(what: String) -> Self {
        Self { line: 1, column: 1, what, hint: None, picture: None }
    }

    /// Bytes that are no text, from this one on.
    pub(super) fn of_encoding(bytes: &[u8], valid_up_to: usize) -> Self {
        let before = String::from_utf8_lossy(&bytes[..valid_up_to]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let what = "here are bytes that are no UTF-8".to_owned();
        Self { line: number(line), column: number(column), what, hint: None, picture: None }
    }

    pub(super) fn of_yaml(text: &str, error: &Error) -> Self {
        let error = original(error);
        let (line, column) = error.location().map_or((1, 1), |place| (place.line().max(1), place.column().max(1)));
        let (what, hint) = told(error);
        Self { line, column, what, hint, picture: picture(text, line, column) }
    }
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The error itself, without what the library has wrapped around it. It nests no deeper than it was made.
fn original(mut error: &Error) -> &Error {
    while let Error::WithSnippet { error: inner, .. } | Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    error
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors may become more, and it has words for all of them")]
fn told(error: &Error) -> (String, Option<String>) {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("there is no key `{}` here", shown(field)), Some(meant(field, expected, "keys")))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("`{}` is no value of this", shown(variant)), Some(meant(variant, expected, "values")))
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map(|key| format!(" `{}`", shown(key))).unwrap_or_default();
            (format!("the key{key} stands here a second time"), Some("keep one of them".into()))
        }
        other => (shown(&DefaultMessageFormatter.format_message(other)), None),
    }
}

/// What was meant, or which there are.
fn meant(word: &str, expected: &[&'static str], kind: &str) -> String {
    let distance = |known: &&&str| strsim::damerau_levenshtein(word, known);
    let nearest = expected.iter().filter(|_| word.len() <= NAME_BYTES_MAX).min_by_key(distance);
    let is_near = |known: &&&str| distance(known) <= TYPOS_MAX.min(word.chars().count() / 2);
    match nearest.filter(is_near) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => {
            let names = expected.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            format!("the {kind} here are {names}")
        }
    }
}

/// A name, such as a file's, in one line, with whatever does not show as what it is by its number.
pub fn plain(name: &str) -> String {
    name.chars().flat_map(visible).collect()
}

/// What somebody wrote, in one line, with whatever does not show as what it is by its number.
fn shown(text: &str) -> String {
    let cut = text.char_indices().nth(SHOWN_CHARS_MAX);
    let kept = cut.map_or(text, |(at, _)| &text[..at]);
    let mut shown: String = kept.chars().flat_map(visible).collect();
    if cut.is_some() {
        shown.push('…');
    }
    shown
}

/// A character, or its number where it is not seen, moves others, or would end what it stands in.
fn visible(c: char) -> impl Iterator<Item = char> {
    let is_hidden = c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}');
    let number = is_hidden.then(|| c.escape_unicode());
    let plain = (!is_hidden).then_some(if c == '`' { '\'' } else { c });
    number.into_iter().flatten().chain(plain)
}

/// The line with a caret below the mistake; of a long one, what is around it.
fn picture(text: &str, line: u64, column: u64) -> Option<String> {
    let index = usize::try_from(line - 1).ok()?;
    let text = text.trim_start_matches('\u{feff}').lines().nth(index)?;
    let column = usize::try_from(column - 1).ok()?;
    let start = column.saturating_sub(LINE_CHARS_MAX);
    let part = |from: usize, n: usize| text.chars().skip(from).take(n).flat_map(visible).collect::<String>();
    let (before, behind) = (part(start, column - start), part(column, LINE_CHARS_MAX));
    let indent = " ".repeat(before.chars().count());
    Some(format!("{before}{behind}\n{indent}^"))
}
