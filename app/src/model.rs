//! The language model behind a wire format.
//!
//! The port takes a whole conversation and returns what the model added to it. It knows no tool, no repository and no
//! budget; it does not retry. Adapters are wire formats, not vendors.

use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::turn::{Item, TokenUsage, Tool};

pub mod responses;
pub mod scripted;

/// One request: the whole conversation so far.
#[derive(Debug)]
pub struct Prompt<'a> {
    /// What the model is, and how it works here: the static prefix.
    pub instructions: &'a str,
    /// The tools on offer, in a stable order.
    pub tools: &'a [Tool],
    /// The conversation, oldest first, append-only.
    pub items: &'a [Item],
    /// Equal for requests that share a prefix, so that the endpoint may reuse its cache.
    pub cache_key: &'a str,
    /// The most tokens that the reply may take.
    pub output_tokens_max: u64,
}

/// What the model added to the conversation.
#[derive(Clone, Debug)]
pub struct Reply {
    /// New items, in order; to be appended to the conversation as they are.
    pub items: Vec<Item>,
    /// What the endpoint says that it used.
    pub usage: TokenUsage,
}

/// Why there is no reply, by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Wait, as long as the endpoint says or else with growing delays, and ask again.
    #[error("the model endpoint limits the rate of requests")]
    RateLimited {
        /// What the endpoint asked for.
        retry_after: Option<Duration>,
    },
    /// Not reachable, a server error, or a stream that was cut: ask again, a bounded number of times.
    #[error("the model endpoint is not available: {0}")]
    Unavailable(String),
    /// The key is missing, wrong or without right to this model: an operator must act.
    #[error("the model endpoint refuses the credentials: {0}")]
    Unauthorized(String),
    /// The conversation is longer than the model can take.
    #[error("the conversation does not fit the model's context: {0}")]
    ContextOverflow(String),
    /// The request will never be accepted as it is.
    #[error("the model endpoint rejects the request: {0}")]
    Rejected(String),
}

/// A model behind an endpoint.
#[async_trait]
pub trait Model: Send + Sync {
    /// Asks for the next part of the conversation.
    ///
    /// # Errors
    /// One [`ModelError`] variant per reaction of the caller. A reply that was cut short is never returned as whole.
    async fn complete(&self, prompt: &Prompt<'_>) -> Result<Reply, ModelError>;

    /// The model's name, for the record.
    fn name(&self) -> &str;
}
