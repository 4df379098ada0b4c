//! Tests that stand inside a Rust source, taken apart from the code that they test.
//!
//! What is behind `#[cfg(test)]`, or is a test by its attribute, is no part of the program. So a file can be put together of
//! one version's code and another's tests, and what the tests then say is about that code.

use std::ops::Range;

use tree_sitter::{Node, TreeCursor};

use crate::syntax::language::Language;
use crate::syntax::tree;

/// How many sources of one version of a patch are taken apart.
const PARSED_FILES_MAX: usize = 500;
/// How large they may be together, in bytes.
const PARSED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest attribute that is read, in bytes: attributes may have others in them. A longer one may name anything.
const ATTRIBUTE_BYTES_MAX: usize = 4 * 1024;

/// In what, beside attributes of items, the compiler is asked what it compiles for.
const CONDITIONS: [&str; 3] = ["inner_attribute_item", "macro_invocation", "macro_definition"];
/// How a macro hands what it is called with on to the compiler's question, without blanks.
const HANDED_ON: [&str; 9] = ["cfg($", "cfg!($", "cfg$", "cfg!$", "cfg![$", "cfg!{$", "not($", "any($", "all($"];

/// How much may still be taken apart: a patch of a few bytes can change many large sources.
#[derive(Debug)]
pub struct Parsing {
    n_files_left: usize,
    n_bytes_left: usize,
}

impl Default for Parsing {
    fn default() -> Self {
        Self { n_files_left: PARSED_FILES_MAX, n_bytes_left: PARSED_BYTES_MAX }
    }
}

impl Parsing {
    /// Takes a source of so many bytes; whether there was room for it.
    pub fn takes(&mut self, n_bytes: usize) -> bool {
        let files = self.n_files_left.checked_sub(1);
        let left = files.zip(self.n_bytes_left.checked_sub(n_bytes));
        (self.n_files_left, self.n_bytes_left) = left.unwrap_or((0, 0));
        left.is_some()
    }
}

/// A Rust source in two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    whole: String,
    /// Everything that is not a test, with its lines as they were.
    pub code: String,
    /// The items that are compiled for tests alone, in their order.
    pub tests: String,
    /// The first and the last line of each, counted from 1.
    pub lines: Vec<Range<u32>>,
    /// The lines at which the code is made another where it is tested, counted from 1.
    pub conditions: Vec<u32>,
    /// Tests that stand deeper inside the code, where they are not taken apart from it.
    pub nested: String,
}

impl Parts {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// Whether a line stands in one of its tests.
    pub fn is_in_test(&self, line: u32) -> bool {
        // They follow one another, so that the last which begins before it is the last to end.
        let n_before = self.lines.partition_point(|test| test.start <= line);
        n_before.checked_sub(1).is_some_and(|last| self.lines[last].contains(&line))
    }

    /// This code with the tests of another version. They stand at the end, where all that the code defines is known.
    pub fn with_tests_of(&self, other: &Parts) -> String {
        if self.tests == other.tests {
            return self.whole.clone();
        }
        format!("{}\n{}", self.code.trim_end(), other.tests)
    }
}

/// Takes a source apart. `None` where it cannot be read for certain.
///
/// It takes seconds of computing on a hostile file, so it is called where blocking is allowed.
pub fn parts(text: &[u8]) -> Option<Parts> {
    let whole = std::str::from_utf8(text).ok()?;
    let tree = tree(Language::Rust, text)?;
    if tree.root_node().has_error() {
        return None;
    }
    let items = items(tree.root_node(), text);
    let Inside { conditions, nested, .. } = Inside::of(&mut tree.walk(), whole, &items);
    let (mut code, mut tests, mut lines) = (String::new(), String::new(), Vec::new());
    let mut end = 0;
    for item in items {
        code.push_str(&whole[end..item.start_byte]);
        tests.push_str(&whole[item.start_byte..item.end_byte]);
        tests.push('\n');
        lines.push(item.lines);
        end = item.end_byte;
    }
    code.push_str(&whole[end..]);
    Some(Parts { whole: whole.to_owned(), code, tests, lines, conditions, nested })
}

/// An item that is compiled for tests alone, with its attributes and what is written about it.
struct Item {
    start_byte: usize,
    end_byte: usize,
    lines: Range<u32>,
}

