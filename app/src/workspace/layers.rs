//! Trees of commits that are written once and then only read: scratch trees lie over them and hold what differs.
//!
//! A layer is complete once it has its name. Whoever uses one keeps its lock, so that it is not removed beneath him, by
//! this process or another one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use git2::{Delta, Oid, Repository};
use patchwright_domain::journal::CommitId;
use rustix::fs::{CWD, FileType, FlockOperation, Mode, Timespec, Timestamps, UTIME_NOW};

use super::files;
use super::mirror::{git, open};
use super::scratch::{self, Entry};
use super::{WorkspaceError, unavailable};
use crate::private_folder::PrivateFolder;
use crate::sandbox::ownership::ensure_owner;

const WHAT: &str = "laying a scratch tree over a shared one";
/// What the kernel takes for the present.
const NOW: Timestamps = {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Timestamps { last_access: now, last_modification: now }
};
/// How many layers are kept for the next run.
const LAYERS_MAX: usize = 32;

/// The layers below one folder.
#[derive(Debug)]
pub(super) struct Layers {
    folder: PathBuf,
    used: Mutex<HashMap<CommitId, Arc<Place>>>,
}

/// One commit's layer, as long as somebody uses it. Its lock is held while it is prepared, so that a slow one keeps waiting
/// only those who want the same.
type Place = Mutex<Weak<Layer>>;

/// A tree that is not written any more.
#[derive(Debug)]
pub(super) struct Layer {
    path: PathBuf,
    /// Locked as long as this value lives.
    _lock: File,
}

impl Layer {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Layers {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder, used: Mutex::default() }
    }

    /// The layer of a commit, written now if it is not there.
    pub(super) fn of(&self, mirror: &Path, commit: &CommitId, owner: Option<u32>) -> Result<Arc<Layer>, WorkspaceError> {
        let place = self.place(commit);
        let mut used = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = used.upgrade() {
            return Ok(layer);
        }
        // Only its owner could write to what is copied up from it.
        let user = owner.unwrap_or_else(|| rustix::process::geteuid().as_raw());
        let name = format!("{commit}-{user}");
        let path = self.folder.join(&name);
        let lock = self.lock(&name, FlockOperation::LockShared).map_err(|e| unavailable(WHAT, &e))?;
        if !path.exists() {
            let made = PrivateFolder::new_in(&self.folder).map_err(|e| unavailable(WHAT, &e))?;
            let tree = made.path().join("tree");
            fs::create_dir(&tree).map_err(|e| unavailable(WHAT, &e))?;
            scratch::write(mirror, commit, &tree, owner)?;
            // With its name it must be whole, even where the power fails right after.
            let synced = File::open(&tree).and_then(|tree| Ok(rustix::fs::syncfs(&tree)?));
            synced.map_err(|e| unavailable(WHAT, &e))?;
            if let Err(error) = fs::rename(&tree, &path) {
                // Somebody else was first, with the same files.
                if !path.exists() {
                    return Err(unavailable(WHAT, &error));
                }
            }
            self.make_room(&name);
        }
        let layer = Arc::new(Layer { path, _lock: lock });
        *used = Arc::downgrade(&layer);
        Ok(layer)
    }

    /// Where a commit's layer is; those that nobody uses or prepares are forgotten.
    fn place(&self, commit: &CommitId) -> Arc<Place> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_used = |place: &Arc<Place>| place.try_lock().map_or(true, |layer| layer.strong_count() > 0);
        used.retain(|_, place| Arc::strong_count(place) > 1 || is_used(place));
        Arc::clone(used.entry(commit.clone()).or_default())
    }

    fn lock(&self, name: &str, operation: FlockOperation) -> io::Result<File> {
        let path = self.lock_file(name);
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            rustix::fs::flock(&file, operation)?;
            // Whoever removes a layer removes its lock's file, which is then nobody's.
            if fs::metadata(&path).is_ok_and(|found| file.metadata().is_ok_and(|own| own.ino() == found.ino())) {
                // The time of its last use decides what is removed first.
                rustix::fs::futimens(&file, &NOW)?;
                return Ok(file);
            }
        }
    }

    fn lock_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.lock"))
    }

    /// Removes what was used least recently and is not used now. What cannot be removed is tried again next time.
    fn make_room(&self, but: &str) {
        let mut unused: Vec<(SystemTime, String)> = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(layer) = name.strip_suffix(".lock").filter(|layer| *layer != but) {
                let used = entry.metadata().and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
                unused.push((used, layer.to_owned()));
            }
        }
        unused.sort();
        let n_over = (unused.len() + 1).saturating_sub(LAYERS_MAX);
        for (_, layer) in unused.into_iter().take(n_over) {
            let Ok(lock) = File::options().write(true).open(self.lock_file(&layer)) else { continue };
            if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                // It loses its name at once; half of it is never taken for the whole.
                let Ok(grave) = PrivateFolder::new_in(&self.folder) else { continue };
                let _ = fs::rename(self.folder.join(&layer), grave.path().join("tree"));
                let _ = fs::remove_file(self.lock_file(&layer));
            }
        }
    }
}

