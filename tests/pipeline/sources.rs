//! Where somebody may write to us beside comments, and what asks without words.

use patchwright::model::scripted::Script;
use patchwright::rehearsal::Order;
use patchwright::rehearsal::review::Remark;
use patchwright_domain::job::{Mode, Task};
use patchwright_domain::journal::Outcome;
use serde_json::json;

use super::on_pulls::BROKEN;
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{File, ISSUE, MAINTAINER, READER, Setup, World, mends};

/// The conclusions of our check runs on the pull request.
fn conclusions(world: &World) -> Vec<String> {
    world.github.check_runs(world.repo).into_iter().filter_map(|check| check.conclusion).collect()
}

/// Reviews the pull request, which mends a line of `mean.sh`, as a whole and beside that line.
fn review(world: &World, pull: u64, user: &str, whole: &str, beside: &str) -> u64 {
    let remarks = [Remark { path: MENDED.0, start_line: None, line: 4, text: beside }];
    let remarks = if beside.is_empty() { &remarks[..0] } else { &remarks };
    world.github.review(world.repo, pull, user, "commented", (whole, remarks)).expect("it shows the line")
}

#[tokio::test]
async fn a_pull_request_may_ask_for_its_own_proof() {
    Setup::default()
        .play(async |world| {
            world.push("mend", &[MENDED]).await;
            let open = async |user, title| {
                let text = (title, "It divided by one too few.\r\n\r\n@codex prove");
                let opened = world.github.open_pull_request_from(world.repo, world.repo, user, text, ("mend", "main")).await;
                opened.expect("both branches are there")
            };
            let theirs = open(READER, "By a stranger").await;
            world.work().await;
            assert_eq!((conclusions(world), world.said_on(theirs).await.len()), (vec![], 0));
            world.github.close_issue(world.repo, theirs, READER).expect("it is there");
            let ours = open(MAINTAINER, "By somebody who may push").await;
            world.work().await;
            assert_eq!((conclusions(world), world.said_on(ours).await.len()), (vec!["success".to_owned()], 1));
            let reactions = world.github.issue(world.repo, ours).expect("it is there").reactions;
            assert_eq!(reactions.len(), 1, "it was heard");
        })
        .await;
}

#[tokio::test]
async fn a_review_may_ask_as_a_whole_and_beside_a_line() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            review(world, pull, READER, "@codex prove", "@codex prove");
            world.work().await;
            assert_eq!(conclusions(world), Vec::<String>::new(), "a stranger has asked");
            review(world, pull, MAINTAINER, "", "Is this right? @codex prove");
            world.work().await;
            assert_eq!(conclusions(world), ["success"]);
            let remarks = world.github.review_comments(world.repo, pull);
            assert_eq!(remarks.iter().map(|remark| remark.reactions.len()).collect::<Vec<_>>(), [0, 1], "it was heard");
            let said = review(world, pull, MAINTAINER, "Well.", "");
            world.work().await;
            world.github.edit_review(world.repo, said, MAINTAINER, "Well. @codex prove").expect("it is there");
            world.work().await;
            assert_eq!(world.said_on(pull).await.len(), 2, "each request has its own answer");
            let reactions = world.github.issue(world.repo, pull).expect("it is there").reactions;
            assert_eq!(reactions.len(), 1, "GitHub takes none on a review");
        })
        .await;
}

/// GitHub tells of a review as a whole and of each comment in it, in any order, and each may ask.
#[tokio::test]
async fn a_review_starts_one_job_at_most() {
    for order in [Order::AsHappened, Order::Reversed] {
        Setup::default()
            .play(async |world| {
                let (pull, _) = world.propose(&[MENDED]).await;
                world.work().await;
                world.github.hold_webhooks();
                review(world, pull, MAINTAINER, "@codex prove", "@codex prove it all");
                world.github.release_webhooks(order);
                world.work().await;
                assert_eq!((conclusions(world), world.said_on(pull).await.len()), (vec!["success".to_owned()], 1));
                let asked = world.github.deliveries().into_iter().filter(|told| told.event.starts_with("pull_request_review"));
                let again: Vec<String> = asked.map(|told| told.guid).collect();
                assert_eq!(again.len(), 2);
                for guid in &again {
                    world.github.redeliver(guid).expect("it is in the log");
                }
                world.work().await;
                assert_eq!(world.jobs().await.len(), 1);
            })
            .await;
    }
}

#[tokio::test]
async fn a_pull_request_that_is_closed_is_not_proven_any_more() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            world.ask(pull, MAINTAINER, "@codex prove");
            world.decide().await;
            world.github.close_issue(world.repo, pull, MAINTAINER).expect("it is there");
            world.work().await;
            let (_, run) = world.last_run().await;
            assert_eq!((run.outcome(), conclusions(world)), (Some(Outcome::Cancelled), vec![]));
        })
        .await;
}

#[tokio::test]
async fn an_issue_that_is_assigned_to_us_is_fixed() {
    Setup::default()
        .file((".github/patchwright.yml", "triggers: {assignee: codex}\ncommands: {test: sh tests/run.sh}\n", false))
        .play(async |world| {
            for assignee in ["ada", "codex"] {
                world.github.assign(world.repo, ISSUE, MAINTAINER, assignee).expect("it is there");
                world.work().await;
                assert_eq!(world.jobs().await.len(), usize::from(assignee == "codex"));
            }
            assert_eq!(world.outcome().await, Outcome::Proven);
            assert_eq!(world.github.issue(world.repo, ISSUE).expect("it is there").reactions.len(), 1, "it was heard");
        })
        .await;
}

