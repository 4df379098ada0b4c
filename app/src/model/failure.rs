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
    BrokenOff(u64),
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

    pub(super) fn rejected(words: String) -> Self {
        Self { kind: Kind::Rejected, words }
    }

    /// The same failure, knowing how much of the reply had arrived: what has begun has cost something.
    pub(super) fn behind(self, output_bytes: u64) -> Self {
        match self.kind {
            Kind::Unavailable if output_bytes > 0 => Self { kind: Kind::BrokenOff(output_bytes), ..self },
            Kind::Unavailable
            | Kind::RateLimited(_)
            | Kind::BrokenOff(_)
            | Kind::Unauthorized
            | Kind::ContextOverflow
            | Kind::Rejected
            | Kind::UnknownModel => self,
        }
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
            Kind::BrokenOff(output_bytes) => ModelError::BrokenOff { reason: message, output_bytes },
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
    // Google wraps it in a list.
    let json = if json.is_array() { &json[0] } else { &json };
    let error = if json["error"].is_null() { json } else { &json["error"] };
    let said = words_of(error);
    let words = if said.is_empty() { format!("HTTP status {status}") } else { format!("HTTP status {status}: {said}") };
    let asked = retry_after(headers);
    let kind = match status.as_u16() {
        401 | 403 => Kind::Unauthorized,
        402 => Kind::Rejected,
        // Before the words: of the tokens in a minute, too, it is said that the request is too large for them.
        429 if is_out_of_quota(error) => Kind::Rejected,
        429 => Kind::RateLimited(asked.or_else(|| wait(error, said))),
        _ if is_overflow(error, said) => Kind::ContextOverflow,
        404 => Kind::UnknownModel,
        413 => Kind::ContextOverflow,
        503 | 529 if asked.is_some() => Kind::RateLimited(asked),
        408 | 409 | 425 | 500..=599 => Kind::Unavailable,
        _ => Kind::Rejected,
    };
    Failure { kind, words }
}

/// Of an error object inside a stream.
pub(super) fn of_event(error: &Value) -> Failure {
    let code = names_of(error).into_iter().flatten().next().unwrap_or_default();
    let words = match (words_of(error), code) {
        ("", "") => "the reply failed without a reason".to_owned(),
        ("", code) => code.to_owned(),
        (words, _) => words.to_owned(),
    };
    let is = |codes: &[&str]| names_of(error).into_iter().flatten().any(|name| codes.contains(&name));
    // Some endpoints give the HTTP status that it would have been.
    let status = error["code"].as_u64().or_else(|| error["status"].as_u64()).unwrap_or(0);
    let kind = if is_out_of_quota(error) || status == 402 {
        Kind::Rejected
    } else if is(&["rate_limit_exceeded", "rate_limit_error"]) || status == 429 {
        Kind::RateLimited(wait(error, &words))
    } else if is_overflow(error, &words) {
        Kind::ContextOverflow
    } else if is(&["invalid_api_key", "authentication_error", "permission_error"]) || matches!(status, 401 | 403) {
        Kind::Unauthorized
    } else if is(&["model_not_found", "not_found_error"]) || status == 404 {
        Kind::UnknownModel
    } else if is(&["invalid_prompt", "invalid_request_error", "cyber_policy"]) || status == 400 {
        Kind::Rejected
    } else {
        Kind::Unavailable
    };
    Failure { kind, words }
}

/// What an endpoint calls the error: some put the precise name into `code`, some into `type`.
fn names_of(error: &Value) -> [Option<&str>; 2] {
    [error["code"].as_str(), error["type"].as_str()]
}

fn words_of(error: &Value) -> &str {
    error["message"].as_str().or_else(|| error["detail"].as_str()).or_else(|| error.as_str()).unwrap_or_default()
}

/// How endpoints say that a conversation is too long, in lower case; few have a code for it.
const OVERFLOW_WORDS: [&str; 15] = [
    // OpenAI, DeepSeek, vLLM, Mistral.
    "maximum context length",
    "exceeds the context window",
    "request too large for",
    // Anthropic.
    "prompt is too long",
    "exceed context limit",
    // llama.cpp.
    "exceeds the available context size",
    "exceed_context_size",
    // Ollama, LM Studio, SGLang.
    "exceeds the context length",
    "exceeded max context length",
    "greater than the context length",
    "longer than the model's context length",
    // vLLM's engine.
    "longer than the maximum model length",
    // Gemini, Bedrock, Groq.
    "exceeds the maximum number of tokens",
    "input is too long",
    "reduce the length of the messages",
];

fn is_overflow(error: &Value, words: &str) -> bool {
    let codes = ["context_length_exceeded", "exceed_context_size_error", "request_too_large"];
    let words = words.to_ascii_lowercase();
    names_of(error).into_iter().flatten().any(|name| codes.contains(&name))
        || OVERFLOW_WORDS.iter().any(|part| words.contains(part))
}

fn is_out_of_quota(error: &Value) -> bool {
    let codes = ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"];
    names_of(error).into_iter().flatten().any(|name| codes.contains(&name))
}

/// Reads `retry-after-ms`, and `Retry-After` as seconds, with a unit, or as a date, the latter against the response's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
        return seconds(ms / 1000.0);
    }
    let value = text(RETRY_AFTER.as_str()).or_else(|| text("x-retry-after"))?;
    if let Ok(value) = value.parse::<f64>() {
        return seconds(value);
    }
    if let Some(wait) = length(&value.to_ascii_lowercase()) {
        return Some(wait);
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp());
    let wait = date(value)?.duration_since(date(text(DATE.as_str())?)?);
    seconds(wait.as_secs_f64().max(0.0))
}

fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok().map(|wait| wait.min(RETRY_AFTER_MAX))
}

/// How long an error itself says to wait: in Google's field for it, or in words.
fn wait(error: &Value, words: &str) -> Option<Duration> {
    let mut details = error["details"].as_array().into_iter().flatten();
    let delay = details.find_map(|detail| detail["retryDelay"].as_str());
    delay.and_then(|delay| length(&delay.to_ascii_lowercase())).or_else(|| wait_in(words))
}

/// Reads "try again in 1.5s", "retry in 20 ms", "retry after 6m0s", "retry after 7", the last of which means seconds.
fn wait_in(words: &str) -> Option<Duration> {
    const MARKS: [&str; 4] = ["try again in ", "try again after ", "retry in ", "retry after "];
    let lower = words.to_ascii_lowercase();
    let behind = MARKS.iter().find_map(|mark| lower.split_once(mark))?.1;
    length(behind).or_else(|| {
        let n_digits = behind.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(behind.len());
        // The full stop may be the sentence's.
        seconds(behind[..n_digits].trim_end_matches('.').parse::<f64>().ok()?)
    })
}

/// Reads the length of time that a text in lower case begins with.
fn length(mut rest: &str) -> Option<Duration> {
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
