//! The files that a Rust source has by declaring them as modules or by including them, and which of them are compiled for tests
//! alone.
//!
//! A source is read as tokens, with those of its macros, so that a text is always read in the same way and in a time that grows
//! with its length alone. What the tokens do not tell, such as what a macro makes of them, is said to be uncertain.

use std::rc::Rc;

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

use self::attribute::Marks;
use self::path::Told;

mod attribute;
mod item;
mod path;

/// How large a source may be that is read, in bytes; a larger one may declare anything that it mentions.
pub const SOURCE_BYTES_MAX: usize = 4 << 20;
/// How many modules are looked into that stand inside others.
const DEPTH_MAX: usize = 32;
/// How many declarations of one file are kept.
const DECLARATIONS_MAX: usize = 10_000;
/// How many macros may stand around a declaration for their names to be known.
const AROUND_MAX: usize = 8;
/// How many calls of other macros a macro may have for it to be known what it does.
const CALLS_MAX: usize = 100;
/// What has the compiler put a file in the place of a call.
const INCLUDES: [&str; 3] = ["include", "include_str", "include_bytes"];
/// Macros that leave what they are given as it is, and words that stand before a negation like a macro's name.
const TRANSPARENT: [&str; 34] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "break",
    "cfg_if",
    "concat",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "else",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "if",
    "in",
    "lazy_static",
    "match",
    "matches",
    "move",
    "panic",
    "print",
    "println",
    "return",
    "thread_local",
    "todo",
    "unimplemented",
    "unreachable",
    "vec",
    "while",
    "write",
    "writeln",
    "yield",
    "dbg",
];

/// What a source says of other files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// Whether the whole file is for tests alone, by what it says at its beginning.
    pub is_for_tests: bool,
    /// The files that it declares.
    pub declarations: Vec<Declaration>,
    /// The macros that it defines, each with those that it calls; none of them where it may make a test of what it is given.
    pub macros: Vec<(String, Option<Vec<String>>)>,
}

/// A module that stands in a file of its own, or a file that is included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declaration {
    /// Which file that is.
    pub meant: Meant,
    /// Who has it, as far as this source says.
    pub who: Who,
    /// The macros that decide it, where their names are known.
    pub by: Vec<String>,
}

/// Which file a declaration means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meant {
    /// Where it may be, from the repository's root; the first that is there is meant. The steps of a path are as the source has them,
    /// for what leads up from a link leads elsewhere than what leads up from its name.
    Places(Vec<String>),
    /// Its path from the folder of the source's package.
    InPackage(String),
    /// Any file whose path, behind a slash, has these parts in their order, the last at its end.
    Like(Vec<String>),
    /// Any file that the source mentions, for it was not read.
    Anything,
}

/// Who has a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The program, and tests with it.
    Program,
    /// Tests alone.
    Tests,
    /// One of them; a macro decides it.
    Either,
}

/// Reads what a source declares.
pub fn modules(path: &str, text: &[u8]) -> Modules {
    // Most files declare none, and reading them all would take long.
    if !may_declare(text) {
        return Modules::default();
    }
    let stream = (text.len() <= SOURCE_BYTES_MAX).then(|| tokens(text)).flatten();
    stream.map_or_else(unread, |stream| Reader { path, found: Vec::new(), macros: Vec::new(), left: Vec::new() }.read(stream))
}

/// What may be said by a source that is not read.
pub fn unread() -> Modules {
    Modules { declarations: vec![Declaration { meant: Meant::Anything, who: Who::Either, by: Vec::new() }], ..Modules::default() }
}

