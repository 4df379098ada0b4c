//! Reviews of our own pull requests: one that wants changes is worked on as a whole, and each of its remarks is answered.

use patchwright::model::scripted::Step;
use patchwright::rehearsal::fault::Fault;
use patchwright::rehearsal::review::Remark;
use patchwright::rehearsal::scene::Role;
use patchwright_domain::journal::Outcome;

use super::own_pulls::opened;
use crate::support::pipeline::{MAINTAINER, READER, Setup, World, mends};

/// A model that mends the mean, and answers a review so.
fn reviewed(script: &str, words: &str) -> Setup {
    let mut setup = Setup::model(mends());
    let steps = vec![Step::Shell(script.into()), Step::Message(words.into())];
    setup.script.for_tasks = vec![("The review that called you has remarks".into(), steps)];
    setup
}

/// The line of the sample that our pull request changes.
fn remark(text: &str) -> Remark<'_> {
    Remark { path: "mean.sh", start_line: None, line: 4, text }
}

fn review(world: &World, number: u64, user: &str, state: &'static str, said: (&str, &[Remark<'_>])) {
    world.github.review(world.repo, number, user, state, said).expect("it shows these lines");
}

/// What we have answered beside lines, with what it answers.
async fn answers(world: &World, number: u64) -> Vec<(String, String)> {
    let all = world.github.review_comments(world.repo, number);
    let mut answers = Vec::new();
    for answer in &all {
        let Some(head) = answer.answers.and_then(|head| all.iter().find(|one| one.id == head)) else { continue };
        let said = answer.body.split("\n<!-- patchwright:").next().unwrap_or_default();
        answers.push((head.body.clone(), world.stable(said).await));
    }
    answers
}

