//! OpenAI's two formats.

use serde_json::{Map, Value, json};

use super::{Refused, each_in, is_data, keep_choice, keep_if, keep_tools, only, only_in, refuse, remote, text, unknown};

const RESPONSES: &[&str] = &[
    "model",
    "instructions",
    "input",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "include",
    "stream",
    "temperature",
    "top_p",
    "max_output_tokens",
    "truncation",
    "prompt_cache_key",
];
const CHAT: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "response_format",
    "reasoning",
    "reasoning_effort",
    "thinking",
    "enable_thinking",
    "verbosity",
    "prompt_cache_key",
];
const CHOICES: &[&str] = &["function", "custom", "allowed_tools"];
/// The one thing that may be asked for beside the reply: thoughts that only the provider can read, but does not keep.
const INCLUDED: &str = "reasoning.encrypted_content";

pub(super) fn responses(body: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    refuse(&body, &["previous_response_id", "conversation", "prompt"])?;
    let mut body = only(body, RESPONSES);
    keep_tools(&mut body, &["tool_choice", "parallel_tool_calls"], |tool| match text(&tool, "type") {
        "function" => Some(only(tool, &["type", "name", "description", "parameters", "strict"])),
        "custom" => Some(only(tool, &["type", "name", "description", "format"])),
        _ => None,
    });
    keep_choice(&mut body, CHOICES);
    keep_if(&mut body, "stream", Value::is_boolean);
    keep_if(&mut body, "max_output_tokens", Value::is_u64);
    only_in(&mut body, "reasoning", &["effort", "summary"]);
    only_in(&mut body, "text", &["format", "verbosity"]);
    if let Some(Value::Array(mut included)) = body.remove("include") {
        included.retain(|name| name == INCLUDED);
        body.insert("include".to_owned(), included.into());
    }
    each_in(&mut body, "input", item)?;
    body.insert("store".to_owned(), false.into());
    Ok(body)
}

/// One item of a conversation.
fn item(item: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    let mut item = match text(&item, "type") {
        "" | "message" if item.contains_key("role") => only(item, &["type", "id", "status", "phase", "role", "content"]),
        "reasoning" => only(item, &["type", "id", "status", "summary", "content", "encrypted_content"]),
        "function_call" => only(item, &["type", "id", "status", "call_id", "name", "arguments"]),
        "custom_tool_call" => only(item, &["type", "id", "status", "call_id", "name", "input"]),
        "function_call_output" | "custom_tool_call_output" => only(item, &["type", "id", "status", "call_id", "output"]),
        kind => return Err(unknown("an item of the type", kind)),
    };
    for field in ["content", "output", "summary"] {
        each_in(&mut item, field, part)?;
    }
    Ok(item)
}

/// One part of an item or of a message, in either format.
fn part(part: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    refuse(&part, &["file_id", "file_url"])?;
    match text(&part, "type") {
        "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text" => Ok(only(part, &["type", "text"])),
        "refusal" => Ok(only(part, &["type", "refusal"])),
        "input_image" => {
            if is_data(text(&part, "image_url")) {
                Ok(only(part, &["type", "image_url", "detail"]))
            } else {
                Err(remote("image_url"))
            }
        }
        "image_url" => {
            let mut part = only(part, &["type", "image_url"]);
            let image = &part["image_url"];
            if !image.as_str().or_else(|| image["url"].as_str()).is_some_and(is_data) {
                return Err(remote("image_url"));
            }
            if image.is_object() {
                only_in(&mut part, "image_url", &["url", "detail"]);
            }
            Ok(part)
        }
        "input_file" => held(only(part, &["type", "file_data", "filename"])),
        "file" => {
            let file = part.get("file").and_then(Value::as_object).cloned().unwrap_or_default();
            refuse(&file, &["file_id", "file_url"])?;
            let file = held(only(file, &["file_data", "filename"]))?;
            Ok(Map::from_iter([("type".to_owned(), json!("file")), ("file".to_owned(), file.into())]))
        }
        "input_audio" => {
            let mut part = only(part, &["type", "input_audio"]);
            only_in(&mut part, "input_audio", &["data", "format"]);
            Ok(part)
        }
        kind => Err(unknown("a content part of the type", kind)),
    }
}

/// A file that is itself there; some endpoints take an address in its place.
fn held(file: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    let data = text(&file, "file_data");
    if data.is_empty() || (data.contains(':') && !is_data(data)) { Err(remote("file_data")) } else { Ok(file) }
}

pub(super) fn chat(body: Map<String, Value>) -> Result<Map<String, Value>, Refused> {
    let mut body = only(body, CHAT);
    keep_tools(&mut body, &["tool_choice", "parallel_tool_calls"], |tool| {
        let mut tool = only(tool, &["type", "function"]);
        only_in(&mut tool, "function", &["name", "description", "parameters", "strict"]);
        (text(&tool, "type") == "function" && tool.contains_key("function")).then_some(tool)
    });
    keep_choice(&mut body, CHOICES);
    keep_if(&mut body, "stream", Value::is_boolean);
    keep_if(&mut body, "max_tokens", Value::is_u64);
    keep_if(&mut body, "max_completion_tokens", Value::is_u64);
    only_in(&mut body, "reasoning", &["effort", "enabled", "exclude", "max_tokens"]);
    only_in(&mut body, "thinking", &["type"]);
    each_in(&mut body, "messages", |message| {
        let mut message = only(
            message,
            &["role", "content", "name", "tool_calls", "tool_call_id", "refusal", "reasoning", "reasoning_content"],
        );
        each_in(&mut message, "content", part)?;
        each_in(&mut message, "tool_calls", |call| Ok(only(call, &["id", "type", "index", "function", "extra_content"])))?;
        Ok(message)
    })?;
    Ok(body)
}
