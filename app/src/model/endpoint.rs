//! An endpoint that streams its replies as server-sent events: what all wire formats share.
//!
//! It sends a body, watches the answer for silence and size, and hands the events to the format's [`Reading`]. It keeps
//! one connection for a conversation. It knows no format, and it does not ask twice.

use std::time::Duration;

use bytes::Bytes;
use eventsource_stream::{EventStreamError, Eventsource as _};
use futures_util::{Stream, StreamExt as _};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use patchwright_domain::turn::{Item, Reply};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};

use crate::http_client::{self, chain};
use crate::model::draft::{Draft, Layout};
use crate::model::failure::{self, Failure};
use crate::model::{ModelError, Prompt};

/// How long the end of a stream is awaited behind its last event, so that the connection can be used again.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// How much of an error's body is read, in bytes.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// How an endpoint is reached.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Where the API begins, such as `https://api.openai.com/v1`; the format's own path is added.
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

impl EndpointSettings {
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

/// What a wire format adds to an address.
pub(super) struct Access {
    /// The path's segments behind the base.
    pub(super) path: &'static [&'static str],
    /// The header that carries the key.
    pub(super) key_header: HeaderName,
    /// What stands before the key.
    pub(super) key_prefix: &'static str,
    /// Headers that every request has.
    pub(super) headers: HeaderMap,
}

impl Access {
    /// A path with the key as bearer token, as most endpoints want it.
    pub(super) fn bearer(path: &'static [&'static str]) -> Self {
        Self { path, key_header: AUTHORIZATION, key_prefix: "Bearer ", headers: HeaderMap::new() }
    }
}

/// A reply that is being read, in a format's own way.
pub(super) trait Reading: Send {
    /// Takes one event's data; the reply, if this was the last event.
    ///
    /// # Errors
    /// What the endpoint says that went wrong.
    fn take(&mut self, data: &str) -> Result<Option<Reply>, Failure>;

    /// The reply where the stream has ended by itself and had no last event; none if it is not whole.
    fn take_end(&mut self) -> Option<Reply> {
        None
    }

    /// How many bytes of the model's words and calls have arrived.
    fn output_bytes(&self) -> u64;
}

/// An endpoint, ready to be asked.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) settings: EndpointSettings,
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

impl Endpoint {
    /// Checks the settings and builds the client; connects to nothing.
    ///
    /// # Errors
    /// [`ModelError::Rejected`] for an address that is no HTTP URL, [`ModelError::Unauthorized`] for a key that no header
    /// can carry, [`ModelError::Unavailable`] if the machine has no certificates to check the endpoint's with.
    pub(super) fn new(settings: EndpointSettings, access: Access) -> Result<Self, ModelError> {
        let url = address(&settings.base_url, access.path)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut client = http_client::builder()
            .connect_timeout(settings.connect_timeout)
            .user_agent(concat!("patchwright/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&host) {
            client = client.no_proxy();
        }
        if url.scheme() == "http" {
            // Without TLS there is no need to read the machine's certificates, or to have any.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| ModelError::Unavailable(format!("{host}: {}", chain(&error))))?;
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let headers = headers(settings.api_key.as_ref(), access)?;
        Ok(Self { settings, client, url, host, headers })
    }

    /// Sends a prompt and reads the reply.
    ///
    /// # Errors
    /// As [`crate::model::Model::complete`] says.
    pub(super) async fn ask(
        &self,
        prompt: &Prompt<'_>,
        draft: &mut Draft,
        layout: &impl Layout,
        mut reading: impl Reading,
    ) -> Result<Reply, ModelError> {
        let body = draft
            .write(prompt, layout)
            .map_err(|error| ModelError::Rejected(format!("the request cannot be written: {error}")))?;
        let body = Bytes::copy_from_slice(body);
        let whole = tokio::time::timeout(self.settings.request_timeout, self.exchange(body, &mut reading)).await;
        let result = whole.unwrap_or_else(|_| Err(Failure::unavailable("the reply takes too long".to_owned())));
        let mut reply = result.map_err(|failure| failure.behind(reading.output_bytes()).into_error(&self.naming()))?;
        withhold_idle_thoughts(&mut reply);
        Ok(reply)
    }

    async fn exchange(&self, body: Bytes, reading: &mut impl Reading) -> Result<Reply, Failure> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let sent = tokio::time::timeout(self.settings.idle_timeout, request.send()).await;
        let response = sent
            .map_err(|_| Failure::unavailable(StreamError::Idle(self.settings.idle_timeout).to_string()))?
            .map_err(|error| Failure::unavailable(chain(&error.without_url())))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.refused(status, response).await);
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with("text/event-stream") {
            let words = format!("the answer is '{kind}' instead of an event stream; is the address right?");
            return Err(Failure::rejected(words));
        }
        self.read(response, reading).await
    }

    /// Reads the events up to the last one, and then to the end of the stream.
    async fn read(&self, response: Response, reading: &mut impl Reading) -> Result<Reply, Failure> {
        let mut events = Box::pin(self.bytes(response).eventsource());
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| match error {
                EventStreamError::Transport(error) => Failure::unavailable(error.to_string()),
                EventStreamError::Utf8(_) => Failure::unavailable("the stream is not UTF-8".to_owned()),
                EventStreamError::Parser(_) => Failure::unavailable("the stream has no events".to_owned()),
            })?;
            if let Some(reply) = reading.take(&event.data)? {
                let drain = async { while let Some(Ok(_)) = events.next().await {} };
                // A stream that stays open costs the connection, not the reply.
                let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain).await;
                return Ok(reply);
            }
        }
        let unfinished = || Failure::unavailable("the stream ended before the reply was complete".to_owned());
        reading.take_end().ok_or_else(unfinished)
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

    async fn refused(&self, status: StatusCode, response: Response) -> Failure {
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
        failure::of_status(status, &headers, &body)
    }

    fn naming(&self) -> failure::Naming<'_> {
        let key = self.settings.api_key.as_ref().map(|key| key.expose_secret());
        failure::Naming { host: &self.host, model: &self.settings.model, key }
    }
}

/// Lets thoughts not be sent back that led to nothing, such as to a call that was cut: endpoints that take thoughts
/// back refuse one without what follows it.
fn withhold_idle_thoughts(reply: &mut Reply) {
    for item in reply.items.iter_mut().rev() {
        let Item::Reasoning { opaque, .. } = item else { break };
        opaque.clear();
    }
}

fn address(base_url: &str, path: &[&str]) -> Result<Url, ModelError> {
    let wrong = |reason: &str| ModelError::Rejected(format!("the model's base_url {reason}"));
    let mut url = Url::parse(base_url).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is no HTTP URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a password; use the setting for the key"));
    }
    url.path_segments_mut().map_err(|()| wrong("cannot be extended"))?.pop_if_empty().extend(path);
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn headers(key: Option<&SecretString>, access: Access) -> Result<HeaderMap, ModelError> {
    let mut headers = access.headers;
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = key {
        let mut value = HeaderValue::try_from(format!("{}{}", access.key_prefix, key.expose_secret().trim()))
            .map_err(|_| ModelError::Unauthorized("the key has characters that no header can carry".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(access.key_header, value);
    }
    Ok(headers)
}
