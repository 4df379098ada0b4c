//! What operators look at.

use jiff::Timestamp;
use sqlx::PgConnection;

use super::super::records::milliseconds;
use super::StoreError;
use crate::store::listing::{GivenUp, Listed, Row, Standing, Wanted, columns, given_up, is_given_up, listed};

pub(super) async fn jobs(tx: &mut PgConnection, wanted: &Wanted, count: u32, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!("$7"),
        " FROM (SELECT * FROM job ",
        "WHERE created_at >= $1 AND ($2::text IS NULL OR outcome = $2) AND ($3::text IS NULL OR $3 = CASE ",
        "WHEN outcome IS NOT NULL THEN 'done' WHEN lease_until IS NOT NULL THEN 'running' ELSE 'waiting' END) ",
        "AND ($4::text IS NULL OR position($4 IN lower(spec)) > 0) AND ($5::text IS NULL OR id = $5) ",
        "ORDER BY created_at DESC, number DESC LIMIT $6) AS job ORDER BY created_at DESC, number DESC"
    );
    let rows = sqlx::query_as::<_, Row>(sql).bind(wanted.since.map_or(i64::MIN, milliseconds));
    let rows = rows.bind(wanted.outcome.map(|outcome| outcome.as_str())).bind(wanted.standing.map(Standing::as_str));
    let rows = rows.bind(wanted.repository.as_ref().map(|name| name.written()));
    let rows = rows.bind(wanted.job.as_ref().map(|job| job.as_str().to_owned())).bind(i64::from(count));
    let rows = rows.bind(milliseconds(now));
    rows.fetch_all(tx).await?.into_iter().map(listed).collect()
}

pub(super) async fn deliveries_given_up(tx: &mut PgConnection, count: u32) -> Result<Vec<GivenUp>, StoreError> {
    let sql = concat!(
        "SELECT id, event, received_at, decision FROM delivery WHERE ",
        is_given_up!(),
        " ORDER BY received_at DESC, number DESC LIMIT $1"
    );
    let rows = sqlx::query_as::<_, (String, String, i64, String)>(sql).bind(i64::from(count));
    rows.fetch_all(tx).await?.into_iter().map(given_up).collect()
}
