//! What is opened is a draft or ready for review, and is shown to those whom the policy names: once, and as far as GitHub takes it.

use patchwright::forge::ForgeError;
use patchwright::rehearsal::fault::Fault;
use patchwright::rehearsal::scene::{Issue, Pull, Role};
use patchwright_domain::effect::Effect;
use serde_json::json;

use super::effects::branch;
use super::{Scene, assert_scoped, told};

const BRANCH: &str = "codex/1-fix";
const LABELS: &str = "/repos/octo/rocket/issues/*/labels";
const REVIEWERS: &str = "/repos/octo/rocket/pulls/*/requested_reviewers";

fn opened(draft: bool) -> Effect {
    Effect::EnsurePullRequest {
        branch: BRANCH.into(),
        base: "main".into(),
        title: "Fix it".into(),
        body: "Closes #1".into(),
        draft,
    }
}

fn introduction(labels: &[&str], reviewers: &[&str], teams: &[&str]) -> Effect {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Effect::IntroducePull { branch: BRANCH.into(), labels: owned(labels), reviewers: owned(reviewers), teams: owned(teams) }
}

/// A scene in which our pull request is there; `grace` may read, and `pilots` have a role.
async fn there() -> Scene {
    let scene = Scene::set().await;
    branch(&scene, BRANCH).await;
    scene.perform(&opened(true)).await.expect("GitHub takes it");
    scene.stage.github.set_role(scene.stage.repo, "grace", Role::Read).expect("the repository is there");
    scene.stage.github.add_team(scene.stage.repo, "pilots").expect("the repository is there");
    scene
}

fn only(scene: &Scene) -> (Issue, Pull) {
    let mut pulls = scene.stage.github.pull_requests(scene.stage.repo);
    assert_eq!(pulls.len(), 1);
    pulls.remove(0)
}

/// The labels, and the people and teams that are asked.
fn shown(scene: &Scene) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (issue, pull) = only(scene);
    (issue.labels, pull.requested_reviewers, pull.requested_teams)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn what_is_ready_for_review_is_no_draft() {
    let scene = Scene::set().await;
    branch(&scene, BRANCH).await;
    scene.perform(&opened(false)).await.expect("GitHub takes it");
    scene.perform(&opened(false)).await.expect("it is there");
    assert!(!only(&scene).1.draft);
    scene.end().await;
}

#[tokio::test]
async fn where_there_are_no_drafts_it_is_opened_all_the_same() {
    let scene = Scene::set().await;
    branch(&scene, BRANCH).await;
    let refuse =
        || Fault::refuse("POST", "/repos/octo/rocket/pulls", 422, "Draft pull requests are not supported in this repository.");
    scene.stage.github.fault(refuse());
    scene.perform(&opened(true)).await.expect("GitHub takes it");
    assert!(!only(&scene).1.draft);
    let asked: Vec<_> = scene.asked("POST", "/pulls").into_iter().map(|asked| asked.request["draft"].clone()).collect();
    assert_eq!(asked, [json!(true), json!(false)]);
    scene.stage.github.fault(refuse());
    scene.perform(&opened(true)).await.expect("it is there");
    assert_eq!(scene.asked("POST", "/pulls").len(), 2);
    scene.stage.github.heal();
    scene.end().await;
}

#[tokio::test]
async fn labels_and_reviewers_are_asked_for_once() {
    let scene = there().await;
    scene.stage.github.accept("octo", "members", "read").expect("the App is installed");
    let wanted = introduction(&["robot", "by a robot"], &["ada", "grace"], &["pilots"]);
    for _ in 0..2 {
        scene.perform(&wanted).await.expect("GitHub takes it");
        assert_eq!(shown(&scene), (names(&["robot", "by a robot"]), names(&["ada", "grace"]), names(&["pilots"])));
    }
    assert_eq!((scene.asked("POST", "/labels").len(), scene.asked("POST", "/requested_reviewers").len()), (1, 2));
    // What is there already is left alone, however it is spelled, and by whomever it was put there.
    scene.perform(&introduction(&["Robot", "more"], &["Ada"], &[])).await.expect("GitHub takes it");
    assert_eq!(scene.asked("POST", "/labels").last().map(|asked| asked.request.clone()), Some(json!({"labels": ["more"]})));
    assert_eq!(scene.asked("POST", "/requested_reviewers").len(), 2);
    let tokens = scene.asked("POST", "/access_tokens");
    let (of_teams, others) = tokens.split_last().expect("tokens were asked for");
    others.iter().for_each(|token| assert_scoped(token, &scene.repo, json!({"pull_requests": "write"})));
    assert_scoped(of_teams, &scene.repo, json!({"pull_requests": "write", "members": "read"}));
    scene.end().await;
}

