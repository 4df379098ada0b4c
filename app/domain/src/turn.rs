//! The agent's conversation as a pure machine.
//!
//! [`Conversation`] holds what was said and what may still be used, and says what is to be done next. It knows no
//! endpoint, no sandbox and no clock: the shell asks the model, carries out the calls, and watches the time.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::brief::Brief;
use crate::job::{Allowance, Usage};
use crate::patch::Patch;

mod call;
mod heredoc;
pub mod output;
pub mod tools;

#[cfg(test)]
mod tests;

/// How many replies in a row may hold neither words nor calls.
pub const EMPTY_REPLIES_MAX: u32 = 3;
/// The same call this many times in a row, and the model is told so.
pub const REPEATS_TOLD: u32 = 3;
/// The same call this many times in a row, and the conversation ends.
pub const REPEATS_MAX: u32 = 6;
/// How many calls of one reply are carried out.
pub const CALLS_PER_REPLY_MAX: usize = 32;
/// The most tokens that one reply may take.
pub const OUTPUT_TOKENS_MAX: u64 = 32_000;
/// How many of the newest tool results stay when older ones are dropped.
pub const RESULTS_KEPT: usize = 8;
/// A tool result that is shorter is not worth dropping, in bytes.
const RESULT_DROPPED_BYTES_MIN: usize = 400;

const NUDGE: &str = "Your last reply held neither a message nor a tool call. Go on with the task: call a tool, or, if the \
                     work is done, say what you changed and how you checked it.";
const DROPPED: &str = "[This output was dropped to make room. Run the command again if you need it.]";

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Apply a patch to the workspace.
    Patch(Patch),
}

