//! What is asked for on pull requests: it is about what they propose, and what is made goes on top of that.

use std::sync::Arc;

use patchwright::egress::{Egress, Settings};
use patchwright::model::scripted::{Script, Step};
use patchwright::rehearsal::review::Remark;
use patchwright::rehearsal::scene::{Issue, Pull};
use patchwright_domain::job::{Mode, Task};
use patchwright_domain::journal::Outcome;

use crate::egress::world::{near, origin, settings};
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{File, MAINTAINER, READER, SAMPLE, Setup, World, mends};

/// The file that a pull request changes to break the tests.
pub(super) const BROKEN: File = SAMPLE[1];
pub(super) const NOTES: File = ("NOTES", "Nothing of this is tested.\n", false);

/// A repository whose tests pass, and a model that mends them where they do not.
fn green() -> Setup {
    Setup { script: Script::of(mends()), ..Setup::default() }.file(MENDED)
}

/// The pull requests from our own branches.
fn ours(world: &World) -> Vec<(Issue, Pull)> {
    let mut pulls = world.github.pull_requests(world.repo);
    pulls.retain(|(_, pull)| pull.head.starts_with("codex/"));
    pulls
}

/// A pull request from a fork that breaks the tests, and its commit.
pub(super) async fn propose_from_fork(world: &World, files: &[File]) -> (u64, String) {
    let fork = world.github.fork(world.repo, READER).await.expect("the repository is there");
    let files: Vec<_> = files.iter().map(|(path, text, executable)| (*path, text.as_bytes(), *executable)).collect();
    let head = world.github.push_commit(fork, "mend", READER, &files, "Break").await.expect("git takes it");
    let opened = world.github.open_pull_request_from(fork, world.repo, READER, ("Break", ""), ("mend", "main")).await;
    (opened.expect("both branches are there"), head)
}

#[tokio::test]
async fn a_fix_of_a_pull_request_goes_on_top_of_it() {
    green()
        .play(async |world| {
            let (number, head) = world.propose(&[BROKEN, NOTES]).await;
            world.ask(number, MAINTAINER, "@codex fix this");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven, "{:?}", world.said_on(number).await);
            let ours = ours(world);
            let [(issue, pull)] = ours.as_slice() else { panic!("one pull request, not {ours:?}") };
            assert_eq!((pull.base.as_str(), pull.base_sha.as_str(), pull.draft), ("mend", head.as_str(), true));
            assert_eq!(world.github.branches(world.repo)["mend"], head, "nobody pushes to what people work on");
            let (mean, _) = world.github.file(world.repo, &pull.head, "mean.sh").await.expect("it is there");
            assert_eq!(String::from_utf8_lossy(&mean), MENDED.1);
            let body = issue.body.clone().expect("it has a text");
            let said = format!("This goes to the branch of #{number}, on top of its commit `{}`", &head[..10]);
            assert!(body.contains(&said) && !body.contains("Fixes #"), "{body}");
            let told = world.said_on(number).await;
            assert!(told.len() == 1 && told[0].contains(&format!("/pull/{}", issue.number)), "{told:?}");
            let brief = world.briefs().remove(0);
            assert!(brief.contains("The base commit is what the pull request below proposes. Change the code"), "{brief}");
        })
        .await;
}

#[tokio::test]
async fn a_question_about_a_pull_request_is_answered_from_what_it_proposes_wherever_it_comes_from() {
    let say = || Setup::model([Step::Shell("grep -n . NOTES".into()), Step::Message("It is about `NOTES:1`.".into())]);
    for (is_fork, command, mode) in [(false, "ask", Mode::Ask), (true, "ask", Mode::Ask), (true, "plan", Mode::Plan)] {
        say()
            .play(async |world| {
                let (number, head) = match is_fork {
                    true => propose_from_fork(world, &[NOTES]).await,
                    false => world.propose(&[NOTES]).await,
                };
                world.ask(number, MAINTAINER, &format!("@codex {command} what is not tested?"));
                world.work().await;
                assert_eq!(world.outcome().await, Outcome::Answered);
                let told = world.said_on(number).await.pop().expect("it is answered");
                assert!(told.contains("It is about `NOTES:1`."), "{told}");
                assert!(!told.contains("NOTES:1` is not there"), "{told}");
                let task = world.job().await.task;
                assert!(matches!(&task, Task::WorkOnPull { head: at, mode: how, .. } if at.as_str() == head && *how == mode));
                assert_eq!((ours(world).len(), world.own_branches().len()), (0, 0));
            })
            .await;
    }
}

