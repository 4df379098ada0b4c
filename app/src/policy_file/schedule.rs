//! What a repository has done at certain times.

use std::num::NonZeroU64;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::{SignedDuration, Timestamp};
use patchwright_domain::event::{IssueNumber, Untrusted};
use patchwright_domain::policy::schedule::Schedule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy_file::values::{Command, Cron};

/// How many entries there may be.
pub(super) const SCHEDULES_MAX: usize = 10;
/// How far two times of one entry lie apart at least.
const APART: SignedDuration = SignedDuration::from_hours(1);
/// How many fields there are: minute, hour, day of the month, month, day of the week.
const FIELDS: usize = 5;
/// How a command is begun when it is looked at here; how this server is called makes no difference.
const MENTION: &str = "@patchwright";

/// Something that is done at certain times, as if somebody had asked for it who may.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
pub struct Entry(Written);

/// An entry as it is written, of which each value is right by itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// When: minute, hour, day of the month, month and day of the week as in a crontab, in UTC, and not more often than every hour.
    pub cron: Cron,
    /// The number of the issue that it is about, which has to be open.
    pub issue: NonZeroU64,
    /// Whether that is a pull request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pull_request: bool,
    /// What is done, in the words that stand behind the mention elsewhere, in one line: `fix`, `ask`, `plan`, `review` or `prove` with
    /// what is wanted, or words of one's own.
    pub command: Command,
}

impl TryFrom<Written> for Entry {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let entry = Self(written);
        entry.clone().into_schedule().command(MENTION)?;
        Ok(entry)
    }
}

impl From<Entry> for Written {
    fn from(Entry(written): Entry) -> Self {
        written
    }
}

impl Entry {
    pub(super) fn into_schedule(self) -> Schedule {
        let Written { cron, issue, pull_request, command } = self.0;
        Schedule {
            cron: cron.0,
            issue: IssueNumber(issue.get()),
            on_pull_request: pull_request,
            command: Untrusted::new(command.0.trim()),
        }
    }
}

/// The times of an entry.
#[derive(Debug)]
pub struct Times(Crontab);

impl Times {
    /// Reads the five fields.
    ///
    /// # Errors
    /// Why they are none, or are more often than every hour.
    pub fn parse(cron: &str) -> Result<Self, String> {
        let fields: Vec<&str> = cron.split_ascii_whitespace().collect();
        let [_, _, day, _, weekday] = fields.as_slice() else {
            let n = fields.len();
            return Err(format!(
                "it has {n} fields, and there are {FIELDS}: minute, hour, day of the month, month, day of the week"
            ));
        };
        // What some crons know besides is not the same in any two of them.
        if day.contains(|c: char| c.is_ascii_alphabetic()) || weekday.contains(['L', 'l', '#']) || cron.contains(['?', 'H']) {
            return Err(
                "there are numbers, names of months and days of the week, `*`, `,`, `-` and `/` in it, and nothing else".into()
            );
        }
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let odd = |error: cronexpr::Error| {
            let told = error.to_string();
            let why = told.rsplit("^ ").next().unwrap_or_default().to_owned();
            format!("that is no time of cron: {why}")
        };
        let times = Self(cronexpr::parse_crontab_with(&fields.join(" "), options).map_err(odd)?);
        times.are_apart().map(|()| times)
    }

    /// Of three that follow each other, two are in one hour where there are two in any.
    fn are_apart(&self) -> Result<(), String> {
        let next = |after| self.next(after).ok_or("it comes to no time within four years");
        let first = next(Timestamp::UNIX_EPOCH)?;
        let second = next(first)?;
        let third = next(second)?;
        let is_apart = |one: Timestamp, other: Timestamp| other.duration_since(one) >= APART;
        let told = "it comes more often than every hour: name one minute, such as `0 * * * *`";
        if is_apart(first, second) && is_apart(second, third) { Ok(()) } else { Err(told.into()) }
    }

    /// The first minute behind a moment, if one is soon enough.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.0.find_next(MakeTimestamp(after)).ok().map(|zoned| zoned.timestamp())
    }
}

#[cfg(test)]
mod tests;
