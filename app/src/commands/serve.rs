//! `patchwright serve`: webhooks, intake and workers in one process.

use std::net::ToSocketAddrs as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use patchwright::clock::{SteadyClock, SystemClock};
use patchwright::config::Config;
use patchwright::forge::github::{GitHub, Identity};
use patchwright::sandbox::Isolation;
use patchwright::server;
use patchwright::service::{Service, Staffing};
use patchwright::worker::Tools;
use tracing::{info, warn};

use super::{ConfigArguments, Failure, assemble, interruption, signing, store, terminal};

/// How long GitHub may take to say who we are.
const WHOAMI_TIMEOUT: Duration = Duration::from_secs(5);

/// What is served.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Take and decide deliveries, but work on no job
    #[arg(long)]
    no_work: bool,
}

pub(super) async fn serve(arguments: Arguments) -> Result<ExitCode, Failure> {
    terminal::log("info");
    let config = arguments.config.load()?;
    let (tools, slug) = prepare(&config).await?;
    let listen = &config.server.listen;
    let addresses = listen.to_socket_addrs().map_err(|e| Failure::usage(anyhow!("`server.listen` is `{listen}`: {e}")))?;
    let address =
        addresses.into_iter().next().ok_or_else(|| Failure::usage(anyhow!("`server.listen` is `{listen}`: no address")))?;
    let listener = server::listen(address).with_context(|| format!("listening on {address}")).map_err(Failure::environment)?;
    let n_workers = if arguments.no_work { 0 } else { config.server.workers };
    let address = listener.local_addr().context("listening").map_err(Failure::environment)?;
    let staffing = Staffing {
        deployment: assemble::deployment(&config),
        n_workers,
        sweep_interval: config.github.sweep_interval(),
        keeps_schedules: true,
        kept_for: config.store.kept_for(),
    };
    let service = Service::start(listener, tools, staffing);
    info!("serving webhooks on http://{address}/webhooks/github with {n_workers} workers as {slug}");
    until_the_end(service).await
}

/// All that a server and its workers work with, and the App's name in addresses. What does not work is said.
pub(super) async fn prepare(config: &Config) -> Result<(Arc<Tools>, String), Failure> {
    let github = assemble::github(&config.github)?;
    let agents = assemble::agents(config)?;
    let sandbox = assemble::sandbox(config).await?;
    match sandbox.probe().await {
        Ok(found) if found.isolation == Isolation::None => {
            warn!("there is NO sandbox: the code of repositories and agents runs as this user, with its files and its network");
        }
        Ok(found) => {
            info!("the sandbox holds: {}", found.layers.join(", "));
            found.advice.iter().for_each(|advice| warn!("limits could be kept better: {advice}"));
        }
        Err(refusal) => warn!("no job can be worked on: {refusal}; {}", refusal.remedy),
    }
    let slug = slug(&github).await;
    if config.model.input_usd_per_million.is_none() || config.model.output_usd_per_million.is_none() {
        let keys: Vec<&str> = config.limits.dollar_keys().collect();
        warn!("no prices are configured, so {} cannot be kept; limits of tokens are", keys.join(", "));
    }
    let store = store::open(&config.store).await?;
    let attestor = signing::of_server(config)?;
    if attestor.is_none() {
        warn!(
            "no attestations are made: `attestation.key_file` is not set, and a key lies by itself beside a database file only"
        );
    }
    let tools = Tools {
        store,
        forge: Arc::new(github),
        workspaces: assemble::workspaces(config).await?,
        sandbox,
        egress: assemble::egress(&config.sandbox.egress)?,
        agents,
        clock: Arc::new(SteadyClock::over(SystemClock)),
        attestor: attestor.map(Arc::new),
        settings: assemble::settings(config, &slug),
    };
    Ok((Arc::new(tools), slug))
}

/// Waits until the service is to end, or ends by itself, and stops it.
pub(super) async fn until_the_end(mut service: Service) -> Result<ExitCode, Failure> {
    let broken = tokio::select! {
        asked = interruption::wait() => asked.context("waiting for signals").map_err(Failure::environment).map(|_| None)?,
        () = service.ended() => Some(anyhow!("a part of the service has ended; its error is in the log")),
    };
    info!("stopping: no more deliveries and jobs are taken");
    service.stop().await;
    broken.map_or(Ok(ExitCode::SUCCESS), |error| Err(Failure::environment(error)))
}

/// The App's name in addresses. Deliveries must be taken even while GitHub's API is away, so it is not waited for long.
async fn slug(github: &GitHub) -> String {
    match tokio::time::timeout(WHOAMI_TIMEOUT, github.whoami()).await {
        Ok(Ok(Identity { slug, unheard, .. })) => {
            if !unheard.is_empty() {
                warn!(
                    "the App is not subscribed to {}, and hears nothing of it; `patchwright doctor` says what to do",
                    unheard.join(", ")
                );
            }
            return slug;
        }
        Ok(Err(error)) => warn!(error = %error, "GitHub does not say who we are; deliveries are stored all the same"),
        Err(_) => warn!("GitHub does not answer; deliveries are stored all the same"),
    }
    "patchwright".into()
}
