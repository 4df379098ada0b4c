//! What GitHub has answered before is asked for again only in case it has changed.

use patchwright::forge::Forge as _;
use patchwright_domain::job::Task;
use serde_json::Value;

use super::Scene;

/// The statuses of the requests for the issue itself, in order.
fn statuses(scene: &Scene) -> Vec<u16> {
    scene.asked("GET", "/issues/{issue_number}").iter().map(|exchange| exchange.status).collect()
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let scene = Scene::set().await;
    let context = async || scene.forge.context(&scene.spec()).await.expect("GitHub answers");
    let (first, again) = (context().await, context().await);
    assert_eq!(statuses(&scene), [200, 304]);
    let second = &scene.asked("GET", "/comments")[1];
    assert_eq!((second.status, &second.response), (304, &Value::Null));
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
    scene.stage.github.comment(scene.stage.repo, scene.issue.0, "eve", "It does now").expect("the issue is there");
    assert_eq!(context().await.comments.len(), 1, "what has changed is");
    scene.end().await;
}

/// What one grant may read, another may not.
#[tokio::test]
async fn what_was_answered_to_one_grant_is_not_given_to_another() {
    let scene = Scene::set().await;
    scene.forge.context(&scene.spec()).await.expect("GitHub answers");
    let mut spec = scene.spec();
    spec.task = Task::ProvePullRequest { pull_request: scene.issue, is_about_the_build: false };
    scene.forge.pull_request(&spec).await.expect("GitHub answers");
    assert_eq!(statuses(&scene), [200, 200]);
    scene.end().await;
}
