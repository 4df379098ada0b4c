use super::*;

#[test]
fn permissions_are_granted_and_nothing_else_is_offered() {
    let asked = json!({ "options": [
        { "optionId": "n", "kind": "reject_once" }, { "optionId": "o", "kind": "allow_once" }, { "optionId": "a", "kind": "allow_always" },
    ] });
    assert_eq!(answer_to("session/request_permission", &asked)["result"]["outcome"]["optionId"], "a");
    let cancelled = json!({ "result": { "outcome": { "outcome": "cancelled" } } });
    assert_eq!(answer_to("session/request_permission", &json!({})), cancelled);
    assert_eq!(answer_to("fs/read_text_file", &json!({}))["error"]["code"], METHOD_NOT_FOUND);
}
