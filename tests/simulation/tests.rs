//! Schedules that are played in every run of the tests.

use super::guards::Guard;
use super::{broken, check, first_broken, schedule, story, unused};

/// How many schedules are played: seconds on an idle machine, as long as nothing is optimised.
const SCHEDULES: u64 = 4_000;
/// Within how many schedules a guard that is taken away must be missed.
const SCHEDULES_WITHOUT_A_GUARD_MAX: u64 = 4_000;

#[test]
fn whatever_dies_or_is_lost_everything_is_done_once() {
    let unused = unused();
    let checked = match std::env::var("PATCHWRIGHT_SIMULATION_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("a seed is a number");
            broken(seed, None, &unused).map_or(Ok(()), |_| Err(story(seed, None, &unused)))
        }
        Err(_) => check(SCHEDULES, &unused),
    };
    if let Err(story) = checked {
        panic!("{story}");
    }
}

#[test]
fn each_guard_is_missed_when_it_is_taken_away() {
    let unused = unused();
    for guard in Guard::ALL {
        let found = first_broken(SCHEDULES_WITHOUT_A_GUARD_MAX, Some(guard), &unused);
        assert!(found.is_some(), "nobody misses {guard:?}");
    }
}

#[test]
fn the_same_seed_plays_the_same_schedule() {
    let unused = unused();
    for seed in 0..20 {
        let told = || schedule::told(seed, &unused.workspaces);
        let first = told();
        assert!(!first.is_empty() && first == told(), "seed {seed} plays differently");
    }
}
