//! The App's webhook: what was delivered, newest first, and asking for it again.

use serde_json::{Value, json};

use super::{Answer, Call, PER_PAGE, PER_PAGE_MAX, Reply, invalid, not_found};
use crate::rehearsal::{body, hook::LISTED_SECONDS, scene::Attempt, world::World};

/// What precedes the number in a cursor; nobody is to read it.
const CURSOR: &str = "v1_";

pub(super) fn deliveries(world: &mut World, call: &Call) -> Reply {
    let per_page = call.query.get("per_page").and_then(|text| text.parse().ok()).unwrap_or(PER_PAGE).clamp(1, PER_PAGE_MAX);
    let before = match call.query.get("cursor") {
        None => u64::MAX,
        Some(cursor) => cursor
            .strip_prefix(CURSOR)
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| invalid("Hook", "cursor", "invalid", None))?,
    };
    let older: Vec<&Attempt> = listed(world).filter(|attempt| attempt.id < before).collect();
    let page = older.get(..per_page).unwrap_or(&older);
    let link = page
        .last()
        .filter(|_| older.len() > page.len())
        .map(|last| format!("<{}/app/hook/deliveries?per_page={per_page}&cursor={CURSOR}{}>; rel=\"next\"", world.api, last.id));
    let body = page.iter().map(|attempt| shape(world, attempt)).collect();
    Ok(Answer { status: 200, headers: link.into_iter().map(|link| ("link", link)).collect(), body })
}

fn listed(world: &World) -> impl Iterator<Item = &Attempt> {
    let oldest = world.now().as_second() - LISTED_SECONDS;
    world.attempts.iter().rev().filter(move |attempt| attempt.at.as_second() >= oldest)
}

fn shape(world: &World, attempt: &Attempt) -> Value {
    let delivery = world.deliveries.iter().find(|delivery| delivery.guid == attempt.guid);
    let status = match attempt.status {
        Some(200..300) => "OK",
        Some(_) => "Invalid HTTP Response",
        None => "timed out",
    };
    json!({
        "id": attempt.id,
        "guid": attempt.guid,
        "delivered_at": body::time(attempt.at),
        "redelivery": attempt.is_redelivery,
        "duration": 0.03,
        "status": status,
        "status_code": attempt.status.unwrap_or(0),
        "event": delivery.map_or("", |delivery| delivery.event),
        "action": delivery.map_or(&Value::Null, |delivery| &delivery.payload["action"]),
        "installation_id": delivery.and_then(|delivery| delivery.installation),
        "repository_id": delivery.and_then(|delivery| delivery.repository),
        "throttled_at": null,
    })
}

pub(super) fn redeliver(world: &mut World, call: &Call) -> Reply {
    let id = call.number("delivery_id")?;
    let guid = listed(world).find(|attempt| attempt.id == id).map(|attempt| attempt.guid.clone());
    world.redeliver(&guid.ok_or_else(not_found)?).ok_or_else(not_found)?;
    Ok(Answer { status: 202, headers: Vec::new(), body: json!({}) })
}
