//! The rows of deliveries and what is decided of them.

use jiff::Timestamp;
use patchwright_domain::event::{DeliveryId, RawDelivery};
use patchwright_domain::job::{JobId, JobKey};
use patchwright_domain::policy::Decision;
use rusqlite::{Connection, Savepoint};

use super::super::records::{duplicate, in_itself, milliseconds, several, timestamp};
use super::{Decided, Received, StoreError, Waiting, jobs, optional};
use crate::store::packed::{New, unpack};

pub(super) fn receive(tx: &Connection, new: &New) -> Result<Received, StoreError> {
    let sql = "INSERT INTO delivery (id, event, encoding, body, received_at, decide_after) VALUES (?1, ?2, ?3, ?4, ?5, ?5) \
               ON CONFLICT DO NOTHING";
    let row = (new.id.as_str(), &new.event, new.encoding, &new.body, milliseconds(new.received_at));
    let inserted = tx.prepare_cached(sql)?.execute(row)?;
    Ok(if inserted == 1 { Received::Stored } else { Received::Known })
}

pub(super) fn undecided(tx: &Savepoint<'_>, now: Timestamp, count: u32) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT id, event, encoding, body, received_at, postponed FROM delivery WHERE decision IS NULL AND decide_after <= ?1 \
               ORDER BY received_at, rowid LIMIT ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map((milliseconds(now), count), |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    })?;
    let mut waiting = Vec::new();
    for row in rows {
        let (id, event, encoding, body, received_at, n_postponed) = row?;
        let id = DeliveryId::new(id).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        match unpack(encoding, body) {
            Ok(body) => {
                let delivery = RawDelivery { id, event, body, received_at: timestamp(received_at)? };
                waiting.push(Waiting { delivery, n_postponed });
            }
            // Nobody could ever decide on it, and the others would wait behind it.
            Err(error) => {
                tracing::error!(delivery.id = %id, "a delivery is given up: {error}");
                settle(tx, &id, &Decision::give_up(error.to_string()))?;
            }
        }
    }
    Ok(waiting)
}

pub(super) fn postpone(tx: &Savepoint<'_>, id: &DeliveryId, until: Timestamp) -> Result<u32, StoreError> {
    let sql = "UPDATE delivery SET decide_after = ?2, postponed = postponed + 1 WHERE id = ?1 RETURNING postponed";
    let mut statement = tx.prepare_cached(sql)?;
    optional(statement.query_row((id.as_str(), milliseconds(until)), |row| row.get(0)))?.ok_or_else(|| unknown(id))
}

pub(super) fn received_at(tx: &Savepoint<'_>, id: &DeliveryId) -> Result<Timestamp, StoreError> {
    let mut statement = tx.prepare_cached("SELECT received_at FROM delivery WHERE id = ?1")?;
    let at: Option<i64> = optional(statement.query_row([id.as_str()], |row| row.get(0)))?;
    timestamp(at.ok_or_else(|| unknown(id))?)
}

pub(super) fn decision(tx: &Savepoint<'_>, id: &DeliveryId) -> Result<Option<Decision>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT decision FROM delivery WHERE id = ?1")?;
    let text: Option<String> = optional(statement.query_row([id.as_str()], |row| row.get(0)))?.ok_or_else(|| unknown(id))?;
    text.map(|text| serde_json::from_str(&text).map_err(|e| StoreError::Corrupt(e.to_string()))).transpose()
}

pub(super) fn decide(tx: &Savepoint<'_>, id: &DeliveryId, decision: Decision, now: Timestamp) -> Result<Decided, StoreError> {
    if is_decided(tx, id)? {
        return Ok(Decided::Before);
    }
    let (decision, decided) = match decision {
        Decision::Several { decisions } => {
            let done = decisions.into_iter().map(|part| follow(tx, part, now)).collect::<Result<Vec<_>, StoreError>>()?;
            several(done)
        }
        one => follow(tx, one, now)?,
    };
    settle(tx, id, &decision)?;
    Ok(decided)
}

/// Does one thing that follows from a delivery, and says what of it is to be stored.
fn follow(tx: &Savepoint<'_>, decision: Decision, now: Timestamp) -> Result<(Decision, Decided), StoreError> {
    Ok(match decision {
        Decision::Start { spec, because } => match jobs::insert(tx, &spec, now)? {
            true => (Decision::Start { spec, because }, Decided::Stored),
            false => duplicate(&spec),
        },
        Decision::Cancel { keys, because } => {
            cancel(tx, &keys, &because, now)?;
            (Decision::Cancel { keys, because }, Decided::Stored)
        }
        ignored @ Decision::Ignore { .. } => (ignored, Decided::Stored),
        nested @ Decision::Several { .. } => return Err(in_itself(&nested)),
    })
}

fn settle(tx: &Savepoint<'_>, id: &DeliveryId, decision: &Decision) -> Result<(), StoreError> {
    let text = serde_json::to_string(decision).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    tx.prepare_cached("UPDATE delivery SET decision = ?2 WHERE id = ?1")?.execute((id.as_str(), text))?;
    Ok(())
}

fn is_decided(tx: &Savepoint<'_>, id: &DeliveryId) -> Result<bool, StoreError> {
    let mut statement = tx.prepare_cached("SELECT decision IS NOT NULL FROM delivery WHERE id = ?1")?;
    optional(statement.query_row([id.as_str()], |row| row.get(0)))?.ok_or_else(|| unknown(id))
}

fn cancel(tx: &Savepoint<'_>, keys: &[JobKey], because: &str, now: Timestamp) -> Result<(), StoreError> {
    keys.iter().try_for_each(|key| jobs::request_cancel(tx, &JobId::of(key), because.to_owned(), now))
}

fn unknown(id: &DeliveryId) -> StoreError {
    StoreError::Unknown { what: format!("delivery {id}") }
}
