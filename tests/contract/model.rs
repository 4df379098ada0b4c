//! The Responses API over real HTTP, against the scripted model with all its faults.

use std::time::Duration;

use patchwright::model::draft::Draft;
use patchwright::model::endpoint::EndpointSettings;
use patchwright::model::responses::ResponsesModel;
use patchwright::model::scripted::{Fault, Script, ScriptedModel, Step};
use patchwright::model::{Model as _, ModelError, Prompt};
use patchwright_domain::job::Mode;
use patchwright_domain::turn::tools::{self, EditForm};
use patchwright_domain::turn::{Item, Reply, Stop, TokenUsage};
use secrecy::SecretString;
use serde_json::{Value, json};

const KEY: &str = "sk-very-secret-0123456789";

fn user(text: &str) -> Vec<Item> {
    vec![Item::User { text: text.to_owned() }]
}

fn settings(base_url: String) -> EndpointSettings {
    EndpointSettings { api_key: Some(SecretString::from(KEY)), ..EndpointSettings::new(base_url, "model-1") }
}

fn client(scripted: &ScriptedModel) -> ResponsesModel {
    ResponsesModel::new(settings(scripted.base_url())).expect("the settings are right")
}

async fn ask(model: &ResponsesModel, items: &[Item]) -> Result<Reply, ModelError> {
    let tools = &tools::on_offer(Mode::Fix, EditForm::Freeform);
    let prompt = Prompt { instructions: "Work.", tools, items, revision: 0, cache_key: "key-1", output_tokens_max: 100 };
    model.complete(&prompt, &mut Draft::default()).await
}

async fn start(script: Script) -> ScriptedModel {
    ScriptedModel::start(script).await.expect("a free port")
}

fn message(text: &str) -> Step {
    Step::Message(text.to_owned())
}

/// What one request comes to when this goes wrong.
async fn after(fault: Fault) -> Result<Reply, ModelError> {
    let scripted = start(Script::of([message("hi")]).with_faults([fault])).await;
    let reply = ask(&client(&scripted), &user("x")).await;
    if let Err(error) = &reply {
        assert!(!format!("{error} {error:?}").contains(KEY), "{error}");
    }
    scripted.shutdown().await;
    reply
}

fn status(code: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Status { code, headers, body: body.to_owned() }
}

fn failed(code: &str, message: &str) -> Fault {
    let error = json!({ "code": code, "message": message });
    Fault::Events(vec![json!({ "type": "response.failed", "response": { "status": "failed", "error": error } })])
}

#[track_caller]
fn check_rate_limit(reply: Result<Reply, ModelError>, expected: Option<f64>) {
    match reply {
        Err(ModelError::RateLimited { retry_after }) => assert_eq!(retry_after.map(|wait| wait.as_secs_f64()), expected),
        other => panic!("no rate limit: {other:?}"),
    }
}

/// The name of an error's variant and its text.
fn named(reply: Result<Reply, ModelError>) -> (&'static str, String) {
    let error = reply.expect_err("no reply");
    let name = match &error {
        ModelError::RateLimited { .. } => "rate limited",
        ModelError::Unavailable(_) => "unavailable",
        ModelError::BrokenOff { .. } => "broken off",
        ModelError::Unauthorized(_) => "unauthorized",
        ModelError::ContextOverflow(_) => "context overflow",
        ModelError::Rejected(_) => "rejected",
    };
    (name, error.to_string())
}