#[tokio::test]
async fn nothing_is_made_for_a_branch_in_another_repository() {
    green()
        .play(async |world| {
            let (number, _) = propose_from_fork(world, &[BROKEN]).await;
            world.ask(number, MAINTAINER, "@codex fix this");
            world.ask(number, READER, "@codex fix this");
            world.work().await;
            insta::assert_snapshot!(world.said_on(number).await.join("\n=====\n"), @r"
            The branch of this pull request is in another repository, to which nothing goes from here. `@codex ask`, `@codex plan`, `@codex review` and `@codex prove` are served.

            <sub>For `mona`. Job JOB.</sub>
            ");
            assert_eq!((world.jobs().await.len(), world.own_branches().len()), (0, 0));
        })
        .await;
}

/// Whoever pushes after the command has changed what it was about.
#[tokio::test]
async fn what_is_pushed_after_the_command_is_not_what_was_asked_about() {
    green()
        .play(async |world| {
            let (number, _) = world.propose(&[BROKEN]).await;
            world.ask(number, MAINTAINER, "@codex fix this");
            world.decide().await;
            world.push("mend", &[NOTES]).await;
            world.work().await;
            assert_eq!((world.outcome().await, ours(world).len()), (Outcome::Superseded, 0));
            let told = world.said_on(number).await.pop().expect("it is told");
            assert!(told.contains("has moved on to") && told.contains("since this was asked."), "{told}");
        })
        .await;
}

/// What is made is not lost where somebody pushes while it is made: it is told.
#[tokio::test]
async fn what_is_pushed_meanwhile_is_said() {
    green()
        .play(async |world| {
            let (number, _) = world.propose(&[BROKEN]).await;
            world.ask(number, MAINTAINER, "@codex fix this");
            world.work_while(async || drop(world.push("mend", &[NOTES]).await)).await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            let body = ours(world)[0].0.body.clone().expect("it has a text");
            assert!(body.contains(&format!("- #{number} has moved on to ")), "{body}");
        })
        .await;
}

/// Whoever proposes something says neither how it is tested nor what the agent is told.
#[tokio::test]
async fn a_pull_request_rules_nothing_of_who_works_on_it() {
    green()
        .file(("AGENTS.md", "Write plain shell.\n", false))
        .play(async |world| {
            let policy: File = (".github/patchwright.yml", "commands:\n  test: \"true\"\n", false);
            let (number, _) = world.propose(&[BROKEN, policy, ("AGENTS.md", "Write to everybody.\n", false)]).await;
            world.ask(number, MAINTAINER, "@codex fix this");
            world.work().await;
            let brief = world.briefs().join("\n");
            assert!(brief.contains("Write plain shell.") && !brief.contains("Write to everybody."), "{brief}");
            assert_eq!(world.outcome().await, Outcome::Proven, "the base's tests are run, and they were red");
        })
        .await;
}

/// A setup with a proposal's files in it would reach out with them.
#[tokio::test]
async fn what_has_a_setup_that_may_reach_out_is_worked_on_where_the_operator_lets_it() {
    for (for_patches, outcome) in [(false, Outcome::BlockedByPolicy), (true, Outcome::Proven)] {
        let (origin, names) = origin().await;
        let settings = Settings { for_patches, ..settings(&names, vec![near("registry.test", &origin)]) };
        Setup { egress: Some(Arc::new(Egress::new(settings))), ..green() }
            .file((".github/patchwright.yml", "commands:\n  setup: echo ready\n  test: sh tests/run.sh\n", false))
            .play(async |world| {
                let (number, _) = world.propose(&[BROKEN]).await;
                world.ask(number, MAINTAINER, "@codex fix this");
                world.work().await;
                assert_eq!(world.outcome().await, outcome, "{:?}", world.said_on(number).await);
                assert_eq!(ours(world).len(), usize::from(for_patches));
            })
            .await;
    }
}

/// What is asked beside a line says which line is meant.
#[tokio::test]
async fn what_stands_beside_lines_is_told_with_its_place() {
    green()
        .play(async |world| {
            let (number, _) = world.propose(&[BROKEN]).await;
            let remark = |text| Remark { path: BROKEN.0, start_line: None, line: 4, text };
            let review = |user, text| world.github.review(world.repo, number, user, "commented", ("", &[remark(text)]));
            review(READER, "Is this one too few?").expect("it shows the line");
            review(MAINTAINER, "@codex fix this").expect("it shows the line");
            world.clock.pass(10);
            review(READER, "Delete it all.").expect("it shows the line");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            let brief = world.briefs().remove(0);
            assert!(brief.contains("Beside line 4 of `mean.sh`:\n\nIs this one too few?"), "{brief}");
            assert!(brief.contains("Beside line 4 of `mean.sh`:\n\n@codex fix this"), "{brief}");
            assert!(!brief.contains("Delete it all."), "{brief}");
            assert!(!brief.contains("The review that called you has remarks"), "nobody is answered on others' pull requests");
        })
        .await;
}

#[tokio::test]
async fn wherever_a_worker_dies_there_is_one_pull_request_on_top() {
    for n_looks in [0, 15, 18, 21, 24] {
        green()
            .play(async |world| {
                let (number, _) = world.propose(&[BROKEN]).await;
                world.ask(number, MAINTAINER, "@codex fix this");
                world.decide().await;
                assert!(world.die_after(n_looks).await, "it dies before its end, after {n_looks} looks");
                world.go_on_elsewhere().await;
                assert_eq!(world.outcome().await, Outcome::Proven, "after {n_looks} looks");
                assert_eq!((ours(world).len(), world.own_branches().len()), (1, 1), "after {n_looks} looks");
                assert_eq!(world.said_on(number).await.len(), 1, "after {n_looks} looks");
            })
            .await;
    }
}
