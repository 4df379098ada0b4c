//! What only Chat Completions has.

use patchwright::model::Model as _;
use patchwright::model::chat::{ChatDialect, ChatModel, LimitField};
use patchwright::model::scripted::{Fault, Script};
use patchwright_domain::turn::{Item, Reply, Stop, TokenUsage};
use serde_json::{Value, json};

use super::{Format, KEY, message, named, settings, start, user};

const FORMAT: Format = Format::Chat;

fn chunk(delta: &Value, reason: &Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }] })
}

/// A reply of these deltas that ends for this reason.
async fn reply(deltas: &[Value], reason: &str) -> Reply {
    let mut events: Vec<Value> = deltas.iter().map(|delta| chunk(delta, &Value::Null)).collect();
    events.extend([chunk(&json!({}), &json!(reason)), json!("[DONE]")]);
    FORMAT.after(Fault::Events(events)).await.expect("a reply")
}

fn call(id: &str, name: &str, arguments: &str) -> Item {
    Item::Call { call_id: id.into(), name: name.into(), arguments: arguments.into(), freeform: false }
}

#[tokio::test]
async fn a_request_has_the_fields_of_the_wire_with_messages_last() {
    let scripted = start(Script::of([message("hi")])).await;
    FORMAT.ask(&*FORMAT.client(&scripted), &user("x")).await.expect("a reply");
    let request = scripted.requests().pop().expect("recorded");
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
    let body = &request.body;
    let fields: Vec<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, ["max_tokens", "messages", "model", "stream", "stream_options", "tools"]);
    assert_eq!((&body["max_tokens"], &body["stream_options"]), (&json!(100), &json!({ "include_usage": true })));
    assert_eq!(body["tools"][0]["function"]["parameters"]["required"], json!(["command"]));
    let text = String::from_utf8(request.bytes.to_vec()).expect("JSON is UTF-8");
    let messages = r#""messages":[{"content":"Work.","role":"system"},{"content":"x","role":"user"}]}"#;
    assert!(text.ends_with(messages), "{text}");
    let dialect = ChatDialect { limit_field: LimitField::MaxCompletionTokens, ..ChatDialect::default() };
    let model = ChatModel::new(settings(scripted.base_url()), dialect).expect("the settings are right");
    FORMAT.ask(&model, &user("x")).await.expect("a reply");
    let body = scripted.requests().pop().expect("recorded").body;
    assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&json!(100), &Value::Null));
    assert_eq!(model.name(), "model-1");
    scripted.shutdown().await;
}

