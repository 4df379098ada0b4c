//! Who has asked for something must be somebody who may, when it is asked for and when something comes of it.

use patchwright::model::scripted::Step;
use patchwright::rehearsal::fault::Fault;
use patchwright::rehearsal::scene::Role;
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{ISSUE, MAINTAINER, Setup, World, mends};

const PULLS: &str = "/repos/octo/rocket/pulls";

fn demote(world: &World, role: Role) {
    world.github.set_role(world.repo, MAINTAINER, role).expect("it is there");
}

fn n_published(world: &World) -> (usize, usize) {
    (world.own_branches().len(), world.github.pull_requests(world.repo).len())
}

#[tokio::test]
async fn nothing_is_published_for_somebody_who_has_lost_the_role_meanwhile() {
    Setup::model(mends())
        .play(async |world| {
            let outcome = world.fix_this_while(async || demote(world, Role::Triage)).await;
            assert_eq!((outcome, n_published(world)), (Outcome::BlockedByPolicy, (0, 0)));
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Blocked by policy.** mona had the role write when this was asked for, and has triage now; it takes write, so that nothing more comes of it.

                Next step: Somebody who has that role can ask for it again.

                <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn nothing_is_answered_to_somebody_who_has_lost_the_role_meanwhile() {
    Setup::model([Step::Message("Because of rounding.".into())])
        .play(async |world| {
            world.comment(MAINTAINER, "@codex ask why?");
            world.work_while(async || demote(world, Role::Read)).await;
            assert_eq!(world.outcome().await, Outcome::BlockedByPolicy);
            assert!(!world.page().await.contains("Because of rounding."), "{}", world.page().await);
        })
        .await;
}

/// A label is a command of whoever has put it there.
#[tokio::test]
async fn nothing_is_published_by_a_label_of_somebody_who_has_lost_the_role_meanwhile() {
    Setup::default()
        .play(async |world| {
            world.github.label(world.repo, ISSUE, MAINTAINER, "codex").expect("it is there");
            world.work_while(async || demote(world, Role::None)).await;
            assert_eq!((world.outcome().await, n_published(world)), (Outcome::BlockedByPolicy, (0, 0)));
        })
        .await;
}

/// The role that it took is the policy's, and not only the one by which people may push.
#[tokio::test]
async fn a_role_that_is_still_a_high_one_may_be_below_what_was_needed() {
    let file = (".github/patchwright.yml", "triggers:\n  roles: {fix: maintain}\n", false);
    Setup::default()
        .file(file)
        .play(async |world| {
            demote(world, Role::Maintain);
            let outcome = world.fix_this_while(async || demote(world, Role::Write)).await;
            assert_eq!((outcome, n_published(world)), (Outcome::BlockedByPolicy, (0, 0)));
        })
        .await;
}

/// Hours may lie between a branch and its pull request.
#[tokio::test]
async fn each_thing_that_is_published_is_asked_about_by_itself() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.github.fault(Fault::refuse("POST", PULLS, 503, "Try again").times(100));
            world.work().await;
            assert_eq!((world.run().await.outcome(), n_published(world)), (None, (1, 0)));
            world.github.heal();
            demote(world, Role::Read);
            world.clock.pass(60 * 60);
            world.work().await;
            assert_eq!((world.outcome().await, n_published(world)), (Outcome::BlockedByPolicy, (1, 0)));
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Blocked by policy.** mona had the role write when this was asked for, and has read now; it takes write, so that nothing more comes of it.

                The branch `codex/1-the-mean-of-a-list-is-wrong-job` was pushed before that.

                Next step: Somebody who has that role can ask for it again.

                <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
            ");
        })
        .await;
}

/// Whose work it is that is withheld stays whole where the role cannot be asked for.
#[tokio::test]
async fn a_role_that_cannot_be_asked_for_now_is_asked_for_again() {
    Setup::default()
        .play(async |world| {
            let path = format!("/repos/octo/rocket/collaborators/{MAINTAINER}/permission");
            let outage = async || world.github.fault(Fault::refuse("GET", &path, 503, "Try again").times(100));
            world.comment(MAINTAINER, "@codex fix this");
            world.work_while(outage).await;
            assert_eq!((world.run().await.outcome(), n_published(world)), (None, (0, 0)));
            world.github.heal();
            world.clock.pass(60 * 60);
            world.work().await;
            assert_eq!((world.outcome().await, n_published(world)), (Outcome::Proven, (1, 1)));
        })
        .await;
}

#[tokio::test]
async fn who_can_push_is_told_which_role_a_command_takes_and_others_hear_nothing() {
    let file = (".github/patchwright.yml", "triggers:\n  minimum_role: maintain\n", false);
    Setup::default()
        .file(file)
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.comment(MAINTAINER, "@codex stop");
            world.github.label(world.repo, ISSUE, MAINTAINER, "codex").expect("it is there");
            world.work().await;
            demote(world, Role::Triage);
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            mona: (eyes)
                @codex stop

            patchwright[bot]:
                This takes the role `maintain` here, and you have `write`: `triggers` in `.github/patchwright.yml` says so. Somebody with that role can ask for it in a new comment.

                <sub>For `mona`. Job JOB.</sub>

            patchwright[bot]:
                This takes the role `maintain` here, and you have `write`: `triggers` in `.github/patchwright.yml` says so. Somebody with that role can ask for it in a new comment.

                <sub>For `mona`. Job JOB.</sub>

            mona:
                @codex fix this
            ");
        })
        .await;
}
