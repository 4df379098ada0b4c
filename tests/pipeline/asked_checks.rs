//! The button beside a check run of ours by which somebody asks for it once more.

use patchwright::rehearsal::scene::Role;
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{MAINTAINER, Setup, World};

const PROOF: &str = "patchwright/proof";

/// The numbers of our check runs of this name, oldest first.
fn checks(world: &World, name: &str) -> Vec<u64> {
    let runs = world.github.check_runs(world.repo);
    runs.iter().filter(|run| run.name == name).map(|run| run.id).collect()
}

async fn press(world: &World, check: u64, user: &str) {
    world.github.ask_for_check(world.repo, check, user).expect("it is there");
    world.work().await;
}

#[tokio::test]
async fn a_proof_is_made_once_more_for_each_time_that_it_is_asked_for() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            world.prove(pull).await;
            let first = checks(world, PROOF)[0];
            press(world, first, MAINTAINER).await;
            press(world, first, MAINTAINER).await;
            assert_eq!((checks(world, PROOF).len(), world.last_outcome().await), (3, Some(Outcome::Proven)));
            for delivery in world.github.deliveries() {
                world.github.redeliver(&delivery.guid).expect("it was sent");
            }
            world.work().await;
            assert_eq!(checks(world, PROOF).len(), 3, "told again it is the same");
        })
        .await;
}

#[tokio::test]
async fn what_is_proven_for_a_check_on_our_own_pull_request_is_that_pull_request() {
    Setup::default()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            press(world, checks(world, "patchwright")[0], MAINTAINER).await;
            assert_eq!((checks(world, PROOF).len(), world.said_on(2).await.len()), (1, 1));
        })
        .await;
}

#[tokio::test]
async fn a_button_is_a_command_of_whoever_presses_it() {
    let file = (".github/patchwright.yml", "triggers: {roles: {prove: maintain}}\ncommands: {test: sh tests/run.sh}\n", false);
    Setup::default()
        .file(file)
        .play(async |world| {
            world.github.set_role(world.repo, "grace", Role::Maintain).expect("it is there");
            let (pull, _) = world.propose(&[MENDED]).await;
            world.ask(pull, "grace", "@codex prove");
            world.work().await;
            let first = checks(world, PROOF)[0];
            let n_said = world.said_on(pull).await.len();
            world.github.ask_for_check(world.repo, first, MAINTAINER).expect("it is there");
            world.decide().await;
            assert_eq!(world.reason().await, "mona has the role write here, and maintain is needed to start a run");
            assert_eq!((checks(world, PROOF).len(), world.said_on(pull).await.len()), (1, n_said), "a button is not answered");
            press(world, first, "grace").await;
            assert_eq!(checks(world, PROOF).len(), 2);
        })
        .await;
}

#[tokio::test]
async fn one_proof_is_under_way_however_often_it_is_asked_for() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            world.prove(pull).await;
            let first = checks(world, PROOF)[0];
            for _ in 0..3 {
                world.github.ask_for_check(world.repo, first, MAINTAINER).expect("it is there");
            }
            world.work().await;
            assert_eq!(checks(world, PROOF).len(), 2);
        })
        .await;
}

#[tokio::test]
async fn a_check_of_somebody_else_is_none_of_ours() {
    Setup::default()
        .play(async |world| {
            world.propose(&[MENDED]).await;
            let theirs = world.github.report_check(world.repo, "mend", "lint", "failure", "").expect("the branch is there");
            world.github.ask_for_check(world.repo, theirs, MAINTAINER).expect("it is there");
            world.decide().await;
            assert_eq!(world.reason().await, "no job of this program has set the check that is asked for");
        })
        .await;
}
