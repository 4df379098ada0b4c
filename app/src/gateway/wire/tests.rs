use super::*;

fn adapted(wire: Wire, body: &str, most: Option<u64>) -> String {
    let bytes = Bytes::from(body.to_owned());
    let object = serde_json::from_str(body).expect("an object");
    String::from_utf8(wire.adapt(object, bytes, "ours", most).to_vec()).expect("JSON")
}

#[test]
fn only_requests_to_a_model_are_let_through() {
    for (path, wire) in [
        ("/v1/responses", Some(Wire::Responses)),
        ("/responses", Some(Wire::Responses)),
        ("/v1/chat/completions", Some(Wire::Chat)),
        ("/v1/messages", Some(Wire::Messages)),
        ("/v1beta/models/gemini-3:streamGenerateContent", Some(Wire::StreamGenerate)),
        ("/v1/messages/count_tokens", None),
        ("/v1/files", None),
        ("/v1/responses/../files", None),
        ("//v1/responses", None),
        ("/v1/models/x:embedContent", None),
        ("/", None),
    ] {
        assert_eq!(Wire::of(path), wire, "{path}");
    }
}

#[test]
fn a_request_is_for_our_model_and_within_the_grant() {
    let same = r#"{ "stream": true, "model": "ours" }"#;
    assert_eq!(adapted(Wire::Responses, same, None), same);
    assert_eq!(adapted(Wire::Responses, r#"{"model":"dear"}"#, Some(7)), r#"{"max_output_tokens":7,"model":"ours"}"#);
    assert_eq!(adapted(Wire::Messages, r#"{"model":"x","max_tokens":9}"#, Some(7)), r#"{"max_tokens":7,"model":"ours"}"#);
    assert_eq!(
        adapted(Wire::Chat, r#"{"model":"x","stream":true,"max_tokens":9}"#, Some(7)),
        r#"{"max_tokens":7,"model":"ours","stream":true,"stream_options":{"include_usage":true}}"#
    );
    assert_eq!(adapted(Wire::Generate, "{}", Some(7)), r#"{"generationConfig":{"maxOutputTokens":7}}"#);
    assert_eq!(
        Wire::StreamGenerate.url("https://host/v1beta/", "ours"),
        "https://host/v1beta/models/ours:streamGenerateContent?alt=sse"
    );
}
