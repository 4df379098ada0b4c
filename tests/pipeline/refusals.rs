//! A GitHub that refuses, limits, or loses its answers.

use patchwright::rehearsal::fault::{Effect, Fault};
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{ISSUE, MAINTAINER, Setup};

const COMMENTS: &str = "/repos/octo/rocket/issues/1/comments";
const PULLS: &str = "/repos/octo/rocket/pulls";
const CHECKS: &str = "/repos/octo/rocket/check-runs";

/// When whoever is to wait so long has come back: up to a quarter later, so that not all of them come at once.
fn at_latest(seconds: i64) -> i64 {
    seconds * 5 / 4 + 1
}

/// Plays one fix with faults, and gives the page and the run's notices.
async fn with_faults(faults: Vec<Fault>, outcome: Outcome) -> String {
    Setup::default()
        .play(async |world| {
            faults.into_iter().for_each(|fault| world.github.fault(fault));
            assert_eq!(world.fix_this().await, outcome);
            let notices = world.run().await.notices().iter().map(|notice| format!("\nnotice: {notice}")).collect::<String>();
            world.stable(&format!("{}{notices}", world.page().await)).await
        })
        .await
}

#[tokio::test]
async fn a_push_that_is_refused_fails_the_run_and_opens_nothing() {
    let fault = Fault::refuse_push("octo/rocket", "no pushes on Fridays");
    insta::assert_snapshot!(with_faults(vec![fault], Outcome::Failed).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Failed.** Pushing the branch: hook declined; no pushes on Fridays; error: hook declined to update refs/heads/codex/1-the-mean-of-a-list-is-wrong-job.

        The model's last words:

        > It divided by one too few. Now it divides by the number of values.

        Next step: Check the App's `contents` permission and the rules for branches, then ask again.

        <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn comments_that_are_refused_do_not_stop_the_pull_request() {
    let fault = Fault::refuse("POST", COMMENTS, 403, "Resource not accessible by integration").times(20);
    insta::assert_snapshot!(with_faults(vec![fault], Outcome::Proven).await, @r"
    mona: (eyes)
        @codex fix this

    draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
    check patchwright (success): Proven: The tests failed on the base and pass with the patch; the harness ran both.
    notice: Writing the comment: GitHub answered 403 Resource not accessible by integration.
    ");
}

#[tokio::test]
async fn a_pull_request_that_is_refused_fails_the_run() {
    let fault = Fault::refuse("POST", PULLS, 403, "Resource not accessible by integration").times(20);
    insta::assert_snapshot!(with_faults(vec![fault], Outcome::Failed).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Failed.** Opening the pull request: GitHub answered 403 Resource not accessible by integration.

        The model's last words:

        > It divided by one too few. Now it divides by the number of values.

        The branch `codex/1-the-mean-of-a-list-is-wrong-job` was pushed before that.

        Next step: Check the App's permissions and whether the repository is archived or the conversation locked.

        <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_check_that_is_refused_does_not_stop_the_pull_request() {
    let fault = Fault::refuse("POST", CHECKS, 403, "Resource not accessible by integration").times(20);
    insta::assert_snapshot!(with_faults(vec![fault], Outcome::Proven).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Proven.** The tests failed on the base and pass with the patch; the harness ran both.

        Pull request: https://github.test/octo/rocket/pull/2

        Next step: Review the pull request.

        <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>

    draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
    notice: Setting the check run: GitHub answered 403 Resource not accessible by integration.
    ");
}

#[tokio::test]
async fn answers_that_are_lost_make_nothing_twice() {
    Setup::default()
        .play(async |world| {
            for path in [COMMENTS, PULLS, CHECKS] {
                world.github.fault(Fault::lose_answer("POST", path));
            }
            assert_eq!(world.fix_this().await, Outcome::Proven);
            world.last_words().await;
            assert_eq!((world.github.pull_requests(world.repo).len(), world.github.check_runs(world.repo).len()), (1, 1));
        })
        .await;
}

#[tokio::test]
async fn a_rate_limit_puts_the_work_off_and_loses_nothing() {
    Setup::default()
        .play(async |world| {
            world.github.fault(Fault::rate_limit("GET", COMMENTS, 403, 300));
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            assert_eq!((world.run().await.outcome(), world.model.requests().len()), (None, 0));
            world.clock.pass(at_latest(300));
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
        })
        .await;
}

#[tokio::test]
async fn a_rate_limit_puts_the_decision_off_and_loses_nothing() {
    Setup::default()
        .play(async |world| {
            world.github.fault(Fault::rate_limit("GET", "/repos/octo/rocket/collaborators/*", 429, 120));
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            assert_eq!(
                world
                    .tools
                    .store
                    .open_jobs(world.repo.0, patchwright_domain::event::IssueNumber(ISSUE))
                    .await
                    .expect("it can be asked"),
                []
            );
            world.clock.pass(at_latest(120));
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
        })
        .await;
}

#[tokio::test]
async fn a_limit_on_writing_puts_the_effect_off_and_does_it_once() {
    Setup::default()
        .play(async |world| {
            world.github.fault(Fault::rate_limit("POST", PULLS, 403, 300));
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            assert_eq!((world.run().await.outcome(), world.github.pull_requests(world.repo).len()), (None, 0));
            let n_asked = world.github.exchanges().len();
            world.comment(MAINTAINER, "@codex fix this, too");
            world.work().await;
            assert_eq!(world.github.exchanges().len(), n_asked, "the limit is the installation's");
            world.clock.pass(at_latest(300));
            world.work().await;
            assert_eq!((world.outcome().await, world.jobs().await.len()), (Outcome::Proven, 1));
            assert_eq!(world.said_on(ISSUE).await.len(), 2, "the result, and why nothing came of the second request");
            assert_eq!((world.github.pull_requests(world.repo).len(), world.github.check_runs(world.repo).len()), (1, 1));
        })
        .await;
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_is_found_done() {
    Setup::default()
        .play(async |world| {
            let push = Fault::lose_answer("POST", "/octo/rocket.git/git-receive-pack");
            assert_eq!(push.effect, Effect::Applied);
            world.github.fault(push);
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            assert_eq!((world.run().await.outcome(), world.own_branches().len()), (None, 1));
            world.clock.pass(at_latest(600));
            world.work().await;
            assert_eq!((world.outcome().await, world.own_branches().len()), (Outcome::Proven, 1));
        })
        .await;
}

#[tokio::test]
async fn an_installation_that_is_suspended_meanwhile_fails_the_run() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            world.github.suspend("octo").expect("the App is installed");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Failed);
            assert_eq!((world.own_branches().len(), world.model.requests().len()), (0, 0));
            insta::assert_snapshot!(world.run().await.notices().join("\n"), @"Writing the comment: GitHub answered 403 This installation has been suspended.");
        })
        .await;
}
