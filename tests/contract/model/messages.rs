//! What only the Messages API has.

use patchwright::model::scripted::{Fault, Script};
use patchwright_domain::turn::{Item, Reply, Stop, TokenUsage};
use serde_json::{Value, json};

use super::{Format, KEY, message, named, start, user};

const FORMAT: Format = Format::Messages;

/// A reply of these blocks, each with its deltas, that ends for this reason.
fn events(blocks: &[(Value, Vec<Value>)], reason: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for (index, (start, deltas)) in blocks.iter().enumerate() {
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": start }));
        let delta = |delta: &Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        events.extend(deltas.iter().map(delta));
        events.push(json!({ "type": "content_block_stop", "index": index }));
    }
    events.push(json!({ "type": "message_delta", "delta": { "stop_reason": reason } }));
    events.push(json!({ "type": "message_stop" }));
    events
}

async fn reply(blocks: &[(Value, Vec<Value>)], reason: &str) -> Reply {
    FORMAT.after(Fault::Events(events(blocks, reason))).await.expect("a reply")
}

fn call(id: &str, arguments: &str) -> Item {
    Item::Call { call_id: id.into(), name: "shell".into(), arguments: arguments.into(), freeform: false }
}

#[tokio::test]
async fn a_request_has_the_fields_of_the_wire_with_messages_last() {
    let scripted = start(Script::of([message("hi")])).await;
    FORMAT.ask(&*FORMAT.client(&scripted), &user("x")).await.expect("a reply");
    let request = scripted.requests().pop().expect("recorded");
    assert_eq!(request.path, "/v1/messages");
    assert_eq!(request.headers["x-api-key"], KEY);
    assert_eq!(request.headers["anthropic-version"], "2023-06-01");
    assert!(!request.headers.contains_key("authorization"));
    let (body, kept) = (&request.body, json!({ "type": "ephemeral" }));
    assert_eq!((&body["max_tokens"], &body["stream"], &body["cache_control"]), (&json!(100), &json!(true), &kept));
    assert_eq!(body["system"], json!([{ "type": "text", "text": "Work.", "cache_control": kept }]));
    let marks: Vec<bool> = body["tools"].as_array().expect("a list").iter().map(|tool| tool["cache_control"] == kept).collect();
    assert_eq!(marks.iter().position(|mark| *mark), Some(marks.len() - 1));
    assert_eq!(body["tools"][0]["input_schema"]["required"], json!(["command"]));
    let text = String::from_utf8(request.bytes.to_vec()).expect("JSON is UTF-8");
    assert!(text.ends_with(r#""messages":[{"role":"user","content":[{"text":"x","type":"text"}]}]}"#), "{text}");
    scripted.shutdown().await;
}

#[tokio::test]
async fn items_of_one_side_in_a_row_are_one_message() {
    let scripted = start(Script::of([])).await;
    let result = |id: &str| Item::Result { call_id: id.into(), output: String::new(), freeform: false };
    let mut items = user("x");
    items.extend(user("y"));
    items.extend([
        Item::Assistant { text: "two".into() },
        call("a", "{broken"),
        call("b", r#"{"c":1}"#),
        result("a"),
        result("b"),
    ]);
    items.extend(user("z"));
    FORMAT.ask(&*FORMAT.client(&scripted), &items).await.expect("a strict endpoint takes it");
    let body = scripted.requests().pop().expect("recorded").body;
    let sizes: Vec<_> =
        body["messages"].as_array().expect("a list").iter().map(|one| one["content"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes, [Some(2), Some(3), Some(3)]);
    assert_eq!(
        (&body["messages"][1]["content"][1]["input"], &body["messages"][1]["content"][2]["input"]),
        (&json!({}), &json!({ "c": 1 }))
    );
    scripted.shutdown().await;
}

#[tokio::test]
async fn thoughts_go_back_as_they_came_unless_they_lead_to_nothing() {
    let thinking = (
        json!({ "type": "thinking", "thinking": "" }),
        vec![
            json!({ "type": "thinking_delta", "thinking": "h" }),
            json!({ "type": "thinking_delta", "thinking": "m" }),
            json!({ "type": "signature_delta", "signature": "sealed-1" }),
        ],
    );
    let unsigned = (json!({ "type": "thinking", "thinking": "" }), vec![json!({ "type": "thinking_delta", "thinking": "hm" })]);
    let redacted = (json!({ "type": "redacted_thinking", "data": "xyz" }), vec![]);
    let said = (json!({ "type": "text", "text": "" }), vec![json!({ "type": "text_delta", "text": "so" })]);
    let opaque = |reply: &Reply| -> Vec<Value> {
        let items = reply.items.iter().filter_map(|item| match item {
            Item::Reasoning { opaque, .. } => Some(serde_json::from_str(opaque).unwrap_or(Value::Null)),
            Item::User { .. } | Item::Assistant { .. } | Item::Call { .. } | Item::Result { .. } => None,
        });
        items.collect()
    };
    let signed = json!({ "type": "thinking", "thinking": "hm", "signature": "sealed-1" });
    let sealed = json!({ "type": "redacted_thinking", "data": "xyz" });
    let both = reply(&[thinking.clone(), redacted.clone(), said.clone()], "end_turn").await;
    assert_eq!(opaque(&both), [signed.clone(), sealed]);
    let behind = reply(&[thinking.clone(), said.clone(), redacted], "max_tokens").await;
    assert_eq!(opaque(&behind), [signed, Value::Null]);
    assert_eq!(opaque(&reply(&[unsigned, said], "end_turn").await), [Value::Null]);
    let scripted = start(Script::of([message("hi")])).await;
    let mut items = user("x");
    items.extend(both.items);
    items.extend(user("y"));
    FORMAT.ask(&*FORMAT.client(&scripted), &items).await.expect("a strict endpoint takes it");
    scripted.shutdown().await;
}

#[tokio::test]
async fn a_reply_says_why_it_ended_and_what_it_used() {
    let hi = (json!({ "type": "text", "text": "hi" }), vec![]);
    for (reason, stop) in [
        ("end_turn", Stop::Complete),
        ("tool_use", Stop::Complete),
        ("novelty", Stop::Complete),
        ("max_tokens", Stop::OutputLimit),
        ("refusal", Stop::Refused),
    ] {
        assert_eq!(
            reply(std::slice::from_ref(&hi), reason).await,
            Reply { items: vec![Item::Assistant { text: "hi".into() }], usage: None, stop }
        );
    }
    let tool = |id: &str, input: &Value| json!({ "type": "tool_use", "id": id, "name": "shell", "input": input });
    let piece = |text: &str| json!({ "type": "input_json_delta", "partial_json": text });
    let calls = [
        (tool("a", &json!({})), vec![piece("{\"c\":"), piece("1}")]),
        (tool("b", &json!({ "c": 2 })), vec![]),
        (tool("c", &json!({})), vec![piece("{\"c\"")]),
    ];
    let whole = [call("a", r#"{"c":1}"#), call("b", r#"{"c":2}"#)];
    assert_eq!(reply(&calls, "max_tokens").await.items, whole);
    assert_eq!(reply(&calls[..2], "tool_use").await.items, whole);
    let mut counted = events(std::slice::from_ref(&hi), "end_turn");
    let usage = json!({ "input_tokens": 7, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3, "output_tokens": 1 });
    counted.insert(0, json!({ "type": "message_start", "message": { "usage": usage } }));
    counted[3]["usage"] = json!({ "output_tokens": 9 });
    let usage = FORMAT.after(Fault::Events(counted)).await.expect("a reply").usage;
    assert_eq!(usage, Some(TokenUsage { input: 30, cached: 20, output: 9 }));
    let without_reason = [&events(&[hi], "end_turn")[..2], &[json!({ "type": "message_stop" })]].concat();
    assert_eq!(named(FORMAT.after(Fault::Events(without_reason)).await).0, "broken off");
}
