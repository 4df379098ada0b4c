//! What commands use beyond what the kernel limits by itself, looked at again and again while they run.
//!
//! Memory is that of all processes of a command together, and of the private file systems; what is mapped from those counts
//! twice. The disk is walked only when so much of it went that the limit may be near. A burst between two looks is not
//! seen, so the peak is somewhat higher than the limit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::time::{Duration, Instant};

use rustix::event::Timespec;

use crate::spec::{HOME, Spec};
use crate::status::Limit;
use crate::usage::disk::Disk;
use crate::usage::memory::Processes;

mod disk;
mod memory;

/// How long it is between two looks.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// How long it is between two exact counts of memory, unless much was taken in between.
const COUNT_PAUSE: Duration = Duration::from_millis(500);

/// Looks at the commands of one sandbox.
pub(crate) struct Watch {
    memory_bytes_max: u64,
    /// The private file systems, whose content is memory.
    private: Vec<&'static str>,
    commands: HashMap<i32, Known>,
    disk: Disk,
}

/// What is known of one command.
struct Known {
    processes: Processes,
    /// When memory was counted exactly, and what the estimate was then.
    counted: Option<(Instant, u64)>,
}

impl Watch {
    /// It must be made while the host's files can be seen.
    pub(crate) fn new(spec: &Spec) -> Watch {
        let mut private = vec!["/tmp", "/dev/shm"];
        if spec.home.is_none() {
            private.push(HOME);
        }
        Watch { memory_bytes_max: spec.limits.memory_bytes, private, commands: HashMap::new(), disk: Disk::new(spec) }
    }

    /// How long to wait until the next look.
    pub(crate) fn pause(&self) -> Timespec {
        PAUSE
    }

    /// Forgets a command that has ended.
    pub(crate) fn forget(&mut self, first: i32) {
        self.commands.remove(&first);
    }

    /// The limit that a command is over, if it is; `first` is its first process, and so many of
    /// its first ones are copies of ourselves.
    pub(crate) fn exceeded(&mut self, first: i32, n_ours: u32) -> Option<Limit> {
        let is_over = self.uses_too_much_memory(first, n_ours).unwrap_or_default();
        if is_over { Some(Limit::Memory) } else { self.disk.exceeded() }
    }

    fn uses_too_much_memory(&mut self, first: i32, n_ours: u32) -> Option<bool> {
        let kept = self.private.iter().map(|directory| taken(directory)).sum::<u64>();
        let known = match self.commands.entry(first) {
            Entry::Occupied(known) => known.into_mut(),
            // Its `/proc` is not there in the first moments, in which nothing but our own code runs.
            Entry::Vacant(place) => place.insert(Known { processes: Processes::of(first, n_ours)?, counted: None }),
        };
        let most = self.memory_bytes_max;
        let estimate = known.processes.estimate() + kept;
        if estimate <= most {
            known.counted = None;
            return Some(false);
        }
        // Processes that were forked share what they have not changed, so the estimate may be far too high.
        let is_fresh = |(at, then): &(Instant, u64)| at.elapsed() < COUNT_PAUSE && estimate < then + most / 8;
        if known.counted.as_ref().is_some_and(is_fresh) {
            return Some(false);
        }
        known.counted = Some((Instant::now(), estimate));
        Some(known.processes.count() + kept > most)
    }
}

/// What a private file system holds, in bytes.
fn taken(directory: &str) -> u64 {
    rustix::fs::statvfs(directory).map_or(0, |found| found.f_blocks.saturating_sub(found.f_bfree) * found.f_frsize)
}

/// The value of a line such as `Shmem:  12 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// What all processes of the machine together share in memory, private file systems among it, in bytes.
fn shared_memory_of_machine() -> u64 {
    fs::read_to_string("/mnt/proc/meminfo").map_or(0, |text| kilobytes(&text, "Shmem"))
}
