use super::{AMPLE, PATCH, brief, call, check_patch, check_told, on_offer, open, outcome, reply, shell, terms};
use crate::excerpt::search::Search;
use crate::job::Mode;
use crate::patch::replace::Replacement;
use crate::turn::conversation::{Conversation, Terms};
use crate::turn::{Action, Finding, Item, Next, Tool, ToolCall};

#[test]
fn arguments_are_read_leniently() {
    let words = |arguments: &str| outcome(call("c", "shell", arguments, false));
    let script = |script: &str| Ok(Action::Shell { script: script.into(), directory: String::new(), timeout_ms: None });
    assert_eq!(words(r#"{"command":["bash","-lc","ls | wc"]}"#), script("ls | wc"));
    assert_eq!(words(r#"{"command":["grep","a b","f"],"workdir":null}"#), script("grep 'a b' f"));
    assert_eq!(words(r#"{"cmd":"ls"}"#), script("ls"));
    let limited = Action::Shell { script: "x".into(), directory: "d".into(), timeout_ms: Some(5) };
    assert_eq!(words(r#"{"command":"x","workdir":"./d/","timeout_ms":"5","why":1}"#), Ok(limited));
    assert_eq!(words(r#"{"command":"x","workdir":"./"}"#), script("x"));
    assert_eq!(words(r#"{"command":"x","workdir":"/tmp/a b"}"#), script("cd -- '/tmp/a b' || exit\nx"));
    assert_eq!(
        words(r#"{"command":"x","workdir":"-../y"}"#),
        Ok(Action::Shell { script: "x".into(), directory: "-../y".into(), timeout_ms: None })
    );
}

#[test]
fn every_tool_is_understood() {
    let read = |arguments: &str| outcome(call("c", "read", arguments, false));
    let shown = |path: &str, first_line, n_lines| Ok(Action::Read { path: path.into(), first_line, n_lines });
    assert_eq!(read(r#"{"path":"a.rs"}"#), shown("a.rs", 1, None));
    assert_eq!(read(r#"{"path":"/workspace/src/a.rs","line":0,"count":"5"}"#), shown("src/a.rs", 1, Some(5)));
    assert_eq!(read(r#"{"path":"/workspaces/a"}"#), shown("/workspaces/a", 1, None));
    let search = |arguments: &str| outcome(call("c", "search", arguments, false));
    let all = Search::for_pattern("a+");
    assert_eq!(search(r#"{"pattern":"a+","path":"."}"#), Ok(Action::Search(all.clone())));
    let narrow = Search { is_literal: true, ignore_case: true, directory: "src".into(), globs: vec!["*.rs".into()], ..all };
    let arguments = r#"{"pattern":"a+","path":"./src","glob":"*.rs","literal":true,"ignore_case":true}"#;
    assert_eq!(search(arguments), Ok(Action::Search(narrow)));
    let edit = r#"{"path":"a","old":"x","new":"y"}"#;
    let replace = Action::Replace(Replacement::new("a", "x", "y", false).unwrap());
    assert_eq!(outcome(call("c", "edit", edit, false)), Ok(replace));
    check_told(call("c", "read", "{}", false), "`path` must be a string");
    check_told(call("c", "search", r#"{"pattern":""}"#, false), "`pattern` is empty");
}

#[test]
fn a_tool_that_was_connected_is_called_by_its_name() {
    let mut terms = terms(AMPLE);
    terms.tools.push(Tool::Function { name: "mcp__docs__look".into(), description: "".into(), parameters: "{}".into() });
    let mut talk = Conversation::open(&brief(Mode::Fix), terms);
    talk.reply(reply(vec![call("c", "mcp__docs__look", r#"{"word":"x"}"#, false)]));
    let Next::Call(call) = talk.next() else { panic!("a call is due") };
    let Action::External { name, arguments } = call.action else { panic!("{:?}", call.action) };
    assert_eq!((name.as_str(), arguments["word"].as_str()), ("mcp__docs__look", Some("x")));
    check_told(self::call("c", "mcp__docs__look", "{}", false), "unsupported call: mcp__docs__look");
}

#[test]
fn where_nothing_may_be_changed_no_edit_is_understood() {
    for item in [
        call("c", "apply_patch", PATCH, true),
        call("c", "edit", r#"{"path":"a","old":"x","new":"y"}"#, false),
        shell(&format!("apply_patch <<'EOF'\n{PATCH}\nEOF")),
    ] {
        let mut talk =
            Conversation::open(&brief(Mode::Ask), Terms { mode: Mode::Ask, tools: on_offer(Mode::Ask), ..terms(AMPLE) });
        talk.reply(reply(vec![item]));
        match talk.next() {
            // The shell itself runs, in a tree that the sandbox keeps as it is.
            Next::Call(ToolCall { action: Action::Shell { .. }, .. }) => {}
            Next::Ask { .. } => {
                assert!(matches!(talk.items().last(), Some(Item::Result { output, .. }) if output.contains("unsupported")))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_review_ends_with_findings() {
    let finding = serde_json::json!({ "title": "t".repeat(90), "body": "b", "priority": 1, "confidence": 0.756, "path": "./a.rs", "line": 3, "last_line": 2 });
    let closing = |findings: serde_json::Value| {
        let mut talk = open(AMPLE);
        talk.reply(reply(vec![call(
            "c",
            "done",
            &serde_json::json!({ "summary": "s", "findings": findings }).to_string(),
            false,
        )]));
        match (talk.next(), talk.items().last()) {
            (Next::Check(closing), _) => Ok(closing.findings),
            (_, Some(Item::Result { output, .. })) => Err(output.clone()),
            other => panic!("{other:?}"),
        }
    };
    let expected = Finding {
        title: "t".repeat(80),
        body: "b".into(),
        priority: 1,
        confidence_percent: 76,
        path: "a.rs".into(),
        first_line: 3,
        last_line: 3,
        suggestion: None,
    };
    assert_eq!(closing(serde_json::json!([finding])), Ok(vec![expected.clone()]));
    for (suggestion, is_taken) in [("    it = 0", true), ("", true), (&"x".repeat(4_001), false)] {
        let mut suggests = finding.clone();
        suggests["suggestion"] = suggestion.into();
        let expected = Finding { suggestion: is_taken.then(|| suggestion.to_owned()), ..expected.clone() };
        assert_eq!(closing(serde_json::json!([suggests])), Ok(vec![expected]), "{suggestion}");
    }
    let mut wrong = finding;
    wrong["priority"] = 4.into();
    let told = closing(serde_json::json!([wrong])).expect_err("no finding");
    assert!(told.contains("finding 1: ") && told.contains("`priority` must be 0, 1, 2 or 3"), "{told}");
}

#[test]
fn wrong_arguments_go_back_to_the_model() {
    check_told(call("c", "shell", "{\"command\": \"l", false), "failed to parse function arguments: EOF");
    check_told(call("c", "shell", "[]", false), "no JSON object");
    check_told(call("c", "shell", "{}", false), "`command` must be a string");
    check_told(call("c", "shell", r#"{"command":" "}"#, false), "`command` is empty");
    check_told(call("c", "shell", r#"{"command":"x","timeout_ms":-1}"#, false), "`timeout_ms` must be an integer");
    check_told(call("c", "browse\u{7}", "{}", false), "unsupported call: browse\\u{7}");
    check_told(call("c", "apply_patch", "nonsense", true), "apply_patch failed, nothing was changed: invalid patch, line 1");
    check_told(call("c", "apply_patch", r#"{"patsch":1}"#, false), "`input` must be a string");
    check_told(call("c", "apply_patch", "*** Begin Patch\n*** Delete File: ../x\n*** End Patch", true), "leaves the tree");
}

#[test]
fn a_patch_is_understood_in_every_form() {
    check_patch(call("c", "apply_patch", PATCH, true), "a");
    check_patch(call("c", "apply_patch", PATCH, false), "a");
    check_patch(call("c", "apply_patch", &serde_json::json!({ "input": PATCH }).to_string(), false), "a");
    check_patch(shell(&format!("apply_patch <<'EOF'\n{PATCH}\nEOF")), "a");
    check_patch(shell(&format!("\napply_patch << \"PATCH\"\n{PATCH}\nPATCH\n")), "a");
    check_patch(shell(&format!("cd sub/dir && apply_patch <<EOF\n{PATCH}\nEOF\n")), "sub/dir/a");
    check_patch(shell(&format!("cd 'sub dir' && apply_patch <<EOF\n{PATCH}\nEOF\n")), "sub dir/a");
    check_patch(call("c", "shell", &serde_json::json!({ "command": ["apply_patch", PATCH] }).to_string(), false), "a");
    let arguments = serde_json::json!({ "command": format!("apply_patch <<'EOF'\n{PATCH}\nEOF"), "workdir": "w" });
    check_patch(call("c", "shell", &arguments.to_string(), false), "w/a");
    check_told(shell(&format!("cd /abs && apply_patch <<EOF\n{PATCH}\nEOF")), "absolute");
    check_told(shell(&format!("cd .. && apply_patch <<EOF\n{PATCH}\nEOF")), "leaves the tree");
}

#[test]
fn a_script_that_does_more_than_patch_stays_a_script() {
    for script in [
        format!("apply_patch <<'EOF'\n{PATCH}\nEOF\nmake"),
        format!("apply_patch <<'EOF' && make\n{PATCH}\nEOF"),
        format!("cd $DIR && apply_patch <<'EOF'\n{PATCH}\nEOF"),
        format!("apply_patch <<'EOF'\n{PATCH}\nEOF\nrm x\nEOF"),
        "apply_patch --help".to_owned(),
    ] {
        assert!(matches!(outcome(shell(&script)), Ok(Action::Shell { .. })), "{script}");
    }
}
