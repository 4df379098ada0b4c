//! Deliveries come once, wait in order, and are decided once.

use std::sync::Arc;

use patchwright::store::{Decided, Received, Waiting};
use patchwright_domain::policy::Decision;

use super::{Shared, assert_unknown, at, begin, claim, claimed, completed, contract, delivery, fresh, id, spec, start, told};

contract! {
    a_delivery_is_stored_once
    undecided_deliveries_come_oldest_first_and_bounded
    a_postponed_delivery_waits_its_time
    a_decision_is_kept
    one_wish_starts_one_job
    a_decision_stands
    a_cancel_is_journaled_in_every_job_or_in_none
    all_that_follows_from_a_delivery_is_done_or_nothing
    a_decision_on_nothing_changes_nothing
    many_at_once_are_all_stored
    one_that_comes_many_times_at_once_is_stored_once
}

async fn waiting(store: &Shared, seconds: i64, count: u32) -> Vec<String> {
    let waiting = store.undecided(at(seconds), count).await.expect("the store answers");
    waiting.into_iter().map(|waiting| waiting.delivery.id.to_string()).collect()
}

async fn a_delivery_is_stored_once(store: Shared) {
    let first = delivery("a", 5);
    assert_eq!(store.receive(&first).await.expect("the store takes it"), Received::Stored);
    let mut again = delivery("a", 9);
    again.body = b"forged".to_vec();
    assert_eq!(store.receive(&again).await.expect("the store takes it"), Received::Known);
    assert_eq!(store.undecided(at(9), 9).await.expect("the store answers"), [fresh(first)]);
    store.check().await.expect("the store can be written to");
}

async fn undecided_deliveries_come_oldest_first_and_bounded(store: Shared) {
    for (name, seconds) in [("c", 3), ("a", 1), ("b", 2), ("later", 90), ("a-too", 1)] {
        store.receive(&delivery(name, seconds)).await.expect("the store takes it");
    }
    assert_eq!(waiting(&store, 50, 9).await, ["a", "a-too", "b", "c"]);
    assert_eq!(waiting(&store, 50, 2).await, ["a", "a-too"]);
    assert_eq!(waiting(&store, 90, 9).await.len(), 5);
    assert_eq!(waiting(&store, 90, 0).await.len(), 0);
}

async fn a_postponed_delivery_waits_its_time(store: Shared) {
    store.receive(&delivery("a", 0)).await.expect("the store takes it");
    assert_eq!(store.postpone(&id("a"), at(30)).await.expect("it is there"), 1);
    assert_eq!(waiting(&store, 29, 9).await.len(), 0);
    assert_eq!(waiting(&store, 30, 9).await, ["a"]);
    assert_eq!(store.postpone(&id("a"), at(60)).await.expect("it is there"), 2);
    let put_off = Waiting { delivery: delivery("a", 0), n_postponed: 2 };
    assert_eq!(store.undecided(at(60), 9).await.expect("the store answers"), [put_off]);
    assert_unknown(store.postpone(&id("b"), at(60)).await);
}

async fn a_decision_is_kept(store: Shared) {
    store.receive(&delivery("a", 0)).await.expect("the store takes it");
    assert_eq!(store.decision(&id("a")).await.expect("it is there"), None);
    let ignored = Decision::ignore("nobody asked");
    assert_eq!(store.decide(&id("a"), &ignored, at(1)).await.expect("it is there"), Decided::Stored);
    assert_eq!(store.decision(&id("a")).await.expect("it is there"), Some(ignored));
    assert_eq!(waiting(&store, 50, 9).await.len(), 0);
    assert_unknown(store.decision(&id("b")).await);
}

async fn one_wish_starts_one_job(store: Shared) {
    for name in ["a", "b"] {
        store.receive(&delivery(name, 0)).await.expect("the store takes it");
    }
    assert_eq!(store.decide(&id("a"), &start(1), at(1)).await.expect("it is there"), Decided::Stored);
    assert_eq!(store.decision(&id("a")).await.expect("it is there"), Some(start(1)));
    let job = spec(1).id();
    assert_eq!(store.decide(&id("b"), &start(1), at(2)).await.expect("it is there"), Decided::Duplicate { job: job.clone() });
    let decision = store.decision(&id("b")).await.expect("it is there").expect("it is decided");
    assert!(
        matches!(&decision, Decision::Ignore { because, is_given_up: false } if because.contains(job.as_str())),
        "{decision:?}"
    );
    let first = claimed(&store, "one", 3).await;
    assert_eq!(first.spec, spec(1));
    assert!(claim(&store, "two", 3).await.is_none());
    store.append(&first.lease, 1, completed(), at(4)).await.expect("the lease holds");
    store.receive(&delivery("c", 0)).await.expect("the store takes it");
    let decided = store.decide(&id("c"), &start(1), at(5)).await.expect("it is there");
    assert_eq!(decided, Decided::Duplicate { job }, "a completed job is not begun again");
    assert!(claim(&store, "two", 9).await.is_none());
}

