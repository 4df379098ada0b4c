//! `patchwright jobs`: what a server has kept of its jobs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use patchwright::store::StoreError;
use patchwright_domain::job::JobId;
use patchwright_domain::journal::EntryKind;

use super::{ConfigArguments, Failure, signing, store, terminal};

/// What is asked.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Bring out the attestation of what a job has published
    ///
    /// It is the envelope whose digest the pull request names, for `patchwright verify`, also where it is too long for the
    /// details of a check run.
    Attestation(Attestation),
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
    let Arguments::Attestation(Attestation { config, job, output }) = arguments;
    let config = config.load()?;
    let job = named(&job)?;
    let store = store::kept(&config).await?;
    let journal = store.journal(&job, 0).await.map_err(|error| match error {
        StoreError::Unknown { .. } => {
            Failure::usage(anyhow!("the store knows no job `{job}`; is `--config` that of the server that worked on it?"))
        }
        error => Failure::environment(anyhow::Error::from(error).context("reading the journal")),
    })?;
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

/// The job of this name.
pub(super) fn named(name: &str) -> Result<JobId, Failure> {
    JobId::parse(name).ok_or_else(|| Failure::usage(anyhow!("`{name}` is no job: its name has sixteen hexadecimal digits")))
}
