//! octocrab as a plain transport: one connection pool, our own authorisation, retries and reading of limits.
//!
//! octocrab's own retries are off: they repeat a POST within a millisecond, which doubles comments. Here only requests
//! that are harmless twice are repeated; everything else is looked up first by the effects.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use octocrab::Octocrab;
use octocrab::auth::AppAuth;
use octocrab::service::middleware::retry::RetryConfig;
use patchwright_domain::event::RepoRef;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::forge::ForgeError;
use crate::http_client::chain;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request that is harmless twice is tried.
const TRIES_MAX: u32 = 4;
/// The first pause between tries; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long a limit may ask to wait for it to be waited out here; a longer one goes to the caller.
const WAIT_HERE_MAX: Duration = Duration::from_secs(5);
/// What to wait where a secondary limit names no time (GitHub's documentation: at least one minute).
const SECONDARY_LIMIT_PAUSE: Duration = Duration::from_secs(60);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How much of GitHub's error text is repeated.
const MESSAGE_CHARS_MAX: usize = 300;

/// A connection to one GitHub, as one App.
pub(super) struct Client {
    crab: Octocrab,
    app: AppAuth,
}

/// As whom a request is made.
pub(super) enum As<'a> {
    /// The App itself.
    App,
    /// One of its installations, with a token that holds only what the request needs.
    Installation(&'a SecretString),
}

/// What GitHub answered, with a status below 400.
pub(super) struct Answer {
    pub(super) body: Value,
    pub(super) has_next_page: bool,
}

/// A request: a method, a path below the API's address, and a body.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// What it does, as the beginning of a sentence such as "posting the comment".
    pub(super) what: &'a str,
    /// Whether to make it again changes nothing.
    is_harmless_twice: bool,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: String, what: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, what, is_harmless_twice: true }
    }

    pub(super) fn new(method: Method, path: String, body: Value, what: &'a str) -> Self {
        let is_harmless_twice = method == Method::PATCH || path.ends_with("/access_tokens");
        Self { method, path, body: Some(body), what, is_harmless_twice }
    }

    /// A request that adds to what is there, whatever its method.
    pub(super) fn adding(method: Method, path: String, body: Value, what: &'a str) -> Self {
        Self { is_harmless_twice: false, ..Self::new(method, path, body, what) }
    }
}

impl Client {
    pub(super) fn new(api_url: &str, app_id: u64, key: jsonwebtoken::EncodingKey) -> Result<Self, ForgeError> {
        let builder = Octocrab::builder()
            .base_uri(api_url.trim_end_matches('/'))
            .map_err(|e| ForgeError::Unavailable(format!("`github.api_url` is no address: {e}")))?
            .add_retry_config(RetryConfig::None)
            .set_connect_timeout(Some(Duration::from_secs(10)))
            .set_read_timeout(Some(REQUEST_TIMEOUT))
            .set_write_timeout(Some(REQUEST_TIMEOUT));
        let crab = builder.build().map_err(|e| ForgeError::Unavailable(format!("{e}")))?;
        Ok(Self { crab, app: AppAuth { app_id: octocrab::models::AppId(app_id), key } })
    }

    /// Mints a token for one repository with no more than these permissions; it lives an hour.
    pub(super) async fn token(&self, repo: &RepoRef, permissions: Value) -> Result<SecretString, ForgeError> {
        let path = format!("/app/installations/{}/access_tokens", repo.installation);
        let body = json!({ "repository_ids": [repo.id], "permissions": permissions });
        let call = Call::new(Method::POST, path, body, "asking for an installation token");
        let answer = self.call(As::App, &call).await?;
        let token = answer.body.get("token").and_then(Value::as_str);
        token.map(SecretString::from).ok_or_else(|| ForgeError::Unavailable("GitHub's answer holds no token".into()))
    }

