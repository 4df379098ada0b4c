//! What only the Responses API has.

use patchwright::model::scripted::{Fault, Script};
use patchwright_domain::turn::{Item, Reply, Stop, TokenUsage};
use serde_json::{Value, json};

use super::{Format, KEY, check_rate_limit, message, named, start, user};

const FORMAT: Format = Format::Responses;

#[tokio::test]
async fn a_request_has_the_fields_of_the_wire_with_input_last() {
    let scripted = start(Script::of([message("hi")])).await;
    let model = FORMAT.client(&scripted);
    FORMAT.ask(&*model, &user("x")).await.expect("a reply");
    let request = scripted.requests().pop().expect("recorded");
    assert_eq!(request.path, "/v1/responses");
    assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(request.headers["accept"], "text/event-stream");
    let body = &request.body;
    for (field, expected) in [
        ("model", json!("model-1")),
        ("instructions", json!("Work.")),
        ("stream", json!(true)),
        ("store", json!(false)),
        ("parallel_tool_calls", json!(false)),
        ("prompt_cache_key", json!("key-1")),
        ("max_output_tokens", json!(100)),
        ("include", json!(["reasoning.encrypted_content"])),
    ] {
        assert_eq!(body[field], expected, "{field}");
    }
    assert_eq!(body["tools"][0]["parameters"]["required"], json!(["command"]));
    let patch = body["tools"].as_array().expect("a list").iter().find(|tool| tool["name"] == "apply_patch").expect("on offer");
    assert_eq!((&patch["type"], &patch["format"]["syntax"]), (&json!("custom"), &json!("lark")));
    let text = String::from_utf8(request.bytes.to_vec()).expect("JSON is UTF-8");
    assert!(
        text.ends_with(r#""input":[{"content":[{"text":"x","type":"input_text"}],"role":"user","type":"message"}]}"#),
        "{text}"
    );
    scripted.shutdown().await;
}

#[tokio::test]
async fn unknown_events_and_fields_are_passed_over() {
    let reply = FORMAT.after(Fault::Garbage).await.expect("a reply");
    assert_eq!(reply.items, [Item::Assistant { text: "hi".into() }]);
    let only_at_the_end = json!({ "type": "response.completed", "response": {
        "output": [{ "type": "message", "content": [{ "type": "refusal", "refusal": "no" }, { "type": "novelty" }] }],
        "usage": { "input_tokens": 7, "input_tokens_details": { "cached_tokens": 3 }, "output_tokens": 2 },
    }});
    let reply = FORMAT.after(Fault::Events(vec![only_at_the_end])).await.expect("a reply");
    assert_eq!(reply.items, [Item::Assistant { text: "no".into() }]);
    assert_eq!(reply.usage, Some(TokenUsage { input: 7, cached: 3, output: 2 }));
    let bare = FORMAT.after(Fault::Events(vec![json!({ "type": "response.completed" })])).await.expect("a reply");
    assert_eq!((bare.items.len(), bare.usage), (0, None));
}

#[tokio::test]
async fn failures_in_the_stream_are_sorted_alike() {
    for (code, expected) in [
        ("context_length_exceeded", "context overflow"),
        ("insufficient_quota", "rejected"),
        ("invalid_prompt", "rejected"),
        ("server_is_overloaded", "unavailable"),
        ("slow_down", "unavailable"),
        ("server_error", "unavailable"),
        ("", "unavailable"),
    ] {
        assert_eq!(named(FORMAT.after(FORMAT.failed(code, "why")).await).0, expected, "{code}");
    }
    let cut = |reason: &str| {
        let details = json!({ "incomplete_details": { "reason": reason } });
        Fault::Events(vec![json!({ "type": "response.incomplete", "response": details })])
    };
    assert_eq!(named(FORMAT.after(cut("novelty")).await).0, "unavailable");
    for (reason, stop) in [("max_output_tokens", Stop::OutputLimit), ("content_filter", Stop::Refused)] {
        assert_eq!(FORMAT.after(cut(reason)).await.expect("a reply"), Reply { items: vec![], usage: None, stop });
    }
    let bare: Value = json!({ "type": "error", "code": "rate_limit_exceeded", "message": "try again in 1s" });
    check_rate_limit(FORMAT.after(Fault::Events(vec![bare])).await, Some(1.0));
}