fn items(root: Node<'_>, text: &[u8]) -> Vec<Item> {
    let (mut found, mut cursor) = (Vec::new(), root.walk());
    // What stands before an item and belongs to it: where it begins, and whether it makes it a test.
    let mut before: Option<(Node<'_>, bool)> = None;
    for node in root.children(&mut cursor) {
        let said = node.utf8_text(text).unwrap_or_default();
        match node.kind() {
            "attribute_item" => {
                let (first, is_test) = before.unwrap_or((node, false));
                before = Some((first, is_test || is_for_tests(said)));
            }
            "line_comment" | "block_comment" if is_about_what_follows(said) => before = before.or(Some((node, false))),
            "line_comment" | "block_comment" => {}
            _ => {
                if let Some((first, true)) = before {
                    let lines = line(first.start_position().row)..line(node.end_position().row).saturating_add(1);
                    found.push(Item { start_byte: first.start_byte(), end_byte: node.end_byte(), lines });
                }
                before = None;
            }
        }
    }
    found
}

/// What stands inside the code: where it asks the compiler whether it is compiled for tests, in an attribute or a macro, however
/// that is spelled; and what stands behind attributes that do, or that make tests.
///
/// Each node is looked at once, in a loop, since a tree may be deeper than the stack and wider than there is time for.
struct Inside<'a> {
    text: &'a str,
    /// Whether a macro of this source may hand what it is called with to the compiler's question.
    hands_on: bool,
    /// How deep the walk is.
    depth: usize,
    /// The outermost attribute or macro around the node, by its depth, and whether it has the word `cfg` in it.
    condition: Option<(usize, bool)>,
    /// The first attribute that names a test before an item, by its depth and by where it begins and where the last one ends.
    open: Option<(usize, usize, usize)>,
    /// Where what is kept as nested ends.
    kept_to: usize,
    conditions: Vec<u32>,
    nested: String,
}

impl<'a> Inside<'a> {
    fn of(cursor: &mut TreeCursor<'_>, text: &'a str, items: &[Item]) -> Self {
        let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let hands_on = HANDED_ON.iter().any(|sign| bare.contains(sign));
        let (conditions, nested) = (Vec::new(), String::new());
        let mut inside = Self { text, hands_on, depth: 0, condition: None, open: None, kept_to: 0, conditions, nested };
        let is_in_test = |node: Node<'_>| {
            let n_before = items.partition_point(|item| item.start_byte <= node.start_byte());
            n_before.checked_sub(1).is_some_and(|last| node.end_byte() <= items[last].end_byte)
        };
        loop {
            let node = cursor.node();
            if !is_in_test(node) {
                inside.look(node);
                if cursor.goto_first_child() {
                    inside.depth += 1;
                    continue;
                }
            }
            inside.leave();
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return inside;
                }
                inside.depth -= 1;
                inside.leave();
            }
        }
    }

    fn look(&mut self, node: Node<'_>) {
        let is_attribute = node.kind() == "attribute_item";
        if self.condition.is_none() && (is_attribute || CONDITIONS.contains(&node.kind())) {
            let asks = self.text[node.byte_range()].contains("cfg");
            self.condition = Some((self.depth, asks || self.hands_on && node.kind() == "macro_invocation"));
        }
        let is_word = |word: &str| word.strip_prefix("r#").unwrap_or(word) == "test";
        if self.condition.is_some_and(|(_, asks)| asks) && node.kind() == "identifier" && is_word(&self.text[node.byte_range()]) {
            self.conditions.push(line(node.start_position().row));
        }
        match self.open {
            Some((depth, start, _)) if depth == self.depth && is_attribute => {
                self.open = Some((depth, start, node.end_byte()));
            }
            Some((depth, start, _)) if depth == self.depth && !node.is_extra() => {
                self.open = None;
                self.keep(start, node.end_byte());
            }
            Some(_) => {}
            None if is_attribute && node.start_byte() >= self.kept_to && self.may_name_a_test(node) => {
                self.open = Some((self.depth, node.start_byte(), node.end_byte()));
            }
            None => {}
        }
    }

    fn may_name_a_test(&self, attribute: Node<'_>) -> bool {
        let range = attribute.byte_range();
        range.len() > ATTRIBUTE_BYTES_MAX || names_a_test(&self.text[range])
    }

    /// Behind a node of this depth, and all that is in it.
    fn leave(&mut self) {
        self.condition = self.condition.filter(|(depth, _)| *depth < self.depth);
        // Attributes at the end of a block, with nothing behind them.
        if let Some((depth, start, end)) = self.open
            && depth > self.depth
        {
            self.open = None;
            self.keep(start, end);
        }
    }

    fn keep(&mut self, start: usize, end: usize) {
        self.nested.push_str(&self.text[start..end]);
        self.kept_to = end;
    }
}

