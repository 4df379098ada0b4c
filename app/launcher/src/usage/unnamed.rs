//! Files that have no name in any directory any more and are still held, so that no walk through directories finds them.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::usage::memory::Processes;

/// How the kernel ends the line of a mapping whose file has no name any more.
const DELETED: &str = " (deleted)";

/// What was found of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unnamed {
    pub(super) bytes: u64,
    pub(super) n_files: u64,
    /// Whether there may be some that cannot be looked at: only mapped, on their way from one process to another, or those of
    /// a process that lets nobody look.
    pub(super) has_unseen: bool,
}

/// Finds those of one device that these processes hold.
pub(super) fn files(processes: &[&Processes], device: u64) -> Unnamed {
    let mut search = Search { device, memory: memory_device(device), seen: HashSet::new(), found: Unnamed::default() };
    for processes in processes {
        processes.each(|process, _| search.process(process, processes.is_ours(process)));
    }
    search.found
}

struct Search {
    device: u64,
    /// The device of files that are memory, where it may be taken for the other one.
    memory: Option<u64>,
    seen: HashSet<u64>,
    found: Unnamed,
}

impl Search {
    fn process(&mut self, process: &Path, is_ours: bool) {
        let (open, maps) = (fs::read_dir(process.join("fd")), fs::read(process.join("maps")));
        let (Ok(open), Ok(maps)) = (open, maps) else {
            self.found.has_unseen |= !is_ours && process.exists();
            return;
        };
        for open in open.flatten() {
            let Ok(found) = fs::metadata(open.path()) else { continue };
            self.file(&found);
            if found.file_type().is_socket() {
                let info = fs::read_to_string(process.join("fdinfo").join(open.file_name())).unwrap_or_default();
                self.found.has_unseen |= has_files_on_their_way(&info);
            }
        }
        for line in String::from_utf8_lossy(&maps).lines() {
            let Some(mapping) = Mapping::deleted(line) else { continue };
            if self.may_be_here(mapping.device) && !self.seen.contains(&mapping.inode) {
                match fs::metadata(process.join("map_files").join(mapping.name())) {
                    Ok(found) => self.file(&found),
                    Err(_) => self.found.has_unseen = true,
                }
            }
        }
    }

    fn file(&mut self, found: &Metadata) {
        if found.nlink() == 0 && found.dev() == self.device && self.seen.insert(found.ino()) {
            self.found.n_files += 1;
            self.found.bytes += found.blocks() * 512;
        }
    }

    /// File systems without a disk of their own, or of several layers, have another number in mappings than elsewhere.
    fn may_be_here(&self, device: u64) -> bool {
        device == self.device || self.memory.is_some_and(|memory| rustix::fs::major(device) == 0 && device != memory)
    }
}

/// A line of a process's `maps` or `smaps`, see `proc_pid_maps(5)`.
pub(super) struct Mapping<'l> {
    range: &'l str,
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Mapping<'_> {
    /// `None` for a mapping of something else than a file without a name.
    pub(super) fn deleted(line: &str) -> Option<Mapping<'_>> {
        let mut fields = line.strip_suffix(DELETED)?.split_ascii_whitespace();
        let range = fields.next()?;
        let (major, minor) = fields.nth(2)?.split_once(':')?;
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let device = rustix::fs::makedev(number(major)?, number(minor)?);
        Some(Mapping { range, device, inode: fields.next()?.parse().ok()? })
    }

    /// Its name in `map_files`, where numbers have no zeros in front.
    fn name(&self) -> String {
        let (from, to) = self.range.split_once('-').unwrap_or_default();
        format!("{}-{}", from.trim_start_matches('0'), to.trim_start_matches('0'))
    }
}

/// Whether messages that nobody has received bring descriptors, by what is told of a socket.
fn has_files_on_their_way(info: &str) -> bool {
    let count = info.lines().find_map(|line| line.strip_prefix("scm_fds:")?.trim().parse::<u64>().ok());
    count.is_some_and(|count| count > 0)
}

/// The device of files in memory; of interest where the other one has no disk of its own either.
fn memory_device(device: u64) -> Option<u64> {
    if rustix::fs::major(device) != 0 {
        return None;
    }
    let file = rustix::fs::memfd_create("patchwright", rustix::fs::MemfdFlags::CLOEXEC);
    // Without one nothing is known to be memory, and so nothing is taken for it.
    Some(file.and_then(rustix::fs::fstat).map_or(u64::MAX, |found| found.st_dev))
}

#[cfg(test)]
mod tests;
