//! One schedule: which task moves on, which call arrives or is lost, who dies, stops or freezes, all drawn from one seed.

use std::sync::Arc;

use patchwright::forge::Attempt;
use patchwright::store::{Lease, Store as _};
use patchwright::workspace::Workspaces;
use patchwright_domain::event::DeliveryId;

use super::books::Holder;
use super::end;
use super::guards::Guard;
use super::process::Process;
use super::scene::{Delivery, Scene};
use super::store::at_once;
use super::world::{Answer, World};

/// How many moves a schedule may have; one that needs more does not come to an end.
const MOVES_MAX: u32 = 10_000;
/// How long a process that was told to stop may take, as `service` has it.
const STOP_TIMEOUT_MS: i64 = 8_000;

/// How often a delivery is told that nobody takes before a sweep gives it up, and somebody sends it by hand.
const TOLD_MAX: usize = 5;

/// Where a process runs, or from when on it runs again.
enum Place {
    Running(Box<Process>),
    Down { until_ms: i64 },
}

pub(super) struct Schedule<'a> {
    world: Arc<World>,
    rng: fastrand::Rng,
    scene: Scene,
    places: Vec<Place>,
    workspaces: &'a Arc<Workspaces>,
    n_faults_left: u32,
}

/// A schedule in which a rule was broken.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) rule: String,
    pub(super) told: Vec<String>,
}

/// Plays the schedule of a seed to its end, in its own scene or in another, and holds it against the rules.
pub(super) fn play(
    seed: u64,
    removed: Option<Guard>,
    scene: Option<Scene>,
    workspaces: &Arc<Workspaces>,
    is_told: bool,
) -> Result<(), Broken> {
    let (rule, told) = played(World::new(seed, removed, is_told), seed, scene, workspaces);
    rule.map_or(Ok(()), |rule| Err(Broken { rule, told }))
}

/// Everything that happens in the schedule of a seed.
pub(super) fn told(seed: u64, workspaces: &Arc<Workspaces>) -> Vec<String> {
    played(World::new(seed, None, true), seed, None, workspaces).1
}

fn played(world: Arc<World>, seed: u64, scene: Option<Scene>, workspaces: &Arc<Workspaces>) -> (Option<String>, Vec<String>) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let scene = scene.unwrap_or_else(|| Scene::of(&mut rng, &mut world.state().books));
    world.state().toil_s = scene.toil_s.clone();
    let places = (0..scene.n_workers.len()).map(|_| Place::Down { until_ms: 0 }).collect();
    let n_faults_left = scene.n_faults;
    let mut schedule = Schedule { world, rng, scene, places, workspaces, n_faults_left };
    let rule = schedule.play();
    for place in std::mem::take(&mut schedule.places) {
        if let Place::Running(process) = place {
            process.kill();
        }
    }
    let told = schedule.world.state().told();
    (rule, told)
}

