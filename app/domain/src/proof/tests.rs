use super::{Colour, Doubt, Exit, Verdict, forbidden, is_test_path, judge, loses_inline_tests, tests_to_restore};
use crate::journal::{Change, ChangeKind};
use crate::sample::{changed, ended, plan};

const GREEN: Exit = Exit::Code(0);
const RED: Exit = Exit::Code(1);

fn source() -> Vec<Change> {
    vec![changed("src/lib.rs", ChangeKind::Modified)]
}

fn doubt(changes: &[Change], base: Exit, head: Exit) -> Option<Doubt> {
    match judge(&plan(), changes, Some(ended(base)), Some(ended(head))) {
        Verdict::Proven { base: on_base, head: on_head } => {
            assert_eq!((on_base, on_head), (ended(base), ended(head)));
            None
        }
        Verdict::Unproven { doubt, base: on_base, head: on_head } => {
            assert_eq!((on_base, on_head), (Some(ended(base)), Some(ended(head))));
            Some(doubt)
        }
    }
}

#[track_caller]
fn check(base: Exit, head: Exit, expected: Option<Doubt>) {
    assert_eq!(doubt(&source(), base, head), expected, "{base} on base, {head} on head");
}

#[test]
fn red_on_base_and_green_on_head_is_the_only_proof() {
    check(RED, GREEN, None);
    check(RED, RED, Some(Doubt::StillRed));
    check(GREEN, GREEN, Some(Doubt::GreenBefore));
    check(GREEN, RED, Some(Doubt::Regression));
}

#[test]
fn a_run_without_result_proves_nothing() {
    for nothing in [Exit::TimedOut, Exit::Signal(9), Exit::Code(126), Exit::Code(127)] {
        assert_eq!(nothing.colour(), Colour::None);
        for other in [RED, GREEN, nothing] {
            check(nothing, other, Some(Doubt::Inconclusive));
            check(other, nothing, Some(Doubt::Inconclusive));
        }
    }
}

#[test]
fn only_zero_is_green() {
    assert_eq!(GREEN.colour(), Colour::Green);
    for code in [1, 2, 101, 125, 128, 255, -1] {
        assert_eq!(Exit::Code(code).colour(), Colour::Red, "{code}");
    }
    assert!(Exit::Code(127).is_missing_command() && Exit::Code(126).is_missing_command());
    assert!(!RED.is_missing_command() && !Exit::TimedOut.is_missing_command());
    assert_eq!(
        [RED, Exit::Signal(9), Exit::TimedOut].map(|exit| exit.to_string()),
        ["exit code 1", "killed by signal 9", "time limit reached"]
    );
}

#[test]
fn without_both_runs_there_is_no_proof() {
    for (base, head) in [(None, None), (Some(ended(RED)), None), (None, Some(ended(GREEN)))] {
        let verdict = judge(&plan(), &source(), base.clone(), head.clone());
        assert_eq!(verdict, Verdict::Unproven { doubt: Doubt::NoTestCommand, base, head });
    }
}

#[test]
fn a_patch_that_decides_how_the_tests_run_is_not_proven_by_them() {
    for (path, kind) in [
        ("Cargo.toml", ChangeKind::Modified),
        ("crates/a/Cargo.toml", ChangeKind::Modified),
        ("Cargo.toml", ChangeKind::Deleted),
        ("jest.config.js", ChangeKind::Added),
        ("tests/conftest.py", ChangeKind::Added),
        ("web/.mocharc.json", ChangeKind::Added),
    ] {
        let changes = [source(), vec![changed(path, kind)]].concat();
        assert_eq!(doubt(&changes, RED, GREEN), Some(Doubt::TestCommandTouched), "{path}");
        assert_eq!(doubt(&changes, RED, RED), Some(Doubt::StillRed), "{path}");
        assert_eq!(doubt(&changes, GREEN, GREEN), Some(Doubt::GreenBefore), "{path}");
    }
    let restored = [source(), vec![changed("jest.config.js", ChangeKind::Modified)]].concat();
    assert_eq!(doubt(&restored, RED, GREEN), None, "the base's configuration is put back");
}

#[test]
fn the_tests_are_exactly_those_of_the_base() {
    let changes = [
        changed("src/lib.rs", ChangeKind::Modified),
        changed("tests/changed.rs", ChangeKind::Modified),
        changed("tests/deleted.rs", ChangeKind::Deleted),
        changed("tests/added.rs", ChangeKind::Added),
        changed("src/old.rs", ChangeKind::Deleted),
        changed("conftest.py", ChangeKind::Modified),
    ];
    let restored: Vec<&str> = tests_to_restore(&changes).collect();
    assert_eq!(restored, ["tests/changed.rs", "tests/deleted.rs", "tests/added.rs", "conftest.py"]);
}

