//! Tests that stand inside a Rust source, taken apart from the code that they test.
//!
//! What is behind `#[cfg(test)]`, or is a test by its attribute, is no part of the program. So a file can be put together of
//! one version's code and another's tests, and what the tests then say is about that code.

use std::ops::Range;

use tree_sitter::{Node, TreeCursor};

use crate::syntax::language::Language;
use crate::syntax::tree;

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
/// It takes up to half a second of computing on a hostile file, so it is called where blocking is allowed.
pub fn parts(text: &[u8]) -> Option<Parts> {
    let whole = std::str::from_utf8(text).ok()?;
    let tree = tree(Language::Rust, text)?;
    if tree.root_node().has_error() {
        return None;
    }
    let items = items(tree.root_node(), text);
    let (conditions, nested) = inside(&mut tree.walk(), whole, &items);
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

/// Where the code asks the compiler whether it is compiled for tests, in an attribute or a macro, however that is spelled; and
/// what stands behind attributes that do, or that make tests. A loop, since a tree may be deeper than the stack.
fn inside(cursor: &mut TreeCursor<'_>, text: &str, items: &[Item]) -> (Vec<u32>, String) {
    let is_in_test =
        |node: Node<'_>| items.iter().any(|item| item.start_byte <= node.start_byte() && node.end_byte() <= item.end_byte);
    let is_condition = |node: &Node<'_>| matches!(node.kind(), "attribute_item" | "inner_attribute_item" | "macro_invocation");
    let asks = |node: Node<'_>| {
        let is_named = node.kind() == "identifier" && &text[node.byte_range()] == "test";
        let mut around = std::iter::successors(node.parent(), Node::parent).filter(is_condition);
        is_named && around.any(|around| text[around.byte_range()].contains("cfg"))
    };
    let (mut found, mut nested) = (Vec::new(), String::new());
    loop {
        let node = cursor.node();
        if !is_in_test(node) {
            if asks(node) {
                found.push(line(node.start_position().row));
            }
            if node.kind() == "attribute_item" && names_a_test(&text[node.byte_range()]) {
                let is_item = |node: &Node<'_>| !node.is_extra() && node.kind() != "attribute_item";
                let behind = std::iter::successors(node.next_sibling(), Node::next_sibling).find(is_item);
                nested.push_str(&text[node.start_byte()..behind.map_or(node.end_byte(), |behind| behind.end_byte())]);
            }
            if cursor.goto_first_child() {
                continue;
            }
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return (found, nested);
            }
        }
    }
}

/// The number by which people know a row.
fn line(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX).saturating_add(1)
}

/// Whether an attribute says that an item is compiled for tests alone.
pub(super) fn is_for_tests(attribute: &str) -> bool {
    let bare: String = attribute.chars().filter(|c| !c.is_whitespace()).collect();
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

    #[test]
    fn what_cannot_be_read_for_certain_is_left_whole() {
        assert_eq!(parts(b"fn a( {\n#[cfg(test)]\nmod tests {}\n"), None);
        assert_eq!(parts(b"\xff"), None);
    }
}
