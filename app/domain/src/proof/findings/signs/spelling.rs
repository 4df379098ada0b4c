//! How one and the same code is spelled: letters by their numbers, names in brackets, blanks and comments between words.

use unicode_normalization::UnicodeNormalization;

use super::table::Language;

/// The most digits that a letter's number is written with.
const DIGITS_MAX: usize = 6;
/// Of how many parts a name is made that is no single word.
const PARTS_OF_A_NAME_MAX: usize = 4;

/// A part of a line, and where it begins, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) at: usize,
    pub(super) kind: Kind<'a>,
}

/// What a part of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A name or a number.
    Word(&'a str),
    /// What stands between quotes.
    Text(&'a str),
    /// Anything else.
    Mark(char),
}

/// A line with the letters that its language takes it for.
pub(super) fn plain(language: Language, text: &str) -> String {
    match language {
        Language::Python if !text.is_ascii() => text.nfkc().collect(),
        Language::Script if text.contains('\\') => unescaped(text),
        Language::Python | Language::Script | Language::Rust | Language::Go => text.to_owned(),
    }
}

/// A text whose letters are not written as their numbers: `\u0065`, `\u{65}`, `\x65`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = match part.as_bytes() {
            [b'u', b'{', ..] => part[2..].split_once('}'),
            [b'u', ..] => part[1..].split_at_checked(4),
            [b'x', ..] => part[1..].split_at_checked(2),
            _ => None,
        };
        let letter = digits.and_then(|(digits, rest)| {
            let digits = digits.trim_start_matches('0');
            let number = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() <= DIGITS_MAX)?;
            // What a name cannot have would end the text that it stands in.
            char::from_u32(number).filter(|letter| letter.is_alphanumeric() || *letter == '_').map(|letter| (letter, rest))
        });
        match letter {
            Some((letter, rest)) => {
                plain.push(letter);
                plain.push_str(rest);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// The parts of a line, without its comments. A quote that is not closed is a mark.
pub(super) fn tokens(language: Language, text: &str) -> Vec<Token<'_>> {
    let is_quote = |c: char| match language {
        Language::Python | Language::Script => matches!(c, '"' | '\'' | '`'),
        // A lifetime and a rune are no text.
        Language::Rust | Language::Go => matches!(c, '"' | '`'),
    };
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$' && language == Language::Script;
    // A quote that nothing closes is looked behind once.
    let (mut found, mut at, mut open) = (Vec::new(), 0, Vec::new());
    // Each turn takes at least one character.
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let is_comment = match language {
            Language::Python => first == '#',
            Language::Script | Language::Rust | Language::Go => rest.starts_with("//"),
        };
        if is_comment {
            break;
        }
        let inner = (language != Language::Python).then(|| rest.strip_prefix("/*")).flatten();
        let (kind, n_bytes) = if let Some(comment) = inner {
            (None, comment.find("*/").map_or(rest.len(), |end| end + 4))
        } else if is_part(first) {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            (Some(Kind::Word(&rest[..end])), end)
        } else if is_quote(first) && !open.contains(&first) {
            let end = closing(rest, first);
            if end.is_none() {
                open.push(first);
            }
            end.map_or((Some(Kind::Mark(first)), 1), |end| (Some(Kind::Text(&rest[1..end])), end + 1))
        } else {
            ((!first.is_whitespace()).then_some(Kind::Mark(first)), first.len_utf8())
        };
        found.extend(kind.map(|kind| Token { at, kind }));
        at += n_bytes;
    }
    found
}

/// Where the quote closes that a text begins with.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        let closes = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        closes.then_some(at)
    })
}

/// The parts of a line with a blank between them only where two names would become one, and with modules and members that are
/// named by a text as if that were their name.
pub(super) fn squeezed(language: Language, tokens: &[Token<'_>]) -> String {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '"');
    let (mut line, mut rest) = (String::new(), tokens);
    // Each turn takes at least one part.
    while let [first, ..] = rest {
        let kinds: Vec<Kind<'_>> = rest.iter().take(PARTS_OF_A_NAME_MAX).map(|token| token.kind).collect();
        let (part, n_taken) = named_by_text(language, &kinds).unwrap_or_else(|| (spelled(first.kind), 1));
        if line.ends_with(is_name) && part.starts_with(is_name) {
            line.push(' ');
        }
        line.push_str(&part);
        rest = &rest[n_taken..];
    }
    line
}

fn spelled(kind: Kind<'_>) -> String {
    match kind {
        Kind::Word(word) => word.to_owned(),
        Kind::Text(text) => format!("\"{text}\""),
        Kind::Mark(mark) => mark.to_string(),
    }
}

/// What these parts say in one, and how many they are.
fn named_by_text(language: Language, kinds: &[Kind<'_>]) -> Option<(String, usize)> {
    use Kind::{Mark, Text, Word};
    match (language, kinds) {
        (Language::Script, [Word("require" | "import"), Mark('('), Text(name), Mark(')')]) => {
            Some((name.trim_start_matches("node:").to_owned(), 4))
        }
        (Language::Script, [Mark('['), Text(name), Mark(']'), ..]) => Some((format!(".{name}"), 3)),
        (Language::Script, [Mark('?'), Mark('.'), Mark('['), ..]) => Some((String::new(), 2)),
        (Language::Script, [Mark('?'), Mark('.'), ..]) => Some((".".to_owned(), 2)),
        (Language::Python, [Word("__import__" | "import_module"), Mark('('), Text(name), Mark(')')]) => {
            Some(((*name).to_owned(), 4))
        }
        (Language::Rust, [Word("r"), Mark('#'), Word(name), ..]) => Some(((*name).to_owned(), 3)),
        _ => None,
    }
}
