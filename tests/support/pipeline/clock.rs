//! The time of a world: it goes on by itself, and a test lets more of it pass.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use patchwright::clock::{Clock, Source, SystemClock};
use tokio::sync::Notify;

/// The system's clock, and what a test lets pass on top.
#[derive(Default)]
pub(crate) struct TestClock {
    seconds: AtomicI64,
    /// How far somebody has set the time of day on this machine.
    set: AtomicI64,
    /// How often it may still be looked at before the alarm goes off; none is set below 0.
    looks_left: AtomicI64,
    pub(super) alarm: Notify,
    /// What the system's clock is taken to say while something happens within one second.
    held: Mutex<Option<Timestamp>>,
}

impl TestClock {
    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Does all of this at one time: GitHub tells times in whole seconds, and what is done one after the other may lie in two.
    pub(crate) fn at_once<T>(&self, happens: impl FnOnce() -> T) -> T {
        let hold = |now| *self.held.lock().unwrap_or_else(PoisonError::into_inner) = now;
        hold(Some(SystemClock.now()));
        let done = happens();
        hold(None);
        done
    }

    /// Sets the time of day of this machine, and of nobody else's; no time passes by that.
    pub(crate) fn set(&self, seconds: i64) {
        self.set.fetch_add(seconds, Ordering::SeqCst);
    }

    fn time_here(&self) -> Timestamp {
        self.time() + SignedDuration::from_secs(self.set.load(Ordering::SeqCst))
    }

    /// What time it is in the world, without counting as a look.
    pub(super) fn time(&self) -> Timestamp {
        let now = self.held.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(|| SystemClock.now());
        now + SignedDuration::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    pub(super) fn set_alarm(&self, n_looks: i64) {
        self.looks_left.store(n_looks, Ordering::SeqCst);
    }
}

/// What the machine says; each look at its time of day counts.
pub(super) struct Machine(pub(super) Arc<TestClock>);

impl Source for Machine {
    fn time_of_day(&self) -> Timestamp {
        if self.0.looks_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.alarm.notify_waiters();
        }
        self.0.time_here()
    }

    fn uptime(&self) -> Duration {
        let passed = u64::try_from(self.0.seconds.load(Ordering::SeqCst)).expect("time passes forwards");
        SystemClock.uptime() + Duration::from_secs(passed)
    }
}

/// GitHub's time for what speaks to GitHub, where nobody dies when it is looked at.
pub(super) struct WallClock(pub(super) Arc<TestClock>);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        self.0.time()
    }
}
