//! The time of a world: it goes on by itself, and a test lets more of it pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use patchwright::clock::{Clock, SystemClock};
use tokio::sync::Notify;

/// The system's clock, and what a test lets pass on top.
#[derive(Default)]
pub(crate) struct TestClock {
    seconds: AtomicI64,
    /// How often it may still be looked at before the alarm goes off; none is set below 0.
    looks_left: AtomicI64,
    pub(super) alarm: Notify,
}

impl TestClock {
    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// What it shows, without counting as a look.
    pub(super) fn time(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    pub(super) fn set_alarm(&self, n_looks: i64) {
        self.looks_left.store(n_looks, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        if self.looks_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.alarm.notify_waiters();
        }
        self.time()
    }
}

/// The same clock for GitHub's side, where nobody dies when it is looked at.
pub(super) struct WallClock(pub(super) Arc<TestClock>);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        self.0.time()
    }
}
