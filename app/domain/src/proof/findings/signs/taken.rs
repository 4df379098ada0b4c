//! What a line takes from elsewhere: a module by another name, or names out of one.

use std::collections::HashMap;

use super::spelling::{Kind, Token};
use super::table::Language;
use Kind::{Mark, Text, Word};

/// How many names of one statement are looked at.
const TAKEN_MAX: usize = 1_000;
/// How deep Rust's lists of names, and how long their paths, are followed.
const PATH_PARTS_MAX: usize = 64;
/// What in Go stands before a text and is no name of a module.
const WORDS_OF_GO: [&str; 4] = ["case", "import", "package", "return"];

/// What is taken, and by which name if that is another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken<'a> {
    path: Vec<&'a str>,
    renamed: Option<&'a str>,
}

impl Taken<'_> {
    /// Whether a sign says `module.name`, and what is taken is that module by another name, that name, or all its names.
    pub(super) fn is_of(&self, sign: &str, language: Language) -> bool {
        let separator = if language == Language::Rust { "::" } else { "." };
        let [.., last] = self.path[..] else { return false };
        let is_renamed = self.renamed.is_some_and(|renamed| renamed != last);
        if let (Language::Rust, Some((name, _))) = (language, sign.split_once('!')) {
            return is_renamed && name == last && matches!(self.path[0], "std" | "core");
        }
        let name = sign.split('(').next().unwrap_or_default();
        let Some((module, name)) = name.rsplit_once(separator).filter(|(module, _)| !module.is_empty()) else { return false };
        let is_module = |path: &[&str]| match language {
            Language::Rust => {
                let path = path.strip_prefix(&["std"]).or(path.strip_prefix(&["core"])).unwrap_or(path);
                path.join("::") == module
            }
            Language::Python | Language::Script | Language::Go => path.join(".") == module,
        };
        let is_out_of_it = (last == name || last == "*") && is_module(&self.path[..self.path.len() - 1]);
        is_out_of_it || is_renamed && is_module(&self.path)
    }
}

/// What a statement takes where that begins before this place.
pub(super) fn of<'a>(language: Language, tokens: &[Token<'a>], begins_before: usize) -> Vec<Taken<'a>> {
    let kinds: Vec<Kind<'a>> = tokens.iter().map(|token| token.kind).collect();
    let n_begin = tokens.partition_point(|token| token.at < begins_before);
    // Each is looked at from one place alone, so that a long line takes no longer than its length.
    let braces = if language == Language::Script { closing(&kinds) } else { HashMap::new() };
    let mut taken = Vec::new();
    for at in 0..n_begin {
        let (before, rest) = kinds.split_at(at);
        match language {
            Language::Python => taken.extend(in_python(before, rest)),
            Language::Script => taken.extend(in_a_script(before, rest, braces.get(&at).map(|end| end - at))),
            Language::Rust => taken.extend(in_rust(before, rest)),
            Language::Go => taken.extend(in_go(before, rest)),
        }
        if taken.len() >= TAKEN_MAX {
            break;
        }
    }
    taken
}

fn in_python<'a>(before: &[Kind<'a>], rest: &[Kind<'a>]) -> Vec<Taken<'a>> {
    if !matches!(before, [] | [.., Mark(';' | ':')]) {
        return Vec::new();
    }
    let rest = rest.split(|kind| matches!(kind, Mark(';' | ':'))).next().unwrap_or_default();
    let (module, names) = match rest {
        // A module of its own.
        [Word("from"), Mark('.'), ..] => return Vec::new(),
        [Word("from"), rest @ ..] => {
            let module = words(rest.split(|kind| *kind == Word("import")).next().unwrap_or_default());
            let names = rest.iter().position(|kind| *kind == Word("import")).map_or(&[][..], |at| &rest[at + 1..]);
            (module, names)
        }
        [Word("import"), names @ ..] => (Vec::new(), names),
        _ => return Vec::new(),
    };
    let of_name = |name: &[Kind<'a>]| {
        let (name, renamed) = renamed(name);
        Taken { path: [module.clone(), name].concat(), renamed }
    };
    names.split(|kind| *kind == Mark(',')).map(of_name).take(TAKEN_MAX).collect()
}

/// The words of what is taken, `*` being one, and its new name.
fn renamed<'a>(item: &[Kind<'a>]) -> (Vec<&'a str>, Option<&'a str>) {
    let at = item.iter().position(|kind| *kind == Word("as"));
    let (name, renamed) = item.split_at(at.unwrap_or(item.len()));
    (words(name), words(renamed).get(1).copied())
}

fn words<'a>(kinds: &[Kind<'a>]) -> Vec<&'a str> {
    let word = |kind: &Kind<'a>| match kind {
        Word(word) => Some(*word),
        Mark('*') => Some("*"),
        Text(_) | Mark(_) => None,
    };
    kinds.iter().filter_map(word).collect()
}

