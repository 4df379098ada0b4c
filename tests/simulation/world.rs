//! The world between the ports: calls that travel and are answered, timers, and the time. Nothing in it moves by itself.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use patchwright::clock::Clock;
use patchwright::store::memory::MemoryStore;

use super::books::Books;
use super::github::GitHub;
use super::guards::Guard;

/// How many processes a schedule may have.
pub(super) const PROCESSES_MAX: usize = 3;
/// When every schedule begins.
pub(super) const BEGINNING_MS: i64 = 1_760_000_000_000;

/// What everybody shares.
pub(super) struct World {
    state: Mutex<State>,
}

/// What the world is like now.
pub(super) struct State {
    /// For what happens inside of the ports, such as how long a test takes.
    pub(super) rng: fastrand::Rng,
    now_ms: i64,
    /// How long each piece of work takes, in seconds.
    pub(super) toil_s: RangeInclusive<u64>,
    /// The guard that is taken away, if one is.
    pub(super) removed: Option<Guard>,
    /// What has happened, where somebody wants to read it.
    told: Option<Vec<String>>,
    calls: Vec<Call>,
    timers: Vec<Timer>,
    last_id: u64,
    pub(super) store: MemoryStore,
    pub(super) github: GitHub,
    pub(super) books: Books,
    /// The first rule that was broken.
    pub(super) violation: Option<String>,
    /// By how much the clock of each process is behind.
    pub(super) behind_ms: [i64; PROCESSES_MAX],
    /// Processes in which something waits that was spawned.
    pub(super) spawned: Vec<usize>,
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A look for work in the store.
    Idle,
    /// What a worker keeps its job by, or gives it back.
    Tenure,
    /// Anything else that the store is asked.
    Store,
    /// A request to GitHub.
    GitHub,
    /// One that is spawned beside the work.
    Beside,
}

impl Kind {
    /// How long such a call may be under way; behind that it has arrived or never does. The store refuses what comes too late;
    /// GitHub does not, and there half of a lease must be enough.
    fn under_way_max_ms(self, removed: Option<Guard>) -> i64 {
        match self {
            Self::GitHub | Self::Beside if removed != Some(Guard::RequestsEndInTime) => 30_000,
            Self::Idle | Self::Tenure | Self::Store | Self::GitHub | Self::Beside => 150_000,
        }
    }

    /// Whether a worker may lose its job where no answer comes to such a call; behind any other it hands it back.
    pub(super) fn keeps_the_job(self) -> bool {
        match self {
            Self::Idle | Self::Tenure => true,
            Self::Store | Self::GitHub | Self::Beside => false,
        }
    }

    /// Whether it goes to GitHub, which may want to be asked later.
    pub(super) fn is_to_github(self) -> bool {
        match self {
            Self::GitHub | Self::Beside => true,
            Self::Idle | Self::Tenure | Self::Store => false,
        }
    }
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// What came of it.
    Result,
    /// Nothing: nobody knows what came of it.
    Lost,
    /// That there were too many requests: nothing came of it.
    Limited,
}

/// What happens when a call arrives.
type Arrival = Box<dyn FnOnce(&mut State) + Send>;

/// Something that one process has asked of the store or of GitHub.
struct Call {
    id: u64,
    process: usize,
    kind: Kind,
    what: String,
    sent_ms: i64,
    /// Until when nothing becomes of it.
    held_until_ms: i64,
    /// What happens when it arrives; none once it has.
    arrival: Option<Arrival>,
    /// The answer, once it is there.
    answer: Option<Answer>,
    /// Who waits for the answer; nobody where the caller is gone.
    waker: Option<Waker>,
}

struct Timer {
    id: u64,
    due_ms: i64,
    waker: Waker,
}

/// What may be done next with a call.
pub(super) struct Pending {
    pub(super) kind: Kind,
    pub(super) has_arrived: bool,
    pub(super) is_awaited: bool,
}

