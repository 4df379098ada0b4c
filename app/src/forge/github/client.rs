//! octocrab as a plain transport: one connection pool, our own authorisation, retries and reading of limits.
//!
//! octocrab's own retries are off: they repeat a POST within a millisecond, which doubles comments. Here only requests
//! that are harmless twice are repeated; everything else is looked up first by the effects.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LINK, LOCATION};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::answers::{Answers, Kept};
use super::places::{Place, Places};
use super::refusal::{self, ASKING_FOR_TOKEN, Refusal, denied};
use super::tokens::{Grant, Key, Minted, Tokens};
use super::traffic::{Account, Traffic, WAIT_HERE_MAX};
use crate::clock::Clock;
use crate::forge::{ForgeError, REQUEST_TIMEOUT};
use crate::http_client::chain;

/// How often a request that is harmless twice is tried.
const TRIES_MAX: u32 = 4;
/// The first pause between tries; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How often a request follows its repository to another name.
const MOVES_MAX: u32 = 2;
/// How far in the past the App's own token begins, for clocks that differ.
const APP_TOKEN_SECONDS_BEFORE: i64 = 60;
/// How long the App's own token lives; GitHub takes none of more than ten minutes.
const APP_TOKEN_SECONDS: i64 = 9 * 60;

/// A connection to one GitHub, as one App.
pub(super) struct Client {
    crab: Octocrab,
    app_id: u64,
    key: jsonwebtoken::EncodingKey,
    clock: Arc<dyn Clock>,
    tokens: Tokens,
    traffic: Traffic,
    answers: Answers,
    places: Places,
}

/// What GitHub answered, with a status below 300.
pub(super) struct Answer {
    pub(super) body: Value,
    pub(super) has_next_page: bool,
    /// The `Link` header.
    pub(super) link: Option<String>,
    /// Where it leads on, for a call that is for being led on.
    pub(super) location: Option<String>,
    /// When, by GitHub's clock.
    pub(super) at: Option<Timestamp>,
}

/// A request: a method, a path, and a body.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Below the repository where it is made for one, where `{owner}` stands for the owner; else below the API's address.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// What it does, as the beginning of a sentence such as "posting the comment".
    pub(super) what: &'a str,
    /// Whether to make it again changes nothing.
    is_harmless_twice: bool,
    /// Whether what it is for is somewhere else.
    leads_on: bool,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: String, what: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, what, is_harmless_twice: true, leads_on: false }
    }

    /// A request that is answered with where something is. Nobody goes there with our token.
    pub(super) fn leading_on(path: String, what: &'a str) -> Self {
        Self { leads_on: true, ..Self::get(path, what) }
    }

    pub(super) fn new(method: Method, path: String, body: Value, what: &'a str) -> Self {
        let is_harmless_twice = method == Method::PATCH;
        Self { method, path, body: Some(body), what, is_harmless_twice, leads_on: false }
    }

    /// A request that makes an object of git's, to which nothing points: one more of them is harmless.
    pub(super) fn of_object(path: &str, body: Value, what: &'a str) -> Self {
        Self { is_harmless_twice: true, ..Self::new(Method::POST, path.into(), body, what) }
    }

    /// A request that takes something away.
    pub(super) fn removing(path: String, what: &'a str) -> Self {
        Self { method: Method::DELETE, path, body: None, what, is_harmless_twice: true, leads_on: false }
    }

    /// A request that adds to what is there, whatever its method.
    pub(super) fn adding(method: Method, path: String, body: Value, what: &'a str) -> Self {
        Self { is_harmless_twice: false, ..Self::new(method, path, body, what) }
    }

    /// Whether writes wait for each other because of it. Tokens are no content.
    fn is_write(&self) -> bool {
        self.method != Method::GET && self.what != ASKING_FOR_TOKEN
    }
}

/// As whom a request is made, and where.
struct Way<'a> {
    account: Account,
    path: String,
    secret: SecretString,
    /// The grant whose kept answers may be asked for again.
    grant: Option<&'a Grant>,
}

impl Client {
    pub(super) fn new(settings: &super::GitHubSettings, key: jsonwebtoken::EncodingKey) -> Result<Self, ForgeError> {
        let builder = Octocrab::builder()
            .base_uri(settings.api_url.trim_end_matches('/'))
            .map_err(|e| ForgeError::Unavailable(format!("`github.api_url` is no address: {e}")))?
            .add_retry_config(RetryConfig::None)
            .set_connect_timeout(Some(Duration::from_secs(10)))
            .set_read_timeout(Some(REQUEST_TIMEOUT))
            .set_write_timeout(Some(REQUEST_TIMEOUT));
        let crab = builder.build().map_err(|e| ForgeError::Unavailable(format!("{e}")))?;
        let clock = Arc::clone(&settings.clock);
        Ok(Self {
            crab,
            app_id: settings.app_id,
            key,
            tokens: Tokens::new(),
            traffic: Traffic::new(settings.write_spacing, Arc::clone(&clock)),
            answers: Answers::new(),
            places: Places::new(),
            clock,
        })
    }