fn in_a_script<'a>(before: &[Kind<'a>], rest: &[Kind<'a>], n_to_end: Option<usize>) -> Vec<Taken<'a>> {
    match rest {
        [Word("import" | "export"), rest @ ..] => imported(rest),
        [Mark('{'), ..] => {
            let Some((inside, [Mark('}'), Mark('='), value @ ..])) = n_to_end.map(|end| rest.split_at(end)) else {
                return Vec::new();
            };
            let Some(module) = value_of_a_script(value) else { return Vec::new() };
            let is_rest = inside.windows(2).any(|pair| pair == [Mark('.'), Mark('.')]);
            let names = words(inside).into_iter().chain(is_rest.then_some("*"));
            names.map(|name| Taken { path: vec![module, name], renamed: None }).collect()
        }
        [Word(name), Mark('='), value @ ..] if matches!(before, [.., Word("const" | "let" | "var")]) => {
            let module = value_of_a_script(value);
            module.map(|module| Taken { path: vec![module], renamed: Some(name) }).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// What an import of JavaScript takes.
fn imported<'a>(rest: &[Kind<'a>]) -> Vec<Taken<'a>> {
    let ends = |kind: &Kind<'_>| matches!(kind, Word("from" | "import" | "export") | Mark(';'));
    let Some(at) = rest.iter().position(ends).filter(|at| rest[*at] == Word("from")) else { return Vec::new() };
    let Some(Text(module)) = rest.get(at + 1) else { return Vec::new() };
    let module = module.trim_start_matches("node:");
    let brace = rest[..at].iter().position(|kind| *kind == Mark('{')).unwrap_or(at);
    let (wholes, names) = rest[..at].split_at(brace);
    let whole = |name| Taken { path: vec![module], renamed: Some(name) };
    let of_whole = |item: &[Kind<'a>]| words(item).last().copied().map(whole);
    let of_name = |item: &[Kind<'a>]| match renamed(item) {
        (name, Some(renamed)) if name == ["default"] => Some(whole(renamed)),
        (name, renamed) => name.last().map(|name| Taken { path: vec![module, name], renamed }),
    };
    let wholes = wholes.split(|kind| *kind == Mark(',')).filter_map(of_whole);
    wholes.chain(names.split(|kind| *kind == Mark(',')).filter_map(of_name)).take(TAKEN_MAX).collect()
}

/// Where each brace closes.
fn closing(kinds: &[Kind<'_>]) -> HashMap<usize, usize> {
    let (mut open, mut closed) = (Vec::new(), HashMap::new());
    for (at, kind) in kinds.iter().enumerate() {
        match kind {
            Mark('{') => open.push(at),
            Mark('}') => closed.extend(open.pop().map(|begin| (begin, at))),
            Word(_) | Text(_) | Mark(_) => {}
        }
    }
    closed
}

/// The module that is a value by itself: `process`, `globalThis.process`, `await import("process")`, `require("node:process")`.
fn value_of_a_script<'a>(value: &[Kind<'a>]) -> Option<&'a str> {
    let value = value.strip_prefix(&[Word("await")]).unwrap_or(value);
    match value {
        [Word("require" | "import"), Mark('('), Text(name), Mark(')'), rest @ ..] => {
            let is_value = !matches!(rest, [Mark('.' | '[' | '('), ..]);
            is_value.then(|| name.trim_start_matches("node:"))
        }
        [Word("globalThis" | "global" | "window"), Mark('.'), rest @ ..] => value_of_a_name(rest),
        _ => value_of_a_name(value),
    }
}

fn value_of_a_name<'a>(value: &[Kind<'a>]) -> Option<&'a str> {
    match value {
        [Word(name), rest @ ..] => matches!(rest, [] | [Mark(';' | ',' | ')' | '}'), ..]).then_some(*name),
        _ => None,
    }
}

fn in_go<'a>(before: &[Kind<'a>], rest: &[Kind<'a>]) -> Vec<Taken<'a>> {
    if !matches!(before, [] | [.., Word("import") | Mark(';' | '(')]) {
        return Vec::new();
    }
    let (renamed, path) = match rest {
        [Word(name), Text(path), ..] if !WORDS_OF_GO.contains(name) && *name != "_" => (*name, *path),
        [Mark('.'), Text(path), ..] => ("*", *path),
        _ => return Vec::new(),
    };
    let module = path.rsplit_once('/').map_or(path, |(_, last)| last);
    vec![Taken { path: vec![module], renamed: Some(renamed) }]
}

/// What `use` takes, and what a line does that may be one of its list.
fn in_rust<'a>(before: &[Kind<'a>], rest: &[Kind<'a>]) -> Vec<Taken<'a>> {
    let is_of_list = |kind: &Kind<'_>| matches!(kind, Word(_) | Mark(':' | ',' | '{' | '}' | '*' | '#'));
    let items = match rest {
        [Word("use"), items @ ..] => items.split(|kind| matches!(kind, Mark(';') | Word("use"))).next().unwrap_or_default(),
        _ if before.is_empty() && rest.iter().all(is_of_list) => rest,
        _ => return Vec::new(),
    };
    let (mut taken, mut around, mut path, mut new_name) = (Vec::new(), Vec::new(), Vec::new(), None);
    let mut items = items.iter().copied().peekable();
    while let Some(kind) = items.next() {
        match kind {
            Word("as") => new_name = items.next().and_then(|kind| words(&[kind]).pop()),
            // A raw name, such as `r#test`.
            Word("r") if items.peek() == Some(&Mark('#')) => {}
            Word("self") if !path.is_empty() => {}
            Word(word) => path.push(word),
            Mark('*') => path.push("*"),
            Mark('{') => around.push(path.clone()),
            Mark(mark @ (',' | '}')) => {
                taken.push(Taken { path, renamed: new_name.take() });
                path = around.last().cloned().unwrap_or_default();
                if mark == '}' {
                    around.pop();
                }
            }
            Text(_) | Mark(_) => {}
        }
        // Names in names may make much of a few bytes.
        if taken.len() >= TAKEN_MAX || around.len() >= PATH_PARTS_MAX || path.len() >= PATH_PARTS_MAX {
            break;
        }
    }
    taken.push(Taken { path, renamed: new_name });
    taken
}