#[tokio::test]
async fn lost_answers_are_looked_for() {
    let scene = there().await;
    for (method, path) in [("POST", LABELS), ("POST", REVIEWERS)] {
        scene.stage.github.fault(Fault::lose_answer(method, path));
    }
    let wanted = introduction(&["robot"], &["ada"], &[]);
    scene.perform(&wanted).await.expect("it is found");
    assert_eq!(shown(&scene), (names(&["robot"]), names(&["ada"]), Vec::new()));
    assert_eq!((scene.asked("POST", "/labels").len(), scene.asked("POST", "/requested_reviewers").len()), (1, 1));
    scene.stage.github.fault(Fault::refuse("POST", LABELS, 502, "Server Error").times(20));
    let lost = scene.perform(&introduction(&["more"], &[], &[])).await;
    assert!(matches!(lost, Err(ForgeError::Unavailable(_))), "{lost:?}");
    scene.stage.github.heal();
    scene.end().await;
}

/// GitHub asks nobody where it does not ask all, so that each is asked alone then.
#[tokio::test]
async fn of_those_who_are_refused_the_others_are_asked() {
    let scene = there().await;
    scene.stage.github.create_user("eve", patchwright::rehearsal::scene::Account::User);
    let refused = told(scene.perform(&introduction(&["robot"], &["ada", "eve", "grace"], &["pilots"])).await);
    assert!(refused.starts_with("rejected: asking for reviews from eve: GitHub answered 422 Reviews may only be"), "{refused}");
    assert_eq!(shown(&scene), (names(&["robot"]), names(&["ada", "grace"]), Vec::new()));
    let n_asked = scene.asked("POST", "/requested_reviewers").len();
    assert_eq!(n_asked, 4, "all of them, and each of them");
    // Teams are not seen by an App that may not see members, and whoever may be asked is asked without them.
    let unseen = told(scene.perform(&introduction(&[], &["ada"], &["pilots"])).await);
    assert!(unseen.starts_with("denied: "), "{unseen}");
    scene.stage.github.accept("octo", "members", "read").expect("the App is installed");
    let strangers = told(scene.perform(&introduction(&[], &[], &["pilots", "strangers"])).await);
    assert!(strangers.starts_with("rejected: asking for reviews from strangers"), "{strangers}");
    assert_eq!(shown(&scene).2, ["pilots"]);
    scene.end().await;
}

#[tokio::test]
async fn a_refused_label_keeps_nobody_from_being_asked() {
    let scene = there().await;
    scene.stage.github.fault(Fault::refuse("POST", LABELS, 403, "Resource not accessible by integration"));
    let refused = told(scene.perform(&introduction(&["robot"], &["ada"], &[])).await);
    assert!(refused.starts_with("denied: labelling the pull request"), "{refused}");
    assert_eq!(shown(&scene), (Vec::new(), names(&["ada"]), Vec::new()));
    scene.end().await;
}

#[tokio::test]
async fn what_was_never_opened_is_not_introduced() {
    let scene = Scene::set().await;
    let missing = told(scene.perform(&introduction(&["robot"], &["ada"], &[])).await);
    assert_eq!(missing, "rejected: labelling the pull request: there is no pull request from the branch");
    scene.perform(&introduction(&[], &[], &[])).await.expect("there is nothing to do");
    assert_eq!(scene.asked("POST", "/labels").len(), 0);
    scene.end().await;
}