/// The number by which people know a row.
fn line(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX).saturating_add(1)
}

/// Whether an attribute says that an item is compiled for tests alone.
pub(super) fn is_for_tests(attribute: &str) -> bool {
    let bare: String = attribute.chars().filter(|c| !c.is_whitespace()).collect();
    // A raw word is the same one.
    let bare = bare.replace("r#test", "test");
    let name = bare.trim_start_matches("#[").trim_end_matches(']').split('(').next().unwrap_or_default();
    let all = bare.strip_prefix("#[cfg(all(").and_then(|rest| rest.strip_suffix("))]"));
    let needs_test = all.is_some_and(|all| !all.contains('(') && all.split(',').any(|condition| condition == "test"));
    bare == "#[cfg(test)]" || needs_test || name == "test" || name.ends_with("::test")
}

/// Whether an attribute has the word `test` in it, alone or as a part of a name: that of a test, of a condition, of a macro.
fn names_a_test(attribute: &str) -> bool {
    // A name in quotes, such as that of a feature, is none.
    attribute.split('"').step_by(2).any(|unquoted| unquoted.contains("test"))
}

/// Whether a line may have an attribute of a test, for sources that cannot be read for certain.
pub fn may_mark_a_test(line: &str) -> bool {
    line.contains('#') && names_a_test(line)
}

