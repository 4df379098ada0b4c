//! A limit is kept by everybody whom it is for, and writes take turns.

use std::time::Duration;

use patchwright::forge::Forge as _;
use patchwright::forge::github::{GitHub, GitHubSettings};
use patchwright::rehearsal::fault::{Effect, Fault, FaultyAnswer};
use patchwright_domain::event::RepoRef;
use patchwright_domain::job::JobKey;
use serde_json::json;

use super::failures::COMMENTS;
use super::{Scene, settings, told};

fn n_exchanges(scene: &Scene) -> usize {
    scene.stage.github.exchanges().len()
}

#[tokio::test]
async fn while_a_limit_is_in_force_no_request_of_its_installation_goes_out() {
    let scene = Scene::set().await;
    scene.stage.github.fault(Fault::rate_limit("POST", COMMENTS, 403, 90));
    assert_eq!(told(scene.perform(&scene.comment("Begun.")).await), "wait 90 s");
    let before = n_exchanges(&scene);
    scene.stage.pass(30);
    assert_eq!(told(scene.forge.facts(&scene.event("ada")).await), "wait 60 s");
    assert_eq!(told(scene.perform(&scene.comment("Begun.")).await), "wait 60 s");
    assert_eq!(n_exchanges(&scene), before);
    scene.forge.whoami().await.expect("the App itself is not limited");
    scene.stage.pass(60);
    scene.perform(&scene.comment("Begun.")).await.expect("the limit is over");
    scene.end().await;
}

#[tokio::test]
async fn another_installation_is_not_held_up() {
    let scene = Scene::set().await;
    let github = &scene.stage.github;
    let id = github.create_repository("acme", "anvil", &[("README.md", b"# Anvil\n", false)]).await.expect("the names are fine");
    let issue = github.open_issue(id, "ada", "It rings", "").expect("the repository is there");
    let installation = github.deliveries();
    assert!(installation.is_empty(), "nobody listens");
    let app = crate::support::github::app_token(
        &json!({"iss": super::APP_ID, "iat": crate::support::github::NOW - 60, "exp": crate::support::github::NOW + 500}),
        super::WORTHLESS_PRIVATE_KEY,
    );
    let installation = scene.stage.get("/repos/acme/anvil/installation", &app).await.body["id"].as_u64().expect("a number");
    let mut theirs = scene.spec();
    theirs.repo = RepoRef::new(id.0, installation, "acme", "anvil", "main").expect("the names are fine");
    theirs.key = JobKey::of_comment(&theirs.repo, scene.issue, 1);
    assert_eq!(issue, scene.issue.0);
    github.fault(Fault::rate_limit("GET", "/repos/octo/*", 429, 90));
    assert_eq!(told(scene.forge.context(&scene.spec()).await), "wait 90 s");
    scene.forge.context(&theirs).await.expect("it is limited for itself");
    scene.end().await;
}

/// The last request that is left is answered, and says so.
#[tokio::test]
async fn what_is_used_up_is_not_asked_for() {
    let scene = Scene::set().await;
    let reset = (scene.stage.clock().now().as_second() + 1_200).to_string();
    let headers = vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset)];
    let last = FaultyAnswer::Response { status: 200, headers, body: json!([]) };
    let fault = Fault { effect: Effect::Applied, answer: last, ..Fault::refuse("GET", COMMENTS, 200, "") };
    scene.stage.github.fault(fault);
    scene.forge.context(&scene.spec()).await.expect("GitHub answers");
    let before = n_exchanges(&scene);
    assert_eq!(told(scene.forge.context(&scene.spec()).await), "wait 1200 s");
    assert_eq!(n_exchanges(&scene), before);
    scene.stage.pass(1_200);
    scene.forge.context(&scene.spec()).await.expect("the hour is over");
    scene.end().await;
}

#[tokio::test]
async fn writes_wait_for_the_one_before() {
    let scene = Scene::set().await;
    let spaced = GitHubSettings { write_spacing: Duration::from_secs(60), ..settings(&scene.stage) };
    let forge = GitHub::new(spaced).expect("the key is PEM");
    let keys = [1, 2].map(|comment| {
        let mut spec = scene.spec();
        spec.key = JobKey::of_comment(&scene.repo, scene.issue, comment);
        scene.comment("").key(&spec.id())
    });
    let effect = scene.comment("Begun.");
    let write = async |key| forge.perform(&scene.repo, key, &effect).await;
    let (first, second) = tokio::join!(write(&keys[0]), write(&keys[1]));
    let (done, waits): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), scene.comments().len()), (1, 1), "they do not go out together");
    assert_eq!(waits.into_iter().map(told).collect::<Vec<_>>(), ["wait 60 s"]);
    forge.context(&scene.spec()).await.expect("reading waits for nobody");
    scene.stage.pass(60);
    let left = keys.iter().find(|key| !scene.comments().iter().any(|body| body.contains(&key.marker()))).expect("one is left");
    write(left).await.expect("it is its turn");
    assert_eq!(scene.comments().len(), 2);
    scene.end().await;
}
