//! The Responses API: what was said in a request, and the events of a reply, as the true endpoint frames them.

use serde_json::{Value, json};

use crate::model::scripted::answer::{Answer, End, Past, Said, framed, texts};

/// What a tolerant client passes over.
pub(super) const GARBAGE: &str = ": a comment\n\nevent: ping\ndata: not json\n\nretry: 5\nid: 7\ndata: [DONE]\n\n\
                                  data: {\"type\":\"response.novelty\",\"item\":{\"deep\":[null]}}\n\ndata: {}\n\ndata: 7\n\n\
                                  data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"novel_item\",\"x\":1}}\n\n";

/// What was said so far.
pub(super) fn past(body: &Value) -> Result<Vec<Past>, String> {
    let input = body["input"].as_array().ok_or("'input' is required")?;
    let follows = |n: usize| {
        input.get(n + 1).is_some_and(|next| next["role"] == "assistant" || next["type"].as_str().is_some_and(leads_on))
    };
    if let Some(n) = (0..input.len()).find(|n| input[*n]["type"] == "reasoning" && !follows(*n)) {
        return Err(format!("item {n} of type 'reasoning' was provided without its required following item"));
    }
    let past = |item: &Value| {
        if item["role"] == "user" {
            Past::User(texts(&item["content"]))
        } else if item["type"].as_str().is_some_and(|kind| kind.ends_with("_output")) {
            Past::Result
        } else {
            Past::Other
        }
    };
    Ok(input.iter().map(past).collect())
}

/// Whether an item of this kind may follow a thought.
fn leads_on(kind: &str) -> bool {
    kind == "reasoning" || kind.ends_with("_call")
}

/// All events of a reply, from `response.created` to `response.completed`.
pub(super) fn reply(answer: &Answer, request: &Value) -> String {
    let n_parts = answer.said.len();
    let items: Vec<Value> =
        answer.said.iter().enumerate().map(|(n, said)| item(answer, said, n + 1 == n_parts, request)).collect();
    let number = answer.number;
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
    let (input, output) = (answer.input_tokens, answer.output_tokens());
    let usage = json!({
        "input_tokens": input, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": input + output,
    });
    let status = if answer.end == End::Limit { "incomplete" } else { "completed" };
    let mut whole = response(number, request, status, &items, &usage);
    if answer.end == End::Limit {
        whole["incomplete_details"] = json!({ "reason": "max_output_tokens" });
    }
    events.push(json!({ "type": format!("response.{status}"), "response": whole }));
    let numbered = events.iter_mut().enumerate().map(|(index, event)| {
        event["sequence_number"] = json!(index);
        framed(event)
    });
    numbered.collect()
}

fn item(answer: &Answer, said: &Said, is_last: bool, request: &Value) -> Value {
    let number = answer.number;
    let status = if is_last && answer.end == End::Limit { "incomplete" } else { "completed" };
    let function = |name: &str, arguments: &str| {
        json!({
            "type": "function_call", "id": format!("fc_{number:04}"), "call_id": format!("call_{number:04}"), "name": name,
            "arguments": arguments, "status": status,
        })
    };
    match said {
        Said::Call { name, arguments } => function(name, arguments),
        Said::Patch(patch) if takes_plain_patches(request) => json!({
            "type": "custom_tool_call", "id": format!("ctc_{number:04}"), "call_id": format!("call_{number:04}"),
            "name": "apply_patch", "input": patch, "status": status,
        }),
        Said::Patch(patch) => function("apply_patch", &json!({ "input": patch }).to_string()),
        Said::Text(text) => {
            let content = match answer.end {
                End::Refused => json!([{ "type": "refusal", "refusal": text }]),
                End::Complete | End::Limit => json!([{ "type": "output_text", "text": text, "annotations": [] }]),
            };
            json!({
                "type": "message", "id": format!("msg_{number:04}"), "role": "assistant", "status": status, "content": content,
            })
        }
        Said::Thought(summary) => json!({
            "type": "reasoning", "id": format!("rs_{number:04}"), "encrypted_content": format!("sealed-{number:04}"),
            "summary": [{ "type": "summary_text", "text": summary }],
        }),
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
        "message" if item["content"][0]["text"].is_string() => Some(json!({
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
