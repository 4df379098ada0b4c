//! Annotations of a check run are there once each, however many there are and whatever answers are lost.

use patchwright::forge::ForgeError;
use patchwright::rehearsal::fault::Fault;
use patchwright_domain::effect::{Annotation, CheckName, Effect, Level};
use patchwright_domain::journal::{CommitId, Outcome};
use serde_json::{Value, json};

use super::{Scene, told};

const RUNS: &str = "/repos/octo/rocket/check-runs";
const RUN: &str = "/repos/octo/rocket/check-runs/*";
/// None, one, and around the fifty that GitHub takes at a time.
const COUNTS: [u32; 6] = [0, 1, 50, 51, 100, 101];

/// A check with that many annotations, each about another line.
fn check(commit: &CommitId, n: u32) -> Effect {
    let annotation = |line| Annotation {
        path: "src/lib.rs".into(),
        start_line: line,
        end_line: line,
        level: Level::Warning,
        title: "A test is told not to run.".into(),
        message: format!("line {line}"),
    };
    Effect::SetCheck {
        name: CheckName::Patch,
        commit: commit.clone(),
        outcome: Outcome::Unproven,
        title: "Unproven".into(),
        summary: "| red | red |".into(),
        text: None,
        annotations: (1..=n).map(annotation).collect(),
        buttons: Vec::new(),
    }
}

/// Performs the effect until GitHub has taken it, as workers do that come one after the other.
async fn perform(scene: &Scene, effect: &Effect) -> u32 {
    for n_tries in 1..=4 {
        match scene.perform(effect).await {
            Ok(_) => return n_tries,
            Err(ForgeError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it is never taken");
}

/// Performs the check twice among these faults, and looks what people see beside the lines.
async fn ends_with_each_once(n: u32, faults: impl IntoIterator<Item = Fault>) -> u32 {
    let scene = Scene::set().await;
    let commit = CommitId::parse(&scene.stage.github.branches(scene.stage.repo)["main"]).expect("forty digits");
    let effect = check(&commit, n);
    faults.into_iter().for_each(|fault| scene.stage.github.fault(fault));
    let n_tries = perform(&scene, &effect).await;
    perform(&scene, &effect).await;
    let runs = scene.stage.github.check_runs(scene.stage.repo);
    assert_eq!(runs.len(), 1);
    let lines: Vec<u64> = runs[0].annotations.iter().map(|said| said["start_line"].as_u64().expect("a line")).collect();
    assert_eq!(lines, (1..=u64::from(n)).collect::<Vec<_>>(), "of {n}");
    assert_eq!((runs[0].status.as_str(), runs[0].conclusion.as_deref()), ("completed", Some("neutral")));
    scene.end().await;
    n_tries
}

#[tokio::test]
async fn annotations_come_fifty_at_a_time_and_each_once() {
    for n in COUNTS {
        ends_with_each_once(n, []).await;
    }
}

#[tokio::test]
async fn annotations_whose_answer_was_lost_do_not_come_twice() {
    for n in COUNTS {
        let lost = || [Fault::lose_answer("POST", RUNS), Fault::lose_answer("PATCH", RUN).times(2)];
        let cut = Fault { effect: patchwright::rehearsal::fault::Effect::Applied, ..Fault::disconnect("PATCH", RUN) };
        tokio::join!(
            ends_with_each_once(n, lost()),
            ends_with_each_once(n, lost().into_iter().skip(1)),
            ends_with_each_once(n, [cut])
        );
    }
}

/// A worker makes the check run and dies before the rest is there.
#[tokio::test]
async fn another_worker_adds_the_annotations_that_are_missing() {
    let n_tries = ends_with_each_once(100, [Fault::refuse("PATCH", RUN, 502, "Server Error").times(3)]).await;
    assert!(n_tries > 1, "the first worker got to its end");
}

#[tokio::test]
async fn an_annotation_says_what_was_found_and_where() {
    let scene = Scene::set().await;
    let commit = CommitId::parse(&scene.stage.github.branches(scene.stage.repo)["main"]).expect("forty digits");
    scene.perform(&check(&commit, 1)).await.expect("GitHub takes it");
    let run = &scene.stage.github.check_runs(scene.stage.repo)[0];
    let token = scene.asked("POST", "/access_tokens").pop().expect("a token was asked for").response["token"].clone();
    let path = format!("{RUNS}/{}/annotations", run.id);
    let listed = scene.stage.get(&path, token.as_str().expect("a token is text")).await.body;
    let said = |name: &str| listed[0][name].clone();
    assert_eq!((said("path"), said("start_line"), said("end_line")), (json!("src/lib.rs"), json!(1), json!(1)));
    assert_eq!((said("annotation_level"), said("message")), (json!("warning"), json!("line 1")));
    assert_eq!(said("title"), json!("A test is told not to run."));
    scene.end().await;
}

/// Without knowing how many there are, none may be sent: they might come twice.
#[tokio::test]
async fn a_check_run_that_does_not_say_how_many_there_are_is_left_alone() {
    let scene = Scene::set().await;
    let commit = CommitId::parse(&scene.stage.github.branches(scene.stage.repo)["main"]).expect("forty digits");
    scene.perform(&check(&commit, 51)).await.expect("GitHub takes it");
    let mut odd = Fault::refuse("PATCH", RUN, 200, "");
    odd.answer =
        patchwright::rehearsal::fault::FaultyAnswer::Response { status: 200, headers: Vec::new(), body: json!({"id": 1}) };
    scene.stage.github.fault(odd);
    let refused = told(scene.perform(&check(&commit, 51)).await);
    assert_eq!(refused, "unavailable: GitHub's answer does not say how many annotations there are");
    let annotations: Vec<Value> = scene.stage.github.check_runs(scene.stage.repo)[0].annotations.clone();
    assert_eq!(annotations.len(), 51);
    scene.end().await;
}
