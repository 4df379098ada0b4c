//! The service in a world without time, files and network: the real intake and the real workers, over ports whose calls are
//! delayed, lost and reordered, in processes that die, stop and freeze, as a seed has it.
//!
//! The schedule of a seed that breaks a rule is printed; `PATCHWRIGHT_SIMULATION_SEED` plays it again. The bench `simulation` plays
//! many more than the tests, in a build that is optimised.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use patchwright::workspace::Workspaces;

pub(crate) use guards::Guard;
use scene::Scene;
use schedule::Broken;

mod books;
mod end;
#[cfg(test)]
mod found;
mod github;
mod guards;
mod process;
mod scene;
mod schedule;
mod store;
#[cfg(test)]
mod tests;
mod without;
mod workshop;
mod world;

/// What the tools of a worker hold and a simulation does not use.
pub(crate) struct Unused {
    workspaces: Arc<Workspaces>,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

pub(crate) fn unused() -> Unused {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let workspaces = runtime.block_on(Workspaces::open(folder.path().join("workspace"), None));
    Unused { workspaces: Arc::new(workspaces.expect("the folder can be made")), _runtime: runtime, _folder: folder }
}

/// Plays the schedule of a seed, and says what broke it.
fn broken(seed: u64, removed: Option<Guard>, unused: &Unused) -> Option<Broken> {
    schedule::play(seed, removed, None, &unused.workspaces, false).err()
}

/// The first of these seeds with a schedule that breaks a rule.
pub(crate) fn first_broken(n_seeds: u64, removed: Option<Guard>, unused: &Unused) -> Option<u64> {
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

/// The schedule in which a rule was broken, and the rule.
fn story(seed: u64, scene: Option<Scene>, unused: &Unused) -> String {
    let Err(Broken { rule, told }) = schedule::play(seed, None, scene, &unused.workspaces, true) else {
        return format!("the schedule of seed {seed} broke a rule, and did not when it was played again");
    };
    format!("{}\nPATCHWRIGHT_SIMULATION_SEED={seed} breaks a rule: {rule}", told.join("\n"))
}

/// Plays the schedules of so many seeds.
///
/// # Errors
/// The schedule in which a rule was broken, and the rule.
pub(crate) fn check(n_seeds: u64, unused: &Unused) -> Result<(), String> {
    first_broken(n_seeds, None, unused).map_or(Ok(()), |seed| Err(story(seed, None, unused)))
}
