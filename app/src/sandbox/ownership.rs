//! Giving a whole tree to the sandbox's user, without following a link and without touching what is right already.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid};

/// How deep a tree may be; each level holds one descriptor open.
pub const DEPTH_MAX: usize = 256;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Makes `uid` and `gid` the owners of a directory and all below it, and returns how many entries it changed.
///
/// It walks by descriptors and follows no link. A regular file with a second name is left alone: the other name may be
/// outside of the tree.
///
/// # Errors
/// What the system says, and `InvalidInput` for a tree deeper than [`DEPTH_MAX`].
pub fn ensure_owner(tree: &Path, uid: u32, gid: u32) -> io::Result<u64> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let top = rustix::fs::openat(CWD, tree, DIRECTORY, Mode::empty())?;
    let mut n_changed = 0;
    let found = rustix::fs::fstat(&top)?;
    if (found.st_uid, found.st_gid) != (uid.as_raw(), gid.as_raw()) {
        rustix::fs::fchown(&top, Some(uid), Some(gid))?;
        n_changed += 1;
    }
    let mut open = vec![Level::of(top)?];
    while let Some(level) = open.last_mut() {
        let Some(name) = level.names.pop() else {
            open.pop();
            continue;
        };
        let found = rustix::fs::statat(&level.directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        let is_shared = kind == FileType::RegularFile && found.st_nlink > 1;
        if (found.st_uid, found.st_gid) != (uid.as_raw(), gid.as_raw()) && !is_shared {
            rustix::fs::chownat(&level.directory, &name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
            n_changed += 1;
        }
        if kind == FileType::Directory {
            let below = rustix::fs::openat(&level.directory, &name, DIRECTORY, Mode::empty())?;
            if open.len() == DEPTH_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is over {DEPTH_MAX} directories deep")));
            }
            open.push(Level::of(below)?);
        }
    }
    Ok(n_changed)
}

/// The first entry of a tree that is none of these users', if there is one. It follows no link.
///
/// # Errors
/// What the system says.
pub fn foreign(tree: &Path, users: &[u32]) -> io::Result<Option<PathBuf>> {
    let mut unseen = vec![tree.to_owned()];
    while let Some(path) = unseen.pop() {
        let found = path.symlink_metadata()?;
        if !users.contains(&found.uid()) {
            return Ok(Some(path));
        }
        if found.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                unseen.push(entry?.path());
            }
        }
    }
    Ok(None)
}

/// One directory and what of it is still to be looked at.
struct Level {
    directory: OwnedFd,
    names: Vec<CString>,
}

impl Level {
    fn of(directory: OwnedFd) -> io::Result<Level> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        Ok(Level { directory, names })
    }
}
