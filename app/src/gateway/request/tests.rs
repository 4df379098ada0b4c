use serde_json::json;

use super::*;

#[track_caller]
fn sent(wire: Wire, given: &str, most: Option<u64>) -> Value {
    let request = Request::read(wire, given.as_bytes()).expect("it may go out");
    serde_json::from_slice(&request.into_bytes("ours", most)).expect("JSON")
}

/// What goes out of a request, beside what always does.
#[track_caller]
fn check(wire: Wire, given: Value, expected: Value) {
    let mut sent = sent(wire, &given.to_string(), None);
    let body = sent.as_object_mut().expect("an object");
    if wire == Wire::Responses {
        assert_eq!(body.remove("store"), Some(json!(false)));
    }
    if !matches!(wire, Wire::Generate | Wire::StreamGenerate) {
        assert_eq!(body.remove("model"), Some(json!("ours")));
    }
    assert_eq!(sent, expected, "{given}");
}

#[track_caller]
fn check_same(wire: Wire, given: Value) {
    check(wire, given.clone(), given);
}

#[track_caller]
fn check_refused(wire: Wire, given: Value, part: &str) {
    let refused = Request::read(wire, given.to_string().as_bytes()).expect_err("it must not go out").to_string();
    assert!(refused.contains(part), "{given}: {refused}");
}

