//! What is received: events to items and usage.

use patchwright_domain::turn::{Item, Reply, Stop, TokenUsage};
use serde_json::Value;

use crate::model::responses::failure::{self, Failure};

/// The reply so far.
#[derive(Default)]
pub(super) struct Reading {
    items: Vec<Item>,
}

impl Reading {
    /// Takes one event's data; the reply, if this was the last one.
    pub(super) fn take(&mut self, data: &str) -> Result<Option<Reply>, Failure> {
        // What is no JSON is no event of ours, such as the `[DONE]` of another API.
        let Ok(event) = serde_json::from_str::<Value>(data) else { return Ok(None) };
        match event["type"].as_str().unwrap_or_default() {
            "response.output_item.done" => {
                self.items.extend(item(&event["item"]));
                Ok(None)
            }
            "response.completed" => Ok(Some(self.complete(&event["response"]))),
            "response.failed" => Err(failure::of_event(&event["response"]["error"])),
            "response.incomplete" => Err(failure::of_incomplete(&event["response"])),
            "error" => Err(failure::of_event(if event["error"].is_object() { &event["error"] } else { &event })),
            _ => Ok(None),
        }
    }

    fn complete(&mut self, response: &Value) -> Reply {
        let mut items = std::mem::take(&mut self.items);
        if items.is_empty() {
            // Some endpoints give the items here only.
            items = response["output"].as_array().into_iter().flatten().filter_map(item).collect();
        }
        let usage = &response["usage"];
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        let usage = TokenUsage {
            input: count(&usage["input_tokens"]),
            cached: count(&usage["input_tokens_details"]["cached_tokens"]),
            output: count(&usage["output_tokens"]),
        };
        Reply { items, usage: Some(usage), stop: Stop::Complete }
    }
}

/// An item in our words; none for a kind that means nothing to us.
fn item(value: &Value) -> Option<Item> {
    match value["type"].as_str()? {
        "message" => Some(Item::Assistant { text: texts(&value["content"], "") }),
        "function_call" => call(value, &value["arguments"], false),
        "custom_tool_call" => call(value, &value["input"], true),
        "reasoning" => Some(reasoning(value)),
        _ => None,
    }
}

fn call(value: &Value, arguments: &Value, freeform: bool) -> Option<Item> {
    let call_id = value["call_id"].as_str().or_else(|| value["id"].as_str())?.to_owned();
    let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
    Some(Item::Call { call_id, name: value["name"].as_str().unwrap_or_default().to_owned(), arguments, freeform })
}

/// Without its encrypted content a thought cannot go back: the endpoint was told not to store it.
fn reasoning(value: &Value) -> Item {
    let opaque = if value["encrypted_content"].is_string() { value.to_string() } else { String::new() };
    Item::Reasoning { summary: texts(&value["summary"], "\n\n"), opaque }
}

fn texts(parts: &Value, between: &str) -> String {
    let text = |part: &Value| part["text"].as_str().or_else(|| part["refusal"].as_str()).map(str::to_owned);
    parts.as_array().into_iter().flatten().filter_map(text).collect::<Vec<_>>().join(between)
}