/// A path without steps that lead nowhere; `None` where it leads out of the repository.
pub fn plain(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether a source has the words of a declaration or of a macro that may leave one as it is, or says at its beginning on what condition it is compiled.
fn may_declare(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let after_blanks = |from: &[u8]| from.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(from.len());
    let mut at = 0;
    while let Some(next) = text.get(at) {
        if *next == b'#' && text[at + 1..].trim_ascii_start().starts_with(b"!") {
            return true;
        }
        if !is_part(next) {
            at += 1;
            continue;
        }
        let end = text[at..].iter().position(|byte| !is_part(byte)).map_or(text.len(), |length| at + length);
        let word = &text[at..end];
        at = end;
        if word.starts_with(b"include") || word == b"macro_rules" {
            return true;
        }
        // A byte that is no ASCII may be a blank to the compiler.
        let is_mod = word == b"mod" || word.starts_with(b"mod") && word.get(3).is_some_and(|byte| *byte >= 0x80);
        if is_mod {
            let name = end + after_blanks(&text[end..]);
            let behind = text[name..].iter().position(|byte| !is_part(byte) && *byte != b'#').map_or(text.len(), |n| name + n);
            let next = text.get(behind + after_blanks(&text[behind..]));
            let has_odd_name = text[name..behind].iter().any(|byte| *byte >= 0x80);
            if word.len() > 3 || has_odd_name || matches!(next, Some(b';' | b'/' | b'$') | None) {
                return true;
            }
        }
    }
    false
}

/// The tokens of a source; `None` where it is none.
fn tokens(text: &[u8]) -> Option<TokenStream> {
    let text = std::str::from_utf8(text).ok()?;
    // A first line that names an interpreter is the compiler's to skip.
    let is_script = text.starts_with("#!") && !text[2..].trim_start().starts_with('[');
    let text = if is_script { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text };
    text.parse().ok()
}

/// Tokens that stand beside each other, and what is around them in the same file.
struct Inside {
    stream: TokenStream,
    folders: Rc<Vec<String>>,
    who: Who,
    setting: Setting,
}

/// What becomes of tokens.
#[derive(Clone, PartialEq, Eq)]
enum Setting {
    /// They are code.
    Code,
    /// They are given to macros, by their names if those are few, which may make anything of them.
    Given(Rc<[String]>),
    /// They are what a macro makes, wherever it is called.
    Made,
}

/// What was read of a source.
struct Reader<'a> {
    path: &'a str,
    found: Vec<Declaration>,
    macros: Vec<(String, Option<Vec<String>>)>,
    left: Vec<Inside>,
}

