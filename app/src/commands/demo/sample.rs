//! The demo's repository: a few lines with a bug, a test that shows it, and the patch of the scripted model.
//!
//! In Rust where there is a cargo, for everybody who built this program has one; in shell elsewhere.

use patchwright::model::scripted::Step;

pub(super) const ISSUE_TITLE: &str = "The mean of a list is wrong";
pub(super) const ISSUE_BODY: &str = "\
`mean` of 2, 4 and 6 gives 6, and I expected 4.

It divides by one too few, and for a list of one it divides by zero.";

/// A repository with a bug.
pub(super) struct Sample {
    pub(super) name: &'static str,
    /// Path, content, and whether it may be executed.
    pub(super) files: &'static [(&'static str, &'static [u8], bool)],
    look: &'static str,
    patch: &'static str,
    test: &'static str,
}

impl Sample {
    /// What the scripted model does: it looks, patches, runs the tests, and says what it did.
    pub(super) fn steps(&self) -> Vec<Step> {
        vec![
            Step::Shell(self.look.into()),
            Step::ApplyPatch(self.patch.into()),
            Step::Shell(self.test.into()),
            Step::Message(ANSWER.into()),
        ]
    }
}

const ANSWER: &str = "\
`mean` divided by the number of values less one, which is right for a variance and wrong for a mean. \
It now divides by their number. The tests that were there fail before the change and pass with it.";

/// The sample that this machine can test.
pub(super) fn for_this_machine() -> &'static Sample {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&folders).any(|folder| folder.join("cargo").is_file()) { &RUST } else { &SHELL }
}

static RUST: Sample = Sample {
    name: "averages",
    files: &[
        (".gitignore", b"/target\n", false),
        ("Cargo.lock", b"version = 4\n\n[[package]]\nname = \"averages\"\nversion = \"0.1.0\"\n", false),
        ("Cargo.toml", b"[package]\nname = \"averages\"\nversion = \"0.1.0\"\nedition = \"2021\"\n", false),
        (
            "src/lib.rs",
            b"//! Averages of lists.\n\n\
              /// The arithmetic mean; `None` of nothing.\n\
              pub fn mean(values: &[f64]) -> Option<f64> {\n    \
              if values.is_empty() {\n        return None;\n    }\n    \
              let sum: f64 = values.iter().sum();\n    \
              Some(sum / (values.len() - 1) as f64)\n}\n",
            false,
        ),
        (
            "tests/mean.rs",
            b"use averages::mean;\n\n\
              #[test]\nfn the_mean_of_three() {\n    assert_eq!(mean(&[2.0, 4.0, 6.0]), Some(4.0));\n}\n\n\
              #[test]\nfn the_mean_of_one_is_itself() {\n    assert_eq!(mean(&[7.0]), Some(7.0));\n}\n\n\
              #[test]\nfn nothing_has_no_mean() {\n    assert_eq!(mean(&[]), None);\n}\n",
            false,
        ),
    ],
    look: "cat src/lib.rs",
    patch: "*** Begin Patch\n*** Update File: src/lib.rs\n@@ pub fn mean(values: &[f64]) -> Option<f64> {\n-    Some(sum / (values.len() - 1) as f64)\n\
            +    Some(sum / values.len() as f64)\n*** End Patch\n",
    test: "cargo test --offline",
};

static SHELL: Sample = Sample {
    name: "averages",
    files: &[
        (".github/patchwright.yml", b"commands:\n  test: sh tests/mean.sh\n", false),
        (
            "mean.sh",
            b"#!/bin/sh\n# Prints the arithmetic mean of its arguments, rounded down.\n\
              sum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\necho $((sum / ($# - 1)))\n",
            true,
        ),
        (
            "tests/mean.sh",
            b"test \"$(sh mean.sh 2 4 6)\" = 4 || { echo 'the mean of 2, 4 and 6 is not 4'; exit 1; }\n\
              test \"$(sh mean.sh 7)\" = 7 || { echo 'the mean of 7 is not 7'; exit 1; }\n",
            false,
        ),
    ],
    look: "cat mean.sh",
    patch: "*** Begin Patch\n*** Update File: mean.sh\n@@\n-echo $((sum / ($# - 1)))\n+echo $((sum / $#))\n*** End Patch\n",
    test: "sh tests/mean.sh",
};
