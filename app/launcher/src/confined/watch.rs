//! What a command takes of memory, processor time and the disk, looked at again and again while it runs, by whoever descends from this
//! process. A burst between two looks is not seen, so the peak is somewhat higher than the limit.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::bare;
use crate::confined::Confined;
use crate::fault::{Fault, OrFault, Step};
use crate::status::Limit;
use crate::usage::cpu::Cpu;
use crate::usage::disk::{Disk, Full};
use crate::usage::memory::{Counted, Processes};
use crate::usage::{PAUSE, rest_after};

/// How long it is between two looks, in milliseconds.
const PAUSE_MS: i32 = PAUSE.as_millis() as i32;

/// Looks at one command.
pub(crate) struct Watch {
    memory_bytes_max: u64,
    cpu_max: Duration,
    cpu: Cpu,
    processes: Processes,
    disks: Vec<Disk>,
    next_look: Option<Instant>,
    counted: Counted,
}

impl Watch {
    /// It must be made before the command is started, and by the process that starts it.
    pub(crate) fn of(confined: &Confined) -> Result<Watch, Fault> {
        let processes = Processes::below(bare::own()).or_fault(Step::Process, "/proc")?;
        let disks = confined.places.iter();
        let disks = disks.map(|place| Disk::of(place.folders.iter().map(PathBuf::as_path), place.bytes, place.n_files));
        let memory_bytes_max = confined.memory_bytes;
        let (cpu_max, cpu) = (Duration::from_secs(confined.command.cpu_seconds), Cpu::after(Duration::ZERO));
        Ok(Watch {
            memory_bytes_max,
            cpu_max,
            cpu,
            processes,
            disks: disks.collect(),
            next_look: None,
            counted: Counted::default(),
        })
    }

    /// What there is too much of already in each of the places, in their order. What is taken from here on is the command's
    /// own.
    pub(crate) fn full(&mut self) -> Vec<Full> {
        self.disks.iter_mut().map(|disk| disk.settle(&[])).collect()
    }

    /// How long to wait for something else before the next look.
    pub(crate) fn pause_ms(&self) -> i32 {
        PAUSE_MS
    }

    /// The limit that the command is over, if it is time to look and it is over one.
    pub(crate) fn exceeded(&mut self) -> Option<Limit> {
        let began = Instant::now();
        if self.next_look.is_some_and(|next| began < next) {
            return None;
        }
        let found = self.look();
        self.next_look = Some(Instant::now() + rest_after(began.elapsed()));
        found
    }

    fn look(&mut self) -> Option<Limit> {
        if self.counted.is_over(&mut self.processes, 0, self.memory_bytes_max) {
            return Some(Limit::Memory);
        }
        if self.cpu.used(&self.processes) > self.cpu_max {
            return Some(Limit::Cpu);
        }
        let processes = [&self.processes];
        self.disks.iter_mut().find_map(|disk| disk.exceeded(&processes))
    }
}

/// How many processes and threads this user has now. The kernel counts them for the user
/// and not for the command, so those that are there already must not be held against it.
pub(crate) fn tasks_of(user: u32) -> u64 {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let statuses = entries.filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok());
    statuses.filter(|status| first(status, "Uid:") == Some(user.into())).filter_map(|status| first(&status, "Threads:")).sum()
}

/// The first number behind a name.
pub(crate) fn first(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
