//! What test runners wrote of each test: one reader for each format.
//!
//! A reader takes what is there and never guesses: a text that is no such report is [`Unreadable`], and what a runner leaves
//! unfinished is not complete. All of it was written in reach of the code under test, so that a report is evidence only
//! together with how the command ended.

use patchwright_domain::results::{Format, Results, TESTS_MAX, TooMany};

mod go;
mod jest;
mod junit;
mod libtest;
mod nextest;
mod unittest;

/// How large a report may be, in bytes.
pub const REPORT_BYTES_MAX: usize = 64 << 20;

/// A text that is not the report that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is larger than is read.
    #[error("the report has {0} bytes, more than the {REPORT_BYTES_MAX} that are read")]
    TooLarge(usize),
    /// It has more tests than are read.
    #[error("the report has more than {TESTS_MAX} tests")]
    TooMany(#[from] TooMany),
    /// It breaks the rules of its format.
    #[error("the report is malformed: {0}")]
    Malformed(String),
}

/// Reads a report.
///
/// # Errors
/// [`Unreadable::TooLarge`] and [`Unreadable::TooMany`] beyond the limits, [`Unreadable::Malformed`] for what is no such
/// report. The formats that are lines among others have no malformed texts, only such without a test.
pub fn read(format: Format, report: &[u8]) -> Result<Results, Unreadable> {
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

#[cfg(test)]
mod tests;
