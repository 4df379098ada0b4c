//! Runs a repository's setup and test commands in a fresh tree and keeps what they said.

use patchwright_domain::ecosystem::Plan;
use patchwright_domain::ecosystem::runner::canary::Canary;
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::CommitId;
use patchwright_domain::proof::secrets::Veil;
use patchwright_domain::proof::{Colour, Evidence};
use patchwright_domain::turn::output;
use tracing::{info, warn};

use super::reports::{self, Tested};
use super::watch::{self, Watched};
use super::{StepError, Tools, conclusions};
use crate::egress::log::Log;
use crate::sandbox::stamps::{Look, Stamps};
use crate::sandbox::{Command, Executor, Output, Profile};
use crate::setup::{Ground, Patch, Ready, terms};
use crate::workspace::Scratch;

/// How much output of one command is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How much of it goes into the journal, in characters and lines.
const EXCERPT_CHARS_MAX: usize = 3_000;
const EXCERPT_LINES_MAX: usize = 40;

/// How many hosts that a setup was refused are named.
const HOSTS_MAX: usize = 5;

/// What setup and test said in one tree.
pub(super) enum Said {
    /// The setup command failed, so the tests were not run; with the hosts that it was refused.
    SetupFailed(Evidence, Vec<String>),
    /// The tests were run.
    Tested(Tested),
}

/// A tree whose setup has run.
pub(super) struct Prepared {
    pub(super) tree: Scratch,
    /// What the setup said, if there was one, and the hosts that it was refused.
    pub(super) setup: Option<(Evidence, Vec<String>)>,
    /// The tree before that setup and behind it, where it is looked at.
    pub(super) stamps: Option<(Stamps, Stamps)>,
}

/// Writes a tree of the base, with the patch if there is one, and runs the setup if there is one.
pub(super) async fn ready(
    tools: &Tools,
    spec: &JobSpec,
    base: &CommitId,
    patch: Option<Patch<'_>>,
    plan: &Plan,
    setup: Option<&str>,
    (profile, look): (Profile, Option<&Look>),
) -> Result<Prepared, StepError> {
    let ground = Ground {
        workspaces: &tools.workspaces,
        sandbox: tools.sandbox.as_ref(),
        egress: tools.egress.as_deref(),
        demands: &plan.demands,
        look,
    };
    let command = setup.map(|script| command(tools, script));
    let ready = ground.ready(&spec.repo, base, patch, command.as_ref(), profile).await;
    let Ready { tree, said } = ready.map_err(conclusions::setup)?;
    let (setup, stamps) = match (setup, said) {
        (Some(script), Some(said)) => {
            let refused = match said.log {
                Some(log) => keep(tools, log).await?,
                None => Vec::new(),
            };
            (Some((evidence(tools, script, said.output).await?, refused)), said.stamps)
        }
        (Some(_) | None, _) => (None, None),
    };
    Ok(Prepared { tree, setup, stamps })
}

/// Keeps what a setup asked for outside, and returns the first hosts that it was refused, each with why and a next step.
async fn keep(tools: &Tools, log: Log) -> Result<Vec<String>, StepError> {
    let denied = log.denied();
    let refused: Vec<String> = denied.into_iter().take(HOSTS_MAX).collect();
    let artifact = tools.store.put_artifact(log.to_json_lines().into_bytes(), tools.clock.now()).await?;
    let n_requests = log.entries.len() as u64 + log.n_omitted;
    info!(artifact = %artifact, requests = n_requests, "what the setup asked for outside is kept");
    if !refused.is_empty() {
        warn!("the setup was refused {}", refused.join(" "));
    }
    Ok(refused)
}

/// Runs the plan's setup, if it has one, and its test command, on the base or on a patch, with tests beside the repository's
/// that must fail, if there are any. A plan without a test command has nothing to run, and nothing fails.
pub(super) async fn test(
    tools: &Tools,
    spec: &JobSpec,
    base: &CommitId,
    patch: Option<Patch<'_>>,
    watched: Watched<'_>,
    canary: Option<&Canary>,
) -> Result<Said, StepError> {
    let Watched { plan, .. } = watched;
    let test = plan.test.as_deref().unwrap_or("true");
    let look = watch::look(tools, spec, patch.map_or(base, |patch| patch.commit), plan).await?;
    let ready = ready(tools, spec, base, patch, plan, plan.setup.as_deref(), (Profile::Proof, Some(&look))).await?;
    let Prepared { tree, setup, stamps } = ready;
    if let Some((evidence, refused)) = setup
        && evidence.exit.colour() != Colour::Green
    {
        return Ok(Said::SetupFailed(evidence, refused));
    }
    let mut executor = open(tools, &tree, plan, Profile::Proof).await?;
    let mut tested = reports::test(tools, executor.as_mut(), watched, test, canary, &look).await?;
    if let Some((before, after)) = stamps {
        tested.rewritten = watch::both(watch::changed(&before, &after, watched), tested.rewritten);
    }
    Ok(Said::Tested(tested))
}

/// Opens the sandbox on a tree.
pub(super) async fn open(tools: &Tools, tree: &Scratch, plan: &Plan, profile: Profile) -> Result<Box<dyn Executor>, StepError> {
    let opened = tools.sandbox.open(tree.tree(), terms(profile, &plan.demands)).await;
    opened.map_err(|refusal| conclusions::refusal(&refusal).into())
}

/// Runs one command and keeps its output.
pub(super) async fn run(tools: &Tools, executor: &mut dyn Executor, script: &str) -> Result<Evidence, StepError> {
    Ok(run_for_output(tools, executor, script, script).await?.0)
}

/// Runs a script that stands for a command and keeps its output, which it returns as well.
pub(super) async fn run_for_output(
    tools: &Tools,
    executor: &mut dyn Executor,
    named: &str,
    script: &str,
) -> Result<(Evidence, Vec<u8>), StepError> {
    let done = executor.execute(&command(tools, script)).await.map_err(|error| conclusions::sandbox(&error))?;
    let printed = done.output.clone();
    Ok((evidence(tools, named, done).await?, printed))
}

fn command(tools: &Tools, script: &str) -> Command {
    Command {
        script: script.to_owned(),
        directory: String::new(),
        timeout: tools.settings.test_timeout,
        output_bytes_max: OUTPUT_BYTES_MAX,
    }
}

async fn evidence(tools: &Tools, script: &str, done: Output) -> Result<Evidence, StepError> {
    let excerpt = excerpt(&done.output, &tools.guarded().veil());
    let duration_ms = u64::try_from(done.duration.as_millis()).unwrap_or(u64::MAX);
    let output = tools.store.put_artifact(done.output, tools.clock.now()).await?;
    Ok(Evidence { command: script.to_owned(), exit: done.exit, duration_ms, output, excerpt, results: None })
}

/// The last lines, without what a terminal would act on, and without the server's secrets: the end of one that is cut would not
/// be known any more.
fn excerpt(output: &[u8], veil: &Veil) -> String {
    let plain = veil.text(&output::plain(output));
    let lines: Vec<&str> = plain.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(EXCERPT_LINES_MAX)..].join("\n");
    let n_over = tail.chars().count().saturating_sub(EXCERPT_CHARS_MAX);
    tail.chars().skip(n_over).collect()
}
