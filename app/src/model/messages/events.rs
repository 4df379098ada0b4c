//! What is received: content blocks to items, and usage.

use patchwright_domain::turn::{Item, Reply, Stop, TokenUsage};
use serde_json::{Value, json};

use crate::model::endpoint;
use crate::model::failure::{self, Failure};

/// The reply so far.
#[derive(Default)]
pub(super) struct Reading {
    blocks: Vec<Block>,
    stop: Option<Stop>,
    usage: Usage,
}

/// One content block.
struct Block {
    index: Option<u64>,
    /// As it began.
    start: Value,
    /// What was added: words, a thought, or the arguments' JSON.
    text: String,
    signature: Option<String>,
}

/// What the endpoint has counted so far; it says some counts at the beginning, some at the end, and some twice.
#[derive(Default)]
struct Usage {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
    output: Option<u64>,
}

impl endpoint::Reading for Reading {
    fn take(&mut self, data: &str) -> Result<Option<Reply>, Failure> {
        let Ok(mut event) = serde_json::from_str::<Value>(data) else { return Ok(None) };
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => self.usage.add(&event["message"]["usage"]),
            "content_block_start" => self.blocks.push(Block::of(event["index"].as_u64(), event["content_block"].take())),
            "content_block_delta" => {
                let index = event["index"].as_u64();
                if let Some(block) = self.blocks.iter_mut().rfind(|block| block.index == index) {
                    block.add(&event["delta"]);
                }
            }
            "message_delta" => {
                self.usage.add(&event["usage"]);
                self.stop = event["delta"]["stop_reason"].as_str().map(stop).or(self.stop);
            }
            "message_stop" => {
                let stop = self.stop.ok_or_else(|| Failure::unavailable("the reply ended without a reason".to_owned()))?;
                return Ok(Some(self.end(stop)));
            }
            "error" => return Err(failure::of_event(&event["error"])),
            _ => {}
        }
        Ok(None)
    }

    fn output_bytes(&self) -> u64 {
        self.blocks.iter().map(Block::n_bytes).sum()
    }
}

impl Reading {
    fn end(&mut self, stop: Stop) -> Reply {
        let is_cut = stop != Stop::Complete;
        let items = self.blocks.drain(..).filter_map(|block| block.item(is_cut)).collect();
        Reply { items, usage: self.usage.tokens(), stop }
    }
}

impl Block {
    fn of(index: Option<u64>, start: Value) -> Self {
        let text = |key: &str| start[key].as_str().unwrap_or_default().to_owned();
        let begun = text("text") + &text("thinking");
        let signature = start["signature"].as_str().filter(|signature| !signature.is_empty()).map(str::to_owned);
        Self { index, start, text: begun, signature }
    }

    fn add(&mut self, delta: &Value) {
        for key in ["text", "partial_json", "thinking"] {
            self.text.push_str(delta[key].as_str().unwrap_or_default());
        }
        if let Some(signature) = delta["signature"].as_str() {
            self.signature.get_or_insert_default().push_str(signature);
        }
    }

    fn n_bytes(&self) -> u64 {
        let name = self.start["name"].as_str().map_or(0, str::len);
        let data = self.start["data"].as_str().map_or(0, str::len);
        (name + data + self.text.len()) as u64
    }

    /// An item in our words; none for what is cut, empty, or of a kind that means nothing to us.
    fn item(self, is_cut: bool) -> Option<Item> {
        match self.start["type"].as_str()? {
            "text" => (!self.text.trim().is_empty()).then_some(Item::Assistant { text: self.text }),
            "thinking" => {
                // Without its signature a thought is not taken back.
                let signed = |signature| json!({ "type": "thinking", "thinking": self.text, "signature": signature });
                let opaque = self.signature.as_ref().map(|signature| signed(signature).to_string()).unwrap_or_default();
                Some(Item::Reasoning { summary: self.text, opaque })
            }
            "redacted_thinking" => Some(Item::Reasoning { summary: String::new(), opaque: self.start.to_string() }),
            "tool_use" => {
                let call_id = self.start["id"].as_str()?.to_owned();
                let name = self.start["name"].as_str().unwrap_or_default().to_owned();
                // Some servers give the whole input at once.
                let at_once = self.start["input"].as_object().is_some_and(|input| !input.is_empty());
                let arguments = match self.text.trim() {
                    "" if at_once => self.start["input"].to_string(),
                    "" if is_cut => return None,
                    "" => "{}".to_owned(),
                    text if is_cut && serde_json::from_str::<Value>(text).is_err() => return None,
                    _ => self.text,
                };
                Some(Item::Call { call_id, name, arguments, freeform: false })
            }
            _ => None,
        }
    }
}

impl Usage {
    fn add(&mut self, usage: &Value) {
        for (mine, key) in [
            (&mut self.input, "input_tokens"),
            (&mut self.cache_read, "cache_read_input_tokens"),
            (&mut self.cache_creation, "cache_creation_input_tokens"),
            (&mut self.output, "output_tokens"),
        ] {
            *mine = usage[key].as_u64().or(*mine);
        }
    }

    /// The format's input is what neither came from the cache nor went there.
    fn tokens(&self) -> Option<TokenUsage> {
        self.input.or(self.output)?;
        let cached = self.cache_read.unwrap_or(0);
        let input = self.input.unwrap_or(0).saturating_add(cached).saturating_add(self.cache_creation.unwrap_or(0));
        Some(TokenUsage { input, cached, output: self.output.unwrap_or(0) })
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Stop::OutputLimit,
        "refusal" => Stop::Refused,
        _ => Stop::Complete,
    }
}
