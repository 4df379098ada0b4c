//! What GitHub lists of its deliveries, and what is asked for again.

use std::sync::Arc;

use patchwright::forge::Forge;
use patchwright::store::memory::MemoryStore;
use patchwright::sweep::{Sweep, Swept};

use super::Scene;
use crate::support::github::Receiver;

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:1/hook";

fn sweep(scene: &Scene) -> Sweep {
    let forge: Arc<dyn Forge> =
        Arc::new(super::adapter(&scene.stage, super::WORTHLESS_PRIVATE_KEY, super::APP_ID).expect("the key is PEM"));
    Sweep::new(Arc::new(MemoryStore::default()), forge, scene.stage.clock())
}

async fn lose(scene: &Scene, n_comments: usize) {
    scene.stage.github.send_webhooks_to(NOWHERE);
    scene.stage.github.hold_webhooks();
    for number in 0..n_comments {
        let said = scene.stage.github.comment(scene.stage.repo, scene.issue.0, "ada", &format!("comment {number}"));
        said.expect("the issue is there");
    }
    scene.stage.github.lose_webhooks();
}

#[tokio::test]
async fn what_was_missed_comes_again_oldest_first_over_many_pages() {
    let scene = Scene::set().await;
    let receiver = Receiver::listen().await;
    lose(&scene, 250).await;
    scene.stage.github.send_webhooks_to(&receiver.url);
    let swept = sweep(&scene).sweep(None).await.expect("GitHub answers");
    assert_eq!(swept, Swept { n_asked: 250, n_left: 0 });
    scene.stage.github.settle().await;
    let told: Vec<String> = receiver
        .arrivals()
        .iter()
        .map(|arrival| arrival.payload()["comment"]["body"].as_str().expect("it is a comment").to_owned())
        .collect();
    let happened: Vec<String> = (0..250).map(|number| format!("comment {number}")).collect();
    assert_eq!(told, happened);
    assert_eq!(scene.asked("GET", "/app/hook/deliveries").len(), 3);
    scene.end().await;
}

#[tokio::test]
async fn a_delivery_that_nobody_ever_takes_is_given_up() {
    let scene = Scene::set().await;
    lose(&scene, 1).await;
    let sweep = sweep(&scene);
    for _ in 0..6 {
        sweep.sweep(None).await.expect("GitHub answers");
        scene.stage.github.settle().await;
    }
    assert_eq!(scene.stage.github.attempts().len(), 5);
    let found = sweep.look(None).await.expect("GitHub answers");
    assert_eq!((found.missed.len(), found.given_up.len()), (0, 1));
    scene.end().await;
}

#[tokio::test]
async fn what_github_would_not_send_again_is_not_asked_for() {
    let scene = Scene::set().await;
    lose(&scene, 1).await;
    let sweep = sweep(&scene);
    let looked_until = scene.stage.clock().now();
    scene.stage.pass(60 * 60);
    assert_eq!(sweep.look(Some(scene.stage.clock().now())).await.expect("GitHub answers").missed.len(), 0, "only what is new");
    assert_eq!(sweep.look(Some(looked_until)).await.expect("GitHub answers").missed.len(), 1);
    scene.stage.pass(3 * 24 * 60 * 60);
    assert_eq!(sweep.look(None).await.expect("GitHub answers").n_sent, 0);
    scene.end().await;
}
