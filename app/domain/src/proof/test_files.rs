//! Which files of a patch are tests: by what they are called, or since nothing but tests has them.

use std::collections::BTreeSet;

use super::paths::{is_test_path, may_hold_tests};
use crate::journal::Change;

/// What is known of the files of a patch beside their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFiles {
    /// Files that are compiled for tests alone, since what declares them is.
    pub declared: BTreeSet<String>,
    /// Whether all that declares files was looked through.
    pub is_whole: bool,
}

impl Default for TestFiles {
    fn default() -> Self {
        Self { declared: BTreeSet::new(), is_whole: true }
    }
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
}
