use super::*;

#[test]
fn what_is_asked_for_in_advance_is_known_to_reach_nobody() {
    let headers = |values: &[&'static str]| -> HeaderMap {
        values.iter().map(|value| (HeaderName::from_static(BETA), http::HeaderValue::from_static(value))).collect()
    };
    for (given, kept) in [
        (&["mcp-client-2025-11-20"][..], None),
        (
            &["context-1m-2025-08-07, interleaved-thinking-2025-05-14,web-fetch-2025-09-10"],
            Some("interleaved-thinking-2025-05-14"),
        ),
        (
            &["claude-code-20250219", "code-execution-2025-08-25,effort-2025-11-24"],
            Some("claude-code-20250219,effort-2025-11-24"),
        ),
        (&[], None),
    ] {
        assert_eq!(betas(&headers(given)).as_deref(), kept, "{given:?}");
    }
    assert!(!REQUEST_HEADERS.iter().any(|name| name.ends_with("beta")));
}
