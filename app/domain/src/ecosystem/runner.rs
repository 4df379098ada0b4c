//! What the well-known test runners say, so that a command that ended is not taken for a result where there is none.
//!
//! A runner is known by the command. Of a command that names none of them the exit code is all there is to go by.

use crate::proof::{Colour, Evidence, Exit};

/// A test runner.
struct Runner {
    /// What a command that calls it contains.
    called_by: &'static str,
    /// One of these stands in the output of a run that came to its end and passed.
    passed: &'static [&'static str],
    /// One of these stands in the output of a run that could not even begin.
    unusable: &'static [&'static str],
    /// Exit codes that speak of the runner and not of the tests.
    no_result: &'static [i32],
}

const RUNNERS: [Runner; 4] = [
    Runner {
        called_by: "cargo test",
        passed: &["test result: ok."],
        unusable: &[
            "error: no matching package",
            "error: failed to get `",
            "error: failed to download",
            "error: no such command",
        ],
        no_result: &[],
    },
    // pytest's documentation, "Exit codes": 2 interrupted, 3 internal error, 4 usage, 5 nothing collected.
    Runner { called_by: "pytest", passed: &[" passed"], unusable: &["No module named pytest"], no_result: &[2, 3, 4, 5] },
    // Python's documentation of unittest.main: 5 where no tests were run.
    Runner { called_by: "unittest", passed: &["\nOK"], unusable: &["No module named unittest"], no_result: &[5] },
    Runner {
        called_by: "go test",
        passed: &["ok  \t"],
        unusable: &["no required module provides", "cannot find module"],
        no_result: &[],
    },
];

/// The colour of a run of the tests: its exit code's, unless the runner itself says that there was no result, or does
/// not say that it came to its end.
pub fn colour(evidence: &Evidence) -> Colour {
    let colour = evidence.exit.colour();
    let Some(runner) = runner(&evidence.command) else { return colour };
    let says = |words: &[&str]| words.iter().any(|word| evidence.excerpt.contains(word));
    let is_result = match colour {
        Colour::Green => says(runner.passed),
        Colour::Red => !is_unusable(evidence) && !matches!(evidence.exit, Exit::Code(code) if runner.no_result.contains(&code)),
        Colour::None => false,
    };
    if is_result { colour } else { Colour::None }
}

/// Whether the command could not run any test, whatever the code under test: it is missing, or what it needs is.
pub fn is_unusable(evidence: &Evidence) -> bool {
    let says_so = |runner: &Runner| runner.unusable.iter().any(|words| evidence.excerpt.contains(words));
    let failed = evidence.exit != Exit::Code(0);
    evidence.exit.is_missing_command() || failed && runner(&evidence.command).is_some_and(says_so)
}

fn runner(command: &str) -> Option<&'static Runner> {
    RUNNERS.iter().find(|runner| command.contains(runner.called_by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(command: &str, code: i32, output: &str, expected: Colour) {
        let evidence = Evidence { command: command.into(), ..sample::ran(code, output) };
        assert_eq!(colour(&evidence), expected, "{command}: {code} {output}");
    }

    #[test]
    fn a_runner_that_does_not_say_that_it_passed_has_not() {
        check("cargo test", 0, "running 1 test\n", Colour::None);
        check("cargo test", 0, "test result: ok. 1 passed; 0 failed", Colour::Green);
        check("python3 -m pytest -q", 0, "", Colour::None);
        check("python3 -m pytest -q", 0, "3 passed in 0.1s", Colour::Green);
        check("python3 -m unittest discover", 0, "", Colour::None);
        check("python3 -m unittest discover", 0, "Ran 3 tests in 0.1s\n\nOK", Colour::Green);
        check("go test ./...", 0, "ok  \texample/x\t0.1s", Colour::Green);
        check("sh tests/run.sh", 0, "", Colour::Green);
    }

    #[test]
    fn a_runner_that_could_not_test_has_found_nothing() {
        check("python3 -m pytest -q", 1, "1 failed", Colour::Red);
        check("python3 -m pytest -q", 1, "/usr/bin/python3: No module named pytest", Colour::None);
        check("python3 -m pytest -q", 5, "no tests ran in 0.1s", Colour::None);
        check("cargo test", 101, "test result: FAILED. 0 passed; 1 failed", Colour::Red);
        check("cargo test", 101, "error: no matching package named `x` found", Colour::None);
    }
}
