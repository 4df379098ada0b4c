//! Code that nobody can read: a text that is put together and run, or letters that are not those that are shown.

use super::spelling::{Kind, Token};
use super::table::Language;
use Kind::{Mark, Text, Word};

/// What in Python runs a text, or takes a module by one.
const RUNS_OF_PYTHON: [&str; 5] = ["exec", "eval", "compile", "__import__", "import_module"];
/// By what in JavaScript everything is reached.
const WHOLES_OF_SCRIPTS: [&str; 4] = ["globalThis", "global", "window", "self"];
/// The objects of JavaScript that have a name in them which is looked for.
const HOLDERS_OF_SCRIPTS: [&str; 3] = ["process", "globalThis", "global"];
/// The letters of Python's sources that are read here as there, without what may stand between their names' parts.
const LETTERS: [&str; 9] = ["utf8", "utf8sig", "ascii", "usascii", "latin1", "isolatin1", "iso88591", "cp1252", "windows1252"];

/// Whether a line of Python says that the source is in letters that are not read so here.
pub(super) fn is_of_other_letters(line: &str) -> bool {
    let Some(comment) = line.trim_start_matches('\u{feff}').trim_start().strip_prefix('#') else { return false };
    let said = comment.split("coding").skip(1).find_map(|rest| rest.strip_prefix([':', '=']));
    said.is_some_and(|said| {
        let name = said.trim_start_matches([' ', '\t']);
        let name = name.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).next().unwrap_or_default();
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        !name.is_empty() && !LETTERS.contains(&name.as_str())
    })
}

/// Whether a text that is not there to be read is run, or names what is taken; where that begins before this place.
pub(super) fn is_computed(language: Language, tokens: &[Token<'_>], begins_before: usize) -> bool {
    let kinds: Vec<Kind<'_>> = tokens.iter().map(|token| token.kind).collect();
    let n_begin = tokens.partition_point(|token| token.at < begins_before);
    (0..n_begin).any(|at| {
        let (before, rest) = kinds.split_at(at);
        match language {
            Language::Python => runs_in_python(before, rest),
            Language::Script => runs_in_a_script(before, rest),
            Language::Rust | Language::Go => false,
        }
    })
}

fn runs_in_python(before: &[Kind<'_>], rest: &[Kind<'_>]) -> bool {
    let [Word(name), Mark('('), arguments @ ..] = rest else { return false };
    let is_own = matches!(before, [.., Word("def")]) || *name != "import_module" && matches!(before, [.., Mark('.')]);
    RUNS_OF_PYTHON.contains(name) && !is_own && !is_literal(arguments)
}

fn runs_in_a_script(before: &[Kind<'_>], rest: &[Kind<'_>]) -> bool {
    let is_whole = matches!(before, [.., Word(whole), Mark('.')] if WHOLES_OF_SCRIPTS.contains(whole));
    let is_own = !is_whole && matches!(before, [.., Mark('.')] | [.., Word("function")]);
    match rest {
        [Word("eval"), Mark('('), arguments @ ..] => !is_own && !is_literal(arguments),
        [Word("eval"), Mark(')'), ..] => matches!(before, [.., Mark(',')]),
        [Word("Function"), Mark('('), ..] => !is_own,
        [Word("constructor"), Mark('('), ..] => {
            matches!(before, [.., Mark(')' | ']') | Word("constructor"), Mark('.')])
        }
        [Word(holder), Mark('['), Text(name), Mark(']'), ..] if HOLDERS_OF_SCRIPTS.contains(holder) => name.contains('\\'),
        [Word(holder), Mark('['), ..] => HOLDERS_OF_SCRIPTS.contains(holder) && !is_own,
        _ => false,
    }
}

/// Whether the first of these arguments is a text that says what it is.
fn is_literal(arguments: &[Kind<'_>]) -> bool {
    matches!(arguments, [Text(text), Mark(')' | ','), ..] if !text.contains(['\\', '$', '{']))
}
