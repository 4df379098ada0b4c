//! The record of a solve, as JSON lines: everything that went to the model, everything that came from it, and everything
//! that its calls were answered with. A round that goes on begins from it, and a replay is driven by it.

use patchwright_domain::brief::Brief;
use patchwright_domain::job::{Mode, Usage};
use patchwright_domain::proof::Exit;
use patchwright_domain::turn::conversation::Terms;
use patchwright_domain::turn::tools::EditForm;
use patchwright_domain::turn::{Item, Prices, Reply, Tool};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::ModelError;

/// How large a transcript may grow, in bytes.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// The terms that the conversation is held under.
    Opened {
        /// The model's name.
        model: String,
        /// How it works.
        mode: Mode,
        /// In which form it edits.
        edit_form: EditForm,
        /// The static prefix.
        instructions: String,
        /// What requests that share a prefix share.
        cache_key: String,
        /// Model calls that may be used.
        turns: u32,
        /// Tokens that may be used.
        tokens: u64,
        /// What may be spent, in millionths of a US dollar.
        cost_microusd: u64,
        /// What tokens cost.
        prices: Prices,
        /// How many tokens the context holds.
        context_tokens: u64,
        /// The most tokens of one reply.
        output_tokens_max: u64,
        /// How often something that is missing is told.
        checks_max: u32,
        /// The tools beside the built-in ones, in their order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        external: Vec<External>,
    },
    /// Something that the operator has connected and that is not on offer.
    LeftOut {
        /// Its name.
        what: String,
        /// Why.
        reason: String,
    },
    /// What a tool beside the built-in ones answered.
    External {
        /// Its whole name.
        name: String,
        /// What it was called with.
        arguments: Map<String, Value>,
        /// What the model was told.
        told: String,
        /// Whether it failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    /// What a request added to the conversation.
    Request {
        /// The turn, from 1.
        turn: u32,
        /// The new items.
        items: Vec<Item>,
    },
    /// The whole conversation, where what was said before was rewritten.
    Rewritten {
        /// All items.
        items: Vec<Item>,
    },
    /// The model's reply.
    Reply {
        /// The turn, from 1.
        turn: u32,
        /// What it added.
        reply: Reply,
    },
    /// A request without a reply.
    Failure {
        /// What went wrong.
        error: String,
        /// What kind of failure it was.
        failure: Failed,
        /// How long was waited before the next; none where there was no next.
        wait_ms: Option<u64>,
    },
    /// What a call was answered with.
    Result {
        /// Which call.
        call_id: String,
        /// What the model was told.
        told: String,
        /// What was done, in a line.
        note: String,
    },
    /// A command that was run, for a call or for a check, with all that was kept of its output.
    Ran {
        /// The script.
        script: String,
        /// Where it started, relative to the workspace.
        directory: String,
        /// Its time limit.
        timeout_ms: u64,
        /// How it ended.
        exit: Exit,
        /// How long it took.
        duration_ms: u64,
        /// What it printed: text, or base64 where it is no UTF-8.
        output: String,
        /// Whether the output is written as base64.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_base64: bool,
        /// How many bytes were dropped from the middle.
        omitted_bytes: u64,
    },
    /// What the model was told to be missing when it said that it is done.
    Checked {
        /// In words for the model.
        missing: Option<String>,
    },
    /// The end.
    Ended {
        /// How.
        ending: String,
        /// What it used.
        usage: Usage,
    },
    /// Lines are missing from here on, because the transcript was too large.
    Cut {
        /// How large it may be.
        bytes_max: usize,
    },
}

/// The declaration of a tool beside the built-in ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// Its whole name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON schema of its arguments, as JSON text.
    pub parameters: String,
}

impl External {
    /// What the model is offered.
    pub fn tool(self) -> Tool {
        Tool::Function { name: self.name.into(), description: self.description.into(), parameters: self.parameters.into() }
    }

    /// What was offered; the grammar of a tool that takes plain text stands in the schema's place.
    fn of(tool: &Tool) -> Self {
        match tool {
            Tool::Function { name, description, parameters } | Tool::Freeform { name, description, grammar: parameters } => {
                let (name, description) = (name.to_string(), description.to_string());
                Self { name, description, parameters: parameters.to_string() }
            }
        }
    }
}