/// What the shell has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the model, and hand in the reply.
    Ask {
        /// The most tokens that the reply may take.
        output_tokens_max: u64,
    },
    /// Carry out a call, and hand in its result.
    Call(ToolCall),
    /// Nothing: the model says that it is done.
    Finished {
        /// Its closing words.
        answer: String,
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

/// Where the conversation stands.
#[derive(Clone, Debug)]
enum Phase {
    Asking,
    Calling(VecDeque<ToolCall>),
    Finished(String),
    Stuck(String),
}

/// A conversation between a model and the harness.
#[derive(Clone, Debug)]
pub struct Conversation {
    instructions: String,
    cache_key: String,
    items: Vec<Item>,
    allowance: Allowance,
    prices: Prices,
    usage: Usage,
    phase: Phase,
    n_empty: u32,
    last_call: Option<(String, String)>,
    n_repeats: u32,
}

impl Conversation {
    /// Opens a conversation with the task.
    pub fn open(brief: &Brief, allowance: Allowance, prices: Prices) -> Self {
        Self {
            instructions: brief.instructions.clone(),
            cache_key: brief.cache_key.clone(),
            items: vec![Item::User { text: brief.task.clone() }],
            allowance,
            prices,
            usage: Usage::default(),
            phase: Phase::Asking,
            n_empty: 0,
            last_call: None,
            n_repeats: 0,
        }
    }

    /// The static prefix.
    pub fn instructions(&self) -> &str {
        &self.instructions
    }

    /// What requests that share a prefix share.
    pub fn cache_key(&self) -> &str {
        &self.cache_key
    }

    /// What was said so far, oldest first.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What was used so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// What is to be done now; the same until a reply or a result is handed in.
    pub fn next(&self) -> Next {
        match &self.phase {
            Phase::Finished(answer) => Next::Finished { answer: answer.clone() },
            Phase::Stuck(reason) => Next::Stuck { reason: reason.clone() },
            Phase::Calling(calls) => calls.front().map_or_else(|| self.ask(), |call| Next::Call(call.clone())),
            Phase::Asking => self.ask(),
        }
    }

    fn ask(&self) -> Next {
        let left = self.left();
        match left.exhausted() {
            Some(limit) => Next::Exhausted { limit },
            None => Next::Ask { output_tokens_max: left.tokens.min(OUTPUT_TOKENS_MAX) },
        }
    }

    /// What may still be used; the time is the shell's business.
    fn left(&self) -> Allowance {
        Allowance {
            turns: self.allowance.turns.saturating_sub(self.usage.turns),
            tokens: self.allowance.tokens.saturating_sub(self.usage.tokens()),
            cost_microusd: self.allowance.cost_microusd.saturating_sub(self.usage.cost_microusd),
            wall_clock_ms: self.allowance.wall_clock_ms,
        }
    }

    /// Takes in what the model added, and returns what the reply used.
    pub fn reply(&mut self, items: Vec<Item>, tokens: &TokenUsage) -> Usage {
        let used = Usage {
            turns: 1,
            input_tokens: tokens.input,
            cached_tokens: tokens.cached,
            output_tokens: tokens.output,
            cost_microusd: self.prices.cost_microusd(tokens),
        };
        self.usage.add(&used);
        let words: Vec<&str> = items.iter().filter_map(said).collect();
        let answer = words.join("\n\n");
        let calls: Vec<Item> = items.iter().filter(|item| matches!(item, Item::Call { .. })).cloned().collect();
        self.items.extend(items);
        self.n_empty = if answer.is_empty() && calls.is_empty() { self.n_empty + 1 } else { 0 };
        if !calls.is_empty() {
            self.take_calls(&calls);
        } else if !answer.is_empty() {
            self.phase = Phase::Finished(answer);
        } else if self.n_empty >= EMPTY_REPLIES_MAX {
            self.phase = Phase::Stuck(format!("The model gave {EMPTY_REPLIES_MAX} empty replies in a row."));
        } else {
            self.items.push(Item::User { text: NUDGE.to_owned() });
            self.phase = Phase::Asking;
        }
        used
    }

    /// Queues the calls that can be carried out and answers the others at once.
    fn take_calls(&mut self, calls: &[Item]) {
        let mut queue = VecDeque::new();
        for (index, item) in calls.iter().enumerate() {
            let Item::Call { call_id, name, arguments, freeform } = item else { continue };
            self.count_repeat(name, arguments);
            let understood = if index < CALLS_PER_REPLY_MAX {
                call::understand(name, arguments, *freeform)
            } else {
                Err(format!("not carried out: only {CALLS_PER_REPLY_MAX} calls are taken from one reply"))
            };
            match understood {
                Ok(action) => queue.push_back(ToolCall { call_id: call_id.clone(), action }),
                Err(message) => self.answer(call_id, message),
            }
        }
        self.phase = Phase::Calling(queue);
        if self.n_repeats >= REPEATS_MAX {
            self.phase = Phase::Stuck(format!("The model made the same tool call {REPEATS_MAX} times in a row."));
        }
    }

    fn count_repeat(&mut self, name: &str, arguments: &str) {
        let is_repeat = self.last_call.as_ref().is_some_and(|(last, with)| last == name && with == arguments);
        self.n_repeats = if is_repeat { self.n_repeats + 1 } else { 1 };
        if !is_repeat {
            self.last_call = Some((name.to_owned(), arguments.to_owned()));
        }
    }

    /// Takes in the result of the call that [`Conversation::next`] named; a result of any other call is ignored.
    pub fn result(&mut self, call_id: &str, output: String) {
        let Phase::Calling(calls) = &mut self.phase else { return };
        if calls.front().is_some_and(|call| call.call_id == call_id) {
            calls.pop_front();
            self.answer(call_id, output);
        }
    }

    fn answer(&mut self, call_id: &str, mut output: String) {
        if self.n_repeats >= REPEATS_TOLD {
            output.push_str(&format!(
                "\n[You have made this same call {} times in a row; repeating it changes nothing. Do something else, or \
                 say what keeps you from finishing.]",
                self.n_repeats
            ));
        }
        let is_freeform = |item: &Item| matches!(item, Item::Call { call_id: id, freeform: true, .. } if id == call_id);
        let freeform = self.items.iter().rev().any(is_freeform);
        self.items.push(Item::Result { call_id: call_id.to_owned(), output, freeform });
    }

    /// Drops the text of older tool results, for a model whose context is full; false if there is nothing left to drop.
    pub fn shed(&mut self) -> bool {
        let results = self.items.iter_mut().rev().filter_map(|item| match item {
            Item::Result { output, .. } => Some(output),
            Item::User { .. } | Item::Assistant { .. } | Item::Reasoning { .. } | Item::Call { .. } => None,
        });
        let mut dropped = false;
        for output in results.skip(RESULTS_KEPT).filter(|output| output.len() >= RESULT_DROPPED_BYTES_MIN) {
            DROPPED.clone_into(output);
            dropped = true;
        }
        dropped
    }
}

fn said(item: &Item) -> Option<&str> {
    match item {
        Item::Assistant { text } => Some(text.trim()).filter(|text| !text.is_empty()),
        Item::User { .. } | Item::Reasoning { .. } | Item::Call { .. } | Item::Result { .. } => None,
    }
}
