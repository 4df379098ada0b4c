//! Calls in the model's text, for servers that know no tools.

use patchwright::model::scripted::{Fault, Script, Step};
use patchwright_domain::turn::Item;
use serde_json::{Value, json};

use super::{Format, message, start, user};

const FORMAT: Format = Format::Spoken;

/// The words and the calls that a text comes to.
async fn parsed(text: &str, reason: &str) -> (Option<String>, Vec<(String, String)>) {
    let end = json!({ "choices": [{ "delta": { "content": text }, "finish_reason": reason }] });
    let reply = FORMAT.after(Fault::Events(vec![end, json!("[DONE]")])).await.expect("a reply");
    let (mut words, mut calls) = (None, Vec::new());
    for item in reply.items {
        match item {
            Item::Assistant { text } => words = Some(text),
            Item::Call { call_id, name, arguments, freeform: false } => {
                assert_eq!(call_id, format!("call_0_1_{}", calls.len()));
                calls.push((name, arguments));
            }
            other => panic!("{other:?}"),
        }
    }
    (words, calls)
}

#[tokio::test]
async fn several_calls_in_one_reply_are_taken_in_their_order() {
    let block = |command: &str| format!("```tool\n{}\n```", json!({ "name": "shell", "arguments": { "command": command } }));
    let shell = |command: &str| ("shell".to_owned(), json!({ "command": command }).to_string());
    let inner = format!("echo '{}'", block("rm"));
    for (text, reason, words, calls) in [
        (format!("I look.\n\n{}\n\n{}\n", block("a"), block("b")), "stop", Some("I look."), vec![shell("a"), shell("b")]),
        (format!("{}\nand then\n{}", block("a"), block("b")), "stop", None, vec![shell("a"), shell("b")]),
        (format!("{}{}", block("a"), block("b")), "stop", None, vec![shell("a"), shell("b")]),
        // What stands in a call is no call of its own, also where the line breaks are not JSON's.
        (format!("{}\n{}", block(&inner), block("b")), "stop", None, vec![shell(&inner), shell("b")]),
        (
            "```tool\n{\"name\":\"shell\",\"arguments\":{\"command\":\"é\n```tool\n{}\n```\"}}\n```\n".to_owned() + &block("b"),
            "stop",
            None,
            vec![shell("é\n```tool\n{}\n```"), shell("b")],
        ),
        // Behind a result that the model made up, it is the made-up one that it goes on from.
        (format!("{}\n[result of call_1]\nfine\n{}", block("a"), block("b")), "stop", None, vec![shell("a")]),
        (format!("```tool\nls\n```\n{}", block("b")), "stop", None, vec![(String::new(), "ls".to_owned()), shell("b")]),
        (
            format!("<tool_call>{{\"name\":\"shell\",\"arguments\":{{\"command\":\"a\"}}}}</tool_call>\n{}", block("b")),
            "stop",
            None,
            vec![shell("a"), shell("b")],
        ),
        (format!("{}\n```tool\n{{\"name\": \"sh", block("a")), "length", None, vec![shell("a")]),
    ] {
        assert_eq!(parsed(&text, reason).await, (words.map(str::to_owned), calls), "{text}");
    }
}

#[tokio::test]
async fn a_call_is_found_in_the_forms_that_models_write() {
    let shell = |command: &str| Some(("shell".to_owned(), json!({ "command": command }).to_string()));
    let json = r#"{"name": "shell", "arguments": {"command": "ls"}}"#;
    for (text, words, call) in [
        (format!("```tool\n{json}\n```"), None, shell("ls")),
        (format!("I look.\n\n```tool\n{json}\n```\n[result of x] made up"), Some("I look."), shell("ls")),
        (format!("I look. <tool_call>{json}</tool_call>"), Some("I look."), shell("ls")),
        (format!("```json\n{json}\n```"), None, shell("ls")),
        (format!("```tool_call\n{json}"), None, shell("ls")),
        ("```tool\n{\"name\": \"shell\", \"arguments\": {\"command\": \"a\nb\"}}\n```".to_owned(), None, shell("a\nb")),
        (r#"```tool {"name": "shell", "parameters": {"command": "ls"}}```"#.to_owned(), None, shell("ls")),
        (
            format!("As in\n```json\n{{\"a\": 1}}\n```\nI do:\n```json\n{json}\n```"),
            Some("As in\n```json\n{\"a\": 1}\n```\nI do:"),
            shell("ls"),
        ),
        ("Use `{\"name\"}`.".to_owned(), Some("Use `{\"name\"}`."), None),
        (
            "```json\n{\"name\": \"no-tool\", \"arguments\": {}}\n```".to_owned(),
            Some("```json\n{\"name\": \"no-tool\", \"arguments\": {}}\n```"),
            None,
        ),
        (
            "```tool\n{\"name\": \"shell\", oops}\n```".to_owned(),
            None,
            Some(("shell".to_owned(), "{\"name\": \"shell\", oops}".to_owned())),
        ),
        ("```tool\nls\n```".to_owned(), None, Some((String::new(), "ls".to_owned()))),
    ] {
        assert_eq!(parsed(&text, "stop").await, (words.map(str::to_owned), Vec::from_iter(call)), "{text}");
    }
}

#[tokio::test]
async fn the_tools_are_told_and_the_roles_alternate() {
    let scripted = start(Script::of([Step::Shell("ls".into()), message("done")])).await;
    let model = FORMAT.client(&scripted);
    let mut items = user("x");
    items.extend(user("and y"));
    let reply = FORMAT.ask(&*model, &items).await.expect("a reply");
    let Some(Item::Call { call_id, .. }) = reply.items.last().cloned() else { panic!("{reply:?}") };
    items.extend(reply.items);
    items.push(Item::Result { call_id: call_id.clone(), output: "a file".into(), freeform: false });
    let reply = FORMAT.ask(&*model, &items).await.expect("a reply");
    assert_eq!(reply.items, [Item::Assistant { text: "done".into() }]);
    let body = scripted.requests().pop().expect("recorded").body;
    assert_eq!(body["tools"], Value::Null);
    let messages = body["messages"].as_array().expect("a list");
    let system = messages[0]["content"].as_str().expect("a text");
    assert!(system.starts_with("Work.") && system.contains("## shell") && system.contains("```tool"), "{system}");
    let rest: Vec<_> = messages[1..].iter().map(|message| (message["role"].as_str(), message["content"].as_str())).collect();
    let call = "```tool\n{\"arguments\":{\"command\":\"ls\"},\"name\":\"shell\"}\n```";
    let result = format!("[result of {call_id}]\na file");
    let expected = [(Some("user"), Some("x\n\nand y")), (Some("assistant"), Some(call)), (Some("user"), Some(result.as_str()))];
    assert_eq!(rest, expected);
    scripted.shutdown().await;
}
