//! Deliveries that are lost, doubled or out of order.

use std::time::Duration;

use patchwright::rehearsal::Order;
use patchwright::rehearsal::fault::Fault;
use patchwright::sweep::{Sweep, Swept};
use patchwright_domain::event::IssueNumber;
use patchwright_domain::journal::Outcome;
use tokio_util::sync::CancellationToken;

use crate::support::pipeline::{ISSUE, MAINTAINER, Setup, World};

const ASKING: &str = "/app/hook/deliveries/*/attempts";

fn sweep(world: &World) -> Sweep {
    Sweep::new(world.tools.store.clone(), world.tools.forge.clone(), world.tools.clock.clone())
}

async fn swept(world: &World) -> Swept {
    let swept = sweep(world).sweep(None).await.expect("GitHub and the store answer");
    world.github.settle().await;
    swept
}

#[tokio::test]
async fn a_delivery_that_nobody_took_is_asked_for_and_its_job_runs_once() {
    Setup::default()
        .play(async |world| {
            world.github.settle().await;
            // Nobody listens at port 1: the server is down.
            world.github.send_webhooks_to("http://127.0.0.1:1/webhooks/github");
            world.comment(MAINTAINER, "@codex fix this");
            world.github.settle().await;
            world.github.send_webhooks_to(&format!("{}/webhooks/github", world.url));
            let found = sweep(world).look(None).await.expect("GitHub and the store answer");
            assert_eq!((found.n_sent, found.missed.len()), (2, 1), "looking asks for nothing");
            assert_eq!(swept(world).await, Swept { n_asked: 1, n_left: 0 });
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            assert_eq!(swept(world).await, Swept::default());
            world.work().await;
            world.last_words().await;
            assert_eq!((world.jobs().await.len(), world.github.pull_requests(world.repo).len()), (1, 1));
        })
        .await;
}

#[tokio::test]
async fn a_server_that_starts_asks_for_what_it_missed() {
    Setup::default()
        .play(async |world| {
            world.decide().await;
            world.github.hold_webhooks();
            world.comment(MAINTAINER, "@codex fix this");
            world.github.lose_webhooks();
            // What was signalled of deliveries before is over.
            tokio::select! {
                biased;
                () = world.tools.store.signals().deliveries.notified() => {}
                () = std::future::ready(()) => {}
            }
            let (sweep, stop) = (sweep(world), CancellationToken::new());
            let stored = async {
                world.tools.store.signals().deliveries.notified().await;
                stop.cancel();
            };
            tokio::join!(sweep.run(Duration::from_secs(3_600), stop.clone()), stored);
            world.work().await;
            assert_eq!((world.outcome().await, world.jobs().await.len()), (Outcome::Proven, 1));
        })
        .await;
}

/// GitHub gave up waiting, and the server had stored it all the same.
#[tokio::test]
async fn a_delivery_that_is_stored_is_not_asked_for_and_runs_once_even_if_it_comes_again() {
    Setup::default()
        .play(async |world| {
            world.github.settle().await;
            world.github.miss_answers(1);
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            let missed = world.github.deliveries().into_iter().find(|delivery| delivery.status.is_none());
            assert_eq!(swept(world).await, Swept::default());
            world.github.redeliver(&missed.expect("GitHub did not hear it").guid).expect("it is listed");
            world.work().await;
            world.last_words().await;
            assert_eq!((world.jobs().await.len(), world.github.pull_requests(world.repo).len()), (1, 1));
        })
        .await;
}

/// GitHub takes webhooks out of its queue also while it answers nobody.
#[tokio::test]
async fn a_request_is_heard_whose_decision_was_not_possible_for_hours() {
    Setup::default()
        .play(async |world| {
            world.decide().await;
            world.github.fault(Fault::refuse("GET", "/repos/*", 503, "No server is available").times(u32::MAX));
            world.comment(MAINTAINER, "@codex fix this");
            for _minute in 0..5 * 60 {
                world.decide().await;
                world.clock.pass(60);
            }
            assert_eq!(world.jobs().await.len(), 0, "nobody knows who may ask");
            world.github.heal();
            world.clock.pass(2 * 60 * 60);
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
        })
        .await;
}

