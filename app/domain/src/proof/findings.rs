//! What stands in the patch itself against its proof, with the place of each.
//!
//! Code under test runs in the tests' process, so no run can show that it behaves elsewhere as it does there. What some of these
//! gates look for is code that asks whether it is being tested, or reaches for the runner: honest patches have next to no use for
//! it, and a person decides about those that do. Others look at what no run shows at all: files that steer the repository or its
//! agents, secrets, and what became of the tests that were there. They are a list of known ways and no proof that there is no
//! other. What a finding weighs is said by its [gate](Gate::weight).

use serde::{Deserialize, Serialize};

use crate::journal::Change;
use crate::proof::difference::{Difference, Line};
use crate::proof::secrets::{self, Hit};

mod files;
mod kept_tests;
mod signs;

/// How many findings are kept: the weightiest.
pub const FINDINGS_MAX: usize = 100;
/// How much of a line is told, in characters.
const LINE_CHARS_MAX: usize = 120;

/// Something in the patch that speaks against its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked for.
    pub gate: Gate,
    /// The file; empty where it is about the tests as a whole.
    pub path: String,
    /// The line's number in it, where it is about a line; where that is gone, of the line that stands in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The line itself, or what became of the file.
    pub told: String,
}

/// Whether a file says what a setup fetches: a lock file, or what one is made from.
pub fn names_dependencies(path: &str) -> bool {
    files::names_dependencies(path)
}

impl Finding {
    /// Where it is, for people: a line of a file, a file, or no place of its own.
    pub fn place(&self) -> Option<String> {
        let place = self.line.map_or_else(|| self.path.clone(), |line| format!("{}:{line}", self.path));
        (!self.path.is_empty()).then_some(place)
    }
}

/// What is looked for in a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// A secret is added.
    Secret,
    /// More is added than is looked through.
    NotLookedThrough,
    /// A file that steers the repository is changed.
    Protected,
    /// What agents are told to do is changed.
    Instructions,
    /// A test that was there is deleted.
    TestDeleted,
    /// A test that was there has a name by which it is not run.
    TestRenamedAway,
    /// A file of tests that was there is gone, and all that it asserts stands in another one.
    TestMoved,
    /// A test is told not to run.
    TestSkipped,
    /// A test file asserts less than it did, or tests that passed are gone, and fewer have come.
    TestWeakened,
    /// A number below which the tests' coverage counts as too little is lower than it was, or gone.
    ThresholdLowered,
    /// Code asks whether it is being tested, or by whom it is called.
    KnowsItIsTested,
    /// Code asks for the environment, which differs between a test and its use.
    AsksTheEnvironment,
    /// Code reaches for the test runner or its assertions, or changes tests while they run.
    ReachesForTheRunner,
    /// Code runs a text that is put together, or is in letters that are not those that are shown.
    CannotBeRead,
    /// The program has a file of tests that it did not have.
    UsesTests,
    /// A file may be a test or code, and nothing tells which.
    MayBeATest,
    /// A file of tests, or one that decides how they are run, was changed while the tests ran.
    TestsRewritten,
    /// A folder with such files may have been moved away and back while the tests ran.
    FolderMoved,
    /// Code ends its process, which would end the tests'.
    EndsTheProcess,
    /// A file that building makes, or somebody else's code.
    Artefact,
    /// A file that is not text.
    Binary,
    /// What is locked differs, though what it is made from is the same.
    LockFileAlone,
    /// Code is in a language in which nothing is known by which it would ask whether it is being tested.
    NotLookedFor,
    /// A file can be started, or is a link, and was not.
    ModeChanged,
}

/// What a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// People are told.
    Told,
    /// The patch's own tests prove nothing: the tests that were there have to.
    WantsTheBasesTests,
    /// Nothing proves the patch.
    ForbidsProof,
    /// The patch is shown to nobody.
    ForbidsPublishing,
}