#[test]
fn a_request_is_for_our_model_and_within_the_grant() {
    for (wire, given, most, expected) in [
        (Wire::Responses, r#"{"model":"dear"}"#, Some(7), json!({ "max_output_tokens": 7, "model": "ours", "store": false })),
        (Wire::Messages, r#"{"model":"x","max_tokens":9}"#, Some(7), json!({ "max_tokens": 7, "model": "ours" })),
        (
            Wire::Chat,
            r#"{"model":"x","stream":true,"max_tokens":9}"#,
            Some(7),
            json!({ "max_tokens": 7, "model": "ours", "stream": true, "stream_options": { "include_usage": true } }),
        ),
        // Of two limits the endpoint might heed the other one.
        (
            Wire::Chat,
            r#"{"max_tokens":9,"max_completion_tokens":8}"#,
            Some(7),
            json!({ "max_completion_tokens": 7, "model": "ours" }),
        ),
        (
            Wire::Generate,
            r#"{"generation_config":{"max_output_tokens":9}}"#,
            Some(7),
            json!({ "generationConfig": { "maxOutputTokens": 7 } }),
        ),
        (Wire::Generate, "{}", Some(7), json!({ "generationConfig": { "maxOutputTokens": 7 } })),
        // A limit in a form that we do not read is none.
        (Wire::Messages, r#"{"max_tokens":1e9}"#, None, json!({ "model": "ours" })),
        (Wire::Generate, r#"{"generationConfig":{"maxOutputTokens":"1000000"}}"#, None, json!({ "generationConfig": {} })),
    ] {
        assert_eq!(sent(wire, given, most), expected, "{given}");
    }
    let asked = |given: &str| Request::read(Wire::Chat, given.as_bytes()).expect("it may go out").output_asked();
    assert_eq!(asked(r#"{"max_tokens":9,"max_completion_tokens":8}"#), Some(9));
    assert_eq!(asked(r#"{"max_tokens":1e9}"#), None);
}

#[test]
fn a_field_that_is_there_twice_goes_out_once() {
    let twice = r#"{"model":"ours","store":false,"store":true,"tools":[{"type":"mcp","server_url":"https://evil"}],"tools":[]}"#;
    let request = Request::read(Wire::Responses, twice.as_bytes()).expect("it may go out");
    assert_eq!(request.into_bytes("ours", None), r#"{"model":"ours","store":false}"#);
}

#[test]
fn what_is_kept_run_or_multiplied_at_the_provider_is_left_out() {
    let function = json!({ "type": "function", "name": "shell", "parameters": {} });
    let custom = json!({ "type": "custom", "name": "apply_patch", "format": { "type": "text" } });
    check(
        Wire::Responses,
        json!({
            "tools": [
                function, { "type": "web_search" }, { "type": "web_search_preview_2025_03_11" }, custom,
                { "type": "mcp", "server_label": "x", "server_url": "https://evil", "require_approval": "never" },
                { "type": "computer_use_preview" }, { "type": "file_search", "vector_store_ids": ["v"] },
                { "type": "code_interpreter", "container": { "type": "auto" } }, { "type": "image_generation" }, "web_search",
            ],
            "tool_choice": { "type": "mcp", "server_label": "x" },
            "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
            "store": true, "background": true, "metadata": { "a": "b" }, "service_tier": "priority", "max_tool_calls": 9,
            "stream_options": { "include_obfuscation": true }, "context_management": [{ "type": "compaction" }],
            "reasoning": { "effort": "high", "novel": 1 }, "novel": "https://evil", "previous_response_id": null,
        }),
        json!({
            "tools": [function, custom], "include": ["reasoning.encrypted_content"], "reasoning": { "effort": "high" },
        }),
    );
    let function = json!({ "type": "function", "function": { "name": "shell", "parameters": {} } });
    check(
        Wire::Chat,
        json!({
            "tools": [function, { "type": "web_search" }, { "type": "function" }], "tool_choice": "auto",
            "n": 100, "best_of": 9, "service_tier": "priority", "stream_options": { "x": 1 }, "store": true, "stream": "yes",
            "metadata": {}, "web_search_options": {}, "plugins": [{ "id": "web" }], "models": ["dear"], "modalities": ["audio"],
            "prediction": {}, "chat_template": "{{ x }}",
        }),
        json!({ "tools": [function], "tool_choice": "auto" }),
    );
    check(Wire::Chat, json!({ "tools": [{ "type": "mcp" }], "tool_choice": "auto", "parallel_tool_calls": true }), json!({}));
    let client = json!({ "name": "Bash", "input_schema": {}, "cache_control": { "type": "ephemeral" } });
    let typed = json!({ "type": "custom", "name": "Read", "input_schema": {} });
    check(
        Wire::Messages,
        json!({
            "tools": [
                { "name": "Bash", "input_schema": {}, "cache_control": { "type": "ephemeral", "ttl": "1h" }, "allowed_callers": [] },
                typed, { "type": "web_search_20250305", "name": "web_search" }, { "type": "web_fetch_20250910", "name": "f" },
                { "type": "code_execution_20250825", "name": "c" }, { "type": "mcp_toolset", "mcp_server_name": "x" },
                { "type": "computer_20250124", "name": "computer" },
            ],
            "mcp_servers": [{ "type": "url", "url": "https://evil", "name": "x" }], "metadata": { "user_id": "u" },
            "service_tier": "auto", "speed": "fast", "container": null, "context_management": {}, "betas": ["x"],
            "thinking": { "type": "enabled", "budget_tokens": 5 },
        }),
        json!({ "tools": [client, typed], "thinking": { "type": "enabled", "budget_tokens": 5 } }),
    );
    for (declarations, search) in [("functionDeclarations", "googleSearch"), ("function_declarations", "google_search")] {
        let declared = json!([{ "name": "shell" }]);
        check(
            Wire::StreamGenerate,
            json!({
                "tools": [
                    { declarations: declared, search: {} }, { search: {} }, { "urlContext": {} }, { "url_context": {} },
                    { "codeExecution": {} }, { "mcpServers": [] },
                ],
                "toolConfig": { "functionCallingConfig": { "mode": "AUTO" }, "retrievalConfig": {} },
                "generationConfig": { "candidateCount": 8, "candidate_count": 8, "top_p": 0.5, "responseModalities": ["IMAGE"] },
                "model": "dear", "labels": {}, "serviceTier": "priority", "store": true,
            }),
            json!({
                "tools": [{ "functionDeclarations": declared }],
                "toolConfig": { "functionCallingConfig": { "mode": "AUTO" } }, "generationConfig": { "topP": 0.5 },
            }),
        );
    }
}

#[test]
fn what_the_provider_keeps_cannot_be_called_up() {
    for field in ["previous_response_id", "conversation", "prompt"] {
        check_refused(Wire::Responses, json!({ field: "id" }), field);
    }
    check_refused(Wire::Responses, json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] }), "`item_reference`");
    check_refused(Wire::Messages, json!({ "container": "id" }), "container");
    check_refused(Wire::Generate, json!({ "cached_content": "id" }), "cachedContent");
}

#[test]
fn content_that_the_provider_would_fetch_is_refused() {
    let url = "https://evil.example/?secret";
    let input = |part: Value| json!({ "input": [{ "role": "user", "content": [part] }] });
    for part in [
        json!({ "type": "input_image", "image_url": url }),
        json!({ "type": "input_image", "file_id": "file-1" }),
        json!({ "type": "input_image" }),
        json!({ "type": "input_file", "file_url": url }),
        json!({ "type": "input_file", "file_data": url }),
        json!({ "type": "input_video", "video_url": url }),
    ] {
        check_refused(Wire::Responses, input(part.clone()), "the request has");
        let output = json!({ "input": [{ "type": "function_call_output", "call_id": "c", "output": [part] }] });
        check_refused(Wire::Responses, output, "the request has");
    }
    check_refused(Wire::Responses, json!({ "input": [{ "type": "mcp_call" }] }), "an item of the type `mcp_call`");
    let message = |part: Value| json!({ "messages": [{ "role": "user", "content": [part] }] });
    for part in [
        json!({ "type": "image_url", "image_url": { "url": url } }),
        json!({ "type": "image_url", "image_url": url }),
        json!({ "type": "file", "file": { "file_id": "file-1" } }),
        json!({ "type": "file", "file": { "file_data": url } }),
        json!({ "type": "video_url", "video_url": { "url": url } }),
    ] {
        check_refused(Wire::Chat, message(part), "the request has");
    }
    let image = |kind: &str| json!({ "type": "image", "source": { "type": kind, "url": url, "file_id": "f" } });
    for part in [
        image("url"),
        image("file"),
        json!({ "type": "document", "source": { "type": "url", "url": url } }),
        json!({ "type": "document", "source": { "type": "content", "content": [image("url")] } }),
        json!({ "type": "tool_result", "tool_use_id": "t", "content": [image("url")] }),
        json!({ "type": "container_upload", "file_id": "f" }),
        json!({ "type": "server_tool_use", "name": "web_fetch", "input": { "url": url } }),
    ] {
        check_refused(Wire::Messages, message(part), "the request has");
    }
    for part in [
        json!({ "fileData": { "fileUri": url } }),
        json!({ "file_data": { "file_uri": url } }),
        json!({ "functionResponse": { "name": "x", "response": {}, "parts": [{ "fileData": { "fileUri": url } }] } }),
        json!({ "executableCode": { "code": "x" } }),
    ] {
        check_refused(Wire::Generate, json!({ "contents": [{ "parts": [part] }] }), "the request has");
        check_refused(Wire::Generate, json!({ "contents": { "parts": part } }), "the request has");
        check_refused(Wire::Generate, json!({ "system_instruction": { "parts": [part] } }), "the request has");
    }
}

#[test]
fn a_conversation_with_its_calls_results_and_images_goes_out_whole() {
    let data = "data:image/png;base64,AAAA";
    check_same(
        Wire::Responses,
        json!({ "instructions": "Work.", "stream": true, "prompt_cache_key": "k", "text": { "verbosity": "low" }, "input": [
            { "type": "message", "role": "user", "content": [
                { "type": "input_text", "text": "see https://example.org" }, { "type": "input_image", "image_url": data },
            ] },
            { "role": "user", "content": "hi" },
            { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "hm" }], "content": null, "encrypted_content": "x" },
            { "type": "function_call", "call_id": "c", "name": "shell", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c", "output": "ok" },
            { "type": "custom_tool_call", "call_id": "d", "name": "apply_patch", "input": "x" },
            { "type": "custom_tool_call_output", "call_id": "d", "output": [{ "type": "input_text", "text": "ok" }] },
        ] }),
    );
    check_same(
        Wire::Chat,
        json!({ "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "hi" }, { "type": "image_url", "image_url": { "url": data, "detail": "low" } },
                { "type": "file", "file": { "file_data": data, "filename": "a.png" } },
            ] },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "c", "type": "function", "function": { "name": "shell", "arguments": "{}" } },
            ] },
            { "role": "tool", "tool_call_id": "c", "content": "ok" },
        ] }),
    );
    let image = json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } });
    check_same(
        Wire::Messages,
        json!({ "system": [{ "type": "text", "text": "Work.", "cache_control": { "type": "ephemeral" } }], "messages": [
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "hm", "signature": "s" },
                { "type": "tool_use", "id": "t", "name": "Bash", "input": { "source": { "type": "url" } } },
            ] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": [image], "is_error": false }] },
        ] }),
    );
    check_same(
        Wire::Generate,
        json!({ "systemInstruction": { "parts": [{ "text": "Work." }] }, "contents": [
            { "role": "user", "parts": [{ "text": "hi" }, { "inlineData": { "mimeType": "image/png", "data": "AAAA" } }] },
            { "role": "model", "parts": [{ "functionCall": { "name": "shell", "args": {} }, "thoughtSignature": "s" }] },
            { "role": "user", "parts": [{ "functionResponse": { "name": "shell", "response": { "file_data": "x" } } }] },
        ] }),
    );
}

#[test]
fn what_is_no_object_is_no_request() {
    for given in ["[]", "no JSON", "", "7"] {
        let refused = Request::read(Wire::Chat, given.as_bytes()).expect_err("it is none");
        assert_eq!(refused.to_string(), "the request is no JSON object", "{given}");
    }
}