impl World {
    pub(super) fn new(seed: u64, removed: Option<Guard>, is_told: bool) -> Arc<Self> {
        let state = State {
            rng: fastrand::Rng::with_seed(seed ^ 0x5eed),
            now_ms: BEGINNING_MS,
            toil_s: 1..=1,
            removed,
            told: is_told.then(Vec::new),
            calls: Vec::new(),
            timers: Vec::new(),
            last_id: 0,
            store: MemoryStore::default(),
            github: GitHub::default(),
            books: Books::default(),
            violation: None,
            behind_ms: [0; PROCESSES_MAX],
            spawned: Vec::new(),
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a call.
    pub(super) fn call<R: Send + 'static>(
        self: &Arc<Self>,
        process: usize,
        kind: Kind,
        what: impl FnOnce() -> String,
        arrival: impl FnOnce(&mut State) -> R + Send + 'static,
    ) -> Answering<R> {
        let mut state = self.state();
        let slot = Arc::new(Mutex::new(None));
        let answer = Arc::clone(&slot);
        let arrival: Arrival = Box::new(move |state| {
            let result = arrival(state);
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        let what = if state.told.is_some() { what() } else { String::new() };
        let (id, sent_ms) = (state.id(), state.now_ms);
        if kind != Kind::Idle {
            state.tell(|| format!("p{process} asks: {what}"));
        }
        let (held_until_ms, arrival) = (sent_ms, Some(arrival));
        state.calls.push(Call { id, process, kind, what, sent_ms, held_until_ms, arrival, answer: None, waker: None });
        Answering { world: Arc::clone(self), id, slot, is_done: false }
    }
}

impl State {
    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whether this guard is taken away and is missing now, in so many of 256 cases.
    pub(super) fn does_without(&mut self, guard: Guard, of_256: u8) -> bool {
        self.removed == Some(guard) && self.rng.u8(..) < of_256
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms).expect("schedules are short")
    }

    /// Writes down what happens, for whoever reads it.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        let seconds = (self.now_ms - BEGINNING_MS) as f64 / 1_000.0;
        if let Some(told) = &mut self.told {
            told.push(format!("{seconds:9.3} s  {}", line()));
        }
    }

    pub(super) fn told(&mut self) -> Vec<String> {
        self.told.take().unwrap_or_default()
    }

    /// Notes that a rule was broken; the first one counts.
    pub(super) fn violate(&mut self, rule: impl Into<String>) {
        let rule = rule.into();
        self.tell(|| format!("BROKEN: {rule}"));
        self.violation.get_or_insert(rule);
    }

    /// Whether anything is under way that is more than a look for work.
    pub(super) fn is_quiet(&self) -> bool {
        self.calls.iter().all(|call| call.kind == Kind::Idle)
    }

    pub(super) fn pending(&self, index: usize) -> Pending {
        let call = &self.calls[index];
        Pending { kind: call.kind, has_arrived: call.arrival.is_none(), is_awaited: call.waker.is_some() }
    }

    /// The first call that must arrive or be lost before this moment.
    pub(super) fn overdue(&self, by_ms: i64) -> Option<usize> {
        let ends_ms = |call: &Call| call.sent_ms + call.kind.under_way_max_ms(self.removed);
        self.calls.iter().position(|call| call.answer.is_none() && ends_ms(call) <= by_ms)
    }

    /// The calls that may move now; those that are answered wait for their caller alone.
    pub(super) fn movable(&self) -> Vec<usize> {
        let may_move = |call: &Call| call.answer.is_none() && call.held_until_ms <= self.now_ms;
        (0..self.calls.len()).filter(|index| may_move(&self.calls[*index])).collect()
    }

    /// Keeps a call on its way for a part of the longest time that it may take.
    pub(super) fn hold(&mut self, index: usize) {
        let call = &mut self.calls[index];
        let end_ms = call.sent_ms + call.kind.under_way_max_ms(self.removed);
        if call.held_until_ms > call.sent_ms || end_ms <= self.now_ms {
            return;
        }
        call.held_until_ms = self.rng.i64(self.now_ms..end_ms);
        let (process, what, seconds) = (call.process, call.what.clone(), (call.held_until_ms - self.now_ms) / 1_000);
        self.tell(|| format!("p{process}'s call is held up for {seconds} s: {what}"));
    }

    /// When the next call may move that is held up.
    pub(super) fn next_release_ms(&self) -> Option<i64> {
        let held = self.calls.iter().filter(|call| call.answer.is_none() && call.held_until_ms > self.now_ms);
        held.map(|call| call.held_until_ms).min()
    }

    pub(super) fn arrive(&mut self, index: usize) {
        let call = &mut self.calls[index];
        let (process, kind, what) = (call.process, call.kind, call.what.clone());
        if let Some(arrival) = call.arrival.take() {
            if kind != Kind::Idle {
                self.tell(|| format!("p{process}'s call arrives: {what}"));
            }
            arrival(self);
        }
    }

    pub(super) fn answer(&mut self, index: usize, answer: Answer) {
        let call = &mut self.calls[index];
        call.answer = Some(answer);
        let (process, kind, what, waker) = (call.process, call.kind, call.what.clone(), call.waker.take());
        if kind != Kind::Idle || answer != Answer::Result {
            let how = match answer {
                Answer::Result => "is answered",
                Answer::Lost => "gets no answer",
                Answer::Limited => "is told to come back later",
            };
            self.tell(|| format!("p{process} {how}: {what}"));
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        if kind == Kind::Beside {
            self.spawned.push(process);
        }
    }

    /// Forgets a call of which nobody waits for the answer.
    pub(super) fn forget(&mut self, index: usize) {
        self.calls.remove(index);
    }

    /// When the next timer is due.
    pub(super) fn next_timer_ms(&self) -> Option<i64> {
        self.timers.iter().map(|timer| timer.due_ms).min()
    }

    pub(super) fn pass(&mut self, to_ms: i64) {
        self.now_ms = self.now_ms.max(to_ms);
        let now_ms = self.now_ms;
        for timer in self.timers.extract_if(.., |timer| timer.due_ms <= now_ms) {
            timer.waker.wake();
        }
    }
}

/// Why a call has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Nobody knows what came of it.
    Lost,
    /// There were too many requests; nothing came of it.
    Limited,
}

/// Waits for the answer to a call.
pub(super) struct Answering<R> {
    world: Arc<World>,
    id: u64,
    slot: Arc<Mutex<Option<R>>>,
    is_done: bool,
}

impl<R> Future for Answering<R> {
    type Output = Result<R, Unanswered>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R, Unanswered>> {
        let world = Arc::clone(&self.world);
        let mut state = world.state();
        let index = state.calls.iter().position(|call| call.id == self.id).expect("a call stays until it is answered");
        let Some(answer) = state.calls[index].answer else {
            state.calls[index].waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        state.calls.remove(index);
        self.is_done = true;
        let result = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        Poll::Ready(match answer {
            Answer::Result => result.ok_or(Unanswered::Lost),
            Answer::Lost => Err(Unanswered::Lost),
            Answer::Limited => Err(Unanswered::Limited),
        })
    }
}

impl<R> Drop for Answering<R> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut state = self.world.state();
        let Some(index) = state.calls.iter().position(|call| call.id == self.id) else { return };
        // What is under way goes on without its caller.
        if state.calls[index].arrival.is_none() || state.calls[index].answer.is_some() {
            state.calls.remove(index);
        } else {
            state.calls[index].waker = None;
        }
    }
}

/// The world's time, as a process sees it.
pub(super) struct WorldClock {
    pub(super) world: Arc<World>,
    pub(super) process: usize,
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        let state = self.world.state();
        state.now() - SignedDuration::from_millis(state.behind_ms[self.process])
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.world.state().now_ms.cast_unsigned())
    }

    fn wait(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.world.state();
        let duration_ms = i64::try_from(duration.as_millis()).expect("nobody waits for ever");
        let (id, due_ms) = (state.id(), state.now_ms + duration_ms);
        Box::pin(Waiting { world: Arc::clone(&self.world), id, due_ms })
    }
}

struct Waiting {
    world: Arc<World>,
    id: u64,
    due_ms: i64,
}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.world.state();
        if state.now_ms >= self.due_ms {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        match state.timers.iter_mut().find(|timer| timer.id == self.id) {
            Some(timer) => timer.waker = waker,
            None => state.timers.push(Timer { id: self.id, due_ms: self.due_ms, waker }),
        }
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.world.state().timers.retain(|timer| timer.id != self.id);
    }
}
