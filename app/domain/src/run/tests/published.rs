//! A branch whose commit the forge has made again: what comes behind it is about the commit that is there.

use super::*;
use crate::effect::{CheckName, Published};

fn remade(is_verified: bool, reason: Option<&str>) -> Published {
    Published { commit: sample::commit('e'), is_verified, reason: reason.map(str::to_owned) }
}

fn pushed_as(published: Option<Published>) -> EntryKind {
    let receipt = Receipt { url: None, published };
    EntryKind::Performed { key: push().key(&sample::spec().id()), receipt }
}

fn effects() -> [Effect; 3] {
    let planned = sample::commit('b');
    let body = format!("Proven.\n\n```\ngit checkout {planned}\n```\n\n<sub>Job x.</sub>");
    let check = Effect::SetCheck {
        name: CheckName::Patch,
        commit: planned.clone(),
        outcome: Outcome::Proven,
        title: "x".into(),
        summary: format!("git checkout {planned}"),
        text: Some(format!("{{\"commit\":\"{planned}\"}}")),
        annotations: Vec::new(),
        buttons: Vec::new(),
    };
    let pull_request =
        Effect::EnsurePullRequest { branch: "codex/12-x".into(), base: "main".into(), title: "x".into(), body, draft: true };
    [push(), pull_request, check]
}

/// What is done next, behind a push with this receipt, and behind the pull request.
fn behind(receipt: EntryKind) -> (String, Effect) {
    let [_, pull_request, check] = effects();
    let plan = planned(Outcome::Proven, &[push(), pull_request.clone(), check]);
    let mut kinds = vec![claimed(), prepared(), solved(), verified(proven()), plan, receipt];
    let next = |kinds: &[EntryKind]| match run(&sample::spec(), kinds).next(at(60)) {
        Step::Perform { effect } => effect,
        other => panic!("{other:?}"),
    };
    let Effect::EnsurePullRequest { body, .. } = next(&kinds) else { panic!("the pull request comes behind the branch") };
    kinds.push(performed(&pull_request));
    (body, next(&kinds))
}

#[test]
fn the_check_and_the_pull_request_are_about_the_commit_that_is_there() {
    let (body, check) = behind(pushed_as(Some(remade(true, None))));
    let (there, planned) = (sample::commit('e'), sample::commit('b'));
    insta::assert_snapshot!(body, @r"
    Proven.

    ```
    git checkout eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
    ```

    ### Commit

    `eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee` is **verified**, as GitHub shows it. GitHub made it of `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb`, which is what was tested and what an attestation names: the same files on the same base.

    <sub>Job x.</sub>
    ");
    let Effect::SetCheck { commit, summary, text, .. } = check else { panic!("the check run comes last") };
    assert_eq!((commit, summary), (there.clone(), format!("git checkout {there}")));
    assert_eq!(text, Some(format!("{{\"commit\":\"{planned}\"}}")), "what was signed says what it said");
}

#[test]
fn what_keeps_the_forge_from_signing_is_told_and_does_nothing() {
    let hostile = remade(false, Some("no <!-- x --> `code` @octocat\n\n# Fixes #1"));
    let (body, _) = behind(pushed_as(Some(hostile)));
    let told = body.lines().find(|line| line.contains("not verified")).expect("it is told");
    insta::assert_snapshot!(told, @"`eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee` is **not verified**. GitHub has not signed it: ``no `code` @octocat # Fixes #1``. GitHub made it of `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb`, which is what was tested and what an attestation names: the same files on the same base.");
}

/// As in journals from before there was such a receipt.
#[test]
fn without_a_word_of_it_the_commit_is_the_planned_one() {
    let (body, check) = behind(performed(&push()));
    let [_, planned, planned_check] = effects();
    assert!(matches!(planned, Effect::EnsurePullRequest { body: planned, .. } if planned == body));
    assert_eq!(check, planned_check);
    let read: Receipt = serde_json::from_str(r#"{"url":null}"#).expect("it was written so");
    assert_eq!(read, Receipt::default());
    assert_eq!(serde_json::to_string(&read).expect("it is JSON"), r#"{"url":null}"#, "and is still written so");
}
