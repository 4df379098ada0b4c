//! Where launchers come from: one is always kept waiting, so that no sandbox waits for a program to be started.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use patchwright_launcher::NAME;
use tokio::process::{Child, Command};

use crate::sandbox::local::launch::machine;
use crate::sandbox::{Refusal, SandboxError};

/// Starts launchers of one binary.
#[derive(Clone)]
pub(super) struct Launchers {
    binary: Arc<Path>,
    spare: Arc<Mutex<Option<Launcher>>>,
}

/// A launcher that waits to be told of a sandbox. It ends when the connection does.
pub(super) struct Launcher {
    pub(super) child: Child,
    pub(super) connection: UnixStream,
}

impl Launchers {
    pub(super) fn new(binary: PathBuf) -> Self {
        Self { binary: binary.into(), spare: Arc::default() }
    }

    /// The launcher that waits, or a new one.
    pub(super) fn take(&self) -> Result<Launcher, SandboxError> {
        let spare = self.spare().take();
        // Something may have ended it while it waited.
        let waiting = spare.and_then(|mut spare| matches!(spare.child.try_wait(), Ok(None)).then_some(spare));
        waiting.map_or_else(|| launch(&self.binary), Ok)
    }

    /// Starts the one that waits, where there is none.
    pub(super) fn refill(&self) {
        let mut spare = self.spare();
        if spare.is_none() {
            // What fails here is told to whoever needs one next.
            *spare = launch(&self.binary).ok();
        }
    }

    fn spare(&self) -> MutexGuard<'_, Option<Launcher>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the launcher with an empty environment and one end of a connection.
fn launch(binary: &Path) -> Result<Launcher, SandboxError> {
    let connected = || -> io::Result<(UnixStream, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((ours, theirs))
    };
    let (connection, theirs) = connected().map_err(|source| machine("making a connection", source))?;
    let mut command = Command::new(binary);
    command.arg0(NAME).env_clear().current_dir("/").process_group(0).kill_on_drop(true);
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| Refusal {
        missing: format!("the launcher: {}: {error}", binary.display()),
        remedy: "start the server from the patchwright binary, and leave that file in place while it runs".to_owned(),
    })?;
    Ok(Launcher { child, connection })
}

#[cfg(test)]
mod tests;
