//! What GitHub refuses, read as what the caller should do about it, and what people can.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::forge::ForgeError;

/// What to wait where a secondary limit names no time (GitHub's documentation: at least one minute).
const SECONDARY_LIMIT_PAUSE: Duration = Duration::from_secs(60);
/// How much of GitHub's error text is repeated.
const MESSAGE_CHARS_MAX: usize = 300;
/// How the request for a token begins its sentences.
pub(super) const ASKING_FOR_TOKEN: &str = "asking for an installation token";

const SUSPENDED: &str = "lift the App's suspension in the account's settings, under installed GitHub Apps, then ask again";
const NOT_INSTALLED: &str = "install the App on this account, and give it access to this repository, then ask again";
pub(super) const NOT_REACHED: &str = "give the App access to this repository; if it was transferred, install the App on the account that has it now, \
     then ask there again";
pub(super) const ARCHIVED: &str = "unarchive the repository in its settings, then ask again";
const NOT_FOUND: &str = "check that it is still there and that the App has access to this repository; if it was transferred, install the App \
     on the account that has it now";
const ISSUES_DISABLED: &str = "enable issues in the repository's settings, then ask again";
const LOCKED: &str = "unlock the conversation, or ask in another one";
const NOT_GRANTED: &str = "grant the App the permissions that the README lists and accept the change in the installation";

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The repository has another name now.
    Moved,
    /// The token is not taken.
    Token(ForgeError),
    /// Anything else.
    Told(ForgeError),
}

impl Refusal {
    /// The error to tell where nothing else can be done about it.
    pub(super) fn told(self) -> ForgeError {
        match self {
            Self::Token(error) | Self::Told(error) => error,
            Self::Moved => ForgeError::Unavailable("GitHub leads from one address to the other without end".into()),
        }
    }
}

impl From<ForgeError> for Refusal {
    fn from(error: ForgeError) -> Self {
        Self::Told(error)
    }
}

pub(super) fn denied(what: &str, reason: &str, remedy: &str) -> ForgeError {
    ForgeError::Denied { what: what.into(), reason: reason.into(), remedy: remedy.into() }
}

/// Reads an error answer. An address that it leads to is never taken from it.
pub(super) fn read(what: &str, status: StatusCode, headers: &HeaderMap, body: &Value) -> Refusal {
    if status.is_redirection() {
        return Refusal::Moved;
    }
    let message: String =
        body.get("message").and_then(Value::as_str).unwrap_or_default().chars().take(MESSAGE_CHARS_MAX).collect();
    if let Some(retry_after) = limit(status, headers, &message) {
        return Refusal::Told(ForgeError::RateLimited { retry_after });
    }
    let reason = format!("GitHub answered {} {message}", status.as_u16());
    let denied = |remedy: &str| Refusal::Told(denied(what, &reason, remedy));
    let is_for_token = what == ASKING_FOR_TOKEN;
    match status {
        StatusCode::UNAUTHORIZED => match denied("check `github.app_id`, `github.private_key_file` and this machine's clock") {
            Refusal::Told(error) => Refusal::Token(error),
            other => other,
        },
        StatusCode::FORBIDDEN => denied(&forbidden(headers, &message)),
        StatusCode::NOT_FOUND if is_for_token => denied(NOT_INSTALLED),
        StatusCode::GONE => denied(ISSUES_DISABLED),
        StatusCode::NOT_FOUND => denied(NOT_FOUND),
        StatusCode::UNPROCESSABLE_ENTITY if is_for_token => {
            denied(if message.contains("repository") { NOT_REACHED } else { NOT_GRANTED })
        }
        status if status.is_server_error() => Refusal::Told(ForgeError::Unavailable(reason)),
        _ => Refusal::Told(ForgeError::Rejected { what: what.into(), reason: format!("{reason}{}", details(body)) }),
    }
}

/// What would lift a 403, by the words that GitHub has for it.
fn forbidden(headers: &HeaderMap, message: &str) -> String {
    let message = message.to_lowercase();
    let known = [("suspended", SUSPENDED), ("archived", ARCHIVED), ("locked", LOCKED)];
    if let Some((_, remedy)) = known.iter().find(|(word, _)| message.contains(word)) {
        return (*remedy).into();
    }
    match headers.get("x-accepted-github-permissions").and_then(|value| value.to_str().ok()) {
        Some(wanted) => format!("grant the App `{wanted}` and accept the change in the installation's settings"),
        None => "check the App's permissions and whether the repository is archived or the conversation locked".into(),
    }
}

fn details(body: &Value) -> String {
    let errors = body.get("errors").and_then(Value::as_array);
    let messages = errors.into_iter().flatten().filter_map(|error| error.get("message").or(Some(error))?.as_str());
    messages.fold(String::new(), |text, message| format!("{text}; {message}")).chars().take(MESSAGE_CHARS_MAX).collect()
}

/// How long a limit asks to wait, if the answer is one; primary and secondary limits come as 403 or 429.
fn limit(status: StatusCode, headers: &HeaderMap, message: &str) -> Option<Duration> {
    if !matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    if let Some(seconds) = number(headers, "retry-after") {
        return Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    }
    if let Some(wait) = used_up(headers) {
        return Some(wait);
    }
    let is_secondary = status == StatusCode::TOO_MANY_REQUESTS || message.to_lowercase().contains("secondary rate limit");
    is_secondary.then_some(SECONDARY_LIMIT_PAUSE)
}

/// How long it is until the primary limit begins anew, where nothing is left of it; by GitHub's clock.
pub(super) fn used_up(headers: &HeaderMap) -> Option<Duration> {
    if number(headers, "x-ratelimit-remaining") != Some(0) {
        return None;
    }
    let wait = number(headers, "x-ratelimit-reset").zip(date(headers)).map(|(reset, now)| reset - now.as_second());
    Some(wait.and_then(|wait| u64::try_from(wait).ok()).map_or(SECONDARY_LIMIT_PAUSE, Duration::from_secs))
}

/// When GitHub answered, by its own clock.
pub(super) fn date(headers: &HeaderMap) -> Option<jiff::Timestamp> {
    let date = headers.get("date")?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(date).ok().map(|date| date.timestamp())
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok()
}
