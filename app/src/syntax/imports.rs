//! What a source of Python, JavaScript or TypeScript imports, as far as it names that.

use std::collections::BTreeSet;

use tree_sitter::{Node, TreeCursor};

use crate::syntax::language::{self, Language};
use crate::syntax::tree;

/// How many imports of one source are kept.
const IMPORTS_MAX: usize = 10_000;
/// What in Python takes the name of a module that is to be imported.
const CALLS_OF_PYTHON: [&str; 4] = ["__import__", "import_module", "resolve_name", "run_module"];
/// What in JavaScript takes the name of one.
const CALLS_OF_SCRIPTS: [&str; 7] =
    ["import", "require", "require.resolve", "createRequire", "import.meta.resolve", "module.require", "require.context"];

/// What is imported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// A module of Python by the parts of its name, from so many folders up: none is up where the name begins at a root, and one
    /// is the folder of the source.
    Module {
        /// How many folders.
        n_up: usize,
        /// The parts.
        parts: Vec<String>,
    },
    /// A file by its path from the folder of the source.
    Path(String),
    /// A file of a package, or by a path from where packages are looked for.
    Package(String),
}

/// An import.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// What is wanted.
    pub wanted: Wanted,
    /// The line, counted from 1.
    pub line: u32,
}

/// Whether a file is a source whose imports are known.
pub fn has_imports(path: &str) -> bool {
    matches!(language::of(path, b""), Some(Language::Python | Language::JavaScript | Language::Tsx | Language::TypeScript))
}

/// What such a source imports; `None` where it cannot be read or imports too much.
pub fn imports(path: &str, text: &[u8]) -> Option<BTreeSet<Import>> {
    let language = language::of(path, text)?;
    let whole = std::str::from_utf8(text).ok()?;
    let tree = tree(language, text)?;
    let mut found = BTreeSet::new();
    each_node(&mut tree.walk(), |node, around| {
        let wanted = if language == Language::Python {
            of_python(node, whole)
        } else {
            of_script(node, around, whole).into_iter().collect()
        };
        let line = u32::try_from(node.start_position().row).unwrap_or(u32::MAX).saturating_add(1);
        found.extend(wanted.into_iter().map(|wanted| Import { wanted, line }));
        found.len() < IMPORTS_MAX
    });
    (found.len() < IMPORTS_MAX).then_some(found)
}

/// Shows all nodes as long as more are wanted, each with those around it, the innermost last. A loop, since a tree may be deeper than
/// the stack; and a node does not know what is around it without a way down from the root.
fn each_node<'a>(cursor: &mut TreeCursor<'a>, mut look: impl FnMut(Node<'a>, &[Node<'a>]) -> bool) {
    let mut around = Vec::new();
    while look(cursor.node(), &around) {
        let node = cursor.node();
        if cursor.goto_first_child() {
            around.push(node);
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
            around.pop();
        }
    }
}

