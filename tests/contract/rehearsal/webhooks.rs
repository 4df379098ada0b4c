//! Webhooks arrive signed, in order, and in GitHub's shapes.

use std::{collections::BTreeMap, io::Read};

use jsonschema::Validator;
use patchwright::rehearsal::{Order, hook::signature, review::Remark};
use serde_json::{Value, json};

use crate::support::{
    github::{Arrival, Receiver, Stage},
    openapi::compile,
};

fn unzipped(bytes: &[u8]) -> Value {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).expect("the fixture is gzip");
    serde_json::from_str(&text).expect("the fixture is JSON")
}

/// Takes out what GitHub sends nowadays and the closed schemas of its webhooks do not know yet.
fn without_later_fields(value: Value) -> Value {
    let is_known = |name: &String| !matches!(name.as_str(), "user_view_type" | "client_id");
    match value {
        Value::Array(items) => items.into_iter().map(without_later_fields).collect(),
        Value::Object(fields) => {
            let known = fields.into_iter().filter(|(name, _)| is_known(name));
            Value::Object(known.map(|(name, item)| (name, without_later_fields(item))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[tokio::test]
async fn what_happens_is_told_in_githubs_words() {
    let stage = Stage::set().await;
    let receiver = Receiver::listen().await;
    let github = &stage.github;
    github.send_webhooks_to(&receiver.url);
    let token = stage.token(Value::Null).await;
    github.create_repository("else", "where", &[("a", b"a", false)]).await.expect("the names are fine");
    github.create_repository("octo", "other", &[("a", b"a", false)]).await.expect("the names are fine");
    let number = github.open_issue(stage.repo, "ada", "It does not fly", "At all.").expect("the repository is there");
    github.label(stage.repo, number, "ada", "bug").expect("the issue is there");
    github.unlabel(stage.repo, number, "ada", "bug").expect("the issue is there");
    let comment = github.comment(stage.repo, number, "ada", "@codex fix this").expect("the issue is there");
    github.edit_comment(stage.repo, comment, "ada", "never mind").expect("the comment is there");
    github.delete_comment(stage.repo, comment, "ada").expect("the comment is there");
    let path = format!("/repos/octo/rocket/issues/{number}/comments");
    assert_eq!(stage.post(&path, &token, json!({"body": "I shall"})).await.status, 201);
    github.close_issue(stage.repo, number, "ada").expect("the issue is there");
    for text in [b"1" as &[u8], b"2"] {
        github.push_commit(stage.repo, "fix", "ada", &[("n", text, false)], "Count").await.expect("git takes the files");
        if text == b"1" {
            github.open_pull_request(stage.repo, "ada", "Count", "fix", "main").await.expect("the branches are there");
        }
    }
    let pull = number + 1;
    let remarks = [Remark { path: "n", start_line: None, line: 1, text: "Why two?" }];
    let review = github.review(stage.repo, pull, "ada", "changes_requested", ("Not yet.", &remarks)).expect("it shows the line");
    let nowhere = [Remark { path: "n", start_line: None, line: 7, text: "" }];
    github.review(stage.repo, pull, "ada", "commented", ("", &nowhere)).expect_err("it shows no such line");
    github.edit_review(stage.repo, review, "ada", "Well.").expect("the review is there");
    let comment = github.review_comments(stage.repo, pull)[0].id;
    github.edit_review_comment(stage.repo, comment, "ada", "I see.").expect("the comment is there");
    github.assign(stage.repo, number, "ada", "codex").expect("the issue is there");
    github.label(stage.repo, pull, "ada", "bug").expect("the pull request is there");
    github.assign(stage.repo, pull, "ada", "codex").expect("the pull request is there");
    github.request_review(stage.repo, pull, "ada", "codex").expect("the pull request is there");
    github.request_review(stage.repo, number, "ada", "codex").expect_err("an issue is not reviewed");
    github.dispatch(stage.repo, "ada", "patchwright", json!({"issue": number, "command": "fix"})).expect("it is there");
    github.start_workflow(stage.repo, "ada", "ask.yml", json!({"patchwright": "fix", "issue": "1"})).expect("it is there");
    github.start_workflow(stage.repo, "ada", "ask.yml", Value::Null).expect("it is there");
    github.report_check(stage.repo, "fix", "tests", "failure", "1 failed").expect("the branch is there");
    github.suspend("else").expect("the App is installed");
    github.uninstall("else").expect("the App is installed");
    github.settle().await;
    let names: Vec<String> = receiver.arrivals().iter().map(Arrival::name).collect();
    assert_eq!(
        names,
        [
            "installation$created",
            "installation_repositories$added",
            "issues$opened",
            "issues$labeled",
            "issues$unlabeled",
            "issue_comment$created",
            "issue_comment$edited",
            "issue_comment$deleted",
            "issue_comment$created",
            "issues$closed",
            "push$event",
            "pull_request$opened",
            "push$event",
            "pull_request$synchronize",
            "pull_request_review$submitted",
            "pull_request_review_comment$created",
            "pull_request_review$edited",
            "pull_request_review_comment$edited",
            "issues$assigned",
            "pull_request$labeled",
            "pull_request$assigned",
            "pull_request$review_requested",
            "repository_dispatch$patchwright",
            "workflow_dispatch$event",
            "workflow_dispatch$event",
            "check_run$created",
            "check_run$completed",
            "installation$suspend",
            "installation$deleted",
        ]
    );
    let definitions = unzipped(include_bytes!("../../fixtures/webhooks/schema.json.gz"))["definitions"].take();
    let mut compiled: BTreeMap<String, Validator> = BTreeMap::new();
    let mut violations = Vec::new();
    for arrival in receiver.arrivals() {
        // Of these the action is any word that the sender chooses.
        let is_dispatch = arrival.name().starts_with("repository_dispatch$");
        let name = if is_dispatch { "repository_dispatch$event".into() } else { arrival.name() };
        let reference = json!({"$ref": format!("#/definitions/{name}")});
        let validator = compiled.entry(name.clone()).or_insert_with(|| compile(&reference, &definitions));
        let payload = without_later_fields(arrival.payload());
        violations.extend(validator.iter_errors(&payload).map(|error| format!("{name}: {error} at {}", error.instance_path())));
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    stage.github.stop().await;
}

#[tokio::test]
async fn a_webhook_is_signed_logged_and_can_be_sent_again() {
    let stage = Stage::set().await;
    let receiver = Receiver::listen().await;
    stage.github.send_webhooks_to(&receiver.url);
    stage.github.open_issue(stage.repo, "ada", "It does not fly", "").expect("the repository is there");
    stage.github.settle().await;
    let delivery = stage.github.deliveries().remove(0);
    assert_eq!((delivery.status, delivery.n_attempts, delivery.event), (Some(202), 1, "issues"));
    stage.github.redeliver(&delivery.guid).expect("it was delivered before");
    stage.github.settle().await;
    let arrivals = receiver.arrivals();
    assert_eq!(arrivals.len(), 2);
    for arrival in &arrivals {
        assert_eq!(arrival.headers["x-github-delivery"], delivery.guid);
        assert_eq!(arrival.headers["x-hub-signature-256"], signature(b"a secret for rehearsals", &arrival.body));
        assert!(arrival.headers["user-agent"].starts_with("GitHub-Hookshot/"));
        assert!(arrival.headers.contains_key("x-github-hook-id"));
        let payload = arrival.payload();
        assert_eq!(payload["sender"]["login"], "ada");
        assert!(payload["installation"]["id"].is_u64() && payload["repository"]["id"] == stage.repo.0);
    }
    stage.github.stop().await;
}

#[tokio::test]
async fn webhooks_can_be_reordered_and_lost() {
    let stage = Stage::set().await;
    let receiver = Receiver::listen().await;
    stage.github.send_webhooks_to(&receiver.url);
    let act = || {
        stage.github.hold_webhooks();
        let number = stage.github.open_issue(stage.repo, "ada", "It does not fly", "").expect("the repository is there");
        stage.github.comment(stage.repo, number, "ada", "@codex fix this").expect("the issue is there");
    };
    act();
    stage.github.release_webhooks(Order::Reversed);
    act();
    stage.github.lose_webhooks();
    stage.github.settle().await;
    let names: Vec<String> = receiver.arrivals().iter().map(Arrival::name).collect();
    assert_eq!(names, ["issue_comment$created", "issues$opened"]);
    let lost = stage.github.deliveries().pop().expect("four webhooks are in the log");
    assert_eq!((lost.status, lost.event), (None, "issue_comment"));
    stage.github.redeliver(&lost.guid).expect("it is in the log");
    stage.github.settle().await;
    assert_eq!(receiver.arrivals().len(), 3);
    stage.github.stop().await;
}

#[tokio::test]
async fn the_app_hears_its_own_voice() {
    let stage = Stage::set().await;
    let receiver = Receiver::listen().await;
    stage.github.send_webhooks_to(&receiver.url);
    let number = stage.github.open_issue(stage.repo, "ada", "It does not fly", "").expect("the repository is there");
    let token = stage.token(Value::Null).await;
    stage.post(&format!("/repos/octo/rocket/issues/{number}/comments"), &token, json!({"body": "@codex fix this"})).await;
    stage.github.settle().await;
    let payload = receiver.arrivals().last().expect("two webhooks came").payload();
    assert_eq!((&payload["sender"]["type"], &payload["sender"]["login"]), (&json!("Bot"), &json!("patchwright[bot]")));
    assert_eq!(payload["comment"]["performed_via_github_app"]["slug"], "patchwright");
    stage.github.stop().await;
}

#[test]
fn the_published_examples_are_all_there() {
    let examples = unzipped(include_bytes!("../../fixtures/webhooks/examples.json.gz"));
    let events = examples.as_array().expect("the fixture is a list");
    let n: usize = events.iter().filter_map(|event| event["examples"].as_array()).map(Vec::len).sum();
    assert_eq!((events.len(), n), (58, 329));
}
