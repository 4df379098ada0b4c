//! Who works on what was asked for, for how long, and what happens meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use patchwright::worker::{Tools, Worker};
use patchwright_domain::journal::Outcome;
use tokio_util::sync::CancellationToken;

use super::{MAINTAINER, World, forge};

impl World {
    /// A worker; each has a name of its own only in its leases.
    pub(crate) fn worker(&self) -> Worker {
        Worker::new("worker", Arc::clone(&self.tools))
    }

    /// A worker of an operator who wants commits as they were proven, whatever this one wants.
    pub(crate) fn worker_that_pushes(&self) -> Worker {
        let Tools { store, forge: _, workspaces, sandbox, egress, agents, clock, attestor, settings } = &*self.tools;
        let tools = Tools {
            store: Arc::clone(store),
            forge: Arc::new(forge(&self.github, &self.clock, false)),
            workspaces: Arc::clone(workspaces),
            sandbox: Arc::clone(sandbox),
            egress: egress.clone(),
            agents: agents.clone(),
            clock: Arc::clone(clock),
            attestor: attestor.clone(),
            settings: settings.clone(),
        };
        Worker::new("worker", Arc::new(tools))
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
        self.gate.is_armed.store(true, Ordering::SeqCst);
        let worker = self.worker();
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
