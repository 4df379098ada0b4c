//! What the attributes before an item say of it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::path::{self, Told};
use super::{Who, word};

/// How many tokens an attribute before an item has.
pub(super) const OUTER_TOKENS: usize = 2;
/// How deep conditions are looked into that stand in each other.
const DEPTH_MAX: usize = 8;

/// What is said of an item.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Who has it, where that is said.
    pub(super) who: Option<Who>,
    /// The paths of its file; each with who takes that, where it depends on a condition.
    pub(super) paths: Vec<(Told, Option<Who>)>,
    has_certain_path: bool,
}

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.who.is_none() && self.paths.is_empty()
    }

    /// Whether the item's own name says nothing of its file.
    pub(super) fn has_certain_path(&self) -> bool {
        self.has_certain_path
    }

    /// Who has the item where `around` have what it stands in.
    pub(super) fn of(&self, around: Who) -> Who {
        if around == Who::Tests { around } else { self.who.unwrap_or(around) }
    }

    /// The same with another attribute.
    pub(super) fn and(mut self, attribute: &TokenStream) -> Self {
        let other = marks(attribute.clone(), DEPTH_MAX);
        self.who = match (self.who, other.who) {
            (Some(Who::Tests), _) | (_, Some(Who::Tests)) => Some(Who::Tests),
            (one, other) => one.or(other),
        };
        self.paths.extend(other.paths);
        self.has_certain_path |= other.has_certain_path;
        self
    }
}

/// The attribute that begins with the first of these tokens, and how many of them it has.
pub(super) fn at(tokens: &[TokenTree]) -> Option<(TokenStream, usize)> {
    let [TokenTree::Punct(sign), rest @ ..] = tokens else { return None };
    let (n_tokens, group) = match rest {
        [TokenTree::Group(group), ..] => (OUTER_TOKENS, group),
        [TokenTree::Punct(inner), TokenTree::Group(group), ..] if inner.as_char() == '!' => (OUTER_TOKENS + 1, group),
        _ => return None,
    };
    (sign.as_char() == '#' && group.delimiter() == Delimiter::Bracket).then(|| (group.stream(), n_tokens))
}

/// What is said of all items that stand beside each other, at their beginning.
pub(super) fn inner(tokens: &[TokenTree]) -> impl Iterator<Item = Marks> {
    let mut left = tokens;
    std::iter::from_fn(move || {
        let (said, n_tokens) = at(left)?;
        left = &left[n_tokens..];
        Some(if n_tokens > OUTER_TOKENS { marks(said, DEPTH_MAX) } else { Marks::default() })
    })
}

fn marks(attribute: TokenStream, depth: usize) -> Marks {
    let tokens: Vec<TokenTree> = attribute.into_iter().collect();
    let is_name = |token: &&TokenTree| match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(sign) => sign.as_char() == ':',
        TokenTree::Group(_) | TokenTree::Literal(_) => false,
    };
    let part = |token: &TokenTree| if let TokenTree::Ident(name) = token { word(name) } else { token.to_string() };
    let name: String = tokens.iter().take_while(is_name).map(part).collect();
    let said = &tokens[tokens.iter().take_while(is_name).count()..];
    match (name.as_str(), said) {
        ("cfg", [TokenTree::Group(condition), ..]) => {
            Marks { who: needs_tests(condition.stream(), DEPTH_MAX).then_some(Who::Tests), ..Marks::default() }
        }
        ("path", [TokenTree::Punct(_), value @ ..]) => {
            let told = path::told(value.iter().cloned().collect());
            Marks { paths: vec![(told, None)], has_certain_path: true, ..Marks::default() }
        }
        ("cfg_attr", [TokenTree::Group(group), ..]) => on_condition(group.stream(), depth),
        (name, _) if name == "test" || name.ends_with("::test") => Marks { who: Some(Who::Tests), ..Marks::default() },
        _ => Marks::default(),
    }
}

/// What attributes say that are there on a condition.
fn on_condition(said: TokenStream, depth: usize) -> Marks {
    let Some(depth) = depth.checked_sub(1) else {
        return Marks { who: Some(Who::Either), ..Marks::default() };
    };
    let mut parts = parts(said).into_iter();
    let is_of_tests = parts.next().is_some_and(|condition| needs_tests(condition, DEPTH_MAX));
    let mut all = Marks::default();
    for part in parts {
        let said = marks(part, depth);
        // A condition within tests takes nothing from the program.
        if said.who.is_some() && !is_of_tests {
            all.who = Some(Who::Either);
        }
        let of = is_of_tests.then_some(Who::Tests);
        all.paths.extend(said.paths.into_iter().map(|(told, who)| (told, of.or(who))));
    }
    all
}

/// Whether a condition holds for tests alone.
fn needs_tests(condition: TokenStream, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let tokens: Vec<TokenTree> = condition.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(name)] => word(name) == "test",
        [TokenTree::Ident(name), TokenTree::Group(group), ..] if word(name) == "all" => {
            parts(group.stream()).into_iter().any(|part| needs_tests(part, depth))
        }
        [TokenTree::Ident(name), TokenTree::Group(group), ..] if word(name) == "any" => {
            let parts = parts(group.stream());
            !parts.is_empty() && parts.into_iter().all(|part| needs_tests(part, depth))
        }
        [condition, TokenTree::Punct(comma)] if comma.as_char() == ',' => needs_tests(condition.clone().into(), depth),
        _ => false,
    }
}

/// What stands between commas.
fn parts(stream: TokenStream) -> Vec<TokenStream> {
    let mut parts: Vec<Vec<TokenTree>> = vec![Vec::new()];
    for token in stream {
        match token {
            TokenTree::Punct(sign) if sign.as_char() == ',' => parts.push(Vec::new()),
            token => parts.last_mut().expect("there is always one").push(token),
        }
    }
    parts.into_iter().filter(|part| !part.is_empty()).map(|part| part.into_iter().collect()).collect()
}
