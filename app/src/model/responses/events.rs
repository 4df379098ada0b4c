//! What is received: events to items and usage.

use patchwright_domain::turn::{Item, Reply, Stop, TokenUsage};
use serde_json::Value;

use crate::model::endpoint;
use crate::model::failure::{self, Failure};

/// The reply so far.
#[derive(Default)]
pub(super) struct Reading {
    /// Whole items, as the endpoint wrote them.
    items: Vec<Value>,
    /// Bytes of whole items.
    n_whole: u64,
    /// Bytes of the item that is being written.
    n_begun: u64,
}

impl endpoint::Reading for Reading {
    fn take(&mut self, data: &str) -> Result<Option<Reply>, Failure> {
        // What is no JSON is no event of ours, such as the `[DONE]` of another API.
        let Ok(mut event) = serde_json::from_str::<Value>(data) else { return Ok(None) };
        let kind = event["type"].as_str().unwrap_or_default();
        match kind {
            "response.output_item.done" => {
                let item = event["item"].take();
                self.n_whole += size(&item).max(self.n_begun);
                self.n_begun = 0;
                self.items.push(item);
                Ok(None)
            }
            "response.completed" => Ok(Some(self.end(&event["response"], Stop::Complete))),
            "response.incomplete" => match event["response"]["incomplete_details"]["reason"].as_str() {
                Some("content_filter") => Ok(Some(self.end(&event["response"], Stop::Refused))),
                Some("max_output_tokens" | "max_tokens") => Ok(Some(self.end(&event["response"], Stop::OutputLimit))),
                reason => Err(Failure::unavailable(format!("the reply was cut short: {}", reason.unwrap_or("unknown")))),
            },
            "response.failed" => Err(failure::of_event(&event["response"]["error"])),
            "error" => Err(failure::of_event(if event["error"].is_object() { &event["error"] } else { &event })),
            kind => {
                if kind.ends_with(".delta") {
                    self.n_begun += event["delta"].as_str().map_or(0, |delta| delta.len() as u64);
                }
                Ok(None)
            }
        }
    }

    fn output_bytes(&self) -> u64 {
        self.n_whole + self.n_begun
    }
}

impl Reading {
    fn end(&mut self, response: &Value, stop: Stop) -> Reply {
        let mut values = std::mem::take(&mut self.items);
        // Some endpoints give the items here only, and one that was cut may stand nowhere else.
        if let Some(output) = response["output"].as_array().filter(|output| output.len() > values.len()) {
            values.clone_from(output);
        }
        let has_refused = values.iter().any(is_refusal);
        let is_cut = |item: &Value| match stop {
            Stop::Complete => false,
            Stop::OutputLimit | Stop::Refused => is_cut_call(item),
        };
        let items = values.iter().filter(|item| !is_cut(item)).filter_map(item).collect();
        let stop = if has_refused { Stop::Refused } else { stop };
        Reply { items, usage: usage(&response["usage"]), stop }
    }
}

fn usage(usage: &Value) -> Option<TokenUsage> {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    usage.is_object().then(|| TokenUsage {
        input: count(&usage["input_tokens"]),
        cached: count(&usage["input_tokens_details"]["cached_tokens"]),
        output: count(&usage["output_tokens"]),
    })
}

/// How many bytes of a whole item are the model's own.
fn size(item: &Value) -> u64 {
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let parts = |list: &Value| list.as_array().into_iter().flatten().map(|part| text(&part["text"])).sum::<usize>();
    (text(&item["arguments"]) + text(&item["input"]) + parts(&item["content"]) + parts(&item["summary"])) as u64
}

fn is_refusal(item: &Value) -> bool {
    item["type"] == "message" && item["content"].as_array().into_iter().flatten().any(|part| part["type"] == "refusal")
}

/// Whether a call was not written to its end. A patch shows it by its status alone, a function also by its arguments.
fn is_cut_call(item: &Value) -> bool {
    let is_call = item["type"].as_str().is_some_and(|kind| kind.ends_with("_call"));
    let arguments = item["arguments"].as_str();
    is_call && (item["status"] == "incomplete" || arguments.is_some_and(|text| serde_json::from_str::<Value>(text).is_err()))
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
