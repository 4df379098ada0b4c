use patchwright_domain::demands::Demands;

use super::*;

/// A workspace in which each thing has a number and was changed at a time; a name with a slash at its end is a folder.
fn stamps(things: &[(&str, u64, i64)]) -> Stamps {
    let entry = |(path, inode, at): &(&str, u64, i64)| {
        let kind = if path.ends_with('/') { Kind::Folder } else { Kind::File };
        (path.trim_end_matches('/').to_owned(), Stamp { kind, inode: *inode, changed: (*at, 0) })
    };
    Stamps { entries: things.iter().map(entry).collect(), is_whole: true }
}

const BEFORE: &[(&str, u64, i64)] = &[
    ("/", 1, 1),
    ("src/", 2, 1),
    ("src/calc.py", 3, 1),
    ("package.json", 10, 1),
    ("inner/", 11, 1),
    ("inner/lib.rs", 12, 1),
    ("data/cases.csv", 13, 1),
    ("src/deep/", 4, 1),
    ("src/deep/tests/", 5, 1),
    ("src/deep/tests/test_calc.py", 6, 1),
    ("node_modules/", 7, 1),
    ("node_modules/check/", 8, 1),
    ("node_modules/check/index.js", 9, 1),
];

/// What `before` and `after` differ in for a package of Node, with a patch that has a file which only tests have.
fn told(before: &Stamps, after: &Stamps) -> Option<Vec<String>> {
    let plan = Plan {
        source: "npm".to_owned(),
        setup: None,
        test: Some("npm test".to_owned()),
        runner: None,
        checks: Vec::new(),
        decided_by: vec!["package.json".to_owned(), ".npmrc".to_owned()],
        droppings: Vec::new(),
        demands: Demands::default(),
        scope: patchwright_domain::scope::Scope::default(),
    };
    let test_files = TestFiles { declared: ["data/cases.csv".to_owned()].into(), ..TestFiles::default() };
    changed(before, after, Watched { plan: &plan, test_files: &test_files })
}

/// What counts as changed where these things are other than before, or new.
#[track_caller]
fn check(changes: &[(&str, u64, i64)], expected: &[&str]) {
    let (before, mut after) = (stamps(BEFORE), stamps(BEFORE));
    after.entries.extend(stamps(changes).entries);
    assert_eq!(told(&before, &after).expect("all was looked at"), expected);
}

#[test]
fn a_test_or_a_library_that_was_changed_is_told_and_code_is_not() {
    check(&[], &[]);
    check(&[("src/calc.py", 3, 2)], &[]);
    check(&[("src/deep/tests/test_calc.py", 6, 2)], &["src/deep/tests/test_calc.py"]);
    check(&[("src/deep/tests/test_calc.py", 20, 1)], &["src/deep/tests/test_calc.py"]);
    check(&[("node_modules/check/index.js", 9, 2)], &["node_modules/check/index.js"]);
}

#[test]
fn what_decides_how_tests_run_is_told_and_so_is_a_source_in_which_tests_may_stand() {
    check(&[("package.json", 10, 2)], &["package.json"]);
    check(&[("inner/lib.rs", 12, 2)], &["inner/lib.rs"]);
    check(&[("data/cases.csv", 13, 2)], &["data/cases.csv"]);
}

#[test]
fn a_folder_that_was_moved_away_and_back_is_told_and_one_in_which_something_is_made_is_not() {
    check(&[("src/deep/tests/", 5, 2)], &[]);
    check(&[("src/deep/", 4, 2)], &[]);
    check(&[("src/deep/", 4, 2), ("src/deep/tests/", 5, 2)], &["src/deep/tests/"]);
    check(&[("/", 1, 2), ("src/", 2, 2)], &["src/"]);
    check(&[("src/deep/", 20, 1)], &["src/deep/"]);
    check(&[("/", 1, 2), ("inner/", 11, 2)], &["inner/"]);
}

#[test]
fn what_is_new_is_told_where_it_would_be_loaded() {
    check(&[("src/deep/tests/out.txt", 20, 2), ("src/out.py", 21, 2), ("src/deep/tests/__snapshots__/a.snap", 22, 2)], &[]);
    check(&[("out.csv", 20, 2), ("inner/made.rs", 21, 2), ("src/out/__init__.py", 22, 2)], &[]);
    check(&[("node_modules/.cache/a.js", 20, 2), ("node_modules/.vite/results.json", 21, 2)], &[]);
    for path in [
        ".npmrc",
        "check/__init__.py",
        "check.cpython-311-x86_64-linux-gnu.so",
        "conftest.py",
        "node_modules/check.js",
        "package.json",
        "src/a.pth",
        "src/deep/tests/__pycache__/test_calc.cpython-311.pyc",
        "src/deep/tests/calc.py",
        "src/sitecustomize.py",
        "unittest.pyc",
    ] {
        check(&[(path, 20, 2)], &[path]);
    }
}

#[test]
fn where_not_all_was_looked_at_nothing_is_said() {
    let (whole, cut) = (stamps(BEFORE), Stamps { is_whole: false, ..stamps(BEFORE) });
    assert_eq!((told(&whole, &cut), told(&cut, &whole)), (None, None));
    assert_eq!(told(&whole, &Stamps::default()), None);
    assert_eq!((both(None, Some(Vec::new())), both(Some(Vec::new()), None)), (None, None));
}
