//! A machine whose time of day is set while it works. What speaks to GitHub is left out of that: who asks GitHub by a wrong time is
//! refused, and told to look at the clock.

use patchwright_domain::journal::{EntryKind, Outcome};

use crate::support::pipeline::{LEASE_SECONDS, MAINTAINER, Setup, World};

const HOUR: i64 = 60 * 60;

/// Nobody but one worker has had the job, and everything is there once.
async fn is_done_by_one(world: &World) {
    assert_eq!(n_claims(world).await, 1);
    is_done_once(world).await;
}

async fn n_claims(world: &World) -> usize {
    world.journal().await.iter().filter(|entry| matches!(entry.kind, EntryKind::Claimed { .. })).count()
}

async fn is_done_once(world: &World) {
    assert_eq!(world.outcome().await, Outcome::Proven);
    let journal = world.journal().await;
    assert!(journal.is_sorted_by_key(|entry| entry.at), "{journal:?}");
    let comments = world.github.comments(world.repo, crate::support::pipeline::ISSUE);
    let n_ours = comments.iter().filter(|comment| comment.via_app).count();
    assert_eq!((world.own_branches().len(), world.github.pull_requests(world.repo).len(), n_ours), (1, 1, 1));
}

/// The lease is a minute long, and the job's time ten; both still hold.
#[tokio::test]
async fn a_clock_that_is_set_forwards_gives_no_job_to_a_second_worker() {
    Setup::default()
        .play(async |world| {
            let set = async || {
                world.clock.set(HOUR);
                assert_eq!(world.worker().drain().await.expect("the store can be asked"), 0, "the job is somebody's");
            };
            assert_eq!(world.fix_this_while(set).await, Outcome::Proven);
            is_done_by_one(world).await;
        })
        .await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_nobody_waiting() {
    Setup::default()
        .play(async |world| {
            // The delivery, and then the job that it became, are from what is the future now.
            world.comment(MAINTAINER, "@codex fix this");
            world.github.settle().await;
            world.clock.set(-HOUR);
            world.decide().await;
            world.clock.set(-HOUR);
            world.work().await;
            is_done_by_one(world).await;
        })
        .await;
}

/// A machine that slept, or a process that was frozen: what it has waited for is there when it wakes, and no timer has gone off yet.
#[tokio::test]
async fn a_worker_that_stood_still_moves_nothing_on_by_a_lease_that_it_cannot_rely_on() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            // The store would still take what it writes; what it sends to GitHub might arrive behind the lease's end.
            world.work_while(async || world.clock.pass(LEASE_SECONDS - 20)).await;
            let last = world.journal().await.pop().expect("it was claimed");
            assert!(matches!(last.kind, EntryKind::Prepared { .. }), "{last:?}");
            world.clock.pass(LEASE_SECONDS);
            world.work().await;
            assert_eq!(n_claims(world).await, 2);
            is_done_once(world).await;
        })
        .await;
}
