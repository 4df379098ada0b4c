use super::difference::Difference;
use super::findings::findings;
use super::{Colour, Doubt, Exit, Size, forbidden, is_test_path};
use crate::journal::{Change, ChangeKind};
use crate::sample::changed;

#[test]
fn only_zero_is_green() {
    assert_eq!(Exit::Code(0).colour(), Colour::Green);
    for code in [1, 2, 101, 125, 128, 255, -1] {
        assert_eq!(Exit::Code(code).colour(), Colour::Red, "{code}");
    }
    assert!(Exit::Code(127).is_missing_command() && Exit::Code(126).is_missing_command());
    assert!(!Exit::Code(1).is_missing_command() && !Exit::TimedOut.is_missing_command());
    assert_eq!(
        [Exit::Code(1), Exit::Signal(9), Exit::TimedOut].map(|exit| exit.to_string()),
        ["exit code 1", "killed by signal 9", "time limit reached"]
    );
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
        "ui/calc-test.js",
        "test-calc.mjs",
        "calc/spec.ts",
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

fn refused(changes: &[Change]) -> Option<String> {
    forbidden(&findings(changes, &Difference::default(), &[], &[]))
}

#[test]
fn a_patch_that_is_too_large_is_told_the_limit() {
    let size = Size { files_max: 2, lines_max: 20 };
    let one = Change { lines_added: 10, lines_removed: 5, ..changed("a.py", ChangeKind::Modified) };
    assert_eq!(size.exceeded(std::slice::from_ref(&one)), None);
    insta::assert_snapshot!(size.exceeded(&[one.clone(), one.clone()]).unwrap(), @"the patch adds and removes 30 lines, and `limits.patch_lines` allows 20");
    insta::assert_snapshot!(size.exceeded(&[one.clone(), one.clone(), one]).unwrap(), @"the patch changes 3 files, and `limits.patch_files` allows 2");
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
        let changes = [changed("src/lib.rs", ChangeKind::Modified), changed(path, ChangeKind::Added)];
        let reason = refused(&changes).expect("it is protected");
        assert!(reason.starts_with(&format!("the patch changes `{path}`; workflows")), "{reason}");
    }
    for path in ["docs/.github/x", ".githubx/a", "github/a", ".gitignore"] {
        assert_eq!(refused(&[changed(path, ChangeKind::Modified)]), None, "{path}");
    }
    assert_eq!(refused(&[]), None);
}

#[test]
fn the_name_of_a_forbidden_file_stays_a_name() {
    let reason = refused(&[changed(".github/a`b\n\n@octocat", ChangeKind::Added)]).unwrap();
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
        Doubt::Flaky,
        Doubt::Suspect,
        Doubt::RunnerDeceives,
        Doubt::Unwatched,
        Doubt::TestsWeakened,
        Doubt::OwnTestsFail,
        Doubt::DoesNotBuild,
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
    A test that should show it does not always end the same way on the same tree, so it shows nothing. Make the test steady, or review the patch by hand.
    The patch has lines or files that could make its tests pass for another reason than that it is right; they are named below. Read the places that are named, and decide by hand.
    With the patch, tests of the harness that must fail were not reported as failing: it changes what the test runner reports. Do not merge this without reading every line: honest code has no reason to do that.
    Whether the tests' files were changed while they ran could not be seen, so their passing says nothing about the patch. See that the tests leave no more in their tree than can be looked through (a million files, 128 folders deep), or review the patch by hand.
    The patch mends what the tests of the base show, but its own versions of those tests pass without it. Look at the patch's tests first, or ask again.
    The tests that come with the patch fail with it. Look at the patch's tests first, or ask again.
    Without the patch the tests cannot be compiled or imported, so that nothing shows what they would say of the code. Add a failing test that can be built without the patch; where the build is what it mends, ask for that: `prove build`, or `patchwright prove --build`.
    "#);
    let mended: Vec<Doubt> = doubts.into_iter().filter(|doubt| doubt.is_worth_a_round()).collect();
    assert_eq!(mended, [Doubt::StillRed, Doubt::Regression, Doubt::TestsWeakened, Doubt::OwnTestsFail]);
}
