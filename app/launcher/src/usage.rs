//! What commands use beyond what the kernel limits by itself, looked at again and again while they run.
//!
//! In a control group the kernel limits memory, too, and counts processor time, and only the disk is looked at. Otherwise
//! memory is that of all processes of a command together, and what came into the private file systems since it began; what
//! is mapped from those counts twice. Processor time is that of all of them and of those that were waited for; of one that
//! nobody waits for, what was seen of it and what is concluded from that. The disk is walked only when so much of it went that
//! the limit may be near. A burst between two looks is not seen, so the peak is somewhat higher than the limit. What only the
//! kernel knows of is not seen at all: the buffers of sockets and pipes, and files in memory that are on their way from one
//! process to another.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::event::Timespec;

use crate::spec::{HOME, Spec};
use crate::status::Limit;
use crate::usage::cpu::Cpu;
use crate::usage::disk::{Disk, Full};
use crate::usage::memory::{Counted, Processes};

pub(crate) mod cpu;
pub(crate) mod disk;
pub(crate) mod memory;
mod unnamed;

/// How long it is between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// The longest that it is between two looks, however long one takes: a walk of the disk may take long, and memory goes
/// quickly.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How often the processes of a command that lives may be looked for in vain; then it is taken for one that cannot be watched.
/// In the first moments there is nothing to be found, for some time where the machine is slow.
const BLIND_LOOKS_MAX: u32 = 200;

/// A look takes at most one part in this many of the time, unless that would be too seldom.
const REST: u32 = 20;

/// Looks at the commands of one sandbox.
pub(crate) struct Watch {
    memory_bytes_max: u64,
    cpu_max: Duration,
    /// The private file systems, whose content is memory.
    private: Vec<&'static str>,
    commands: HashMap<i32, Known>,
    disk: Disk,
    /// How long the last looks took.
    took: Duration,
}

/// What is known of one command.
struct Known {
    /// How many of its first processes are copies of ourselves.
    n_ours: u32,
    /// Whether the kernel counts its memory and its processor time, so that nobody else has to.
    is_in_group: bool,
    /// How often its processes were looked for in vain.
    n_blind: u32,
    /// Its `/proc` is not there in the first moments, in which nothing but our own code runs.
    processes: Option<Processes>,
    /// What the private file systems held when it began; that is not its doing.
    kept_before: u64,
    /// What all of the machine shared then.
    machine_before: u64,
    cpu: Cpu,
    counted: Counted,
}

impl Watch {
    /// It must be made while the host's files can be seen.
    pub(crate) fn new(spec: &Spec) -> Watch {
        let mut private = vec!["/tmp", "/dev/shm"];
        if spec.home.is_none() {
            private.push(HOME);
        }
        let (memory_bytes_max, disk) = (spec.limits.memory_bytes, Disk::new(spec));
        let cpu_max = Duration::from_secs(spec.limits.cpu_seconds);
        Watch { memory_bytes_max, cpu_max, private, commands: HashMap::new(), disk, took: Duration::ZERO }
    }

    /// How long to wait until the next look.
    pub(crate) fn pause(&self) -> Timespec {
        let pause = PAUSE.max(rest_after(self.took));
        Timespec { tv_sec: pause.as_secs().cast_signed(), tv_nsec: pause.subsec_nanos().into() }
    }

    /// What there is too much of on the disk already, before a command starts. What is taken from there on is that of whoever
    /// runs then.
    pub(crate) fn full(&mut self) -> Full {
        let processes: Vec<&Processes> = self.commands.values().filter_map(|known| known.processes.as_ref()).collect();
        self.disk.settle(&processes)
    }

    /// Gets to know a command; so many of its first processes are copies of ourselves, and it is or is not in a control group
    /// that limits its memory.
    pub(crate) fn begin(&mut self, first: i32, n_ours: u32, is_in_group: bool) {
        let kept_before = if is_in_group { 0 } else { self.kept() };
        let machine_before = shared_memory_of_machine(memory::MEMINFO);
        let cpu = Cpu::after(Duration::ZERO);
        let known = Known {
            n_ours,
            is_in_group,
            n_blind: 0,
            processes: None,
            kept_before,
            machine_before,
            cpu,
            counted: Counted::default(),
        };
        self.commands.insert(first, known);
    }

