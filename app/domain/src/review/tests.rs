use super::{Beside, Hunk, Reviewed};
use crate::turn::{Closing, Finding};

fn hunk(path: &str, first_line: u32, last_line: u32) -> Hunk {
    Hunk { path: path.into(), first_line, last_line }
}

fn finding(path: &str, first_line: u32, last_line: u32) -> Finding {
    let (title, body) = ("A title".into(), "What is wrong.".into());
    Finding { title, body, priority: 1, confidence_percent: 80, path: path.into(), first_line, last_line, suggestion: None }
}

fn beside(finding: Finding) -> Option<Beside> {
    let hunks = vec![hunk("a.rs", 10, 20), hunk("a.rs", 30, 33), hunk("b.rs", 1, 5)];
    let reviewed = Reviewed { closing: Closing { findings: vec![finding], ..Closing::default() }, hunks };
    reviewed.placed()[0].1
}

#[test]
fn a_finding_is_said_beside_its_lines_where_the_difference_shows_them() {
    let whole = |first_line, last_line| Some(Beside { first_line, last_line, is_whole: true });
    let part = |first_line, last_line| Some(Beside { first_line, last_line, is_whole: false });
    assert_eq!(beside(finding("a.rs", 12, 14)), whole(12, 14));
    assert_eq!(beside(finding("a.rs", 10, 20)), whole(10, 20));
    assert_eq!(beside(finding("b.rs", 5, 5)), whole(5, 5));
    assert_eq!(beside(finding("a.rs", 18, 31)), part(18, 20), "the piece that shows the most of it");
    assert_eq!(beside(finding("a.rs", 1, 100)), part(10, 20));
    assert_eq!(beside(finding("a.rs", 21, 29)), None);
    assert_eq!(beside(finding("c.rs", 1, 5)), None);
    assert_eq!(beside(finding("b.rs", 6, u32::MAX)), None);
}

#[test]
fn what_must_be_mended_first_comes_first_and_what_is_surer_before_the_rest() {
    let weighed = |priority, confidence_percent| Finding { priority, confidence_percent, ..finding("a.rs", 12, 12) };
    let findings = vec![weighed(3, 90), weighed(1, 40), weighed(0, 10), weighed(1, 80)];
    let reviewed = Reviewed { closing: Closing { findings, ..Closing::default() }, hunks: Vec::new() };
    let order: Vec<(u8, u8)> = reviewed.placed().iter().map(|(found, _)| (found.priority, found.confidence_percent)).collect();
    assert_eq!(order, [(0, 10), (1, 80), (1, 40), (3, 90)]);
}

#[test]
fn a_suggestion_stands_in_the_place_of_its_lines() {
    let with = |first, last, lines| super::with_suggestion(b"a\nb\nc", first, last, lines);
    assert_eq!(with(2, 2, "B"), Some(b"a\nB\nc".to_vec()));
    assert_eq!(with(1, 2, "x\ny\nz\n"), Some(b"x\ny\nz\nc".to_vec()));
    assert_eq!(with(3, 3, "C"), Some(b"a\nb\nC".to_vec()));
    assert_eq!(with(2, 2, ""), Some(b"a\nc".to_vec()), "nothing stands there then");
    assert_eq!((with(4, 4, "d"), with(3, 4, "d"), with(0, 1, "d"), with(2, u32::MAX, "d")), (None, None, None, None));
}

/// Where no patch of an agent's goes, nobody is offered one line by line.
#[test]
fn a_suggestion_is_looked_at_as_a_patch_is() {
    let refused = |path: &str, lines: &str| super::looked_at(&finding(path, 3, 4), lines, &["CLAUDE.md".to_owned()]).1;
    assert_eq!(refused("src/lib.rs", "let it = 0;"), None);
    for path in [".github/workflows/ci.yml", "CODEOWNERS", "AGENTS.md", "CLAUDE.md"] {
        assert!(refused(path, "let it = 0;").is_some(), "{path}");
    }
    let (change, _) = super::looked_at(&finding("src/lib.rs", 3, 4), "a\nb\nc", &[]);
    assert_eq!((change.path.as_str(), change.lines_added, change.lines_removed), ("src/lib.rs", 3, 2));
}
