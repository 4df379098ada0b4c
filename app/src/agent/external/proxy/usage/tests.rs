use super::*;

/// Every way in which the text can be cut in two must count the same.
#[track_caller]
fn check(text: &str, input: u64, cached: u64, output: u64) {
    for at in 0..text.len() {
        let mut counter = Counter::default();
        counter.push(&text.as_bytes()[..at]);
        counter.push(&text.as_bytes()[at..]);
        counter.end();
        assert_eq!(counter.tokens(400, true), TokenUsage { input, cached, output }, "cut at {at}");
    }
}

#[test]
fn every_format_says_what_it_used() {
    check(
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":10,\
         \"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":3}}}\n\n",
        10,
        4,
        3,
    );
    check(
        "data: {\"choices\":[],\"usage\":null}\n\ndata: {\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n",
        10,
        0,
        3,
    );
    check(
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,\
         \"cache_creation_input_tokens\":2,\"output_tokens\":1}}}\n\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n",
        17,
        5,
        9,
    );
    check(
        "data: {\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":3,\"thoughtsTokenCount\":2}}\r\n\r\n",
        10,
        0,
        5,
    );
    check("{\n \"usage\": {\n  \"input_tokens\": 8, \"output_tokens\": 2 }\n}\n", 8, 0, 2);
}

#[test]
fn where_nobody_says_the_bytes_are_counted() {
    check("data: {\"delta\":\"hello\"}\n\n", 100, 0, 7);
    let mut counter = Counter::default();
    counter.push(b"{\"error\":\"no\"}");
    counter.end();
    assert_eq!(counter.tokens(400, false), TokenUsage::default());
}

#[test]
fn of_what_was_broken_off_the_larger_count_is_charged() {
    let start = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n";
    let delta = format!("data: {{\"delta\":\"{}\"}}\n\n", "x".repeat(4000));
    let mut counter = Counter::default();
    counter.push(start.as_bytes());
    counter.push(delta.as_bytes());
    let guessed = ((start.len() + delta.len()) as u64).div_ceil(BYTES_PER_TOKEN);
    assert_eq!(counter.tokens(400, true), TokenUsage { input: 100, cached: 0, output: guessed });
    assert_eq!(counter.tokens(4, true).input, 10);
    counter.push(b"data: {\"usage\":{\"output_tokens\":9000}}\n\n");
    assert_eq!(counter.tokens(400, true).output, 9000);
    counter.end();
    assert_eq!(counter.tokens(400, true), TokenUsage { input: 10, cached: 0, output: 9000 });

    // Cut by whoever stands between, so that it looks whole.
    let mut counter = Counter::default();
    counter.push(start.as_bytes());
    counter.push(delta.as_bytes());
    counter.end();
    assert_eq!(counter.tokens(400, true).output, guessed);
    // Hung up behind what says it all.
    let mut counter = Counter::default();
    counter.push(start.as_bytes());
    counter.push(delta.as_bytes());
    counter.push(b"data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n");
    assert_eq!(counter.tokens(400, true), TokenUsage { input: 10, cached: 0, output: 9 });
}
