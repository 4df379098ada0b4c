//! The whole pipeline, from a signed webhook to what a person reads on GitHub: one test for each way it can go.

mod again;
mod asked_checks;
mod attempts;
mod bare;
mod bots;
mod branches;
mod cheats;
mod checks;
mod clocks;
mod command_line;
mod commands;
mod consent;
mod crashes;
mod deliveries;
mod devcontainer;
mod gate;
mod hostile;
mod injections;
mod kills;
mod limits;
mod machines;
mod on_pulls;
mod opened;
mod own_pulls;
mod own_reviews;
mod owners;
mod policy;
mod policy_checks;
mod progress;
mod prove;
mod refusals;
mod repairs;
mod replay;
mod requests;
mod reviews;
mod schedule;
mod secrets;
mod setups;
mod several;
mod signed;
mod sources;
mod trouble;
mod verdicts;
mod webhooks;

use crate::support::pipeline::{MAINTAINER, MODEL_KEY, Setup};

#[tokio::test]
#[should_panic(expected = "holds the secret that begins with sk-model")]
async fn the_world_notices_a_secret_that_leaks() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, MODEL_KEY);
        })
        .await;
}

#[tokio::test]
#[should_panic(expected = "is left Ready")]
async fn the_world_notices_a_job_that_is_left_over() {
    Setup::default()
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
        })
        .await;
}
