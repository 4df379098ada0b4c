//! What is sent: the fields in an order that keeps the body's beginning equal from turn to turn, `input` last.

use patchwright_domain::turn::{Item, Tool};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::Prompt;
use crate::model::draft::{Layout, Open, separate};
use crate::model::endpoint::EndpointSettings;

#[derive(Serialize)]
struct Head<'a> {
    model: &'a str,
    instructions: &'a str,
    tools: Vec<Value>,
    tool_choice: &'static str,
    parallel_tool_calls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning<'a>>,
    store: bool,
    stream: bool,
    include: [&'static str; 1],
    prompt_cache_key: &'a str,
    max_output_tokens: u64,
}

#[derive(Serialize)]
struct Reasoning<'a> {
    effort: &'a str,
}

/// The conversation as the list `input`, in which every item stands for itself.
pub(super) struct Input<'a> {
    pub(super) settings: &'a EndpointSettings,
}

impl Layout for Input<'_> {
    fn head(&self, prompt: &Prompt<'_>) -> Result<Vec<u8>, serde_json::Error> {
        let mut head = serde_json::to_vec(&Head {
            model: &self.settings.model,
            instructions: prompt.instructions,
            tools: prompt.tools.iter().map(tool).collect::<Result<_, _>>()?,
            tool_choice: "auto",
            parallel_tool_calls: false,
            reasoning: self.settings.reasoning_effort.as_deref().map(|effort| Reasoning { effort }),
            store: false,
            stream: true,
            include: ["reasoning.encrypted_content"],
            prompt_cache_key: prompt.cache_key,
            max_output_tokens: prompt.output_tokens_max,
        })?;
        head.pop();
        head.extend_from_slice(br#","input":["#);
        Ok(head)
    }

    fn item(&self, item: &Item, _open: Open, body: &mut Vec<u8>) -> Result<Open, serde_json::Error> {
        // A thought goes back as it came, or not at all.
        if let Some(value) = input(item) {
            separate(body);
            serde_json::to_writer(body, &value)?;
        }
        Ok(Open::Nothing)
    }

    fn closing(&self, _open: Open) -> &'static str {
        "]}"
    }
}

fn tool(tool: &Tool) -> Result<Value, serde_json::Error> {
    Ok(match tool {
        Tool::Function { name, description, parameters } => {
            let parameters: Value = serde_json::from_str(parameters)?;
            json!({ "type": "function", "name": name, "description": description, "strict": false, "parameters": parameters })
        }
        Tool::Freeform { name, description, grammar } => {
            let format = json!({ "type": "grammar", "syntax": "lark", "definition": grammar });
            json!({ "type": "custom", "name": name, "description": description, "format": format })
        }
    })
}

/// An item in the endpoint's words.
fn input(item: &Item) -> Option<Value> {
    let message = |role, kind, text| json!({ "type": "message", "role": role, "content": [{ "type": kind, "text": text }] });
    Some(match item {
        Item::User { text } => message("user", "input_text", text),
        Item::Assistant { text } => message("assistant", "output_text", text),
        Item::Reasoning { opaque, .. } => serde_json::from_str(opaque).ok()?,
        Item::Call { call_id, name, arguments, freeform: false } => {
            json!({ "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments })
        }
        Item::Call { call_id, name, arguments, freeform: true } => {
            json!({ "type": "custom_tool_call", "call_id": call_id, "name": name, "input": arguments })
        }
        Item::Result { call_id, output, freeform: false } => {
            json!({ "type": "function_call_output", "call_id": call_id, "output": output })
        }
        Item::Result { call_id, output, freeform: true } => {
            json!({ "type": "custom_tool_call_output", "call_id": call_id, "output": output })
        }
    })
}
