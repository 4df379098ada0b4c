//! Server, intake, sweep, schedules and workers in one process, or workers alone, joined by nothing but the store.

use std::sync::Arc;
use std::time::Duration;

use patchwright_domain::policy::Deployment;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::intake::Intake;
use crate::retention::Retention;
use crate::schedule::Scheduler;
use crate::server::{self, Server};
use crate::sweep::Sweep;
use crate::worker::{Tools, Worker};

/// How long stopping may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// Who works, and how.
pub struct Staffing {
    /// What the operator of this server has set.
    pub deployment: Deployment,
    /// How many jobs run at the same time.
    pub n_workers: u32,
    /// The pause between looking for deliveries that did not arrive; nobody looks without.
    pub sweep_interval: Option<Duration>,
    /// Whether what policy files have done at certain times is looked for.
    pub keeps_schedules: bool,
    /// For how long is kept what has ended; for ever without.
    pub kept_for: Option<Duration>,
}

/// A service that runs; it ends when told to, not when dropped by accident of a long-lived process.
#[derive(Debug)]
pub struct Service {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Service {
    /// Starts to serve on a listener, and to work.
    pub fn start(listener: TcpListener, tools: Arc<Tools>, staffing: Staffing) -> Self {
        let Staffing { deployment, n_workers, sweep_interval, keeps_schedules, kept_for } = staffing;
        let mut service = Self::work(Arc::clone(&tools), n_workers);
        let server = Server {
            store: tools.store.clone(),
            forge: tools.forge.clone(),
            clock: tools.clock.clone(),
            attestation_key: tools.attestor.as_ref().map(|attestor| attestor.key.public().to_pem().into()),
        };
        let serving = server::serve(listener, server, service.stop.clone());
        service.tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(error = %error, "the server ended");
            }
        });
        let intake = Intake::new(tools.store.clone(), tools.forge.clone(), tools.clock.clone(), deployment);
        let stopping = service.stop.clone();
        service.tasks.spawn(async move { intake.run(stopping).await });
        if let Some(interval) = sweep_interval {
            let sweep = Sweep::new(tools.store.clone(), tools.forge.clone(), tools.clock.clone());
            let stopping = service.stop.clone();
            service.tasks.spawn(async move { sweep.run(interval, stopping).await });
        }
        if keeps_schedules {
            let scheduler = Scheduler::new(tools.store.clone(), tools.forge.clone(), tools.clock.clone());
            let stopping = service.stop.clone();
            service.tasks.spawn(async move { scheduler.run(stopping).await });
        }
        if let Some(kept_for) = kept_for {
            let retention = Retention::new(tools.store.clone(), tools.clock.clone(), kept_for);
            let stopping = service.stop.clone();
            service.tasks.spawn(async move { retention.run(stopping).await });
        }
        service
    }

    /// Starts to work on jobs that others take in.
    pub fn work(tools: Arc<Tools>, n_workers: u32) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        for number in 1..=n_workers {
            // Journals say who claimed a job, and numbers of processes are those of one machine.
            let name = format!("{host}-{}-{number}", std::process::id());
            let worker = Worker::new(name, Arc::clone(&tools));
            let stopping = stop.clone();
            tasks.spawn(async move { worker.run(stopping).await });
        }
        Self { stop, tasks }
    }

    /// Waits until a part ends that should not, such as by a panic: the service is then no longer whole.
    pub async fn ended(&mut self) {
        if let Some(Err(error)) = self.tasks.join_next().await {
            tracing::error!(error = %error, "a part of the service ended");
        }
    }

    /// Stops taking deliveries and jobs, hands back what is under way, and waits for all of it, but not for a client that
    /// holds its connection open.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let ending = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(error = %error, "a task did not end well");
                }
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, ending).await.is_err() {
            tracing::warn!("connections or steps that did not end within {} s are cut off", STOP_TIMEOUT.as_secs());
            self.tasks.shutdown().await;
        }
    }
}
