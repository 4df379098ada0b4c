//! Why a patch counts as unproven.

use serde::{Deserialize, Serialize};

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
    /// A test did not end the same way every time on the same tree.
    Flaky,
    /// Something in the patch itself speaks against its proof.
    Suspect,
    /// Tests that must fail were not reported as failing with the patch, and were without it.
    RunnerDeceives,
    /// It could not be seen whether files of tests were changed while they ran.
    Unwatched,
    /// With the patch's own tests the fault that it mends is not seen any more.
    TestsWeakened,
    /// The patch's own tests fail with it.
    OwnTestsFail,
    /// Without the patch the tests do not fail, but cannot be compiled or imported.
    DoesNotBuild,
    /// The run's time was up before anything was run with the patch.
    OutOfTime,
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
            Self::Flaky => "A test that should show it does not always end the same way on the same tree, so it shows nothing.",
            Self::Suspect => {
                "The patch has lines or files that could make its tests pass for another reason than that it is right; they are named below."
            }
            Self::RunnerDeceives => {
                "With the patch, tests of the harness that must fail were not reported as failing: it changes what the test runner reports."
            }
            Self::Unwatched => {
                "Whether the tests' files were changed while they ran could not be seen, so their passing says nothing about the patch."
            }
            Self::TestsWeakened => {
                "The patch mends what the tests of the base show, but its own versions of those tests pass without it."
            }
            Self::OwnTestsFail => "The tests that come with the patch fail with it.",
            Self::DoesNotBuild => {
                "Without the patch the tests cannot be compiled or imported, so that nothing shows what they would say of the code."
            }
            Self::TestsTouched => {
                "The patch changes or deletes existing tests inside a source file, so the tests' passing says nothing about it."
            }
            Self::OutOfTime => {
                "The time ran out before the patch was tested: no result of its tests was seen, and nobody has looked for what speaks against it."
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
            Self::Suspect => "Read the places that are named, and decide by hand.",
            Self::Flaky => "Make the test steady, or review the patch by hand.",
            Self::RunnerDeceives => "Do not merge this without reading every line: honest code has no reason to do that.",
            Self::Unwatched => {
                "See that the tests leave no more in their tree than can be looked through (a million files, 128 folders deep), or review the patch by hand."
            }
            Self::TestsWeakened | Self::OwnTestsFail => "Look at the patch's tests first, or ask again.",
            Self::OutOfTime => {
                "Read it and run its tests, or ask again with a narrower task; an operator may raise `limits.wall_clock_minutes`."
            }
            Self::DoesNotBuild => {
                "Add a failing test that can be built without the patch; where the build is what it mends, ask for that: `prove build`, or `patchwright prove --build`."
            }
        }
    }

    /// Whether another round may do better.
    pub fn is_worth_a_round(self) -> bool {
        match self {
            Self::StillRed | Self::Regression | Self::TestsWeakened | Self::OwnTestsFail => true,
            Self::NoTestCommand
            | Self::GreenBefore
            | Self::Inconclusive
            | Self::TestCommandTouched
            | Self::TestsTouched
            | Self::Flaky
            | Self::Suspect
            | Self::RunnerDeceives
            | Self::Unwatched
            | Self::DoesNotBuild
            | Self::OutOfTime => false,
        }
    }
}
