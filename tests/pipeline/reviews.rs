//! Reviews that are asked for: what an agent finds in a pull request stands beside its lines, and nothing else comes of it.

use std::sync::Arc;

use patchwright::egress::{Egress, Settings};
use patchwright::model::scripted::Step;
use patchwright::rehearsal::fault::Fault;
use patchwright::rehearsal::scene::Review;
use patchwright_domain::job::{Mode, Task};
use patchwright_domain::journal::Outcome;
use serde_json::{Value, json};

use super::on_pulls::{BROKEN, NOTES, propose_from_fork};
use crate::egress::world::{near, origin, settings};
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{File, ISSUE, MAINTAINER, READER, Setup, World};

/// A model that looks at a file and finds this.
fn finds(findings: &[Value]) -> Setup {
    let arguments = json!({ "summary": "It is *not* correct.", "findings": findings }).to_string();
    let done = Step::Call { name: "done".into(), arguments };
    Setup::model([Step::Shell("cat mean.sh".into()), done]).file(MENDED)
}

/// Something that is found in these lines of the file that the pull request changes.
fn finding(path: &str, lines: (u32, u32), suggestion: Option<&str>) -> Value {
    let mut finding = json!({
        "title": "The mean is divided by one too few", "body": "It is wrong for every list.", "priority": 1,
        "confidence": 0.9, "path": path, "line": lines.0, "last_line": lines.1,
    });
    if let Some(lines) = suggestion {
        finding["suggestion"] = lines.into();
    }
    finding
}

fn reviews(world: &World, number: u64) -> Vec<Review> {
    world.github.reviews(world.repo, number)
}

/// The line of the broken file that is wrong, and what it says where it is right.
fn wrong_line() -> (u32, &'static str) {
    let at = |text: &'static str, other: &str| text.lines().zip(other.lines()).position(|(one, other)| one != other);
    let index = at(BROKEN.1, MENDED.1).expect("they differ");
    (u32::try_from(index + 1).expect("a short file"), MENDED.1.lines().nth(index).expect("it is there"))
}

