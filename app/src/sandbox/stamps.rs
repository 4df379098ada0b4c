//! When everything in one workspace was changed for the last time, as the kernel says, whatever an image has to look with.
//!
//! A file can be put back, and its time of modification with it; the time at which the kernel saw it changed cannot. The tree
//! is as hostile as what ran in it: it is walked below the workspace's descriptor and never through a link, and entries, their
//! paths, depth and time are bounded. It does not know what any of the files are for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::sandbox::SandboxError;
use crate::sandbox::files::Files;
use crate::sandbox::search::open_directory;

/// How many entries are looked at; a sandbox lets no more be made, unless it is told to.
pub(super) const ENTRIES_MAX: usize = 1_000_000;
/// How many bytes their paths may have together, as they are told in JSON: a million of them, each deep, would fill the memory of
/// whoever looks.
pub(super) const PATHS_BYTES_MAX: usize = 64 << 20;
/// How many bytes an entry takes in JSON at most, beside its path.
pub(super) const ENTRY_BYTES_MAX: usize = 128;
/// How deep folders are walked.
const DEPTH_MAX: usize = 128;
/// How long one look may take.
pub(super) const LOOK_TIMEOUT: Duration = Duration::from_secs(120);

/// What of a workspace is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The names of folders that are left out, wherever they are. `.git` always is.
    pub left_out: BTreeSet<String>,
    /// Folders that are looked at though they are called so, by their paths.
    pub kept: BTreeSet<String>,
    /// Whether the folders that hold files are made to stand by themselves first, where the tree lies over another one: there
    /// whatever is made for the first time deep inside a folder would look like a change of that folder.
    pub is_first: bool,
}

/// What kind of thing has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// What tells one state of a thing from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// What it is.
    pub kind: Kind,
    /// Its number on the disk.
    pub inode: u64,
    /// When the kernel saw it changed for the last time: seconds, and nanoseconds behind them.
    pub changed: (i64, u64),
}

/// A workspace at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps {
    /// By path; the workspace itself has the empty one. A name that is no text, or has a backslash in it, is
    /// [escaped](u8::escape_ascii), so that no two are told alike.
    pub entries: BTreeMap<String, Stamp>,
    /// Whether all was looked at. What is behind a folder that is shut is not there.
    pub is_whole: bool,
}

/// Looks at a workspace in which nothing runs.
///
/// # Errors
/// [`SandboxError::Machine`] where the workspace itself cannot be looked at.
pub(super) fn stamps(files: &Files, look: &Look) -> Result<Stamps, SandboxError> {
    let machine = |source| SandboxError::Machine { context: "looking at the workspace".to_owned(), source };
    let root = files.root();
    let stamps = Stamps { entries: BTreeMap::new(), is_whole: true };
    let mut walk = Walk { look, stamps, n_paths_bytes: 0, deadline: Instant::now() + LOOK_TIMEOUT };
    walk.folder(root, "", 0).map_err(machine)?;
    Ok(walk.stamps)
}

struct Walk<'a> {
    look: &'a Look,
    stamps: Stamps,
    n_paths_bytes: usize,
    deadline: Instant,
}

impl Walk<'_> {
    /// Looks at a folder and what is in it.
    fn folder(&mut self, folder: &Dir, path: &str, depth: usize) -> io::Result<()> {
        match self.contents(folder, path, depth) {
            Err(error) if depth > 0 && error.kind() == io::ErrorKind::PermissionDenied => {}
            looked => looked?,
        }
        // Last, for what is in it may have been made to stand by itself, and the folder with it.
        self.stamps.entries.insert(path.to_owned(), stamp(&rustix::fs::fstat(folder)?));
        Ok(())
    }

    fn contents(&mut self, folder: &Dir, path: &str, depth: usize) -> io::Result<()> {
        if depth > DEPTH_MAX {
            self.stamps.is_whole = false;
        }
        for entry in folder.entries()? {
            // What is behind anything that was left out would be told for nothing.
            if !self.stamps.is_whole || self.is_too_much() {
                self.stamps.is_whole = false;
                return Ok(());
            }
            let name = entry?.file_name();
            let told = told(name.as_bytes());
            let below = if path.is_empty() { told.clone() } else { format!("{path}/{told}") };
            if told == ".git" || self.look.left_out.contains(&told) && !self.look.kept.contains(&below) {
                continue;
            }
            let found = match rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::ACCESS) => continue,
                found => found?,
            };
            self.n_paths_bytes += json_bytes(&below);
            let is_folder = stamp(&found).kind == Kind::Folder;
            match if is_folder { self.inner(folder, Path::new(&name), &found)? } else { None } {
                Some(inner) => self.folder(&inner, &below, depth + 1)?,
                None => drop(self.stamps.entries.insert(below, stamp(&found))),
            }
        }
        Ok(())
    }

    fn is_too_much(&self) -> bool {
        self.stamps.entries.len() >= ENTRIES_MAX || self.n_paths_bytes >= PATHS_BYTES_MAX || Instant::now() >= self.deadline
    }

    /// Opens a folder; `None` where it is shut to us.
    fn inner(&self, folder: &Dir, name: &Path, found: &Stat) -> io::Result<Option<Dir>> {
        let inner = match open_directory(folder, name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            opened => opened?,
        };
        if self.look.is_first {
            // Where it is somebody else's, it stays where it is, and more looks changed than is.
            let _ = rustix::fs::fchmod(&inner, Mode::from_raw_mode(found.st_mode & 0o7777));
        }
        Ok(Some(inner))
    }
}

fn stamp(found: &Stat) -> Stamp {
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    Stamp { kind, inode: found.st_ino, changed: (found.st_ctime, found.st_ctime_nsec) }
}

/// How many bytes a text takes in JSON.
fn json_bytes(text: &str) -> usize {
    let of = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => "\\u0000".len(),
        _ => 1,
    };
    text.bytes().map(of).sum()
}

/// A name as it is told.
fn told(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) if !text.contains('\\') => text.to_owned(),
        _ => name.escape_ascii().to_string(),
    }
}
