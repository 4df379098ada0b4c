use super::{
    Action, CALLS_PER_REPLY_MAX, Conversation, EMPTY_REPLIES_MAX, Item, Next, OUTPUT_TOKENS_MAX, Prices, REPEATS_MAX,
    REPEATS_TOLD, RESULTS_KEPT, TokenUsage, output,
};
use crate::brief::Brief;
use crate::job::Allowance;
use crate::proof::Exit;

const AMPLE: Allowance = Allowance { turns: 50, tokens: 1_000_000, cost_microusd: 1_000_000, wall_clock_ms: 60_000 };
const FREE: TokenUsage = TokenUsage { input: 10, cached: 0, output: 5 };
const PATCH: &str = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch";

fn open(allowance: Allowance) -> Conversation {
    let brief = Brief { instructions: "work".into(), task: "fix it".into(), cache_key: "key".into() };
    Conversation::open(&brief, allowance, Prices::default())
}

fn call(call_id: &str, name: &str, arguments: &str, freeform: bool) -> Item {
    Item::Call { call_id: call_id.into(), name: name.into(), arguments: arguments.into(), freeform }
}

fn shell(command: &str) -> Item {
    call("c", "shell", &serde_json::json!({ "command": command }).to_string(), false)
}

fn said(text: &str) -> Item {
    Item::Assistant { text: text.into() }
}

/// The action that one call leads to, or what the model is told instead.
fn outcome(item: Item) -> Result<Action, String> {
    let mut talk = open(AMPLE);
    talk.reply(vec![item], &FREE);
    match (talk.next(), talk.items().last()) {
        (Next::Call(call), _) => Ok(call.action),
        (_, Some(Item::Result { output, .. })) => Err(output.clone()),
        other => panic!("neither a call nor an answer: {other:?}"),
    }
}

#[track_caller]
fn check_patch(item: Item, path: &str) {
    match outcome(item) {
        Ok(Action::Patch(patch)) => assert_eq!(patch.paths().into_iter().collect::<Vec<_>>(), [path]),
        other => panic!("no patch: {other:?}"),
    }
}