    /// Forgets a command that has ended.
    pub(crate) fn forget(&mut self, first: i32) {
        self.commands.remove(&first);
    }

    /// Looks at all commands, and names those that are over a limit by their first processes.
    pub(crate) fn exceeded(&mut self) -> Vec<(i32, Limit)> {
        let began = Instant::now();
        let is_counted = self.commands.values().all(|known| known.is_in_group);
        let kept = if is_counted { 0 } else { self.kept() };
        let most = self.memory_bytes_max;
        let mut over: Vec<(i32, Limit)> = Vec::new();
        for (first, known) in &mut self.commands {
            known.find(*first);
            if !known.is_in_group && known.uses_more_than(most, kept).unwrap_or_default() {
                over.push((*first, Limit::Memory));
            } else if !known.is_in_group && known.has_computed_more_than(self.cpu_max) {
                over.push((*first, Limit::Cpu));
            }
        }
        let processes: Vec<&Processes> = self.commands.values().filter_map(|known| known.processes.as_ref()).collect();
        if let Some(limit) = self.disk.exceeded(&processes) {
            over.extend(self.commands.keys().map(|first| (*first, limit)));
        }
        self.took = began.elapsed();
        over
    }

    /// The first processes of commands whose memory nobody keeps, for their processes cannot be found.
    pub(crate) fn unseen(&self) -> Vec<i32> {
        let is_unseen = |known: &Known| !known.is_in_group && known.n_blind > BLIND_LOOKS_MAX;
        self.commands.iter().filter(|(_, known)| is_unseen(known)).map(|(first, _)| *first).collect()
    }

    /// What the private file systems hold, and System V shared memory, which needs no process, in bytes.
    fn kept(&self) -> u64 {
        self.private.iter().map(|directory| taken(directory)).sum::<u64>() + segments("/mnt/proc/sysvipc/shm")
    }
}

impl Known {
    fn find(&mut self, first: i32) {
        if self.processes.is_none() {
            self.processes = Processes::of(first, self.n_ours, self.machine_before);
            self.n_blind += 1;
        }
    }

    fn has_computed_more_than(&mut self, most: Duration) -> bool {
        self.processes.as_ref().is_some_and(|processes| self.cpu.used(processes) > most)
    }

    fn uses_more_than(&mut self, most: u64, kept: u64) -> Option<bool> {
        let kept = kept.saturating_sub(self.kept_before);
        let processes = self.processes.as_mut()?;
        Some(self.counted.is_over(processes, kept, most))
    }
}

/// How long to rest after a look that took so long.
pub(crate) fn rest_after(took: Duration) -> Duration {
    PAUSE_MAX.min(took * REST)
}

/// What System V shared memory of a table in `/proc` holds, attached or not, in bytes.
pub(crate) fn segments(table: &str) -> u64 {
    /// The place of `rss` in a line, see `proc_sysvipc(5)`.
    const RSS: usize = 14;
    let text = fs::read_to_string(table).unwrap_or_default();
    let resident = |line: &str| line.split_whitespace().nth(RSS)?.parse::<u64>().ok();
    text.lines().skip(1).filter_map(resident).sum()
}

/// What a private file system holds, in bytes.
fn taken(directory: &str) -> u64 {
    rustix::fs::statvfs(directory).map_or(0, |found| found.f_blocks.saturating_sub(found.f_bfree) * found.f_frsize)
}

/// The value of a line such as `Shmem:  12 kB`, in bytes.
pub(crate) fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// What all processes of the machine together share in memory, private file systems among it, in bytes.
fn shared_memory_of_machine(meminfo: &str) -> u64 {
    fs::read_to_string(meminfo).map_or(0, |text| kilobytes(&text, "Shmem"))
}

#[cfg(test)]
mod tests;
