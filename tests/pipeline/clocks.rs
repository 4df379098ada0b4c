//! A machine whose time of day is set while it works. What speaks to GitHub is left out of that: who asks GitHub by a wrong time is
//! refused, and told to look at the clock.

use patchwright_domain::journal::{EntryKind, Outcome};

use crate::support::pipeline::{MAINTAINER, Setup, World};

const HOUR: i64 = 60 * 60;

/// Nobody but one worker has had the job, and everything is there once.
async fn is_done_by_one(world: &World) {
    assert_eq!(world.outcome().await, Outcome::Proven);
    let journal = world.journal().await;
    let n_claims = journal.iter().filter(|entry| matches!(entry.kind, EntryKind::Claimed { .. })).count();
    assert_eq!(n_claims, 1, "{journal:?}");
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
