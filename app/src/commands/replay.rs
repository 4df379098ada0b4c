//! `patchwright replay`: a run once more, from what was recorded of it.

use std::process::ExitCode;

use anyhow::Context as _;
use patchwright::replay::{Replayer, Solve};

use super::{ConfigArguments, Failure, NEGATIVE, assemble, jobs, store, terminal};

/// Which run.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The job's name: the sixteen digits that pull requests and comments end with
    #[arg(value_name = "RUN")]
    run: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn replay(arguments: Arguments) -> Result<ExitCode, Failure> {
    terminal::log("warn");
    let config = arguments.config.load()?;
    let job = jobs::named(&arguments.run)?;
    let replayer = Replayer {
        store: store::kept(&config).await?,
        workspaces: assemble::workspaces(&config).await?,
        sandbox: assemble::sandbox(&config).await?,
        egress: assemble::egress(&config.sandbox.egress)?,
        setup_timeout: config.limits.test_timeout(),
    };
    let solves = replayer.replay(&job).await.context("replaying the run").map_err(Failure::environment)?;
    let is_same = solves.iter().all(|solve| solve.divergence.is_none());
    if arguments.json {
        terminal::say(serde_json::json!({ "run": job, "same": is_same, "solves": solves }));
    } else if solves.is_empty() {
        terminal::say("The run has no solve that came to anything, so there is nothing to replay.");
    } else {
        solves.iter().for_each(tell);
    }
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::from(NEGATIVE) })
}

fn tell(solve: &Solve) {
    let Solve { attempt, round, turns, tree, divergence, .. } = solve;
    let what = match (divergence, tree) {
        (Some(divergence), _) => format!("differs in turn {}: {}", divergence.turn, divergence.what),
        (None, Some(tree)) => format!("the same tree {tree}"),
        (None, None) => "nothing was changed, as before".to_owned(),
    };
    terminal::say(format_args!("attempt {attempt}, round {round}: {turns} turns, {what}"));
}
