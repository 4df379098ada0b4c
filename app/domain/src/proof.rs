//! From what was executed on base and head to a verdict.
//!
//! The verdict is a function of exit codes that the harness observed in fresh trees. Nothing that a model says enters.

use serde::{Deserialize, Serialize};

use crate::ecosystem::{Plan, runner};
use crate::journal::{Change, ChangeKind, Digest};
use crate::report::neutral::code;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "exit", content = "value", rename_all = "snake_case")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// Its time ran out and it was killed.
    TimedOut,
    /// It used more than it may and was killed.
    Exceeded(Limit),
}

/// What a command may use; each has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Memory of all its processes together, in bytes.
    Memory,
    /// Processor time, in seconds.
    Cpu,
    /// Processes and threads at a time.
    Processes,
    /// Open files of one process.
    OpenFiles,
    /// The length of one file, in bytes.
    FileSize,
    /// What the workspace takes on the disk, in bytes.
    Disk,
    /// How many files and directories the workspace has.
    Files,
    /// What it prints, in bytes.
    Output,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Cpu => "processor time",
            Self::Processes => "processes",
            Self::OpenFiles => "open files",
            Self::FileSize => "file size",
            Self::Disk => "disk space",
            Self::Files => "number of files",
            Self::Output => "output",
        })
    }
}

impl Exit {
    /// The colour of a test command that ended like this.
    pub fn colour(self) -> Colour {
        match self {
            Self::Code(0) => Colour::Green,
            Self::Code(SHELL_CANNOT_EXECUTE | SHELL_NOT_FOUND) | Self::Signal(_) | Self::TimedOut | Self::Exceeded(_) => {
                Colour::None
            }
            Self::Code(_) => Colour::Red,
        }
    }

    /// Whether the shell says that there is no such command.
    pub fn is_missing_command(self) -> bool {
        matches!(self, Self::Code(SHELL_CANNOT_EXECUTE | SHELL_NOT_FOUND))
    }
}

/// POSIX shell, "Exit Status for Commands": found, but cannot be executed.
const SHELL_CANNOT_EXECUTE: i32 = 126;
/// POSIX shell, "Exit Status for Commands": not found.
const SHELL_NOT_FOUND: i32 = 127;

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("time limit reached"),
            Self::Exceeded(limit) => write!(f, "killed at the limit of {limit}"),
        }
    }
}

/// What a test command's end says about the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// The tests pass.
    Green,
    /// The tests fail.
    Red,
    /// The command was not found, was killed or ran out of time: it says nothing.
    None,
}

/// One command as the harness ran it in a fresh tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The command.
    pub command: String,
    /// How it ended.
    pub exit: Exit,
    /// How long it took.
    pub duration_ms: u64,
    /// All of its output that was kept.
    pub output: Digest,
    /// The last lines of it, for people and for the agent.
    pub excerpt: String,
}

/// What the harness concludes, with what it saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Red on base, green on head.
    Proven {
        /// The run on the base.
        base: Evidence,
        /// The run on the base with the patch.
        head: Evidence,
    },
    /// There is no such proof.
    Unproven {
        /// Why not.
        doubt: Doubt,
        /// The run on the base, if there was one.
        base: Option<Evidence>,
        /// The run on the head, if there was one.
        head: Option<Evidence>,
    },
}

/// Why a patch counts as unproven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Nobody knows how to test this repository.
    NoTestCommand,
    /// The tests passed before the patch, so that their passing says nothing about it.
    GreenBefore,
    /// The tests failed before and fail with the patch.
    StillRed,
    /// The tests passed before and fail with the patch.
    Regression,
    /// A run was killed or ran out of time.
    Inconclusive,
    /// The patch changes how the tests are run.
    TestCommandTouched,
    /// The patch changes tests that stand inside the code that it mends, where they cannot be put back.
    TestsTouched,
}