/// Writes into an empty folder what a commit has otherwise than the layer beneath: files, and marks for those that are gone.
pub(super) fn write_over(
    mirror: &Path,
    layer: &Layer,
    base: &CommitId,
    head: &CommitId,
    root: &Path,
    owner: Option<u32>,
) -> Result<(), WorkspaceError> {
    let repository = open(mirror)?;
    let before = scratch::tree_of(&repository, base)?;
    let after = scratch::tree_of(&repository, head)?;
    let over = Over { repository: &repository, root, after, owner };
    if before == after && base == head {
        return over.give(root).map_err(|e| unavailable(WHAT, &e));
    }
    // Whatever a tree may not hold is refused for all of it.
    scratch::list(&repository, after)?;
    let (changed, gone) = differences(&repository, before, after).map_err(|e| git(WHAT, &e))?;
    let placed = || -> io::Result<()> {
        over.give(root)?;
        gone.iter().try_for_each(|path| over.mark_gone(path))
    };
    placed().map_err(|e| unavailable(WHAT, &e))?;
    let written = files::write(mirror, root, &changed, owner, &scratch::times(&repository, head)?)?;
    let kept = || -> io::Result<()> {
        let heads = root.join(".git/refs/heads");
        fs::create_dir_all(&heads)?;
        fs::write(heads.join("base"), format!("{head}\n"))?;
        fs::copy(layer.path().join(".git/index"), root.join(".git/index")).map(drop)
    };
    kept().map_err(|e| unavailable(WHAT, &e))?;
    let index = root.join(".git/index");
    forget(&index, &gone).map_err(|e| git(WHAT, &e))?;
    scratch::write_index(&index, &written)?;
    let owned = owner.map_or(Ok(0), |owner| ensure_owner(&root.join(".git"), owner, owner));
    owned.map(drop).map_err(|e| unavailable(WHAT, &e))
}

/// The entries that are to be written, and the paths where something is gone.
fn differences(repository: &Repository, before: Oid, after: Oid) -> Result<(Vec<Entry>, Vec<String>), git2::Error> {
    let (before, after) = (repository.find_tree(before)?, repository.find_tree(after)?);
    let diff = repository.diff_tree_to_tree(Some(&before), Some(&after), None)?;
    let (mut changed, mut gone) = (Vec::new(), Vec::new());
    for delta in diff.deltas() {
        let path = |file: &git2::DiffFile<'_>| file.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        if delta.status() == Delta::Deleted {
            gone.push(path(&delta.old_file()));
        } else {
            let file = delta.new_file();
            let mode = i32::try_from(u32::from(file.mode())).unwrap_or_default();
            changed.push(Entry { path: path(&file), id: file.id(), mode });
        }
    }
    Ok((changed, gone))
}

fn forget(index: &Path, gone: &[String]) -> Result<(), git2::Error> {
    let mut index = git2::Index::open(index)?;
    gone.iter().try_for_each(|path| index.remove(Path::new(path), 0))?;
    index.write()
}

struct Over<'a> {
    repository: &'a Repository,
    root: &'a Path,
    after: Oid,
    owner: Option<u32>,
}

impl Over<'_> {
    fn give(&self, path: &Path) -> io::Result<()> {
        self.owner.map_or(Ok(()), |owner| std::os::unix::fs::chown(path, Some(owner), Some(owner)))
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        let path = self.root.join(path);
        match fs::create_dir(&path) {
            Ok(()) => self.give(&path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn make_parents(&self, path: &str) -> io::Result<()> {
        path.match_indices('/').try_for_each(|(end, _)| self.make_folder(&path[..end]))
    }

    /// Marks the highest of a path that is not there any more, as overlayfs does it: a device with the numbers 0 and 0.
    fn mark_gone(&self, path: &str) -> io::Result<()> {
        let tree = self.repository.find_tree(self.after).map_err(io::Error::other)?;
        for end in path.match_indices('/').map(|(end, _)| end).chain([path.len()]) {
            let part = &path[..end];
            match tree.get_path(Path::new(part)) {
                Ok(entry) if entry.kind() == Some(git2::ObjectType::Tree) => {}
                // A file is there now, which hides whatever is beneath.
                Ok(_) => return Ok(()),
                Err(_) => {
                    self.make_parents(part)?;
                    let made = rustix::fs::mknodat(CWD, self.root.join(part), FileType::CharacterDevice, Mode::empty(), 0);
                    return match made {
                        Err(rustix::io::Errno::EXIST) => Ok(()),
                        made => Ok(made?),
                    };
                }
            }
        }
        Ok(())
    }
}
