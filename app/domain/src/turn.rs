//! The agent's conversation as a pure machine.

use serde::{Deserialize, Serialize};

/// One part of a conversation, in no vendor's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum Item {
    /// Told to the model by the harness.
    User {
        /// The text.
        text: String,
    },
    /// Said by the model.
    Assistant {
        /// The text.
        text: String,
    },
    /// Thought by the model; `opaque` goes back to the endpoint as it came.
    Reasoning {
        /// What may be shown of it.
        summary: String,
        /// The wire format's own item, as JSON text; empty if there is nothing to send back.
        opaque: String,
    },
    /// A tool that the model wants to be called.
    Call {
        /// Ties the result to the call.
        call_id: String,
        /// The tool.
        name: String,
        /// Its arguments: JSON text for a function, plain text for a freeform tool.
        arguments: String,
        /// Whether the tool takes plain text.
        freeform: bool,
    },
    /// What the tool returned.
    Result {
        /// Of which call.
        call_id: String,
        /// What the model is told.
        output: String,
        /// Whether the tool takes plain text; the wire has two item types.
        freeform: bool,
    },
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Takes a JSON object.
    Function {
        /// What the model calls it by.
        name: &'static str,
        /// What it does.
        description: &'static str,
        /// JSON schema of its arguments, as JSON text.
        parameters: &'static str,
    },
    /// Takes plain text that follows a grammar.
    Freeform {
        /// What the model calls it by.
        name: &'static str,
        /// What it does.
        description: &'static str,
        /// The grammar, in Lark's notation.
        grammar: &'static str,
    },
}

/// What an endpoint says that one reply used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens read, cached ones included.
    pub input: u64,
    /// Of those, from the endpoint's cache.
    pub cached: u64,
    /// Tokens written, reasoning included.
    pub output: u64,
}