fn of_python(node: Node<'_>, text: &str) -> Vec<Wanted> {
    let said = |node: Node<'_>| &text[node.byte_range()];
    let names = || -> Vec<&str> {
        let mut cursor = node.walk();
        let names = node.children_by_field_name("name", &mut cursor);
        names.map(|name| said(name.child_by_field_name("name").unwrap_or(name))).take(IMPORTS_MAX).collect()
    };
    match node.kind() {
        "import_statement" => names().into_iter().map(|name| module(name, "")).collect(),
        "import_from_statement" => {
            let Some(of) = node.child_by_field_name("module_name").map(said) else { return Vec::new() };
            names().into_iter().chain([""]).map(|name| module(of, name)).collect()
        }
        "call" => {
            let function = node.child_by_field_name("function").map(said).unwrap_or_default();
            // A chain of calls has all that is before it in its function.
            let last = function.rsplit_once('.').map_or(function, |(_, last)| last);
            let first = node.child_by_field_name("arguments").and_then(|arguments| arguments.named_child(0));
            let first = first.filter(|first| CALLS_OF_PYTHON.contains(&last) && first.kind() == "string");
            let name = first.and_then(|first| unquoted(said(first)));
            name.map(|name| module(&name.replace(':', "."), "")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// A module, or what it has by this name.
fn module(of: &str, name: &str) -> Wanted {
    let bare: String = [of, ".", name].concat().chars().filter(|c| !c.is_whitespace() && *c != '\\').collect();
    let n_up = bare.chars().take_while(|c| *c == '.').count();
    let n_up = if of.starts_with('.') { n_up.min(of.chars().filter(|c| *c == '.').count()) } else { 0 };
    Wanted::Module { n_up, parts: bare.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect() }
}

fn of_script(node: Node<'_>, around: &[Node<'_>], text: &str) -> Option<Wanted> {
    if !matches!(node.kind(), "string" | "template_string") {
        return None;
    }
    let path = unquoted(&text[node.byte_range()])?;
    if path.starts_with("./") || path.starts_with("../") {
        return Some(Wanted::Path(path));
    }
    let is_wanted = match around {
        [.., call, arguments] if arguments.kind() == "arguments" => {
            let function = call.child_by_field_name("function");
            function.is_some_and(|function| CALLS_OF_SCRIPTS.contains(&&text[function.byte_range()]))
        }
        [.., parent] => matches!(parent.kind(), "import_statement" | "export_statement" | "import_require_clause"),
        [] => false,
    };
    (is_wanted && !path.is_empty() && !path.starts_with("node:")).then_some(Wanted::Package(path))
}

/// What a literal says; `None` where it is put together or has escapes.
fn unquoted(literal: &str) -> Option<String> {
    let bare = literal.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let quote = ["\"\"\"", "'''", "\"", "'", "`"].into_iter().find(|quote| bare.starts_with(quote))?;
    let text = bare.strip_prefix(quote)?.strip_suffix(quote)?;
    (!text.contains(['\\', '$', '{'])).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, text: &str) -> Vec<String> {
        let told = |import: Import| match import.wanted {
            Wanted::Module { n_up, parts } => format!("{}: {}{}", import.line, ".".repeat(n_up), parts.join(".")),
            Wanted::Path(path) => format!("{}: {path}", import.line),
            Wanted::Package(path) => format!("{}: package {path}", import.line),
        };
        let mut told: Vec<String> = imports(path, text.as_bytes()).expect("it can be read").into_iter().map(told).collect();
        told.sort();
        told
    }

    #[test]
    fn what_python_imports_is_known_by_its_name() {
        let text = "import os, a.b as c\nfrom ..d import (\n    e,\n    f as g,\n)\nfrom . import h\nfrom i.j import *\n\"\"\"import k\"\"\"\n\
                    importlib.import_module('l.m')\n__import__(\"n\" + o)\nx = __import__('p')\n# import q\n";
        let expected = ["11: p", "1: a.b", "1: os", "2: ..d", "2: ..d.e", "2: ..d.f", "6: .", "6: .h", "7: i.j", "9: l.m"];
        assert_eq!(of("a.py", text), expected);
    }

    #[test]
    fn what_scripts_import_is_known_by_its_path() {
        let text = "import a from './a.js';\nimport type { B } from 'b';\nexport * from \"../c\";\nconst d = require('d/e');\n\
                    const f = await import(`./f`);\nnew URL('../g.json', import.meta.url);\nlog('h');\n// require('./i')\n\
                    require('node:fs'); require(`./${x}`);\n";
        let expected = ["1: ./a.js", "2: package b", "3: ../c", "4: package d/e", "5: ./f", "6: ../g.json"];
        assert_eq!(of("a.ts", text), expected);
        assert_eq!(of("a.tsx", "const a = <A b=\"./c\" />;\n"), ["1: ./c"]);
    }

    #[test]
    fn a_source_that_cannot_be_read_imports_nobody_knows_what() {
        assert_eq!(imports("a.py", b"\xff"), None);
        let many: String = (0..IMPORTS_MAX).map(|n| format!("import m{n}\n")).collect();
        assert_eq!(imports("a.py", many.as_bytes()), None);
    }
}