#[tokio::test]
async fn every_kind_of_item_comes_over_the_wire() {
    let think = Step::Reasoned { summary: "hm".into(), then: Box::new(Step::Shell("ls".into())) };
    let scripted = start(Script::of([think, Step::ApplyPatch("*** Begin".into()), message("done")])).await;
    let model = client(&scripted);
    let mut items = user("x");
    for _ in 0..3 {
        let reply = ask(&model, &items).await.expect("a reply");
        assert!(reply.usage.is_some_and(|usage| usage.input > 0 && usage.output > 0));
        items.extend(reply.items);
        if let Some(Item::Call { call_id, freeform, .. }) = items.last().cloned() {
            items.push(Item::Result { call_id, output: "ok".into(), freeform });
        }
    }
    let calls: Vec<(&str, &str, bool)> = items
        .iter()
        .filter_map(|item| match item {
            Item::Call { name, arguments, freeform, .. } => Some((name.as_str(), arguments.as_str(), *freeform)),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [("shell", r#"{"command":"ls"}"#, false), ("apply_patch", "*** Begin", true)]);
    assert_eq!(items.last(), Some(&Item::Assistant { text: "done".into() }));
    assert!(matches!(&items[1], Item::Reasoning { summary, opaque } if summary == "hm" && opaque.contains("sealed-0001")));
    let last = scripted.requests().pop().expect("recorded").body;
    let kinds: Vec<&str> = last["input"].as_array().expect("a list").iter().filter_map(|item| item["type"].as_str()).collect();
    assert_eq!(
        kinds,
        ["message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"]
    );
    scripted.shutdown().await;
}

#[tokio::test]
async fn a_request_has_the_fields_of_the_wire_with_input_last() {
    let scripted = start(Script::of([message("hi")])).await;
    let model = client(&scripted);
    ask(&model, &user("x")).await.expect("a reply");
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
    assert_eq!((&body["tools"][1]["type"], &body["tools"][1]["format"]["syntax"]), (&json!("custom"), &json!("lark")));
    let text = String::from_utf8(request.bytes.to_vec()).expect("JSON is UTF-8");
    assert!(
        text.ends_with(r#""input":[{"content":[{"text":"x","type":"input_text"}],"role":"user","type":"message"}]}"#),
        "{text}"
    );
    scripted.shutdown().await;
}

#[tokio::test]
async fn a_longer_conversation_begins_with_the_bytes_of_the_shorter_one() {
    let scripted = start(Script::of([message("hi")])).await;
    let model = client(&scripted);
    let mut items = user("x");
    items.extend(ask(&model, &items).await.expect("a reply").items);
    items.extend(user("y"));
    ask(&model, &items).await.expect("a reply");
    let requests = scripted.requests();
    let first = &requests[0].bytes[..requests[0].bytes.len() - 2];
    assert!(requests[1].bytes.starts_with(first));
    scripted.shutdown().await;
}

#[tokio::test]
async fn several_requests_share_one_connection() {
    let scripted = start(Script::of([message("hi")]).with_faults([Fault::Garbage, status(500, &[], "oops")])).await;
    let model = client(&scripted);
    for n in 0..20 {
        assert_eq!(ask(&model, &user("x")).await.is_ok(), n != 1);
    }
    assert_eq!((scripted.requests().len(), scripted.n_connections()), (20, 1));
    scripted.shutdown().await;
}

#[tokio::test]
async fn unknown_events_and_fields_are_passed_over() {
    let reply = after(Fault::Garbage).await.expect("a reply");
    assert_eq!(reply.items, [Item::Assistant { text: "hi".into() }]);
    let only_at_the_end = json!({ "type": "response.completed", "response": {
        "output": [{ "type": "message", "content": [{ "type": "refusal", "refusal": "no" }, { "type": "novelty" }] }],
        "usage": { "input_tokens": 7, "input_tokens_details": { "cached_tokens": 3 }, "output_tokens": 2 },
    }});
    let reply = after(Fault::Events(vec![only_at_the_end])).await.expect("a reply");
    assert_eq!(reply.items, [Item::Assistant { text: "no".into() }]);
    assert_eq!(reply.usage, Some(TokenUsage { input: 7, cached: 3, output: 2 }));
    let bare = after(Fault::Events(vec![json!({ "type": "response.completed" })])).await.expect("a reply");
    assert_eq!((bare.items.len(), bare.usage), (0, None));
}

#[tokio::test]
async fn statuses_are_sorted_by_what_the_caller_should_do() {
    let error = |code: &str, message: &str| json!({ "error": { "code": code, "message": message } }).to_string();
    for (code, body, expected, part) in [
        (401, error("invalid_api_key", &format!("wrong key {KEY}\n")), "unauthorized", "wrong key [key]"),
        (403, String::new(), "unauthorized", "403"),
        (400, error("context_length_exceeded", "too long"), "context overflow", "too long"),
        (400, error("", "This model's maximum context length is 8 tokens"), "context overflow", "8 tokens"),
        (400, error("invalid_request_error", "bad field"), "rejected", "bad field"),
        (413, "<html>".to_owned(), "context overflow", "413"),
        (404, error("model_not_found", "no such thing"), "rejected", "'model-1'"),
        (429, error("insufficient_quota", "pay first"), "rejected", "pay first"),
        (500, "oops".to_owned(), "unavailable", "500"),
        (502, "x".repeat(200_000), "unavailable", "502"),
        (503, error("server_is_overloaded", "busy"), "unavailable", "busy"),
        (529, String::new(), "unavailable", "529"),
        (204, String::new(), "rejected", "204"),
    ] {
        let (name, text) = named(after(status(code, &[], &body)).await);
        assert_eq!(name, expected, "{code} {text}");
        assert!(text.contains(part) && text.contains("127.0.0.1:"), "{text}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (name, text) = named(after(status(307, &[("location", "http://127.0.0.1:1/v1/responses")], "")).await);
    assert_eq!(name, "rejected", "{text}");
}

#[tokio::test]
async fn a_rate_limit_says_how_long_to_wait() {
    let words = r#"{"error":{"message":"Rate limit reached. Please try again in 6m1.5s.","code":"rate_limit_exceeded"}}"#;
    let dates = [("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"), ("date", "Wed, 21 Oct 2026 07:28:00 GMT")];
    check_rate_limit(after(status(429, &[], "")).await, None);
    check_rate_limit(after(status(429, &[("retry-after", "2")], "")).await, Some(2.0));
    check_rate_limit(after(status(429, &[("retry-after", "0.5")], words)).await, Some(0.5));
    check_rate_limit(after(status(429, &[("retry-after-ms", "250")], "")).await, Some(0.25));
    check_rate_limit(after(status(429, &dates, "")).await, Some(30.0));
    check_rate_limit(after(status(429, &[("retry-after", "soon")], "")).await, None);
    check_rate_limit(after(status(429, &[("retry-after", "-1")], "")).await, None);
    check_rate_limit(after(status(429, &[("retry-after", "1e300")], "")).await, None);
    check_rate_limit(after(status(503, &[("retry-after", "3")], "")).await, Some(3.0));
    check_rate_limit(after(status(429, &[], words)).await, Some(361.5));
    check_rate_limit(after(failed("rate_limit_exceeded", "Please try again in 20 ms")).await, Some(0.02));
    check_rate_limit(after(failed("rate_limit_exceeded", "Slow down")).await, None);
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
        assert_eq!(named(after(failed(code, "why")).await).0, expected, "{code}");
    }
    let cut = |reason: &str| {
        let details = json!({ "incomplete_details": { "reason": reason } });
        Fault::Events(vec![json!({ "type": "response.incomplete", "response": details })])
    };
    assert_eq!(named(after(cut("novelty")).await).0, "unavailable");
    for (reason, stop) in [("max_output_tokens", Stop::OutputLimit), ("content_filter", Stop::Refused)] {
        assert_eq!(after(cut(reason)).await.expect("a reply"), Reply { items: vec![], usage: None, stop });
    }
    let bare: Value = json!({ "type": "error", "code": "rate_limit_exceeded", "message": "try again in 1s" });
    check_rate_limit(after(Fault::Events(vec![bare])).await, Some(1.0));
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_never_a_reply() {
    let scripted = start(Script::of([message("hi")])).await;
    let model = client(&scripted);
    let (mut n_replies, mut has_begun) = (0, false);
    let reply_length = reply_length(&scripted).await;
    for n_bytes in 0..=reply_length {
        for fault in [Fault::CutAfter(n_bytes), Fault::EndAfter(n_bytes)] {
            scripted.add_fault(fault.clone());
            match ask(&model, &user("x")).await {
                Ok(reply) => {
                    assert!(n_bytes == reply_length, "{fault:?} of {reply_length}");
                    assert_eq!(reply.items, [Item::Assistant { text: "hi".into() }]);
                    n_replies += 1;
                }
                Err(ModelError::Unavailable(_)) => assert!(!has_begun, "{fault:?}"),
                Err(ModelError::BrokenOff { output_bytes, .. }) => {
                    assert_eq!(output_bytes, 2);
                    has_begun = true;
                }
                Err(error) => panic!("{fault:?}: {error}"),
            }
        }
    }
    assert!(n_replies == 2 && has_begun);
    scripted.shutdown().await;
}

/// How many bytes the scripted reply to the question of the test above has.
async fn reply_length(scripted: &ScriptedModel) -> usize {
    let model = client(scripted);
    let (mut low, mut high) = (0, 64 * 1024);
    while low < high {
        let middle = (low + high) / 2;
        scripted.add_fault(Fault::EndAfter(middle));
        if ask(&model, &user("x")).await.is_ok() { high = middle } else { low = middle + 1 }
    }
    low
}

#[tokio::test]
async fn a_silent_stream_is_given_up() {
    let scripted = start(Script::of([message("hi")]).with_faults([Fault::Hang])).await;
    let impatient = EndpointSettings { idle_timeout: Duration::from_millis(20), ..settings(scripted.base_url()) };
    let model = ResponsesModel::new(impatient).expect("the settings are right");
    let (name, text) = named(ask(&model, &user("x")).await);
    assert_eq!(name, "unavailable");
    assert!(text.contains("nothing was received"), "{text}");
    scripted.shutdown().await;
}

#[tokio::test]
async fn a_response_without_end_is_bounded_in_time_and_size() {
    let scripted = start(Script::of([message("hi")]).with_faults([Fault::Hang])).await;
    let hurried = EndpointSettings { request_timeout: Duration::from_millis(20), ..settings(scripted.base_url()) };
    let (name, text) = named(ask(&ResponsesModel::new(hurried).expect("right"), &user("x")).await);
    assert!(name == "unavailable" && text.contains("takes too long"), "{text}");
    let small = EndpointSettings { response_bytes_max: 100, ..settings(scripted.base_url()) };
    let (name, text) = named(ask(&ResponsesModel::new(small).expect("right"), &user("x")).await);
    assert!(name == "unavailable" && text.contains("larger than 100 bytes"), "{text}");
    scripted.shutdown().await;
}

#[tokio::test]
async fn a_refused_connection_is_an_endpoint_that_is_not_available() {
    let scripted = start(Script::default()).await;
    let model = client(&scripted);
    scripted.shutdown().await;
    let (name, text) = named(ask(&model, &user("x")).await);
    assert_eq!(name, "unavailable");
    assert!(text.contains("127.0.0.1:") && !text.contains("/v1"), "{text}");
}

#[tokio::test]
async fn a_page_instead_of_a_stream_names_the_address_as_suspect() {
    let (name, text) = named(after(status(200, &[("content-type", "text/html")], "<html>")).await);
    assert!(name == "rejected" && text.contains("is the address right"), "{text}");
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    for base_url in ["", "no url", "ftp://x/v1", "file:///etc/passwd", "https://user:word@example.org/v1"] {
        assert!(matches!(ResponsesModel::new(settings(base_url.to_owned())), Err(ModelError::Rejected(_))), "{base_url}");
    }
    let broken = EndpointSettings { api_key: Some(SecretString::from("a\nb")), ..settings("http://127.0.0.1:1".to_owned()) };
    assert!(matches!(ResponsesModel::new(broken), Err(ModelError::Unauthorized(_))));
    let shown = format!("{:?}", ResponsesModel::new(settings("http://127.0.0.1:1/v1/".to_owned())).expect("right"));
    assert!(!shown.contains(KEY), "{shown}");
}
