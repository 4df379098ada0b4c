//! The rows of what nobody needs any more. Several servers may look at once; what one has its hands on, the others pass over.

use jiff::Timestamp;
use sqlx::PgConnection;

use super::super::records::{length, milliseconds};
use super::{Forgotten, StoreError};
use crate::store::DELIVERY_KEPT_LONGER;

pub(super) async fn forget(tx: &mut PgConnection, before: Timestamp, count: u32) -> Result<Forgotten, StoreError> {
    let count = i64::from(count);
    let ended =
        "SELECT id FROM job WHERE outcome IS NOT NULL AND ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED";
    let jobs: Vec<String> = sqlx::query_scalar(ended).bind(milliseconds(before)).bind(count).fetch_all(&mut *tx).await?;
    for sql in [
        "DELETE FROM spending WHERE job = ANY($1)",
        "DELETE FROM entry WHERE job = ANY($1)",
        "DELETE FROM job WHERE id = ANY($1)",
    ] {
        sqlx::query(sql).bind(&jobs).execute(&mut *tx).await?;
    }
    let oldest: Option<i64> = sqlx::query_scalar("SELECT min(created_at) FROM job").fetch_one(&mut *tx).await?;
    let before = oldest.unwrap_or(i64::MAX).min(milliseconds(before));
    let artifacts = "DELETE FROM artifact WHERE digest IN \
                     (SELECT digest FROM artifact WHERE kept_at < $1 ORDER BY kept_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
    let artifacts = sqlx::query(artifacts).bind(before).bind(count).execute(&mut *tx).await?.rows_affected();
    let deliveries = "DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE decision IS NOT NULL AND received_at < $1 \
                      ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
    let before = before.saturating_sub(length(DELIVERY_KEPT_LONGER));
    let deliveries = sqlx::query(deliveries).bind(before).bind(count).execute(tx).await?.rows_affected();
    Ok(Forgotten { jobs: u64::try_from(jobs.len()).unwrap_or(u64::MAX), artifacts, deliveries })
}
