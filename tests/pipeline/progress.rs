//! The comment that says how far a job has come: kept up to date beside the work, and nothing that the work depends on.

use std::time::Duration;

use patchwright::rehearsal::fault::Fault;
use patchwright::rehearsal::scene::Role;
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::clock::PassingClock;
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{ISSUE, LEASE_SECONDS, MAINTAINER, Setup, World};

const COMMENTS: &str = "/repos/octo/rocket/issues/1/comments";

/// Our comments on the issue.
fn told(world: &World) -> Vec<String> {
    let comments = world.github.comments(world.repo, ISSUE);
    comments.into_iter().filter(|comment| comment.via_app).map(|comment| comment.body).collect()
}

fn n_edits(world: &World) -> usize {
    world.writes().iter().filter(|write| write.starts_with("PATCH ")).count()
}

/// How the check runs of our own were told of: action, name, state and conclusion.
fn checks(world: &World) -> Vec<String> {
    let ours = world.github.deliveries().into_iter().filter(|delivery| delivery.event == "check_run");
    let told = ours.map(|delivery| {
        let (action, run) = (&delivery.payload["action"], &delivery.payload["check_run"]);
        let word = |value: &serde_json::Value| value.as_str().unwrap_or("nothing").to_owned();
        format!("{} {}: {}, {}", word(action), word(&run["name"]), word(&run["status"]), word(&run["conclusion"]))
    });
    told.collect()
}

#[tokio::test]
async fn a_proof_is_under_way_beside_its_commit_until_it_is_told_there() {
    Setup::default()
        .play(async |world| {
            let (pull, head) = world.propose(&[MENDED]).await;
            world.prove(pull).await;
            let runs = world.github.check_runs(world.repo);
            let [run] = &runs[..] else { panic!("one check run: {runs:?}") };
            assert_eq!((&run.head_sha, run.conclusion.as_deref()), (&head, Some("success")));
            assert_eq!(
                checks(world),
                ["created patchwright/proof: in_progress, nothing", "completed patchwright/proof: completed, success"]
            );
            assert_eq!(world.jobs().await.len(), 1, "our own check starts nothing");
        })
        .await;
}

#[tokio::test]
async fn a_check_run_whose_answer_is_lost_is_there_once() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            world.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/check-runs"));
            world.prove(pull).await;
            assert_eq!(world.github.check_runs(world.repo).len(), 1);
            assert_eq!(checks(world).len(), 2, "{:?}", checks(world));
        })
        .await;
}

/// What GitHub has not answered may arrive yet, and would stand beside what is set meanwhile.
#[tokio::test]
async fn a_check_run_is_completed_when_it_has_begun_or_never_will() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            world.github.fault(Fault::silence("POST", "/repos/octo/rocket/check-runs"));
            world.ask(pull, MAINTAINER, "@codex prove");
            world.decide().await;
            let clock = PassingClock::of(&world.clock);
            let worker = world.worker_by(&clock, Duration::ZERO);
            let working = worker.drain();
            tokio::pin!(working);
            let waiting = async {
                clock.is_waited_for(30).await;
                assert_eq!(world.github.check_runs(world.repo).len(), 0);
                clock.pass(15);
                // The lease is renewed in between, or it would be lost.
                clock.is_waited_for(10).await;
                clock.pass(15);
            };
            tokio::select! {
                worked = &mut working => panic!("it was not waited for: {worked:?}"),
                () = waiting => {}
            }
            assert_eq!(working.await.expect("the store can be asked"), 1);
            let runs = world.github.check_runs(world.repo);
            assert_eq!(runs.iter().map(|run| run.conclusion.as_deref()).collect::<Vec<_>>(), [Some("success")]);
        })
        .await;
}

#[tokio::test]
async fn an_app_that_may_set_no_checks_proves_all_the_same() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            world.github.revoke("octo", "checks").expect("the App is installed");
            world.prove(pull).await;
            assert_eq!(world.github.check_runs(world.repo).len(), 0);
            assert!(world.said_on(pull).await[0].starts_with("**Proven.**"));
            let asked = world.github.exchanges().into_iter().filter(|exchange| {
                exchange.path.ends_with("/access_tokens") && exchange.request["permissions"]["checks"] == "write"
            });
            assert_eq!(asked.count(), 2, "once for what is under way, and once for the result");
        })
        .await;
}