impl Line {
    pub(super) fn opened(model: &str, brief: &Brief, terms: &Terms, edit_form: EditForm, external: &[Tool]) -> Self {
        Self::Opened {
            model: model.to_owned(),
            mode: terms.mode,
            edit_form,
            instructions: brief.instructions.clone(),
            cache_key: brief.cache_key.clone(),
            turns: terms.allowance.turns,
            tokens: terms.allowance.tokens,
            cost_microusd: terms.allowance.cost_microusd,
            prices: terms.prices,
            context_tokens: terms.context_tokens,
            output_tokens_max: terms.output_tokens_max,
            checks_max: terms.checks_max,
            external: external.iter().map(External::of).collect(),
        }
    }
}

/// Why a request had no reply, by what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failed {
    /// The rate was limited.
    RateLimited,
    /// There was no answer.
    Unavailable,
    /// The reply broke off.
    BrokenOff {
        /// How much of it had arrived.
        output_bytes: u64,
    },
    /// The credentials were refused.
    Unauthorized,
    /// The conversation was too long.
    ContextOverflow,
    /// The request was refused.
    Rejected,
}

impl From<&ModelError> for Failed {
    fn from(error: &ModelError) -> Self {
        match error {
            ModelError::RateLimited { .. } => Self::RateLimited,
            ModelError::Unavailable(_) => Self::Unavailable,
            ModelError::BrokenOff { output_bytes, .. } => Self::BrokenOff { output_bytes: *output_bytes },
            ModelError::Unauthorized(_) => Self::Unauthorized,
            ModelError::ContextOverflow(_) => Self::ContextOverflow,
            ModelError::Rejected(_) => Self::Rejected,
        }
    }
}

/// The lines so far.
#[derive(Default)]
pub(super) struct Transcript {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Transcript {
    /// Adds a line, or the note that lines are missing from here on.
    pub(super) fn line(&mut self, line: &Line) {
        if self.is_cut {
            return;
        }
        let start = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, line).expect("a line holds only what JSON can hold");
        if self.bytes.len() > BYTES_MAX {
            self.is_cut = true;
            self.bytes.truncate(start);
            serde_json::to_writer(&mut self.bytes, &Line::Cut { bytes_max: BYTES_MAX }).expect("a number is JSON");
        }
        self.bytes.push(b'\n');
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads the lines of a transcript; what cannot be read, such as another agent's lines, is passed over.
pub fn lines(transcript: &[u8]) -> impl Iterator<Item = Line> + '_ {
    transcript.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// The conversation as it stood at the end, and the notes of what was done in it.
pub(super) fn last_state(transcript: &[u8]) -> (Vec<Item>, Vec<String>) {
    let (mut items, mut notes) = (Vec::new(), Vec::new());
    for line in lines(transcript) {
        match line {
            Line::Request { items: new, .. } => items.extend(new),
            Line::Reply { reply, .. } => items.extend(reply.items),
            Line::Rewritten { items: all } => items = all,
            Line::Result { note, .. } => notes.push(note),
            Line::Opened { .. }
            | Line::LeftOut { .. }
            | Line::External { .. }
            | Line::Failure { .. }
            | Line::Ran { .. }
            | Line::Checked { .. }
            | Line::Ended { .. }
            | Line::Cut { .. } => {}
        }
    }
    answer_open_calls(&mut items);
    (items, notes)
}

/// An endpoint takes no conversation with a call that has no result, and work that was interrupted may end with one.
fn answer_open_calls(items: &mut Vec<Item>) {
    let answered: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            Item::Result { call_id, .. } => Some(call_id.clone()),
            Item::User { .. } | Item::Assistant { .. } | Item::Reasoning { .. } | Item::Call { .. } => None,
        })
        .collect();
    let open = items.iter().filter_map(|item| match item {
        Item::Call { call_id, freeform, .. } if !answered.contains(call_id) => {
            let output = "not carried out: the work was interrupted".to_owned();
            Some(Item::Result { call_id: call_id.clone(), output, freeform: *freeform })
        }
        Item::Call { .. } | Item::User { .. } | Item::Assistant { .. } | Item::Reasoning { .. } | Item::Result { .. } => None,
    });
    let open: Vec<Item> = open.collect();
    items.extend(open);
}
