//! What GitHub has sent to the App's webhook, and asking for it again.
//!
//! GitHub lists each attempt by itself; those of one delivery share its name. It sends nothing again unasked, and what is
//! older than three days not at all.

use http::Method;
use jiff::Timestamp;
use patchwright_domain::event::DeliveryId;
use serde_json::{Value, json};

use super::GitHub;
use super::client::Call;
use crate::forge::{Attempt, Attempts, Cursor, ForgeError};

/// The longest cursor that is sent back, in bytes.
const CURSOR_BYTES_MAX: usize = 500;

impl GitHub {
    pub(super) async fn list_attempts(&self, from: Option<&Cursor>) -> Result<Attempts, ForgeError> {
        let cursor = from.map(|cursor| format!("&cursor={}", cursor.0)).unwrap_or_default();
        let path = format!("/app/hook/deliveries?per_page=100{cursor}");
        let answer = self.client.call_as_app(&Call::get(path, "listing the deliveries")).await?;
        let attempts = answer.body.as_array().into_iter().flatten().filter_map(attempt).collect();
        Ok(Attempts { attempts, next: answer.link.as_deref().and_then(next) })
    }

    pub(super) async fn ask_again(&self, attempt: &Attempt) -> Result<(), ForgeError> {
        let path = format!("/app/hook/deliveries/{}/attempts", attempt.number);
        let call = Call::new(Method::POST, path, json!({}), "asking for a delivery again");
        self.client.call_as_app(&call).await.map(|_| ())
    }
}

/// Reads one attempt; what lacks a number, a name or a time cannot be asked for.
fn attempt(listed: &Value) -> Option<Attempt> {
    let status = listed.get("status_code").and_then(Value::as_u64);
    Some(Attempt {
        number: listed.get("id")?.as_u64()?,
        delivery: DeliveryId::new(listed.get("guid")?.as_str()?).ok()?,
        at: listed.get("delivered_at")?.as_str()?.parse::<Timestamp>().ok()?,
        is_taken: status.is_some_and(|status| (200..300).contains(&status)),
    })
}

/// The cursor in the link to the next page. Nothing else of the link is used.
fn next(link: &str) -> Option<Cursor> {
    let link = link.split(',').find(|link| link.contains("rel=\"next\""))?;
    let query = link.split_once('?')?.1.split_once('>')?.0;
    let cursor = query.split('&').find_map(|pair| pair.strip_prefix("cursor="))?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%=+".contains(&byte);
    let is_well_formed = !cursor.is_empty() && cursor.len() <= CURSOR_BYTES_MAX && cursor.bytes().all(is_plain);
    is_well_formed.then(|| Cursor(cursor.to_owned()))
}
