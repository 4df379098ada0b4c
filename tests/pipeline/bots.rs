//! Bots that a repository hears: by their number, where the operator lets it, and for a few jobs in a row.

use patchwright::model::scripted::Step;
use patchwright_domain::event::Role;
use patchwright_domain::journal::Outcome;

use super::on_pulls::BROKEN;
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{ACTIONS, ISSUE, MAINTAINER, Setup, World};

/// A world whose operator lets repositories hear the bot, and a model that answers.
fn lets_bots() -> Setup {
    let say = |_| [Step::Shell("true".into()), Step::Message("It is so.".into())];
    Setup { lets_bots: true, is_replayed: false, ..Setup::model((0..10).flat_map(say)) }.file(MENDED)
}

/// Has the repository name the bot.
async fn name_it(world: &World) {
    let number = world.github.account(ACTIONS).expect("it is at every GitHub");
    let policy = format!("triggers:\n  bots: [{number}]\n").leak();
    world.push("main", &[(".github/patchwright.yml", policy, false)]).await;
}

#[tokio::test]
async fn a_bot_is_heard_where_the_policy_on_the_default_branch_names_it() {
    lets_bots()
        .play(async |world| {
            world.ask(ISSUE, ACTIONS, "@codex ask is it so?");
            world.work().await;
            assert_eq!((world.jobs().await.len(), world.said_on(ISSUE).await.len()), (0, 0));
            name_it(world).await;
            world.ask(ISSUE, ACTIONS, "@codex ask is it so?");
            world.ask(ISSUE, "renovate[bot]", "@codex ask is it so?");
            world.work().await;
            assert_eq!((world.outcome().await, world.jobs().await.len()), (Outcome::Answered, 1));
            let spec = world.job().await;
            assert_eq!((spec.requested_by.login.as_str(), spec.role, spec.needed), (ACTIONS, Role::Write, Role::None));
        })
        .await;
}

/// Two programs that answer each other would go on for ever.
#[tokio::test]
async fn bots_that_go_on_asking_wait_for_a_person() {
    lets_bots()
        .play(async |world| {
            name_it(world).await;
            let ask = async |user| {
                world.ask(ISSUE, user, "@codex ask is it so?");
                world.work().await;
                world.clock.pass(1);
                world.jobs().await.len()
            };
            let mut n_jobs = Vec::new();
            for user in [ACTIONS, ACTIONS, ACTIONS, ACTIONS, MAINTAINER, ACTIONS] {
                n_jobs.push(ask(user).await);
            }
            assert_eq!(n_jobs, [1, 2, 3, 3, 4, 5]);
        })
        .await;
}

#[tokio::test]
async fn a_bot_asks_for_nothing_of_our_own_pull_requests() {
    lets_bots()
        .play(async |world| {
            name_it(world).await;
            world.push("codex/1-mean-0000000", &[BROKEN]).await;
            let opened = world.github.open_pull_request(world.repo, MAINTAINER, "Mend", "codex/1-mean-0000000", "main").await;
            let number = opened.expect("both branches are there");
            world.ask(number, ACTIONS, "@codex fix this");
            world.work().await;
            assert_eq!((world.jobs().await.len(), world.said_on(number).await.len()), (0, 0));
        })
        .await;
}
