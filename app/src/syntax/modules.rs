//! The files that a Rust source has by declaring them as modules or by including them, and which of them are compiled for tests
//! alone.

use tree_sitter::Node;

use crate::syntax::inline::is_for_tests;
use crate::syntax::language::Language;
use crate::syntax::tree;

/// How many modules are looked into that stand inside others.
const DEPTH_MAX: usize = 32;
/// How many declarations of one file are kept.
const DECLARATIONS_MAX: usize = 10_000;
/// What has the compiler put a file in the place of a call.
const INCLUDES: [&str; 3] = ["include!", "include_str!", "include_bytes!"];

/// What a source says of other files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// Whether the whole file is for tests alone, by what it says at its beginning.
    pub is_for_tests: bool,
    /// The files that it declares.
    pub declarations: Vec<Declaration>,
}

/// A module that stands in a file of its own, or a file that is included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Where that file may be, from the repository's root; the first that is there is meant.
    pub places: Vec<String>,
    /// Whether it is compiled for tests alone, as far as this source says.
    pub is_for_tests: bool,
}

/// Reads what a source declares. A source that cannot be read for certain is read as far as that goes.
///
/// It takes up to half a second of computing on a hostile file, so it is called where blocking is allowed.
pub fn modules(path: &str, text: &[u8]) -> Modules {
    let Ok(whole) = std::str::from_utf8(text) else { return Modules::default() };
    let may_declare = |line: &str| line.contains("mod ") && line.contains(';');
    // Most files declare none, and reading them all would take long.
    if !whole.contains("#![cfg") && !whole.contains("include") && !whole.lines().any(may_declare) {
        return Modules::default();
    }
    let Some(tree) = tree(Language::Rust, text) else { return Modules::default() };
    let is_for_tests = has_inner_mark(tree.root_node(), whole);
    let mut found = Modules { is_for_tests, declarations: Vec::new() };
    let mut left = vec![Inside { list: tree.root_node(), folders: Vec::new(), is_for_tests }];
    while let Some(inside) = left.pop() {
        inside.read(path, whole, &mut found.declarations, &mut left);
    }
    found
}

/// Items that stand beside each other, and the modules around them in the same file.
struct Inside<'a> {
    list: Node<'a>,
    folders: Vec<String>,
    is_for_tests: bool,
}

impl<'a> Inside<'a> {
    fn read(&self, path: &str, text: &str, found: &mut Vec<Declaration>, left: &mut Vec<Inside<'a>>) {
        let mut cursor = self.list.walk();
        // What the attributes before an item say of it.
        let (mut is_marked, mut place) = (false, None);
        for node in self.list.children(&mut cursor) {
            let said = &text[node.byte_range()];
            match node.kind() {
                "attribute_item" => {
                    is_marked |= is_for_tests(said);
                    place = path_in(said).or(place);
                }
                "line_comment" | "block_comment" => {}
                kind => {
                    let name = node.child_by_field_name("name").map(|name| text[name.byte_range()].trim_start_matches("r#"));
                    if let ("mod_item", Some(name)) = (kind, name) {
                        let is_for_tests = self.is_for_tests || is_marked;
                        match node.child_by_field_name("body") {
                            Some(body) if self.folders.len() < DEPTH_MAX => {
                                let folder = place.take().unwrap_or_else(|| name.to_owned());
                                let folders = self.folders.iter().cloned().chain([folder]).collect();
                                let is_for_tests = is_for_tests || has_inner_mark(body, text);
                                left.push(Inside { list: body, folders, is_for_tests });
                            }
                            None if found.len() < DECLARATIONS_MAX => {
                                let places = places(path, &self.folders, name, place.as_deref());
                                found.push(Declaration { places, is_for_tests });
                            }
                            Some(_) | None => {}
                        }
                    }
                    if node.child_by_field_name("body").is_none() || kind != "mod_item" {
                        let is_for_tests = self.is_for_tests || is_marked;
                        let room = DECLARATIONS_MAX.saturating_sub(found.len());
                        found.extend(included(path, said).take(room).map(|places| Declaration { places, is_for_tests }));
                    }
                    (is_marked, place) = (false, None);
                }
            }
        }
    }
}

/// Whether items are for tests alone by what stands at their beginning.
fn has_inner_mark(list: Node<'_>, text: &str) -> bool {
    let mut cursor = list.walk();
    let mut marks = list.children(&mut cursor).filter(|node| node.kind() == "inner_attribute_item");
    marks.any(|node| is_for_tests(&text[node.byte_range()].replacen("#!", "#", 1)))
}

/// The path in `#[path = "…"]`.
fn path_in(attribute: &str) -> Option<String> {
    let bare = attribute.trim_start_matches(['#', '[', ' ']);
    let value = bare.strip_prefix("path")?.trim_start().strip_prefix('=')?;
    let (begin, end) = (value.find('"')?, value.rfind('"')?);
    value.get(begin + 1..end).map(str::to_owned)
}