    /// Makes a request, and again where that is harmless and may help.
    pub(super) async fn call(&self, who: As<'_>, call: &Call<'_>) -> Result<Answer, ForgeError> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let error = match tokio::time::timeout(REQUEST_TIMEOUT, self.once(&who, call)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => ForgeError::Unavailable(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())),
            };
            let wait = match &error {
                ForgeError::RateLimited { retry_after } if *retry_after <= WAIT_HERE_MAX => *retry_after,
                ForgeError::Unavailable(_) if call.is_harmless_twice => pause,
                ForgeError::RateLimited { .. }
                | ForgeError::Unavailable(_)
                | ForgeError::Denied { .. }
                | ForgeError::Rejected { .. } => return Err(error),
            };
            if tries == TRIES_MAX {
                return Err(error);
            }
            tracing::warn!(tries, wait_ms = wait.as_millis(), error = %error, "{} is tried again", call.what);
            tokio::time::sleep(wait).await;
            pause *= 2;
            tries += 1;
        }
    }

    async fn once(&self, who: &As<'_>, call: &Call<'_>) -> Result<Answer, ForgeError> {
        let request = self.request(who, call)?;
        let response = self.crab.execute(request).await.map_err(|e| ForgeError::Unavailable(chain(&e)))?;
        let (parts, body) = response.into_parts();
        let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX);
        let bytes = body.collect().await.map_err(|e| ForgeError::Unavailable(format!("the answer broke off: {e}")))?.to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if parts.status.is_success() {
            let link = parts.headers.get("link").and_then(|value| value.to_str().ok());
            let has_next_page = link.is_some_and(|link| link.contains("rel=\"next\""));
            return Ok(Answer { body, has_next_page });
        }
        Err(refusal(call.what, parts.status, &parts.headers, &body))
    }

    fn request(&self, who: &As<'_>, call: &Call<'_>) -> Result<http::Request<String>, ForgeError> {
        let secret = match who {
            As::App => {
                let token = self.app.generate_bearer_token();
                token.map_err(|e| denied("signing as the App", &chain(&e), "check `github.private_key_file`"))?
            }
            As::Installation(token) => token.expose_secret().to_owned(),
        };
        let mut authorization = HeaderValue::from_str(&format!("Bearer {secret}"))
            .map_err(|_| ForgeError::Unavailable("GitHub's token cannot be sent in a header".into()))?;
        authorization.set_sensitive(true);
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        http::Request::builder()
            .method(&call.method)
            .uri(&call.path)
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/vnd.github+json")
            .header(CONTENT_TYPE, "application/json")
            .header("x-github-api-version", "2022-11-28")
            .body(body)
            .map_err(|e| ForgeError::Rejected { what: call.what.into(), reason: e.to_string() })
    }
}

fn denied(what: &str, reason: &str, remedy: &str) -> ForgeError {
    ForgeError::Denied { what: what.into(), reason: reason.into(), remedy: remedy.into() }
}

/// Reads an error answer as what the caller should do about it.
fn refusal(what: &str, status: StatusCode, headers: &HeaderMap, body: &Value) -> ForgeError {
    let message: String =
        body.get("message").and_then(Value::as_str).unwrap_or_default().chars().take(MESSAGE_CHARS_MAX).collect();
    if let Some(retry_after) = limit(status, headers, &message) {
        return ForgeError::RateLimited { retry_after };
    }
    let reason = format!("GitHub answered {} {message}", status.as_u16());
    match status {
        StatusCode::UNAUTHORIZED => {
            denied(what, &reason, "check `github.app_id`, `github.private_key_file` and this machine's clock")
        }
        StatusCode::FORBIDDEN => {
            let wanted = headers.get("x-accepted-github-permissions").and_then(|value| value.to_str().ok());
            denied(
                what,
                &reason,
                &match wanted {
                    Some(wanted) => format!("grant the App `{wanted}` and accept the change in the installation's settings"),
                    None => {
                        "check the App's permissions and whether the repository is archived or the conversation locked".into()
                    }
                },
            )
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            denied(what, &reason, "check that the App is installed on this repository, and that issues are enabled there")
        }
        StatusCode::UNPROCESSABLE_ENTITY if what.starts_with("asking for an installation token") => {
            denied(what, &reason, "grant the App the permissions that the README lists and accept the change in the installation")
        }
        status if status.is_server_error() => ForgeError::Unavailable(reason),
        _ => ForgeError::Rejected { what: what.into(), reason: format!("{reason}{}", details(body)) },
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
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let now = headers.get("date").and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok());
        let wait = number("x-ratelimit-reset").zip(now).map(|(reset, now)| reset - now.timestamp().as_second());
        return Some(wait.and_then(|wait| u64::try_from(wait).ok()).map_or(SECONDARY_LIMIT_PAUSE, Duration::from_secs));
    }
    let is_secondary = status == StatusCode::TOO_MANY_REQUESTS || message.to_lowercase().contains("secondary rate limit");
    is_secondary.then_some(SECONDARY_LIMIT_PAUSE)
}
