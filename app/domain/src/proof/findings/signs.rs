//! What stands in the lines that a patch adds.

use super::{Finding, Gate, found};
use crate::ecosystem;
use crate::proof::difference::Line;
use spelling::tokens;
use table::{Language, SKIPS};

mod computed;
mod spelling;
mod table;
mod taken;

/// Over how many lines one statement is followed.
const STATEMENT_LINES_MAX: usize = 60;
/// How long it may be, in bytes.
const STATEMENT_BYTES_MAX: usize = 16 * 1024;
/// What ends a line for a language, though not for git.
const ENDS_OF_LINES: [char; 3] = ['\r', '\u{2028}', '\u{2029}'];

/// What is found on lines that follow each other as a patch adds them.
pub(super) fn of_lines(added: &[Line]) -> Vec<Finding> {
    let at = |nth: usize| gate(&added[nth..]).map(|gate| found(gate, &added[nth]));
    (0..added.len()).filter_map(at).chain(not_looked_for(added)).collect()
}

/// The first file of code in a language whose signs are not known.
fn not_looked_for(added: &[Line]) -> Option<Finding> {
    let language = |line: &Line| ecosystem::language(&line.path).filter(|_| Language::of(&line.path).is_none());
    let (line, language) = added.iter().filter(|line| !line.is_test()).find_map(|line| Some((line, language(line)?)))?;
    let (path, told) = (line.path.clone(), language.to_owned());
    Some(Finding { gate: Gate::NotLookedFor, path, line: None, told })
}

/// What is found on the first of these lines, which the others follow.
fn gate(lines: &[Line]) -> Option<Gate> {
    let added = lines.first()?;
    if added.depends_on_tests {
        return Some(Gate::KnowsItIsTested);
    }
    let language = Language::of(&added.path);
    let Some(language) = language.filter(|_| !added.is_test()) else {
        let text = language.map_or(added.text.trim(), |language| language.without_comment(added.text.trim()));
        return (added.is_test() && says(&forms(text.to_owned(), None), SKIPS)).then_some(Gate::TestSkipped);
    };
    if language == Language::Python && added.line <= 2 && computed::is_of_other_letters(&added.text) {
        return Some(Gate::CannotBeRead);
    }
    added.text.split(ENDS_OF_LINES).find_map(|text| of_code(language, text.trim(), lines))
}

fn of_code(language: Language, text: &str, lines: &[Line]) -> Option<Gate> {
    let text = spelling::plain(language, language.without_comment(text));
    if text.is_empty() {
        return None;
    }
    let signs = language.signs();
    let by_gate = [
        (Gate::ReachesForTheRunner, signs.runner),
        (Gate::KnowsItIsTested, signs.tested),
        (Gate::EndsTheProcess, signs.ends),
        (Gate::AsksTheEnvironment, signs.environment),
    ];
    let statement = followed(language, &text, lines);
    let tokens = tokens(language, &statement);
    let begins = text.len();
    let chained = followed_by_links(language, &text, lines);
    let forms = forms(chained, Some(language));
    // The name is on another line.
    let hides_a_name = language == Language::Rust && without_blanks(&text).ends_with("macro_rules!");
    let named = hides_a_name.then_some(Gate::ReachesForTheRunner);
    let taken = || {
        let taken = taken::of(language, &tokens, begins);
        let is_taken = |signs: &[&str]| signs.iter().any(|sign| taken.iter().any(|taken| taken.is_of(sign, language)));
        // A whole module is told by what it is taken for most.
        let likely = [by_gate[3], by_gate[1], by_gate[0], by_gate[2]];
        likely.into_iter().find(|(_, signs)| is_taken(signs)).map(|(gate, _)| gate)
    };
    named
        .or_else(|| by_gate.into_iter().find(|(_, signs)| says(&forms, signs)).map(|(gate, _)| gate))
        .or_else(taken)
        .or_else(|| computed::is_computed(language, &tokens, begins).then_some(Gate::CannotBeRead))
        // Inline tests stand in the code.
        .or_else(|| says(&forms, SKIPS).then_some(Gate::TestSkipped))
}