impl Doubt {
    /// The sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoTestCommand => "No test command is known for this repository, so nothing was executed to check the patch.",
            Self::GreenBefore => {
                "The tests passed before the patch and pass with it, so they do not show that it solves the issue."
            }
            Self::StillRed => "The tests fail with the patch, as they did before it.",
            Self::Regression => "The tests passed before the patch and fail with it.",
            Self::Inconclusive => {
                "A run of the tests came to no result (it was killed, ran out of time, or its runner did not finish), so there is nothing to compare."
            }
            Self::TestsTouched => {
                "The patch changes or deletes existing tests inside a source file, so the tests' passing says nothing about it."
            }
            Self::TestCommandTouched => {
                "The patch changes a file that decides how the tests are run, so their passing says nothing about it."
            }
        }
    }

    /// What people can do about it.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::NoTestCommand => "Name the test command in `.github/patchwright.yml`: `commands: { test: \"…\" }`.",
            Self::GreenBefore => "Review the patch by hand, or add a failing test for the issue and ask again.",
            Self::StillRed | Self::Regression => "Take the patch as a draft to go on from, or ask again with more detail.",
            Self::Inconclusive => "Run the tests by hand, or give them more time with `limits.test_minutes`.",
            Self::TestCommandTouched | Self::TestsTouched => "Review that change by hand before anything else.",
        }
    }

    /// Whether another round may do better.
    pub fn is_worth_a_round(self) -> bool {
        match self {
            Self::StillRed | Self::Regression => true,
            Self::NoTestCommand | Self::GreenBefore | Self::Inconclusive | Self::TestCommandTouched | Self::TestsTouched => false,
        }
    }
}

impl Verdict {
    /// The same evidence, which is no proof because of a doubt that the exit codes do not show.
    pub fn doubted(self, doubt: Doubt) -> Self {
        match self {
            Self::Proven { base, head } => Self::Unproven { doubt, base: Some(base), head: Some(head) },
            Self::Unproven { .. } => self,
        }
    }
}

/// Judges a head against its base; `changes` is the difference between them.
pub fn judge(plan: &Plan, changes: &[Change], base: Option<Evidence>, head: Option<Evidence>) -> Verdict {
    let (Some(base), Some(head)) = (&base, &head) else {
        return Verdict::Unproven { doubt: Doubt::NoTestCommand, base, head };
    };
    let is_touched = changes.iter().any(|change| decides_how_tests_run(plan, change));
    let doubt = match (runner::colour(base), runner::colour(head)) {
        (Colour::Red, Colour::Green) if is_touched => Doubt::TestCommandTouched,
        (Colour::Red, Colour::Green) => return Verdict::Proven { base: base.clone(), head: head.clone() },
        (Colour::Green, Colour::Green) => Doubt::GreenBefore,
        (Colour::Green, Colour::Red) => Doubt::Regression,
        (Colour::Red, Colour::Red) => Doubt::StillRed,
        (Colour::None, _) | (_, Colour::None) => Doubt::Inconclusive,
    };
    Verdict::Unproven { doubt, base: Some(base.clone()), head: Some(head.clone()) }
}

/// Whether a change takes part in how the tests are run. A test configuration that the base has is put back, so that only
/// a new one does.
fn decides_how_tests_run(plan: &Plan, change: &Change) -> bool {
    let is_new_configuration = change.kind == ChangeKind::Added && TEST_CONFIGURATION.contains(&file_name(&change.path));
    is_new_configuration || plan.decides_how_tests_run(&change.path)
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, file)| file)
}

/// The paths that the proof makes as they are in the base before it runs the tests: the base is red by its own tests, so
/// exactly those must pass, none changed or deleted and none added that could speak for the others.
pub fn tests_to_restore(changes: &[Change]) -> impl Iterator<Item = &str> {
    changes.iter().filter(|change| is_test_path(&change.path)).map(|change| change.path.as_str())
}

/// Source files of which existing lines may be tests that stand inside the code.
pub fn may_hold_tests(changes: &[Change]) -> impl Iterator<Item = &str> {
    changes.iter().filter(|c| c.kind == ChangeKind::Modified && c.path.ends_with(".rs")).map(|c| c.path.as_str())
}

/// Whether lines of a Rust source's inline tests are missing or changed: from the first `#[cfg(test)]` or `#[test]` on,
/// every line of the base must be in the head, in its order.
pub fn loses_inline_tests(base: &str, head: &str) -> bool {
    let is_mark = |line: &&str| line.trim_start().starts_with("#[cfg(test)]") || line.trim_start().starts_with("#[test]");
    let mut head = head.lines().skip_while(|line| !is_mark(line));
    base.lines().skip_while(|line| !is_mark(line)).any(|line| !head.any(|there| there == line))
}

