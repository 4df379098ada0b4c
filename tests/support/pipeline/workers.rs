//! Who works on what was asked for, for how long, and what happens meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use patchwright::worker::{Settings, Tools, Worker};
use patchwright_domain::journal::Outcome;
use tokio_util::sync::CancellationToken;

use super::clock::PassingClock;
use super::{MAINTAINER, World, forge};

impl World {
    /// A worker; each has a name of its own only in its leases.
    pub(crate) fn worker(&self) -> Worker {
        Worker::new("worker", Arc::clone(&self.tools))
    }

    /// A worker of an operator who wants commits as they were proven, whatever this one wants.
    pub(crate) fn worker_that_pushes(&self) -> Worker {
        let forge = Arc::new(forge(&self.github, &self.clock, false));
        Worker::new("worker", Arc::new(Tools { forge, ..self.tools_again() }))
    }

    /// A worker whose waits end as soon as a test lets the time pass, and who edits its comment no more often than that.
    pub(crate) fn worker_by(&self, clock: &PassingClock, progress_spacing: Duration) -> Worker {
        let tools = self.tools_again();
        let settings = Settings { progress_spacing, ..tools.settings.clone() };
        Worker::new("worker", Arc::new(Tools { clock: Arc::new(clock.clone()), settings, ..tools }))
    }

    fn tools_again(&self) -> Tools {
        let Tools { store, forge, workspaces, sandbox, egress, agents, clock, attestor, settings } = &*self.tools;
        Tools {
            store: Arc::clone(store),
            forge: Arc::clone(forge),
            workspaces: Arc::clone(workspaces),
            sandbox: Arc::clone(sandbox),
            egress: egress.clone(),
            agents: agents.clone(),
            clock: Arc::clone(clock),
            attestor: attestor.clone(),
            settings: settings.clone(),
        }
    }

    /// Decides and works until nothing is left to do now.
    pub(crate) async fn work(&self) {
        loop {
            let n_decided = self.decide().await;
            let n_jobs = self.worker().drain().await.expect("the store can be asked");
            if n_decided + n_jobs == 0 {
                return;
            }
        }
    }

    /// Has the maintainer ask for a fix, and works on it to its end.
    pub(crate) async fn fix_this(&self) -> Outcome {
        self.comment(MAINTAINER, "@codex fix this");
        self.work().await;
        self.outcome().await
    }

    /// As [`fix_this`](Self::fix_this), and does something while the agent is about to solve.
    pub(crate) async fn fix_this_while(&self, meanwhile: impl AsyncFnOnce()) -> Outcome {
        self.comment(MAINTAINER, "@codex fix this");
        self.work_while(meanwhile).await;
        self.outcome().await
    }

    /// Decides and works to the end, and does something while the agent is about to solve.
    pub(crate) async fn work_while(&self, meanwhile: impl AsyncFnOnce()) {
        self.decide().await;
        self.drain_while(self.worker(), meanwhile).await;
    }

    /// As [`fix_this`](Self::fix_this), and so much time passes while the agent is about to solve, in which the lease is kept.
    pub(crate) async fn fix_this_for(&self, seconds: i64) -> Outcome {
        self.comment(MAINTAINER, "@codex fix this");
        self.decide().await;
        let clock = PassingClock::of(&self.clock);
        let worker = self.worker_by(&clock, self.tools.settings.progress_spacing);
        self.drain_while(worker, async || clock.pass_in_steps(seconds).await).await;
        self.outcome().await
    }

    async fn drain_while(&self, worker: Worker, meanwhile: impl AsyncFnOnce()) {
        self.gate.is_armed.store(true, Ordering::SeqCst);
        let acting = async {
            self.gate.reached.notified().await;
            meanwhile().await;
            self.gate.opened.notify_one();
        };
        let (worked, ()) = tokio::join!(worker.drain(), acting);
        // Where more time has passed than a lease holds, the job was let go of and claimed again.
        assert!(worked.expect("the store can be asked") > 0, "there is work");
        self.work().await;
    }

    /// Lets the agent solve that was about to.
    pub(crate) fn let_the_agent_go_on(&self) {
        self.gate.opened.notify_one();
    }

    /// Returns when an agent is about to solve, which it then does not.
    pub(crate) async fn reach_the_agent(&self) {
        self.gate.is_armed.store(true, Ordering::SeqCst);
        self.gate.reached.notified().await;
    }

    /// Has a worker begin on the next job and die while it solves.
    pub(crate) async fn lose_a_worker(&self) {
        self.gate.is_armed.store(true, Ordering::SeqCst);
        let worker = self.worker();
        tokio::select! {
            worked = worker.drain() => panic!("the worker ended by itself: {worked:?}"),
            () = self.gate.reached.notified() => {}
        }
    }

    /// Has a worker die after so many looks at the clock; after none, where its agent is about to solve. Whether it died before its end.
    pub(crate) async fn die_after(&self, n_looks: i64) -> bool {
        match n_looks {
            0 => {
                self.lose_a_worker().await;
                true
            }
            looks => !self.work_for_a_while(looks).await,
        }
    }

    /// Has a worker work until it has looked at the clock so often, and die wherever it is then. Whether it came to
    /// its end before.
    pub(crate) async fn work_for_a_while(&self, n_looks: i64) -> bool {
        let worker = self.worker();
        let alarm = self.clock.alarm.notified();
        tokio::pin!(alarm);
        alarm.as_mut().enable();
        self.clock.set_alarm(n_looks);
        let is_done = tokio::select! {
            biased;
            () = alarm => false,
            worked = worker.drain() => worked.is_ok(),
        };
        self.clock.set_alarm(0);
        is_done
    }

    /// Has a worker begin on the next job, and stops it in good order while it solves.
    pub(crate) async fn stop_a_worker(&self) {
        self.gate.is_armed.store(true, Ordering::SeqCst);
        let (worker, stop) = (self.worker(), CancellationToken::new());
        let stopping = async {
            self.gate.reached.notified().await;
            stop.cancel();
        };
        tokio::join!(worker.run(stop.clone()), stopping);
    }
}
