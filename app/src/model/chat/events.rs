//! What is received: deltas to items and usage.

use patchwright_domain::turn::{Item, Reply, Stop, TokenUsage};
use serde_json::Value;

use crate::model::chat::spoken;
use crate::model::endpoint;
use crate::model::failure::{self, Failure};

/// How a thought begins that stands in the text.
const THOUGHT_BEGINS: &str = "<think>";
const THOUGHT_ENDS: &str = "</think>";

/// The reply so far.
pub(super) struct Reading {
    thought: String,
    text: String,
    refusal: String,
    calls: Vec<Call>,
    stop: Option<Stop>,
    usage: Option<TokenUsage>,
    /// What ids are made of where there is none.
    seed: String,
    /// The tools' names, where calls stand in the text.
    spoken: Option<Vec<String>>,
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl endpoint::Reading for Reading {
    fn take(&mut self, data: &str) -> Result<Option<Reply>, Failure> {
        if data.trim() == "[DONE]" {
            let stop = self.stop.ok_or_else(|| Failure::unavailable("the reply ended without a reason".to_owned()))?;
            return Ok(Some(self.end(stop)));
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else { return Ok(None) };
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Err(failure::of_event(&event["error"]));
        }
        if event["object"] == "error" {
            return Err(failure::of_event(&event));
        }
        self.usage = usage(&event["usage"]).or(self.usage);
        let choice = &event["choices"][0];
        self.add(&choice["delta"]);
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.stop = Some(stop(reason)?);
        }
        Ok(None)
    }

    /// Some servers give the reason and then hang up, with neither usage nor `[DONE]`.
    fn take_end(&mut self) -> Option<Reply> {
        self.stop.map(|stop| self.end(stop))
    }

    fn output_bytes(&self) -> u64 {
        let calls: usize = self.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
        (self.thought.len() + self.text.len() + self.refusal.len() + calls) as u64
    }
}

impl Reading {
    /// Of a server that knows tools.
    pub(super) fn native(seed: String) -> Self {
        Self {
            thought: String::new(),
            text: String::new(),
            refusal: String::new(),
            calls: Vec::new(),
            stop: None,
            usage: None,
            seed,
            spoken: None,
        }
    }

    /// Of a server that knows none: calls of these are looked for in the text.
    pub(super) fn spoken(seed: String, names: Vec<String>) -> Self {
        Self { spoken: Some(names), ..Self::native(seed) }
    }

    fn add(&mut self, delta: &Value) {
        for key in ["reasoning_content", "reasoning"] {
            if let Some(text) = delta[key].as_str() {
                self.thought.push_str(text);
                // Some servers give the same words under both names.
                break;
            }
        }
        self.text.push_str(delta["content"].as_str().unwrap_or_default());
        for part in delta["content"].as_array().into_iter().flatten() {
            self.text.push_str(part["text"].as_str().unwrap_or_default());
            for thought in part["thinking"].as_array().into_iter().flatten() {
                self.thought.push_str(thought["text"].as_str().unwrap_or_default());
            }
        }
        self.refusal.push_str(delta["refusal"].as_str().unwrap_or_default());
        for part in delta["tool_calls"].as_array().into_iter().flatten() {
            self.add_call(part);
        }
    }

    /// Adds to the call of the part's index, or begins one. Some servers give every call the index 0, or none.
    fn add_call(&mut self, part: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (index, id, name) = (part["index"].as_u64(), text(&part["id"]), text(&part["function"]["name"]));
        let is_another = |call: &Call| !id.is_empty() && !name.is_empty() && !call.id.is_empty() && call.id != id;
        let known = self.calls.iter().rposition(|call| index.is_none() || call.index == index);
        let position = known.filter(|position| !is_another(&self.calls[*position])).unwrap_or_else(|| {
            self.calls.push(Call { index, ..Call::default() });
            self.calls.len() - 1
        });
        let call = &mut self.calls[position];
        for (mine, new) in [(&mut call.id, id), (&mut call.name, name)] {
            if mine.is_empty() {
                *mine = new;
            }
        }
        match &part["function"]["arguments"] {
            Value::String(piece) => call.arguments.push_str(piece),
            whole @ Value::Object(_) => call.arguments = whole.to_string(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
        }
    }

    fn end(&mut self, stop: Stop) -> Reply {
        let is_cut = stop != Stop::Complete;
        let mut text = std::mem::take(&mut self.text);
        if let Some((thought, rest)) = inner_thought(&text) {
            self.thought.push_str(thought);
            text = rest.to_owned();
        }
        let mut calls: Vec<Call> = std::mem::take(&mut self.calls);
        if let Some(names) = &self.spoken {
            let parsed = spoken::parse(&text, names, is_cut);
            text = parsed.words;
            calls.extend(parsed.calls.into_iter().map(|(name, arguments)| Call { name, arguments, ..Call::default() }));
        }
        let mut items = Vec::new();
        if !self.thought.trim().is_empty() {
            items.push(Item::Reasoning { summary: std::mem::take(&mut self.thought), opaque: String::new() });
        }
        let stop = if self.refusal.is_empty() { stop } else { Stop::Refused };
        text.push_str(&self.refusal);
        if !text.is_empty() {
            items.push(Item::Assistant { text });
        }
        let whole = calls.into_iter().filter(|call| !is_cut || serde_json::from_str::<Value>(&call.arguments).is_ok());
        for (n, call) in whole.enumerate() {
            let call_id = if call.id.is_empty() { format!("call_{}_{n}", self.seed) } else { call.id };
            let arguments = if call.arguments.trim().is_empty() { "{}".to_owned() } else { call.arguments };
            items.push(Item::Call { call_id, name: call.name, arguments, freeform: false });
        }
        Reply { items, usage: self.usage, stop }
    }
}

/// A thought that the text begins with, and what follows it; one without an end is all thought.
fn inner_thought(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_start().strip_prefix(THOUGHT_BEGINS)?;
    let (thought, rest) = rest.split_once(THOUGHT_ENDS).unwrap_or((rest, ""));
    Some((thought.trim(), rest.trim_start()))
}

fn stop(reason: &str) -> Result<Stop, Failure> {
    match reason {
        "length" | "max_tokens" | "model_length" => Ok(Stop::OutputLimit),
        "content_filter" | "refusal" | "safety" => Ok(Stop::Refused),
        "error" | "abort" | "insufficient_system_resource" => {
            Err(Failure::unavailable(format!("the reply ended with '{reason}'")))
        }
        _ => Ok(Stop::Complete),
    }
}

fn usage(usage: &Value) -> Option<TokenUsage> {
    let count = |value: &Value| value.as_u64();
    let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]).or_else(|| count(&usage["prompt_cache_hit_tokens"]));
    usage.is_object().then(|| TokenUsage {
        input: count(&usage["prompt_tokens"]).unwrap_or(0),
        cached: cached.unwrap_or(0),
        output: count(&usage["completion_tokens"]).unwrap_or(0),
    })
}
