//! What a run of the tests said of each test, read from what the test runner wrote.
//!
//! One file per format. A reader takes what is there and never guesses: a text that is no such report is [`Unreadable`], and
//! what a runner leaves unfinished is not complete. All of it was written in reach of the code under test, so that a report
//! is evidence only together with how the command ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod go;
mod jest;
mod junit;
mod libtest;
mod nextest;
pub mod table;
mod unittest;

/// How large a report may be, in bytes.
pub const REPORT_BYTES_MAX: usize = 64 << 20;
/// How many tests a report may have.
pub const TESTS_MAX: usize = 200_000;
/// How long a test's name may be, in characters; the rest is cut off.
const NAME_CHARS_MAX: usize = 500;

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

/// The formats that are read.
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

/// A text that is not the report that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is larger than is read.
    #[error("the report has {0} bytes, more than the {REPORT_BYTES_MAX} that are read")]
    TooLarge(usize),
    /// It has more tests than are read.
    #[error("the report has more than {TESTS_MAX} tests")]
    TooMany,
    /// It breaks the rules of its format.
    #[error("the report is malformed: {0}")]
    Malformed(String),
}

impl Results {
    /// Reads a report.
    ///
    /// # Errors
    /// [`Unreadable::TooLarge`] and [`Unreadable::TooMany`] beyond the limits, [`Unreadable::Malformed`] for what is no
    /// such report. The formats that are lines among others have no malformed texts, only such without a test.
    pub fn read(format: Format, report: &[u8]) -> Result<Self, Unreadable> {
        if report.len() > REPORT_BYTES_MAX {
            return Err(Unreadable::TooLarge(report.len()));
        }
        let text = String::from_utf8_lossy(report);
        match format {
            Format::Junit => junit::read(&text),
            Format::Libtest => libtest::read(&text),
            Format::Nextest => nextest::read(&text),
            Format::Unittest => unittest::read(&text),
            Format::Go => go::read(&text),
            Format::Jest => jest::read(&text),
        }
    }

    /// Adds a test. Of one that is reported more than once the worst counts.
    fn add(&mut self, name: &str, status: Status) -> Result<(), Unreadable> {
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let known = self.tests.entry(name).or_insert(status);
        *known = status.max(*known);
        if self.tests.len() > TESTS_MAX { Err(Unreadable::TooMany) } else { Ok(()) }
    }

    /// How many tests ended like this.
    pub fn count(&self, status: Status) -> usize {
        self.tests.values().filter(|known| **known == status).count()
    }

    /// The report of several that tell of different parts of one run.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (name, status) in other.tests {
            let known = self.tests.entry(name).or_insert(status);
            *known = status.max(*known);
        }
        self.is_complete &= other.is_complete;
        self
    }
}

#[cfg(test)]
mod tests;
