//! What is sent: the fields in an order that keeps the body's beginning equal from turn to turn, `messages` last.

use patchwright_domain::turn::{Item, Tool};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::Prompt;
use crate::model::chat::{ChatDialect, LimitField};
use crate::model::draft::{Layout, Open, separate};
use crate::model::endpoint::EndpointSettings;
use crate::model::function::described;

/// What stands before the conversation.
pub(super) struct Head<'a> {
    pub(super) settings: &'a EndpointSettings,
    pub(super) dialect: ChatDialect,
}

#[derive(Serialize)]
struct Fields<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl Head<'_> {
    /// The body up to its first item, with these words to the model and these tools.
    pub(super) fn write(&self, prompt: &Prompt<'_>, words: &str, tools: &[Tool]) -> Result<Vec<u8>, serde_json::Error> {
        let limit = |field| (self.dialect.limit_field == field).then_some(prompt.output_tokens_max);
        let mut head = serde_json::to_vec(&Fields {
            model: &self.settings.model,
            tools: tools.iter().map(function).collect::<Result<_, _>>()?,
            reasoning_effort: self.settings.reasoning_effort.as_deref(),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: limit(LimitField::MaxTokens),
            max_completion_tokens: limit(LimitField::MaxCompletionTokens),
        })?;
        head.pop();
        head.extend_from_slice(br#","messages":["#);
        serde_json::to_writer(&mut head, &json!({ "role": "system", "content": words }))?;
        Ok(head)
    }
}

/// The conversation in messages with the fields that the format has for calls.
pub(super) struct Native<'a>(pub(super) Head<'a>);

impl Layout for Native<'_> {
    fn head(&self, prompt: &Prompt<'_>) -> Result<Vec<u8>, serde_json::Error> {
        self.0.write(prompt, prompt.instructions, prompt.tools)
    }

    fn item(&self, item: &Item, open: Open, body: &mut Vec<u8>) -> Result<Open, serde_json::Error> {
        match item {
            Item::Reasoning { .. } => Ok(open),
            Item::Call { call_id, name, arguments, .. } => {
                match open {
                    Open::Calls => body.push(b','),
                    Open::Assistant => body.extend_from_slice(br#","tool_calls":["#),
                    Open::Nothing | Open::User => {
                        separate(body);
                        body.extend_from_slice(br#"{"role":"assistant","content":null,"tool_calls":["#);
                    }
                }
                let function = json!({ "name": written_name(name), "arguments": written_arguments(arguments) });
                serde_json::to_writer(body, &json!({ "id": call_id, "type": "function", "function": function }))?;
                Ok(Open::Calls)
            }
            Item::Assistant { text } => {
                begin(open, body);
                body.extend_from_slice(br#"{"role":"assistant","content":"#);
                serde_json::to_writer(body, text)?;
                Ok(Open::Assistant)
            }
            Item::User { text } => {
                begin(open, body);
                serde_json::to_writer(body, &json!({ "role": "user", "content": text }))?;
                Ok(Open::Nothing)
            }
            Item::Result { call_id, output, .. } => {
                begin(open, body);
                serde_json::to_writer(body, &json!({ "role": "tool", "tool_call_id": call_id, "content": output }))?;
                Ok(Open::Nothing)
            }
        }
    }

    fn closing(&self, open: Open) -> &'static str {
        match open {
            Open::Nothing | Open::User => "]}",
            Open::Assistant => "}]}",
            Open::Calls => "]}]}",
        }
    }
}

/// Closes the last message, and makes room for the next.
fn begin(open: Open, body: &mut Vec<u8>) {
    body.extend_from_slice(match open {
        Open::Nothing | Open::User => b"",
        Open::Assistant => b"}",
        Open::Calls => b"]}",
    });
    separate(body);
}

/// A name that a server takes back, whatever the model has made up.
fn written_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// Arguments that a server takes back: many read them to write the model's own form, and fail on what is no object.
fn written_arguments(arguments: &str) -> &str {
    let is_object = serde_json::from_str::<Value>(arguments).is_ok_and(|value| value.is_object());
    if is_object { arguments } else { "{}" }
}

fn function(tool: &Tool) -> Result<Value, serde_json::Error> {
    let (description, parameters) = described(tool)?;
    let function = json!({ "name": tool.name(), "description": description, "parameters": parameters });
    Ok(json!({ "type": "function", "function": function }))
}
