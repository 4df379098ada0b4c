//! Workers that die.

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
