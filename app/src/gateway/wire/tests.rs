use super::*;

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
fn nothing_of_the_address_comes_from_inside() {
    assert_eq!(
        Wire::StreamGenerate.url("https://host/v1beta/", "ours"),
        "https://host/v1beta/models/ours:streamGenerateContent?alt=sse"
    );
}
