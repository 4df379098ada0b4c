//! The OpenAI Chat Completions API over server-sent events: what most endpoints and all local servers speak.
//!
//! Fields that only some servers know are left out, because strict ones reject them. Every call needs its result in a
//! message of its own right behind it, so calls in a row are put into one message. Thoughts are shown and not sent back.
//! A stream without its reason to end and `[DONE]` is never a whole reply.

use async_trait::async_trait;
use patchwright_domain::turn::Reply;

use crate::model::draft::Draft;
use crate::model::endpoint::{Access, Endpoint, EndpointSettings};
use crate::model::{Model, ModelError, Prompt};

mod events;
mod spoken;
mod wire;

/// In which way a server speaks the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatDialect {
    /// What the server calls the limit of a reply.
    pub limit_field: LimitField,
    /// Whether the server knows tools; otherwise the model is told how to write a call in its text.
    pub native_tools: bool,
}

impl Default for ChatDialect {
    fn default() -> Self {
        Self { limit_field: LimitField::default(), native_tools: true }
    }
}

/// What a server calls the limit of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitField {
    /// `max_tokens`: nearly all servers.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`: OpenAI's reasoning models.
    MaxCompletionTokens,
}

/// A model behind an endpoint that speaks Chat Completions.
#[derive(Debug)]
pub struct ChatModel {
    endpoint: Endpoint,
    dialect: ChatDialect,
}

impl ChatModel {
    /// Checks the settings and builds the client; connects to nothing. `/chat/completions` is added to the address.
    ///
    /// # Errors
    /// [`ModelError::Rejected`] for an address that is no HTTP URL, [`ModelError::Unauthorized`] for a key that no header
    /// can carry, [`ModelError::Unavailable`] if the machine has no certificates to check the endpoint's with.
    pub fn new(settings: EndpointSettings, dialect: ChatDialect) -> Result<Self, ModelError> {
        Ok(Self { endpoint: Endpoint::new(settings, Access::bearer(&["chat", "completions"]))?, dialect })
    }
}

#[async_trait]
impl Model for ChatModel {
    async fn complete(&self, prompt: &Prompt<'_>, draft: &mut Draft) -> Result<Reply, ModelError> {
        let head = wire::Head { settings: &self.endpoint.settings, dialect: self.dialect };
        // Some servers give no ids, and a conversation's must differ: no two replies follow the same number of items.
        let seed = format!("{}_{}", prompt.revision, prompt.items.len());
        if self.dialect.native_tools {
            self.endpoint.ask(prompt, draft, &wire::Native(head), events::Reading::native(seed)).await
        } else {
            let names = prompt.tools.iter().map(|tool| tool.name().to_owned()).collect();
            self.endpoint.ask(prompt, draft, &spoken::Spoken(head), events::Reading::spoken(seed, names)).await
        }
    }

    fn name(&self) -> &str {
        &self.endpoint.settings.model
    }
}
