//! The OpenAI Responses API over server-sent events, as every endpoint that speaks it can be asked.
//!
//! One request is one call of [`Model::complete`]; nothing is retried here. What the endpoint sends is read tolerantly:
//! unknown events and fields are passed over, but a stream without its `response.completed` is never a reply.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use eventsource_stream::{EventStreamError, Eventsource as _};
use futures_util::{Stream, StreamExt as _};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use patchwright_domain::turn::Reply;
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};

use crate::http_client::{self, chain};
use crate::model::draft::Draft;
use crate::model::{Model, ModelError, Prompt};

mod events;
mod failure;
mod wire;

/// How long the end of a stream is awaited behind its last event, so that the connection can be used again.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// How much of an error's body is read, in bytes.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// How an endpoint is reached.
#[derive(Clone, Debug)]
pub struct ResponsesSettings {
    /// Where the API begins, such as `https://api.openai.com/v1`; `/responses` is added.
    pub base_url: String,
    /// The model's name at that endpoint.
    pub model: String,
    /// The key; none for an endpoint that asks for none.
    pub api_key: Option<SecretString>,
    /// How much a reasoning model should think, in the endpoint's words.
    pub reasoning_effort: Option<String>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the endpoint may be silent.
    pub idle_timeout: Duration,
    /// How long one request may take from its first to its last byte.
    pub request_timeout: Duration,
    /// How large one response may be, in bytes.
    pub response_bytes_max: usize,
}

impl ResponsesSettings {
    /// The settings for an endpoint without a key: 10 s to connect, 300 s of silence, 30 min in all, 8 MiB.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            model: model.into(),
            api_key: None,
            reasoning_effort: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            request_timeout: Duration::from_secs(30 * 60),
            response_bytes_max: 8 * 1024 * 1024,
        }
    }
}

/// A model behind an endpoint that speaks the Responses API.
#[derive(Debug)]
pub struct ResponsesModel {
    settings: ResponsesSettings,
    client: Client,
    url: Url,
    /// Host and port, for messages.
    host: String,
    headers: HeaderMap,
}

/// What ends a stream of bytes before its time.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("nothing was received for {} s", .0.as_secs_f32())]
    Idle(Duration),
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    Transport(String),
}