    /// Makes a request as the App itself.
    pub(super) async fn call_as_app(&self, call: &Call<'_>) -> Result<Answer, ForgeError> {
        let way = Way { account: Account::App, path: call.path.clone(), secret: self.app_token()?, grant: None };
        self.persist(&way, call).await.map_err(Refusal::told)
    }

    /// Makes a request about the repositories of an installation, with a token that shows which there are and nothing in them.
    pub(super) async fn call_as_installation(&self, installation: u64, call: &Call<'_>) -> Result<Answer, ForgeError> {
        let (account, key) = (Account::Installation(installation), Key::of_list(installation));
        self.traffic.admit(account).await?;
        let mut way = Way { account, path: call.path.clone(), secret: self.token(&key, None).await?, grant: None };
        let answer = match self.persist(&way, call).await {
            Err(Refusal::Token(_)) => {
                way.secret = self.token(&key, Some(&way.secret)).await?;
                self.persist(&way, call).await
            }
            other => other,
        };
        answer.map_err(Refusal::told)
    }

    /// Reads a list to its end, or so many pages of a hundred. `list` finds it in an answer.
    pub(super) async fn pages(
        &self,
        grant: &Grant,
        (path, what): (&str, &'static str),
        n_pages_max: u32,
        list: fn(&Value) -> &Value,
    ) -> Result<Vec<Value>, ForgeError> {
        let mut all = Vec::new();
        let start = if path.contains('?') { '&' } else { '?' };
        for page in 1..=n_pages_max {
            let call = Call::get(format!("{path}{start}per_page=100&page={page}"), what);
            let answer = self.call(grant, &call).await?;
            all.extend(list(&answer.body).as_array().into_iter().flatten().cloned());
            if !answer.has_next_page {
                break;
            }
        }
        Ok(all)
    }

    /// Makes a request for a repository with what is granted, wherever the repository is now.
    pub(super) async fn call(&self, grant: &Grant, call: &Call<'_>) -> Result<Answer, ForgeError> {
        let mut n_moves = 0;
        loop {
            let place = self.places.of(&grant.repo).await;
            let path = format!("/repos/{}/{}{}", place.owner, place.name, call.path.replace("{owner}", &place.owner));
            match self.call_at(grant, path, call).await {
                Ok((answer, _)) => return Ok(answer),
                Err(Refusal::Moved) if n_moves < MOVES_MAX => {
                    n_moves += 1;
                    let (place, _) = self.locate(grant, call.what).await?;
                    tracing::info!("{} is called {}/{} now", grant.repo, place.owner, place.name);
                }
                Err(refusal) => return Err(refusal.told()),
            }
        }
    }

    /// Asks by its number where a repository is, and gives a token that was taken just now.
    pub(super) async fn locate(&self, grant: &Grant, what: &str) -> Result<(Place, SecretString), ForgeError> {
        let path = format!("/repositories/{}", grant.repo.id);
        let refused = |refusal: Refusal| match refusal.told() {
            ForgeError::Denied { what, reason, .. } if reason.contains("answered 404") && what != ASKING_FOR_TOKEN => {
                denied(&what, &reason, refusal::NOT_REACHED)
            }
            other => other,
        };
        let (answer, token) = self.call_at(grant, path, &Call::get(String::new(), what)).await.map_err(refused)?;
        let place = Place::read(&grant.repo, &answer.body)?;
        self.places.remember(&grant.repo, &place).await;
        Ok((place, token))
    }

    /// Makes a request with the grant's token, and once more with a new one where it is not taken.
    async fn call_at(&self, grant: &Grant, path: String, call: &Call<'_>) -> Result<(Answer, SecretString), Refusal> {
        let account = Account::Installation(grant.repo.installation);
        self.traffic.admit(account).await?;
        let mut way = Way { account, path, secret: self.token(&grant.key(), None).await?, grant: Some(grant) };
        let answer = match self.persist(&way, call).await {
            Err(Refusal::Token(error)) => {
                tracing::info!(error = %error, "a token is not taken; another one is asked for");
                way.secret = self.token(&grant.key(), Some(&way.secret)).await?;
                self.persist(&way, call).await
            }
            other => other,
        };
        Ok((answer?, way.secret))
    }

    async fn token(&self, key: &Key, refused: Option<&SecretString>) -> Result<SecretString, ForgeError> {
        let mint = async {
            let path = format!("/app/installations/{}/access_tokens", key.installation());
            let mut call = Call::new(Method::POST, path, key.request(), ASKING_FOR_TOKEN);
            call.is_harmless_twice = true;
            let asked_at = self.clock.now();
            let answer = self.call_as_app(&call).await?;
            Minted::read(&answer.body, asked_at, answer.at)
        };
        self.tokens.token(key.clone(), self.clock.now(), refused, mint).await
    }

    /// Signs for the App itself, by the clock that is kept everywhere else.
    fn app_token(&self) -> Result<SecretString, ForgeError> {
        let now = self.clock.now().as_second();
        let claims = json!({ "iss": self.app_id, "iat": now - APP_TOKEN_SECONDS_BEFORE, "exp": now + APP_TOKEN_SECONDS });
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        let token = jsonwebtoken::encode(&header, &claims, &self.key).map(SecretString::from);
        token.map_err(|e| denied("signing as the App", &chain(&e), "check `github.private_key_file`"))
    }

    /// Makes a request, and again where that is harmless and may help.
    async fn persist(&self, way: &Way<'_>, call: &Call<'_>) -> Result<Answer, Refusal> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let refusal = match self.in_turn(way, call).await {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            let Refusal::Told(error) = refusal else { return Err(refusal) };
            let wait = match &error {
                // The next turn waits for the limit.
                ForgeError::RateLimited { retry_after } if *retry_after <= WAIT_HERE_MAX => Duration::ZERO,
                ForgeError::Unavailable(_) if call.is_harmless_twice => pause,
                ForgeError::RateLimited { .. }
                | ForgeError::Unavailable(_)
                | ForgeError::Denied { .. }
                | ForgeError::Rejected { .. } => return Err(error.into()),
            };
            if tries == TRIES_MAX {
                return Err(error.into());
            }
            tracing::warn!(tries, wait_ms = wait.as_millis(), error = %error, "{} is tried again", call.what);
            tokio::time::sleep(wait).await;
            pause *= 2;
            tries += 1;
        }
    }

