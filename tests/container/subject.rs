//! The sandbox that the contract is tried against: containers of the test's own engine.
//!
//! Where there is no engine it is the local one once more, and the test has said so.

use std::path::PathBuf;
use std::sync::Arc;

use patchwright::sandbox::Sandbox;
use patchwright::sandbox::container::{ContainerSandbox, ContainerSettings};
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};

use crate::support::podman;

/// A sandbox with these settings.
pub(super) async fn sandbox(launcher: PathBuf, settings: LocalSettings) -> Arc<dyn Sandbox> {
    match podman::engine().await {
        Some(engine) => {
            let LocalSettings { limits, read_only, environment, uid, trials, .. } = settings;
            let settings = ContainerSettings { limits, read_only, environment, uid, trials, ..engine.settings() };
            Arc::new(ContainerSandbox::new(launcher, settings))
        }
        None => Arc::new(LocalSandbox::new(launcher, settings)),
    }
}

/// Whether it is made of containers, whose root is their image's.
pub(super) fn is_container() -> bool {
    podman::is_here()
}

/// Whether a test of the contract is not for this sandbox; all are.
pub(super) fn leaves_out(_test: &str) -> bool {
    false
}
