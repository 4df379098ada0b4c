//! Installation tokens are asked for once, kept as long as they hold, and never longer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use patchwright::clock::Clock;
use patchwright::forge::Forge as _;
use patchwright::forge::github::{GitHub, GitHubSettings};
use patchwright::rehearsal::fault::Fault;

use super::failures::{COMMENTS, TOKENS};
use super::{Scene, settings, told};

fn n_tokens(scene: &Scene) -> usize {
    scene.asked("POST", "/access_tokens").len()
}

#[tokio::test]
async fn many_that_ask_at_once_ask_for_one_token() {
    let scene = Scene::set().await;
    let spec = scene.spec();
    let contexts = join_all((0..32).map(|_| scene.forge.context(&spec))).await;
    assert!(contexts.iter().all(Result::is_ok));
    assert_eq!(n_tokens(&scene), 1);
    scene.forge.facts(&scene.event("ada")).await.expect("GitHub answers");
    assert_eq!(n_tokens(&scene), 2, "other permissions are another token's");
    scene.end().await;
}

#[tokio::test]
async fn a_token_is_renewed_five_minutes_before_its_end() {
    let scene = Scene::set().await;
    scene.forge.context(&scene.spec()).await.expect("GitHub answers");
    scene.stage.pass(55 * 60 - 1);
    scene.forge.context(&scene.spec()).await.expect("GitHub answers");
    assert_eq!(n_tokens(&scene), 1);
    scene.stage.pass(1);
    scene.forge.context(&scene.spec()).await.expect("GitHub answers");
    assert_eq!(n_tokens(&scene), 2);
    scene.end().await;
}

/// A clock that is behind another.
struct Behind(Arc<dyn Clock>);

impl Clock for Behind {
    fn now(&self) -> Timestamp {
        self.0.now() - SignedDuration::from_secs(50)
    }

    fn uptime(&self) -> Duration {
        self.0.uptime()
    }
}

#[tokio::test]
async fn when_a_token_ends_is_said_by_githubs_clock() {
    let scene = Scene::set().await;
    let clock = Arc::new(Behind(scene.stage.clock()));
    let forge = GitHub::new(GitHubSettings { clock, ..settings(&scene.stage) }).expect("the key is PEM");
    forge.context(&scene.spec()).await.expect("GitHub answers");
    scene.stage.pass(55 * 60);
    forge.context(&scene.spec()).await.expect("GitHub answers");
    assert_eq!(n_tokens(&scene), 2);
    scene.end().await;
}

/// It was revoked, or the installation was suspended and is not any more.
#[tokio::test]
async fn a_token_that_is_not_taken_is_asked_for_anew_once() {
    let scene = Scene::set().await;
    let bad = || Fault::refuse("GET", COMMENTS, 401, "Bad credentials");
    scene.stage.github.fault(bad());
    scene.perform(&scene.comment("Begun.")).await.expect("another token is taken");
    assert_eq!((n_tokens(&scene), scene.comments().len()), (2, 1));
    scene.stage.github.fault(bad().times(9));
    let refused = told(scene.perform(&scene.comment("Done.")).await);
    assert!(refused.starts_with("denied: writing the comment: GitHub answered 401"), "{refused}");
    assert_eq!(n_tokens(&scene), 3);
    scene.end().await;
}

#[tokio::test]
async fn a_refusal_is_told_to_all_who_wait_and_to_nobody_later() {
    let scene = Scene::set().await;
    let spec = scene.spec();
    scene.stage.github.fault(Fault::refuse("POST", TOKENS, 403, "This installation has been suspended"));
    let contexts = join_all((0..8).map(|_| scene.forge.context(&spec))).await;
    assert!(contexts.into_iter().any(|context| context.is_err()));
    scene.forge.context(&spec).await.expect("GitHub gives a token again");
    scene.end().await;
}
