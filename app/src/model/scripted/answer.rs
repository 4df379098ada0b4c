//! What all wire formats share: what was said to the model, and what it answers.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::model::scripted::{Step, chat, messages, responses};

/// A wire format.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// OpenAI Responses.
    Responses,
    /// OpenAI Chat Completions.
    Chat,
    /// Anthropic Messages.
    Messages,
}

/// One part of a conversation, as far as a script looks at it.
#[derive(Debug)]
pub(super) enum Past {
    /// Words of the user.
    User(String),
    /// A tool's result.
    Result,
    /// What the model said, and all else.
    Other,
}

/// One reply, in no format's words.
pub(super) struct Answer {
    /// Its parts.
    pub(super) said: Vec<Said>,
    /// How it ends.
    pub(super) end: End,
    /// Its number, for ids.
    pub(super) number: usize,
    /// How many tokens the request had. Four bytes to the token is near enough for a model that is none.
    pub(super) input_tokens: usize,
}

/// One part of a reply.
pub(super) enum Said {
    /// A thought.
    Thought(String),
    /// Words.
    Text(String),
    /// A call of a function.
    Call {
        /// The tool.
        name: String,
        /// The arguments, as text.
        arguments: String,
    },
    /// A call of the patch tool, in the form that is on offer.
    Patch(String),
}

/// How a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As the model wants.
    Complete,
    /// At its limit, within its last part.
    Limit,
    /// With a refusal; the words are the model's.
    Refused,
}

impl Format {
    /// What was said so far, or what is wrong with the request.
    pub(super) fn past(self, body: &Value, headers: &HeaderMap) -> Result<Vec<Past>, String> {
        if body["stream"] != true {
            return Err("'stream' must be true".to_owned());
        }
        match self {
            Self::Responses => responses::past(body),
            Self::Chat => chat::past(body),
            Self::Messages => messages::past(body, headers),
        }
    }

    /// The events of a reply.
    pub(super) fn reply(self, answer: &Answer, request: &Value) -> String {
        match self {
            Self::Responses => responses::reply(answer, request),
            Self::Chat => chat::reply(answer, request),
            Self::Messages => messages::reply(answer, request),
        }
    }

    /// What a tolerant client passes over.
    pub(super) fn garbage(self) -> &'static str {
        match self {
            Self::Responses => responses::GARBAGE,
            Self::Chat => chat::GARBAGE,
            Self::Messages => messages::GARBAGE,
        }
    }
}

impl Answer {
    /// What a step comes to, as reply of this number to a request of this size.
    pub(super) fn of(step: &Step, number: usize, request_bytes: usize) -> Self {
        let (mut said, mut end) = (Vec::new(), End::Complete);
        add(step, &mut said, &mut end);
        Self { said, end, number, input_tokens: request_bytes / 4 }
    }

    /// About how many tokens it has.
    pub(super) fn output_tokens(&self) -> usize {
        let size = |said: &Said| match said {
            Said::Thought(text) | Said::Text(text) | Said::Patch(text) => text.len(),
            Said::Call { name, arguments } => name.len() + arguments.len(),
        };
        self.said.iter().map(size).sum::<usize>() / 4 + 1
    }
}

fn add(step: &Step, said: &mut Vec<Said>, end: &mut End) {
    let call = |name: &str, arguments: String| Said::Call { name: name.to_owned(), arguments };
    match step {
        Step::Shell(script) => said.push(call("shell", json!({ "command": script }).to_string())),
        Step::Call { name, arguments } => said.push(call(name, arguments.clone())),
        Step::ApplyPatch(patch) => said.push(Said::Patch(patch.clone())),
        Step::Message(text) => said.push(Said::Text(text.clone())),
        Step::Empty => {}
        Step::Cut => {
            said.extend([Said::Text("I was about to".to_owned()), call("shell", r#"{"command":"rm"#.to_owned())]);
            *end = End::Limit;
        }
        Step::Refuse(text) => {
            said.push(Said::Text(text.clone()));
            *end = End::Refused;
        }
        Step::Reasoned { summary, then } => {
            said.push(Said::Thought(summary.clone()));
            add(then, said, end);
        }
    }
}

/// One event: its name where it has one, its data, an empty line.
pub(super) fn framed(event: &Value) -> String {
    match (event["type"].as_str(), event.as_str()) {
        (Some(kind), _) => format!("event: {kind}\ndata: {event}\n\n"),
        (None, Some(text)) => format!("data: {text}\n\n"),
        (None, None) => format!("data: {event}\n\n"),
    }
}

/// The texts of a content that is one text or a list of parts.
pub(super) fn texts(content: &Value) -> String {
    let parts = content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    content.as_str().map_or_else(|| parts.collect(), str::to_owned)
}
