//! The right to write to a mirror: one writer at a time among all processes of this machine, so that what a process that was
//! killed has left locked is nobody's.

use std::collections::HashMap;
use std::fs::{DirEntry, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::FlockOperation;

use super::{WorkspaceError, blocking, unavailable};

/// How deep below `refs` a name may be; ours are two deep.
const REFS_DEPTH_MAX: u32 = 8;

/// Who waits for which mirror in this process.
#[derive(Debug, Default)]
pub(super) struct Writers {
    mirrors: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

impl Writers {
    /// Does work that writes to the mirror, after that of all others who do.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        mirror: PathBuf,
        work: impl FnOnce(&Path) -> Result<T, WorkspaceError> + Send + 'static,
    ) -> Result<T, WorkspaceError> {
        // In their order within this process, and without a thread for each that waits.
        let lock = self.lock(&mirror);
        let _writer = lock.lock().await;
        blocking(move || {
            let _held = hold(&mirror).map_err(|e| unavailable("locking the mirror", &e))?;
            work(&mirror)
        })
        .await
    }

    fn lock(&self, mirror: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        mirrors.entry(mirror.to_owned()).or_default().clone()
    }
}

/// Waits until no other process writes, and clears away what one that was killed has left. The kernel lets go of the lock
/// whatever becomes of its holder.
fn hold(mirror: &Path) -> std::io::Result<File> {
    let lock = File::options().create(true).truncate(false).write(true).open(mirror.with_extension("lock"))?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))?;
    if !mirror.exists() {
        return Ok(lock);
    }
    // `HEAD` is what is made last.
    if !mirror.join("HEAD").exists() {
        std::fs::remove_dir_all(mirror)?;
        return Ok(lock);
    }
    remove_locks(mirror, 0)?;
    remove_locks(&mirror.join("refs"), REFS_DEPTH_MAX)?;
    Ok(lock)
}

/// Removes git's locks in a folder: each is a file of this name beside what it is for, which no ref may have.
fn remove_locks(folder: &Path, depth: u32) -> std::io::Result<()> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<DirEntry>, _>>()?;
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            remove_locks(&entry.path(), depth - 1)?;
        } else if kind.is_file() && entry.path().extension().is_some_and(|extension| extension == "lock") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
