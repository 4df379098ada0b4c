//! What the workspace and a home directory that is kept take on the disk.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::time::ClockId;

use crate::spec::Spec;
use crate::status::Limit;
use crate::usage::memory::Processes;
use crate::usage::unnamed::{self, Unnamed};
use crate::{privileges, sys};

/// Deeper directories are not looked into, for each level holds a descriptor open; where much has gone they count as too
/// many files.
const DEPTH_MAX: usize = 512;
/// A walk goes on behind the limit, so that it can be seen whether it gets better; up to so many times the limit. What is
/// behind that cannot be seen.
const FILES_OVER: u64 = 4;
/// A walk takes at most one part in this many of the time.
const REST: u32 = 10;
/// How long it is between two walks that nothing asks for, which take at most one part in so many of the time, unless that
/// would be too seldom: what others give back meanwhile hides what a command takes.
const WALK_PAUSE: Duration = Duration::from_millis(500);
const LONG_REST: u32 = 100;
const WALK_PAUSE_MAX: Duration = Duration::from_secs(2);
/// After so many looks one after another that had all before them, what went before that is held against nobody. In a single
/// one a file may be on its way from a process that was not yet looked at to one that was.
const CLEAR_LOOKS: u32 = 20;
/// The smallest share of a limit that must have gone before a walk looks for it.
const SHARE: u64 = 64;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Looks at the directories that commands write to and that last.
pub(crate) struct Disk {
    directories: Vec<OwnedFd>,
    bytes_max: u64,
    n_files_max: u64,
    /// What the last walk found and when the next one may be.
    last: Option<Walked>,
    /// Whether the next walk only finds out where we are: the first, and the one after a command was killed.
    is_fresh: bool,
}

#[derive(Clone, Copy, Default)]
struct Used {
    bytes: u64,
    n_files: u64,
    /// Whether something is too deep to be looked at.
    is_too_deep: bool,
    /// Whether there is a directory that the one who looks, who is the commands' own user, may not open.
    has_shut: bool,
    /// Whether the walk was over before the files were.
    is_cut: bool,
}

/// What there is too much of already when a command is about to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Full {
    /// Then it must not write.
    pub(crate) bytes: bool,
    /// Then it must not make files.
    pub(crate) files: bool,
}

impl Full {
    /// Whether a command that starts now is kept from making files; without Landlock nothing can.
    pub(crate) fn bars_files(self) -> bool {
        self.files && sys::privileges::landlock_version() > 0
    }

    /// What has stopped a command that started so.
    pub(crate) fn stopped(self, end: ExitStatus) -> Option<Limit> {
        (self.bytes && privileges::has_written_too_much(end)).then_some(Limit::Disk)
    }

    /// What the output of a command that started so ends with, where it failed. Nothing tells whether that is because it could
    /// not make a file, so its answer stays what it is.
    pub(crate) fn note(self, end: ExitStatus, n_files_max: u64) -> Option<String> {
        let has_failed = end.code().is_some_and(|code| code != 0);
        let note =
            || format!("\npatchwright: there are too many files in the workspace (limit {n_files_max}): none can be made\n");
        (has_failed && self.bars_files()).then(note)
    }
}

struct Walked {
    used: Used,
    /// What has gone where it cannot be seen, if anything can be there.
    hidden: Used,
    /// What was free, and what of it has gone since without a walk having found where.
    free: Used,
    /// How many looks one after another, with this one, had all before them.
    n_clear: u32,
    rested_at: Instant,
    /// When the next one is due although little went: somebody else may have given back what was taken here.
    due_at: Instant,
}

impl Disk {
    pub(super) fn new(spec: &Spec) -> Disk {
        let directories = [Some(&spec.workspace), spec.home.as_ref()].into_iter().flatten();
        Disk::of(directories.map(PathBuf::as_path), spec.limits.disk_bytes, spec.limits.n_files)
    }

