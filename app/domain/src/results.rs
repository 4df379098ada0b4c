//! What a run of the tests said of each test.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub mod place;
pub mod table;

/// How many tests a report may have.
pub const TESTS_MAX: usize = 200_000;
/// How long a test's name may be where it is told, in characters; the rest is cut off.
pub const NAME_CHARS_MAX: usize = 500;

/// How one test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran and held, or failed as it was expected to.
    Passed,
    /// It was not run.
    Skipped,
    /// It ran and did not hold.
    Failed,
    /// It could not be run: it does not compile, cannot be imported, or its preparation failed.
    Errored,
}

/// The formats in which runners report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JUnit's XML, as pytest, Node's test runner, Maven and Gradle write it.
    Junit,
    /// What `cargo test` prints.
    Libtest,
    /// What `cargo nextest run` prints.
    Nextest,
    /// What `python3 -m unittest -v` prints.
    Unittest,
    /// What `go test -json` prints: one JSON object a line.
    Go,
    /// What Jest's `--json` and Vitest's JSON reporter write.
    Jest,
}

/// What was said of each test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// How each test ended, by its name.
    pub tests: BTreeMap<String, Status>,
    /// Whether the runner said that it came to its end.
    pub is_complete: bool,
}

/// There are more tests than are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {TESTS_MAX} tests")]
pub struct TooMany;

impl Results {
    /// Adds a test. Of one that is reported more than once the worst counts. Its name is taken whole, however long: where a
    /// secret in it would be cut, nobody could find what is left of it.
    ///
    /// # Errors
    /// [`TooMany`] beyond [`TESTS_MAX`].
    pub fn add(&mut self, name: &str, status: Status) -> Result<(), TooMany> {
        self.put(name.to_owned(), status);
        if self.tests.len() > TESTS_MAX { Err(TooMany) } else { Ok(()) }
    }

    /// The same under the names that are told: as `veil` shows them, and only then cut.
    #[must_use]
    pub fn told(self, veil: impl Fn(&str) -> String) -> Self {
        let mut told = Self { tests: BTreeMap::new(), is_complete: self.is_complete };
        for (name, status) in self.tests {
            told.put(veil(&name).chars().take(NAME_CHARS_MAX).collect(), status);
        }
        told
    }

    fn put(&mut self, name: String, status: Status) {
        let known = self.tests.entry(name).or_insert(status);
        *known = status.max(*known);
    }

    /// How many tests ended like this.
    pub fn count(&self, status: Status) -> usize {
        self.tests.values().filter(|known| **known == status).count()
    }
}

/// What a test is called by itself, without its file, module or group.
pub fn own_name(test: &str) -> &str {
    if let Some((_, sentence)) = test.rsplit_once(" > ").filter(|(_, name)| name.contains(' ')) {
        return sentence;
    }
    let name = test.rsplit(" > ").next().unwrap_or(test);
    // What stands in brackets are a test's parameters, which may have any of these signs.
    let bare = name.split('[').next().unwrap_or(name);
    let start = bare.rfind(['.', ':', '/']).map_or(0, |at| at + 1);
    &name[start..]
}
