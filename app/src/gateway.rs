//! The model's endpoint for requests that another program has written: what is ours to say in them is said here, and the key
//! is added here.
//!
//! It keeps no budget and knows no agent; whoever passes requests on does that.

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, StatusCode};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret as _, SecretString};

use crate::http_client::{self, chain};

pub mod request;
pub mod wire;

use wire::Wire;

/// What of a request's headers goes out: no key, no cookie and no address of the program's.
const REQUEST_HEADERS: &[&str] = &["accept", "content-type", "user-agent", "anthropic-version", "session_id", "session-id"];
/// What a program may ask for in advance of Anthropic's endpoint; of the rest, much has the provider fetch or run something,
/// keep it, or ask more for it.
const BETAS: &[&str] =
    &["claude-code-20250219", "effort-2025-11-24", "fine-grained-tool-streaming-2025-05-14", "interleaved-thinking-2025-05-14"];
const BETA: &str = "anthropic-beta";
/// What of a response's headers comes in.
const RESPONSE_HEADERS: &[&str] = &["content-type", "retry-after", "retry-after-ms", "request-id", "x-request-id"];

/// How an endpoint is reached.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where the API begins, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The model's name; whatever a request asks for, this is what it gets.
    pub model: String,
    /// The key; none for an endpoint that asks for none.
    pub api_key: Option<SecretString>,
    /// How long the endpoint may be silent.
    pub idle_timeout: Duration,
}

/// An endpoint that requests can be passed on to.
#[derive(Clone, Debug)]
pub struct Gateway {
    client: Client,
    endpoint: Endpoint,
}

/// A response that is being received.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, as far as they are anybody's business.
    pub headers: HeaderMap,
    response: reqwest::Response,
}

impl Answer {
    /// The next piece of its body; none at the end.
    ///
    /// # Errors
    /// A line on why the rest does not come.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, String> {
        self.response.chunk().await.map_err(|error| chain(&error))
    }
}

impl Gateway {
    /// A gateway to an endpoint.
    ///
    /// # Errors
    /// A line on what is wrong with the settings.
    pub fn new(endpoint: Endpoint) -> Result<Self, String> {
        Url::parse(&endpoint.base_url).map_err(|error| format!("the endpoint's address `{}`: {error}", endpoint.base_url))?;
        let client = http_client::builder().read_timeout(endpoint.idle_timeout).build().map_err(|error| chain(&error))?;
        Ok(Self { client, endpoint })
    }

    /// The name of the model that every request gets.
    pub fn model(&self) -> &str {
        &self.endpoint.model
    }

    /// Sends a request with the headers that may go out, and with the key.
    ///
    /// # Errors
    /// A line on why there is no response at all.
    pub async fn ask(&self, wire: Wire, headers: &HeaderMap, body: Bytes) -> Result<Answer, String> {
        let Endpoint { base_url, model, api_key, .. } = &self.endpoint;
        let url = Url::parse(&wire.url(base_url, model)).map_err(|error| format!("the endpoint's address: {error}"))?;
        let mut asking = self.client.post(url).headers(only(headers, REQUEST_HEADERS)).body(body);
        if let Some(betas) = betas(headers) {
            asking = asking.header(BETA, betas);
        }
        if let Some(key) = api_key {
            asking = match wire.key_header() {
                Some(name) => asking.header(name, key.expose_secret()),
                None => asking.bearer_auth(key.expose_secret()),
            };
        }
        let response = asking.send().await.map_err(|error| chain(&error))?;
        Ok(Answer { status: response.status(), headers: only(response.headers(), RESPONSE_HEADERS), response })
    }
}

fn only(headers: &HeaderMap, names: &'static [&'static str]) -> HeaderMap {
    let kept = names.iter().filter_map(|name| Some((HeaderName::from_static(name), headers.get(*name)?.clone())));
    kept.collect()
}

/// What is asked for in advance, as far as it may be.
fn betas(headers: &HeaderMap) -> Option<String> {
    let asked = headers.get_all(BETA).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let kept: Vec<&str> = asked.map(str::trim).filter(|beta| BETAS.contains(beta)).collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

#[cfg(test)]
mod tests;
