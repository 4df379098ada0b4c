//! What is sent: the fields in an order that keeps the body's beginning equal from turn to turn, `messages` last.

use patchwright_domain::turn::{Item, Tool};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::Prompt;
use crate::model::draft::{Layout, Open, separate};
use crate::model::endpoint::EndpointSettings;
use crate::model::function::described;

#[derive(Serialize)]
struct Head<'a> {
    model: &'a str,
    max_tokens: u64,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Value>,
    cache_control: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Value>,
}

/// The conversation as messages of alternating roles.
pub(super) struct Messages<'a> {
    pub(super) settings: &'a EndpointSettings,
}

impl Layout for Messages<'_> {
    fn head(&self, prompt: &Prompt<'_>) -> Result<Vec<u8>, serde_json::Error> {
        let mut tools: Vec<Value> = prompt.tools.iter().map(tool).collect::<Result<_, _>>()?;
        if let Some(last) = tools.last_mut() {
            last["cache_control"] = kept();
        }
        let instructions = json!({ "type": "text", "text": prompt.instructions, "cache_control": kept() });
        let effort = self.settings.reasoning_effort.as_deref();
        let mut head = serde_json::to_vec(&Head {
            model: &self.settings.model,
            max_tokens: prompt.output_tokens_max,
            stream: true,
            thinking: effort.map(|_| json!({ "type": "adaptive" })),
            output_config: effort.map(|effort| json!({ "effort": effort })),
            cache_control: kept(),
            tools,
            system: if prompt.instructions.trim().is_empty() { Vec::new() } else { vec![instructions] },
        })?;
        head.pop();
        head.extend_from_slice(br#","messages":["#);
        Ok(head)
    }

    fn item(&self, item: &Item, open: Open, body: &mut Vec<u8>) -> Result<Open, serde_json::Error> {
        let Some((role, block)) = block(item) else { return Ok(open) };
        if role != open {
            body.extend_from_slice(if open == Open::Nothing { b"" } else { b"]}" });
            separate(body);
            body.extend_from_slice(match role {
                Open::User | Open::Nothing => br#"{"role":"user","content":["#.as_slice(),
                Open::Assistant | Open::Calls => br#"{"role":"assistant","content":["#.as_slice(),
            });
        }
        separate(body);
        serde_json::to_writer(body, &block)?;
        Ok(role)
    }

    fn closing(&self, open: Open) -> &'static str {
        match open {
            Open::Nothing => "]}",
            Open::User | Open::Assistant | Open::Calls => "]}]}",
        }
    }
}

/// The mark up to which a request is kept in the cache.
fn kept() -> Value {
    json!({ "type": "ephemeral" })
}

fn tool(tool: &Tool) -> Result<Value, serde_json::Error> {
    let (description, schema) = described(tool)?;
    Ok(json!({ "name": tool.name(), "description": description, "input_schema": schema }))
}

/// An item as a content block, and whose it is; none for what the endpoint would not take back.
fn block(item: &Item) -> Option<(Open, Value)> {
    // Empty texts are refused.
    let text = |text: &str| (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }));
    Some(match item {
        Item::User { text: words } => (Open::User, text(words)?),
        Item::Assistant { text: words } => (Open::Assistant, text(words)?),
        Item::Reasoning { opaque, .. } => (Open::Assistant, serde_json::from_str(opaque).ok()?),
        Item::Call { call_id, name, arguments, .. } => {
            let input: Option<Value> = serde_json::from_str(arguments).ok().filter(Value::is_object);
            let input = input.unwrap_or_else(|| json!({}));
            (Open::Assistant, json!({ "type": "tool_use", "id": call_id, "name": name, "input": input }))
        }
        Item::Result { call_id, output, .. } => {
            (Open::User, json!({ "type": "tool_result", "tool_use_id": call_id, "content": output }))
        }
    })
}
