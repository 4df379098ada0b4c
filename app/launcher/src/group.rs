//! Control groups of version 2: one for each command, in the one that the supervisor gave for the sandbox.
//!
//! A command's first process is born in its group, so nothing of it is ever outside; this process never is inside, so what
//! the kernel kills there for its memory is the command and nothing else. What the supervisor gave is its to remove.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::spec::Limits;

/// As much of a file of the kernel's as is looked at, in bytes; those here are much shorter.
const FILE_BYTES_MAX: u64 = 4096;

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
}

impl Group {
    pub(crate) fn new(directory: OwnedFd, limits: &Limits) -> Group {
        Group { directory, memory_bytes: limits.memory_bytes, n_processes: limits.n_processes, n_made: 0 }
    }

    /// Makes a group with the limits of a command; one without them is not left.
    pub(crate) fn leaf(&mut self) -> io::Result<Leaf> {
        self.n_made += 1;
        let name = format!("command-{}", self.n_made);
        rustix::fs::mkdirat(&self.directory, name.as_str(), Mode::from_raw_mode(0o755))?;
        let limited = self.open(&name).and_then(|directory| {
            self.limit(directory.as_fd())?;
            Ok(directory)
        });
        match limited {
            Ok(directory) => Ok(Leaf { directory, name }),
            Err(error) => {
                let _ = rustix::fs::unlinkat(&self.directory, name.as_str(), AtFlags::REMOVEDIR);
                Err(error)
            }
        }
    }

    fn open(&self, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.directory, name, flags, Mode::empty())?)
    }

    fn limit(&self, leaf: BorrowedFd<'_>) -> io::Result<()> {
        write(leaf, "memory.max", &self.memory_bytes.to_string())?;
        write(leaf, "memory.oom.group", "1")?;
        write(leaf, "pids.max", &self.n_processes.to_string())?;
        match write(leaf, "memory.swap.max", "0") {
            // Kernels without swap lack it; the supervisor has seen that this is one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            written => written,
        }
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

    /// Whether the kernel has killed in here because this group had too much, not because the machine had too little.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        let events = read(self.directory.as_fd(), "memory.events").unwrap_or_default();
        count(&events, "oom") > 0 && count(&events, "oom_kill") > 0
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