    pub(crate) fn of<'a>(directories: impl Iterator<Item = &'a Path>, bytes_max: u64, n_files_max: u64) -> Disk {
        let open = |path: &Path| rustix::fs::open(path, DIRECTORY, Mode::empty()).ok();
        Disk { directories: directories.filter_map(open).collect(), bytes_max, n_files_max, last: None, is_fresh: true }
    }

    /// Finds out where we are, unless that is known, so that what a command then takes is its own from the first byte on; and
    /// says whether there is too much already. Then a command must not be let take more: every one of them would have the time
    /// from its start to the look that ends it, and together they would have the whole disk.
    pub(crate) fn settle(&mut self, processes: &[&Processes]) -> Full {
        if self.is_fresh || self.full() != Full::default() {
            self.is_fresh = true;
            self.look(processes, false);
            self.is_fresh = false;
        }
        self.full()
    }

    fn full(&self) -> Full {
        let Some(last) = &self.last else { return Full::default() };
        let is_either = |is_over: &dyn Fn(&Used) -> bool| is_over(&last.used) || is_over(&last.hidden);
        Full { bytes: is_either(&|used| used.bytes > self.bytes_max), files: is_either(&|used| used.n_files > self.n_files_max) }
    }

    /// The limit that they are over, if they are and it is not getting better: who is to tidy up must be able to.
    pub(crate) fn exceeded(&mut self, processes: &[&Processes]) -> Option<Limit> {
        let free = self.free();
        let mut is_asked_for = true;
        if let Some(last) = &self.last {
            let near = |used: u64, most: u64| (most.saturating_sub(used) / 2).max(most / SHARE);
            let is_near = last.free.bytes.saturating_sub(free.bytes) >= near(last.used.bytes, self.bytes_max)
                || last.free.n_files.saturating_sub(free.n_files) >= near(last.used.n_files, self.n_files_max);
            let now = Instant::now();
            if now < last.rested_at || (!is_near && now < last.due_at) {
                return None;
            }
            is_asked_for = is_near;
        }
        self.look(processes, is_asked_for)
    }

    fn look(&mut self, processes: &[&Processes], is_asked_for: bool) -> Option<Limit> {
        let free = self.free();
        let (began, busy_before) = (Instant::now(), busy());
        let mut used = walk(&self.directories, self.n_files_max.saturating_mul(FILES_OVER));
        let unnamed = self.unnamed(processes);
        used.bytes += unnamed.bytes;
        used.n_files += unnamed.n_files;
        // A walk that waits for the disk, or for a processor that others have, is long and no reason for as long a rest.
        let (busy, ended) = (busy().saturating_sub(busy_before), Instant::now());
        let took = busy.max((ended - began) / REST).max(Duration::from_micros(1));
        let before = self.last.take();
        // What was used up and not found here stays in doubt, and with it the next walk near. What was found before and is no
        // longer must have been given back, or it has only gone where it cannot be seen.
        let unfound = |then: u64, now: u64, found_then: u64, found: u64| {
            let gone = then.saturating_add(found_then.saturating_sub(found));
            now + gone.saturating_sub(now).saturating_sub(found.saturating_sub(found_then))
        };
        let reference = before.as_ref().map_or(free, |before| Used {
            bytes: unfound(before.free.bytes, free.bytes, before.used.bytes, used.bytes),
            n_files: unfound(before.free.n_files, free.n_files, before.used.n_files, used.n_files),
            ..Used::default()
        });
        let lost = Used {
            bytes: reference.bytes.saturating_sub(free.bytes),
            n_files: reference.n_files.saturating_sub(free.n_files),
            ..Used::default()
        };
        let can_hide = used.has_shut || used.is_cut || unnamed.has_unseen;
        let hidden = if can_hide { lost } else { Used::default() };
        let n_clear =
            if !can_hide && !used.is_too_deep { before.as_ref().map_or(1, |before| before.n_clear.saturating_add(1)) } else { 0 };
        self.last = Some(Walked {
            used,
            hidden,
            // Nothing of it is where we have not looked, so others have it.
            free: if n_clear >= CLEAR_LOOKS { free } else { reference },
            n_clear,
            rested_at: ended + took * REST,
            due_at: ended + (took * LONG_REST).clamp(WALK_PAUSE, WALK_PAUSE_MAX.max(took * REST)),
        });
        let before = before.filter(|_| !self.is_fresh).map_or((used, hidden), |before| (before.used, before.hidden));
        let (seen_before, hidden_before) = before;
        // Behind the end of a walk is also what others of this machine take, a little of which is no reason to end anybody.
        let is_vague = used.is_cut && !used.has_shut && !unnamed.has_unseen;
        let has_grown = |now: u64, before: u64, most: u64| now > most && now > before + if is_vague { most / SHARE } else { 0 };
        let exceeded = if used.bytes > self.bytes_max && used.bytes > seen_before.bytes {
            Some(Limit::Disk)
        } else if used.n_files > self.n_files_max && used.n_files > seen_before.n_files {
            Some(Limit::Files)
        } else if seen_before.bytes > self.bytes_max && used.bytes > self.bytes_max && used.n_files > seen_before.n_files {
            // Who is to tidy up makes files, and they are empty only because nobody may write by now.
            Some(Limit::Disk)
        } else if has_grown(hidden.bytes, hidden_before.bytes, self.bytes_max) {
            // More has gone than there may be, and there is where it cannot be seen.
            Some(Limit::Disk)
        } else if has_grown(hidden.n_files, hidden_before.n_files, self.n_files_max) {
            Some(Limit::Files)
        } else if used.is_too_deep && !seen_before.is_too_deep && is_asked_for {
            // What is below there cannot be told, and a lot has gone.
            Some(Limit::Files)
        } else {
            None
        };
        self.is_fresh = exceeded.is_some();
        exceeded
    }

    /// What is still held and has no name any more.
    fn unnamed(&self, processes: &[&Processes]) -> Unnamed {
        let device = self.directories.first().and_then(|directory| rustix::fs::fstat(directory).ok());
        device.map_or_else(Unnamed::default, |found| unnamed::files(processes, found.st_dev))
    }

    fn free(&self) -> Used {
        let Some(found) = self.directories.first().and_then(|directory| rustix::fs::fstatvfs(directory).ok()) else {
            return Used { bytes: u64::MAX, n_files: u64::MAX, ..Used::default() };
        };
        Used { bytes: found.f_bfree * found.f_frsize, n_files: found.f_ffree, ..Used::default() }
    }
}