/// The lines behind the first one that follow it in its file.
fn behind(language: Language, lines: &[Line]) -> impl Iterator<Item = String> {
    let next =
        lines.windows(2).take_while(|pair| pair[0].path == pair[1].path && pair[0].line.checked_add(1) == Some(pair[1].line));
    let text = move |pair: &[Line]| spelling::plain(language, language.without_comment(pair[1].text.trim()));
    next.take(STATEMENT_LINES_MAX).map(text).filter(|text| !text.is_empty())
}

/// A line with those that its brackets and its last word want, where it may take a name from elsewhere or run a text.
fn followed(language: Language, text: &str, lines: &[Line]) -> String {
    const BEGINS: [&str; 10] = ["import", "from", "use", "const", "let", "var", "exec", "eval", "__import__", "import_module"];
    const WANTS: [&str; 5] = ["import", "from", "use", "as", "await"];
    let opened = |text: &str| (text.matches(['(', '{', '[']).count(), text.matches([')', '}', ']']).count());
    let wants_more = |text: &str| text.ends_with(['\\', '=', ',', ':']) || WANTS.iter().any(|word| text.ends_with(word));
    let mut statement = text.to_owned();
    if !BEGINS.iter().any(|word| contains_word(text, word)) {
        return statement;
    }
    let (mut n_opened, mut n_closed) = opened(text);
    for next in behind(language, lines) {
        let is_open = n_opened > n_closed || wants_more(&statement);
        if !is_open || statement.len() + next.len() > STATEMENT_BYTES_MAX {
            break;
        }
        let (opens, closes) = opened(&next);
        (n_opened, n_closed) = (n_opened + opens, n_closed + closes);
        statement.truncate(statement.trim_end_matches('\\').len());
        statement.push(' ');
        statement.push_str(&next);
    }
    statement
}

/// A line with those that go on with a name of what it ends with.
fn followed_by_links(language: Language, text: &str, lines: &[Line]) -> String {
    const LINKS: [&str; 3] = [".", "?.", "::"];
    let is_link = |text: &str| LINKS.iter().any(|link| text.starts_with(link));
    let mut chain = text.to_owned();
    if is_link(text) {
        return chain;
    }
    for next in behind(language, lines) {
        let goes_on = is_link(&next) || LINKS.iter().any(|link| chain.trim_end_matches('\\').ends_with(link));
        if !goes_on || chain.len() + next.len() > STATEMENT_BYTES_MAX {
            break;
        }
        chain.truncate(chain.trim_end_matches('\\').trim_end().len());
        chain.push_str(&next);
    }
    chain
}

/// The ways in which a text is looked at: as it stands, with nothing between its words but what has to be, and without blanks.
struct Forms {
    text: String,
    squeezed: String,
    bare: String,
}

fn forms(text: String, language: Option<Language>) -> Forms {
    let squeezed = language.map(|language| spelling::squeezed(language, &tokens(language, &text))).unwrap_or_default();
    let bare = without_blanks(&text);
    Forms { text, squeezed, bare }
}

fn says(forms: &Forms, signs: &[&str]) -> bool {
    signs.iter().any(|sign| {
        // However it is spelled.
        let is_spelled = sign.contains(['(', '!']) && contains_word(&forms.bare, &without_blanks(sign));
        is_spelled || contains_word(&forms.text, sign) || contains_word(&forms.squeezed, sign)
    })
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Whether a text has these characters, and where they begin or end like a name, not as a part of a longer one.
fn contains_word(text: &str, sign: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let (begins, ends) = (sign.starts_with(is_part), sign.ends_with(is_part));
    text.match_indices(sign).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(is_part);
        let after = text[at + sign.len()..].chars().next().is_some_and(is_part);
        !(begins && before || ends && after)
    })
}
