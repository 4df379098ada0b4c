//! `patchwright policy check`: what is said of a file, where, and with which exit code.

use std::path::Path;

use serde_json::Value;

use super::{Ended, folder, patchwright};

async fn check(folder: &Path, text: &str, more: &[&str]) -> Ended {
    std::fs::write(folder.join("p.yml"), text).expect("there is room");
    patchwright(folder, &[&["policy", "check", "p.yml"], more].concat(), &[]).await
}

#[tokio::test]
async fn a_good_file_is_printed_as_it_counts_and_is_one_itself() {
    let folder = folder();
    let text = "triggers: {roles: {ask: triage}}\ncommands:\n  test: |\n    make a\n    make b\npaths: {protected: ['*.sql']}\n";
    let ended = check(folder.path(), text, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    insta::assert_snapshot!(ended.out.trim_end(), @r#"
    # p.yml is good, and comes to this:
    attempts: 1
    commands:
      test: "make a\nmake b\n"
    limits: {}
    paths:
      protected: ["*.sql"]
    pull_requests:
      draft: "always"
    sandbox:
      isolation: "none"
    triggers:
      checks: "off"
      label: "codex"
      minimum_role: "write"
      repairs: false
      reviews: true
      roles:
        ask: "triage"
      second_person: false
      sources: ["description","comment","review","label","assignment","review_request","dispatch"]
    "#);
    let again = check(folder.path(), &ended.out, &[]).await;
    assert_eq!((again.code, again.out), (Some(0), ended.out), "what is printed is a policy file that says the same");
    let ended = check(folder.path(), text, &["--json"]).await;
    let told: Value = serde_json::from_str(&ended.out).expect("it is one object");
    assert_eq!((ended.code, &told["is_good"], &told["line"]), (Some(0), &Value::Bool(true), &Value::Null));
    assert_eq!(told["policy"]["triggers"]["roles"]["ask"], "triage");
}

#[tokio::test]
async fn a_mistake_is_named_with_its_place_its_line_and_what_was_meant() {
    let folder = folder();
    let text = "commands:\n  setup: npm ci\n  tset: npm test\n";
    let ended = check(folder.path(), text, &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    insta::assert_snapshot!(ended.out.trim_end(), @r#"
    p.yml:3:3: there is no key `tset` here
        tset: npm test
        ^
    hint: did you mean `test`?
    "#);
    let ended = check(folder.path(), text, &["--json"]).await;
    assert_eq!(ended.code, Some(1));
    insta::assert_snapshot!(ended.out.trim_end(), @r#"{"column":3,"file":"p.yml","hint":"did you mean `test`?","is_good":false,"line":3,"policy":null,"problem":"there is no key `tset` here"}"#);
}

#[tokio::test]
async fn what_stands_in_a_file_does_nothing_to_the_terminal() {
    let folder = folder();
    for text in ["\"\\u001b[2J\\u202e\": 1\n", "\u{1b}]0;x\u{7}: 1\n", "triggers: {label: \"\\u001b[31m\"}\n"] {
        let ended = check(folder.path(), text, &[]).await;
        assert_eq!(ended.code, Some(1), "{text:?}");
        assert!(!ended.out.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", ended.out);
    }
}

#[tokio::test]
async fn what_a_file_is_called_does_nothing_to_the_terminal() {
    let folder = folder();
    let name = "a\u{1b}[31m\n::error::\u{202e}b.yml";
    let by_name = async |text: Option<&str>| {
        let file = folder.path().join(name);
        match text {
            Some(text) => std::fs::write(&file, text).expect("there is room"),
            None => std::fs::remove_file(&file).expect("it was written"),
        }
        patchwright(folder.path(), &["policy", "check", name], &[]).await
    };
    for (text, code) in [(Some("attempts: 0\n"), 1), (Some("attempts: 2\n"), 0), (None, 2)] {
        let ended = by_name(text).await;
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        let told = format!("{}{}", ended.out, ended.err);
        assert!(told.contains("a\\u{1b}[31m\\u{a}::error::\\u{202e}b.yml"), "{told:?}");
        assert!(!told.contains(['\u{1b}', '\u{202e}']) && !told.contains("\n::error"), "{told:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_no_bad_file() {
    let folder = folder();
    for arguments in [["policy", "check", "none.yml"].as_slice(), &["policy", "check"], &["policy"]] {
        let ended = patchwright(folder.path(), arguments, &[]).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{}", ended.err);
    }
    let ended = check(folder.path(), &"x".repeat(10 << 20), &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("larger than 65536 bytes"), "{}", ended.out);
}

#[test]
fn a_file_may_come_by_standard_input() {
    let folder = folder();
    std::fs::write(folder.path().join("p.yml"), "attempts: 0\n").expect("there is room");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_patchwright"));
    command.args(["policy", "check", "-"]).env_clear();
    let file = std::fs::File::open(folder.path().join("p.yml")).expect("it was written");
    let output = command.stdin(file).output().expect("the program starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with("<stdin>:1:1: "), "{told}");
}