/// Two intakes that take the same delivery: the second finds it decided.
async fn a_decision_stands(store: Shared) {
    begin(&store, 1, 0).await;
    let name = id("delivery-1");
    let cancel = Decision::Cancel { keys: vec![spec(1).key], because: "too late".into() };
    for late in [start(1), start(2), Decision::ignore("too late"), cancel] {
        assert_eq!(store.decide(&name, &late, at(2)).await.expect("it is there"), Decided::Before);
    }
    assert_eq!(store.decision(&name).await.expect("it is there"), Some(start(1)));
    assert_eq!(told(&claimed(&store, "one", 3).await.journal), "one claims");
    assert!(claim(&store, "two", 3).await.is_none());
}

async fn a_cancel_is_journaled_in_every_job_or_in_none(store: Shared) {
    begin(&store, 1, 0).await;
    begin(&store, 2, 1).await;
    store.receive(&delivery("close", 2)).await.expect("the store takes it");
    let cancel = |keys| Decision::Cancel { keys, because: "the issue was closed".into() };
    assert_unknown(store.decide(&id("close"), &cancel(vec![spec(1).key, spec(99).key]), at(3)).await);
    assert_eq!(store.journal(&spec(1).id(), 0).await.expect("it is there"), []);
    assert_eq!(waiting(&store, 50, 9).await, ["close"]);
    let keys = vec![spec(1).key, spec(2).key];
    assert_eq!(store.decide(&id("close"), &cancel(keys), at(3)).await.expect("it is there"), Decided::Stored);
    for comment in [1, 2] {
        let journal = store.journal(&spec(comment).id(), 0).await.expect("it is there");
        assert_eq!(told(&journal), "cancel: the issue was closed");
    }
}

async fn all_that_follows_from_a_delivery_is_done_or_nothing(store: Shared) {
    begin(&store, 1, 0).await;
    for name in ["a", "b", "c"] {
        store.receive(&delivery(name, 2)).await.expect("the store takes it");
    }
    let several = |decisions| Decision::Several { decisions };
    let cancel = |comment| Decision::Cancel { keys: vec![spec(comment).key], because: "ada asked to stop".into() };
    assert_unknown(store.decide(&id("a"), &several(vec![start(2), cancel(99)]), at(3)).await);
    assert_unknown(store.job(&spec(2).id()).await);
    assert_eq!(store.decision(&id("a")).await.expect("it is there"), None);
    let both = several(vec![cancel(1), start(2)]);
    assert_eq!(store.decide(&id("a"), &both, at(3)).await.expect("it is there"), Decided::Stored);
    assert_eq!(store.decision(&id("a")).await.expect("it is there"), Some(both));
    assert_eq!(told(&store.journal(&spec(1).id(), 0).await.expect("it is there")), "cancel: ada asked to stop");
    // Of what is there already nothing is made again, and what is new is made.
    assert_eq!(store.decide(&id("b"), &several(vec![start(2), start(3)]), at(4)).await.expect("it is there"), Decided::Stored);
    let decision = store.decision(&id("b")).await.expect("it is there").expect("it is decided");
    assert!(matches!(decision.parts(), [Decision::Ignore { .. }, made] if *made == start(3)), "{decision:?}");
    let decided = store.decide(&id("c"), &several(vec![start(2), start(3)]), at(5)).await.expect("it is there");
    assert_eq!(decided, Decided::Duplicate { job: spec(2).id() });
    let mut keys = Vec::new();
    while let Some(claim) = claim(&store, "one", 6).await {
        keys.push(claim.spec.key);
    }
    assert_eq!(keys, [spec(1).key, spec(2).key, spec(3).key]);
}

async fn a_decision_on_nothing_changes_nothing(store: Shared) {
    assert_unknown(store.decide(&id("never-came"), &start(1), at(1)).await);
    assert_unknown(store.job(&spec(1).id()).await);
    assert!(claim(&store, "one", 9).await.is_none());
}

/// Under load, requests share a transaction; one that cannot be done does not harm the others in it.
async fn many_at_once_are_all_stored(store: Shared) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            if n % 10 == 0 {
                assert_unknown(store.decide(&id("never-came"), &start(n), at(1)).await);
            }
            store.receive(&delivery(&format!("d-{n}"), 1)).await.expect("the store takes it")
        });
    }
    let received = tasks.join_all().await;
    assert!(received.iter().all(|received| *received == Received::Stored));
    let mut names = waiting(&store, 50, 1_000).await;
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 200);
    assert!(claim(&store, "one", 9).await.is_none());
}

/// Which of those that share a transaction was the first does not matter; one of them was.
async fn one_that_comes_many_times_at_once_is_stored_once(store: Shared) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..60 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.receive(&delivery(&format!("d-{}", n % 3), 1)).await.expect("the store takes it") });
    }
    let received = tasks.join_all().await;
    assert_eq!(received.iter().filter(|received| **received == Received::Stored).count(), 3);
    assert_eq!(waiting(&store, 50, 1_000).await.len(), 3);
}