impl Schedule<'_> {
    fn play(&mut self) -> Option<String> {
        for _ in 0..MOVES_MAX {
            if let Some(rule) = self.world.state().violation.take() {
                return Some(rule);
            }
            if self.move_something() {
                continue;
            }
            if self.is_at_end() {
                let mut state = self.world.state();
                return end::broken(&mut state, &self.scene);
            }
            self.let_time_pass();
        }
        Some("the schedule does not come to an end".into())
    }

    /// Makes one move, where anything moves without the time.
    fn move_something(&mut self) -> bool {
        self.bury();
        self.deliver_what_is_due();
        self.grant_a_wish() || self.go_wrong() || self.move_a_call()
    }

    fn now_ms(&self) -> i64 {
        self.world.state().now_ms()
    }

    fn is_at_end(&self) -> bool {
        let is_idle = |place: &Place| match place {
            Place::Running(process) => process.frozen_until_ms.is_none() && process.wishes().is_empty(),
            Place::Down { .. } => true,
        };
        if !self.scene.deliveries.iter().all(|delivery| delivery.is_done) {
            return false;
        }
        let state = self.world.state();
        let books = &state.books;
        state.is_quiet()
            && books.accepted.is_subset(&books.decided)
            && books.stored.is_subset(&books.decided)
            && books.jobs.len() == books.completed.len()
            && self.places.iter().all(is_idle)
    }

    /// Ends processes that a job has killed, that were stopped long enough, or that have come to their end.
    fn bury(&mut self) {
        let now_ms = self.now_ms();
        let killed = std::mem::take(&mut self.world.state().books.killed);
        for number in 0..self.places.len() {
            let Place::Running(process) = &self.places[number] else { continue };
            let is_over = process.has_ended() || process.ends_at_ms.is_some_and(|ends_at_ms| ends_at_ms <= now_ms);
            if is_over || killed.contains(&number) {
                self.end(number, if is_over { "has ended" } else { "is killed by its job" });
            }
        }
    }

    fn end(&mut self, number: usize, how: &str) {
        self.world.state().tell(|| format!("p{number} {how}"));
        let until_ms = self.now_ms() + self.rng.i64(100..90_000);
        let place = std::mem::replace(&mut self.places[number], Place::Down { until_ms });
        if let Place::Running(process) = place {
            process.kill();
        }
        let state = self.world.state();
        let held: Vec<_> = state.books.held.iter().filter(|(_, holder)| holder.process == number).collect();
        let held: Vec<_> = held.into_iter().map(|(job, Holder { fence, .. })| Lease::of(job.clone(), *fence)).collect();
        if state.removed == Some(Guard::DeathsAreCounted) {
            let now = state.now();
            for lease in held {
                // Who has lost it meanwhile has nothing to hand back.
                let _ = at_once(state.store.release(lease, now));
            }
        }
    }

    fn grant_a_wish(&mut self) -> bool {
        let mut wishes = Vec::new();
        for (number, place) in self.places.iter().enumerate() {
            if let Place::Running(process) = place {
                wishes.extend(process.wishes().into_iter().map(|task| (number, task)));
            }
        }
        let Some(&(number, task)) = self.rng.choice(&wishes) else { return false };
        if let Place::Running(process) = &mut self.places[number] {
            process.grant(task);
        }
        self.move_spawned();
        true
    }

    fn move_spawned(&self) {
        let spawned = std::mem::take(&mut self.world.state().spawned);
        for number in spawned {
            if let Place::Running(process) = &self.places[number] {
                process.move_spawned();
            }
        }
    }

    /// Lets somebody die, stop or freeze.
    fn go_wrong(&mut self) -> bool {
        if self.n_faults_left == 0 || self.rng.u8(..48) > 0 {
            return false;
        }
        let number = self.rng.usize(..self.places.len());
        let now_ms = self.now_ms();
        let Place::Running(process) = &mut self.places[number] else { return false };
        self.n_faults_left -= 1;
        match self.rng.u8(..8) {
            0..3 => {
                self.world.state().books.fault(true);
                self.end(number, "dies");
            }
            3..6 => {
                let until_ms = now_ms + self.rng.i64(5_000..150_000);
                process.frozen_until_ms = Some(until_ms);
                let mut state = self.world.state();
                state.books.fault(true);
                if state.removed == Some(Guard::ClocksGoOn) {
                    state.behind_ms[number] += until_ms - now_ms;
                }
                state.tell(|| format!("p{number} freezes for {} s", (until_ms - now_ms) / 1_000));
            }
            _ => {
                self.world.state().tell(|| format!("p{number} is told to stop"));
                process.stop(now_ms + STOP_TIMEOUT_MS);
                // A stop that takes too long is a death.
                self.world.state().books.fault(true);
            }
        }
        true
    }

    /// Lets a call arrive, be answered, be lost or be held up.
    fn move_a_call(&mut self) -> bool {
        let movable = self.world.state().movable();
        let Some(&index) = self.rng.choice(&movable) else { return false };
        let passed_ms = self.rng.i64(1..400);
        let draw = self.rng.u8(..);
        let mut state = self.world.state();
        let now_ms = state.now_ms();
        if state.overdue(now_ms + passed_ms).is_none() {
            state.pass(now_ms + passed_ms);
        }
        let pending = state.pending(index);
        if !pending.is_awaited {
            // Nobody waits for it any more: it gets there or it does not.
            if draw < 128 {
                state.hold(index);
            }
            if !state.movable().contains(&index) {
                return true;
            }
            if draw.is_multiple_of(2) {
                state.arrive(index);
            }
            state.forget(index);
            return true;
        }
        let kind = pending.kind;
        let is_fault = self.n_faults_left > 0 && draw < if kind.is_to_github() && !pending.has_arrived { 16 } else { 12 };
        self.n_faults_left -= u32::from(is_fault);
        match draw {
            0..6 if is_fault => {
                state.books.fault(!kind.is_to_github());
                state.hold(index);
            }
            6..12 if is_fault => {
                state.books.fault(kind.keeps_the_job());
                if draw < 9 {
                    state.arrive(index);
                }
                state.answer(index, Answer::Lost);
            }
            _ if is_fault => {
                state.books.fault(false);
                state.answer(index, Answer::Limited);
            }
            0..40 if !pending.has_arrived => state.arrive(index),
            _ => {
                state.arrive(index);
                state.answer(index, Answer::Result);
            }
        }
        drop(state);
        self.move_spawned();
        true
    }

    /// Goes to the next moment at which something is due.
    fn let_time_pass(&mut self) {
        let now_ms = self.now_ms();
        let mut due: Vec<i64> = {
            let state = self.world.state();
            state.next_timer_ms().into_iter().chain(state.next_release_ms()).collect()
        };
        for place in &self.places {
            match place {
                Place::Running(process) => due.extend(process.frozen_until_ms.into_iter().chain(process.ends_at_ms)),
                Place::Down { until_ms } => due.push(*until_ms),
            }
        }
        due.extend(self.scene.deliveries.iter().filter(|delivery| !delivery.is_done).filter_map(|delivery| delivery.due_ms));
        let to_ms = due.into_iter().min().unwrap_or(now_ms + 1_000).max(now_ms);
        let overdue = self.world.state().overdue(to_ms);
        if let Some(index) = overdue {
            self.settle_overdue(index);
            return;
        }
        self.world.state().pass(to_ms);
        self.thaw_and_start(to_ms);
        self.deliver(to_ms);
    }

    /// What has been under way for as long as it may be has got there.
    fn settle_overdue(&mut self, index: usize) {
        let mut state = self.world.state();
        state.arrive(index);
        if state.pending(index).is_awaited {
            state.answer(index, Answer::Result);
        } else {
            state.forget(index);
        }
        drop(state);
        self.move_spawned();
    }

    fn thaw_and_start(&mut self, now_ms: i64) {
        for number in 0..self.places.len() {
            match &mut self.places[number] {
                Place::Running(process) if process.frozen_until_ms.is_some_and(|until_ms| until_ms <= now_ms) => {
                    process.frozen_until_ms = None;
                    self.world.state().tell(|| format!("p{number} goes on"));
                }
                Place::Down { until_ms } if *until_ms <= now_ms => {
                    self.world.state().tell(|| format!("p{number} starts"));
                    let n_workers = self.scene.n_workers[number];
                    let process = Process::start(&self.world, number, n_workers, self.workspaces);
                    self.places[number] = Place::Running(Box::new(process));
                }
                Place::Running(_) | Place::Down { .. } => {}
            }
        }
    }

    /// Deliveries come whatever else is under way.
    fn deliver_what_is_due(&mut self) {
        let now_ms = self.now_ms();
        let is_due = |delivery: &Delivery| !delivery.is_done && delivery.due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        if self.scene.deliveries.iter().any(is_due) {
            self.deliver(now_ms);
        }
    }

    fn deliver(&mut self, now_ms: i64) {
        let mut state = self.world.state();
        let wanted = std::mem::take(&mut state.github.wanted_again);
        for delivery in self.scene.deliveries.iter_mut().filter(|delivery| !delivery.is_done) {
            let is_accepted = state.books.has(&delivery.name);
            delivery.is_done = is_accepted && delivery.n_again == 0;
            if delivery.is_done {
                continue;
            }
            if wanted.iter().any(|wanted| wanted.as_str() == delivery.name) {
                delivery.due_ms = Some(now_ms + self.rng.i64(100..10_000));
            }
            let is_told_again = is_accepted || delivery.n_told >= TOLD_MAX;
            if delivery.due_ms.is_none() && is_told_again {
                delivery.n_again -= u32::from(is_accepted);
                delivery.due_ms = Some(now_ms + self.rng.i64(1_000..120_000));
            }
            if delivery.due_ms.is_none_or(|due_ms| due_ms > now_ms) {
                continue;
            }
            (delivery.due_ms, delivery.n_told) = (None, delivery.n_told + 1);
            let (number, at) = (state.github.attempts.len() as u64 + 1, state.now());
            let id = DeliveryId::new(&*delivery.name).expect("a plain name");
            state.github.attempts.push(Attempt { number, delivery: id, at, is_taken: false });
            state.tell(|| format!("GitHub tells {}: {}", delivery.name, delivery.body));
            let open = self.places.iter_mut().filter_map(|place| match place {
                Place::Running(process) if process.ends_at_ms.is_none() => Some(process),
                Place::Running(_) | Place::Down { .. } => None,
            });
            let mut open: Vec<_> = open.collect();
            if open.is_empty() {
                continue;
            }
            let chosen = self.rng.usize(..open.len());
            drop(state);
            open[chosen].take(&delivery.name, &delivery.body);
            state = self.world.state();
        }
    }
}
