use std::collections::BTreeMap;

use super::{Change, FileState, Patch, PatchError};

type Files = BTreeMap<String, Option<FileState>>;

fn regular(content: &[u8]) -> Option<FileState> {
    Some(FileState::Regular { content: content.to_vec(), executable: false })
}

fn files(list: &[(&str, &[u8])]) -> Files {
    list.iter().map(|(path, content)| ((*path).to_owned(), regular(content))).collect()
}

fn attempt(content: &[u8], body: &str) -> Result<Vec<u8>, PatchError> {
    let patch = format!("*** Begin Patch\n*** Update File: f\n{body}*** End Patch\n");
    let changes = Patch::parse(&patch)?.apply(&files(&[("f", content)]))?;
    match changes.as_slice() {
        [] => Ok(content.to_vec()),
        [(_, Some(FileState::Regular { content, .. }))] => Ok(content.clone()),
        other => panic!("one file was to change, not {other:?}"),
    }
}

#[track_caller]
fn check(before: &str, body: &str, after: &str) {
    match attempt(before.as_bytes(), body) {
        Ok(content) => assert_eq!(String::from_utf8_lossy(&content), after),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn check_error(before: &str, body: &str, expected: &str) {
    let error = attempt(before.as_bytes(), body).expect_err("the patch must not apply").to_string();
    assert!(error.contains(expected), "{error}");
}

fn parse_error(text: &str) -> String {
    Patch::parse(text).expect_err("must not parse").to_string()
}

#[test]
fn a_chunk_is_found_by_its_lines() {
    check("a\nb\nc\n", "@@\n a\n-b\n+B\n c\n", "a\nB\nc\n");
    check("a\nb\nc\n", " a\n-b\n+B\n", "a\nB\nc\n");
    check("a\nb\n", "@@\n-a\n+A\n@@\n-b\n", "A\n");
    check("a\nb\n", "@@ ... @@\n-a\n+A\n", "A\nb\n");
}

#[test]
fn a_context_narrows_the_search() {
    let file = "class A:\n    def f():\n        pass\nclass B:\n    def f():\n        pass\n";
    let after = "class A:\n    def f():\n        pass\nclass B:\n    def f():\n        return 1\n";
    check(file, "@@ class B:\n-        pass\n+        return 1\n", after);
    check(file, "@@ class B:\n@@     def f():\n-        pass\n+        return 1\n", after);
    check(file, "@@ class B\n@@ def f\n-        pass\n+        return 1\n", after);
    check(file, "@@ class B:\n class B:\n     def f():\n-        pass\n+        return 1\n", after);
    check(file, "@@ class B: @@\n-        pass\n+        return 1\n", after);
}

#[test]
fn an_ambiguous_chunk_is_refused_with_its_candidates() {
    let file = "a\nx\nb\nx\nc\nx\n";
    check_error(file, "@@\n-x\n+y\n", "fit at file lines 2, 4, 6");
    check_error("d\nx\nd\nx\n", "@@ d\n-x\n+y\n", "fit at file lines 2, 4");
    check_error("d\nx\nd\nx\n", "@@ d\n+y\n", "fit at file lines 1, 3");
    check(file, "@@ b\n-x\n+y\n", "a\nx\nb\ny\nc\nx\n");
    check(file, "@@ -4,1 +4,1 @@\n-x\n+y\n", "a\nx\nb\ny\nc\nx\n");
    check(file, "@@\n-x\n+y\n*** End of File\n", "a\nx\nb\nx\nc\ny\n");
    check("x\n  x\n", "@@\n-x\n+y\n", "y\n  x\n");
}

#[test]
fn chunks_may_come_in_any_order_but_not_overlap() {
    check("a\nb\nc\n", "@@\n-c\n+C\n@@\n-a\n+A\n", "A\nb\nC\n");
    check_error("a\nb\nc\n", "@@\n-a\n-b\n+B\n@@\n-b\n-c\n", "another chunk changes as well");
}

#[test]
fn added_lines_follow_their_context_or_the_end() {
    check("a\nb\n", "@@ a\n+x\n", "a\nx\nb\n");
    check("a\nb\n", "@@\n+x\n", "a\nb\nx\n");
    check("a\nb\n", "@@ a\n+x\n*** End of File\n", "a\nb\nx\n");
    check("a\nb\n", "@@ -1,0 +2,1 @@\n+x\n", "a\nx\nb\n");
    check("", "@@\n+x\n", "x\n");
    check_error("a\nb\n", "@@ -1,2 +1,3 @@\n+x\n", "a line number alone");
}

#[test]
fn a_failure_shows_what_was_sought_and_what_is_nearest() {
    let file = "use std::io;\n\nfn main() {\n    let total = sum(values);\n}\n";
    let error =
        attempt(file.as_bytes(), "@@\n fn main() {\n-    let total = sum(value);\n+    todo!()\n").expect_err("no such line");
    insta::assert_snapshot!(error, @r"
    f: the lines of the chunk at patch line 3 cannot be found:
        fn main() {
            let total = sum(value);
    the nearest lines of the file are:
         3| fn main() {
         4|     let total = sum(values);
    ");
    check_error(file, "@@\n-    let totals = sum(value);\n", "4|     let total = sum(values);");
    check_error(file, "@@ fn other_thing()\n-}\n", "the `@@` line of the chunk at patch line 3");
    check_error(file, "@@\n-zzzz\n", "nothing in the file is like it");
}

#[test]
fn white_space_is_tolerated_and_the_indentation_of_the_file_wins() {
    check("a  \nb\n", "@@\n a\n-b\n+c\n", "a  \nc\n");
    check(
        "def f():\n    if x:\n        y()\n",
        "@@\n if x:\n-    y()\n+    z()\n+    if z:\n+        w()\n",
        "def f():\n    if x:\n        z()\n        if z:\n            w()\n",
    );
    check(
        "\tif x {\n\t\ty()\n\t}\n",
        "@@\n     if x {\n-        y()\n+        z()\n+            w()\n     }\n",
        "\tif x {\n\t\tz()\n\t\t\tw()\n\t}\n",
    );
    check("    a\n", "@@\n-        a\n+        b\n+    c\n", "    b\nc\n");
    check("s = “x”\n", "@@\n-s = \"x\"\n+s = 'y'\n", "s = 'y'\n");
    check("a\nb\n", "@@\n a\n-b\n+c\n\n\n", "a\nc\n");
}

#[test]
fn line_endings_and_the_end_of_the_file_are_kept() {
    check("a\r\nb\r\n", "@@\n-a\n+A\n+B\n", "A\r\nB\r\nb\r\n");
    check("a\nb\r\nc\n", "@@\n-b\n+B\n", "a\nB\r\nc\n");
    check("a\nb\r\nc\n", "@@ b\n+B\n", "a\nb\r\nB\r\nc\n");
    check("a\nb\r\nc\n", "@@\n-a\n-b\n+A\n+B\n+C\n", "A\nB\r\nC\r\nc\n");
    check("a\nb", "@@\n-b\n+B\n", "a\nB");
    check("a\nb", "@@\n-a\n+A\n", "A\nb");
    check("a\nb", "@@\n+c\n", "a\nb\nc");
    check("a\nb", "@@\n a\n-b\n", "a\n");
    check("a\r\nb", "@@\n-b\n+c\n+d\n", "a\r\nc\r\nd");
    check("a\n", "@@\n-a\n", "");
    check("a\nb\n", "@@\r\n-a\r\n+A\r\n", "A\nb\n");
}

#[test]
fn a_byte_order_mark_survives() {
    check("\u{feff}one\ntwo\n", "@@\n-one\n+ONE\n", "\u{feff}ONE\ntwo\n");
    check("\u{feff}one\ntwo\n", "@@\n-\u{feff}one\n+\u{feff}ONE\n", "\u{feff}ONE\ntwo\n");
    check("\u{feff}one\ntwo\n", "@@\n-one\n", "\u{feff}two\n");
}

#[test]
fn a_file_that_is_not_utf8_is_edited_without_damage() {
    let file = b"caf\xe9\nold\n\xfc\n";
    assert_eq!(attempt(file, "@@\n-old\n+new\n").expect("applies"), b"caf\xe9\nnew\n\xfc\n");
    assert_eq!(attempt(file, "@@\n caf\u{fffd}\n-old\n+gr\u{fc}n\n").expect("applies"), b"caf\xe9\ngr\xfcn\n\xfc\n");
    assert_eq!(attempt(file, "@@\n café\n-old\n").expect("applies"), b"caf\xe9\n\xfc\n");
    for added in ["→", "caf\u{fffd}"] {
        let error = attempt(file, &format!("@@\n-old\n+{added}\n")).expect_err("not in the encoding");
        assert!(error.to_string().contains("encoding"), "{error}");
    }
}

#[test]
fn the_envelope_is_taken_leniently() {
    let bare = "*** Update File: f\n@@\n-a\n+b\n";
    let whole = format!("*** Begin Patch\n{bare}*** End Patch");
    for text in [
        whole.clone(),
        format!("\n\n{whole}\n\n"),
        format!("```\n{whole}\n```\n"),
        format!("```diff\n{whole}\n```"),
        format!("<<'EOF'\n{whole}\nEOF\n"),
        format!("<<\"EOF\"\n{whole}\nEOF"),
        format!("apply_patch <<PATCH\n{whole}\nPATCH"),
        format!("*** Begin Patch\n{bare}"),
        bare.to_owned(),
        whole.replace('\n', "\r\n"),
        whole.replace("*** Begin", "  *** Begin").replace("*** End", " *** End"),
        whole.replace("@@", "--- a/f\n+++ b/f\n@@"),
        whole.replace("+b\n", "+b\n\\ No newline at end of file\n"),
    ] {
        let patch = Patch::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(patch.apply(&files(&[("f", b"a\n")])), Ok(vec![("f".to_owned(), regular(b"b\n"))]), "{text}");
    }
}

#[test]
fn a_malformed_patch_is_refused_with_the_line() {
    assert_eq!(parse_error(""), "invalid patch, line 1: the first line of the patch must be '*** Begin Patch'");
    assert_eq!(parse_error("*** Begin Patch\n*** End Patch"), "invalid patch, line 2: the patch has no hunk");
    assert!(
        parse_error("*** Begin Patch\n*** Frob File: x\n*** End Patch").starts_with("invalid patch, line 2: '*** Frob File: x'")
    );
    assert!(parse_error("*** Begin Patch\n*** Update File: x\n*** End Patch").contains("line 2: the update of 'x' is empty"));
    assert!(parse_error("*** Begin Patch\n*** Add File: x\nno plus\n*** End Patch").contains("line 3"));
    assert!(parse_error("*** Begin Patch\n*** Update File: x\n@@\n a\nb\n*** End Patch").contains("line 5: unexpected line"));
    assert!(
        parse_error("*** Begin Patch\n*** Update File: x\n@@ only\n*** End Patch").contains("line 3: the chunk has no lines")
    );
    assert!(parse_error("*** Begin Patch\n*** Delete File: x\n*** End Patch\nthanks").contains("text behind"));
}

#[test]
fn nothing_is_guessed_behind_the_end_of_a_file() {
    let behind = "invalid patch, line 5: behind `*** End of File` a chunk begins with `@@`, and not with '+y'";
    assert_eq!(parse_error("*** Begin Patch\n*** Update File: f\n-x\n*** End of File\n+y\n*** End Patch"), behind);
    check("a\nx\n", "-x\n*** End of File\n@@\n-a\n+b\n", "b\n");
    check("a\n\n", "-\n*** End of File\n", "a\n");
    check_error("  \na\n", "-\n*** End of File\n", "cannot be found");
}

#[test]
fn no_path_leaves_the_tree_or_reaches_git() {
    for path in [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/..",
        ".git/config",
        "a/.GIT/hooks/x",
        ".git",
        ".git./x",
        "GIT~1/x",
        ".g\u{200c}it/x",
        ".git::$INDEX_ALLOCATION/x",
        "",
        ".",
        "a/",
        "a\u{7}b",
    ] {
        for text in [
            format!("*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch"),
            format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch"),
            format!("*** Begin Patch\n*** Update File: ok\n*** Move to: {path}\n@@\n-a\n*** End Patch"),
        ] {
            let error = Patch::parse(&text).expect_err(path);
            assert!(matches!(error, PatchError::Path { .. }), "{path}: {error}");
        }
    }
    let patch = Patch::parse("*** Begin Patch\n*** Add File: ./a//b/./.gitignore\n+x\n*** End Patch").expect("parses");
    assert_eq!(patch.paths().into_iter().collect::<Vec<_>>(), ["a/b/.gitignore"]);
    assert!(patch.clone().under("..").is_err());
    assert!(patch.clone().under("/abs").is_err());
    let moved = patch.under("./sub/").expect("inside");
    assert_eq!(moved.paths().into_iter().collect::<Vec<_>>(), ["sub/a/b/.gitignore"]);
}

#[test]
fn a_move_keeps_the_mode_and_a_move_to_itself_the_file() {
    let script = |content: &[u8]| Some(FileState::Regular { content: content.to_vec(), executable: true });
    let given = Files::from([("a.sh".to_owned(), script(b"1\n"))]);
    let text = "*** Begin Patch\n*** Update File: a.sh\n*** Move to: b/c.sh\n@@\n-1\n+2\n*** End Patch";
    let changes: Vec<Change> = Patch::parse(text).and_then(|patch| patch.apply(&given)).expect("applies");
    assert_eq!(changes, [("a.sh".to_owned(), None), ("b/c.sh".to_owned(), script(b"2\n"))]);
    let text = text.replace("b/c.sh", "./a.sh");
    let changes = Patch::parse(&text).and_then(|patch| patch.apply(&given)).expect("applies");
    assert_eq!(changes, [("a.sh".to_owned(), script(b"2\n"))]);
    let only = "*** Begin Patch\n*** Update File: a.sh\n*** Move to: b.sh\n*** End Patch";
    let changes = Patch::parse(only).and_then(|patch| patch.apply(&given)).expect("applies");
    assert_eq!(changes, [("a.sh".to_owned(), None), ("b.sh".to_owned(), script(b"1\n"))]);
}

#[test]
fn nothing_is_written_through_a_link() {
    let given =
        Files::from([("link".to_owned(), Some(FileState::Symlink { target: b"f".to_vec() })), ("f".to_owned(), regular(b"a\n"))]);
    for hunk in
        ["*** Add File: link\n+x\n", "*** Update File: link\n@@\n-a\n", "*** Update File: f\n*** Move to: link\n@@\n-a\n+b\n"]
    {
        let patch = Patch::parse(&format!("*** Begin Patch\n{hunk}*** End Patch")).expect("parses");
        let error = patch.apply(&given).expect_err("a link");
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }
    let patch = Patch::parse("*** Begin Patch\n*** Delete File: link\n*** End Patch").expect("parses");
    assert_eq!(patch.apply(&given), Ok(vec![("link".to_owned(), None)]));
}

#[test]
fn hunks_on_one_file_see_each_other_and_a_failure_changes_nothing() {
    let text = "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** Update File: f\n@@\n-b\n+c\n*** End Patch";
    let patch = Patch::parse(text).expect("parses");
    assert_eq!(patch.apply(&files(&[("f", b"a\n")])), Ok(vec![("f".to_owned(), regular(b"c\n"))]));
    assert!(patch.apply(&files(&[("f", b"b\n")])).is_err());
    let text = "*** Begin Patch\n*** Add File: n\n+x\n*** Update File: f\n@@\n-zz\n*** End Patch";
    let (changes, error) = Patch::parse(text).expect("parses").apply_like_codex(&files(&[("f", b"a\n")]));
    assert_eq!(changes, [("n".to_owned(), regular(b"x\n"))]);
    assert!(error.is_some());
}

#[test]
fn the_other_reading_ends_files_in_a_newline_and_takes_the_first_match() {
    let text = "*** Begin Patch\n*** Update File: f\n@@\n-x\n+y\n*** End Patch";
    let patch = Patch::parse(text).expect("parses");
    let given = files(&[("f", b"x\nx")]);
    assert!(matches!(patch.apply(&given), Err(PatchError::Ambiguous { .. })));
    assert_eq!(patch.apply_like_codex(&given), (vec![("f".to_owned(), regular(b"y\nx\n"))], None));
}

#[test]
fn forgotten_marks_on_blank_lines_of_a_new_file_are_forgiven() {
    let patch = Patch::parse("*** Begin Patch\n*** Add File: f\n+a\n\n+b\n\n*** Delete File: g\n*** End Patch").expect("parses");
    let changes = patch.apply(&files(&[("g", b"")])).expect("applies");
    assert_eq!(changes, [("g".to_owned(), None), ("f".to_owned(), regular(b"a\n\nb\n"))]);
}

#[test]
fn a_big_file_with_many_chunks_is_patched_in_one_pass() {
    use std::fmt::Write as _;
    let mut before = String::new();
    let mut after = String::new();
    let mut body = String::new();
    for n in 0..100_000 {
        let _ = writeln!(before, "line {n}\n\n}}");
        let _ = writeln!(after, "{} {n}\n\n}}", if n % 100 == 50 { "changed" } else { "line" });
        if n % 100 == 50 {
            let _ = writeln!(body, "@@\n }}\n-line {n}\n+changed {n}\n \n }}");
        }
    }
    assert_eq!(attempt(before.as_bytes(), &body).expect("applies"), after.as_bytes());
}

#[test]
fn many_updates_of_a_large_file_are_refused() {
    let text = format!("*** Begin Patch\n{}*** End Patch", "*** Update File: f\n*** Move to: f\n".repeat(70));
    let patch = Patch::parse(&text).expect("parses");
    assert!(patch.apply(&files(&[("f", &[b'x'; 1024 * 1024])])).is_err());
}

#[test]
fn repetition_cannot_make_the_search_endless() {
    let file = "x\n".repeat(50_000);
    let body = format!("@@\n{}-y\n", " x\n".repeat(20_000));
    assert!(attempt(file.as_bytes(), &body).is_err());
    let body = format!("@@ x\n{}+y\n", " x\n".repeat(20_000));
    let error = attempt(file.as_bytes(), &body).expect_err("too repetitive").to_string();
    assert!(error.contains("takes too long") || error.contains("fit at file lines"), "{error}");
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

#[test]
fn a_patch_does_what_it_says_or_nothing() {
    let words = ["a", "b", "", "  a", "\ta", "b ", "c\"", "}", "é"];
    let mut numbers = Numbers(7);
    let mut n_applied = 0;
    for _ in 0..5_000 {
        let old: Vec<&str> = (0..1 + numbers.below(12)).map(|_| words[numbers.below(words.len())]).collect();
        let eols: Vec<&str> = old.iter().map(|_| if numbers.below(4) == 0 { "\r\n" } else { "\n" }).collect();
        let from = numbers.below(old.len());
        let to = from + numbers.below(old.len() - from + 1);
        let n_context = numbers.below(4);
        let added: Vec<&str> = (0..numbers.below(3)).map(|_| ["new", "a", "  x"][numbers.below(3)]).collect();
        let (above, below) = (from.saturating_sub(n_context), (to + n_context).min(old.len()));
        if above == below {
            continue;
        }
        let lines = |mark: &str, lines: &[&str]| lines.iter().map(|line| format!("{mark}{line}\n")).collect::<String>();
        let body = [
            "@@\n",
            &lines(" ", &old[above..from]),
            &lines("-", &old[from..to]),
            &lines("+", &added),
            &lines(" ", &old[to..below]),
        ]
        .concat();
        let text: String = old.iter().zip(&eols).map(|(line, eol)| format!("{line}{eol}")).collect();
        match attempt(text.as_bytes(), &body) {
            Ok(after) => {
                let expected = [&old[..from], &added, &old[to..]].concat();
                let after = String::from_utf8(after).expect("UTF-8");
                assert_eq!(after.lines().collect::<Vec<_>>(), expected, "{text:?} {body}");
                n_applied += 1;
            }
            Err(PatchError::Ambiguous { lines, .. }) => assert!(lines.contains(&(above + 1)), "{text:?} {body}"),
            Err(error) => panic!("{error}: {text:?} {body}"),
        }
    }
    assert!(n_applied > 1_000, "{n_applied}");
}

#[test]
fn no_text_makes_the_parser_or_the_application_panic() {
    let pieces = [
        "*** Begin Patch\n",
        "*** End Patch\n",
        "*** Update File: f\n",
        "*** Add File: g\n",
        "*** Move to: h\n",
        "*** Delete File: f\n",
        "*** End of File\n",
        "@@\n",
        "@@ a\n",
        "@@ -1,2 +1,0 @@\n",
        " a\n",
        "-a\n",
        "+a\n",
        "\n",
        "-\n",
        "+\tb\n",
        " \u{feff}a\n",
        "```\n",
        "<<EOF\n",
        "EOF\n",
        "\\ No newline\n",
        " é\u{fffd}\n",
        "@@ -0,0 +1 @@\n",
        "\r\n",
        "@@ -18446744073709551615 +1 @@\n",
    ];
    let files = files(&[("f", b"\xef\xbb\xbfa\r\nb\n\xe9\na")]);
    let mut numbers = Numbers(3);
    for round in 0..20_000 {
        let body: String = (0..numbers.below(14)).map(|_| pieces[numbers.below(pieces.len())]).collect();
        let text = if round % 2 == 0 { body } else { format!("*** Begin Patch\n*** Update File: f\n{body}*** End Patch") };
        if let Ok(patch) = Patch::parse(&text) {
            let _ = patch.apply(&files);
            let _ = patch.apply_like_codex(&files);
        }
    }
}

#[test]
fn a_new_file_gets_crlf_where_its_lines_alone_have_it() {
    let text = "*** Begin Patch\n*** Add File: f\n+a\r\n+b\r\n*** End Patch\n";
    for (text, content) in [(text.to_owned(), "a\r\nb\r\n"), (text.replace("\r\n", "\n").replace('\n', "\r\n"), "a\nb\n")] {
        let changes = Patch::parse(&text).expect("parses").apply(&Files::new()).expect("applies");
        assert_eq!(changes, [("f".to_owned(), regular(content.as_bytes()))], "{text:?}");
    }
    check("a\nb\n", "@@\n-a\n+A\r\n", "A\nb\n");
}

#[test]
fn a_chunk_may_begin_with_a_blank_line_of_the_file() {
    check("a\n\nb\n", " \n+x\n", "a\n\nx\nb\n");
    check("a\n\nb\n", "\n+x\n b\n", "a\n\nx\nb\n");
    check("a\n", "\n\n@@\n-a\n+b\n", "b\n");
    check_error("", "   \n+x\n", "cannot be found");
    check("a\n", "@@\n-a\n+b\n@@\n\n", "b\n");
    check("a\n", "@@\n+b\n\n", "a\nb\n");
    check_error("a\n", "@@ b\n\n", "the `@@` line");
    check("@@ a\nb\n", " @@ a\n-b\n", "@@ a\n");
}
