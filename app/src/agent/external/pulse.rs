//! A sign of life: beaten by everything that shows that an agent is at work, and watched for its silence.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Beaten and watched; copies are the same pulse.
#[derive(Clone)]
pub(super) struct Pulse(Arc<watch::Sender<Instant>>);

impl Pulse {
    /// A pulse that has just beaten.
    pub(super) fn start() -> Self {
        Self(Arc::new(watch::Sender::new(Instant::now())))
    }

    /// Something happened.
    pub(super) fn beat(&self) {
        self.0.send_replace(Instant::now());
    }

    /// Returns once nothing has happened for so long.
    pub(super) async fn silence(&self, idle: Duration) {
        loop {
            let due = *self.0.borrow() + idle;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}