#[tokio::test]
async fn a_review_that_wants_changes_is_worked_on_once_and_each_remark_is_answered() {
    let words = "Both are done.\n\nR1: it says so in NOTES now,\nin one line\n- **R2:** it is left as it is, see @ada.";
    reviewed("echo 'A whole number.' > NOTES", words)
        .play(async |world| {
            let (number, branch, head) = opened(world).await;
            let remarks = [remark("Say somewhere that it is a whole number."), remark("Is this still needed?")];
            review(world, number, MAINTAINER, "changes_requested", ("Nearly there.", &remarks));
            world.work().await;
            for delivery in world.github.deliveries() {
                world.github.redeliver(&delivery.guid).expect("it was sent");
            }
            world.work().await;
            assert_eq!((world.jobs().await.len(), world.last_outcome().await), (2, Some(Outcome::Unproven)));
            assert_eq!(world.below(&world.at(&branch)).await, head, "one commit for all of it");
            let brief = world.briefs().pop().expect("a model was asked");
            for told in
                ["the request of the maintainer who called you\nNearly there.\n", "the review's remark R2 by mona, who may push"]
            {
                assert!(brief.contains(told), "{brief}");
            }
            let told: Vec<String> =
                answers(world, number).await.into_iter().map(|(to, said)| format!("> {to}\n{said}")).collect();
            insta::assert_snapshot!(told.join("\n=====\n"), @r"
            > Say somewhere that it is a whole number.
            it says so in NOTES now,
            in one line

            <sub>Commit HEAD. These are the model's words; nobody has checked them. Job JOB.</sub>
            =====
            > Is this still needed?
            it is left as it is, see `@ada.`

            <sub>Commit HEAD. These are the model's words; nobody has checked them. Job JOB.</sub>
            ");
        })
        .await;
}

/// Nobody is left without a word, and nobody gets one about nothing.
#[tokio::test]
async fn a_remark_of_which_nothing_is_said_is_answered_where_something_was_changed() {
    for (script, words, n_answers) in
        [("echo x > NOTES", "Done.", 2), ("true", "Done.", 0), ("true", "R2: It is right as it is.", 1)]
    {
        reviewed(script, words)
            .play(async |world| {
                let (number, branch, _) = opened(world).await;
                review(world, number, MAINTAINER, "changes_requested", ("", &[remark("Why?"), remark("And this?")]));
                world.work().await;
                let answers = answers(world, number).await;
                assert_eq!(answers.len(), n_answers, "{answers:?}");
                let commit = world.at(&branch);
                for (_, said) in answers {
                    let expected = match script {
                        "true" => "It is right as it is.\n\n<sub>No file was changed. These are the model's words".to_owned(),
                        _ => "The agent says nothing of this by itself.\n\n<sub>Commit HEAD. Job JOB.</sub>".to_owned(),
                    };
                    assert!(said.starts_with(&expected), "{said} {commit}");
                }
            })
            .await;
    }
}

#[tokio::test]
async fn a_review_that_wants_nothing_or_is_of_others_work_starts_nothing() {
    let off = ("triggers: {reviews: false}\ncommands: {test: sh tests/run.sh}\n", "`triggers.reviews` of the policy file is off");
    for (state, user, is_own, policy, because) in [
        ("commented", MAINTAINER, true, None, "the text holds no command to @codex"),
        ("approved", MAINTAINER, true, None, "the text holds no command to @codex"),
        ("changes_requested", READER, true, None, "has the role read here, and write is needed to start a run"),
        ("changes_requested", MAINTAINER, false, None, "a pull request that this App has not opened"),
        ("changes_requested", MAINTAINER, true, Some(off.0), off.1),
    ] {
        let mut setup = reviewed("echo x > NOTES", "Done.");
        if let Some(policy) = policy {
            setup = setup.file((".github/patchwright.yml", policy, false));
        }
        setup
            .play(async |world| {
                let number = match is_own {
                    true => opened(world).await.0,
                    false => {
                        world.push("codex/mine", &[("mean.sh", "#!/bin/sh\n# a\n# b\n# c\n", true)]).await;
                        let pull = world.github.open_pull_request(world.repo, MAINTAINER, "Mine", "codex/mine", "main").await;
                        pull.expect("both branches are there")
                    }
                };
                world.decide().await;
                let n_jobs = world.jobs().await.len();
                review(world, number, user, state, ("Nearly there.", &[]));
                world.work().await;
                assert_eq!(world.jobs().await.len(), n_jobs, "{state} by {user}");
                assert!(world.reason().await.contains(because), "{}", world.reason().await);
            })
            .await;
    }
}

/// Who can push and has too low a role is answered, as one who has called us.
#[tokio::test]
async fn a_reviewer_with_too_low_a_role_is_told_so() {
    reviewed("echo x > NOTES", "Done.")
        .file((".github/patchwright.yml", "triggers: {roles: {fix: maintain}}\ncommands: {test: sh tests/run.sh}\n", false))
        .play(async |world| {
            world.github.set_role(world.repo, MAINTAINER, Role::Maintain).expect("it is there");
            let (number, _, _) = opened(world).await;
            world.github.set_role(world.repo, READER, Role::Write).expect("it is there");
            review(world, number, READER, "changes_requested", ("Nearly there.", &[]));
            world.work().await;
            let told = world.said_on(number).await.pop().expect("it is told");
            assert!(told.starts_with("This takes the role `maintain` here, and you have `write`"), "{told}");
        })
        .await;
}

#[tokio::test]
async fn wherever_a_worker_dies_or_an_answer_is_lost_each_remark_has_one_answer() {
    for n_looks in [0, 18, 20, 22, 24, 26, 28] {
        reviewed("echo x > NOTES", "R1: Done.\nR2: Done, too.")
            .play(async |world| {
                let (number, branch, head) = opened(world).await;
                review(world, number, MAINTAINER, "changes_requested", ("", &[remark("Why?"), remark("And this?")]));
                world.decide().await;
                world.github.fault(Fault::lose_answer("POST", &format!("/repos/octo/rocket/pulls/{number}/comments/*/replies")));
                world.die_after(n_looks).await;
                world.go_on_elsewhere().await;
                let answers = answers(world, number).await;
                assert_eq!(answers.len(), 2, "after {n_looks} looks: {answers:?}");
                assert_eq!(world.below(&world.at(&branch)).await, head, "after {n_looks} looks");
            })
            .await;
    }
}
