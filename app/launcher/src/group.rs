//! Control groups of version 2: one for each command, in the one that the supervisor gave for the sandbox.
//!
//! A command's first process is born in its group, so nothing of it is ever outside; this process never is inside, so what
//! the kernel kills there for its memory is the command and nothing else. What the supervisor gave is its to remove.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::session::COMMANDS_MAX;
use crate::spec::Limits;

/// As much of a file of the kernel's as is looked at, in bytes; those here are much shorter.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// A command that is at its limit and has less than this of files in memory, in bytes, or as a share of its limit, reads its
/// own programs again and again.
const CACHE_BYTES_MIN: u64 = 8 << 20;
const CACHE_SHARE: u64 = 64;
/// How often that must be seen from one look to the next, and at how many looks one after another.
const N_EVENTS: u64 = 10;
const LOOKS_STARVED: u32 = 20;

/// Private file systems that each have the size of `/tmp`: that itself, `/dev/shm`, System V shared memory, and a home directory
/// that is not kept. What commands left there is held against the sandbox once their own groups are gone.
const N_PRIVATE: u64 = 4;
/// What all commands of a sandbox together may have beyond a limit in processes: those of ours, which a command has two of.
const ROOM_PROCESSES: u64 = 2 * COMMANDS_MAX as u64;

/// The group of a sandbox.
pub(crate) struct Group {
    directory: OwnedFd,
    memory_bytes: u64,
    n_processes: u64,
    n_made: u64,
}

/// The group of a command.
pub(crate) struct Leaf {
    directory: OwnedFd,
    name: String,
    /// How often the sandbox as a whole had had too much memory by the beginning.
    n_full_before: u64,
    cache_bytes_min: u64,
    last: Reclaimed,
    n_starved: u32,
}

/// What the kernel has taken back from a group so that it stays within its limit.
#[derive(Clone, Copy, Default)]
struct Reclaimed {
    /// How often the group was at its limit.
    n_limited: u64,
    /// How many pages of files it has read again right after they were taken from it.
    n_refaults: u64,
}

impl Group {
    /// Limits the sandbox as a whole: as much as one command may have, with room for what outlasts each of them.
    pub(crate) fn new(directory: OwnedFd, limits: &Limits) -> io::Result<Group> {
        let room_bytes = limits.tmp_bytes.saturating_mul(N_PRIVATE);
        limit(
            directory.as_fd(),
            limits.memory_bytes.saturating_add(room_bytes),
            limits.n_processes.saturating_add(ROOM_PROCESSES),
        )?;
        Ok(Group { directory, memory_bytes: limits.memory_bytes, n_processes: limits.n_processes, n_made: 0 })
    }

    /// Makes a group with the limits of a command; one without them is not left.
    pub(crate) fn leaf(&mut self) -> io::Result<Leaf> {
        self.n_made += 1;
        let name = format!("command-{}", self.n_made);
        rustix::fs::mkdirat(&self.directory, name.as_str(), Mode::from_raw_mode(0o755))?;
        let limited = self.open(&name).and_then(|directory| {
            limit(directory.as_fd(), self.memory_bytes, self.n_processes)?;
            // The kernel ends a command and not a part of it.
            write(directory.as_fd(), "memory.oom.group", "1")?;
            Ok(directory)
        });
        match limited {
            Ok(directory) => {
                let cache_bytes_min = (self.memory_bytes / CACHE_SHARE).max(CACHE_BYTES_MIN);
                let n_full_before = self.n_full();
                Ok(Leaf { directory, name, n_full_before, cache_bytes_min, last: Reclaimed::default(), n_starved: 0 })
            }
            Err(error) => {
                let _ = rustix::fs::unlinkat(&self.directory, name.as_str(), AtFlags::REMOVEDIR);
                Err(error)
            }
        }
    }

    /// How often all commands together, with what they left, had too much memory and none alone. Kernels before 5.2 do not tell.
    fn n_full(&self) -> u64 {
        count(&read(self.directory.as_fd(), "memory.events.local").unwrap_or_default(), "oom")
    }

    fn open(&self, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.directory, name, flags, Mode::empty())?)
    }

    /// Kills what is left in a command's group, which is nothing once its first process was reaped, and removes it.
    ///
    /// Quiet, because the supervisor removes what stays.
    pub(crate) fn remove(&self, leaf: &Leaf) {
        if rustix::fs::unlinkat(&self.directory, leaf.name.as_str(), AtFlags::REMOVEDIR).is_err() {
            let _ = write(leaf.directory.as_fd(), "cgroup.kill", "1");
            let _ = rustix::fs::unlinkat(&self.directory, leaf.name.as_str(), AtFlags::REMOVEDIR);
        }
    }
}

impl Leaf {
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Whether the kernel has killed in here because this group had too much, or the `sandbox` as a whole, not because the
    /// machine had too little.
    pub(crate) fn is_out_of_memory(&self, sandbox: &Group) -> bool {
        let events = read(self.directory.as_fd(), "memory.events").unwrap_or_default();
        count(&events, "oom_kill") > 0 && (count(&events, "oom") > 0 || sandbox.n_full() > self.n_full_before)
    }

    /// What processor time all that was ever in here has used.
    pub(crate) fn cpu(&self) -> Duration {
        let found = read(self.directory.as_fd(), "cpu.stat").unwrap_or_default();
        Duration::from_micros(count(&found, "usage_usec"))
    }

    /// Whether it has been held at its limit for a while with nothing left but what it cannot do without. The kernel goes on
    /// for hours then: what it takes away are the pages of programs, which come back at the next step, so that it always finds
    /// something to take. To be asked at every look.
    pub(crate) fn is_starved(&mut self) -> bool {
        let file = |name| read(self.directory.as_fd(), name).unwrap_or_default();
        let n_limited = count(&file("memory.events"), "max");
        if n_limited < self.last.n_limited + N_EVENTS {
            self.last.n_limited = n_limited;
            self.n_starved = 0;
            return false;
        }
        let found = file("memory.stat");
        let cache_bytes = count(&found, "file").saturating_sub(count(&found, "shmem"));
        let now = Reclaimed { n_limited, n_refaults: count(&found, "workingset_refault_file") };
        let is_starved = cache_bytes < self.cache_bytes_min && now.n_refaults >= self.last.n_refaults + N_EVENTS;
        self.n_starved = if is_starved { self.n_starved + 1 } else { 0 };
        self.last = now;
        self.n_starved >= LOOKS_STARVED
    }
}

/// Sets what a group may have.
fn limit(group: BorrowedFd<'_>, memory_bytes: u64, n_processes: u64) -> io::Result<()> {
    write(group, "memory.max", &memory_bytes.to_string())?;
    write(group, "pids.max", &n_processes.to_string())?;
    match write(group, "memory.swap.max", "0") {
        // Kernels without swap lack it; the supervisor has seen that this is one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written,
    }
}

/// The number behind a name, as in `oom_kill 1`.
fn count(events: &str, name: &str) -> u64 {
    let mut words = events.lines().filter_map(|line| line.split_once(' '));
    words.find(|(found, _)| *found == name).and_then(|(_, number)| number.trim().parse().ok()).unwrap_or_default()
}

fn write(group: BorrowedFd<'_>, name: &str, text: &str) -> io::Result<()> {
    let file = rustix::fs::openat(group, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let written = file.map_err(io::Error::from).and_then(|file| File::from(file).write_all(text.as_bytes()));
    written.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
}

fn read(group: BorrowedFd<'_>, name: &str) -> io::Result<String> {
    let file = rustix::fs::openat(group, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = String::new();
    File::from(file).take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
