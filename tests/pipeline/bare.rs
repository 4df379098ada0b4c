//! Runs without a sandbox: they do their work, and everybody who reads of it is told.

use patchwright::model::scripted::Step;
use patchwright_domain::demands::Isolation;
use patchwright_domain::journal::{EntryKind, Outcome};
use patchwright_domain::walls::MARK;

use crate::support::pipeline::Setup;

fn bare() -> Setup {
    Setup { is_bare: true, ..Setup::default() }
}

#[tokio::test]
async fn a_run_without_a_sandbox_is_proven_and_marked_wherever_it_is_told() {
    bare()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven, "{}", world.page().await);
            let check = world.github.check_runs(world.repo)[0].output["summary"].as_str().expect("it has a text").to_owned();
            for text in [world.pull_request_body().await, world.last_words().await, check] {
                assert!(text.starts_with(&format!("**{MARK}** ")), "{text}");
                assert!(!text.contains("without network"), "{text}");
            }
            let told = world.pull_request_body().await;
            let line = told.lines().find(|line| line.starts_with("Sandbox: ")).expect("it is told");
            insta::assert_snapshot!(line, @"Sandbox: none, by the executor `none`; LIMITS.");
        })
        .await;
}

#[tokio::test]
async fn a_run_that_fails_without_a_sandbox_is_marked_too() {
    bare()
        .file((".github/patchwright.yml", "commands:\n  test: no-such-program --all\n", false))
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::EnvironmentFailed);
            assert!(world.last_words().await.contains(MARK), "{}", world.last_words().await);
        })
        .await;
}

#[tokio::test]
async fn a_repository_that_demands_walls_is_not_run_without_them() {
    let folder = tempfile::tempdir().expect("there is room");
    let ran = folder.path().join("ran");
    let policy =
        format!("commands:\n  setup: touch {}\n  test: sh tests/run.sh\nsandbox:\n  isolation: landlock\n", ran.display());
    let policy: &'static str = Box::leak(policy.into_boxed_str());
    for test in [policy, "sandbox:\n  isolation: namespaces\n"] {
        bare()
            .file((".github/patchwright.yml", test, false))
            .play(async |world| {
                assert_eq!(world.fix_this().await, Outcome::EnvironmentFailed);
                assert_eq!((world.model.requests().len(), ran.exists()), (0, false));
                let words = world.last_words().await;
                assert!(words.contains("the repository's policy demands"), "{words}");
            })
            .await;
    }
}

#[tokio::test]
async fn what_an_agent_leaves_behind_without_a_sandbox_is_ended() {
    let leaves = "exec 9>\"$HOME/../lock\"; flock -n 9 || exit 7; (setsid sh -c 'while :; do :; done' &) ; exit 0";
    let steps = [Step::Shell(leaves.into()), Step::Shell(leaves.into()), Step::Message("It cannot be done.".into())];
    Setup { is_bare: true, ..Setup::model(steps) }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::NoChange);
            let asked = world.model.requests();
            let last = asked.last().expect("it was asked").body.to_string();
            assert!(!last.contains("exit code 7"), "the second command found the lock taken: {last}");
        })
        .await;
}

#[tokio::test]
async fn the_walls_are_in_the_journal_before_anything_runs() {
    Setup::default()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let job = world.jobs().await[0].id();
            let journal = world.tools.store.journal(&job, 0).await.expect("it holds together");
            let EntryKind::Confined { walls } = &journal[1].kind else { panic!("{:?}", journal[1].kind) };
            assert_eq!((walls.executor.as_str(), walls.isolation), ("local", Isolation::Namespaces));
            assert!(walls.layers.len() > 5 && walls.limits.len() == 8, "{walls:?}");
            let n_confined = journal.iter().filter(|entry| matches!(entry.kind, EntryKind::Confined { .. })).count();
            assert_eq!(n_confined, 1, "they are written again only where they differ");
            assert_eq!(world.run().await.walls(), std::slice::from_ref(walls));
        })
        .await;
}
