//! The service in a world without time, files and network: the real intake and the real workers, over ports whose calls are
//! delayed, lost and reordered, in processes that die, stop and freeze, as a seed has it.
//!
//! The schedule of a seed that breaks a rule is printed; `PATCHWRIGHT_SIMULATION_SEED` plays it again, and
//! `PATCHWRIGHT_SIMULATION_SCHEDULES` says how many are played, and has it told how fast that was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use patchwright::workspace::Workspaces;

use guards::Guard;
use scene::Scene;
use schedule::Broken;

mod books;
mod end;
mod found;
mod github;
mod guards;
mod process;
mod scene;
mod schedule;
mod store;
mod without;
mod workshop;
mod world;

/// How many schedules are played where nobody says how many: seconds on an idle machine, as long as nothing is optimised.
const SCHEDULES: u64 = 4_000;
/// Within how many schedules a guard that is taken away must be missed.
const SCHEDULES_WITHOUT_A_GUARD_MAX: u64 = 4_000;

/// What the tools of a worker hold and a simulation does not use.
struct Unused {
    workspaces: Arc<Workspaces>,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

fn unused() -> Unused {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let workspaces = runtime.block_on(Workspaces::open(folder.path().join("workspace"), None));
    Unused { workspaces: Arc::new(workspaces.expect("the folder can be made")), _runtime: runtime, _folder: folder }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Plays the schedule of a seed, and says what broke it.
fn broken(seed: u64, removed: Option<Guard>, unused: &Unused) -> Option<Broken> {
    schedule::play(seed, removed, None, &unused.workspaces, false).err()
}

/// Fails with the schedule in which a rule was broken.
#[track_caller]
fn fail(seed: u64, scene: Option<Scene>, unused: &Unused) -> ! {
    let Err(Broken { rule, told }) = schedule::play(seed, None, scene, &unused.workspaces, true) else {
        panic!("the schedule of seed {seed} broke a rule, and did not when it was played again");
    };
    panic!("{}\nPATCHWRIGHT_SIMULATION_SEED={seed} breaks a rule: {rule}", told.join("\n"));
}

/// The first of these seeds with a schedule that breaks a rule.
fn first_broken(n_seeds: u64, removed: Option<Guard>, unused: &Unused) -> Option<u64> {
    let (next, found) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= n_seeds || found.load(Ordering::Relaxed) < seed {
                        return;
                    }
                    if broken(seed, removed, unused).is_some() {
                        found.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    Some(found.into_inner()).filter(|seed| *seed != u64::MAX)
}

/// The same of as many as somebody wants, who is told how fast they are played.
#[expect(clippy::print_stderr, reason = "whoever has many schedules played is told how fast that was")]
fn first_broken_of_many(n_seeds: u64, unused: &Unused) -> Option<u64> {
    let begun = Instant::now();
    let found = first_broken(n_seeds, None, unused);
    if found.is_none() {
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("{n_seeds} schedules were played in {seconds:.1} s, {:.0} in each second", n_seeds as f64 / seconds);
    }
    found
}

#[test]
fn whatever_dies_or_is_lost_everything_is_done_once() {
    let unused = unused();
    let found = match variable("PATCHWRIGHT_SIMULATION_SEED") {
        Some(seed) => broken(seed, None, &unused).map(|_| seed),
        None => match variable("PATCHWRIGHT_SIMULATION_SCHEDULES") {
            Some(n_seeds) => first_broken_of_many(n_seeds, &unused),
            None => first_broken(SCHEDULES, None, &unused),
        },
    };
    if let Some(seed) = found {
        fail(seed, None, &unused);
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
