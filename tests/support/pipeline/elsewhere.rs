//! Another machine, on which nothing was fetched before.

use std::path::PathBuf;
use std::sync::Arc;

use patchwright::sandbox::local::SANDBOX_UID;
use patchwright::worker::{Tools, Worker};
use patchwright::workspace::Workspaces;

use super::{LEASE_SECONDS, World};

impl World {
    /// Lets what a dead worker held run out, and has a machine that has fetched nothing go on with it. How many jobs it was.
    pub(crate) async fn go_on_elsewhere(&self) -> u32 {
        self.clock.pass(LEASE_SECONDS + 1);
        let n_jobs = self.worker_elsewhere().await.drain().await.expect("the store can be asked");
        std::fs::remove_dir_all(self.elsewhere()).expect("it is there");
        n_jobs
    }

    /// A worker on another machine, which has nothing of what this one has fetched.
    pub(crate) async fn worker_elsewhere(&self) -> Worker {
        let Tools { store, forge, sandbox, egress, agents, clock, attestor, settings, .. } = &*self.tools;
        let workspaces = Workspaces::open(self.elsewhere(), Some(SANDBOX_UID)).await.expect("the folder can be made");
        let tools = Tools {
            store: Arc::clone(store),
            forge: Arc::clone(forge),
            workspaces: Arc::new(workspaces),
            sandbox: Arc::clone(sandbox),
            egress: egress.clone(),
            agents: agents.clone(),
            clock: Arc::clone(clock),
            attestor: attestor.clone(),
            settings: settings.clone(),
        };
        Worker::new("elsewhere", Arc::new(tools))
    }

    fn elsewhere(&self) -> PathBuf {
        self.folder.path().join("elsewhere")
    }
}
