//! Removing a tree as commands have left it: folders that nobody may open, and more of them in each other than a process
//! may have open files.
//!
//! It walks by descriptors and follows no link. Nothing of the tree runs any more when it is removed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// How many folders are open at a time; what is deeper is first moved up to the top.
const OPEN_MAX: usize = 64;

/// A folder that is being emptied, under its name in the one before it.
struct Level {
    name: CString,
    directory: OwnedFd,
    names: Vec<(CString, FileType)>,
}

/// Removes a folder and everything below it.
///
/// # Errors
/// What the system says of the first entry that stays.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    empty(folder)?;
    std::fs::remove_dir(folder)
}

/// Removes everything below a folder.
///
/// # Errors
/// What the system says of the first entry that stays.
pub(crate) fn empty(folder: &Path) -> io::Result<()> {
    let name = CString::new(folder.as_os_str().as_encoded_bytes())?;
    let mut open = vec![Level::open(CWD, name)?];
    let mut n_moved = 0_u64;
    while let Some(level) = open.last_mut() {
        let Some((name, kind)) = level.names.pop() else {
            let done = open.pop().expect("there was a last one");
            if let Some(parent) = open.last() {
                rustix::fs::unlinkat(&parent.directory, &done.name, AtFlags::REMOVEDIR)?;
            }
            continue;
        };
        if kind != FileType::Directory {
            rustix::fs::unlinkat(&level.directory, &name, AtFlags::empty())?;
        } else if open.len() < OPEN_MAX {
            let below = Level::open(&open[open.len() - 1].directory, name)?;
            open.push(below);
        } else {
            let moved = move_up(&open, &name, &mut n_moved)?;
            open[0].names.push((moved, FileType::Directory));
        }
    }
    Ok(())
}

/// Moves a folder of the deepest level to the top, under a name that nothing has there.
fn move_up(open: &[Level], name: &CString, n_moved: &mut u64) -> io::Result<CString> {
    let (top, deepest) = (&open[0], &open[open.len() - 1]);
    allow(&deepest.directory, name)?;
    loop {
        *n_moved += 1;
        let moved = CString::new(format!("moved-{n_moved}"))?;
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&deepest.directory, name, &top.directory, &moved, flags) {
            Ok(()) => return Ok(moved),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Lets the owner into a folder that he shut.
fn allow(parent: impl std::os::fd::AsFd, name: &CString) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    // A mode cannot be set through such a descriptor itself.
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", found.as_raw_fd()), Mode::RWXU)?)
}

impl Level {
    fn open(parent: impl std::os::fd::AsFd, name: CString) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&parent, &name, flags, Mode::empty());
        let directory = match opened {
            Ok(directory) => directory,
            Err(Errno::ACCESS) => {
                allow(&parent, &name)?;
                rustix::fs::openat(&parent, &name, flags, Mode::empty())?
            }
            Err(error) => return Err(error.into()),
        };
        if !Mode::from_raw_mode(rustix::fs::fstat(&directory)?.st_mode).contains(Mode::RWXU) {
            rustix::fs::fchmod(&directory, Mode::RWXU)?;
        }
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Not every file system tells.
                FileType::Unknown => kind(&directory, entry.file_name())?,
                known => known,
            };
            names.push((entry.file_name().to_owned(), kind));
        }
        Ok(Self { name, directory, names })
    }
}

fn kind(directory: &OwnedFd, name: &std::ffi::CStr) -> io::Result<FileType> {
    let found = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(found.st_mode))
}
