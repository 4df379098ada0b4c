//! What somebody may write to us beside `fix` and `prove`, and where.

use std::num::NonZeroU32;
use std::time::Duration;

use patchwright::model::scripted::Step;
use patchwright_domain::journal::Outcome;
use patchwright_domain::policy::rates::Rates;
use tokio::time::timeout;

use crate::support::pipeline::{File, ISSUE, MAINTAINER, READER, Setup, World};

/// Much longer than anybody who works takes to hear that he is to stop.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the bot has said on the issue, oldest first.
async fn said(world: &World) -> Vec<String> {
    world.said_on(ISSUE).await
}

#[tokio::test]
async fn help_is_told_to_those_who_may_give_commands() {
    Setup::default()
        .play(async |world| {
            world.comment(READER, "@codex help");
            world.work().await;
            assert_eq!(said(world).await, Vec::<String>::new());
            world.comment(MAINTAINER, "@codex help");
            let guid = world.github.deliveries().pop().expect("the comment was told").guid;
            world.work().await;
            world.github.redeliver(&guid).expect("it is in the log");
            world.work().await;
            insta::assert_snapshot!(said(world).await.join("\n=====\n"), @r"
            | Write | On | What comes of it |
            |---|---|---|
            | `@codex fix` *this, or what is wanted* | either | a pull request with its proof; on a pull request one that goes to its branch, if that is one of the repository. What somebody writes behind the mention in words of his own is a `fix`, too |
            | `@codex ask` *a question* | either, forks too | an answer, with the places in the files that it rests on; nothing is changed |
            | `@codex plan` *what is wanted* | either, forks too | the steps in which it would be done, with files and tests; nothing is changed |
            | `@codex review` *what is to be looked at* | a pull request, forks too | one review of what it changes, beside its lines, with suggestions where other lines alone mend it; it approves and refuses nothing |
            | `@codex approve` *what is to be different* | either, below a plan | a `fix` that carries out the plan that was made there last; the policy file may want that by a second person |
            | `@codex retry` | either | what was asked for there last is done once more, where it did not succeed: on what is there now, in the same words |
            | `@codex prove` *build, where it mends what does not build or load* | a pull request, of whoever and from wherever, forks too | the proof of what it changes, without any model: the check run `patchwright/proof` on its last commit, and a comment |
            | `@codex stop` | either | what is under way there is given up |
            | `@codex status` | either | what is under way there, how far it is, and what it has used |
            | `@codex help` | either | this table |

            Who may push here may give commands, unless `.github/patchwright.yml` says otherwise.

            <sub>For `mona`. Job JOB.</sub>
            ");
            assert_eq!(world.model.requests().len(), 0, "a model was asked");
        })
        .await;
}

#[tokio::test]
async fn status_is_told_while_the_agent_works_and_when_nothing_is_under_way() {
    Setup::default()
        .play(async |world| {
            let asked = world.fix_this_while(async || {
                world.comment(MAINTAINER, "@codex status");
                world.decide().await;
                assert_eq!(world.worker().drain().await.expect("the store can be asked"), 1, "a reply waits for no other job");
            });
            assert_eq!(asked.await, Outcome::Proven);
            let while_it_works = said(world).await.pop().expect("it is told");
            insta::assert_snapshot!(while_it_works, @r"
            Under way here:

            - Job JOB, `fix`, asked for by `mona`: the agent works, round 1 of 2.

            <sub>For `mona`. Job JOB.</sub>
            ");
            world.comment(MAINTAINER, "@codex status");
            world.work().await;
            insta::assert_snapshot!(said(world).await.pop().expect("it is told"), @r"
            Nothing is under way here.

            <sub>For `mona`. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn stop_ends_what_is_under_way() {
    Setup::default()
        .play(async |world| {
            let asked = world.fix_this_while(async || {
                world.comment(READER, "@codex stop");
                world.decide().await;
                assert_eq!(world.reason().await, "eve has the role read here, and write is needed to start a run");
                world.comment(MAINTAINER, "@codex stop");
                world.decide().await;
            });
            assert_eq!(asked.await, Outcome::Cancelled);
            assert_eq!(world.own_branches(), Vec::<String>::new());
            world.comment(MAINTAINER, "@codex stop");
            world.work().await;
            insta::assert_snapshot!(said(world).await.join("\n=====\n"), @r"
            **Cancelled.** The run was cancelled: mona asked to stop.

            Next step: Ask again when the work is wanted after all.

            <sub>1 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
            =====
            Nothing is under way here that could still be stopped.

            <sub>For `mona`. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn who_stops_and_asks_for_something_else_need_not_wait_in_between() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix something");
            world.comment(MAINTAINER, "@codex stop");
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            let jobs = world.jobs().await;
            assert_eq!(jobs.len(), 2, "{:?}", said(world).await);
            assert_eq!(world.github.pull_requests(world.repo).len(), 1);
            assert!(said(world).await[0].starts_with("**Cancelled.**"));
        })
        .await;
}

#[tokio::test]
async fn stop_is_heard_while_a_model_is_silent() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            let worker = world.worker();
            let never_ends = async {
                world.reach_the_agent().await;
                world.comment(MAINTAINER, "@codex stop");
                world.decide().await;
            };
            let (worked, ()) = timeout(PATIENCE, async { tokio::join!(worker.drain(), never_ends) }).await.expect("it is heard");
            assert_eq!((worked.expect("the store can be asked"), world.outcome().await), (1, Outcome::Cancelled));
        })
        .await;
}

#[tokio::test]
async fn stop_is_heard_while_the_tests_run() {
    const FOR_EVER: File = ("tests/run.sh", "sleep 100000\n", false);
    Setup::default()
        .file(FOR_EVER)
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            let worker = world.worker();
            let never_ends = async {
                // The comment that says what it is about to do.
                while world.github.comments(world.repo, ISSUE).len() < 2 {
                    tokio::task::yield_now().await;
                }
                world.comment(MAINTAINER, "@codex stop");
                world.decide().await;
            };
            let (worked, ()) = timeout(PATIENCE, async { tokio::join!(worker.drain(), never_ends) }).await.expect("it is heard");
            assert_eq!((worked.expect("the store can be asked"), world.outcome().await), (1, Outcome::Cancelled));
        })
        .await;
}

#[tokio::test]
async fn a_question_is_answered_and_nothing_is_changed() {
    let looks = [Step::Shell("cat mean.sh".into()), Step::Message("It divides by one too few: see `mean.sh:4`.".into())];
    Setup::model(looks)
        .play(async |world| {
            world.comment(MAINTAINER, "@codex ask why is the mean of 2, 4 and 6 not 4?");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Answered);
            let brief = world.briefs().remove(0);
            assert!(brief.contains("Answer the question below, which was asked on the issue below."), "{brief}");
            assert!(brief.contains("why is the mean of 2, 4 and 6 not 4?"), "{brief}");
            assert_eq!((world.own_branches().len(), world.github.pull_requests(world.repo).len()), (0, 0));
            insta::assert_snapshot!(said(world).await.join("\n=====\n"), @r"
            **Answered.** The agent answered; no file was changed.

            The model's words, which nobody has checked:

            > It divides by one too few: see `mean.sh:4`.

            Next step: Read the answer.

            <sub>2 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn a_plan_is_written_and_nothing_is_changed() {
    let looks = [Step::Shell("cat mean.sh".into()), Step::Message("1. Divide by `$#` in `mean.sh:4`.".into())];
    Setup::model(looks)
        .play(async |world| {
            world.comment(MAINTAINER, "@codex plan");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Answered);
            assert!(world.briefs().remove(0).contains("Plan how what the issue below asks for would be done."));
            assert_eq!(world.own_branches(), Vec::<String>::new());
        })
        .await;
}

#[tokio::test]
async fn words_of_ones_own_are_a_fix() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex could you divide by the right number?");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            assert!(world.briefs().remove(0).contains("could you divide by the right number?"));
        })
        .await;
}

#[tokio::test]
async fn an_issues_own_text_may_hold_the_command() {
    Setup::default()
        .play(async |world| {
            let open =
                |user, title, text| world.github.open_issue(world.repo, user, title, text).expect("the repository is there");
            open(READER, "The mean is wrong", "@codex fix this");
            world.work().await;
            assert_eq!(world.reason().await, "eve has the role read here, and write is needed to start a run");
            let issue = open(MAINTAINER, "The mean is still wrong", "It is 6.\n\n@codex fix this");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            assert!(world.pull_request_body().await.contains(&format!("Fixes #{issue}")));
            let reactions = world.github.issue(world.repo, issue).expect("it is there").reactions;
            assert_eq!(reactions.iter().map(|reaction| reaction.content.as_str()).collect::<Vec<_>>(), ["eyes"]);
        })
        .await;
}

#[tokio::test]
async fn an_edit_starts_what_it_adds_and_nothing_twice() {
    Setup::default()
        .play(async |world| {
            let comment = world.comment(MAINTAINER, "I shall look at it.");
            let edit = |text| world.github.edit_comment(world.repo, comment, MAINTAINER, text).expect("the comment is there");
            edit("I shall not look at it.\n\n@codex fix this");
            // GitHub tells times in whole seconds: what is edited within one cannot be told from what was asked for.
            world.clock.pass(2);
            edit("I shall not look at it.\n\n@codex fix this, please");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            edit("No.");
            edit("@codex fix this");
            world.work().await;
            assert_eq!((world.jobs().await.len(), world.own_branches().len()), (1, 1));
            let refusal = "This was answered before it was edited. Write a new comment to ask for more.";
            assert_eq!(said(world).await.iter().filter(|told| told.starts_with(refusal)).count(), 1);
        })
        .await;
}

/// A fence that a stranger has left open hides his command, until somebody closes it who may give commands.
#[tokio::test]
async fn what_a_stranger_wrote_is_no_command_of_who_edits_it() {
    Setup::default()
        .play(async |world| {
            let comment = world.comment(READER, "```\na log\n\n@codex fix this");
            world
                .github
                .edit_comment(world.repo, comment, MAINTAINER, "```\na log\n```\n\n@codex fix this")
                .expect("it is there");
            world.work().await;
            assert_eq!(world.reason().await, "the sender has not written the text");
            assert_eq!((world.jobs().await.len(), world.writes()), (0, vec![]));
        })
        .await;
}

#[tokio::test]
async fn a_misspelt_command_is_heard_once_it_is_mended() {
    Setup::default()
        .play(async |world| {
            let comment = world.comment(MAINTAINER, "@codex fxi this");
            world.work().await;
            world.github.edit_comment(world.repo, comment, MAINTAINER, "@codex fix this").expect("it is there");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
        })
        .await;
}

#[tokio::test]
async fn whoever_may_push_is_told_why_nothing_comes_of_a_command() {
    Setup::default()
        .play(async |world| {
            for user in [READER, MAINTAINER] {
                world.comment(user, "@codex fxi this");
            }
            world.work().await;
            insta::assert_snapshot!(said(world).await.join("\n=====\n"), @r"
            There is no command `fxi`. `@codex fix` is nearest; `@codex help` says which there are.

            <sub>For `mona`. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn who_asks_for_too_much_is_told_so_and_few_answers_are_given_in_one_place() {
    let rates = Rates { user: NonZeroU32::new(1), repository: None };
    Setup { rates, ..Setup::default() }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let n_said = said(world).await.len();
            world.comment(MAINTAINER, "@codex fix the other thing");
            world.work().await;
            let told = said(world).await.pop().expect("it is told");
            let too_many = "1 jobs were asked for by one user within an hour, and this server starts no more. Ask again later, in a new comment.";
            assert!(told.contains(too_many), "{told}");
            for _ in 0..20 {
                world.comment(MAINTAINER, "@codex help");
                world.work().await;
            }
            assert_eq!(said(world).await.len(), n_said + 10, "answers have no bound");
        })
        .await;
}