#[tokio::test]
async fn a_review_stands_beside_the_lines_of_the_pull_request() {
    let (line, right) = wrong_line();
    let found = [finding("mean.sh", (line, line), Some(right)), finding("tests/run.sh", (1, 1), None)];
    finds(&found)
        .play(async |world| {
            let (number, head) = world.propose(&[BROKEN, NOTES]).await;
            world.ask(number, MAINTAINER, "@codex review the arithmetic");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Answered, "{:?}", world.said_on(number).await);
            let made = reviews(world, number);
            let [Review { body, state, commit, comments, .. }] = &made[..] else { panic!("one review, not {made:?}") };
            assert_eq!((*state, commit), ("commented", &head));
            insta::assert_snapshot!(world.stable(body).await, @r"
            **2 findings** in `BASE`: 1 beside its lines, and here the others.

            > It is *not* correct.

            **P1:** The mean is divided by one too few

            It is wrong for every list.

            `tests/run.sh:1` 90 % sure, says the model.

            <sub>For `mona`, who asked. This is the opinion of `scripted`, which nobody has checked: no test was run on it by the harness. Job JOB.</sub>
            <!-- patchwright:JOB/review -->
            ");
            assert_eq!((comments.len(), comments[0].path.as_str(), comments[0].line), (1, "mean.sh", u64::from(line)));
            insta::assert_snapshot!(world.stable(&comments[0].body).await, @r"
            **P1:** The mean is divided by one too few

            It is wrong for every list.

            ```suggestion
            echo $((sum / $#))
            ```

            <sub>90 % sure, says the model.</sub>
            <!-- patchwright:JOB/review -->
            ");
            insta::assert_snapshot!(world.said_on(number).await.join("\n=====\n"), @r"
            **Answered.** The agent has reviewed the pull request; no file was changed.

            Review: https://github.test/octo/rocket/pull/2#pullrequestreview-25000000147

            - P1: `mean.sh:4` The mean is divided by one too few
            - P1: `tests/run.sh:1` The mean is divided by one too few

            Next step: Read the review; what it finds is the model's opinion.

            <sub>2 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
            ");
            let brief = world.briefs().remove(0);
            assert!(brief.contains("Review what it changes, which the difference below shows"), "{brief}");
            assert!(brief.contains("the request of the maintainer who called you\nthe arithmetic"), "{brief}");
            assert!(
                brief.contains("diff --git a/mean.sh b/mean.sh") && brief.contains("\n+Nothing of this is tested."),
                "{brief}"
            );
            assert_eq!((world.own_branches().len(), world.github.pull_requests(world.repo).len()), (0, 1));
            assert_eq!(world.github.check_runs(world.repo).len(), 0);
        })
        .await;
}

#[tokio::test]
async fn what_a_fork_proposes_is_reviewed_as_well() {
    finds(&[])
        .play(async |world| {
            let (number, head) = propose_from_fork(world, &[BROKEN]).await;
            world.ask(number, READER, "@codex review");
            world.ask(number, MAINTAINER, "@codex review");
            world.work().await;
            assert_eq!((world.outcome().await, world.jobs().await.len()), (Outcome::Answered, 1), "strangers ask for nothing");
            let made = reviews(world, number);
            assert!(made.len() == 1 && made[0].commit == head, "{made:?}");
            assert!(made[0].body.starts_with("Nothing was found in "), "{}", made[0].body);
            assert!(matches!(world.job().await.task, Task::WorkOnPull { branch: None, mode: Mode::Review, .. }));
        })
        .await;
}

#[tokio::test]
async fn an_issue_is_nothing_to_review() {
    finds(&[])
        .play(async |world| {
            world.ask(ISSUE, MAINTAINER, "@codex review");
            world.work().await;
            insta::assert_snapshot!(world.said_on(ISSUE).await.join("\n=====\n"), @r"
            `review` is of pull requests. `@codex ask` answers a question about the code here.

            <sub>For `mona`. Job JOB.</sub>
            ");
            assert!(world.briefs().is_empty());
        })
        .await;
}

/// Lines that would break the file are offered to nobody.
#[tokio::test]
async fn no_lines_are_suggested_that_would_break_a_file() {
    const CODE: File = ("add.py", "def add(a, b):\n    return a - b\n", false);
    for (suggestion, is_offered) in [("    return a + b", true), ("    return (a + b", false)] {
        finds(&[finding("add.py", (2, 2), Some(suggestion))])
            .play(async |world| {
                let (number, _) = world.propose(&[CODE]).await;
                world.ask(number, MAINTAINER, "@codex review");
                world.work().await;
                let made = reviews(world, number);
                assert_eq!(made.len(), 1, "{:?}", world.said_on(number).await);
                assert_eq!(made[0].comments.len(), 1, "{suggestion}: {made:?}");
                let body = &made[0].comments[0].body;
                assert_eq!(body.contains(&format!("```suggestion\n{suggestion}\n```")), is_offered, "{suggestion}: {body}");
            })
            .await;
    }
}

/// Where no patch of an agent's goes, no line is offered either.
#[tokio::test]
async fn no_lines_are_suggested_where_no_patch_may_go() {
    const POLICY: File =
        (".github/patchwright.yml", "paths:\n  protected: [\"*.sql\"]\ncommands:\n  test: sh tests/run.sh\n", false);
    for (path, is_offered) in [("notes", true), ("all.sql", false), (".github/workflows/ci.yml", false), ("AGENTS.md", false)] {
        finds(&[finding(path, (1, 1), Some("other words"))])
            .file(POLICY)
            .play(async |world| {
                let (number, _) = world.propose(&[(path, "words\n", false)]).await;
                world.ask(number, MAINTAINER, "@codex review");
                world.work().await;
                let made = reviews(world, number);
                assert_eq!((made.len(), made[0].comments.len()), (1, 1), "{path}: {made:?}");
                assert_eq!(made[0].comments[0].body.contains("```suggestion"), is_offered, "{path}");
            })
            .await;
    }
}

#[tokio::test]
async fn what_is_pushed_before_the_review_is_not_what_was_asked_about() {
    finds(&[finding("mean.sh", (1, 1), None)])
        .play(async |world| {
            let (number, _) = world.propose(&[BROKEN]).await;
            world.ask(number, MAINTAINER, "@codex review");
            world.decide().await;
            world.push("mend", &[NOTES]).await;
            world.work().await;
            assert_eq!((world.outcome().await, reviews(world, number).len()), (Outcome::Superseded, 0));
        })
        .await;
}

/// It is about the commit that was looked at, and says so where there is another one by now.
#[tokio::test]
async fn a_review_says_that_the_pull_request_has_moved_on() {
    finds(&[])
        .play(async |world| {
            let (number, head) = world.propose(&[BROKEN]).await;
            world.ask(number, MAINTAINER, "@codex review");
            world.work_while(async || drop(world.push("mend", &[NOTES]).await)).await;
            let now = world.github.branches(world.repo)["mend"].clone();
            let made = reviews(world, number);
            let [Review { body, commit, .. }] = &made[..] else { panic!("one review, not {made:?}") };
            assert_eq!(commit, &head);
            assert!(body.contains(&format!("#{number} has moved on to `{}` since then.", &now[..10])), "{body}");
        })
        .await;
}

/// What cannot be said beside lines, or at all, is told all the same.
#[tokio::test]
async fn what_github_refuses_of_a_review_is_not_lost() {
    let (line, _) = wrong_line();
    for (refused, n_reviews) in [(1, 1), (2, 0)] {
        finds(&[finding("mean.sh", (line, line), None)])
            .play(async |world| {
                let (number, _) = world.propose(&[BROKEN]).await;
                world.github.fault(Fault::refuse("POST", "*/reviews", 422, "Unprocessable Entity").times(refused));
                world.ask(number, MAINTAINER, "@codex review");
                world.work().await;
                let made = reviews(world, number);
                assert_eq!((world.outcome().await, made.len()), (Outcome::Answered, n_reviews));
                let told = world.said_on(number).await.pop().expect("it is told");
                let place = format!("`mean.sh:{line}` The mean is divided by one too few");
                assert!(told.contains(&place) && told.contains("Review: GitHub did not take it.") == made.is_empty(), "{told}");
                assert!(made.iter().all(|review| review.comments.is_empty() && review.body.contains("mean.sh")), "{made:?}");
            })
            .await;
    }
}

/// For what is only read nothing is set up, so that no proposal's file reaches out.
#[tokio::test]
async fn a_review_needs_no_setup() {
    let (origin, names) = origin().await;
    let settings = Settings { for_patches: false, ..settings(&names, vec![near("registry.test", &origin)]) };
    Setup { egress: Some(Arc::new(Egress::new(settings))), ..finds(&[]) }
        .file((".github/patchwright.yml", "commands:\n  setup: exit 1\n  test: sh tests/run.sh\n", false))
        .play(async |world| {
            let (number, _) = world.propose(&[BROKEN]).await;
            world.ask(number, MAINTAINER, "@codex review");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Answered, "{:?}", world.said_on(number).await);
        })
        .await;
}

#[tokio::test]
async fn wherever_a_worker_dies_there_is_one_review() {
    let (line, right) = wrong_line();
    for n_looks in [0, 12, 15, 18, 21] {
        finds(&[finding("mean.sh", (line, line), Some(right))])
            .play(async |world| {
                let (number, _) = world.propose(&[BROKEN]).await;
                world.ask(number, MAINTAINER, "@codex review");
                world.decide().await;
                world.die_after(n_looks).await;
                world.go_on_elsewhere().await;
                assert_eq!(world.outcome().await, Outcome::Answered, "after {n_looks} looks");
                assert_eq!((reviews(world, number).len(), world.said_on(number).await.len()), (1, 1), "after {n_looks} looks");
            })
            .await;
    }
}

/// What a review has found is told to the agent that is to mend it.
#[tokio::test]
async fn a_fix_behind_a_review_hears_what_that_found() {
    let (line, _) = wrong_line();
    finds(&[finding("mean.sh", (line, line), None)])
        .play(async |world| {
            let (number, _) = world.propose(&[BROKEN]).await;
            world.ask(number, MAINTAINER, "@codex review");
            world.work().await;
            world.clock.pass(10);
            world.ask(number, MAINTAINER, "@codex ask what is wrong?");
            world.work().await;
            let brief = world.briefs().pop().expect("there was one");
            let told = format!("Beside line {line} of `mean.sh`:");
            assert!(brief.contains(&told) && brief.contains("It is wrong for every list."), "{brief}");
        })
        .await;
}
