//! A process of the service: intake, workers and whoever takes deliveries, each moved on one step at a time.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use jiff::SignedDuration;
use patchwright::clock::Clock;
use patchwright::forge::Forge;
use patchwright::guarded::Guarded;
use patchwright::intake::Intake;
use patchwright::store::ledger;
use patchwright::store::{Lanes, Signals, Store};
use patchwright::sweep::Sweep;
use patchwright::worker::workshop::Workshop;
use patchwright::worker::{Settings, Tools, Worker};
use patchwright::workspace::Workspaces;
use patchwright_domain::event::{DeliveryId, RawDelivery};
use patchwright_domain::job::Budget;
use patchwright_domain::policy::Deployment;
use patchwright_domain::policy::rates::Rates;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::github::WorldForge;
use super::store::WorldStore;
use super::workshop::{NoSandbox, WorldWorkshop};
use super::world::{World, WorldClock};

/// The pause between looking for deliveries that did not arrive.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How long GitHub waits for an answer to a delivery.
const DELIVERY_TIMEOUT: SignedDuration = SignedDuration::from_secs(10);
/// How many workers a job may kill.
pub(super) const CLAIMS_MAX: u32 = 3;

/// Whether a task wants to be moved on.
struct Wish(AtomicBool);

impl Wake for Wish {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    wish: Arc<Wish>,
}

/// A process that runs.
pub(super) struct Process {
    number: usize,
    world: Arc<World>,
    store: Arc<WorldStore>,
    clock: Arc<dyn Clock>,
    tasks: Vec<Task>,
    /// What is spawned runs here, whenever the schedule lets it.
    runtime: Runtime,
    stop: CancellationToken,
    /// Until when it is told nothing and does nothing, as if the machine had stopped.
    pub(super) frozen_until_ms: Option<i64>,
    /// When it will be ended that was told to stop.
    pub(super) ends_at_ms: Option<i64>,
}

fn settings() -> Settings {
    Settings {
        test_timeout: Duration::from_secs(60),
        proof_runs: 1,
        publishes_untested: false,
        progress_spacing: Duration::from_secs(5),
        model: "simulated".into(),
        is_priced: false,
        host: "github.test".into(),
        author: "patchwright[bot]".into(),
        email: "patchwright[bot]@users.noreply.github.test".into(),
        instruction_fallbacks: Vec::new(),
        test_command: None,
        devcontainer_images: None,
        lanes: Lanes::default(),
        limits_of_day: ledger::Limits::default(),
        patch_size: patchwright::config::Limits::default().patch_size(),
        guarded: Guarded::default(),
    }
}

impl Process {
    pub(super) fn start(world: &Arc<World>, number: usize, n_workers: usize, workspaces: &Arc<Workspaces>) -> Self {
        let store = Arc::new(WorldStore { world: Arc::clone(world), process: number, signals: Signals::default() });
        let stop = CancellationToken::new();
        let forge = Arc::new(WorldForge { world: Arc::clone(world), process: number, stop: stop.clone() });
        let clock: Arc<dyn Clock> = Arc::new(WorldClock { world: Arc::clone(world), process: number });
        let workshop: Arc<dyn Workshop> =
            Arc::new(WorldWorkshop { world: Arc::clone(world), process: number, forge: Arc::clone(&forge) });
        let tools = Arc::new(Tools {
            store: Arc::clone(&store) as Arc<dyn Store>,
            forge: Arc::clone(&forge) as Arc<dyn Forge>,
            workspaces: Arc::clone(workspaces),
            sandbox: Arc::new(NoSandbox),
            egress: None,
            agents: Vec::new(),
            clock: Arc::clone(&clock),
            attestor: None,
            settings: settings(),
        });
        let budget = Budget {
            wall_clock_ms: 24 * 60 * 60 * 1_000,
            rounds: 1,
            attempts: 1,
            turns: 1_000,
            claims: CLAIMS_MAX,
            tokens: 1_000_000,
            cost_microusd: 1_000_000,
        };
        let deployment =
            Deployment { app_id: 1, mention: "@codex".into(), bots: BTreeSet::new(), budget, rates: Rates::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
        let mut process = Self {
            number,
            world: Arc::clone(world),
            store,
            clock: Arc::clone(&clock),
            tasks: Vec::new(),
            runtime,
            stop: stop.clone(),
            frozen_until_ms: None,
            ends_at_ms: None,
        };
        let intake = Intake::new(tools.store.clone(), tools.forge.clone(), Arc::clone(&clock), deployment);
        let stopping = stop.clone();
        process.spawn(async move { intake.run(stopping).await });
        let sweep = Sweep::new(tools.store.clone(), tools.forge.clone(), clock);
        let stopping = stop.clone();
        process.spawn(async move { sweep.run(SWEEP_INTERVAL, stopping).await });
        for worker in 1..=n_workers {
            let worker = Worker::in_workshop(format!("p{number}-{worker}"), Arc::clone(&tools), Arc::clone(&workshop));
            let stopping = stop.clone();
            process.spawn(async move { worker.run(stopping).await });
        }
        process
    }

    fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(Task { future: Box::pin(future), wish: Arc::new(Wish(AtomicBool::new(true))) });
    }

    /// Takes a delivery, and acknowledges it once it is durable; GitHub has sent it with the last of its attempts.
    pub(super) fn take(&mut self, name: &str, body: &str) {
        let (store, world, name) = (Arc::clone(&self.store), Arc::clone(&self.world), name.to_owned());
        let attempt = world.state().github.attempts.len() - 1;
        let id = DeliveryId::new(&*name).expect("a plain name");
        let raw = RawDelivery { id, event: "issues".into(), body: body.as_bytes().to_vec(), received_at: self.clock.now() };
        self.spawn(async move {
            if store.receive(&raw).await.is_ok() {
                let mut state = world.state();
                state.books.accepted.insert(name);
                let now = state.now();
                let attempt = &mut state.github.attempts[attempt];
                attempt.is_taken = now.duration_since(attempt.at) <= DELIVERY_TIMEOUT;
            }
        });
    }

    /// The tasks that want to be moved on.
    pub(super) fn wishes(&self) -> Vec<usize> {
        if self.frozen_until_ms.is_some() {
            return Vec::new();
        }
        (0..self.tasks.len()).filter(|task| self.tasks[*task].wish.0.load(Ordering::Relaxed)).collect()
    }

    /// Moves one task on.
    pub(super) fn grant(&mut self, task: usize) {
        let Task { future, wish } = &mut self.tasks[task];
        wish.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(wish));
        let is_done = {
            let _runtime = self.runtime.enter();
            future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        };
        if is_done {
            let _runtime = self.runtime.enter();
            drop(self.tasks.remove(task));
        }
        if task == 0 {
            self.move_spawned();
        }
    }

    /// Moves on what was spawned beside the tasks.
    pub(super) fn move_spawned(&self) {
        self.runtime.block_on(tokio::task::yield_now());
    }

    pub(super) fn stop(&mut self, ends_at_ms: i64) {
        self.ends_at_ms = Some(ends_at_ms);
        self.stop.cancel();
    }

    /// Whether all that it did has come to an end.
    pub(super) fn has_ended(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Ends it wherever it is.
    pub(super) fn kill(self) -> usize {
        let Self { tasks, runtime, number, .. } = self;
        {
            let _runtime = runtime.enter();
            drop(tasks);
        }
        runtime.shutdown_background();
        number
    }
}
