//! `patchwright work`: workers alone, for jobs that servers elsewhere have taken in.

use std::process::ExitCode;

use anyhow::anyhow;
use patchwright::service::Service;
use tracing::info;

use super::serve::{prepare, until_the_end};
use super::store::{Place, place};
use super::{ConfigArguments, Failure, terminal};

/// What is worked on.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) async fn work(arguments: Arguments) -> Result<ExitCode, Failure> {
    terminal::log("info");
    let config = arguments.config.load()?;
    if !matches!(place(&config.store)?, Place::Database(_)) {
        return Err(Failure::usage(anyhow!(
            "workers without a server need a store that several processes share: set `store.url` to `postgres://..`, or use \
             `patchwright serve`"
        )));
    }
    let (tools, slug) = prepare(&config).await?;
    let n_workers = config.server.workers;
    let service = Service::work(tools, n_workers);
    info!("working with {n_workers} workers as {slug}");
    until_the_end(service).await
}