#[tokio::test]
async fn calls_are_put_together_from_their_pieces() {
    let piece = |index: u64, id: Option<&str>, name: Option<&str>, arguments: &str| json!({ "tool_calls": [{ "index": index, "id": id, "function": { "name": name, "arguments": arguments } }] });
    let two = [
        piece(0, Some("a"), Some("shell"), ""),
        piece(0, None, None, r#"{"command""#),
        piece(1, Some("b"), Some("read"), "{"),
        piece(0, None, None, r#":"ls"}"#),
        piece(1, None, None, "}"),
    ];
    let expected = [call("a", "shell", r#"{"command":"ls"}"#), call("b", "read", "{}")];
    assert_eq!(reply(&two, "tool_calls").await.items, expected);
    let same_index = [piece(0, Some("a"), Some("shell"), "{}"), piece(0, Some("b"), Some("read"), "{}")];
    assert_eq!(reply(&same_index, "tool_calls").await.items, [call("a", "shell", "{}"), call("b", "read", "{}")]);
    let without_ids = [json!({ "tool_calls": [{ "function": { "name": "shell", "arguments": { "command": "ls" } } }] })];
    assert_eq!(reply(&without_ids, "stop").await.items, [call("call_0_1_0", "shell", r#"{"command":"ls"}"#)]);
    let cut = [piece(0, Some("a"), Some("shell"), "{}"), piece(1, Some("b"), Some("read"), r#"{"pa"#)];
    let Reply { items, stop, usage } = reply(&cut, "length").await;
    assert_eq!((items, stop, usage), (vec![call("a", "shell", "{}")], Stop::OutputLimit, None));
}

#[tokio::test]
async fn thoughts_are_told_apart_and_not_sent_back() {
    let thought = |summary: &str| Item::Reasoning { summary: summary.into(), opaque: String::new() };
    let said = Item::Assistant { text: "so".into() };
    for deltas in [
        vec![json!({ "reasoning_content": "h" }), json!({ "reasoning_content": "m" }), json!({ "content": "so" })],
        vec![json!({ "reasoning": "hm", "reasoning_content": "hm" }), json!({ "content": "so" })],
        vec![json!({ "content": "<think>\nhm\n</th" }), json!({ "content": "ink>\n\nso" })],
        vec![json!({ "content": [{ "type": "thinking", "thinking": [{ "text": "hm" }] }, { "type": "text", "text": "so" }] })],
    ] {
        assert_eq!(reply(&deltas, "stop").await.items, [thought("hm"), said.clone()], "{deltas:?}");
    }
}

#[tokio::test]
async fn a_reply_says_why_it_ended_and_what_it_used() {
    let hi = [json!({ "content": "hi" })];
    for (reason, stop) in
        [("stop", Stop::Complete), ("novelty", Stop::Complete), ("length", Stop::OutputLimit), ("content_filter", Stop::Refused)]
    {
        assert_eq!(reply(&hi, reason).await.stop, stop, "{reason}");
    }
    assert_eq!(reply(&[json!({ "refusal": "no" })], "stop").await.stop, Stop::Refused);
    for (usage, expected) in [
        (json!({ "prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": { "cached_tokens": 3 } }), 3),
        (json!({ "prompt_tokens": 7, "completion_tokens": 2, "prompt_cache_hit_tokens": 4 }), 4),
        (json!({ "prompt_tokens": 7, "completion_tokens": 2 }), 0),
    ] {
        let end = chunk(&hi[0], &json!("stop"));
        let events = vec![end, json!({ "choices": [], "usage": usage }), json!("[DONE]")];
        let reply = FORMAT.after(Fault::Events(events)).await.expect("a reply");
        assert_eq!(reply.usage, Some(TokenUsage { input: 7, cached: expected, output: 2 }));
    }
    let without_reason = vec![chunk(&hi[0], &Value::Null), json!("[DONE]")];
    assert_eq!(named(FORMAT.after(Fault::Events(without_reason)).await).0, "broken off");
    let whole =
        |usage: Option<TokenUsage>| Reply { items: vec![Item::Assistant { text: "hi".into() }], stop: Stop::Complete, usage };
    let used = json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 2 } });
    let end = chunk(&hi[0], &json!("stop"));
    let without_last = [vec![end.clone(), used.clone()], vec![end]];
    for (events, usage) in without_last.into_iter().zip([Some(TokenUsage { input: 7, cached: 0, output: 2 }), None]) {
        assert_eq!(FORMAT.after(Fault::Events(events)).await.expect("a reply"), whole(usage));
    }
    let without_both = vec![chunk(&hi[0], &Value::Null), used];
    assert_eq!(named(FORMAT.after(Fault::Events(without_both)).await).0, "broken off");
    let upstream = vec![json!({ "error": { "code": 429, "message": "upstream" } })];
    assert_eq!(named(FORMAT.after(Fault::Events(upstream)).await).0, "rate limited");
    let bare = vec![json!({ "object": "error", "message": "This model's maximum context length is 8", "code": 400 })];
    assert_eq!(named(FORMAT.after(Fault::Events(bare)).await).0, "context overflow");
}

#[tokio::test]
async fn calls_in_a_row_are_one_message_with_the_words_before_them() {
    let scripted = start(Script::of([message("hi"), message("hi"), message("hi")])).await;
    let result = |id: &str| Item::Result { call_id: id.into(), output: "ok".into(), freeform: false };
    let mut items = user("x");
    items.push(Item::Assistant { text: "two at once".into() });
    items.extend([call("a", "shell", "{}"), call("b", "bad name", "{broken"), result("a"), result("b")]);
    FORMAT.ask(&*FORMAT.client(&scripted), &items).await.expect("a strict server takes it");
    let body = scripted.requests().pop().expect("recorded").body;
    let said = &body["messages"][2];
    assert_eq!((&said["content"], said["tool_calls"].as_array().map(Vec::len)), (&json!("two at once"), Some(2)));
    assert_eq!(said["tool_calls"][1]["function"], json!({ "name": "bad_name", "arguments": "{}" }));
    assert_eq!(body["messages"][4], json!({ "role": "tool", "tool_call_id": "b", "content": "ok" }));
    scripted.shutdown().await;
}
