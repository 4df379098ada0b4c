//! From what an endpoint says went wrong to what the caller should do.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::model::ModelError;

/// How much of an endpoint's own words is repeated, in characters.
const WORDS_MAX: usize = 300;
/// The longest wait that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A failure before it is given the names of endpoint and model.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    words: String,
}

#[derive(Debug)]
enum Kind {
    RateLimited(Option<Duration>),
    Unavailable,
    Unauthorized,
    ContextOverflow,
    Rejected,
    UnknownModel,
}

/// What a message names, and what it must not.
pub(super) struct Naming<'a> {
    pub(super) host: &'a str,
    pub(super) model: &'a str,
    pub(super) key: Option<&'a str>,
}

impl Failure {
    pub(super) fn unavailable(words: String) -> Self {
        Self { kind: Kind::Unavailable, words }
    }

    /// The port's error; whatever the endpoint said, the key is not in it.
    pub(super) fn into_error(self, naming: &Naming<'_>) -> ModelError {
        let mut words = self.words;
        if let Some(key) = naming.key.map(str::trim).filter(|key| !key.is_empty()) {
            words = words.replace(key, "[key]");
        }
        let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect();
        let message = format!("{}: {words}", naming.host);
        match self.kind {
            Kind::RateLimited(retry_after) => ModelError::RateLimited { retry_after },
            Kind::Unavailable => ModelError::Unavailable(message),
            Kind::Unauthorized => ModelError::Unauthorized(message),
            Kind::ContextOverflow => ModelError::ContextOverflow(message),
            Kind::Rejected => ModelError::Rejected(message),
            Kind::UnknownModel => ModelError::Rejected(format!("{message} (model '{}')", naming.model)),
        }
    }
}

/// Of an HTTP status that is not 200.
pub(super) fn of_status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let error = if json["error"].is_null() { &json } else { &json["error"] };
    let code = code_of(error);
    let words = match words_of(error) {
        "" => format!("HTTP status {status}"),
        words => format!("HTTP status {status}: {words}"),
    };
    let told = retry_after(headers).or_else(|| wait_in(&words));
    let kind = match status.as_u16() {
        _ if is_overflow(code, &words) => Kind::ContextOverflow,
        401 | 403 => Kind::Unauthorized,
        404 => Kind::UnknownModel,
        413 => Kind::ContextOverflow,
        429 if is_out_of_quota(code) => Kind::Rejected,
        429 => Kind::RateLimited(told),
        503 if retry_after(headers).is_some() => Kind::RateLimited(told),
        408 | 409 | 425 | 500..=599 => Kind::Unavailable,
        _ => Kind::Rejected,
    };
    Failure { kind, words }
}

/// Of the error object of `response.failed` or of an `error` event.
pub(super) fn of_event(error: &Value) -> Failure {
    let code = code_of(error);
    let words = match (words_of(error), code) {
        ("", "") => "the reply failed without a reason".to_owned(),
        ("", code) => code.to_owned(),
        (words, _) => words.to_owned(),
    };
    let kind = match code {
        _ if is_overflow(code, &words) => Kind::ContextOverflow,
        _ if is_out_of_quota(code) => Kind::Rejected,
        "rate_limit_exceeded" => Kind::RateLimited(wait_in(&words)),
        "invalid_api_key" => Kind::Unauthorized,
        "model_not_found" => Kind::UnknownModel,
        "invalid_prompt" | "invalid_request_error" | "cyber_policy" => Kind::Rejected,
        _ => Kind::Unavailable,
    };
    Failure { kind, words }
}

/// Of a reply that the endpoint cut short. A new attempt may well be shorter, but a filter decides the same again.
pub(super) fn of_incomplete(response: &Value) -> Failure {
    let reason = response["incomplete_details"]["reason"].as_str().unwrap_or("unknown");
    let kind = if reason == "content_filter" { Kind::Rejected } else { Kind::Unavailable };
    Failure { kind, words: format!("the reply was cut short: {reason}") }
}

fn code_of(error: &Value) -> &str {
    error["code"].as_str().or_else(|| error["type"].as_str()).unwrap_or_default()
}

fn words_of(error: &Value) -> &str {
    error["message"].as_str().or_else(|| error.as_str()).unwrap_or_default()
}

fn is_overflow(code: &str, words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    code == "context_length_exceeded" || words.contains("maximum context length") || words.contains("exceeds the context window")
}

fn is_out_of_quota(code: &str) -> bool {
    matches!(code, "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active")
}

/// Reads `retry-after-ms`, and `Retry-After` as seconds or as a date, the latter against the response's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
        return seconds(ms / 1000.0);
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Ok(value) = value.parse::<f64>() {
        return seconds(value);
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp());
    let wait = date(value)?.duration_since(date(text(DATE.as_str())?)?);
    seconds(wait.as_secs_f64().max(0.0))
}

fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok().map(|wait| wait.min(RETRY_AFTER_MAX))
}

/// Reads "try again in 1.5s", "in 20 ms", "in 6m0s".
fn wait_in(words: &str) -> Option<Duration> {
    const MARK: &str = "try again in ";
    let lower = words.to_ascii_lowercase();
    let mut rest = &lower[lower.find(MARK)? + MARK.len()..];
    let mut total = None;
    while let Some(n_digits) = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|n| *n > 0) {
        let (number, behind) = rest.split_at(n_digits);
        let behind = behind.trim_start();
        let unit = &behind[..behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len())];
        let scale = match unit {
            "ms" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            _ => break,
        };
        total = Some(total.unwrap_or(0.0) + number.parse::<f64>().ok()? * scale);
        rest = &behind[unit.len()..];
    }
    seconds(total?)
}
