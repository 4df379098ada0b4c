use super::listing::{self, BeyondEnd, LINES_DEFAULT, LISTING_BYTES_MAX};
use super::search::{FOUND_BYTES_MAX, Found, Hit};
use crate::patch::FileState;

fn regular(content: &[u8]) -> FileState {
    FileState::Regular { content: content.to_vec(), executable: false }
}

#[track_caller]
fn check(content: &[u8], first: Option<usize>, n_lines: Option<usize>, expected: &str) {
    assert_eq!(listing::of_file("f", &regular(content), first, n_lines).expect("there is such a line"), expected);
}

#[test]
fn lines_are_numbered_and_the_rest_is_counted() {
    check(b"a\nb\n", None, None, "f: lines 1-2 of 2\n     1|a\n     2|b\n");
    check(b"a\nb\nc\n", Some(2), Some(1), "f: lines 2-2 of 3\n     2|b\n[1 more lines; read on from line 3]\n");
    check(b"a\nb\n", Some(0), Some(0), "f: lines 1-1 of 2\n     1|a\n[1 more lines; read on from line 2]\n");
    check(b"a\nb\n", Some(2), Some(usize::MAX), "f: lines 2-2 of 2\n     2|b\n");
}

#[test]
fn what_is_no_plain_text_is_said() {
    check(b"", None, None, "f is empty");
    check(b"\x7fELF\0\0", Some(9), None, "f is a binary file of 6 bytes");
    check(b"a\r\nb", None, None, "f: lines 1-2 of 2; lines end in CRLF; no newline at the end\n     1|a\n     2|b\n");
    check(b"a\r\nb\n", None, None, "f: lines 1-2 of 2; some lines end in CRLF\n     1|a\n     2|b\n");
    check(
        b"caf\xe9\n",
        None,
        None,
        "f: lines 1-1 of 1; it is not UTF-8, other bytes are shown as \u{fffd}\n     1|caf\u{fffd}\n",
    );
    let link = FileState::Symlink { target: b"../x".to_vec() };
    assert_eq!(listing::of_file("f", &link, None, None).as_deref(), Ok("f is a symbolic link to ../x"));
}

#[test]
fn what_cannot_be_seen_is_made_visible() {
    check(b"\x1b[31mred\x07\tx\n", None, None, "f: lines 1-1 of 1\n     1|\\u{1b}[31mred\\u{7}\tx\n");
    check(
        "a\u{202e}b\u{200b}\u{e0041}👩\u{200d}🚀\n".as_bytes(),
        None,
        None,
        "f: lines 1-1 of 1\n     1|a\\u{202e}b\\u{200b}\\u{e0041}👩\u{200d}🚀\n",
    );
}

#[test]
fn a_line_behind_the_end_is_an_error_that_says_how_many_there_are() {
    let error = listing::of_file("f", &regular(b"a\nb\n"), Some(3), None).expect_err("two lines");
    assert_eq!(error, BeyondEnd { path: "f".to_owned(), n_lines: 2, line: 3 });
    assert_eq!(error.to_string(), "f has 2 lines; there is no line 3");
}

#[test]
fn a_listing_is_bounded_in_lines_line_length_and_bytes() {
    let many = "x\n".repeat(1_000);
    let shown = listing::of_file("f", &regular(many.as_bytes()), None, None).expect("lines");
    assert_eq!(shown.lines().count(), LINES_DEFAULT + 2);
    assert!(shown.ends_with("[600 more lines; read on from line 401]\n"), "{shown}");
    let long = "é".repeat(1_000);
    let shown = listing::of_file("f", &regular(long.as_bytes()), None, None).expect("lines");
    assert!(shown.ends_with("é [... 1500 more bytes in this line]\n"), "{shown}");
    let wide = format!("{}\n", "y".repeat(400)).repeat(300);
    let shown = listing::of_file("f", &regular(wide.as_bytes()), None, None).expect("lines");
    assert!(shown.len() < LISTING_BYTES_MAX + 1_000, "{}", shown.len());
    assert!(shown.ends_with("[261 more lines; read on from line 40]\n"), "{shown}");
}

fn hit(path: &str, line: u64, text: &str, is_context: bool) -> Hit {
    Hit { path: path.to_owned(), line, text: text.as_bytes().to_vec(), is_context }
}

#[test]
fn hits_are_told_with_what_was_left_out() {
    let found = Found { hits: vec![hit("a.rs", 3, "fn x() {", false)], n_files_searched: 1, ..Found::default() };
    assert_eq!(found.told(), "a.rs:3: fn x() {\n[1 matching line in 1 file searched]\n");
    assert_eq!(Found::default().told(), "[0 matching lines in 0 files searched]\n");
    let found = Found {
        hits: vec![hit("a", 1, "x\u{1b}[0m", false), hit("a", 2, "y", true), hit("a", 9, "x", false), hit("b", 10, "x", false)],
        n_hits_omitted: 4,
        n_files_searched: 7,
        n_files_skipped: 2,
        is_cut_short: true,
    };
    insta::assert_snapshot!(found.told(), @r"
    a:1: x\u{1b}[0m
    a-2- y
    --
    a:9: x
    --
    b:10: x
    [7 matching lines in 7 files searched; 4 not shown: narrow the pattern, the directory or the globs; 2 files skipped as binary or too large; the search was cut short before it saw every file: name a directory]
    ");
}

#[test]
fn what_is_told_of_hits_is_bounded() {
    let hits = (1..=500).map(|line| hit("a", line, &"z".repeat(200), false)).collect();
    let told = Found { hits, n_files_searched: 1, ..Found::default() }.told();
    assert!(told.len() < FOUND_BYTES_MAX + 500, "{}", told.len());
    assert!(told.contains("[500 matching lines in 1 file searched; 423 not shown"), "{}", &told[told.len() - 200..]);
}
