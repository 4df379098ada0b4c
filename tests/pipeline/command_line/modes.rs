//! The modes that change nothing, and attempts, on a local checkout.

use patchwright::model::scripted::Step;
use serde_json::{Value, json};

use super::Checkout;
use crate::support::pipeline::FIX;

fn done(arguments: &Value) -> Step {
    Step::Call { name: "done".into(), arguments: arguments.to_string() }
}

/// Tries to write in every way it knows, and then ends with this.
fn writes_and(end: Step) -> Vec<Step> {
    vec![
        Step::Shell("echo changed > mean.sh; rm -rf tests; chmod +w . && touch new; mount -o remount,rw /workspace".into()),
        Step::ApplyPatch(FIX.into()),
        Step::Call { name: "edit".into(), arguments: json!({ "path": "new", "new": "x" }).to_string() },
        end,
    ]
}

#[tokio::test]
async fn a_question_is_answered_and_nothing_can_be_changed() {
    let answer = json!({ "summary": "It divides by one too few: `mean.sh:4`.", "outcome": "done" });
    let checkout = Checkout::with_model(writes_and(done(&answer))).await;
    let ended = checkout.run(&["--mode", "ask", "--task", "Why is the mean wrong?"]).await;
    let told = ended.json();
    assert_eq!((ended.code, &told["outcome"]), (Some(0), &"answered".into()), "{}{}", ended.out, ended.err);
    assert_eq!(told["answer"], "It divides by one too few: `mean.sh:4`.");
    assert_eq!(told["branch"], Value::Null);
    let requests = checkout.model.requests();
    let tools: Vec<&str> =
        requests[0].body["tools"].as_array().expect("a list").iter().filter_map(|t| t["name"].as_str()).collect();
    assert_eq!(tools, ["shell", "read", "search", "plan", "done"]);
    let last = requests.last().expect("it was asked").body.to_string();
    assert!(last.contains("Read-only file system") && last.contains("unsupported call: apply_patch"), "{last}");
    assert!(last.contains("unsupported call: edit"), "{last}");
}

#[tokio::test]
async fn a_place_that_does_not_exist_is_told_back_and_at_last_said() {
    let answer = json!({ "summary": "See mean.sh:400 and tests/run.sh:1.", "outcome": "done" });
    let checkout = Checkout::with_model(vec![done(&answer); 4]).await;
    let told = checkout.run(&["--mode", "ask", "--task", "Where is it?"]).await.json();
    let requests = checkout.model.requests();
    assert!(requests[1].body.to_string().contains("These places do not exist: mean.sh:400."), "{}", requests[1].body);
    assert_eq!(
        told["answer"],
        "See mean.sh:400 and tests/run.sh:1.\n\n(The harness looked these places up, and they do not exist: `mean.sh:400`.)"
    );
}

#[tokio::test]
async fn a_review_has_its_findings_in_parts() {
    let finding = json!({ "title": "Divides by one too few", "body": "The mean is too large.", "priority": 0, "confidence": 0.9,
        "path": "mean.sh", "line": 4, "last_line": 4 });
    let review = json!({ "summary": "Not correct.", "findings": [finding] });
    let checkout = Checkout::with_model(vec![done(&review)]).await;
    let told = checkout.run(&["--mode", "review", "--task", "mean.sh"]).await.json();
    assert_eq!(told["outcome"], "answered");
    let expected = json!([{ "title": "Divides by one too few", "body": "The mean is too large.", "priority": 0,
        "confidence_percent": 90, "path": "mean.sh", "first_line": 4, "last_line": 4 }]);
    assert_eq!(told["findings"], expected);
    insta::assert_snapshot!(told["answer"].as_str().expect("text"), @r"
    Not correct.

    ### P0: Divides by one too few

    `mean.sh:4` (90 % sure)

    The mean is too large.
    ");
}

#[tokio::test]
async fn a_plan_is_told_and_a_question_of_the_agent_too() {
    let plan = json!({ "summary": "1. Divide by `$#` in mean.sh:4.", "outcome": "done" });
    let checkout = Checkout::with_model(vec![done(&plan)]).await;
    let told = checkout.run(&["--mode", "plan", "--task", "Mend the mean"]).await.json();
    assert_eq!((&told["outcome"], &told["answer"]), (&"answered".into(), &plan["summary"]));

    let question = json!({ "summary": "Which mean: arithmetic or geometric?", "outcome": "needs_input" });
    let checkout = Checkout::with_model(vec![done(&question)]).await;
    let ended = checkout.run(&["--task", "Mend the mean"]).await;
    let told = ended.json();
    assert_eq!((ended.code, &told["outcome"], &told["answer"]), (Some(1), &"needs_input".into(), &question["summary"]));
}