impl ResponsesModel {
    /// Checks the settings and builds the client; connects to nothing.
    ///
    /// # Errors
    /// [`ModelError::Rejected`] for an address that is no HTTP URL, [`ModelError::Unauthorized`] for a key that no header
    /// can carry, [`ModelError::Unavailable`] if the machine has no certificates to check the endpoint's with.
    pub fn new(settings: ResponsesSettings) -> Result<Self, ModelError> {
        let url = endpoint(&settings.base_url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let is_loopback = is_loopback(&host);
        let mut client = http_client::builder()
            .connect_timeout(settings.connect_timeout)
            .user_agent(concat!("patchwright/", env!("CARGO_PKG_VERSION")));
        if is_loopback {
            client = client.no_proxy();
        }
        if url.scheme() == "http" {
            // Without TLS there is no need to read the machine's certificates, or to have any.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| ModelError::Unavailable(format!("{host}: {}", chain(&error))))?;
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let headers = headers(settings.api_key.as_ref())?;
        Ok(Self { settings, client, url, host, headers })
    }

    async fn exchange(&self, prompt: &Prompt<'_>, draft: &mut Draft) -> Result<Reply, ModelError> {
        let body = draft
            .write(prompt, wire::CLOSING, || wire::head(prompt, &self.settings), wire::item)
            .map_err(|error| ModelError::Rejected(format!("the request cannot be written: {error}")))?;
        let body = Bytes::copy_from_slice(body);
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let sent = tokio::time::timeout(self.settings.idle_timeout, request.send()).await;
        let response = sent
            .map_err(|_| self.unavailable(&StreamError::Idle(self.settings.idle_timeout)))?
            .map_err(|error| self.unavailable(&chain(&error.without_url())))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.refused(status, response).await);
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        if !kind.starts_with("text/event-stream") {
            let message = format!("{}: the answer is '{kind}' instead of an event stream; is the address right?", self.host);
            return Err(ModelError::Rejected(message));
        }
        self.read(response).await
    }

    /// Reads the events up to the last one, and then to the end of the stream.
    async fn read(&self, response: Response) -> Result<Reply, ModelError> {
        let mut events = Box::pin(self.bytes(response).eventsource());
        let mut reading = events::Reading::default();
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| match error {
                EventStreamError::Transport(error) => self.unavailable(&error),
                EventStreamError::Utf8(_) => self.unavailable(&"the stream is not UTF-8"),
                EventStreamError::Parser(_) => self.unavailable(&"the stream has no events"),
            })?;
            match reading.take(&event.data) {
                Ok(None) => {}
                Ok(Some(reply)) => {
                    let drain = async { while let Some(Ok(_)) = events.next().await {} };
                    // A stream that stays open costs the connection, not the reply.
                    let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain).await;
                    return Ok(reply);
                }
                Err(failure) => return Err(failure.into_error(&self.naming())),
            }
        }
        Err(self.unavailable(&"the stream ended before the reply was complete"))
    }

    /// The bytes of a response, watched for silence and size.
    fn bytes(&self, response: Response) -> impl Stream<Item = Result<Bytes, StreamError>> + use<> {
        let (idle, bytes_max) = (self.settings.idle_timeout, self.settings.response_bytes_max);
        futures_util::stream::unfold(Some((response, 0)), move |state| async move {
            let (mut response, n_bytes) = state?;
            match tokio::time::timeout(idle, response.chunk()).await {
                Err(_) => Some((Err(StreamError::Idle(idle)), None)),
                Ok(Err(error)) => Some((Err(StreamError::Transport(chain(&error.without_url()))), None)),
                Ok(Ok(None)) => None,
                Ok(Ok(Some(chunk))) if chunk.len() > bytes_max - n_bytes => Some((Err(StreamError::TooLarge(bytes_max)), None)),
                Ok(Ok(Some(chunk))) => {
                    let n_bytes = n_bytes + chunk.len();
                    Some((Ok(chunk), Some((response, n_bytes))))
                }
            }
        })
    }

    async fn refused(&self, status: StatusCode, response: Response) -> ModelError {
        let headers = response.headers().clone();
        let mut body = Vec::new();
        let mut chunks = Box::pin(self.bytes(response));
        while let Some(Ok(chunk)) = chunks.next().await {
            let room = ERROR_BYTES_MAX - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == ERROR_BYTES_MAX {
                break;
            }
        }
        failure::of_status(status, &headers, &body).into_error(&self.naming())
    }

    fn naming(&self) -> failure::Naming<'_> {
        let key = self.settings.api_key.as_ref().map(|key| key.expose_secret());
        failure::Naming { host: &self.host, model: &self.settings.model, key }
    }

    fn unavailable(&self, cause: &dyn std::fmt::Display) -> ModelError {
        failure::Failure::unavailable(cause.to_string()).into_error(&self.naming())
    }
}

#[async_trait]
impl Model for ResponsesModel {
    async fn complete(&self, prompt: &Prompt<'_>, draft: &mut Draft) -> Result<Reply, ModelError> {
        let whole = tokio::time::timeout(self.settings.request_timeout, self.exchange(prompt, draft)).await;
        whole.unwrap_or_else(|_| Err(self.unavailable(&"the reply takes too long")))
    }

    fn name(&self) -> &str {
        &self.settings.model
    }
}

fn endpoint(base_url: &str) -> Result<Url, ModelError> {
    let wrong = |reason: &str| ModelError::Rejected(format!("the model's base_url {reason}"));
    let mut url = Url::parse(base_url).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is no HTTP URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a password; use the setting for the key"));
    }
    url.path_segments_mut().map_err(|()| wrong("cannot be extended"))?.pop_if_empty().push("responses");
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn headers(key: Option<&SecretString>) -> Result<HeaderMap, ModelError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = key {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", key.expose_secret().trim()))
            .map_err(|_| ModelError::Unauthorized("the key has characters that no header can carry".to_owned()))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}
