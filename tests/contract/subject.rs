//! The sandbox that the contract is tried against: the local one.

use std::path::PathBuf;
use std::sync::Arc;

use patchwright::sandbox::Sandbox;
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};

/// A sandbox with these settings.
pub(super) async fn sandbox(launcher: PathBuf, settings: LocalSettings) -> Arc<dyn Sandbox> {
    Arc::new(LocalSandbox::new(launcher, settings))
}

/// Whether it is made of containers, whose root is their image's.
pub(super) fn is_container() -> bool {
    false
}

/// Whether a test of the contract is not for this sandbox; all are.
pub(super) fn leaves_out(_test: &str) -> bool {
    false
}