/// The digest of what a difference adds and takes away, whatever stands around it and however lines end: two attempts with
/// the same fingerprint are the same.
pub fn fingerprint(diff: &str) -> Digest {
    let counts = |line: &&str| (line.starts_with(['+', '-']) && !line[1..].trim().is_empty()) || line.starts_with("rename");
    let lines: Vec<&str> = diff.lines().filter(counts).map(str::trim_end).collect();
    Digest::of(lines.join("\n").as_bytes())
}

/// What a change does to the tests that only the task can justify, in words for the model: tests that are deleted, and
/// tests that are told not to run.
pub fn weakened_tests(changes: &[Change], diff: &str) -> Option<String> {
    let is_deleted = |change: &&Change| change.kind == ChangeKind::Deleted && is_test_path(&change.path);
    let deleted: Vec<&str> = changes.iter().filter(is_deleted).map(|change| change.path.as_str()).collect();
    let skipped = |line: &&str| line.starts_with('+') && !line.starts_with("+++") && SKIPS.iter().any(|skip| line.contains(skip));
    let skips: Vec<&str> = diff.lines().filter(skipped).take(WEAKENED_SHOWN_MAX).map(str::trim_end).collect();
    let told = match (deleted.is_empty(), skips.is_empty()) {
        (true, true) => return None,
        (false, _) => format!("Your change deletes tests: {}.", deleted.join(", ")),
        (true, false) => format!("Your change keeps tests from running:\n{}", skips.join("\n")),
    };
    Some(format!("{told}\nTake that back unless the task asks for it; mend the code instead."))
}

/// How many lines are shown that keep tests from running.
const WEAKENED_SHOWN_MAX: usize = 10;

/// How the common test runners are told to leave a test out.
const SKIPS: [&str; 16] = [
    "#[ignore",
    "@pytest.mark.skip",
    "@pytest.mark.xfail",
    "pytest.skip(",
    "@unittest.skip",
    "self.skipTest(",
    "raise SkipTest",
    "it.skip(",
    "test.skip(",
    "describe.skip(",
    "xit(",
    "xdescribe(",
    "t.Skip(",
    "t.SkipNow(",
    "@Disabled",
    "@Ignore",
];

/// Why a change may not be published at all, whatever the tests say.
pub fn forbidden(changes: &[Change]) -> Option<String> {
    let change = changes.iter().find(|change| is_protected(&change.path))?;
    let kinds = "workflows, actions, code owners and the settings of update bots are not for an agent to change";
    Some(format!("the patch changes {}; {kinds}", code(&change.path)))
}

fn is_protected(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let file = path.rsplit('/').next().unwrap_or(&path);
    path.split('/').next() == Some(".github") || PROTECTED_FILES.contains(&file)
}

/// In lower case; whatever folder they are in.
const PROTECTED_FILES: [&str; 7] =
    ["codeowners", "action.yml", "action.yaml", "renovate.json", "renovate.json5", ".renovaterc", "dependabot.yml"];

/// Whether a path is, by the conventions of the common languages, a test or what tests are configured by.
pub fn is_test_path(path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let in_test_folder = folder.split('/').any(|part| TEST_FOLDERS.contains(&part));
    let stem = file.split('.').next().unwrap_or(file);
    let by_name = stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || stem.ends_with("_spec")
        || matches!(stem, "test" | "tests")
        || [".test.", ".spec."].iter().any(|infix| file.contains(infix));
    in_test_folder || by_name || TEST_CONFIGURATION.contains(&file)
}

const TEST_FOLDERS: [&str; 7] = ["test", "tests", "__tests__", "spec", "specs", "testdata", "__snapshots__"];
const TEST_CONFIGURATION: [&str; 21] = [
    "conftest.py",
    "pytest.ini",
    ".pytest.ini",
    "tox.ini",
    ".coveragerc",
    "jest.config.js",
    "jest.config.ts",
    "jest.config.cjs",
    "jest.config.mjs",
    "jest.config.json",
    ".mocharc.js",
    ".mocharc.cjs",
    ".mocharc.json",
    ".mocharc.jsonc",
    ".mocharc.yml",
    ".mocharc.yaml",
    "vitest.config.ts",
    "vitest.config.js",
    "vitest.config.mts",
    "vitest.config.mjs",
    "nextest.toml",
];

#[cfg(test)]
mod tests;