/// Whether a comment is documentation of the next item, which it cannot be without.
fn is_about_what_follows(comment: &str) -> bool {
    (comment.starts_with("///") && !comment.starts_with("////")) || (comment.starts_with("/**") && !comment.starts_with("/***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "//! A crate.\nuse std::fmt;\n\npub fn one() -> u8 {\n    2\n}\n\n/// Tests.\n#[cfg(test)]\nmod tests {\n    \
                        use super::*;\n    #[test]\n    fn is_one() {\n        assert_eq!(one(), 1);\n    }\n}\n\npub fn two() {}\n";

    fn of(text: &str) -> Parts {
        parts(text.as_bytes()).expect("it can be read")
    }

    #[test]
    fn code_and_tests_are_put_together_anew() {
        let base = of(BASE);
        assert!(!base.code.contains("cfg(test)") && !base.code.contains("/// Tests."), "{}", base.code);
        assert!(base.code.contains("pub fn two() {}") && base.code.starts_with("//! A crate."), "{}", base.code);
        assert_eq!(base.lines.first(), Some(&(8..17)));
        let head = of(&BASE.replace("    2\n", "    1\n").replace("is_one", "is_still_one"));
        let mixed = base.with_tests_of(&head);
        assert!(mixed.contains("    2\n") && mixed.contains("is_still_one"), "{mixed}");
        assert_eq!(of(&mixed).tests, head.tests);
        assert_eq!(base.with_tests_of(&base), BASE);
    }

    #[test]
    fn what_is_for_tests_is_known_by_its_attributes() {
        for item in
            ["#[test]\nfn a() {}", "#[tokio::test(flavor = \"multi_thread\")]\nasync fn a() {}", "#[ cfg( test ) ] use a::b;"]
        {
            assert_eq!(of(&format!("fn x() {{}}\n{item}\n")).tests, format!("{item}\n"));
        }
        // Those are compiled elsewhere, too, or are another version of something that is.
        for item in ["#[cfg(not(test))]\nfn a() {}", "#[cfg(any(test, feature = \"x\"))]\nfn a() {}", "#[inline]\nfn test() {}"] {
            assert_eq!(of(&format!("{item}\n")).tests, "");
        }
        assert_eq!(of("// #[cfg(test)]\nfn a() {}\nconst A: &str = \"\n#[cfg(test)]\nmod t {}\";\n").tests, "");
    }

    #[test]
    fn a_raw_word_is_the_same_one() {
        assert_eq!(of("#[cfg(r#test)]\nmod tests {}\n").tests, "#[cfg(r#test)]\nmod tests {}\n");
        assert_eq!(of("fn f() {\n    cfg!(r#test);\n}\n").conditions, [2]);
        assert_eq!(of("fn f() {\n    #[cfg(not(r#test))]\n    return;\n}\n").conditions, [2]);
    }

    #[test]
    fn a_word_that_a_macro_hands_to_the_compiler_is_seen() {
        for asks in ["cfg!($x)", "cfg!( $($x)* )", "#[cfg($x)] return", "if cfg!(not($x)) {}"] {
            let is = format!("macro_rules! is {{ ($($x:tt)*) => {{ {asks} }} }}\n");
            assert_eq!(of(&format!("{is}fn f() {{\n    is!(test);\n}}\n")).conditions, [3], "{asks}");
        }
        assert_eq!(of("macro_rules! is { () => { #[cfg(test)] return } }\n").conditions, [1]);
        assert!(of("macro_rules! is { ($x:tt) => { $x } }\nfn f() {\n    is!(test);\n}\n").conditions.is_empty());
    }

    #[test]
    fn tests_that_stand_deeper_are_seen() {
        let nested =
            "mod a {\n    #[cfg(test)]\n    mod tests { fn x() {} }\n}\nimpl A {\n    #[rstest] #[case(1)]\n    fn y() {}\n}\n";
        let nested = of(nested).nested;
        assert!(nested.contains("fn x()") && nested.contains("fn y()"), "{nested}");
        assert_eq!(of(BASE).nested, "");
    }

    #[test]
    fn code_that_is_another_where_it_is_tested_is_seen() {
        for asks in
            ["if cfg!( test ) {}", "#[cfg(\n test)]\n return;", "#[cfg(any(unix, test))] { f(); }", "m! { #[cfg(test)] x }"]
        {
            let found = of(&format!("fn f() {{\n    {asks}\n}}\n\n#[cfg(test)]\nmod tests {{}}\n")).conditions;
            assert_eq!(found.len(), 1, "{asks}");
        }
        assert!(of(BASE).conditions.is_empty());
        assert_eq!(of("#[cfg(test)]\nmod tests {}\nfn f() {\n    cfg!(test);\n}\n").conditions, [4]);
        assert!(of("fn f() {\n    let test = 1;\n}\n").conditions.is_empty());
    }

    /// Attributes with blocks in them, items in items, and attributes before nothing: what is kept is never more than the file.
    #[test]
    fn what_is_kept_of_deep_and_wide_sources_is_not_more_than_they_are() {
        let deep = format!("{}{}", "mod a { #[test] fn b() {".repeat(200), "}}".repeat(200));
        let wide = format!("fn f() {{ {} x }}\n", "#[test]".repeat(2_000));
        let asking = format!("fn f() {{ {}test{} }}\n", "g(".repeat(300), ")".repeat(300));
        for text in [&deep, &wide] {
            let nested = of(text).nested;
            assert!(!nested.is_empty() && nested.len() <= text.len(), "{} of {}", nested.len(), text.len());
        }
        assert!(of(&asking).conditions.is_empty());
        assert_eq!(of(&asking.replace("fn f", "#[cfg(test)]\nfn f")).conditions, Vec::<u32>::new());
        assert_eq!(of(&asking.replace("test", "cfg!(test)")).conditions, [1]);
    }

    #[test]
    fn lines_of_tests_are_known_by_the_last_test_before_them() {
        let parts = of("#[test] fn a() {}\n#[test]\nfn b() {\n}\nfn c() {}\n#[test]\nfn d() {}\n");
        let lines: Vec<u32> = (0..10).filter(|line| parts.is_in_test(*line)).collect();
        assert_eq!(lines, [1, 2, 3, 4, 6, 7]);
    }

    #[test]
    fn no_more_is_taken_apart_than_there_is_time_for() {
        let mut parsing = Parsing::default();
        assert!((0..PARSED_FILES_MAX).all(|_| parsing.takes(1)) && !parsing.takes(1));
        let mut parsing = Parsing::default();
        assert!(parsing.takes(PARSED_BYTES_MAX) && !parsing.takes(1) && !parsing.takes(0));
    }

    #[test]
    fn what_cannot_be_read_for_certain_is_left_whole() {
        assert_eq!(parts(b"fn a( {\n#[cfg(test)]\nmod tests {}\n"), None);
        assert_eq!(parts(b"\xff"), None);
    }
}
