//! Which files of a patch are tests: by what they are called, or since nothing but tests has them.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Finding, Gate};
use super::paths::{is_test_path, may_hold_tests};
use crate::journal::Change;

/// What is known of the files of a patch beside their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestFiles {
    /// Files that are compiled for tests alone, since what declares them is.
    pub declared: BTreeSet<String>,
    /// Files that are tests, and that the program has as well with the patch.
    pub used: BTreeSet<String>,
    /// Where the program begins to have a file of tests.
    pub uses: Vec<Use>,
    /// Files that may be tests or code, each with why that is not certain.
    pub uncertain: BTreeMap<String, String>,
}

/// A place at which the program has a file of tests that it did not have before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The file of the program.
    pub path: String,
    /// The line in it, where that is known.
    pub line: Option<u32>,
    /// The file of tests.
    pub of: String,
    /// Whether that is known; otherwise it may have that file, or another.
    pub is_certain: bool,
}

impl TestFiles {
    /// Whether a file is a test.
    pub fn has(&self, path: &str) -> bool {
        self.declared.contains(path) || is_test_path(path)
    }

    /// Source files in which tests may stand inside the code.
    pub fn mixed<'a>(&'a self, changes: &'a [Change]) -> impl Iterator<Item = &'a str> {
        may_hold_tests(changes).filter(|path| !self.declared.contains(*path))
    }

    /// What of that speaks against a proof.
    pub(super) fn findings(&self) -> impl Iterator<Item = Finding> {
        let uses = self.uses.iter().map(|found| Finding {
            gate: Gate::UsesTests,
            path: found.path.clone(),
            line: found.line,
            told: format!("{} {}", if found.is_certain { "has" } else { "may have" }, found.of),
        });
        let uncertain = self.uncertain.iter().map(|(path, why)| Finding {
            gate: Gate::MayBeATest,
            path: path.clone(),
            line: None,
            told: why.clone(),
        });
        uses.chain(uncertain)
    }
}
