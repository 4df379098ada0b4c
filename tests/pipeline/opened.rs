//! How pull requests are opened: as the default branch's policy has it.

use patchwright::rehearsal::Order;
use patchwright::rehearsal::fault::Fault;
use patchwright::rehearsal::scene::{Issue, Pull};
use patchwright_domain::journal::{Entry, EntryKind, Outcome};

use super::on_pulls::BROKEN;
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{LEASE_SECONDS, MAINTAINER, SAMPLE, Setup, World, does};

const PATH: &str = SAMPLE[0].0;

/// The sample under a policy that says this of pull requests.
fn opens(wanted: &str) -> Setup {
    let text = format!("commands:\n  test: sh tests/run.sh\npull_requests: {wanted}\n");
    Setup::default().file((PATH, Box::leak(text.into_boxed_str()), false))
}

const ALL: &str = "{draft: unproven, labels: [robot, help wanted], reviewers: [mona]}";

fn only(world: &World) -> (Issue, Pull) {
    let mut pulls = world.github.pull_requests(world.repo);
    assert_eq!(pulls.len(), 1);
    pulls.remove(0)
}

/// Whether it is a draft, its labels, and who is asked to review it.
fn shown((issue, pull): (Issue, Pull)) -> (bool, String, String) {
    (pull.draft, issue.labels.join(", "), pull.requested_reviewers.join(", "))
}

fn as_wanted() -> (bool, String, String) {
    (false, "robot, help wanted".into(), MAINTAINER.into())
}

#[tokio::test]
async fn what_is_proven_is_opened_ready_for_review_and_shown_to_people() {
    opens(ALL)
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            assert_eq!(shown(only(world)), as_wanted());
            let page = world.page().await;
            assert!(page.contains("\npull request #2 of codex/") && !page.contains("draft"), "{page}");
            // Its own label and its own wish for a review start nothing.
            world.work().await;
            assert_eq!(world.jobs().await.len(), 1);
        })
        .await;
}

#[tokio::test]
async fn what_is_not_proven_is_a_draft_and_shown_all_the_same() {
    let script = Setup::model(does("echo x > NOTES")).script;
    Setup { script, ..opens(ALL) }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Unproven);
            assert_eq!(shown(only(world)), (true, "robot, help wanted".into(), MAINTAINER.into()));
        })
        .await;
}

#[tokio::test]
async fn where_nothing_is_said_it_is_a_draft_and_nothing_more() {
    Setup::default()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            assert_eq!(shown(only(world)), (true, String::new(), String::new()));
            assert!(!world.writes().iter().any(|write| write.contains("/labels") || write.contains("reviewers")));
        })
        .await;
}

/// The policy that counts is the one by which it was decided.
#[tokio::test]
async fn what_the_policy_says_later_is_for_later_jobs() {
    opens(ALL)
        .play(async |world| {
            let later = (PATH, "commands: {test: sh tests/run.sh}\npull_requests: {labels: [later]}\n", false);
            world.fix_this_while(async || drop(world.push("main", &[later]).await)).await;
            assert_eq!(shown(only(world)), as_wanted());
        })
        .await;
}

#[tokio::test]
async fn a_refused_reviewer_is_noted_and_the_rest_stands() {
    opens("{labels: [robot], reviewers: [nobody-here, mona, 'team:pilots']}")
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            assert_eq!(shown(only(world)), (true, "robot".into(), MAINTAINER.into()));
            let run = world.run().await;
            assert_eq!(run.notices().len(), 1, "{:?}", run.notices());
            assert!(world.last_words().await.starts_with("**Proven.**"));
            assert_eq!(world.github.check_runs(world.repo)[0].conclusion.as_deref(), Some("success"));
            let journal = world.journal().await;
            let is_refusal = |entry: &&Entry| matches!(&entry.kind, EntryKind::Failed { .. });
            let refused = journal.iter().find(is_refusal).expect("it is written down");
            let EntryKind::Failed { failure, effect: Some(key) } = &refused.kind else { panic!("an effect was refused") };
            assert!(key.as_str().ends_with("/introduction"), "{key}");
            assert!(failure.internal.contains("asking for reviews from nobody-here"), "{}", failure.internal);
        })
        .await;
}

#[tokio::test]
async fn what_is_on_top_of_a_pull_request_is_opened_the_same_way() {
    let reading = opens("{draft: unproven, labels: [robot]}").file(MENDED);
    reading
        .play(async |world| {
            let (number, _) = world.propose(&[BROKEN]).await;
            world.ask(number, MAINTAINER, "@codex fix this");
            world.work().await;
            let mut on_top = world.pulls_to("mend");
            assert_eq!(shown(on_top.remove(0)), (false, "robot".into(), String::new()));
        })
        .await;
}

/// Wherever a worker dies, and whatever answers are lost.
#[tokio::test]
async fn wherever_a_worker_dies_people_are_asked_once() {
    opens(ALL)
        .play(async |world| {
            let mut n_opened = 0;
            for n_looks in (14..=30).step_by(2) {
                let issue = world.open_issue(&format!("Mean {n_looks}"));
                world.github.comment(world.repo, issue, MAINTAINER, "@codex fix this").expect("the issue is there");
                world.decide().await;
                world.github.hold_webhooks();
                world.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/pulls/*/requested_reviewers"));
                world.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/issues/*/labels"));
                world.work_for_a_while(n_looks).await;
                world.github.release_webhooks(Order::AsHappened);
                world.clock.pass(LEASE_SECONDS + 1);
                world.work().await;
                world.github.heal();
                n_opened += 1;
                let pulls = world.github.pull_requests(world.repo);
                assert_eq!(pulls.len(), n_opened, "after {n_looks} looks");
                assert!(pulls.into_iter().all(|pull| shown(pull) == as_wanted()), "after {n_looks} looks");
            }
            let asked = |end: &str| world.writes().iter().filter(|write| write.ends_with(end)).count();
            assert_eq!((asked("/labels"), asked("/requested_reviewers")), (n_opened, n_opened), "each is asked for once");
        })
        .await;
}

/// Nor does it say whether it is a draft.
#[tokio::test]
async fn a_policy_in_a_pull_requests_head_asks_nobody() {
    let own = (PATH, "commands: {test: sh tests/run.sh}\npull_requests: {draft: unproven, reviewers: [eve]}\n", false);
    Setup::default()
        .file(MENDED)
        .play(async |world| {
            let (number, _) = world.propose(&[BROKEN, own]).await;
            world.ask(number, MAINTAINER, "@codex fix this");
            world.work().await;
            let mut on_top = world.pulls_to("mend");
            assert_eq!(shown(on_top.remove(0)), (true, String::new(), String::new()));
        })
        .await;
}
