//! The events of one reply, as the true endpoint frames them.

use serde_json::{Value, json};

use crate::model::scripted::Step;

/// What a tolerant client passes over.
pub(super) const GARBAGE: &str = ": a comment\n\nevent: ping\ndata: not json\n\nretry: 5\nid: 7\ndata: [DONE]\n\n\
                                  data: {\"type\":\"response.novelty\",\"item\":{\"deep\":[null]}}\n\ndata: {}\n\ndata: 7\n\n\
                                  data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"novel_item\",\"x\":1}}\n\n";

/// One event: its name, its data, an empty line.
pub(super) fn framed(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
}

/// All events of a reply, from `response.created` to `response.completed`.
pub(super) fn of_step(step: &Step, number: usize, request: &Value, request_bytes: usize) -> String {
    let mut items = Vec::new();
    collect_items(step, number, request, &mut items);
    let mut events =
        vec![json!({ "type": "response.created", "response": response(number, request, "in_progress", &[], &Value::Null) })];
    for (index, item) in items.iter().enumerate() {
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        for field in ["arguments", "input"] {
            if begun[field].is_string() {
                begun[field] = json!("");
            }
        }
        if begun["content"].is_array() {
            begun["content"] = json!([]);
        }
        events.push(json!({ "type": "response.output_item.added", "output_index": index, "item": begun }));
        events.extend(details(item, index));
        events.push(json!({ "type": "response.output_item.done", "output_index": index, "item": item }));
    }
    let written: usize = items.iter().map(|item| item.to_string().len()).sum();
    // Four bytes to the token is near enough for a model that is none.
    let (input, output) = (request_bytes / 4, written / 4);
    let usage = json!({
        "input_tokens": input, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": input + output,
    });
    events.push(json!({ "type": "response.completed", "response": response(number, request, "completed", &items, &usage) }));
    let numbered = events.iter_mut().enumerate().map(|(index, event)| {
        event["sequence_number"] = json!(index);
        framed(event)
    });
    numbered.collect()
}

fn collect_items(step: &Step, number: usize, request: &Value, items: &mut Vec<Value>) {
    let function = |name: &str, arguments: &str| {
        json!({
            "type": "function_call", "id": format!("fc_{number:04}"), "call_id": format!("call_{number:04}"), "name": name,
            "arguments": arguments, "status": "completed",
        })
    };
    match step {
        Step::Shell(script) => items.push(function("shell", &json!({ "command": script }).to_string())),
        Step::Call { name, arguments } => items.push(function(name, arguments)),
        Step::ApplyPatch(patch) if takes_plain_patches(request) => items.push(json!({
            "type": "custom_tool_call", "id": format!("ctc_{number:04}"), "call_id": format!("call_{number:04}"),
            "name": "apply_patch", "input": patch, "status": "completed",
        })),
        Step::ApplyPatch(patch) => items.push(function("apply_patch", &json!({ "input": patch }).to_string())),
        Step::Message(text) => items.push(json!({
            "type": "message", "id": format!("msg_{number:04}"), "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": text, "annotations": [] }],
        })),
        Step::Empty => {}
        Step::Reasoned { summary, then } => {
            items.push(json!({
                "type": "reasoning", "id": format!("rs_{number:04}"), "encrypted_content": format!("sealed-{number:04}"),
                "summary": [{ "type": "summary_text", "text": summary }],
            }));
            collect_items(then, number, request, items);
        }
    }
}

fn takes_plain_patches(request: &Value) -> bool {
    let is_plain = |tool: &Value| tool["type"] == "custom" && tool["name"] == "apply_patch";
    request["tools"].as_array().into_iter().flatten().any(is_plain)
}

/// What stands between an item's beginning and its end.
fn details(item: &Value, index: usize) -> Option<Value> {
    let id = &item["id"];
    match item["type"].as_str()? {
        "message" => Some(json!({
            "type": "response.output_text.delta", "item_id": id, "output_index": index, "content_index": 0,
            "delta": item["content"][0]["text"],
        })),
        "function_call" => Some(json!({
            "type": "response.function_call_arguments.done", "item_id": id, "output_index": index,
            "arguments": item["arguments"],
        })),
        "reasoning" => Some(json!({
            "type": "response.reasoning_summary_text.delta", "item_id": id, "output_index": index, "summary_index": 0,
            "delta": item["summary"][0]["text"],
        })),
        _ => None,
    }
}

fn response(number: usize, request: &Value, status: &str, output: &[Value], usage: &Value) -> Value {
    let mut response = json!({
        "id": format!("resp_{number:04}"), "object": "response", "created_at": 1_700_000_000, "model": request["model"],
        "parallel_tool_calls": request["parallel_tool_calls"], "tool_choice": "auto", "tools": [], "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
        "status": status, "output": output,
    });
    if !usage.is_null() {
        response["usage"] = usage.clone();
    }
    response
}
