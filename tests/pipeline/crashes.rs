//! Workers that die.

use patchwright::rehearsal::Order;
use patchwright::rehearsal::fault::Fault;
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{LEASE_SECONDS, MAINTAINER, Setup};

#[tokio::test]
async fn another_worker_goes_on_where_one_died() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            world.lose_a_worker().await;
            world.work().await;
            assert_eq!(world.run().await.outcome(), None, "the lease still holds");
            world.clock.pass(LEASE_SECONDS + 1);
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            world.last_words().await;
            assert_eq!((world.own_branches().len(), world.github.pull_requests(world.repo).len()), (1, 1));
        })
        .await;
}

/// Each step that looks at commits is taken over once by a machine that has fetched nothing.
#[tokio::test]
async fn a_worker_on_another_machine_goes_on_where_one_died() {
    Setup::default()
        .play(async |world| {
            for n_looks in [0, 15, 18, 21, 24] {
                let issue = world.open_issue(&format!("Mean {n_looks}"));
                world.github.comment(world.repo, issue, MAINTAINER, "@codex fix this").expect("the issue is there");
                world.decide().await;
                world.github.hold_webhooks();
                assert!(world.die_after(n_looks).await, "it dies before its end, after {n_looks} looks");
                world.github.release_webhooks(Order::AsHappened);
                assert_eq!(world.go_on_elsewhere().await, 1);
                let comments = world.github.comments(world.repo, issue);
                let ours: Vec<_> = comments.iter().filter(|comment| comment.via_app).collect();
                assert!(ours.len() == 1 && ours[0].body.starts_with("**Proven.**"), "after {n_looks} looks: {comments:?}");
            }
            assert_eq!((world.own_branches().len(), world.github.pull_requests(world.repo).len()), (5, 5));
        })
        .await;
}

#[tokio::test]
async fn a_job_of_which_workers_keep_dying_is_given_up() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            for _ in 0..3 {
                world.lose_a_worker().await;
                world.clock.pass(LEASE_SECONDS + 1);
            }
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Failed);
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Failed.** The worker stopped 3 times in the middle of the same step.

                Next step: An operator should look at the server's log for the cause, then ask again.

                <sub>No model has answered. Job JOB.</sub>
            ");
        })
        .await;
}

/// Where an operator allows many deaths, they are not taken for tries that GitHub has refused.
#[tokio::test]
async fn a_job_of_which_many_workers_died_is_still_handed_back_where_github_fails() {
    let mut setup = Setup::default();
    (setup.budget.claims, setup.budget.wall_clock_ms) = (100, 24 * 60 * 60 * 1_000);
    setup
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            for n_deaths in 1..=30 {
                assert!(!world.work_for_a_while(1).await, "it dies before its end");
                world.clock.pass(LEASE_SECONDS + 1);
                assert_eq!(world.journal().await.len(), n_deaths, "it comes to nothing");
            }
            world.github.fault(Fault::refuse("GET", "/repos/*", 503, "No server is available").times(u32::MAX));
            world.work().await;
            assert_eq!(world.run().await.outcome(), None, "it is handed back");
            world.github.heal();
            world.clock.pass(60 * 60);
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
        })
        .await;
}

#[tokio::test]
async fn a_worker_that_is_stopped_hands_its_job_back() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            world.stop_a_worker().await;
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            world.last_words().await;
        })
        .await;
}

/// One issue for each look that a worker takes at the clock, which it does before each step and each entry.
#[tokio::test]
async fn a_worker_that_dies_anywhere_leaves_nothing_twice() {
    Setup::default()
        .play(async |world| {
            let mut n_looks = 1;
            loop {
                let issue = world.open_issue(&format!("Mean {n_looks}"));
                world.github.comment(world.repo, issue, MAINTAINER, "@codex fix this").expect("the issue is there");
                world.decide().await;
                // What the server does with the clock must not count.
                world.github.hold_webhooks();
                let has_ended = world.work_for_a_while(n_looks).await;
                world.github.release_webhooks(Order::AsHappened);
                world.clock.pass(LEASE_SECONDS + 1);
                world.work().await;
                let comments = world.github.comments(world.repo, issue);
                let ours: Vec<_> = comments.iter().filter(|comment| comment.via_app).collect();
                assert!(ours.len() == 1 && ours[0].body.starts_with("**Proven.**"), "after {n_looks} looks: {comments:?}");
                if has_ended {
                    break;
                }
                n_looks += 1;
            }
            let n_jobs = usize::try_from(n_looks).expect("the looks were counted up");
            let (pulls, checks) = (world.github.pull_requests(world.repo), world.github.check_runs(world.repo));
            assert_eq!((world.own_branches().len(), pulls.len(), checks.len()), (n_jobs, n_jobs, n_jobs));
            assert!(n_jobs > 20, "a run has more than {n_jobs} looks at the clock");
        })
        .await;
}
