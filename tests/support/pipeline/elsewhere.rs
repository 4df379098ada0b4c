//! Another machine, on which nothing was fetched before.

use std::sync::Arc;

use patchwright::sandbox::local::SANDBOX_UID;
use patchwright::worker::{Tools, Worker};
use patchwright::workspace::Workspaces;

use super::World;

impl World {
    /// A worker on another machine, which has nothing of what this one has fetched.
    pub(crate) async fn worker_elsewhere(&self) -> Worker {
        let Tools { store, forge, sandbox, egress, agents, clock, attestor, settings, .. } = &*self.tools;
        let folder = self.folder.path().join("elsewhere");
        let workspaces = Workspaces::open(folder, Some(SANDBOX_UID)).await.expect("the folder can be made");
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
}
