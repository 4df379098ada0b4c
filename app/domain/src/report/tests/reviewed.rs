//! What is told of reviews.

use super::hostile::{HOSTILE, check_harmless};
use super::*;
use crate::effect::{Effect, Remark};
use crate::report::reviewed::effects;
use crate::review::{Hunk, Reviewed};
use crate::turn::{Closing, Finding};

fn finding(title: &str, path: &str, lines: (u32, u32), suggestion: Option<&str>) -> Finding {
    Finding {
        title: title.into(),
        body: "It is *one* too few where there is no number.".into(),
        priority: 1,
        confidence_percent: 80,
        path: path.into(),
        first_line: lines.0,
        last_line: lines.1,
        suggestion: suggestion.map(str::to_owned),
    }
}

fn reviewed(text: &str, findings: Vec<Finding>) -> Reviewed {
    let hunks = vec![Hunk { path: "src/lib.rs".into(), first_line: 10, last_line: 20 }];
    Reviewed { closing: Closing { text: text.into(), findings, ..Closing::default() }, hunks }
}

/// The review, what it says beside lines, the same without, and the comment.
fn told(reviewed: &Reviewed) -> (String, Vec<Remark>, String, String) {
    let mut tale = Tale::of(proven());
    let (head, request) = (sample::commit('b'), None);
    tale.spec.task =
        Task::WorkOnPull { pull_request: IssueNumber(12), head, branch: None, is_own: false, request, mode: Mode::Review };
    let cause = "The agent has reviewed the pull request; no file was changed.";
    tale.conclusion = Conclusion::new(Outcome::Answered, cause, "Read the review; what it finds is the model's opinion.");
    let mut planned = effects(&tale.story(), reviewed);
    let Some(Effect::EnsureComment { body: comment, .. }) = planned.pop() else { panic!("a comment, not {planned:?}") };
    let Some(Effect::EnsureReview { body, remarks, body_alone, .. }) = planned.pop() else { panic!("a review, not {planned:?}") };
    assert!(planned.is_empty(), "{planned:?}");
    (body, remarks, body_alone, comment)
}

#[test]
fn a_review_says_what_it_found_beside_the_lines_and_the_rest_in_its_text() {
    let beside = finding("The sum leaves out the last", "src/lib.rs", (12, 13), Some("    total += n;\n"));
    let elsewhere = Finding { priority: 0, ..finding("Nobody calls it", "src/main.rs", (3, 3), Some("x")) };
    let (body, remarks, body_alone, comment) = told(&reviewed("It *mostly* holds.", vec![beside, elsewhere]));
    insta::assert_snapshot!(body, @r"
    **2 findings** in `bbbbbbbbbb`: 1 beside its lines, and here the others.

    > It *mostly* holds.

    **P0:** Nobody calls it

    It is *one* too few where there is no number.

    `src/main.rs:3` 80 % sure, says the model.

    <sub>For `octocat`, who asked. This is the opinion of `gpt-large`, which nobody has checked: no test was run on it by the harness. Job 42832cb716e3f588.</sub>
    ");
    let [Remark { path, first_line: 12, last_line: 13, body }] = &remarks[..] else { panic!("one remark, not {remarks:?}") };
    assert_eq!(path, "src/lib.rs");
    insta::assert_snapshot!(body, @r"
    **P1:** The sum leaves out the last

    It is *one* too few where there is no number.

    ```suggestion
        total += n;
    ```

    <sub>80 % sure, says the model.</sub>
    ");
    insta::assert_snapshot!(body_alone, @r"
    **2 findings** in `bbbbbbbbbb`:

    > It *mostly* holds.

    **P0:** Nobody calls it

    It is *one* too few where there is no number.

    `src/main.rs:3` 80 % sure, says the model.

    **P1:** The sum leaves out the last

    It is *one* too few where there is no number.

    `src/lib.rs:12-13` 80 % sure, says the model.

    <sub>For `octocat`, who asked. This is the opinion of `gpt-large`, which nobody has checked: no test was run on it by the harness. Job 42832cb716e3f588.</sub>
    ");
    insta::assert_snapshot!(comment, @r"
    **Answered.** The agent has reviewed the pull request; no file was changed.

    Review: <!-- review -->

    - P0: `src/main.rs:3` Nobody calls it
    - P1: `src/lib.rs:12-13` The sum leaves out the last

    Next step: Read the review; what it finds is the model's opinion.

    <sub>7 of 50 model calls of `gpt-large`; 12000 tokens in (9000 cached), 800 out; no prices are configured, so the cost is not known. Job 42832cb716e3f588.</sub>
    ");
}

#[test]
fn a_review_that_finds_nothing_says_so() {
    let (body, remarks, _, comment) = told(&reviewed("All is well.", Vec::new()));
    assert!(body.starts_with("Nothing was found in `bbbbbbbbbb`.\n\n> All is well."), "{body}");
    assert!(remarks.is_empty() && comment.contains("\nThe model found nothing.\n"), "{comment}");
}

/// What GitHub offers to commit is what people see, and all of the lines that it stands for are shown.
#[test]
fn lines_are_suggested_as_they_are_or_not_at_all() {
    let suggested = |lines: (u32, u32), suggestion: &str| {
        let (_, remarks, ..) = told(&reviewed("", vec![finding("x", "src/lib.rs", lines, Some(suggestion))]));
        let (_, below) = remarks[0].body.split_once("```suggestion\n")?;
        Some(below.split_once("\n```").expect("it ends").0.to_owned())
    };
    assert_eq!(suggested((12, 12), "    total += n;\r\n    done();\n").as_deref(), Some("    total += n;\n    done();"));
    assert_eq!(suggested((12, 12), "").as_deref(), Some(""), "the line is to go");
    assert_eq!(suggested((9, 12), "x"), None, "the difference does not show the ninth line");
    assert_eq!(suggested((12, 12), "if admin \u{202e}{ return; }"), None, "nobody sees what it turns around");
    assert_eq!(suggested((12, 12), &"`".repeat(50)), None, "no block is that long");
    assert_eq!(suggested((12, 12), "<!-- patchwright:42832cb716e3f588/review -->"), None, "that is our own mark");
    let quoted = told(&reviewed("", vec![finding("x", "src/lib.rs", (12, 12), Some("```\nx\n```"))])).1.remove(0).body;
    assert!(quoted.contains("````suggestion\n```\nx\n```\n````"), "{quoted}");
}

#[test]
fn what_a_model_finds_does_nothing() {
    let hostile = Finding { body: HOSTILE.into(), ..finding(HOSTILE, "src/lib.rs", (12, 12), Some(HOSTILE)) };
    let elsewhere = Finding { path: HOSTILE.into(), ..hostile.clone() };
    let (body, remarks, body_alone, comment) = told(&reviewed(HOSTILE, vec![hostile, elsewhere]));
    [body, body_alone, comment, remarks[0].body.clone()].iter().for_each(|text| check_harmless(text));
    assert!(!format!("{remarks:?}").contains("<!-- patchwright:"), "no mark but our own is in it");
}
