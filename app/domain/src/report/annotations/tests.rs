use super::{MESSAGE_CHARS_MAX, annotations};
use crate::effect::{Annotation, Level};
use crate::proof::findings::{Finding, Gate};
use crate::proof::{Account, Doubt, Verdict};
use crate::sample;

fn found(gate: Gate, line: Option<u32>, told: &str) -> Finding {
    Finding { gate, path: "src/a b.py".into(), line, told: told.into() }
}

fn of(findings: Vec<Finding>) -> Vec<Annotation> {
    let account = Some(Box::new(Account { findings, ..Account::default() }));
    annotations(&Verdict::Unproven { doubt: Doubt::Suspect, base: None, head: None, account })
}

#[test]
fn a_finding_stands_where_it_was_found() {
    let line = found(Gate::EndsTheProcess, Some(7), "os._exit(0)");
    let said = of(vec![line, found(Gate::TestDeleted, None, "deleted")]);
    let told = Annotation {
        path: "src/a b.py".into(),
        start_line: 7,
        end_line: 7,
        level: Level::Warning,
        title: "The code ends its process, and with it the tests'.".into(),
        message: "os._exit(0)".into(),
    };
    assert_eq!(said[0], told);
    assert_eq!((said[1].start_line, said[1].end_line), (1, 1), "what is about a whole file stands at its first line");
    assert_eq!(said[1].title, "An existing test is deleted.");
}

#[test]
fn what_is_about_the_tests_as_a_whole_stands_beside_no_line() {
    let whole = Finding { path: String::new(), ..found(Gate::TestWeakened, None, "two is not run any more") };
    assert_eq!(of(vec![whole, found(Gate::TestDeleted, None, "deleted")]).len(), 1);
}

#[test]
fn a_verdict_without_findings_says_nothing_beside_a_line() {
    assert!(of(Vec::new()).is_empty() && annotations(&sample::proven()).is_empty());
}

#[test]
fn an_annotation_is_one_line_that_github_takes_whatever_the_patch_says() {
    let hostile = "x\u{202e}\u{200b} \u{1b}[31m\r\n@everyone <img src=x> ";
    for told in [hostile.to_owned(), hostile.repeat(1_000), String::new(), "\u{200b}".into()] {
        let said = of(vec![found(Gate::TestSkipped, Some(0), &told)]);
        let Annotation { start_line, message, .. } = &said[0];
        assert!(*start_line == 1 && !message.is_empty() && message.chars().count() <= MESSAGE_CHARS_MAX, "{message:?}");
        assert!(!message.contains(['\n', '\u{202e}', '\u{200b}', '\u{1b}']), "{message:?}");
    }
}
