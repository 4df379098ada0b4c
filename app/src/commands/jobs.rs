//! `patchwright jobs`: what a server has kept of its jobs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use patchwright::store::{Store, StoreError};
use patchwright_domain::job::JobId;
use patchwright_domain::journal::{Entry, EntryKind, Triaged};
use patchwright_domain::proof::{Evidence, Run, Stand};
use patchwright_domain::triage::{Rerun, Side};
use patchwright_domain::turn::output::plain;

use super::{ConfigArguments, Failure, signing, store, terminal};

pub(super) mod list;

/// What is asked.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// List jobs, newest first: who asked for each, where it stands, and why
    ///
    /// `--outcome failed` lists those that ended for good without a result of their own. A job that waits is told with what it
    /// waits for. Deliveries of which nobody could say what they ask for made no job: `patchwright explain` lists them.
    List(list::Arguments),
    /// Bring out the attestation of what a job has published
    ///
    /// It is the envelope whose digest the pull request names, for `patchwright verify`, also where it is too long for the
    /// details of a check run.
    Attestation(Attestation),
    /// Bring out what the commands of a job's proof have printed
    ///
    /// It is what their digests in the attestation are of: all of an output, or its beginning and its end where it was longer than
    /// is kept.
    Logs(Logs),
}

/// Which logs.
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    #[command(flatten)]
    config: ConfigArguments,
    /// The job's name: the sixteen digits that pull requests and comments end with
    #[arg(value_name = "JOB")]
    job: String,
    /// Only the command of this number
    #[arg(long, value_name = "N")]
    command: Option<usize>,
    /// Write that one's output to this file as it was, byte by byte; what is printed is without what a terminal would act on
    #[arg(long, value_name = "FILE", requires = "command")]
    output: Option<PathBuf>,
}

/// Which attestation.
#[derive(Debug, clap::Args)]
pub(super) struct Attestation {
    #[command(flatten)]
    config: ConfigArguments,
    /// The job's name: the sixteen digits that pull requests and comments end with
    #[arg(value_name = "JOB")]
    job: String,
    /// Write it to this file; without one it is printed
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn jobs(arguments: Arguments) -> Result<ExitCode, Failure> {
    terminal::log("warn");
    match arguments {
        Arguments::List(arguments) => list::list(arguments).await,
        Arguments::Attestation(arguments) => attestation(arguments).await,
        Arguments::Logs(arguments) => logs(arguments).await,
    }
}

async fn attestation(Attestation { config, job, output }: Attestation) -> Result<ExitCode, Failure> {
    let (job, store) = (named(&job)?, store::kept(&config.load()?).await?);
    let journal = journal(store.as_ref(), &job).await?;
    let planned = journal.iter().rev().find_map(|entry| match &entry.kind {
        EntryKind::PublishPlanned { attestation, .. } => *attestation,
        _ => None,
    });
    let digest = planned.ok_or_else(|| {
        Failure::usage(anyhow!("job `{job}` has no attestation: it has no verdict, is not over yet, or the server signs nothing"))
    })?;
    let envelope = store.artifact(&digest).await.context("reading the envelope").map_err(Failure::environment)?;
    match output {
        Some(file) => signing::write(&file, &envelope)?,
        None => terminal::say(String::from_utf8_lossy(&envelope)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn logs(Logs { config, job, command, output }: Logs) -> Result<ExitCode, Failure> {
    let (job, store) = (named(&job)?, store::kept(&config.load()?).await?);
    let ran = ran(&journal(store.as_ref(), &job).await?);
    if ran.is_empty() {
        return Err(Failure::usage(anyhow!(
            "job `{job}` has no logs: it has no verdict, so that no command of a proof is known"
        )));
    }
    let n_ran = ran.len();
    let wanted: Vec<(usize, Ran)> =
        (1..).zip(ran).filter(|(number, _)| command.is_none_or(|command| command == *number)).collect();
    if wanted.is_empty() {
        return Err(Failure::usage(anyhow!("job `{job}` has the commands 1 to {n_ran}; `--command` names another")));
    }
    for (number, Ran { tree, run }) in wanted {
        let printed = store.artifact(&run.output).await.context("reading an output").map_err(Failure::environment)?;
        if let Some(file) = &output {
            let written = std::fs::write(file, &printed).with_context(|| format!("writing `{}`", file.display()));
            written.map_err(Failure::environment)?;
        }
        let (command, digest) = (plain(run.command.as_bytes()).replace('\n', " "), run.output);
        terminal::say(format!("{number}. {command}\n   in {tree}\n   {}, {} ms, sha256:{digest}", run.exit, run.duration_ms));
        if output.is_none() {
            terminal::say(plain(&printed));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A command of a proof, and what it ran in.
struct Ran {
    tree: String,
    run: Run,
}

/// The commands of every proof in a journal, in their order.
fn ran(journal: &[Entry]) -> Vec<Ran> {
    let (mut ran, mut base, mut head) = (Vec::new(), String::new(), String::new());
    for entry in journal {
        match &entry.kind {
            EntryKind::Prepared { prepared } => base = prepared.base.to_string(),
            EntryKind::Triaged { triaged } => ran.extend(triaged.runs.iter().map(|run| again(triaged, run))),
            EntryKind::Adopted { adopted } => head = adopted.proposal.commit.to_string(),
            EntryKind::Solved { proposal } => head = proposal.commit.to_string(),
            EntryKind::Verified { verdict } => {
                let runs = verdict.account().map(|account| account.runs.as_slice()).unwrap_or_default();
                ran.extend(runs.iter().map(|run| Ran { tree: tree(run.stand, &base, &head), run: run.clone() }));
            }
            _ => {}
        }
    }
    ran
}

/// A run by which it was found out what a red check is about.
fn again(triaged: &Triaged, run: &Rerun) -> Ran {
    let (tree, stand) = match run.side {
        Side::Head => (format!("the commit with the red check, {}", triaged.head), Stand::Head),
        Side::Base => (format!("what it is to go to, {}", triaged.base), Stand::Base),
    };
    let Evidence { command, exit, duration_ms, output, .. } = run.evidence.clone();
    Ran { tree, run: Run { stand, exit, colour: run.colour, duration_ms, output, command } }
}

/// The trees of a patch's parts have commits of their own, which nobody but the harness ever had.
fn tree(stand: Stand, base: &str, head: &str) -> String {
    match stand {
        Stand::Base => format!("the base, {base}"),
        Stand::Head => format!("the patch, {head}"),
        Stand::Code | Stand::Tests => format!("{}: of the base {base} and the patch {head}", stand.name()),
    }
}

async fn journal(store: &dyn Store, job: &JobId) -> Result<Vec<Entry>, Failure> {
    store.journal(job, 0).await.map_err(|error| match error {
        StoreError::Unknown { .. } => {
            Failure::usage(anyhow!("the store knows no job `{job}`; is `--config` that of the server that worked on it?"))
        }
        error => Failure::environment(anyhow::Error::from(error).context("reading the journal")),
    })
}

/// The job of this name.
pub(super) fn named(name: &str) -> Result<JobId, Failure> {
    JobId::parse(name).ok_or_else(|| Failure::usage(anyhow!("`{name}` is no job: its name has sixteen hexadecimal digits")))
}
