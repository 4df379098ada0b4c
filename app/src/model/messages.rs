//! The Anthropic Messages API over server-sent events.
//!
//! The roles alternate, so what is told in a row is one message and what the model says in a row is another. The last
//! message stays open in the draft, and the next item goes into it or closes it: nothing before is touched.
//!
//! The endpoint reads from its cache what it was told to keep. The tools and the instructions are marked, because they
//! are equal for many conversations. What must be kept of the conversation itself is its whole beginning, but a mark on
//! its last block would have to move with every request and change bytes that were sent before; so the body's head asks
//! for the mark to be put there by the endpoint (`cache_control` at the top level).

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use patchwright_domain::turn::Reply;

use crate::model::draft::Draft;
use crate::model::endpoint::{Access, Endpoint, EndpointSettings};
use crate::model::{Model, ModelError, Prompt};

mod events;
mod wire;

/// The version of the format that is spoken, for the header `anthropic-version`.
pub const VERSION: &str = "2023-06-01";

/// A model behind an endpoint that speaks the Messages API.
#[derive(Debug)]
pub struct MessagesModel {
    endpoint: Endpoint,
}

impl MessagesModel {
    /// Checks the settings and builds the client; connects to nothing. `/messages` is added to the address.
    ///
    /// # Errors
    /// [`ModelError::Rejected`] for an address that is no HTTP URL, [`ModelError::Unauthorized`] for a key that no header
    /// can carry, [`ModelError::Unavailable`] if the machine has no certificates to check the endpoint's with.
    pub fn new(settings: EndpointSettings) -> Result<Self, ModelError> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
        let key_header = HeaderName::from_static("x-api-key");
        let access = Access { path: &["messages"], key_header, key_prefix: "", headers };
        Ok(Self { endpoint: Endpoint::new(settings, access)? })
    }
}

#[async_trait]
impl Model for MessagesModel {
    async fn complete(&self, prompt: &Prompt<'_>, draft: &mut Draft) -> Result<Reply, ModelError> {
        let layout = wire::Messages { settings: &self.endpoint.settings };
        self.endpoint.ask(prompt, draft, &layout, events::Reading::default()).await
    }

    fn name(&self) -> &str {
        &self.endpoint.settings.model
    }
}