#[test]
fn tests_are_known_by_the_conventions_of_the_common_languages() {
    for path in [
        "tests/it.rs",
        "crates/a/tests/data/x.json",
        "src/run/tests.rs",
        "src/test.rs",
        "test_calc.py",
        "pkg/calc_test.go",
        "app/calc.test.ts",
        "app/calc.spec.js",
        "app/calc.test.snap.js",
        "lib/calc_spec.rb",
        "__tests__/calc.js",
        "src/test/java/Calc.java",
        "spec/calc.rb",
        "a/testdata/in.txt",
        "a/__snapshots__/x.snap",
        "conftest.py",
        "a/conftest.py",
        "tox.ini",
        "jest.config.js",
        ".config/nextest.toml",
    ] {
        assert!(is_test_path(path), "{path}");
    }
    for path in
        ["src/lib.rs", "src/latest.py", "contest.py", "src/testing.rs", "attest/a.rs", "protest.md", "src/spectrum.js", "", "/"]
    {
        assert!(!is_test_path(path), "{path}");
    }
}

#[test]
fn what_steers_the_repository_may_not_change() {
    for path in [
        ".github/workflows/ci.yml",
        ".GitHub/x",
        ".GITHUB/CODEOWNERS",
        ".github",
        "docs/CODEOWNERS",
        "a/action.yml",
        "renovate.json",
    ] {
        let changes = [source(), vec![changed(path, ChangeKind::Added)]].concat();
        let reason = forbidden(&changes).expect("it is protected");
        assert!(reason.starts_with(&format!("the patch changes `{path}`; workflows")), "{reason}");
    }
    for path in ["docs/.github/x", ".githubx/a", "github/a", ".gitignore"] {
        assert_eq!(forbidden(&[changed(path, ChangeKind::Modified)]), None, "{path}");
    }
    assert_eq!(forbidden(&[]), None);
}

#[test]
fn the_name_of_a_forbidden_file_stays_a_name() {
    let reason = forbidden(&[changed(".github/a`b\n\n@octocat", ChangeKind::Added)]).unwrap();
    insta::assert_snapshot!(reason, @"the patch changes ``.github/a`b @octocat``; workflows, actions, code owners and the settings of update bots are not for an agent to change");
}

#[test]
fn every_doubt_has_a_sentence_and_a_next_step() {
    let doubts = [
        Doubt::NoTestCommand,
        Doubt::GreenBefore,
        Doubt::StillRed,
        Doubt::Regression,
        Doubt::Inconclusive,
        Doubt::TestCommandTouched,
        Doubt::TestsTouched,
    ];
    let told: Vec<String> = doubts.iter().map(|doubt| format!("{} {}", doubt.sentence(), doubt.next_step())).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    No test command is known for this repository, so nothing was executed to check the patch. Name the test command in `.github/patchwright.yml`: `commands: { test: "…" }`.
    The tests passed before the patch and pass with it, so they do not show that it solves the issue. Review the patch by hand, or add a failing test for the issue and ask again.
    The tests fail with the patch, as they did before it. Take the patch as a draft to go on from, or ask again with more detail.
    The tests passed before the patch and fail with it. Take the patch as a draft to go on from, or ask again with more detail.
    A run of the tests came to no result (it was killed, ran out of time, or its runner did not finish), so there is nothing to compare. Run the tests by hand, or give them more time with `limits.test_minutes`.
    The patch changes a file that decides how the tests are run, so their passing says nothing about it. Review that change by hand before anything else.
    The patch changes or deletes existing tests inside a source file, so the tests' passing says nothing about it. Review that change by hand before anything else.
    "#);
    let mended: Vec<Doubt> = doubts.into_iter().filter(|doubt| doubt.is_worth_a_round()).collect();
    assert_eq!(mended, [Doubt::StillRed, Doubt::Regression]);
}

#[test]
fn inline_tests_that_are_changed_or_lost_are_seen() {
    let base = "fn f() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn one() {}\n}\n";
    for head in ["fn f() { 1 }\n", &base.replace("fn one() {}", "fn one() { return; }"), &base.replace("    #[test]\n", "")] {
        assert!(loses_inline_tests(base, head), "{head}");
    }
    let more = base.replace("    fn one() {}\n", "    fn one() {}\n    #[test]\n    fn two() {}\n");
    for head in [base, &base.replace("fn f() {}", "fn f() { 1 }\nfn g() {}"), &more] {
        assert!(!loses_inline_tests(base, head), "{head}");
    }
    assert!(!loses_inline_tests("fn f() {}\n", "fn g() {}\n"));
}
