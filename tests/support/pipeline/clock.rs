//! The time of a world: it goes on by itself, and a test lets more of it pass.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use patchwright::clock::{Clock, SteadyClock, SystemClock};
use tokio::sync::{Notify, watch};

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

impl Clock for Machine {
    fn now(&self) -> Timestamp {
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

    fn uptime(&self) -> Duration {
        Machine(Arc::clone(&self.0)).uptime()
    }
}

/// How often a lease is renewed.
const RENEWAL_SECONDS: i64 = 10;

/// Somebody waits.
struct Wait {
    number: u64,
    seconds: u64,
    due: Timestamp,
}

/// A world's time, by which waits end as soon as a test lets it pass.
#[derive(Clone)]
pub(crate) struct PassingClock {
    world: Arc<TestClock>,
    steady: Arc<SteadyClock>,
    waits: Arc<Mutex<Vec<Wait>>>,
    /// Changes whenever somebody begins to wait or time passes.
    changes: Arc<watch::Sender<u64>>,
}

impl PassingClock {
    pub(crate) fn of(world: &Arc<TestClock>) -> Self {
        let steady = Arc::new(SteadyClock::over(Machine(Arc::clone(world))));
        Self { world: Arc::clone(world), steady, waits: Arc::default(), changes: Arc::new(watch::Sender::new(0)) }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: i64) {
        self.world.pass(seconds);
        self.changes.send_modify(|n_changes| *n_changes += 1);
    }

    /// Lets time pass for a worker that goes on meanwhile: it renews its lease whenever that is due.
    pub(crate) async fn pass_in_steps(&self, seconds: i64) {
        for _ in 0..=seconds / RENEWAL_SECONDS {
            self.is_waited_for(RENEWAL_SECONDS.cast_unsigned()).await;
            self.pass(RENEWAL_SECONDS);
        }
    }

    /// Returns when somebody waits for so many seconds that are not over.
    pub(crate) async fn is_waited_for(&self, seconds: u64) {
        let is_it = |_: &u64| {
            let now = self.now();
            self.waits.lock().expect("nobody panics").iter().any(|wait| wait.seconds == seconds && wait.due > now)
        };
        self.changes.subscribe().wait_for(is_it).await.expect("the clock is there");
    }
}

/// Ends with whoever waits.
struct Waiting {
    clock: PassingClock,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.clock.waits.lock().expect("nobody panics").retain(|wait| wait.number != self.number);
    }
}

impl Clock for PassingClock {
    fn now(&self) -> Timestamp {
        self.steady.now()
    }

    fn uptime(&self) -> Duration {
        self.steady.uptime()
    }

    fn wait(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (clock, due) = (self.clone(), self.now() + SignedDuration::try_from(duration).expect("nobody waits for ever"));
        Box::pin(async move {
            let (mut passed, mut number) = (clock.changes.subscribe(), 0);
            clock.changes.send_modify(|n_changes| {
                *n_changes += 1;
                number = *n_changes;
                let seconds = duration.as_secs_f64().round() as u64;
                clock.waits.lock().expect("nobody panics").push(Wait { number, seconds, due });
            });
            let _waiting = Waiting { clock: clock.clone(), number };
            loop {
                let left = Duration::try_from(due.duration_since(clock.now())).unwrap_or_default();
                if left.is_zero() {
                    return;
                }
                tokio::select! {
                    () = SystemClock.wait(left) => {}
                    _ = passed.changed() => {}
                }
            }
        })
    }
}