impl Gate {
    /// What a finding of it weighs.
    pub fn weight(self) -> Weight {
        match self {
            Self::Secret | Self::NotLookedThrough | Self::Protected | Self::Instructions => Weight::ForbidsPublishing,
            Self::TestDeleted
            | Self::TestRenamedAway
            | Self::TestSkipped
            | Self::ThresholdLowered
            | Self::KnowsItIsTested
            | Self::AsksTheEnvironment
            | Self::ReachesForTheRunner
            | Self::CannotBeRead
            | Self::UsesTests
            | Self::MayBeATest
            | Self::TestsRewritten
            | Self::FolderMoved
            | Self::EndsTheProcess
            | Self::Artefact
            | Self::Binary
            | Self::LockFileAlone => Weight::ForbidsProof,
            Self::TestWeakened => Weight::WantsTheBasesTests,
            Self::TestMoved | Self::NotLookedFor | Self::ModeChanged => Weight::Told,
        }
    }

    /// The sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Secret => "The patch adds a secret.",
            Self::NotLookedThrough => "The patch adds more than is looked through, so that nobody knows what is in it.",
            Self::Protected => "This steers what is run and who is asked in this repository, and no test speaks about it.",
            Self::Instructions => "This tells agents what to do, and no test speaks about it.",
            Self::TestDeleted => "An existing test is deleted.",
            Self::TestRenamedAway => "An existing test stands where it is not run any more.",
            Self::TestMoved => "An existing test file is gone, and another one has all its assertions.",
            Self::TestSkipped => "A test is told not to run.",
            Self::TestWeakened => {
                "Existing tests check less than before: a file has fewer assertions, or a test is not run any more."
            }
            Self::ThresholdLowered => "A threshold is lower than before, or gone.",
            Self::KnowsItIsTested => "The code asks whether it is being tested.",
            Self::AsksTheEnvironment => "The code asks for its environment, which differs between a test and its use.",
            Self::ReachesForTheRunner => "The code reaches for the test runner, or for the tests while they run.",
            Self::CannotBeRead => {
                "The code runs a text that is put together, or is written in letters of its own, so that it cannot be read."
            }
            Self::UsesTests => "The program now uses a file of tests, which is not looked through as its code is.",
            Self::MayBeATest => "It cannot be told whether this is code or a test, so nothing shows what the tests say about it.",
            Self::TestsRewritten => {
                "What decides the tests, or is one, is changed while they run, so what they say is not what was read."
            }
            Self::FolderMoved => {
                "A folder with tests, or with what decides them, may have been moved while they ran, and others put in its place."
            }
            Self::EndsTheProcess => "The code ends its process, and with it the tests'.",
            Self::Artefact => "This is made by a build, or is somebody else's code; no test speaks about where it comes from.",
            Self::Binary => "This is not text, so that nobody can read what it changes.",
            Self::LockFileAlone => "A lock file is changed, and nothing that it is made from.",
            Self::NotLookedFor => {
                "Whether code of this language asks if it is being tested, or reaches for the runner, was not looked for."
            }
            Self::ModeChanged => "This is another kind of file than before.",
        }
    }
}

/// Looks through a patch; `secrets` are those that were found in it, and `fallbacks` are the names of files that agents here take
/// their instructions from beside those that all do.
pub fn findings(changes: &[Change], difference: &Difference, secrets: &[Hit], fallbacks: &[String]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = secrets.iter().map(Hit::finding).collect();
    let is_too_much = secrets::is_too_much(&difference.added);
    if !difference.is_whole || is_too_much {
        let path = changes.first().map(|change| change.path.clone()).unwrap_or_default();
        let told = format!("{} files are changed", changes.len());
        findings.push(Finding { gate: Gate::NotLookedThrough, path, line: None, told });
    }
    findings.extend(files::of_files(changes, difference, fallbacks));
    findings.extend(kept_tests::of_tests(changes, difference));
    findings.extend(difference.test_files.findings());
    // What is not looked through is shown to nobody, and would take long.
    if !is_too_much {
        findings.extend(signs::of_lines(&difference.added));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.gate.weight()));
    findings.truncate(FINDINGS_MAX);
    for finding in &mut findings {
        secrets.iter().for_each(|secret| secret.hide(finding));
    }
    findings
}

/// What is found on a line.
fn found(gate: Gate, line: &Line) -> Finding {
    let told: String = line.text.trim().chars().take(LINE_CHARS_MAX).collect();
    Finding { gate, path: line.path.clone(), line: Some(line.line), told }
}

#[cfg(test)]
mod tests;
