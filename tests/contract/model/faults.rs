//! What goes wrong, sorted by what the caller should do, whatever the format.

use std::time::Duration;

use patchwright::model::endpoint::EndpointSettings;
use patchwright::model::scripted::{Fault, Script, ScriptedModel};
use patchwright::model::{Model, ModelError};
use patchwright_domain::turn::Item;
use secrecy::SecretString;
use serde_json::json;

use super::{FORMATS, Format, KEY, check_rate_limit, message, named, settings, start, status, user};

#[tokio::test]
async fn statuses_are_sorted_by_what_the_caller_should_do() {
    let error = |code: &str, message: &str| json!({ "error": { "code": code, "message": message } }).to_string();
    for format in FORMATS {
        for (code, body, expected, part) in [
            (401, error("invalid_api_key", &format!("wrong key {KEY}\n")), "unauthorized", "wrong key [key]"),
            (403, String::new(), "unauthorized", "403"),
            (402, error("", "Insufficient Balance"), "rejected", "Insufficient Balance"),
            (400, error("invalid_request_error", "bad field"), "rejected", "bad field"),
            (413, "<html>".to_owned(), "context overflow", "413"),
            (404, error("model_not_found", "no such thing"), "rejected", "'model-1'"),
            (429, error("insufficient_quota", "pay first"), "rejected", "pay first"),
            (500, "oops".to_owned(), "unavailable", "500"),
            (502, "x".repeat(200_000), "unavailable", "502"),
            (503, error("server_is_overloaded", "busy"), "unavailable", "busy"),
            (529, error("overloaded_error", "Overloaded"), "unavailable", "Overloaded"),
            (204, String::new(), "rejected", "204"),
        ] {
            let (name, text) = named(format.after(status(code, &[], &body)).await);
            assert_eq!(name, expected, "{format:?} {code} {text}");
            assert!(text.contains(part) && text.contains("127.0.0.1:"), "{format:?} {text}");
        }
    }
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_told_in_many_wordings() {
    let bodies = [
        (400, json!({ "error": { "code": "context_length_exceeded", "message": "too long" } })),
        (400, json!({ "error": { "message": "Your input exceeds the context window of this model." } })),
        (
            400,
            json!({ "type": "error", "error": { "type": "invalid_request_error",
            "message": "prompt is too long: 208310 tokens > 200000 maximum" } }),
        ),
        (
            400,
            json!({ "type": "error", "error": { "type": "invalid_request_error",
            "message": "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000" } }),
        ),
        (413, json!({ "type": "error", "error": { "type": "request_too_large", "message": "Request exceeds the limit" } })),
        (
            400,
            json!({ "object": "error", "code": 400, "type": "BadRequestError",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens" }),
        ),
        (
            400,
            json!({ "error": { "code": 400, "type": "exceed_context_size_error", "n_ctx": 4096,
            "message": "the request exceeds the available context size, try increasing it" } }),
        ),
        (500, json!({ "error": { "code": 500, "message": "the request exceeds the available context size" } })),
        (
            400,
            json!({ "error": { "type": "invalid_request_error", "code": "invalid_request_error",
            "message": "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens" } }),
        ),
        (400, json!({ "error": "the input length exceeds the context length" })),
        (400, json!({ "error": { "message": "prompt too long; exceeded max context length by 7 tokens" } })),
        (400, json!({ "error": { "message": "The input (9 tokens) is longer than the model's context length (8 tokens)." } })),
        (
            400,
            json!([{ "error": { "code": 400, "message": "The input token count exceeds the maximum number of tokens allowed" } }]),
        ),
    ];
    for (code, body) in bodies {
        let (name, text) = named(Format::Chat.after(status(code, &[], &body.to_string())).await);
        assert_eq!(name, "context overflow", "{text}");
    }
    for format in FORMATS {
        for words in ["prompt is too long: 9 tokens", "maximum context length is 8 tokens"] {
            let body = json!({ "error": { "message": words } }).to_string();
            assert_eq!(named(format.after(status(400, &[], &body)).await).0, "context overflow", "{format:?}");
            assert_eq!(named(format.after(format.failed("", words)).await).0, "context overflow", "{format:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for format in FORMATS {
        let (name, text) = named(format.after(status(307, &[("location", "http://127.0.0.1:1/v1")], "")).await);
        assert_eq!(name, "rejected", "{text}");
    }
}

#[tokio::test]
async fn a_rate_limit_says_how_long_to_wait() {
    let words = r#"{"error":{"message":"Rate limit reached. Please try again in 6m1.5s.","code":"rate_limit_exceeded"}}"#;
    let dates = [("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"), ("date", "Wed, 21 Oct 2026 07:28:00 GMT")];
    for format in FORMATS {
        check_rate_limit(format.after(status(429, &[], "")).await, None);
        check_rate_limit(format.after(status(429, &[("retry-after", "2")], "")).await, Some(2.0));
        check_rate_limit(format.after(status(529, &[("retry-after", "4")], "")).await, Some(4.0));
        check_rate_limit(format.after(status(429, &[], words)).await, Some(361.5));
        check_rate_limit(format.after(format.failed("rate_limit_exceeded", "Please try again in 20 ms")).await, Some(0.02));
        check_rate_limit(format.after(format.failed("rate_limit_error", "Slow down")).await, None);
    }
    for (body, expected) in [
        // The tokens of a minute, not those of the context.
        (
            json!({ "error": { "code": "rate_limit_exceeded",
            "message": "Request too large for gpt-x on tokens per min (TPM): Limit 10000, Requested 14000." } }),
            None,
        ),
        (json!({ "error": { "message": "input is too long for this minute, retry after 7 seconds" } }), Some(7.0)),
        (json!({ "error": { "message": "Please retry after 26." } }), Some(26.0)),
        (json!({ "error": { "message": "Please retry in 41.5s." } }), Some(41.5)),
        (json!({ "error": { "message": "Please retry after a while" } }), None),
        (
            json!([{ "error": { "code": 429, "message": "You exceeded your quota.", "status": "RESOURCE_EXHAUSTED", "details": [
                { "@type": "type.googleapis.com/google.rpc.Help", "links": [] },
                { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.25s" },
            ] } }]),
            Some(34.25),
        ),
    ] {
        check_rate_limit(Format::Chat.after(status(429, &[], &body.to_string())).await, expected);
    }
    let in_stream = Format::Chat.failed("rate_limit_exceeded", "Request too large for gpt-x on tokens per min. Retry in 2s");
    check_rate_limit(Format::Chat.after(in_stream).await, Some(2.0));
    let after = |headers| Format::Responses.after(headers);
    check_rate_limit(after(status(429, &[("retry-after", "0.5")], words)).await, Some(0.5));
    check_rate_limit(after(status(429, &[("retry-after-ms", "250")], "")).await, Some(0.25));
    check_rate_limit(after(status(429, &[("retry-after", "1m30s")], "")).await, Some(90.0));
    check_rate_limit(after(status(429, &[("x-retry-after", "7")], "")).await, Some(7.0));
    check_rate_limit(after(status(429, &dates, "")).await, Some(30.0));
    check_rate_limit(after(status(429, &[("retry-after", "soon")], "")).await, None);
    check_rate_limit(after(status(429, &[("retry-after", "-1")], "")).await, None);
    check_rate_limit(after(status(429, &[("retry-after", "1e300")], "")).await, None);
    check_rate_limit(after(status(503, &[("retry-after", "3")], "")).await, Some(3.0));
}

#[tokio::test]
async fn failures_in_the_stream_are_sorted_like_statuses() {
    for format in FORMATS {
        for (code, expected) in [
            ("context_length_exceeded", "context overflow"),
            ("insufficient_quota", "rejected"),
            ("billing_error", "rejected"),
            ("invalid_request_error", "rejected"),
            ("authentication_error", "unauthorized"),
            ("permission_error", "unauthorized"),
            ("not_found_error", "rejected"),
            ("overloaded_error", "unavailable"),
            ("api_error", "unavailable"),
            ("server_error", "unavailable"),
            ("", "unavailable"),
        ] {
            let (name, text) = named(format.after(format.failed(code, &format!("why {KEY}"))).await);
            assert_eq!(name, expected, "{format:?} {code} {text}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_never_a_reply() {
    let every = FORMATS.map(|format| tokio::spawn(check_cuts(format)));
    for check in every {
        check.await.expect("no cut reply is whole");
    }
}

async fn check_cuts(format: Format) {
    let scripted = start(Script::of([message("hi")])).await;
    let model = format.client(&scripted);
    let reply_length = reply_length(format, &scripted, &*model).await;
    let (mut n_replies, mut has_begun) = (0, false);
    for n_bytes in 0..=reply_length {
        // A broken connection has to be made anew, so it is tried at every third byte only.
        let faults = [Some(Fault::EndAfter(n_bytes)), (n_bytes % 3 == 0).then_some(Fault::CutAfter(n_bytes))];
        for fault in faults.into_iter().flatten() {
            scripted.add_fault(fault.clone());
            match format.ask(&*model, &user("x")).await {
                Ok(reply) => {
                    assert!(n_bytes == reply_length, "{format:?} {fault:?} of {reply_length}");
                    assert_eq!(reply.items, [Item::Assistant { text: "hi".into() }]);
                    n_replies += 1;
                }
                Err(ModelError::Unavailable(_)) => assert!(!has_begun, "{format:?} {fault:?}"),
                Err(ModelError::BrokenOff { output_bytes, .. }) => {
                    assert!((1..=2).contains(&output_bytes), "{format:?} {fault:?}");
                    has_begun = true;
                }
                Err(error) => panic!("{format:?} {fault:?}: {error}"),
            }
        }
    }
    assert!(n_replies >= 1 && has_begun, "{format:?}");
    scripted.shutdown().await;
}

/// How many bytes the scripted reply to the question of the test above has.
async fn reply_length(format: Format, scripted: &ScriptedModel, model: &dyn Model) -> usize {
    let (mut low, mut high) = (0, 64 * 1024);
    while low < high {
        let middle = (low + high) / 2;
        scripted.add_fault(Fault::EndAfter(middle));
        if format.ask(model, &user("x")).await.is_ok() { high = middle } else { low = middle + 1 }
    }
    low
}

#[tokio::test]
async fn a_silent_or_endless_response_is_given_up() {
    for format in FORMATS {
        let scripted = start(Script::of([message("hi")])).await;
        let base = || settings(scripted.base_url());
        let impatient = EndpointSettings { idle_timeout: Duration::from_millis(20), ..base() };
        let hurried = EndpointSettings { request_timeout: Duration::from_millis(20), ..base() };
        let small = EndpointSettings { response_bytes_max: 60, ..base() };
        for (settings, fault, part) in [
            (impatient, Some(Fault::Hang), "nothing was received"),
            (hurried, Some(Fault::Hang), "takes too long"),
            (small, None, "larger than 60 bytes"),
        ] {
            fault.into_iter().for_each(|fault| scripted.add_fault(fault));
            let model = format.model(settings).expect("the settings are right");
            let (name, text) = named(format.ask(&*model, &user("x")).await);
            assert!(name == "unavailable" && text.contains(part), "{format:?} {name} {text}");
        }
        scripted.shutdown().await;
    }
}

#[tokio::test]
async fn a_reply_that_has_begun_breaks_off() {
    let begun = |format: Format| match format {
        Format::Responses => json!({ "type": "response.output_text.delta", "delta": "hello" }),
        Format::Chat | Format::Spoken => json!({ "choices": [{ "delta": { "content": "hello" } }] }),
        Format::Messages => {
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "hello" } })
        }
    };
    for format in FORMATS {
        let Fault::Events(failed) = format.failed("server_error", "oops") else { panic!("these are events") };
        for (events, part) in [(vec![begun(format)], "ended before"), ([vec![begun(format)], failed].concat(), "oops")] {
            match format.after(Fault::Events(events)).await {
                Err(ModelError::BrokenOff { reason, output_bytes: 5 }) => assert!(reason.contains(part), "{reason}"),
                other => panic!("{format:?}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_refused_connection_is_an_endpoint_that_is_not_available() {
    for format in FORMATS {
        let scripted = start(Script::default()).await;
        let model = format.client(&scripted);
        scripted.shutdown().await;
        let (name, text) = named(format.ask(&*model, &user("x")).await);
        assert_eq!(name, "unavailable");
        assert!(text.contains("127.0.0.1:") && !text.contains("/v1"), "{text}");
    }
}

#[tokio::test]
async fn a_page_instead_of_a_stream_names_the_address_as_suspect() {
    for format in FORMATS {
        let (name, text) = named(format.after(status(200, &[("content-type", "text/html")], "<html>")).await);
        assert!(name == "rejected" && text.contains("is the address right"), "{text}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    for format in FORMATS {
        for base_url in ["", "no url", "ftp://x/v1", "file:///etc/passwd", "https://user:word@example.org/v1"] {
            let refused = format.model(settings(base_url.to_owned())).err();
            assert!(matches!(refused, Some(ModelError::Rejected(_))), "{base_url}");
        }
        let broken = EndpointSettings { api_key: Some(SecretString::from("a\nb")), ..settings("http://127.0.0.1:1".to_owned()) };
        assert!(matches!(format.model(broken).err(), Some(ModelError::Unauthorized(_))));
    }
    let shown = format!("{:?}", settings("http://127.0.0.1:1/v1/".to_owned()));
    assert!(!shown.contains(KEY), "{shown}");
}
