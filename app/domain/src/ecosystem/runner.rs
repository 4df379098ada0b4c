//! What the well-known test runners say, so that a command that ended is not taken for a result where there is none.
//!
//! A runner is known by the command. Of a command that names none of them the exit code is all there is to go by.

use serde::{Deserialize, Serialize};

use crate::proof::{Colour, Evidence, Exit};

pub mod canary;
pub mod report;

/// The runners that can be asked for a report of each test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runner {
    /// `cargo test`.
    Cargo,
    /// `cargo nextest run`.
    Nextest,
    /// pytest.
    Pytest,
    /// Python's own.
    Unittest,
    /// `go test`.
    Go,
    /// `node --test`.
    Node,
    /// Jest.
    Jest,
    /// Vitest.
    Vitest,
}

impl Runner {
    /// The runner that a command starts, by itself or through the recipe that it names.
    pub fn of(command: &str, recipe: Option<&str>) -> Option<Self> {
        let known = |text: &str| CALLS.iter().find(|(call, _)| text.contains(call)).map(|(_, runner)| *runner);
        known(command).or_else(|| recipe.and_then(known))
    }
}

/// What a command that starts a runner contains; what contains another stands before it.
const CALLS: [(&str, Runner); 8] = [
    ("cargo nextest run", Runner::Nextest),
    ("cargo test", Runner::Cargo),
    ("pytest", Runner::Pytest),
    ("-m unittest", Runner::Unittest),
    ("go test", Runner::Go),
    ("node --test", Runner::Node),
    ("vitest", Runner::Vitest),
    ("jest", Runner::Jest),
];

/// What a runner says when it came to its end, and when it could not begin.
struct Words {
    /// What a command that calls it contains.
    called_by: &'static str,
    /// One of these stands in the output of a run that came to its end and passed.
    passed: &'static [&'static str],
    /// One of these stands in the output of a run that could not even begin.
    unusable: &'static [&'static str],
    /// Exit codes that speak of the runner and not of the tests.
    no_result: &'static [i32],
}

const RUNNERS: [Words; 4] = [
    Words {
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
    Words { called_by: "pytest", passed: &[" passed"], unusable: &["No module named pytest"], no_result: &[2, 3, 4, 5] },
    // Python's documentation of unittest.main: 5 where no tests were run.
    Words { called_by: "unittest", passed: &["\nOK"], unusable: &["No module named unittest"], no_result: &[5] },
    Words {
        called_by: "go test",
        passed: &["ok  \t", r"ok  \t"],
        unusable: &["no required module provides", "cannot find module"],
        no_result: &[],
    },
];

/// The colour of a run of the tests: its exit code's, unless the runner itself says that there was no result, or does
/// not say that it came to its end.
pub fn colour(evidence: &Evidence) -> Colour {
    let colour = evidence.exit.colour();
    let Some(runner) = words(&evidence.command) else { return colour };
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
    let says_so = |runner: &Words| runner.unusable.iter().any(|words| evidence.excerpt.contains(words));
    let failed = evidence.exit != Exit::Code(0);
    evidence.exit.is_missing_command() || failed && words(&evidence.command).is_some_and(says_so)
}

fn words(command: &str) -> Option<&'static Words> {
    RUNNERS.iter().find(|runner| command.contains(runner.called_by))
}

#[cfg(test)]
mod tests;
