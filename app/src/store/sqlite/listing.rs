//! What operators look at.

use jiff::Timestamp;
use patchwright_domain::job::JobId;
use rusqlite::Savepoint;

use super::super::records::milliseconds;
use super::StoreError;
use crate::store::listing::{GivenUp, Listed, Row, Standing, Wanted, columns, given_up, is_given_up, listed};

const DELIVERIES_GIVEN_UP: &str = concat!(
    "SELECT id, event, received_at, decision FROM delivery WHERE ",
    is_given_up!(),
    " ORDER BY received_at DESC, rowid DESC LIMIT ?1"
);

pub(super) fn jobs(tx: &Savepoint<'_>, wanted: &Wanted, count: u32, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!("?7"),
        " FROM (SELECT rowid AS place, * FROM job ",
        "WHERE created_at >= ?1 AND (?2 IS NULL OR outcome = ?2) AND (?3 IS NULL OR ?3 = CASE ",
        "WHEN outcome IS NOT NULL THEN 'done' WHEN lease_until IS NOT NULL THEN 'running' ELSE 'waiting' END) ",
        "AND (?4 IS NULL OR instr(lower(spec), ?4) > 0) AND (?5 IS NULL OR id = ?5) ",
        "ORDER BY created_at DESC, rowid DESC LIMIT ?6) AS job ORDER BY created_at DESC, place DESC"
    );
    let mut statement = tx.prepare_cached(sql)?;
    let parameters = (
        wanted.since.map_or(i64::MIN, milliseconds),
        wanted.outcome.map(|outcome| outcome.as_str()),
        wanted.standing.map(Standing::as_str),
        wanted.repository.as_ref().map(|name| name.written()),
        wanted.job.as_ref().map(JobId::as_str),
        count,
        milliseconds(now),
    );
    let rows = statement.query_map(parameters, |row| Row::try_from(row))?;
    rows.map(|row| listed(row?)).collect()
}

pub(super) fn deliveries_given_up(tx: &Savepoint<'_>, count: u32) -> Result<Vec<GivenUp>, StoreError> {
    let mut statement = tx.prepare_cached(DELIVERIES_GIVEN_UP)?;
    let rows = statement.query_map([count], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    rows.map(|row| given_up(row?)).collect()
}

#[cfg(test)]
mod tests;
