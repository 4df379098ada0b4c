//! Several commands in one text.

use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{ISSUE, MAINTAINER, Setup};

#[tokio::test]
async fn a_text_gets_its_answers_and_its_work() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex status\n@codex fix this\n@codex ask why?");
            world.work().await;
            assert_eq!((world.outcome().await, world.github.pull_requests(world.repo).len()), (Outcome::Proven, 1));
            for delivery in world.github.deliveries() {
                world.github.redeliver(&delivery.guid).expect("it was sent");
            }
            world.work().await;
            insta::assert_snapshot!(world.said_on(ISSUE).await.join("\n=====\n"), @r"
            Under way here:

            - Job JOB, `fix`, asked for by `mona`: it waits for a worker.

            <sub>For `mona`. Job JOB.</sub>
            =====
            One piece of work is begun for a text, the first that it asks for. Ask for the next in a new comment.

            <sub>For `mona`. Job JOB.</sub>
            =====
            **Proven.** The tests failed on the base and pass with the patch; the harness ran both.

            Pull request: https://github.test/octo/rocket/pull/2

            Next step: Review the pull request.

            <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn what_is_under_way_is_stopped_and_something_else_begun_by_one_text() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix the mode");
            world.decide().await;
            world.clock.pass(2);
            world.comment(MAINTAINER, "@codex stop\n@codex fix the mean");
            world.work().await;
            let said = world.said_on(ISSUE).await;
            let [stopped, mended] = &said[..] else { panic!("two comments: {said:?}") };
            assert!(stopped.starts_with("**Cancelled.**") && mended.starts_with("**Proven.**"), "{said:?}");
        })
        .await;
}

#[tokio::test]
async fn an_edit_that_adds_a_line_adds_its_command_alone() {
    Setup::default()
        .play(async |world| {
            let comment = world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            world.clock.pass(2);
            world.github.edit_comment(world.repo, comment, MAINTAINER, "@codex fix this\n@codex status").expect("it is there");
            world.work().await;
            assert_eq!((world.jobs().await.len(), world.said_on(ISSUE).await.len()), (1, 2));
        })
        .await;
}
