//! The rows of deliveries and what is decided of them.

use jiff::Timestamp;
use patchwright_domain::event::{DeliveryId, RawDelivery};
use patchwright_domain::job::{JobId, JobKey};
use patchwright_domain::policy::Decision;
use sqlx::PgConnection;

use super::super::records::{duplicate, milliseconds, timestamp};
use super::{Decided, Received, StoreError, jobs, wake};

pub(super) async fn receive(tx: &mut PgConnection, delivery: &RawDelivery) -> Result<Received, StoreError> {
    let sql = "INSERT INTO delivery (id, event, body, received_at, decide_after) VALUES ($1, $2, $3, $4, $4) \
               ON CONFLICT DO NOTHING";
    let row = sqlx::query(sql).bind(delivery.id.as_str()).bind(&delivery.event).bind(&delivery.body);
    let inserted = row.bind(milliseconds(delivery.received_at)).execute(tx).await?;
    Ok(if inserted.rows_affected() == 1 { Received::Stored } else { Received::Known })
}

pub(super) async fn undecided(tx: &mut PgConnection, now: Timestamp, count: u32) -> Result<Vec<RawDelivery>, StoreError> {
    let sql = "SELECT id, event, body, received_at FROM delivery WHERE decision IS NULL AND decide_after <= $1 \
               ORDER BY received_at, number LIMIT $2";
    let rows = sqlx::query_as::<_, (String, String, Vec<u8>, i64)>(sql).bind(milliseconds(now)).bind(i64::from(count));
    let rows = rows.fetch_all(tx).await?.into_iter();
    rows.map(|(id, event, body, received_at)| {
        let id = DeliveryId::new(id).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        Ok(RawDelivery { id, event, body, received_at: timestamp(received_at)? })
    })
    .collect()
}

pub(super) async fn postpone(tx: &mut PgConnection, id: &DeliveryId, until: Timestamp) -> Result<u32, StoreError> {
    let sql = "UPDATE delivery SET decide_after = $2, postponed = postponed + 1 WHERE id = $1 RETURNING postponed";
    let postponed = sqlx::query_scalar(sql).bind(id.as_str()).bind(milliseconds(until)).fetch_optional(tx).await?;
    jobs::small(postponed.ok_or_else(|| unknown(id))?)
}

pub(super) async fn received_at(tx: &mut PgConnection, id: &DeliveryId) -> Result<Timestamp, StoreError> {
    let sql = "SELECT received_at FROM delivery WHERE id = $1";
    let at = sqlx::query_scalar(sql).bind(id.as_str()).fetch_optional(tx).await?;
    timestamp(at.ok_or_else(|| unknown(id))?)
}

pub(super) async fn decision(tx: &mut PgConnection, id: &DeliveryId) -> Result<Option<Decision>, StoreError> {
    let sql = "SELECT decision FROM delivery WHERE id = $1";
    let text: Option<Option<String>> = sqlx::query_scalar(sql).bind(id.as_str()).fetch_optional(tx).await?;
    let text = text.ok_or_else(|| unknown(id))?;
    text.map(|text| serde_json::from_str(&text).map_err(|e| StoreError::Corrupt(e.to_string()))).transpose()
}

/// Two intakes that decide on the same delivery wait for each other at its row.
pub(super) async fn decide(
    tx: &mut PgConnection,
    id: &DeliveryId,
    decision: Decision,
    now: Timestamp,
) -> Result<Decided, StoreError> {
    let sql = "SELECT decision IS NOT NULL FROM delivery WHERE id = $1 FOR UPDATE";
    let is_decided: Option<bool> = sqlx::query_scalar(sql).bind(id.as_str()).fetch_optional(&mut *tx).await?;
    if is_decided.ok_or_else(|| unknown(id))? {
        return Ok(Decided::Before);
    }
    let (decision, decided) = match decision {
        Decision::Start { spec, because } => match jobs::insert(tx, &spec, now).await? {
            true => {
                wake::tell(tx).await?;
                (Decision::Start { spec, because }, Decided::Stored)
            }
            false => duplicate(&spec),
        },
        Decision::Cancel { keys, because } => {
            cancel(tx, &keys, &because, now).await?;
            (Decision::Cancel { keys, because }, Decided::Stored)
        }
        Decision::Ignore { because } => (Decision::Ignore { because }, Decided::Stored),
    };
    let text = serde_json::to_string(&decision).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    sqlx::query("UPDATE delivery SET decision = $2 WHERE id = $1").bind(id.as_str()).bind(text).execute(tx).await?;
    Ok(decided)
}

/// In one order everywhere, so that two that cancel the same jobs never wait for each other in a circle.
async fn cancel(tx: &mut PgConnection, keys: &[JobKey], because: &str, now: Timestamp) -> Result<(), StoreError> {
    let mut jobs: Vec<JobId> = keys.iter().map(JobId::of).collect();
    jobs.sort();
    jobs.dedup();
    for job in jobs {
        jobs::request_cancel(tx, &job, because, now).await?;
    }
    Ok(())
}

fn unknown(id: &DeliveryId) -> StoreError {
    StoreError::Unknown { what: format!("delivery {id}") }
}
