//! The rows of what nobody needs any more.

use jiff::Timestamp;
use rusqlite::Savepoint;

use super::super::records::{length, milliseconds};
use super::{Forgotten, StoreError};
use crate::store::DELIVERY_KEPT_LONGER;

pub(super) fn forget(tx: &Savepoint<'_>, before: Timestamp, count: u32) -> Result<Forgotten, StoreError> {
    let ended = "SELECT id FROM job WHERE outcome IS NOT NULL AND ended_at < ?1 ORDER BY ended_at LIMIT ?2";
    let mut statement = tx.prepare_cached(ended)?;
    let jobs = statement.query_map((milliseconds(before), count), |row| row.get::<_, String>(0))?;
    let mut forgotten = Forgotten::default();
    for job in jobs.collect::<Result<Vec<String>, _>>()? {
        for sql in ["DELETE FROM spending WHERE job = ?1", "DELETE FROM entry WHERE job = ?1", "DELETE FROM job WHERE id = ?1"] {
            tx.prepare_cached(sql)?.execute([&job])?;
        }
        forgotten.jobs += 1;
    }
    let oldest: Option<i64> = tx.prepare_cached("SELECT min(created_at) FROM job")?.query_row([], |row| row.get(0))?;
    let before = oldest.unwrap_or(i64::MAX).min(milliseconds(before));
    let artifacts =
        "DELETE FROM artifact WHERE rowid IN (SELECT rowid FROM artifact WHERE kept_at < ?1 ORDER BY kept_at LIMIT ?2)";
    forgotten.artifacts = n_rows(tx.prepare_cached(artifacts)?.execute((before, count))?);
    let deliveries = "DELETE FROM delivery WHERE rowid IN (SELECT rowid FROM delivery \
                      WHERE decision IS NOT NULL AND received_at < ?1 ORDER BY received_at LIMIT ?2)";
    let before = before.saturating_sub(length(DELIVERY_KEPT_LONGER));
    forgotten.deliveries = n_rows(tx.prepare_cached(deliveries)?.execute((before, count))?);
    Ok(forgotten)
}

fn n_rows(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