impl Reader<'_> {
    fn read(mut self, stream: TokenStream) -> Modules {
        let is_for_tests = {
            // Gone again before the walk, which takes the tokens apart and would copy them if they were still in use here.
            let tokens: Vec<TokenTree> = stream.clone().into_iter().collect();
            attribute::inner(&tokens).any(|marks| marks.who == Some(Who::Tests))
        };
        let who = if is_for_tests { Who::Tests } else { Who::Program };
        self.left.push(Inside { stream, folders: Rc::default(), who, setting: Setting::Code });
        while let Some(inside) = self.left.pop() {
            self.look(inside);
            if self.found.len() >= DECLARATIONS_MAX {
                self.uncertain(Meant::Anything, Who::Either);
                break;
            }
        }
        self.found.sort();
        self.found.dedup();
        Modules { is_for_tests, declarations: self.found, macros: self.macros }
    }

    fn look(&mut self, inside: Inside) {
        let Inside { stream, folders, mut who, setting } = inside;
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        if attribute::inner(&tokens).any(|marks| marks.who == Some(Who::Tests)) {
            who = Who::Tests;
        }
        // What the attributes say before an item that is still to come, and of the one that is there.
        let (mut said_before, mut marks, mut item_end, mut at) = (Marks::default(), Marks::default(), 0, 0);
        while at < tokens.len() {
            if let Some((said, n_tokens)) = attribute::at(&tokens[at..]) {
                if n_tokens == attribute::OUTER_TOKENS {
                    said_before = said_before.and(&said);
                }
                // Documentation may be included.
                let who = said_before.of(marks.of(who));
                self.left.push(Inside { stream: said, folders: Rc::clone(&folders), who, setting: setting.clone() });
                at += n_tokens;
                continue;
            }
            if !said_before.is_empty() {
                (marks, item_end) = (std::mem::take(&mut said_before), item::end(&tokens, at));
            } else if at >= item_end {
                marks = Marks::default();
            }
            at += self.token(&tokens[at..], &folders, marks.of(who), &setting, &mut marks);
        }
    }

    /// Looks at what begins with the first of these tokens; how many of them that were.
    fn token(
        &mut self,
        tokens: &[TokenTree],
        folders: &Rc<Vec<String>>,
        who: Who,
        setting: &Setting,
        marks: &mut Marks,
    ) -> usize {
        let inside = |stream: TokenStream, setting| Inside { stream, folders: Rc::clone(folders), who, setting };
        match tokens {
            [TokenTree::Ident(word), TokenTree::Punct(sign), rest @ ..] if sign.as_char() == '!' => {
                let name = self::word(word);
                let group = rest.iter().take(2).position(|token| matches!(token, TokenTree::Group(_)));
                let Some((n_before, TokenTree::Group(group))) = group.map(|n| (n, &rest[n])) else { return 2 };
                if n_before == 1 && name != "macro_rules" {
                    return 2;
                }
                if INCLUDES.contains(&name.as_str()) {
                    let told = path::told(group.stream());
                    self.include(&told, who, setting);
                }
                let given = match (name.as_str(), setting) {
                    ("macro_rules", _) | (_, Setting::Made) => Setting::Made,
                    (name, setting) if TRANSPARENT.contains(&name) => setting.clone(),
                    _ if names_tests(group.stream()) => Setting::Given(Rc::default()),
                    (name, Setting::Code) => Setting::Given([name.to_owned()].into()),
                    (name, Setting::Given(around)) if !around.is_empty() && around.len() < AROUND_MAX => {
                        Setting::Given(around.iter().cloned().chain([name.to_owned()]).collect())
                    }
                    (_, Setting::Given(_)) => Setting::Given(Rc::default()),
                };
                if let ("macro_rules", [TokenTree::Ident(defined), ..]) = (name.as_str(), rest) {
                    self.macros.push((self::word(defined), calls(group.stream())));
                }
                self.left.push(inside(group.stream(), given));
                3 + n_before
            }
            [TokenTree::Ident(word), TokenTree::Ident(_), rest @ ..] if word == "macro" => {
                let groups = rest.iter().map_while(|token| if let TokenTree::Group(group) = token { Some(group) } else { None });
                let n_groups = groups.map(|group| self.left.push(inside(group.stream(), Setting::Made))).count();
                2 + n_groups
            }
            // By another name anything may be included, here and wherever that name is taken from.
            [TokenTree::Ident(name), TokenTree::Ident(word), TokenTree::Ident(_), ..]
                if word == "as" && INCLUDES.contains(&self::word(name).as_str()) =>
            {
                self.uncertain(Meant::Like(vec![String::new()]), who);
                3
            }
            [TokenTree::Ident(word), TokenTree::Punct(sign), ..] if word == "mod" && sign.as_char() == '$' => {
                self.uncertain(Meant::Like(vec![".rs".to_owned()]), who);
                2
            }
            [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(sign), ..]
                if word == "mod" && sign.as_char() == ';' =>
            {
                self.declare(&self::word(name), folders, who, setting, std::mem::take(marks));
                3
            }
            [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(body), ..]
                if word == "mod" && body.delimiter() == Delimiter::Brace =>
            {
                self.enter(body.stream(), &self::word(name), folders, who, setting, marks);
                3
            }
            [TokenTree::Group(group), ..] => {
                self.left.push(inside(group.stream(), setting.clone()));
                1
            }
            _ => 1,
        }
    }

    /// Goes into a module that stands in the source.
    fn enter(&mut self, body: TokenStream, name: &str, folders: &Rc<Vec<String>>, who: Who, setting: &Setting, marks: &Marks) {
        if folders.len() >= DEPTH_MAX {
            self.uncertain(Meant::Anything, who);
            return;
        }
        let own = marks.paths.iter().map(|(told, _)| told.text().map(str::to_owned));
        let names: Vec<Option<String>> = own.chain([Some(name.to_owned())]).collect();
        for folder in names.iter().take(if marks.has_certain_path() { 1 } else { names.len() }) {
            let Some(folder) = folder else {
                self.uncertain(Meant::Like(vec![".rs".to_owned()]), who);
                continue;
            };
            let folders = Rc::new(folders.iter().cloned().chain([folder.clone()]).collect());
            self.left.push(Inside { stream: body.clone(), folders, who, setting: setting.clone() });
        }
    }

    fn declare(&mut self, name: &str, folders: &[String], who: Who, setting: &Setting, marks: Marks) {
        let is_named = !marks.has_certain_path();
        for (told, of_it) in marks.paths {
            let who = if who == Who::Tests { who } else { of_it.unwrap_or(who) };
            match told.text() {
                Some(path) if path.starts_with('/') => self.uncertain(Meant::Like(vec![String::new()]), who),
                Some(path) if *setting != Setting::Made => {
                    self.certain(Meant::Places(path::places(self.path, folders, name, Some(path))), who, setting);
                }
                None if told == Told::Elsewhere => {}
                Some(_) | None => self.uncertain(told.like(), who),
            }
        }
        if is_named && *setting == Setting::Made {
            self.uncertain(Meant::Like(vec![format!("/{name}.rs")]), who);
            self.uncertain(Meant::Like(vec![format!("/{name}/mod.rs")]), who);
        } else if is_named {
            self.certain(Meant::Places(path::places(self.path, folders, name, None)), who, setting);
        }
    }

    fn include(&mut self, told: &Told, who: Who, setting: &Setting) {
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        match told {
            Told::Elsewhere => {}
            // Where the sandbox has the repository is no secret.
            Told::Text(path) if path.starts_with('/') => self.uncertain(Meant::Like(vec![String::new()]), who),
            Told::Text(path) if *setting != Setting::Made => {
                self.certain(Meant::Places(vec![format!("{folder}/{path}")]), who, setting);
            }
            Told::InPackage(path) if *setting != Setting::Made => self.certain(Meant::InPackage(path.clone()), who, setting),
            Told::Text(_) | Told::InPackage(_) | Told::Parts(_) => self.uncertain(told.like(), who),
        }
    }

    /// What is meant is known, and who has it if no macro decides that.
    fn certain(&mut self, meant: Meant, who: Who, setting: &Setting) {
        let (who, by) = match setting {
            Setting::Given(around) if who == Who::Program => (Who::Either, around.to_vec()),
            Setting::Code | Setting::Given(_) | Setting::Made => (who, Vec::new()),
        };
        self.found.push(Declaration { meant, who, by });
    }

    /// What is meant is not known, nor who has it; what is for tests is not for more.
    fn uncertain(&mut self, meant: Meant, who: Who) {
        let who = if who == Who::Tests { who } else { Who::Either };
        self.found.push(Declaration { meant, who, by: Vec::new() });
    }
}

