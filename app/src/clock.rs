//! The time of day, as a port: everything else is told what time it is, and waits by it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// For how long the machine is there, asleep or awake; nobody can set that. It is cheap, and is no look at the time of day.
    fn uptime(&self) -> Duration;

    /// Waits so long. A clock that is not the machine's may let that time pass in its own way.
    fn wait(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn uptime(&self) -> Duration {
        Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
    }
}

/// The time of day without its jumps: what leases, deadlines and "not before" are held against.
///
/// Where somebody sets the time of day, this goes on as before, and comes back to it by a tenth of the time that passes. So no
/// lease ends early and none late, nothing that waits until a moment waits for long, and what is written down is right again
/// after a while.
pub struct SteadyClock {
    source: Box<dyn Clock>,
    last: Mutex<Reading>,
}

/// What was shown, and when in the machine's life that was.
#[derive(Clone, Copy)]
struct Reading {
    shown: Timestamp,
    uptime: Duration,
}

/// Which part of the time that passes may be used to come back to the time of day.
const PART: i32 = 10;

impl SteadyClock {
    /// Begins with the time of day, which this clock tells and somebody can set.
    pub fn over(source: impl Clock + 'static) -> Self {
        let last = Reading { shown: source.now(), uptime: source.uptime() };
        Self { source: Box::new(source), last: Mutex::new(last) }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (time_of_day, uptime) = (self.source.now(), self.source.uptime());
        let passed = SignedDuration::try_from(uptime.saturating_sub(last.uptime)).unwrap_or(SignedDuration::ZERO);
        let straight = last.shown.checked_add(passed).unwrap_or(Timestamp::MAX);
        let most = passed / PART;
        let back = time_of_day.duration_since(straight).clamp(-most, most);
        let shown = straight.checked_add(back).unwrap_or(straight);
        *last = Reading { shown, uptime };
        shown
    }

    fn uptime(&self) -> Duration {
        self.source.uptime()
    }
}

#[cfg(test)]
mod tests;