    /// Makes a request once the account's limits, and its writes before this one, are over.
    async fn in_turn(&self, way: &Way<'_>, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.traffic.admit(way.account).await?;
        let _turn = if call.is_write() { Some(self.traffic.turn(way.account).await?) } else { None };
        match tokio::time::timeout(REQUEST_TIMEOUT, self.once(way, call)).await {
            Ok(answered) => answered,
            Err(_) => Err(ForgeError::Unavailable(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())).into()),
        }
    }

    async fn once(&self, way: &Way<'_>, call: &Call<'_>) -> Result<Answer, Refusal> {
        let known = match way.grant {
            Some(grant) if call.method == Method::GET => self.answers.find(&grant.key(), &way.path).await,
            Some(_) | None => None,
        };
        let request = request(way, call, known.as_deref())?;
        let response = self.crab.execute(request).await.map_err(|e| ForgeError::Unavailable(chain(&e)))?;
        let (parts, body) = response.into_parts();
        let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX);
        let bytes = body.collect().await.map_err(|e| ForgeError::Unavailable(format!("the answer broke off: {e}")))?.to_bytes();
        if let Some(wait) = refusal::used_up(&parts.headers) {
            self.traffic.close(way.account, wait).await;
        }
        if let (StatusCode::NOT_MODIFIED, Some(kept)) = (parts.status, &known) {
            return Ok(answer(&parts.headers, &kept.body, kept.has_next_page));
        }
        if call.leads_on && parts.status == StatusCode::FOUND {
            let location = parts.headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
            return Ok(Answer { location, ..answer(&parts.headers, &[], false) });
        }
        if !parts.status.is_success() {
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            let refusal = refusal::read(call.what, parts.status, &parts.headers, &body);
            if let Refusal::Told(ForgeError::RateLimited { retry_after }) = &refusal {
                self.traffic.close(way.account, *retry_after).await;
            }
            return Err(refusal);
        }
        let has_next_page = link(&parts.headers).is_some_and(|link| link.contains("rel=\"next\""));
        let answer = answer(&parts.headers, &bytes, has_next_page);
        if let (Some(grant), Some(etag), true) = (way.grant, parts.headers.get(ETAG), call.method == Method::GET) {
            let kept = Kept { etag: etag.clone(), body: bytes, has_next_page };
            self.answers.keep(&grant.key(), &way.path, &kept).await;
        }
        Ok(answer)
    }
}

fn link(headers: &HeaderMap) -> Option<&str> {
    headers.get(LINK)?.to_str().ok()
}

fn answer(headers: &HeaderMap, body: &[u8], has_next_page: bool) -> Answer {
    Answer {
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
        has_next_page,
        link: link(headers).map(str::to_owned),
        location: None,
        at: refusal::date(headers),
    }
}

fn request(way: &Way<'_>, call: &Call<'_>, known: Option<&Kept>) -> Result<http::Request<String>, ForgeError> {
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", way.secret.expose_secret()))
        .map_err(|_| ForgeError::Unavailable("GitHub's token cannot be sent in a header".into()))?;
    authorization.set_sensitive(true);
    let mut request = http::Request::builder()
        .method(&call.method)
        .uri(&way.path)
        .header(AUTHORIZATION, authorization)
        .header(ACCEPT, "application/vnd.github+json")
        .header(CONTENT_TYPE, "application/json")
        .header("x-github-api-version", "2022-11-28");
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, &known.etag);
    }
    let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
    request.body(body).map_err(|e| ForgeError::Rejected { what: call.what.into(), reason: e.to_string() })
}