/// A name as the compiler knows it: one that is written raw is the same.
fn word(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map_or_else(|| name.clone(), str::to_owned)
}

/// Whether a macro is given the word of a condition for tests, beside what it is given in blocks and with attributes.
fn names_tests(given: TokenStream) -> bool {
    let is_word = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if self::word(word) == "test");
    given.into_iter().any(|token| match &token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
            group.stream().into_iter().any(|token| is_word(&token))
        }
        token => is_word(token),
    })
}

/// The macros that a macro calls by its definition; `None` where that has anything to do with tests, or calls too many.
fn calls(definition: TokenStream) -> Option<Vec<String>> {
    let (mut left, mut calls) = (vec![definition], Vec::new());
    while let Some(stream) = left.pop() {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(2).map(|start| &tokens[start..at]);
            match (before, token) {
                (_, TokenTree::Ident(word)) if word.to_string().contains("test") => return None,
                (Some([name, TokenTree::Punct(sign)]), TokenTree::Group(_)) if sign.as_char() == '!' => match name {
                    TokenTree::Ident(name) if calls.len() < CALLS_MAX => calls.push(word(name)),
                    // An attribute of what is around it.
                    TokenTree::Punct(sign) if sign.as_char() == '#' => {}
                    _ => return None,
                },
                _ => {}
            }
            if let TokenTree::Group(group) = token {
                left.push(group.stream());
            }
        }
    }
    calls.retain(|name| !TRANSPARENT.contains(&name.as_str()));
    Some(calls)
}

impl Meant {
    /// Whether it may be this file, where its places are not told.
    pub fn fits(&self, path: &str) -> bool {
        let Self::Like(parts) = self else { return *self == Self::Anything };
        let Some((last, parts)) = parts.split_last() else { return true };
        let path = format!("/{path}");
        let mut left = path.as_str();
        for part in parts {
            let Some((_, rest)) = left.split_once(part.as_str()) else { return false };
            left = rest;
        }
        left.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests;
