//! git's way to the forge: a relay on loopback that adds the token outside of the C library.
//!
//! libgit2 is built without TLS. It speaks plain HTTP to this relay with a password that is good for one operation on
//! one repository, and the relay speaks to the forge with the token, over the same TLS as everything else here. So the
//! token is in no address, on no disk, in no child process and in no C code, and a fresh machine needs no OpenSSL.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};

use crate::forge::CloneAccess;
use crate::http_client;

/// How long the forge may be silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of a refusal's text is repeated.
const REFUSAL_BYTES_MAX: usize = 300;

/// The relay; it ends with this value.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    grants: Grants,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Grants = Arc<Mutex<HashMap<String, Grant>>>;

#[derive(Debug)]
struct Grant {
    upstream: String,
    authorization: Option<SecretString>,
    refusal: Option<String>,
}

/// A remote repository as git sees it, for as long as this value lives.
#[derive(Debug)]
pub(super) struct Remote {
    url: String,
    password: String,
    grants: Grants,
}

const USER: &str = "relay";

impl Remote {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The folder, for a repository on this machine.
    pub(super) fn local_path(&self) -> Option<&Path> {
        (!self.url.starts_with("http://")).then(|| Path::new(&self.url))
    }

    /// User and password for the relay; worth nothing elsewhere or later.
    pub(super) fn credentials(&self) -> (&str, &str) {
        (USER, &self.password)
    }

    /// What the forge said, if it refused.
    pub(super) fn refusal(&self) -> Option<String> {
        lock(&self.grants).get(&self.password).and_then(|grant| grant.refusal.clone())
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        lock(&self.grants).remove(&self.password);
    }
}

fn lock(grants: &Mutex<HashMap<String, Grant>>) -> MutexGuard<'_, HashMap<String, Grant>> {
    grants.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Forwarder {
    grants: Grants,
    client: reqwest::Client,
}

impl Relay {
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let grants = Grants::default();
        let client = http_client::builder().read_timeout(IDLE_TIMEOUT).build().map_err(std::io::Error::other)?;
        let forwarder = Forwarder { grants: Arc::clone(&grants), client };
        let router = axum::Router::new().fallback(forward).with_state(forwarder);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(error = %error, "the git relay ended");
            }
        });
        Ok(Self { address, grants, server })
    }

    /// Lets git reach a repository until the answer is dropped. A local path needs no relay.
    pub(super) fn admit(&self, access: CloneAccess) -> Remote {
        let mut random = [0; 24];
        rustls::crypto::ring::default_provider().secure_random.fill(&mut random).expect("the system gives random bytes");
        let password = hex::encode(random);
        let is_remote = access.url.starts_with("https://") || access.url.starts_with("http://");
        let url = if is_remote { format!("http://{}/repository.git", self.address) } else { access.url.clone() };
        let authorization = access.token.map(|token| {
            let pair = format!("x-access-token:{}", token.expose_secret());
            SecretString::from(format!("Basic {}", STANDARD.encode(pair)))
        });
        let grant = Grant { upstream: access.url, authorization, refusal: None };
        lock(&self.grants).insert(password.clone(), grant);
        Remote { url, password, grants: Arc::clone(&self.grants) }
    }
}

/// Whether git's smart protocol asks for this.
fn is_git_request(path_and_query: &str) -> bool {
    matches!(
        path_and_query,
        "/info/refs?service=git-upload-pack" | "/info/refs?service=git-receive-pack" | "/git-upload-pack" | "/git-receive-pack"
    )
}

fn password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    pair.strip_prefix(USER)?.strip_prefix(':').map(str::to_owned)
}

async fn forward(State(forwarder): State<Forwarder>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let password = password(&parts.headers);
    let access = password.as_ref().and_then(|password| {
        let grants = lock(&forwarder.grants);
        grants.get(password).map(|grant| (grant.upstream.clone(), grant.authorization.clone()))
    });
    let (Some(password), Some((upstream, authorization))) = (password, access) else {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"relay\"")]).into_response();
    };
    let wanted = parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
    let Some(wanted) = wanted.strip_prefix("/repository.git").filter(|wanted| is_git_request(wanted)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut headers = parts.headers;
    for name in [AUTHORIZATION, HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    let mut outgoing = forwarder.client.request(parts.method.clone(), format!("{upstream}{wanted}")).headers(headers);
    if let Some(authorization) = authorization {
        outgoing = outgoing.header(AUTHORIZATION, authorization.expose_secret());
    }
    if parts.method == http::Method::POST {
        outgoing = outgoing.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    match outgoing.send().await {
        Ok(answer) => relay(&forwarder, &password, answer).await,
        Err(error) => {
            tracing::warn!(error = %error.without_url(), "the git relay cannot reach the forge");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

/// Passes the answer on; a refusal is kept for the one who asked, and never shown to git as a wish for credentials.
async fn relay(forwarder: &Forwarder, password: &str, answer: reqwest::Response) -> Response {
    let status = answer.status();
    // A limit passes, and is no refusal.
    let is_limit = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if status.is_client_error() && !is_limit {
        let text = answer.text().await.unwrap_or_default();
        let text: String = text.chars().filter(|c| !c.is_control()).take(REFUSAL_BYTES_MAX).collect();
        if let Some(grant) = lock(&forwarder.grants).get_mut(password) {
            grant.refusal = Some(format!("the forge answered {} {}", status.as_u16(), text.trim()).trim_end().to_owned());
        }
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = Response::builder().status(status);
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        if let Some(value) = answer.headers().get(&name) {
            response = response.header(name, value);
        }
    }
    response.body(Body::from_stream(answer.bytes_stream())).unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

#[cfg(test)]
mod tests;
