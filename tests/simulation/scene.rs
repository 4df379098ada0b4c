//! What happens on GitHub in a schedule, and in what order it is told.

use std::ops::RangeInclusive;

use patchwright_domain::event::IssueNumber;

use super::books::Books;
use super::workshop::{POISONED, POISONED_PLAN, POISONED_PUSH, kills};
use super::world::BEGINNING_MS;

/// Something that GitHub tells once, again when it is asked to, and now and then once more by itself.
pub(super) struct Delivery {
    pub(super) name: String,
    pub(super) body: String,
    /// When it is told next, as far as that is known.
    pub(super) due_ms: Option<i64>,
    /// How often it is told again when it was acknowledged.
    pub(super) n_again: u32,
    /// How often it was told.
    pub(super) n_told: usize,
    pub(super) is_done: bool,
}

impl Delivery {
    pub(super) fn new(name: String, body: String, due_ms: i64, n_again: u32) -> Self {
        Self { name, body, due_ms: Some(due_ms), n_again, n_told: 0, is_done: false }
    }
}

/// Processes with their workers, and deliveries.
pub(super) struct Scene {
    pub(super) n_workers: &'static [usize],
    pub(super) deliveries: Vec<Delivery>,
    /// How many things may go wrong.
    pub(super) n_faults: u32,
    /// How long each piece of work takes, in seconds.
    pub(super) toil_s: RangeInclusive<u64>,
    /// The issues that ask for something.
    pub(super) issues: Vec<u64>,
}

/// A moment later than another, by some seconds.
fn later(rng: &mut fastrand::Rng, at_ms: i64, seconds: std::ops::Range<i64>) -> i64 {
    at_ms + rng.i64(seconds.start * 1_000..seconds.end * 1_000)
}

impl Scene {
    pub(super) fn of(rng: &mut fastrand::Rng, books: &mut Books) -> Self {
        const SHAPES: [&[usize]; 7] = [&[1], &[2], &[1, 1], &[1, 1], &[1, 1, 1], &[1, 2], &[0, 1]];
        let mut scene = Self {
            n_workers: SHAPES[rng.usize(..SHAPES.len())],
            deliveries: Vec::new(),
            toil_s: 1..=25,
            n_faults: if rng.u8(..3) == 0 { 0 } else { rng.u32(1..=6) },
            issues: match rng.u8(..12) {
                0 => vec![[POISONED, POISONED_PUSH, POISONED_PLAN][rng.usize(..3)].0],
                _ => (1..=rng.u64(1..=2)).collect(),
            },
        };
        for issue in scene.issues.clone() {
            let asked_at = later(rng, BEGINNING_MS, 0..5);
            scene.told(rng, format!("{issue}-asked"), format!("asked {issue} {issue}01 {asked_at}"), asked_at);
            if rng.u8(..3) == 0 {
                // The same happening under another name.
                scene.told(rng, format!("{issue}-asked-too"), format!("asked {issue} {issue}01 {asked_at}"), asked_at);
            }
            if !kills(IssueNumber(issue)) && rng.u8(..4) == 0 {
                // Somebody else asks for it too, and both are told of at almost the same time.
                let (asked_at, told_at) = (asked_at + 1, scene.deliveries.last().and_then(|delivery| delivery.due_ms));
                scene.told(rng, format!("{issue}-asked-by-two"), format!("asked {issue} {issue}03 {asked_at}"), asked_at);
                let due_ms = told_at.map(|told_at| later(rng, told_at, -1..1));
                scene.deliveries.last_mut().expect("it was told").due_ms = due_ms;
            }
            if !kills(IssueNumber(issue)) && rng.u8(..5) == 0 {
                let closed_at = later(rng, asked_at, 1..60);
                books.closed_at_ms.insert(issue, closed_at);
                scene.told(rng, format!("{issue}-closed"), format!("closed {issue} 0 {closed_at}"), closed_at);
                if rng.bool() {
                    let asked_at = later(rng, closed_at, 1..30);
                    scene.told(rng, format!("{issue}-asked-again"), format!("asked {issue} {issue}02 {asked_at}"), asked_at);
                }
            }
        }
        scene
    }

    fn told(&mut self, rng: &mut fastrand::Rng, name: String, body: String, at_ms: i64) {
        // What is told late is told in another order than it happened.
        let seconds = if rng.u8(..4) == 0 { 0..90 } else { 0..3 };
        let (due_ms, n_again) = (later(rng, at_ms, seconds), rng.u32(0..=2));
        self.deliveries.push(Delivery::new(name, body, due_ms, n_again));
    }
}
