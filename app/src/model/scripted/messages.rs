//! Anthropic Messages: what was said in a request, checked as strictly as the true endpoint does, and the events of a
//! reply.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::model::scripted::answer::{Answer, End, Past, Said, framed};
use crate::model::scripted::chat::halves;

/// What a tolerant client passes over.
pub(super) const GARBAGE: &str = ": a comment\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\ndata: not json\n\nretry: 5\nid: 7\n\
                                  data: [DONE]\n\ndata: {}\n\ndata: 7\n\ndata: {\"type\":\"novelty\",\"delta\":{\"text\":\"x\"}}\n\n\
                                  data: {\"type\":\"content_block_delta\",\"index\":77,\"delta\":{\"text\":\"x\"}}\n\n\
                                  data: {\"type\":\"content_block_start\",\"index\":78,\"content_block\":{\"type\":\"novel_item\"}}\n\n";

/// What was said so far.
pub(super) fn past(body: &Value, headers: &HeaderMap) -> Result<Vec<Past>, String> {
    if headers.get("anthropic-version").is_none_or(|version| version != "2023-06-01") {
        return Err("anthropic-version: header is required".to_owned());
    }
    if body["max_tokens"].as_u64().is_none_or(|limit| limit == 0) {
        return Err("max_tokens: Field required".to_owned());
    }
    let messages = body["messages"].as_array().ok_or("messages: Field required")?;
    let (mut past, mut open) = (Vec::new(), Vec::new());
    for (n, message) in messages.iter().enumerate() {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        if message["role"] != role {
            return Err(format!("messages.{n}: roles must alternate, and the first is the user's"));
        }
        let content = message["content"].as_array().filter(|content| !content.is_empty());
        let content = content.ok_or_else(|| format!("messages.{n}: content must not be empty"))?;
        check_blocks(n, role, content, &mut open, &mut past)?;
    }
    if messages.len() % 2 == 0 { Err("messages: the last must be the user's".to_owned()) } else { Ok(past) }
}

fn check_blocks(n: usize, role: &str, blocks: &[Value], open: &mut Vec<Value>, past: &mut Vec<Past>) -> Result<(), String> {
    for block in blocks {
        match (role, block["type"].as_str().unwrap_or_default()) {
            ("user", "tool_result") => {
                let answered = open.iter().position(|id| *id == block["tool_use_id"]);
                open.remove(answered.ok_or_else(|| format!("messages.{n}: a tool_result without its tool_use"))?);
                past.push(Past::Result);
            }
            (_, "text") => {
                let text = block["text"].as_str().unwrap_or_default();
                if text.trim().is_empty() {
                    return Err(format!("messages.{n}: text content blocks must be non-empty"));
                }
                if role == "user" && !open.is_empty() {
                    return Err(format!("messages.{n}: tool_use ids were found without tool_result blocks"));
                }
                past.push(if role == "user" { Past::User(text.to_owned()) } else { Past::Other });
            }
            ("assistant", "tool_use") if block["input"].is_object() => {
                open.push(block["id"].clone());
                past.push(Past::Other);
            }
            ("assistant", "thinking") if block["signature"].as_str().is_some_and(|text| text.starts_with("sealed")) => {}
            ("assistant", "redacted_thinking") if block["data"].is_string() => {}
            (role, kind) => return Err(format!("messages.{n}: '{kind}' does not fit '{role}', or lacks a field")),
        }
    }
    let last = blocks.last().and_then(|block| block["type"].as_str()).unwrap_or_default();
    if role == "assistant" && last.ends_with("thinking") {
        return Err(format!("messages.{n}: the final block in an assistant message cannot be `thinking`"));
    }
    if role == "user" && !open.is_empty() {
        return Err(format!("messages.{n}: tool_use ids were found without tool_result blocks"));
    }
    Ok(())
}

/// All events of a reply, from `message_start` to `message_stop`.
pub(super) fn reply(answer: &Answer, request: &Value) -> String {
    let usage = json!({
        "input_tokens": answer.input_tokens, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 1,
    });
    let mut text = framed(&json!({ "type": "message_start", "message": {
        "id": format!("msg_{:04}", answer.number), "type": "message", "role": "assistant", "model": request["model"],
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage,
    }}));
    for (index, said) in answer.said.iter().enumerate() {
        let (start, deltas) = block(answer.number, index, said);
        text += &framed(&json!({ "type": "content_block_start", "index": index, "content_block": start }));
        for delta in deltas {
            text += &framed(&json!({ "type": "content_block_delta", "index": index, "delta": delta }));
        }
        text += &framed(&json!({ "type": "content_block_stop", "index": index }));
    }
    let calls = answer.said.iter().any(|said| matches!(said, Said::Call { .. } | Said::Patch(_)));
    let reason = match answer.end {
        End::Complete if calls => "tool_use",
        End::Complete => "end_turn",
        End::Limit => "max_tokens",
        End::Refused => "refusal",
    };
    text += &framed(&json!({
        "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null },
        "usage": { "output_tokens": answer.output_tokens() },
    }));
    text + &framed(&json!({ "type": "message_stop" }))
}

/// A content block as it begins, and what is added to it.
fn block(number: usize, index: usize, said: &Said) -> (Value, Vec<Value>) {
    let call = |name: &str, arguments: &str| {
        let start = json!({ "type": "tool_use", "id": format!("toolu_{number:04}_{index}"), "name": name, "input": {} });
        (start, halves(arguments).map(|piece| json!({ "type": "input_json_delta", "partial_json": piece })).to_vec())
    };
    match said {
        Said::Thought(words) => {
            let signature = json!({ "type": "signature_delta", "signature": format!("sealed-{number:04}") });
            let deltas = vec![json!({ "type": "thinking_delta", "thinking": words }), signature];
            (json!({ "type": "thinking", "thinking": "", "signature": "" }), deltas)
        }
        Said::Text(words) => {
            let deltas = halves(words).map(|piece| json!({ "type": "text_delta", "text": piece })).to_vec();
            (json!({ "type": "text", "text": "" }), deltas)
        }
        Said::Call { name, arguments } => call(name, arguments),
        Said::Patch(patch) => call("apply_patch", &json!({ "input": patch }).to_string()),
    }
}
