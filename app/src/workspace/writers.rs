//! The right to write to a mirror: one writer at a time among all processes of this machine, so that what a process that was
//! killed has left locked is nobody's.

use std::collections::HashMap;
use std::fs::{DirEntry, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::{WorkspaceError, blocking, unavailable};

/// How long, and how often, another process is waited for: ten minutes in all, as long as a fetch may take.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 6_000;
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
        let held = alone(&mirror).await?;
        blocking(move || {
            let _held = held;
            clear(&mirror).map_err(|e| unavailable("clearing the mirror", &e))?;
            work(&mirror)
        })
        .await
    }

    fn lock(&self, mirror: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        mirrors.entry(mirror.to_owned()).or_default().clone()
    }
}

/// Waits until no other process writes. The kernel lets go of the lock whatever becomes of its holder.
async fn alone(mirror: &Path) -> Result<File, WorkspaceError> {
    const WHAT: &str = "locking the mirror";
    let path = mirror.with_extension("lock");
    let opened = blocking(move || {
        let opened = File::options().create(true).truncate(false).write(true).open(path);
        opened.map_err(|e| unavailable(WHAT, &e))
    });
    let lock = opened.await?;
    for _ in 0..LOOKS_MAX {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => tokio::time::sleep(BETWEEN_LOOKS).await,
            Err(error) => return Err(unavailable(WHAT, &error)),
        }
    }
    Err(WorkspaceError::Unavailable { what: WHAT, reason: "another process on this machine has written to it for long".into() })
}

/// Clears away what a process that was killed has left, of whom the caller is the only one now.
fn clear(mirror: &Path) -> std::io::Result<()> {
    if !mirror.exists() {
        return Ok(());
    }
    // `HEAD` is what is made last.
    if !mirror.join("HEAD").exists() {
        return std::fs::remove_dir_all(mirror);
    }
    remove_locks(mirror, 0)?;
    remove_locks(&mirror.join("refs"), REFS_DEPTH_MAX)
}

/// Removes git's locks in a folder: each is a file of this name beside what it is for, which no ref may have.
fn remove_locks(folder: &Path, depth: u32) -> std::io::Result<()> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<DirEntry>, _>>()?;
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            remove_locks(&entry.path(), depth - 1)?;
        } else if kind.is_file() && entry.path().extension().is_some_and(|extension| extension == "lock") {
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}
