use serde_json::json;

use super::*;

#[test]
fn events_become_notes_and_the_last_message_the_answer() {
    let mut seen = Seen::default();
    let item = |item: Value| json!({ "type": "item.completed", "item": item });
    let notes: Vec<String> = [
        json!({ "type": "thread.started", "thread_id": "t" }),
        item(json!({ "type": "agent_message", "text": "Looking." })),
        item(json!({ "type": "command_execution", "command": "ls\nrm", "exit_code": 0 })),
        item(json!({ "type": "file_change", "changes": [{ "path": "a", "kind": "add" }, { "path": "b", "kind": "delete" }] })),
        item(json!({ "type": "error", "message": "unknown model" })),
        item(json!({ "type": "agent_message", "text": "Done." })),
        json!({ "type": "turn.completed", "usage": {} }),
    ]
    .iter()
    .filter_map(|event| seen.event(event))
    .collect();
    assert_eq!(notes, ["ran `ls`", "edited a, b"]);
    assert_eq!((seen.answer.as_str(), seen.failure.as_deref(), seen.is_complete), ("Done.", None, true));
    assert_eq!(seen.event(&json!({ "type": "turn.failed", "error": { "message": "429" } })), None);
    assert_eq!((seen.failure.as_deref(), seen.is_complete), (Some("429"), false));
}
