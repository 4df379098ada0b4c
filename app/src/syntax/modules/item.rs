//! Where an item ends that attributes stand before.

use proc_macro2::{Delimiter, TokenTree};

/// What may stand before the word that says what an item is.
const MODIFIERS: [&str; 7] = ["async", "crate", "default", "extern", "pub", "safe", "unsafe"];
/// Items that end with a block or a semicolon, whichever comes first.
const WITH_BLOCK: [&str; 9] = ["enum", "fn", "impl", "macro", "macro_rules", "mod", "struct", "trait", "union"];
/// Items and statements that end with a semicolon alone.
const WITH_SEMICOLON: [&str; 5] = ["const", "let", "static", "type", "use"];
const CONTROL: [&str; 5] = ["for", "if", "loop", "match", "while"];

/// Behind the item that begins there.
pub(super) fn end(tokens: &[TokenTree], start: usize) -> usize {
    let mut at = start;
    while tokens.get(at).is_some_and(|token| is_modifier(token, tokens.get(at + 1))) {
        at += 1;
    }
    let word = tokens.get(at).and_then(|token| if let TokenTree::Ident(word) = token { Some(word.to_string()) } else { None });
    let of = |words: &[&str]| word.as_deref().is_some_and(|word| words.contains(&word));
    let is_sign =
        |at: usize, signs: &[char]| matches!(tokens.get(at), Some(TokenTree::Punct(sign)) if signs.contains(&sign.as_char()));
    let is_block = |at: usize| matches!(tokens.get(at), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace);
    let is_else = |at: usize| matches!(tokens.get(at), Some(TokenTree::Ident(word)) if word == "else");
    if is_block(at) {
        return at + 1;
    }
    let is_end = |at: &usize| {
        let at = *at;
        if of(&WITH_BLOCK) {
            let is_value = at > start && is_sign(at - 1, &['<', ',', '=']);
            is_sign(at, &[';']) || is_block(at) && !is_value
        } else if of(&WITH_SEMICOLON) {
            is_sign(at, &[';'])
        } else if of(&CONTROL) {
            is_sign(at, &[';']) || is_block(at) && !is_else(at + 1)
        } else {
            // A statement, a field, an arm or a call of a macro.
            let is_last = at > start && is_sign(at - 1, &['>', '!']);
            is_sign(at, &[';', ',']) || is_block(at) && is_last
        }
    };
    (at..tokens.len()).find(is_end).map_or(tokens.len(), |at| at + 1)
}

fn is_modifier(token: &TokenTree, next: Option<&TokenTree>) -> bool {
    match token {
        TokenTree::Ident(word) if word == "const" => {
            matches!(next, Some(TokenTree::Ident(next)) if ["async", "extern", "fn", "unsafe"].iter().any(|word| next == word))
        }
        TokenTree::Ident(word) => MODIFIERS.iter().any(|modifier| word == modifier),
        TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis,
        TokenTree::Literal(_) => true,
        TokenTree::Punct(_) => false,
    }
}
