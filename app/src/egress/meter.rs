//! What a session has moved: every byte is asked for before it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::egress::rules::Denial;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Out of the sandbox.
    Up,
    /// Into it.
    Down,
}

impl Direction {
    /// The words for a limit that is reached.
    pub(super) fn used_up(self) -> Denial {
        match self {
            Self::Up => Denial::used_up("up", "sandbox.egress.upload_mib"),
            Self::Down => Denial::used_up("down", "sandbox.egress.download_mib"),
        }
    }
}

/// What one request has moved.
#[derive(Clone, Debug, Default)]
pub(super) struct Count(Arc<(AtomicU64, AtomicU64)>);

impl Count {
    pub(super) fn up(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }

    pub(super) fn down(&self) -> u64 {
        self.0.1.load(Ordering::Relaxed)
    }

    fn add(&self, direction: Direction, n_bytes: u64) {
        let counter = match direction {
            Direction::Up => &self.0.0,
            Direction::Down => &self.0.1,
        };
        counter.fetch_add(n_bytes, Ordering::Relaxed);
    }
}

/// What a session may still move.
#[derive(Debug)]
pub(super) struct Meter {
    up: AtomicU64,
    down: AtomicU64,
}

impl Meter {
    pub(super) fn new(up: u64, down: u64) -> Self {
        Self { up: AtomicU64::new(up), down: AtomicU64::new(down) }
    }

    /// Takes so many bytes for a request, all or none.
    pub(super) fn take(&self, direction: Direction, n_bytes: usize, count: &Count) -> Result<(), Denial> {
        let n_bytes = n_bytes as u64;
        let left = match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        };
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(n_bytes));
        if taken.is_err() {
            // What is over is over for everyone, so that small pieces do not slip through behind a large one.
            left.store(0, Ordering::Relaxed);
            return Err(direction.used_up());
        }
        count.add(direction, n_bytes);
        Ok(())
    }

    /// Whether nothing more goes this way.
    pub(super) fn is_used_up(&self, direction: Direction) -> bool {
        let left = match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        };
        left.load(Ordering::Relaxed) == 0
    }
}
