//! Finds the patch in a script that does nothing but apply one: `[cd DIR &&] apply_patch <<'EOF'`.
//!
//! Models that were trained on another harness call the patch tool through the shell.

use crate::patch::parse;

/// The directory and the text of the patch, if the whole script is one call of `apply_patch` with a heredoc.
pub(super) fn patch_of(script: &str) -> Option<(String, &str)> {
    let script = script.trim();
    let (directory, call) = match script.strip_prefix("cd ") {
        Some(rest) => changed_directory(rest)?,
        None => (String::new(), script),
    };
    let rest = call.strip_prefix("apply_patch").or_else(|| call.strip_prefix("applypatch"))?;
    let (opening, body) = rest.split_once('\n')?;
    let word = parse::end_word(opening)?;
    let (text, last) = body.rsplit_once('\n')?;
    let closed_once = last.trim() == word && !text.lines().any(|line| line == word);
    closed_once.then_some((directory, text))
}

/// Reads `DIR && rest` where `DIR` is one plain or quoted word.
fn changed_directory(rest: &str) -> Option<(String, &str)> {
    let rest = rest.trim_start();
    let (directory, rest) = match rest.chars().next()? {
        quote @ ('\'' | '"') => rest[1..].split_once(quote)?,
        _ => rest.split_at(rest.find(|c: char| c.is_whitespace() || c == '&')?),
    };
    let plain =
        |c: char| !matches!(c, '$' | '`' | '\\' | '*' | '?' | ';' | '|' | '<' | '>' | '(' | ')' | '~' | '\n' | '"' | '\'');
    let rest = rest.trim_start().strip_prefix("&&")?.trim_start();
    directory.chars().all(plain).then(|| (directory.to_owned(), rest))
}
