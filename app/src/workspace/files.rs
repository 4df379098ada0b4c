//! Writes the files of a commit, on several threads. The cost is per file: git2's own checkout is three times slower, and
//! its reading of objects, which hashes each of them again, twice as slow as gix-odb's.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use git2::{IndexEntry, IndexTime, Oid};
use gix_odb::pack::cache::lru::MemoryCappedHashmap;
use gix_odb::store::init::Options;
use gix_pack::Find as _;
use rustix::fs::Timestamps;

use super::edit::{EXECUTABLE, LINK, SUBMODULE, file_mode};
use super::scratch::Entry;
use super::{WorkspaceError, unavailable};

const WHAT: &str = "writing the scratch tree";
/// More threads than this gain nothing on the disks that were measured.
const THREADS_MAX: usize = 4;
/// What a thread keeps of the objects that others are stored as differences from, in bytes.
const CACHE_BYTES_MAX: usize = 16 << 20;
/// How large a single object may be.
const OBJECT_BYTES_MAX: usize = 1 << 30;

/// Writes entries where nothing is, with the folders above them, and returns what git's index has to say of them.
pub(super) fn write(
    mirror: &Path,
    root: &Path,
    entries: &[Entry],
    owner: Option<u32>,
    at: &Timestamps,
) -> Result<Vec<IndexEntry>, WorkspaceError> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let chunk = entries.len().div_ceil(n_threads).max(1);
    let (links, rest): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| entry.mode == LINK);
    let part = |part: &[&Entry]| -> io::Result<Vec<IndexEntry>> {
        let mut tree = Tree::open(mirror, root, owner, at)?;
        part.iter().map(|entry| tree.write(entry)).collect()
    };
    let written = std::thread::scope(|scope| -> io::Result<Vec<IndexEntry>> {
        let threads: Vec<_> = rest.chunks(chunk).map(|entries| scope.spawn(|| part(entries))).collect();
        let parts = threads.into_iter().map(|thread| thread.join().expect("writing files does not panic"));
        let mut written = parts.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect::<Vec<_>>();
        // Links come last, so that no file is ever written through one.
        written.extend(part(&links)?);
        Ok(written)
    });
    written.map_err(|e| unavailable(WHAT, &e))
}

/// A tree that is being written, as one thread sees it.
struct Tree<'a> {
    root: &'a Path,
    owner: Option<u32>,
    at: &'a Timestamps,
    objects: gix_odb::Handle,
    /// The object that was read last.
    content: Vec<u8>,
    /// The folders that are known to be there.
    folders: HashSet<&'a str>,
}

impl<'a> Tree<'a> {
    fn open(mirror: &Path, root: &'a Path, owner: Option<u32>, at: &'a Timestamps) -> io::Result<Self> {
        let options = Options { alloc_limit_bytes: Some(OBJECT_BYTES_MAX), ..Options::default() };
        let mut objects = gix_odb::at_opts(mirror.join("objects"), gix_hash::Kind::Sha1, None, options)?;
        objects.set_pack_cache(|| Box::new(MemoryCappedHashmap::new(CACHE_BYTES_MAX)));
        Ok(Self { root, owner, at, objects, content: Vec::new(), folders: HashSet::new() })
    }

    fn write(&mut self, entry: &'a Entry) -> io::Result<IndexEntry> {
        for (end, _) in entry.path.match_indices('/') {
            self.make_folder(&entry.path[..end])?;
        }
        let path = self.root.join(&entry.path);
        let found = match entry.mode {
            SUBMODULE => {
                self.make_folder(&entry.path)?;
                None
            }
            LINK => Some(self.write_link(&path, entry.id)?),
            mode => Some(self.write_file(&path, entry.id, if mode == EXECUTABLE { 0o755 } else { 0o644 })?),
        };
        Ok(index_entry(entry, found.as_ref()))
    }

    fn make_folder(&mut self, path: &'a str) -> io::Result<()> {
        if !self.folders.insert(path) {
            return Ok(());
        }
        let folder = self.root.join(path);
        match fs::create_dir(&folder) {
            Ok(()) => self.owner.map_or(Ok(()), |owner| std::os::unix::fs::chown(folder, Some(owner), Some(owner))),
            // Another thread's, or an earlier entry's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(&folder)?.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, id: Oid) -> io::Result<()> {
        let known = gix_hash::oid::try_from_bytes(id.as_bytes()).map_err(io::Error::other)?;
        let found = self.objects.try_find(known, &mut self.content).map_err(io::Error::other)?;
        let kind = found.map(|(object, _)| object.kind);
        if kind.is_some_and(|kind| kind.is_blob()) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("the mirror has no file {id}")))
    }

    fn write_file(&mut self, path: &Path, id: Oid, mode: u32) -> io::Result<Metadata> {
        self.read(id)?;
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(&self.content)?;
        if let Some(owner) = self.owner {
            std::os::unix::fs::fchown(&file, Some(owner), Some(owner))?;
        }
        rustix::fs::futimens(&file, self.at)?;
        let found = file.metadata()?;
        // The process's umask must not decide what a test sees.
        if found.permissions().mode() & 0o777 != mode {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        Ok(found)
    }

    fn write_link(&mut self, path: &Path, id: Oid) -> io::Result<Metadata> {
        self.read(id)?;
        std::os::unix::fs::symlink(OsStr::from_bytes(&self.content), path)?;
        if let Some(owner) = self.owner {
            std::os::unix::fs::lchown(path, Some(owner), Some(owner))?;
        }
        fs::symlink_metadata(path)
    }
}

/// What git's index keeps of a file, so that it need not read it again.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "git's index keeps the low 32 bits of each number")]
fn index_entry(entry: &Entry, found: Option<&Metadata>) -> IndexEntry {
    let number = |number: fn(&Metadata) -> u64| found.map_or(0, number) as u32;
    let time = |seconds: fn(&Metadata) -> i64, nanoseconds: fn(&Metadata) -> i64| {
        found.map_or(IndexTime::new(0, 0), |found| IndexTime::new(seconds(found) as i32, nanoseconds(found) as u32))
    };
    IndexEntry {
        ctime: time(Metadata::ctime, Metadata::ctime_nsec),
        mtime: time(Metadata::mtime, Metadata::mtime_nsec),
        dev: number(Metadata::dev),
        ino: number(Metadata::ino),
        mode: u32::from(file_mode(entry.mode)),
        uid: number(|found| found.uid().into()),
        gid: number(|found| found.gid().into()),
        file_size: number(Metadata::size),
        id: entry.id,
        flags: 0,
        flags_extended: 0,
        path: entry.path.clone().into_bytes(),
    }
}
