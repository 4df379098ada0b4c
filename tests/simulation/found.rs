//! What simulations have found, each as small as it can be told.

use super::scene::{Delivery, Scene};
use super::world::BEGINNING_MS;
use super::{Unused, schedule, story, unused};

fn delivery(name: &str, what: &str, at_ms: i64, due_ms: i64) -> Delivery {
    let (body, due_ms) = (format!("{what} {}", BEGINNING_MS + at_ms), BEGINNING_MS + due_ms);
    Delivery::new(name.into(), body, due_ms, 0)
}

/// A scene of one process and one worker in which nothing goes wrong.
fn scene(deliveries: Vec<Delivery>) -> Scene {
    Scene { n_workers: &[1], deliveries, n_faults: 0, toil_s: 7..=7, issues: vec![1] }
}

#[track_caller]
fn check(scene: impl Fn() -> Scene, n_seeds: u64) {
    let unused: Unused = unused();
    for seed in 0..n_seeds {
        if schedule::play(seed, None, Some(scene()), &unused.workspaces, false).is_err() {
            panic!("{}", story(seed, Some(scene()), &unused));
        }
    }
}

/// The lease was renewed by steps that take long, each time anew, and by no others.
#[test]
fn a_worker_keeps_its_job_over_many_short_steps() {
    check(|| scene(vec![delivery("asked", "asked 1 101", 0, 0)]), 60);
}

/// The close was told while the job was under way that was asked for behind it.
#[test]
fn a_close_that_is_told_late_stops_no_job_that_was_asked_for_after_it() {
    let deliveries = || vec![delivery("asked", "asked 1 102", 9_000, 9_000), delivery("closed", "closed 1 0", 5_000, 12_000)];
    check(|| scene(deliveries()), 10);
}

/// What was used was counted, and its acknowledgement lost; asked again, the store knew of nothing to settle, and the job was taken
/// for one that kills its workers (seed 353 of all that may go wrong).
#[test]
fn a_settling_whose_answer_is_lost_costs_no_worker() {
    let one_fault = || Scene { n_faults: 1, ..scene(vec![delivery("asked", "asked 1 103", 0, 0)]) };
    check(one_fault, 400);
}
