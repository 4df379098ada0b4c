//! The OpenAI Responses API over server-sent events, as every endpoint that speaks it can be asked.
//!
//! One request is one call of [`Model::complete`]; nothing is retried here. What the endpoint sends is read tolerantly:
//! unknown events and fields are passed over, but a stream without its `response.completed` is never a whole reply.

use async_trait::async_trait;
use patchwright_domain::turn::Reply;

use crate::model::draft::Draft;
use crate::model::endpoint::{Access, Endpoint, EndpointSettings};
use crate::model::{Model, ModelError, Prompt};

mod events;
mod wire;

/// A model behind an endpoint that speaks the Responses API.
#[derive(Debug)]
pub struct ResponsesModel {
    endpoint: Endpoint,
}

impl ResponsesModel {
    /// Checks the settings and builds the client; connects to nothing. `/responses` is added to the address.
    ///
    /// # Errors
    /// [`ModelError::Rejected`] for an address that is no HTTP URL, [`ModelError::Unauthorized`] for a key that no header
    /// can carry, [`ModelError::Unavailable`] if the machine has no certificates to check the endpoint's with.
    pub fn new(settings: EndpointSettings) -> Result<Self, ModelError> {
        Ok(Self { endpoint: Endpoint::new(settings, Access::bearer(&["responses"]))? })
    }
}

#[async_trait]
impl Model for ResponsesModel {
    async fn complete(&self, prompt: &Prompt<'_>, draft: &mut Draft) -> Result<Reply, ModelError> {
        let layout = wire::Input { settings: &self.endpoint.settings };
        self.endpoint.ask(prompt, draft, &layout, events::Reading::default()).await
    }

    fn name(&self) -> &str {
        &self.endpoint.settings.model
    }
}