/// For how long this thread had a processor.
fn busy() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Adds up what is below, following no link, to the end or up to so many files.
fn walk(directories: &[OwnedFd], n_files_max: u64) -> Used {
    let mut used = Used::default();
    let mut shared = HashSet::new();
    for directory in directories {
        let mut open: Vec<Dir> = again(directory).ok().into_iter().collect();
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
            if used.n_files > n_files_max {
                used.is_cut = true;
                return used;
            }
            if open.len() > DEPTH_MAX {
                used.is_too_deep = true;
            } else if is_directory {
                match open.last().map(|level| below(level, name)) {
                    Some(Ok(below)) => open.push(below),
                    Some(Err(rustix::io::Errno::ACCESS)) => used.has_shut = true,
                    // It vanished meanwhile, or became something else.
                    Some(Err(_)) | None => {}
                }
            }
        }
    }
    used
}

fn again(directory: &OwnedFd) -> rustix::io::Result<Dir> {
    below_fd(directory, Path::new("."))
}

fn below(level: &Dir, name: &std::ffi::CStr) -> rustix::io::Result<Dir> {
    below_fd(&level.fd()?, name)
}

fn below_fd(directory: &impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<Dir> {
    Dir::new(rustix::fs::openat(directory, name, DIRECTORY, Mode::empty())?)
}

#[cfg(test)]
mod tests;