/// Whoever puts the label on a pull request, assigns it or asks for a review asks for work on what it proposes.
#[tokio::test]
async fn a_pull_request_is_worked_on_without_words() {
    const POLICY: File =
        (".github/patchwright.yml", "triggers:\n  assignee: our-bot\ncommands:\n  test: sh tests/run.sh\n", false);
    type Ask = fn(&World, u64);
    let asks: [(Ask, Mode); 3] = [
        (|world, pull| world.github.label(world.repo, pull, MAINTAINER, "codex").expect("it is there"), Mode::Fix),
        (|world, pull| world.github.assign(world.repo, pull, MAINTAINER, "our-bot").expect("it is there"), Mode::Fix),
        (|world, pull| world.github.request_review(world.repo, pull, MAINTAINER, "our-bot").expect("it is there"), Mode::Review),
    ];
    for (ask, mode) in asks {
        Setup { script: Script::of(mends()), ..Setup::default() }
            .file(MENDED)
            .file(POLICY)
            .play(async |world| {
                let (pull, _) = world.propose(&[BROKEN]).await;
                ask(world, pull);
                world.work().await;
                let outcome = if mode == Mode::Fix { Outcome::Proven } else { Outcome::Answered };
                assert_eq!(world.outcome().await, outcome, "{:?}", world.said_on(pull).await);
                assert!(matches!(world.job().await.task, Task::WorkOnPull { mode: how, .. } if how == mode));
                let issue = world.github.issue(world.repo, pull).expect("it is there");
                assert_eq!((issue.reactions.len(), world.said_on(pull).await.len()), (1, 1), "it was heard");
            })
            .await;
    }
}

/// A workflow or a tool of the repository's sends a command with its token; what it may do is what the token's owner may.
#[tokio::test]
async fn a_program_sends_a_command() {
    Setup::default()
        .play(async |world| {
            let send = |user, kind, payload| world.github.dispatch(world.repo, user, kind, payload).expect("it is there");
            send(READER, "patchwright", json!({"issue": ISSUE, "command": "fix this"}));
            send(MAINTAINER, "deploy", json!({"issue": ISSUE, "command": "fix this"}));
            send(MAINTAINER, "patchwright", json!({"issue": ISSUE, "pull_request": ISSUE, "command": "fix this"}));
            send(MAINTAINER, "patchwright", json!({"command": "fix this"}));
            send(MAINTAINER, "patchwright", json!({}));
            world.work().await;
            assert_eq!((world.jobs().await.len(), world.said_on(ISSUE).await.len()), (0, 0));
            send(MAINTAINER, "patchwright", json!({"issue": ISSUE, "command": "fix this"}));
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            send(MAINTAINER, "patchwright", json!({"pull_request": 2, "command": "prove"}));
            world.work().await;
            assert_eq!(conclusions(world), ["success", "success"], "of the patch, and of its proof");
        })
        .await;
}

/// Somebody starts a workflow with a command among its inputs; what it may do is what that account may.
#[tokio::test]
async fn a_workflow_that_is_started_sends_a_command() {
    Setup::default()
        .play(async |world| {
            let start = |user, inputs| world.github.start_workflow(world.repo, user, "ask.yml", inputs).expect("it is there");
            let issue = ISSUE.to_string();
            start(READER, json!({"patchwright": "fix this", "issue": issue}));
            world.work().await;
            assert!(world.reason().await.starts_with("eve has the role read here"), "{}", world.reason().await);
            start(MAINTAINER, serde_json::Value::Null);
            world.work().await;
            assert_eq!(world.reason().await, "the workflow's inputs hold no `patchwright`");
            assert_eq!((world.jobs().await.len(), world.said_on(ISSUE).await.len()), (0, 0));
            start(MAINTAINER, json!({"patchwright": "fix this", "issue": issue}));
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            let reactions = world.github.issue(world.repo, ISSUE).expect("it is there").reactions;
            assert_eq!(reactions.len(), 1, "it was heard");
            start(MAINTAINER, json!({"patchwright": "prove", "issue": "2", "pull_request": "true"}));
            world.work().await;
            assert_eq!(conclusions(world), ["success", "success"], "of the patch, and of its proof");
        })
        .await;
}

/// To GitHub a pull request is an issue too, but it is not worked on by the rules for issues.
#[tokio::test]
async fn a_pull_request_that_a_program_calls_an_issue_is_not_worked_on() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            let send = |payload| world.github.dispatch(world.repo, MAINTAINER, "patchwright", payload).expect("it is there");
            send(json!({"issue": pull, "command": "fix this"}));
            world.work().await;
            let said = world.said_on(pull).await;
            assert!(said.len() == 1 && said[0].contains("names it as `pull_request`"), "{said:?}");
            let inputs = json!({"patchwright": "prove", "issue": pull.to_string()});
            world.github.start_workflow(world.repo, MAINTAINER, "ask.yml", inputs).expect("it is there");
            world.work().await;
            assert_eq!((world.said_on(pull).await.len(), conclusions(world), world.model.requests().len()), (2, vec![], 0));
        })
        .await;
}

#[tokio::test]
async fn where_programs_are_not_heard_a_workflow_is_not_either() {
    let narrow = (".github/patchwright.yml", "commands: {test: sh tests/run.sh}\ntriggers: {sources: [comment]}\n", false);
    Setup::default()
        .file(narrow)
        .play(async |world| {
            let inputs = json!({"patchwright": "fix this", "issue": ISSUE.to_string()});
            world.github.start_workflow(world.repo, MAINTAINER, "ask.yml", inputs).expect("it is there");
            world.work().await;
            let said = world.said_on(ISSUE).await;
            assert!(said.len() == 1 && said[0].contains("does not name `dispatch`"), "{said:?}");
            assert_eq!(world.jobs().await.len(), 0);
        })
        .await;
}
