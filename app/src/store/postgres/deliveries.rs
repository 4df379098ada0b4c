//! The rows of deliveries and what is decided of them.

use std::collections::HashSet;

use jiff::Timestamp;
use patchwright_domain::event::{DeliveryId, RawDelivery};
use patchwright_domain::job::{JobId, JobKey};
use patchwright_domain::policy::Decision;
use sqlx::PgConnection;

use super::super::records::{duplicate, in_itself, milliseconds, several, timestamp};
use super::{Decided, Received, StoreError, Waiting, jobs, wake};
use crate::store::packed::{New, unpack};

/// Stores them all by one statement, and says of each what became of it.
pub(super) async fn receive(tx: &mut PgConnection, batch: &[New]) -> Result<Vec<Received>, StoreError> {
    let sql = "INSERT INTO delivery (id, event, encoding, body, received_at, decide_after) \
               SELECT id, event, encoding, body, received_at, received_at \
               FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::bigint[]) \
               AS new (id, event, encoding, body, received_at) ON CONFLICT DO NOTHING RETURNING id";
    let ids: Vec<&str> = batch.iter().map(|new| new.id.as_str()).collect();
    let events: Vec<&str> = batch.iter().map(|new| new.event.as_str()).collect();
    let encodings: Vec<i64> = batch.iter().map(|new| new.encoding).collect();
    let bodies: Vec<&[u8]> = batch.iter().map(|new| new.body.as_slice()).collect();
    let times: Vec<i64> = batch.iter().map(|new| milliseconds(new.received_at)).collect();
    let rows = sqlx::query_scalar(sql).bind(ids).bind(events).bind(encodings).bind(bodies).bind(times);
    let mut stored: HashSet<String> = rows.fetch_all(tx).await?.into_iter().collect();
    // Of one that is among them twice, the first is the one that was stored.
    let became = |new: &New| if stored.remove(new.id.as_str()) { Received::Stored } else { Received::Known };
    Ok(batch.iter().map(became).collect())
}

/// Deliveries that wait, and those among them that nobody could ever decide on, each with why.
pub(super) struct Found {
    pub(super) sound: Vec<Waiting>,
    pub(super) broken: Vec<(DeliveryId, String)>,
}

pub(super) async fn undecided(tx: &mut PgConnection, now: Timestamp, count: u32) -> Result<Found, StoreError> {
    let sql = "SELECT id, event, encoding, body, received_at, postponed FROM delivery WHERE decision IS NULL AND decide_after <= $1 \
               ORDER BY received_at, number LIMIT $2";
    let rows = sqlx::query_as::<_, (String, String, i64, Vec<u8>, i64, i64)>(sql).bind(milliseconds(now)).bind(i64::from(count));
    let mut found = Found { sound: Vec::new(), broken: Vec::new() };
    for (id, event, encoding, body, received_at, postponed) in rows.fetch_all(tx).await? {
        let id = DeliveryId::new(id).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        match unpack(encoding, body) {
            Ok(body) => {
                let delivery = RawDelivery { id, event, body, received_at: timestamp(received_at)? };
                found.sound.push(Waiting { delivery, n_postponed: jobs::small(postponed)? });
            }
            Err(error) => found.broken.push((id, error.to_string())),
        }
    }
    Ok(found)
}

/// Decides that nothing comes of what nobody could ever decide on: the others would wait behind it.
pub(super) async fn give_up(tx: &mut PgConnection, broken: Vec<(DeliveryId, String)>, now: Timestamp) -> Result<(), StoreError> {
    for (id, because) in broken {
        tracing::error!(delivery.id = %id, "a delivery is given up: {because}");
        decide(tx, &id, Decision::give_up(because), now).await?;
    }
    Ok(())
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
        Decision::Several { decisions } => {
            let mut done = Vec::new();
            for part in decisions {
                done.push(follow(tx, part, now).await?);
            }
            several(done)
        }
        one => follow(tx, one, now).await?,
    };
    settle(tx, id, &decision).await?;
    Ok(decided)
}

/// Does one thing that follows from a delivery, and says what of it is to be stored.
async fn follow(tx: &mut PgConnection, decision: Decision, now: Timestamp) -> Result<(Decision, Decided), StoreError> {
    Ok(match decision {
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
        ignored @ Decision::Ignore { .. } => (ignored, Decided::Stored),
        nested @ Decision::Several { .. } => return Err(in_itself(&nested)),
    })
}

async fn settle(tx: &mut PgConnection, id: &DeliveryId, decision: &Decision) -> Result<(), StoreError> {
    let text = serde_json::to_string(decision).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    sqlx::query("UPDATE delivery SET decision = $2 WHERE id = $1").bind(id.as_str()).bind(text).execute(tx).await?;
    Ok(())
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