/// What it waited for before anybody looked at it, such as the end of a long stop, was no try.
#[tokio::test]
async fn a_request_that_has_waited_for_hours_is_put_off_as_briefly_as_a_new_one() {
    Setup::default()
        .play(async |world| {
            world.decide().await;
            world.comment(MAINTAINER, "@codex fix this");
            world.github.settle().await;
            world.clock.pass(5 * 60 * 60);
            world.github.fault(Fault::refuse("GET", "/repos/*", 503, "No server is available").times(u32::MAX));
            world.decide().await;
            world.github.heal();
            // A minute, and up to a quarter of it.
            world.clock.pass(60 * 5 / 4 + 1);
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
        })
        .await;
}

#[tokio::test]
async fn a_request_about_which_github_does_not_answer_keeps_no_other_waiting() {
    Setup::default()
        .play(async |world| {
            let other = world.open_issue("Mean 1");
            world.decide().await;
            world.github.fault(Fault::silence("GET", &format!("/repos/octo/rocket/issues/{ISSUE}")));
            world.comment(MAINTAINER, "@codex fix this");
            world.github.comment(world.repo, other, MAINTAINER, "@codex fix this").expect("the issue is there");
            world.github.settle().await;
            let is_decided = async {
                while world.jobs().await.is_empty() {
                    world.tools.store.signals().jobs.notified().await;
                }
            };
            tokio::select! {
                _ = world.decide() => panic!("GitHub answers nothing about the first"),
                () = is_decided => {}
            }
            assert_eq!(world.jobs().await[0].task.issue(), Some(IssueNumber(other)));
            world.work().await;
            assert_eq!(world.jobs().await.len(), 2, "the first is asked about again");
        })
        .await;
}

/// The first is sent again, and the sweep does not hear so.
#[tokio::test]
async fn a_sweep_that_breaks_off_is_gone_on_with() {
    Setup::default()
        .play(async |world| {
            world.github.settle().await;
            world.github.hold_webhooks();
            for text in ["one", "two", "three"] {
                world.comment(MAINTAINER, text);
            }
            world.github.lose_webhooks();
            world.github.fault(Fault::lose_answer("POST", ASKING));
            let broken = sweep(world).sweep(None).await.expect_err("GitHub answers 502");
            assert!(broken.to_string().contains("502"), "{broken}");
            world.github.settle().await;
            assert_eq!(swept(world).await, Swept { n_asked: 2, n_left: 0 });
            assert_eq!(world.decide().await, 4, "the issue and each comment once");
        })
        .await;
}

/// Plays what happens to deliveries in both orders, and fails unless it comes to the same.
async fn ends_the_same(happens: impl Fn(&World)) -> String {
    let mut pages = Vec::new();
    for order in [Order::AsHappened, Order::Reversed] {
        let page = Setup::default().play(async |world| {
            world.decide().await;
            world.github.hold_webhooks();
            world.clock.at_once(|| happens(world));
            world.github.release_webhooks(order);
            world.work().await;
            format!("{} jobs\n{}", world.jobs().await.len(), world.page().await)
        });
        pages.push(page.await);
    }
    assert_eq!(pages[0], pages[1]);
    pages.remove(0)
}

#[tokio::test]
async fn an_issue_that_is_closed_before_its_label_is_told_starts_nothing() {
    let page = ends_the_same(|world| {
        world.github.label(world.repo, ISSUE, MAINTAINER, "codex").expect("the issue is there");
        world.github.close_issue(world.repo, ISSUE, MAINTAINER).expect("the issue is there");
    });
    insta::assert_snapshot!(page.await, @"0 jobs");
}

#[tokio::test]
async fn a_comment_whose_edit_is_told_first_starts_one_job() {
    let page = ends_the_same(|world| {
        let comment = world.comment(MAINTAINER, "@codex fix this");
        world.github.edit_comment(world.repo, comment, MAINTAINER, "@codex fix this, please").expect("the comment is there");
    });
    let page = page.await;
    assert!(page.starts_with("1 jobs") && page.contains("**Proven.**"), "{page}");
}
