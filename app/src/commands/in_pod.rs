//! `patchwright in-pod`: what this program does in the Pods of the Kubernetes executor; nobody else has a use for it.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use patchwright::sandbox::{errand, relay};

use super::Failure;

/// What is to be done.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Copy this program, with its loader and libraries, to where the commands' container finds it
    Carry,
    /// Keep a container up
    Hold,
    /// Do one errand to the files of the workspace
    Errand,
    /// Lead a setup's connections out over standard input and output
    Relay,
}

pub(super) fn in_pod(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let done = match arguments {
        Arguments::Carry => errand::carry(Path::new(errand::CARRIED)).context(errand::CARRIED),
        Arguments::Hold => loop {
            // The cluster ends it.
            std::thread::park();
        },
        Arguments::Relay => relay::serve().context("leading connections out"),
        Arguments::Errand => errand::serve(io::stdin().lock(), io::stdout().lock()).context("answering"),
    };
    done.map(|()| ExitCode::SUCCESS).map_err(Failure::environment)
}
