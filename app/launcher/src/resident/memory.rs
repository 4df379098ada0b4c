//! Memory of everything in the container: whether the kernel has killed for it, and how much is taken where nobody counts.

use std::fs;

use crate::usage::memory::Processes;
use crate::usage::{kilobytes, segments};

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

/// Whether all processes together, with what has none, take more than this, in bytes.
pub(crate) fn is_over(processes: &mut Processes, most: u64) -> bool {
    // gVisor's kernel does not tell which pages of a process are those of its program. It is the container's alone, and its
    // sum of what is no file of the host has everything.
    if !tells_of_files() {
        let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        return kilobytes(&text, "AnonPages") > most;
    }
    let folders = MEMORY_FOLDERS.iter().filter_map(|folder| crate::sys::mounts::used_tmpfs_bytes(folder)).sum::<u64>();
    let kept = folders + segments("/proc/sysvipc/shm");
    // Pages that forked processes share are in the estimate several times, so it is only asked whether to count.
    processes.estimate() + kept > most && processes.count() + kept > most
}

fn tells_of_files() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("RssFile:"))
}