#[track_caller]
fn check_told(item: Item, expected: &str) {
    let told = outcome(item).expect_err("no action");
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_conversation_asks_calls_and_finishes() {
    let mut talk = open(AMPLE);
    assert_eq!(talk.next(), Next::Ask { output_tokens_max: OUTPUT_TOKENS_MAX });
    talk.reply(vec![said("I look."), shell("ls")], &FREE);
    let Next::Call(call) = talk.next() else { panic!("a call is due") };
    assert_eq!(call.action, Action::Shell { script: "ls".into(), directory: String::new(), timeout_ms: None });
    talk.result("another", "ignored".into());
    talk.result(&call.call_id, "a.rs".into());
    assert_eq!(talk.items().last(), Some(&Item::Result { call_id: "c".into(), output: "a.rs".into(), freeform: false }));
    assert_eq!(talk.next(), Next::Ask { output_tokens_max: OUTPUT_TOKENS_MAX });
    talk.reply(vec![said("Done.")], &FREE);
    assert_eq!(talk.next(), Next::Finished { answer: "Done.".into() });
    assert_eq!((talk.usage().turns, talk.usage().tokens()), (2, 30));
}

#[test]
fn several_calls_of_one_reply_are_carried_out_in_order() {
    let mut talk = open(AMPLE);
    talk.reply(
        vec![
            call("1", "shell", r#"{"command":"a"}"#, false),
            call("2", "nope", "{}", false),
            call("3", "apply_patch", PATCH, true),
        ],
        &FREE,
    );
    for expected in ["1", "3"] {
        let Next::Call(call) = talk.next() else { panic!("a call is due") };
        assert_eq!(call.call_id, expected);
        talk.result(&call.call_id, "ok".into());
    }
    assert!(matches!(talk.next(), Next::Ask { .. }));
    let results = talk.items().iter().filter(|item| matches!(item, Item::Result { .. })).count();
    assert_eq!(results, 3);
    assert!(matches!(talk.items().last(), Some(Item::Result { freeform: true, .. })));
}

#[test]
fn more_calls_than_are_taken_get_an_answer() {
    let mut talk = open(AMPLE);
    talk.reply(
        (0..CALLS_PER_REPLY_MAX + 1).map(|n| call(&n.to_string(), "shell", &format!(r#"{{"command":"{n}"}}"#), false)).collect(),
        &FREE,
    );
    assert!(matches!(talk.items().last(), Some(Item::Result { output, .. }) if output.contains("not carried out")));
}

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

#[test]
fn empty_replies_are_nudged_and_then_end_it() {
    let mut talk = open(AMPLE);
    let thought = Item::Reasoning { summary: String::new(), opaque: String::new() };
    for _ in 1..EMPTY_REPLIES_MAX {
        talk.reply(vec![thought.clone(), said("  ")], &FREE);
        assert!(matches!(talk.items().last(), Some(Item::User { text }) if text.contains("neither a message nor a tool call")));
        assert!(matches!(talk.next(), Next::Ask { .. }));
    }
    talk.reply(Vec::new(), &FREE);
    assert!(matches!(talk.next(), Next::Stuck { reason } if reason.contains("empty replies")));
}

#[test]
fn the_same_call_over_and_over_is_told_and_then_ends_it() {
    let mut talk = open(AMPLE);
    for n in 1..REPEATS_MAX {
        talk.reply(vec![shell("ls")], &FREE);
        talk.result("c", "a".into());
        let Some(Item::Result { output, .. }) = talk.items().last() else { panic!("a result is due") };
        assert_eq!(output.contains("same call"), n >= REPEATS_TOLD, "{output}");
    }
    talk.reply(vec![shell("ls")], &FREE);
    assert!(matches!(talk.next(), Next::Stuck { reason } if reason.contains("same tool call")));
}

#[test]
fn another_call_in_between_is_no_repetition() {
    let mut talk = open(AMPLE);
    for n in 0..2 * REPEATS_MAX {
        talk.reply(vec![shell(if n % 2 == 0 { "edit" } else { "test" })], &FREE);
        talk.result("c", "a".into());
    }
    assert!(matches!(talk.next(), Next::Ask { .. }));
}

#[test]
fn every_limit_ends_it() {
    let prices = Prices { input: Some(2_000_000), cached: Some(500_000), output: Some(8_000_000) };
    let brief = Brief { instructions: String::new(), task: String::new(), cache_key: String::new() };
    for (allowance, expected) in [
        (Allowance { turns: 1, ..AMPLE }, "limit of model calls is reached"),
        (Allowance { tokens: 15, ..AMPLE }, "limit of tokens is reached"),
        (Allowance { cost_microusd: 60, ..AMPLE }, "limit of cost is reached"),
    ] {
        let mut talk = Conversation::open(&brief, allowance, prices);
        talk.reply(vec![shell("ls")], &FREE);
        talk.result("c", "a".into());
        assert_eq!(talk.next(), Next::Exhausted { limit: expected });
        assert_eq!(talk.usage().cost_microusd, 60);
    }
    assert_eq!(open(Allowance { tokens: 7, ..AMPLE }).next(), Next::Ask { output_tokens_max: 7 });
}

#[test]
fn cost_is_counted_by_kind_of_token_and_rounded_up() {
    let usage = TokenUsage { input: 1_000_000, cached: 400_000, output: 100_000 };
    let prices = Prices { input: Some(1_250_000), cached: Some(125_000), output: Some(10_000_000) };
    assert_eq!(prices.cost_microusd(&usage), 750_000 + 50_000 + 1_000_000);
    assert_eq!(Prices { cached: None, ..prices }.cost_microusd(&usage), 1_250_000 + 1_000_000);
    assert_eq!(Prices::default().cost_microusd(&usage), 0);
    assert_eq!(prices.cost_microusd(&TokenUsage { input: 1, cached: 9, output: 0 }), 1);
}

#[test]
fn old_results_can_be_dropped_once() {
    let mut talk = open(AMPLE);
    for n in 0..RESULTS_KEPT + 2 {
        talk.reply(vec![shell(&n.to_string())], &FREE);
        talk.result("c", "long ".repeat(100));
    }
    assert!(talk.shed());
    let dropped =
        talk.items().iter().filter(|item| matches!(item, Item::Result { output, .. } if output.contains("dropped"))).count();
    assert_eq!(dropped, 2);
    assert!(!talk.shed());
}

#[test]
fn output_is_shown_without_terminal_control() {
    let raw = b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07ok\x1b(B\r\n50%\r100%\n\x00\x08tab\tend \xff \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\";
    assert_eq!(output::plain(raw), "red ok\n50%\n100%\ntab\tend \u{fffd} link");
}

#[test]
fn long_output_keeps_its_head_and_tail() {
    let text = output::excerpt("abcdefghij".repeat(3_000).as_bytes(), 0, 100);
    assert_eq!(text, format!("{}\n[... 29900 bytes omitted ...]\n{}", "abcdefghij".repeat(5), "abcdefghij".repeat(5)));
    assert_eq!(output::excerpt(b"headtail", 7, 100), "head\n[... 7 bytes omitted ...]\ntail");
    assert_eq!(output::excerpt("ééé".as_bytes(), 0, 4), "é\n[... 2 bytes omitted ...]\né");
    assert_eq!(output::of_command(Exit::Code(1), 1_250, b"no\n", 0), "Exit code: 1\nWall time: 1.2 seconds\nOutput:\nno\n");
    assert!(output::of_command(Exit::TimedOut, 0, b"", 0).starts_with("Timed out"));
}
