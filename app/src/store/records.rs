//! How times, specifications and decisions are written in rows: the same in every database.

use std::time::Duration;

use jiff::Timestamp;
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::{Digest, Outcome};
use patchwright_domain::policy::Decision;

use super::{Decided, JobState, StoreError};

/// The other jobs that have a worker and share these columns with a `job`: the text is the same for every database.
macro_rules! beside {
    ($column:literal $(, $further:literal)*) => {
        concat!(
            "FROM job AS other WHERE other.", $column, " = job.", $column,
            $(" AND other.", $further, " = job.", $further,)*
            " AND other.outcome IS NULL AND other.lease_until IS NOT NULL AND other.id <> job.id"
        )
    };
}
pub(super) use beside;

/// Those of them whose leases hold at this moment: others are free, and take no place from anybody. Replies, which are about no
/// issue, are no work: they take no place either, and none is beside them.
macro_rules! at_work_beside {
    ($column:literal, $now:literal) => {
        concat!(
            $crate::store::records::beside!($column),
            " AND job.issue IS NOT NULL AND other.issue IS NOT NULL AND other.lease_until > ",
            $now
        )
    };
}
pub(super) use at_work_beside;

pub(super) fn milliseconds(at: Timestamp) -> i64 {
    at.as_millisecond()
}

pub(super) fn timestamp(milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|e| StoreError::Corrupt(e.to_string()))
}

pub(super) fn later(now: Timestamp, by: Duration) -> i64 {
    now.as_millisecond().saturating_add(length(by))
}

pub(super) fn earlier(now: Timestamp, by: Duration) -> i64 {
    now.as_millisecond().saturating_sub(length(by))
}

/// By how many milliseconds a job lets others go first; it goes before others by as many below zero.
pub(super) fn gives_way(spec: &JobSpec) -> i64 {
    i64::try_from(spec.gives_way().as_millis()).unwrap_or(i64::MAX)
}

/// A length of time, in milliseconds.
pub(super) fn length(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A number of GitHub's, in a column that has a sign.
pub(super) fn number(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is no number that GitHub gives")))
}

pub(super) fn read_spec(text: &str) -> Result<JobSpec, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Corrupt(format!("a job's specification cannot be read: {e}")))
}

fn read_outcome(name: &str) -> Result<Outcome, StoreError> {
    serde_json::from_value(serde_json::Value::String(name.into())).map_err(|e| StoreError::Corrupt(e.to_string()))
}

/// Where a job stands, by the columns that say so.
pub(super) fn read_state(outcome: Option<&str>, is_leased: bool) -> Result<JobState, StoreError> {
    match outcome {
        Some(name) => Ok(JobState::Done(read_outcome(name)?)),
        None if is_leased => Ok(JobState::Running),
        None => Ok(JobState::Ready),
    }
}

/// A user's number, for counting. One that GitHub does not give counts like all such.
pub(super) fn user_number(user: u64) -> i64 {
    i64::try_from(user).unwrap_or(i64::MAX)
}

/// How much work a user ($3) has asked for in a repository ($1) since then ($2), and how much all have, each up to $4.
macro_rules! recent_work {
    () => {
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM job WHERE repo = $1 AND created_at >= $2 AND issue IS NOT NULL \
         AND requested_by = $3 LIMIT $4) AS these), (SELECT count(*) FROM (SELECT 1 FROM job WHERE repo = $1 AND created_at >= $2 \
         AND issue IS NOT NULL LIMIT $4) AS all_of_them)"
    };
}
pub(super) use recent_work;

/// How many answers were given in a place ($3) of a repository ($1) since then ($2), and how many in all of it, each up to $4.
macro_rules! recent_answers {
    () => {
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM job WHERE repo = $1 AND created_at >= $2 AND issue IS NULL \
         AND place = $3 LIMIT $4) AS these), (SELECT count(*) FROM (SELECT 1 FROM job WHERE repo = $1 AND created_at >= $2 \
         AND issue IS NULL LIMIT $4) AS all_of_them)"
    };
}
pub(super) use recent_answers;

pub(super) fn read_digest(text: &str) -> Result<Digest, StoreError> {
    Digest::parse(text).ok_or_else(|| StoreError::Corrupt(format!("`{text}` is no digest")))
}

/// What is stored of several things that followed from one delivery. It is stored as it was where any of them is.
pub(super) fn several(done: Vec<(Decision, Decided)>) -> (Decision, Decided) {
    let (decisions, decided): (Vec<Decision>, Vec<Decided>) = done.into_iter().unzip();
    let first_other = decided.iter().find(|decided| **decided != Decided::Stored).cloned();
    let decided = if decided.contains(&Decided::Stored) { None } else { first_other };
    (Decision::Several { decisions }, decided.unwrap_or(Decided::Stored))
}

/// Several things within several ones, which nobody decides.
pub(super) fn in_itself(decision: &Decision) -> StoreError {
    StoreError::Corrupt(format!("a decision holds several ones within itself: {}", decision.because()))
}

/// What is stored of a decision whose job was there before.
pub(super) fn duplicate(spec: &JobSpec) -> (Decision, Decided) {
    let job = spec.id();
    (Decision::ignore(format!("the same request has started job {job} before")), Decided::Duplicate { job })
}
