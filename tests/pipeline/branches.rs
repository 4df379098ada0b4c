//! Pull requests to branches that the default branch's policy does not name.

use patchwright_domain::journal::Outcome;

use super::on_pulls::BROKEN;
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{MAINTAINER, READER, SAMPLE, Setup, World};

const PATH: &str = SAMPLE[0].0;

/// The sample, mended, under a policy that names the branches that pull requests must go to.
fn naming(branches: &str) -> Setup {
    let text = format!("commands:\n  test: sh tests/run.sh\ntriggers: {{branches: {branches}, checks: all}}\n");
    Setup::default().file(MENDED).file((PATH, Box::leak(text.into_boxed_str()), false))
}

/// A pull request that breaks the tests and goes to `release/1`.
async fn to_a_release(world: &World) -> u64 {
    world.push("release/1", &[("NEWS", "One.\n", false)]).await;
    world.push("mend", &[BROKEN]).await;
    let opened = world.github.open_pull_request(world.repo, MAINTAINER, "Break it", "mend", "release/1").await;
    opened.expect("both branches are there")
}

#[tokio::test]
async fn a_command_on_a_pull_request_to_another_branch_is_refused_with_one_answer() {
    naming("[main]")
        .play(async |world| {
            let pull = to_a_release(world).await;
            world.ask(pull, READER, "@codex fix this");
            world.work().await;
            assert_eq!(world.said_on(pull).await, Vec::<String>::new(), "a stranger hears nothing");
            world.ask(pull, MAINTAINER, "@codex fix this");
            world.work().await;
            let said = world.said_on(pull).await;
            assert_eq!(said.len(), 1, "{said:?}");
            let because = "`triggers.branches` of the policy file does not name `release/1`, which the pull request is to go to";
            assert!(said[0].contains(because), "{said:?}");
            assert_eq!((world.jobs().await.len(), world.model.requests().len()), (0, 0));
            world.ask(pull, MAINTAINER, "@codex help");
            world.work().await;
            assert_eq!(world.said_on(pull).await.len(), 2, "help is heard everywhere");
        })
        .await;
}

#[tokio::test]
async fn what_asks_without_words_is_ignored_there_with_the_reason() {
    naming("[main]")
        .play(async |world| {
            let pull = to_a_release(world).await;
            let because = "`triggers.branches` of the policy file does not name `release/1`";
            world.github.label(world.repo, pull, MAINTAINER, "codex").expect("it is there");
            world.work().await;
            assert!(world.reason().await.starts_with(because), "{}", world.reason().await);
            world.github.report_check(world.repo, "mend", "test", "failure", "").expect("the branch is there");
            world.work().await;
            assert!(world.reason().await.starts_with(because), "{}", world.reason().await);
            assert_eq!((world.jobs().await.len(), world.said_on(pull).await.len()), (0, 0));
        })
        .await;
}

#[tokio::test]
async fn pull_requests_to_branches_that_are_named_and_issues_are_worked_on() {
    naming("[release/*]")
        .play(async |world| {
            let pull = to_a_release(world).await;
            world.ask(pull, MAINTAINER, "@codex fix this");
            world.work().await;
            assert_eq!(world.last_outcome().await, Some(Outcome::Proven), "{:?}", world.said_on(pull).await);
            let issue = world.open_issue("Another");
            world.github.comment(world.repo, issue, MAINTAINER, "@codex fix this").expect("the issue is there");
            world.work().await;
            assert_eq!(world.jobs().await.len(), 2, "an issue goes to no branch");
        })
        .await;
}
