//! The language model behind a wire format.
//!
//! The port takes a whole conversation and returns what the model added to it. It knows no tool, no repository and no
//! budget; it does not retry. Adapters are wire formats, not vendors.

use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::turn::{Item, Reply, Tool};

use crate::model::draft::Draft;

pub mod chat;
pub mod draft;
pub mod endpoint;
mod failure;
mod function;
pub mod messages;
pub mod responses;
pub mod scripted;

/// One request: the whole conversation so far.
#[derive(Debug)]
pub struct Prompt<'a> {
    /// What the model is, and how it works here: the static prefix.
    pub instructions: &'a str,
    /// The tools on offer, in a stable order.
    pub tools: &'a [Tool],
    /// The conversation, oldest first. It only grows as long as `revision` stays the same.
    pub items: &'a [Item],
    /// Rises when items that were sent before are rewritten.
    pub revision: u32,
    /// Equal for requests that share a prefix, so that the endpoint may reuse its cache.
    pub cache_key: &'a str,
    /// The most tokens that the reply may take.
    pub output_tokens_max: u64,
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
    /// Not reachable, or a server error before the reply began: ask again, a bounded number of times.
    #[error("the model endpoint is not available: {0}")]
    Unavailable(String),
    /// The reply began and did not come to its end: ask again, a bounded number of times. What it used is used.
    #[error("the model's reply broke off: {reason}")]
    BrokenOff {
        /// What ended it.
        reason: String,
        /// How many bytes of the model's words and calls had arrived.
        output_bytes: u64,
    },
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
    /// Asks for the next part of the conversation. `draft` is the conversation's own, and is only ever given to one model:
    /// it keeps the body of the last request, so that the next one is written by adding to it.
    ///
    /// # Errors
    /// One [`ModelError`] variant per reaction of the caller. A reply that was cut short is never returned as whole: one
    /// that has reached its limit of tokens says so in [`Reply::stop`].
    async fn complete(&self, prompt: &Prompt<'_>, draft: &mut Draft) -> Result<Reply, ModelError>;

    /// The model's name, for the record.
    fn name(&self) -> &str;
}
