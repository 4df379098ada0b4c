use std::collections::BTreeMap;

use super::{Miss, Replacement};
use crate::patch::FileState;

fn attempt(before: Option<&[u8]>, old: &str, new: &str, all: bool) -> Result<Vec<u8>, Miss> {
    let state = before.map(|content| FileState::Regular { content: content.to_vec(), executable: true });
    let changes = Replacement::new("./f", old, new, all)?.apply(&BTreeMap::from([("f".to_owned(), state)]))?;
    match changes.as_slice() {
        [] => Ok(before.expect("a file").to_vec()),
        [(path, Some(FileState::Regular { content, executable }))] => {
            assert_eq!((path.as_str(), *executable), ("f", before.is_some()));
            Ok(content.clone())
        }
        other => panic!("one file was to change, not {other:?}"),
    }
}

#[track_caller]
fn check(before: &str, old: &str, new: &str, after: &str) {
    match attempt(Some(before.as_bytes()), old, new, false) {
        Ok(content) => assert_eq!(String::from_utf8_lossy(&content), after),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn check_all(before: &str, old: &str, new: &str, after: &str) {
    match attempt(Some(before.as_bytes()), old, new, true) {
        Ok(content) => assert_eq!(String::from_utf8_lossy(&content), after),
        Err(error) => panic!("{error}"),
    }
}

fn miss(before: Option<&str>, old: &str, new: &str) -> String {
    attempt(before.map(str::as_bytes), old, new, false).expect_err("nothing is to be replaced").to_string()
}

#[test]
fn a_text_is_replaced_where_it_stands() {
    check("let a = 1;\nlet b = 2;\n", "b = 2", "b = 3", "let a = 1;\nlet b = 3;\n");
    check("a\nb\nc\n", "a\nb\n", "x\n", "x\nc\n");
    check("a\nb\nc\n", "b\n", "", "a\nc\n");
    check("a\nb", "b", "c\nd", "a\nc\nd");
    check_all("x y x\nx\n", "x", "xx", "xx y xx\nxx\n");
    check_all("aaaa", "aa", "b", "bb");
}

#[test]
fn a_file_is_made_only_where_there_is_none() {
    assert_eq!(attempt(None, "", "a\n", false), Ok(b"a\n".to_vec()));
    assert_eq!(miss(Some("b\n"), "", "a\n"), "f: the file exists already; say which text of it to replace");
    assert_eq!(miss(None, "x", "y"), "f: there is no such file; to make it, leave the old text empty");
    assert_eq!(miss(Some("x"), "x", "x"), "f: the old and the new text are the same");
}

#[test]
fn a_text_that_stands_in_several_places_is_refused_with_them() {
    insta::assert_snapshot!(miss(Some("a\nx = 1\nb\n  x = 1\n"), "x = 1", "x = 2"), @r"
    f: the text to replace is there 2 times:
         2| x = 1
         4|   x = 1
    give more lines around it so that it is there once, or ask to replace all of them
    ");
    assert!(miss(Some("aaa"), "aa", "b").contains("there 2 times"));
    let many = "x\n".repeat(9);
    assert!(miss(Some(&many), "x\n", "y\n").contains("     5| x\n     ... and 4 more\n"));
    assert!(miss(Some("  a \n b\n\ta \n b\n"), "a\nb", "c").contains("there 2 times:\n     1|   a \n     3| \ta"));
}

#[test]
fn a_miss_shows_the_nearest_lines() {
    insta::assert_snapshot!(miss(Some("fn a() {}\n\nfn total(values: &[u32]) -> u32 {\n    0\n}\n"), "fn total(value: &[u32]) -> u32 {\n    1", "x"), @r"
    f: the text to replace cannot be found:
        fn total(value: &[u32]) -> u32 {
            1
    the nearest lines of the file are:
         3| fn total(values: &[u32]) -> u32 {
         4|     0
    ");
    assert!(miss(Some("a\n"), "\n\n", "b").contains("cannot be found"));
}

#[test]
fn white_space_is_tolerated_and_the_indentation_of_the_file_wins() {
    check(
        "def f():\n    if x:\n        y()\n",
        "if x:\n    y()\n",
        "if x:\n    z()\n    w()\n",
        "def f():\n    if x:\n        z()\n        w()\n",
    );
    check("a  \nb\nc\n", "a\nb\n", "a\nB\n", "a  \nB\nc\n");
    check("s = “x”\nt\n", "s = \"x\"\nt", "s = 'y'\nt", "s = 'y'\nt\n");
    check_all(" a\n\tb\n  a\n\tb\n", "a\n    b\n", "a\n    c\n", " a\n\tc\n  a\n\tc\n");
    check("  a\nb\n", "a \n", "", "b\n");
}

#[test]
fn line_endings_mark_and_encoding_survive() {
    check("a\r\nb\r\nc\n", "a\nb\n", "x\ny\nz\n", "x\r\ny\r\nz\r\nc\n");
    check("a\r\nb\r\n", "b", "b\nc", "a\r\nb\r\nc\r\n");
    check("a\nb\r\nc\n", "\nb", "\nB\nC", "a\nB\nC\r\nc\n");
    check("a\r\nb", "b", "x\r\ny", "a\r\nx\r\ny");
    check("\u{feff}a\nb\n", "\u{feff}a\n", "\u{feff}c\n", "\u{feff}c\nb\n");
    check("\u{feff}a\nb\n", "a\nb", "c", "\u{feff}c\n");
    let latin = b"caf\xe9 old\n\xfc\n";
    assert_eq!(attempt(Some(latin), "old", "n\u{f6}w", false), Ok(b"caf\xe9 n\xf6w\n\xfc\n".to_vec()));
    assert_eq!(attempt(Some(latin), "é old", "e", false), Ok(b"cafe\n\xfc\n".to_vec()));
    assert_eq!(attempt(Some(latin), "caf\u{fffd} old\n", "x\n", false), Ok(b"x\n\xfc\n".to_vec()));
    let error = attempt(Some(latin), "old", "→", false).expect_err("not in the encoding").to_string();
    assert!(error.contains("encoding"), "{error}");
}

#[test]
fn no_path_leaves_the_tree_and_no_link_is_written_through() {
    for path in ["../x", "/etc/passwd", ".git/config", ""] {
        assert!(matches!(Replacement::new(path, "a", "b", false), Err(Miss::Refused { .. })), "{path}");
    }
    let link = BTreeMap::from([("f".to_owned(), Some(FileState::Symlink { target: b"x".to_vec() }))]);
    let error = Replacement::new("f", "a", "b", false).expect("a path").apply(&link).expect_err("a link");
    assert!(error.to_string().contains("symbolic link"), "{error}");
}

#[test]
fn repetition_costs_no_more_than_reading() {
    let text = "a".repeat(1_000_000);
    let wanted = format!("{}b", "a".repeat(500_000));
    assert!(attempt(Some(text.as_bytes()), &wanted, "c", true).is_err());
}
