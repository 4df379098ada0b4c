//! What the workspace and a home directory that is kept take on the disk.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::spec::Spec;
use crate::status::Limit;

/// Deeper directories count as too many files: nobody needs them, and each level holds a descriptor open.
const DEPTH_MAX: usize = 512;
/// A walk takes at most one part in this many of the time.
const REST: u32 = 10;
/// The smallest share of a limit that must have gone before a walk looks for it.
const SHARE: u64 = 64;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Looks at the directories that commands write to and that last.
pub(super) struct Disk {
    directories: Vec<OwnedFd>,
    bytes_max: u64,
    n_files_max: u64,
    /// What the last walk found and when the next one may be.
    last: Option<Walked>,
}

#[derive(Clone, Copy)]
struct Used {
    bytes: u64,
    n_files: u64,
}

struct Walked {
    used: Used,
    free: Used,
    rested_at: Instant,
}

impl Disk {
    pub(super) fn new(spec: &Spec) -> Disk {
        let directories = [Some(&spec.workspace), spec.home.as_ref()].into_iter().flatten();
        let open = |path: &std::path::PathBuf| rustix::fs::open(path.as_path(), DIRECTORY, Mode::empty()).ok();
        Disk {
            directories: directories.filter_map(open).collect(),
            bytes_max: spec.limits.disk_bytes,
            n_files_max: spec.limits.n_files,
            last: None,
        }
    }

    /// The limit that they are over, if they are.
    pub(super) fn exceeded(&mut self) -> Option<Limit> {
        let free = self.free();
        if let Some(last) = &self.last {
            let gone = |then: u64, now: u64| then.saturating_sub(now);
            let near = |used: u64, most: u64| (most.saturating_sub(used) / 2).max(most / SHARE);
            let is_near = gone(last.free.bytes, free.bytes) >= near(last.used.bytes, self.bytes_max)
                || gone(last.free.n_files, free.n_files) >= near(last.used.n_files, self.n_files_max);
            if !is_near || Instant::now() < last.rested_at {
                return None;
            }
        }
        let began = Instant::now();
        let walked = walk(&self.directories, self.bytes_max, self.n_files_max);
        let took = began.elapsed().max(Duration::from_micros(1));
        let used = match walked {
            Ok(used) => used,
            Err(limit) => return Some(limit),
        };
        self.last = Some(Walked { used, free, rested_at: began + took * REST });
        None
    }

    fn free(&self) -> Used {
        let Some(found) = self.directories.first().and_then(|directory| rustix::fs::fstatvfs(directory).ok()) else {
            return Used { bytes: u64::MAX, n_files: u64::MAX };
        };
        Used { bytes: found.f_bfree * found.f_frsize, n_files: found.f_ffree }
    }
}

/// Adds up what is below, following no link; stops at the first limit that is passed.
fn walk(directories: &[OwnedFd], bytes_max: u64, n_files_max: u64) -> Result<Used, Limit> {
    let mut used = Used { bytes: 0, n_files: 0 };
    let mut shared = HashSet::new();
    for directory in directories {
        let mut open: Vec<Dir> = again(directory).into_iter().collect();
        while let Some(level) = open.last_mut() {
            let Some(entry) = level.read() else {
                open.pop();
                continue;
            };
            // What cannot be read is counted as far as it can; what vanishes meanwhile is not there.
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(fd) = level.fd() else { continue };
            let Ok(found) = rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            if !is_directory && found.st_nlink > 1 && !shared.insert((found.st_dev, found.st_ino)) {
                continue;
            }
            used.n_files += 1;
            used.bytes += u64::try_from(found.st_blocks).unwrap_or_default() * 512;
            if used.bytes > bytes_max {
                return Err(Limit::Disk);
            }
            if used.n_files > n_files_max || open.len() > DEPTH_MAX {
                return Err(Limit::Files);
            }
            if is_directory && let Some(below) = open.last().and_then(|level| below(level, name)) {
                open.push(below);
            }
        }
    }
    Ok(used)
}

fn again(directory: &OwnedFd) -> Option<Dir> {
    below_fd(directory, Path::new("."))
}

fn below(level: &Dir, name: &std::ffi::CStr) -> Option<Dir> {
    below_fd(&level.fd().ok()?, name)
}

fn below_fd(directory: &impl AsFd, name: impl rustix::path::Arg) -> Option<Dir> {
    let opened = rustix::fs::openat(directory, name, DIRECTORY, Mode::empty()).ok()?;
    Dir::new(opened).ok()
}