/// The files that an item includes, as far as their paths stand in it; they are told from the folder of the source.
fn included(source: &str, item: &str) -> impl Iterator<Item = Vec<String>> {
    let folder = source.rsplit_once('/').map_or("", |(folder, _)| folder);
    let calls = INCLUDES.iter().flat_map(|call| item.match_indices(call).map(|(at, _)| &item[at + call.len()..]));
    calls.filter_map(move |behind| {
        let path = behind.trim_start().strip_prefix(['(', '[', '{'])?.trim_start().strip_prefix('"')?.split('"').next()?;
        plain(&format!("{folder}/{path}")).map(|path| vec![path])
    })
}

/// Where the file of a module may be: the compiler's rules, and where they turn on whether a file is the root of a crate, which
/// cannot be told from the file, both ways.
fn places(source: &str, folders: &[String], name: &str, path: Option<&str>) -> Vec<String> {
    let (folder, file) = source.rsplit_once('/').unwrap_or(("", source));
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let (beside, below) = (folder.to_owned(), format!("{folder}/{stem}"));
    let owns_its_folder = matches!(stem, "mod" | "lib" | "main" | "build");
    let roots = if owns_its_folder { [beside, below] } else { [below, beside] };
    let inside = |root: &str| [root, &folders.join("/")].join("/");
    let places: Vec<String> = match path {
        Some(path) if folders.is_empty() => vec![format!("{folder}/{path}")],
        Some(path) => roots.iter().map(|root| format!("{}/{path}", inside(root))).collect(),
        None => {
            let both = |root: &String| [format!("{}/{name}.rs", inside(root)), format!("{}/{name}/mod.rs", inside(root))];
            roots.iter().flat_map(both).collect()
        }
    };
    places.iter().filter_map(|place| plain(place)).collect()
}

/// A path without steps that lead nowhere; `None` where it leads out of the repository.
fn plain(path: &str) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The first place of each declaration, with a mark where it is for tests.
    fn of(path: &str, text: &str) -> Vec<String> {
        let said = modules(path, text.as_bytes()).declarations;
        let told = |declaration: &Declaration| {
            let mark = if declaration.is_for_tests { " (tests)" } else { "" };
            format!("{}{mark}", declaration.places.first().map_or("", String::as_str))
        };
        let mut told: Vec<String> = said.iter().map(told).collect();
        told.sort();
        told
    }

    #[test]
    fn what_a_source_declares_is_looked_for_where_the_compiler_does() {
        let text = "mod a;\n#[cfg(test)]\n/// Values.\npub(crate) mod b;\n#[cfg(test)] mod c { fn f() {} mod d; }\nmod e {}\n";
        assert_eq!(of("src/lib.rs", text), ["src/a.rs", "src/b.rs (tests)", "src/c/d.rs (tests)"]);
        assert_eq!(of("src/x.rs", text), ["src/x/a.rs", "src/x/b.rs (tests)", "src/x/c/d.rs (tests)"]);
        assert_eq!(of("lib.rs", "mod a;\n"), ["a.rs"]);
        let places = modules("src/x.rs", b"mod a;\n").declarations.remove(0).places;
        assert_eq!(places, ["src/x/a.rs", "src/x/a/mod.rs", "src/a.rs", "src/a/mod.rs"]);
        let elsewhere = "#[path = \"../y/a.rs\"]\n#[cfg(test)]\nmod a;\nmod b { #[path=\"c.rs\"] mod c; }\n";
        assert_eq!(of("src/lib.rs", elsewhere), ["src/b/c.rs", "y/a.rs (tests)"]);
        assert_eq!(of("src/lib.rs", "#[path = \"../../a.rs\"]\nmod a;\n"), [""], "it is out of the repository");
    }

    #[test]
    fn what_a_source_includes_is_its_own() {
        let text = "const A: &str = include_str!(\"a.txt\");\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() { include!( \"../b.rs\" ); \
                    include_bytes!(concat!(\"c\", \"d\")); }\n}\n#[test]\nfn e() { f(include_bytes![\"e.bin\"]) }\n";
        assert_eq!(of("src/lib.rs", text), ["b.rs (tests)", "src/a.txt", "src/e.bin (tests)"]);
    }

    #[test]
    fn a_file_can_say_itself_that_it_is_for_tests() {
        assert!(modules("src/a.rs", b"//! Values.\n#![cfg(test)]\nfn f() {}\n").is_for_tests);
        assert_eq!(of("src/a.rs", "#![cfg(test)]\nmod b;\n"), ["src/a/b.rs (tests)"]);
        assert!(!modules("src/a.rs", b"#![cfg(unix)]\nfn f() {}\n").is_for_tests);
        assert_eq!(of("src/a.rs", "#[cfg(any(test, unix))]\nmod b;\n"), ["src/a/b.rs"]);
        assert_eq!(of("src/a.rs", "// #[cfg(test)]\nmod b;\nconst A: &str = \"mod c;\";\n"), ["src/a/b.rs"]);
    }
}
