//! The agent's conversation: what is said in it, what may be called, and what is to be done next.
//!
//! The words are here; [`conversation::Conversation`] is the machine that they drive. It holds what was said and what may
//! still be used, and says what is to be done next. It knows no endpoint, no sandbox and no clock: the shell asks the
//! model, carries out the calls, and watches the time.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::excerpt::search::Search;
use crate::job::Usage;
use crate::patch::Patch;
use crate::patch::replace::Replacement;

mod call;
mod context;
pub mod conversation;
mod heredoc;
mod ledger;
pub mod output;
pub mod tools;

#[cfg(test)]
mod tests;

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
        name: Cow<'static, str>,
        /// What it does.
        description: Cow<'static, str>,
        /// JSON schema of its arguments, as JSON text.
        parameters: Cow<'static, str>,
    },
    /// Takes plain text that follows a grammar.
    Freeform {
        /// What the model calls it by.
        name: Cow<'static, str>,
        /// What it does.
        description: Cow<'static, str>,
        /// The grammar, in Lark's notation.
        grammar: Cow<'static, str>,
    },
}

impl Tool {
    /// What the model calls it by.
    pub fn name(&self) -> &str {
        match self {
            Self::Function { name, .. } | Self::Freeform { name, .. } => name,
        }
    }

    /// About how many bytes it takes in a request.
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Function { name, description, parameters: rest } | Self::Freeform { name, description, grammar: rest } => {
                (name.len() + description.len() + rest.len()) as u64
            }
        }
    }
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

/// What the model added to the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// New items, in order; to be appended to the conversation as they are.
    pub items: Vec<Item>,
    /// What the endpoint says that it used; `None` where it says nothing.
    pub usage: Option<TokenUsage>,
    /// Why it ended.
    pub stop: Stop,
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The model had said what it wanted to.
    #[default]
    Complete,
    /// It had reached its limit of tokens; the last item may be cut, and a call that was cut is left out.
    OutputLimit,
    /// The endpoint or the model refused to go on; the words, if any, say why.
    Refused,
}

/// What tokens cost, in millionths of a US dollar per million tokens; unknown prices count as nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    /// Tokens read, those from the cache excepted.
    pub input: Option<u64>,
    /// Tokens read from the cache; the input price where there is none.
    pub cached: Option<u64>,
    /// Tokens written.
    pub output: Option<u64>,
}

impl Prices {
    /// What one reply costs, in millionths of a US dollar, rounded up.
    pub fn cost_microusd(&self, usage: &TokenUsage) -> u64 {
        let cached = usage.cached.min(usage.input);
        let parts = [(usage.input - cached, self.input), (cached, self.cached.or(self.input)), (usage.output, self.output)];
        let total: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(price.unwrap_or(0))).sum();
        u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// A call that is to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Ties the result to the call.
    pub call_id: String,
    /// What is to be done.
    pub action: Action,
}

/// What a call asks for, after its arguments were understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run a script in the workspace.
    Shell {
        /// The script.
        script: String,
        /// Where to start, relative to the workspace; empty for its root.
        directory: String,
        /// The time limit that the model asked for.
        timeout_ms: Option<u64>,
    },
    /// Show lines of a file.
    Read {
        /// The file, relative to the workspace, or `@` and the number of an output that was shown in part.
        path: String,
        /// The first line, from 1.
        first_line: u32,
        /// How many; as many as are shown at once where the model does not say.
        n_lines: Option<u32>,
    },
    /// Look for a pattern in the files.
    Search(Search),
    /// Apply a patch to the workspace.
    Patch(Patch),
    /// Put a text in the place of another.
    Replace(Replacement),
    /// Call a tool that the operator has connected.
    External {
        /// Its whole name.
        name: String,
        /// Its arguments: a JSON object.
        arguments: serde_json::Map<String, serde_json::Value>,
    },
}

/// How the model says that its work stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Done.
    #[default]
    Done,
    /// It cannot be done, or should not be.
    NotPossible,
    /// A person has to answer a question first.
    NeedsInput,
}

/// What the model says at the end; hearsay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Its words.
    pub text: String,
    /// How it says that the work stands.
    pub standing: Standing,
    /// What a review found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Closing {
    /// Words alone.
    pub fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// One thing that a review found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// One line, at most 80 characters.
    pub title: String,
    /// What is wrong, when, and why it matters.
    pub body: String,
    /// 0 (must be fixed at once) to 3 (nice to have).
    pub priority: u8,
    /// How sure the model is, in hundredths.
    pub confidence_percent: u8,
    /// The file.
    pub path: String,
    /// The first line, from 1.
    pub first_line: u32,
    /// The last line.
    pub last_line: u32,
    /// What these lines are to say instead, where that alone mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Finding {
    /// What it is sorted by: what must be mended first comes first, and what is surer before the rest.
    pub fn weight(&self) -> impl Ord + use<> {
        (self.priority, std::cmp::Reverse(self.confidence_percent))
    }
}

/// What the shell has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the model, and hand in the reply.
    Ask {
        /// The most tokens that the reply may take.
        output_tokens_max: u64,
        /// The most that the request may use, to be reserved before it is sent.
        most: Usage,
    },
    /// Carry out a call, and hand in its result.
    Call(ToolCall),
    /// Look whether anything is missing, and hand in what.
    Check(Closing),
    /// Nothing: the work is done, as far as the harness can see.
    Finished(Closing),
    /// Nothing: the model does not want to.
    Refused {
        /// Its words, if there are any.
        words: String,
    },
    /// Nothing: a limit is reached.
    Exhausted {
        /// Which, as the end of the sentence "the budget's …".
        limit: &'static str,
    },
    /// Nothing: the model gets no further.
    Stuck {
        /// What it does over and over, as a sentence for the user.
        reason: String,
    },
}
