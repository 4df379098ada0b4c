//! What the tasks of a container take beyond what its engine limits, looked at again and again while one runs.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::resident::memory::{self, Memory};
use crate::resident::orders::TaskLimits;
use crate::spec::{HOME, WORKSPACE};
use crate::status::Limit;
use crate::usage::cpu::Cpu;
use crate::usage::disk::{Disk, Full};
use crate::usage::memory::Processes;
use crate::usage::{PAUSE, rest_after};

/// Looks at one task after another.
#[derive(Default)]
pub(crate) struct Watch {
    memory: Option<Memory>,
    memory_bytes_max: Option<u64>,
    /// All that there are; made anew for each task.
    processes: Option<Processes>,
    cpu_max: Duration,
    /// Without what the processes of this launcher had used before the task: those of earlier ones that it has waited for.
    cpu: Option<Cpu>,
    /// Kept from task to task: the next one begins with what the last one left.
    disk: Option<Disk>,
    next_look: Option<Instant>,
}

impl Watch {
    /// Begins with a task, before anything of it runs. Says what there is too much of on the disk already, so that it must not
    /// take more.
    pub(crate) fn begin(&mut self, limits: &TaskLimits) -> Full {
        self.memory = Some(Memory::now());
        self.memory_bytes_max = limits.polled_memory_bytes;
        self.processes = Processes::here().ok();
        self.cpu_max = Duration::from_secs(limits.cpu_seconds);
        self.cpu = self.processes.as_ref().map(|processes| Cpu::after(processes.cpu()));
        self.next_look = None;
        let places = [Some(WORKSPACE), limits.is_home_kept.then_some(HOME)];
        // One supervisor asks for the same limits again and again.
        let places = places.into_iter().flatten().map(Path::new);
        self.disk.get_or_insert_with(|| Disk::of(places, limits.disk_bytes, limits.n_files)).settle(&[])
    }

    /// The limit that the task is over, if it is time to look and it is over one.
    pub(crate) fn exceeded(&mut self) -> Option<Limit> {
        // What the kernel has done is cheap to ask for, however much there is to be looked at: after one process was killed the
        // rest may end well before the next look.
        if let Some(limit) = self.killed() {
            return Some(limit);
        }
        let began = Instant::now();
        if self.next_look.is_some_and(|next| began < next) {
            return None;
        }
        let found = self.look();
        self.next_look = Some(Instant::now() + PAUSE.max(rest_after(began.elapsed())));
        found
    }

    /// Whether the kernel has killed a process of the task for its memory, unless that was seen before.
    pub(crate) fn killed(&self) -> Option<Limit> {
        self.memory.as_ref().is_some_and(Memory::has_killed).then_some(Limit::Memory)
    }

    fn look(&mut self) -> Option<Limit> {
        if let (Some(most), Some(processes)) = (self.memory_bytes_max, &mut self.processes)
            && memory::is_over(processes, most)
        {
            return Some(Limit::Memory);
        }
        if let (Some(cpu), Some(processes)) = (&mut self.cpu, &self.processes)
            && cpu.used(processes) > self.cpu_max
        {
            return Some(Limit::Cpu);
        }
        let processes: Vec<&Processes> = self.processes.iter().collect();
        self.disk.as_mut()?.exceeded(&processes)
    }
}
