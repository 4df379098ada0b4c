//! `POST /webhooks/github`.
//!
//! | answer | when |
//! |---|---|
//! | 202 | it is durable, now or since before; what follows from it is decided later |
//! | 400 | a header is missing, or the body is no JSON |
//! | 401 | it is not signed, which is seen before the body is read, or not with our secret |
//! | 403 | it is of a kind of event that only this program itself makes |
//! | 408 | the body did not come in time |
//! | 413 | the body is longer than GitHub's own limit of 25 MB |
//! | 503 | it could not be made durable, or too much is being read at once; deliver it again |

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use patchwright_domain::event::{DeliveryId, RawDelivery};
use patchwright_domain::policy::schedule;
use serde_json::json;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::Server;
use crate::forge::Unauthentic;
use crate::store::{DELIVERY_BYTES_MAX, Received};

/// How long a body may take; GitHub itself gives up after ten seconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an event's name may be, in bytes.
const EVENT_BYTES_MAX: usize = 100;

/// A delivery that is not taken, with what to do about it.
struct Refused {
    status: StatusCode,
    error: String,
}

fn refused<T>(status: StatusCode, error: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { status, error: error.into() })
}

pub(super) async fn receive(State(server): State<Server>, room: Arc<Semaphore>, headers: HeaderMap, body: Body) -> Response {
    match take(&server, &room, &headers, body).await {
        Ok((id, received)) => {
            let is_new = received == Received::Stored;
            info!(delivery.id = %id, is_new, "received");
            (StatusCode::ACCEPTED, Json(json!({ "delivery": id.as_str(), "new": is_new }))).into_response()
        }
        Err(Refused { status, error }) => {
            warn!(status = status.as_u16(), "a delivery is refused: {error}");
            let mut response = (status, Json(json!({ "error": error }))).into_response();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            response
        }
    }
}

async fn take(server: &Server, room: &Semaphore, headers: &HeaderMap, body: Body) -> Result<(DeliveryId, Received), Refused> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let announced = text(CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > DELIVERY_BYTES_MAX) {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 25 MB");
    }
    let signature = text("x-hub-signature-256");
    // Whoever cannot sign shall not make us read.
    match signature {
        None => return refused(StatusCode::UNAUTHORIZED, Unauthentic::Unsigned.to_string()),
        Some(header) if !may_be_signature(header) => {
            return refused(StatusCode::UNAUTHORIZED, Unauthentic::Mismatch.to_string());
        }
        Some(_) => {}
    }
    let needed = announced.unwrap_or(DELIVERY_BYTES_MAX).div_ceil(1024).max(1);
    let Ok(_room) = room.try_acquire_many(u32::try_from(needed).unwrap_or(u32::MAX)) else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "too many deliveries are being read; deliver it again");
    };
    let body = read(body).await?;
    if let Err(error) = server.forge.authenticate(signature, &body) {
        return refused(StatusCode::UNAUTHORIZED, error.to_string());
    }
    let Some(event) = text("x-github-event").filter(|event| !event.is_empty() && event.len() <= EVENT_BYTES_MAX) else {
        return refused(StatusCode::BAD_REQUEST, "the X-GitHub-Event header is missing or too long");
    };
    // What asks by itself is handed to the store from within; it does not come from outside, whoever has signed it.
    if event.eq_ignore_ascii_case(schedule::EVENT) {
        return refused(StatusCode::FORBIDDEN, format!("`{event}` is no event of GitHub's, and is not taken from outside"));
    }
    let Some(id) = text("x-github-delivery") else {
        return refused(StatusCode::BAD_REQUEST, "the X-GitHub-Delivery header is missing");
    };
    let id = DeliveryId::new(id).or_else(|error| refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
        let hint = "the body is no JSON; set the webhook's content type to application/json";
        return refused(StatusCode::BAD_REQUEST, format!("{hint} ({error})"));
    }
    let delivery = RawDelivery { id: id.clone(), event: event.to_owned(), body, received_at: server.clock.now() };
    match server.store.receive(&delivery).await {
        Ok(received) => Ok((id, received)),
        Err(error) => {
            tracing::error!(delivery.id = %id, error = %error, "a delivery could not be made durable");
            refused(StatusCode::SERVICE_UNAVAILABLE, "the delivery could not be stored; deliver it again")
        }
    }
}

/// Whether a header has the form of a signature: `sha256=` and 64 hexadecimal digits.
fn may_be_signature(header: &str) -> bool {
    header.strip_prefix("sha256=").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

async fn read(body: Body) -> Result<Vec<u8>, Refused> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, DELIVERY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 25 MB")
        }
        Ok(Err(_)) => refused(StatusCode::BAD_REQUEST, "the body broke off"),
        Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "the body did not come within 30 seconds"),
    }
}
