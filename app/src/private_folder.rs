//! Folders for the time of a process: nobody else may enter them, and those of processes that were killed are removed by
//! whoever comes next.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};

use crate::removal;

/// How the names of all such folders begin. One has its name only once it is locked.
const PREFIX: &str = "patchwright-private-";
/// How a name begins until then.
const UNLOCKED: &str = ".patchwright-private-";
/// A file in each by which it is known to be one: what only has such a name is somebody else's.
const MARK: &str = ".patchwright-private-folder";
/// How many letters and digits of a name nobody can guess: it may be all that keeps a user from another folder.
const N_RANDOM: usize = 12;
/// How often a folder is begun: a sweep may take one away in the moment before it is locked.
const TRIES_MAX: usize = 16;
/// Nobody but the owner: what is in there may have been made for everybody.
const MODE: u32 = 0o700;
/// As [`MODE`], and the group passes through to what inside is its own.
const MODE_PASSED: u32 = 0o710;

/// A folder that is removed with this value, whatever was left in it.
#[derive(Debug)]
pub struct PrivateFolder {
    path: PathBuf,
    /// Locked as long as this process lives, by which others know.
    _lock: File,
}

impl PrivateFolder {
    /// Makes a folder where temporary files are.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    /// Makes a folder in another.
    ///
    /// # Errors
    /// What the system says.
    pub fn new_in(parent: &Path) -> io::Result<Self> {
        let is_swept = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock);
        for _ in 1..TRIES_MAX {
            match Self::try_in(parent) {
                Err(error) if is_swept(&error) && parent.is_dir() => {}
                made => return made,
            }
        }
        Self::try_in(parent)
    }

    fn try_in(parent: &Path) -> io::Result<Self> {
        let permissions = std::fs::Permissions::from_mode(MODE);
        let made = tempfile::Builder::new().prefix(UNLOCKED).rand_bytes(N_RANDOM).permissions(permissions).tempdir_in(parent)?;
        File::create_new(made.path().join(MARK))?;
        let lock = open(made.path())?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let made = made.keep();
        let name = made.file_name().map(|name| name.to_string_lossy().replacen(UNLOCKED, PREFIX, 1)).unwrap_or_default();
        let path = parent.join(name);
        std::fs::rename(&made, &path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Lets a group pass through, without seeing what there is, to folders inside that are its own. No user of the machine is
    /// in the group of sandboxes.
    ///
    /// # Errors
    /// What the system says.
    pub fn let_pass(&self, group: u32) -> io::Result<()> {
        let_pass(&self.path, group)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Err(error) = removal::remove(&self.path) {
            tracing::warn!(%error, "a folder was not removed: {}", self.path.display());
        }
    }
}

/// As [`PrivateFolder::let_pass`], for any folder of this process's user, which nobody else may enter.
///
/// # Errors
/// What the system says.
pub fn let_pass(folder: &Path, group: u32) -> io::Result<()> {
    std::os::unix::fs::chown(folder, None, Some(group))?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(MODE_PASSED))
}

fn open(folder: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, folder, flags, Mode::empty())?.into())
}

/// Removes the folders in `parent` whose processes are gone. What cannot be removed now is left to the next time.
pub fn sweep(parent: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if ![PREFIX, UNLOCKED].iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let Ok(folder) = open(&entry.path()) else { continue };
        if name.starts_with(UNLOCKED) && std::fs::remove_dir(entry.path()).is_ok() {
            // It was empty: whoever made it did not come as far as to mark it.
            continue;
        }
        let is_own = folder.metadata().is_ok_and(|found| found.uid() == own) && entry.path().join(MARK).is_file();
        if is_own && rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            match removal::remove(&entry.path()) {
                Ok(()) => tracing::info!("removed what a killed process left: {}", entry.path().display()),
                Err(error) => tracing::warn!(%error, "a folder was not removed: {}", entry.path().display()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
