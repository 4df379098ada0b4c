//! Anthropic's format.

use serde_json::{Map, Value, json};

use super::{Refused, each_in, keep_choice, keep_if, keep_tools, only, only_in, refuse, remote, text, unknown};

const FIELDS: &[&str] = &[
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "stream",
    "thinking",
    "output_config",
    "cache_control",
];

pub(super) fn messages(body: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    refuse(&body, &["container"])?;
    let mut body = cheap(only(body, FIELDS));
    keep_tools(&mut body, &["tool_choice"], |tool| {
        let is_client = matches!(tool.get("type"), None | Some(Value::Null)) || text(&tool, "type") == "custom";
        is_client.then(|| cheap(only(tool, &["type", "name", "description", "input_schema", "cache_control"])))
    });
    keep_choice(&mut body, &["auto", "any", "tool", "none"]);
    keep_if(&mut body, "stream", Value::is_boolean);
    keep_if(&mut body, "max_tokens", Value::is_u64);
    only_in(&mut body, "thinking", &["type", "budget_tokens", "display"]);
    only_in(&mut body, "output_config", &["effort", "format"]);
    each_in(&mut body, "system", block)?;
    each_in(&mut body, "messages", |message| {
        let mut message = only(message, &["role", "content"]);
        each_in(&mut message, "content", block)?;
        Ok(message)
    })?;
    Ok(body)
}

/// One block of content.
fn block(block: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    let mut block = match text(&block, "type") {
        "text" => only(block, &["type", "text", "cache_control"]),
        "image" => only(block, &["type", "source", "cache_control"]),
        "document" => only(block, &["type", "source", "title", "context", "cache_control"]),
        "tool_use" => only(block, &["type", "id", "name", "input", "cache_control"]),
        "tool_result" => only(block, &["type", "tool_use_id", "content", "is_error", "cache_control"]),
        "thinking" => only(block, &["type", "thinking", "signature"]),
        "redacted_thinking" => only(block, &["type", "data"]),
        kind => return Err(unknown("a content block of the type", kind)),
    };
    each_in(&mut block, "content", self::block)?;
    match block.remove("source") {
        None => {}
        Some(Value::Object(given)) => drop(block.insert("source".to_owned(), source(given)?.into())),
        Some(_) => return Err(remote("source")),
    }
    Ok(cheap(block))
}

fn source(source: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    match text(&source, "type") {
        "base64" | "text" => Ok(only(source, &["type", "media_type", "data"])),
        "content" => {
            let mut source = only(source, &["type", "content"]);
            each_in(&mut source, "content", block)?;
            Ok(source)
        }
        _ => Err(remote("source")),
    }
}

/// With the cache that costs least: one that lasts longer is dearer than what was reserved.
fn cheap(mut object: Map<String, Value>) -> Map<String, Value> {
    if let Some(control) = object.get_mut("cache_control") {
        *control = json!({ "type": "ephemeral" });
    }
    object
}
