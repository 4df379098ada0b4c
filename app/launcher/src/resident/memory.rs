//! Memory of everything in the container: whether the kernel has killed for it, and how much is taken where nobody counts.

use std::fs;

/// Files that say how often the kernel killed a process of this container for its memory, by version of control groups.
const COUNTERS: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// What can be written to that is memory.
const MEMORY_FOLDERS: [&str; 5] = ["/tmp", "/var/tmp", "/home/agent", "/dev/shm", "/run"];

/// How often the kernel had killed at some moment.
pub(crate) struct Memory {
    n_kills: u64,
}

impl Memory {
    pub(crate) fn now() -> Memory {
        Memory { n_kills: n_kills() }
    }

    /// Whether it has killed since.
    pub(crate) fn has_killed(&self) -> bool {
        n_kills() > self.n_kills
    }
}

fn n_kills() -> u64 {
    let counters = COUNTERS.iter().filter_map(|path| fs::read_to_string(path).ok());
    let kills = counters.filter_map(|text| {
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        count.trim().parse::<u64>().ok()
    });
    kills.max().unwrap_or(0)
}

/// What all processes hold for themselves, and what lies in folders that are memory, in bytes.
pub(crate) fn taken_bytes() -> u64 {
    let Ok(numbers) = fs::read_dir("/proc") else { return 0 };
    let page_bytes = rustix::param::page_size() as u64;
    let own = numbers.flatten().filter_map(|entry| {
        let statm = fs::read_to_string(entry.path().join("statm")).ok()?;
        let pages: Vec<u64> = statm.split(' ').filter_map(|pages| pages.parse().ok()).collect();
        // Resident pages without those of files, which are shared.
        Some(pages.get(1)?.saturating_sub(*pages.get(2)?) * page_bytes)
    });
    own.sum::<u64>() + MEMORY_FOLDERS.iter().filter_map(|folder| crate::sys::used_tmpfs_bytes(folder)).sum::<u64>()
}