/// Pauses between edits grow from 20 seconds on.
#[tokio::test]
async fn a_step_that_takes_long_is_told_of_now_and_then() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            let clock = PassingClock::of(&world.clock);
            let worker = world.worker_by(&clock, Duration::from_secs(5));
            let looking = async {
                world.reach_the_agent().await;
                // The comment says that it is prepared, and 5 s after that what comes then.
                clock.is_waited_for(5).await;
                assert!(told(world)[0].contains("run its tests ← now"), "{:?}", told(world));
                assert_eq!(n_edits(world), 0, "so soon behind the last");
                for (waited_for, n_expected) in [(20, 1), (20, 1), (40, 2), (40, 2), (40, 2), (80, 3)] {
                    clock.pass(15);
                    // The lease is renewed in between, or it would be lost.
                    clock.is_waited_for(10).await;
                    clock.is_waited_for(waited_for).await;
                    assert_eq!(n_edits(world), n_expected, "waited for {waited_for} s");
                }
                let [told] = &told(world)[..] else { panic!("one comment: {:?}", told(world)) };
                insta::assert_snapshot!(world.stable(told).await, @r"
                On it, for `mona`.

                - [x] Prepare: fetch the base and run its tests
                - [ ] Solve: work on the code in a sandbox ← now
                - [ ] Prove: run the tests on the result
                - [ ] Publish: open a pull request

                So far: 1 of 10 minutes, 0 of 20 model calls, 0 of 10000000 tokens.

                <sub>Job JOB.</sub>
                <!-- patchwright:JOB/progress -->
                ");
                world.let_the_agent_go_on();
            };
            let working = async {
                assert_eq!(worker.drain().await.expect("the store can be asked"), 1);
                assert_eq!(world.outcome().await, Outcome::Proven);
            };
            tokio::join!(working, looking);
            assert!(world.last_words().await.starts_with("**Proven.**"));
        })
        .await;
}

#[tokio::test]
async fn a_comment_that_github_does_not_take_in_holds_nothing_up() {
    Setup::default()
        .play(async |world| {
            world.github.fault(Fault::silence("POST", COMMENTS));
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            world.lose_a_worker().await;
            assert_eq!(told(world), Vec::<String>::new(), "nobody has waited until it was taken in");
            world.clock.pass(LEASE_SECONDS + 1);
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            world.last_words().await;
        })
        .await;
}

#[tokio::test]
async fn edits_that_are_refused_or_lost_change_nothing_about_the_run() {
    let edits = "/repos/octo/rocket/issues/comments/*";
    for fault in [
        Fault::refuse("PATCH", edits, 403, "Unable to create comment because issue is locked."),
        Fault::refuse("PATCH", edits, 502, "Server Error").times(4),
        Fault::lose_answer("PATCH", edits).times(4),
        Fault::disconnect("PATCH", edits).times(4),
    ] {
        Setup::default()
            .play(async |world| {
                world.github.fault(fault);
                world.comment(MAINTAINER, "@codex fix this");
                world.work().await;
                assert_eq!(world.outcome().await, Outcome::Proven);
                assert_eq!(world.run().await.notices(), [""; 0]);
                assert!(world.last_words().await.starts_with("**Proven.**"));
            })
            .await;
    }
}

#[tokio::test]
async fn what_was_used_so_far_is_told() {
    Setup::default()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let exchanges = world.github.exchanges();
            let mut edits =
                exchanges.iter().filter(|exchange| exchange.method == "PATCH").filter_map(|edit| edit.request["body"].as_str());
            let proving = edits.rfind(|body| body.contains("run the tests on the result ← now"));
            let so_far = proving.and_then(|body| body.lines().find(|line| line.starts_with("So far"))).expect("it is told");
            assert!(so_far.starts_with("So far: less than 1 of 10 minutes, 4 of 20 model calls, "), "{so_far}");
        })
        .await;
}

/// Somebody may be called as the operator's secret is.
#[tokio::test]
async fn what_is_told_on_the_way_holds_no_secret_of_the_servers() {
    const NAME: &str = "grizzly-marmalade-17";
    Setup { operators_secret: NAME, ..Setup::default() }
        .play(async |world| {
            world.github.set_role(world.repo, NAME, Role::Write).expect("the repository is there");
            world.comment(NAME, "@codex fix this");
            world.decide().await;
            world.work_while(async || assert_eq!(told(world).len(), 1)).await;
            for exchange in world.github.exchanges() {
                assert!(!exchange.request.to_string().contains(NAME), "{} {}", exchange.method, exchange.path);
            }
        })
        .await;
}
