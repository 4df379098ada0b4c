//! Chat Completions: what was said in a request, checked as strict servers do, and the chunks of a reply.

use serde_json::{Value, json};

use crate::model::scripted::answer::{Answer, End, Past, Said, framed, texts};

/// What a tolerant client passes over.
pub(super) const GARBAGE: &str = ": keep-alive\n\nevent: ping\ndata: not json\n\nretry: 5\nid: 7\ndata: {}\n\ndata: 7\n\n\
                                  data: {\"choices\":[]}\n\ndata: {\"choices\":[{\"delta\":{\"novelty\":[1],\"content\":null}}]}\n\n\
                                  data: {\"choices\":[{\"delta\":null,\"finish_reason\":null}],\"error\":null,\"usage\":null}\n\n";

/// How a result begins where the server knows no tools.
const SPOKEN_RESULT: &str = "[result of ";

/// What was said so far.
pub(super) fn past(body: &Value) -> Result<Vec<Past>, String> {
    let messages = body["messages"].as_array().ok_or("'messages' is required")?;
    if !body["tools"].is_null() && body["tools"].as_array().is_none_or(Vec::is_empty) {
        return Err("[] is too short - 'tools'".to_owned());
    }
    let (mut past, mut open) = (Vec::new(), Vec::new());
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        if role == "tool" {
            let answered = open.iter().position(|id| *id == message["tool_call_id"]);
            open.remove(answered.ok_or("a 'tool' message must follow the message with its 'tool_calls'")?);
        } else if !open.is_empty() {
            return Err("an assistant message with 'tool_calls' must be followed by a tool message for each".to_owned());
        }
        match role {
            "tool" => past.push(Past::Result),
            "user" => past.push(told(&texts(&message["content"]))),
            "assistant" => {
                if message["content"].as_str().is_none_or(str::is_empty) && message["tool_calls"].is_null() {
                    return Err("an assistant message must have 'content' or 'tool_calls'".to_owned());
                }
                open.extend(message["tool_calls"].as_array().into_iter().flatten().map(|call| call["id"].clone()));
                past.push(Past::Other);
            }
            "system" => past.push(Past::Other),
            role => return Err(format!("'{role}' is not one of the roles")),
        }
    }
    if open.is_empty() { Ok(past) } else { Err("the last 'tool_calls' have no results".to_owned()) }
}

/// A user's message is a result where the server knows no tools.
fn told(text: &str) -> Past {
    if text.starts_with(SPOKEN_RESULT) { Past::Result } else { Past::User(text.to_owned()) }
}

/// All chunks of a reply, up to `[DONE]`.
pub(super) fn reply(answer: &Answer, request: &Value) -> String {
    let is_spoken = request["tools"].is_null() && request["messages"][0].to_string().contains("```tool");
    let chunk = |delta: Value, reason: Value| {
        let choices = json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]);
        framed(&json!({
            "id": format!("chatcmpl-{:04}", answer.number), "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": request["model"], "choices": choices, "usage": null,
        }))
    };
    let mut text = chunk(json!({ "role": "assistant", "content": "" }), Value::Null);
    let (mut n_calls, mut reason) = (0, "stop");
    for said in &answer.said {
        let (name, arguments) = match said {
            Said::Thought(words) => {
                text += &chunk(json!({ "reasoning_content": words }), Value::Null);
                continue;
            }
            Said::Text(words) => {
                let field = if answer.end == End::Refused { "refusal" } else { "content" };
                for piece in halves(words) {
                    text += &chunk(json!({ field: piece }), Value::Null);
                }
                continue;
            }
            Said::Call { name, arguments } => (name.as_str(), arguments.clone()),
            Said::Patch(patch) => ("apply_patch", json!({ "input": patch }).to_string()),
        };
        if is_spoken {
            let end = if answer.end == End::Limit { "" } else { "}\n```" };
            let block = format!("\n\n```tool\n{{\"name\": \"{name}\", \"arguments\": {arguments}{end}");
            text += &chunk(json!({ "content": block }), Value::Null);
            continue;
        }
        let id = format!("call_{:04}_{n_calls}", answer.number);
        let begun = json!({ "index": n_calls, "id": id, "type": "function", "function": { "name": name, "arguments": "" } });
        text += &chunk(json!({ "tool_calls": [begun] }), Value::Null);
        for piece in halves(&arguments) {
            let more = json!({ "index": n_calls, "function": { "arguments": piece } });
            text += &chunk(json!({ "tool_calls": [more] }), Value::Null);
        }
        (n_calls, reason) = (n_calls + 1, "tool_calls");
    }
    reason = if answer.end == End::Limit { "length" } else { reason };
    text += &chunk(json!({}), json!(reason));
    if request["stream_options"]["include_usage"] == true {
        let (input, output) = (answer.input_tokens, answer.output_tokens());
        let usage = json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": { "cached_tokens": 0 },
        });
        text += &framed(&json!({ "object": "chat.completion.chunk", "choices": [], "usage": usage }));
    }
    text + "data: [DONE]\n\n"
}

/// A text in two pieces, so that a client has to put it together.
pub(super) fn halves(text: &str) -> [&str; 2] {
    let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (first, second) = text.split_at(middle);
    [first, second]
}
