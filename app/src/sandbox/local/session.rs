//! One launcher and the connection to it: the walls that all commands of an executor share.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use patchwright_launcher::messages;
use patchwright_launcher::spec::{self, LENGTH_BYTES, Run, Spec};
use patchwright_launcher::status::Status;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::timeout;

use crate::sandbox::local::groups::Group;
use crate::sandbox::local::launch::machine;
use crate::sandbox::local::launchers::{Launcher, Launchers};
use crate::sandbox::output::Kept;
use crate::sandbox::{Refusal, SandboxError};

/// How long the launcher may take to make the walls.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of what the launcher prints, which is nothing unless it breaks, is kept for messages, in bytes.
const ERRORS_BYTES_MAX: usize = 4 * 1024;

/// A sandbox that stands. Dropping it kills everything inside.
pub(super) struct Session {
    control: UnixStream,
}

impl Session {
    /// Has a launcher make a sandbox, in a control group if there is one; where the workspace lies over another
    /// tree, returns it too.
    pub(super) async fn open(
        launchers: &Launchers,
        spec: &Spec,
        group: Option<Group>,
    ) -> Result<(Session, Option<OwnedFd>), SandboxError> {
        let frame = spec::frame(spec).map_err(|error| unsaid("the description of a sandbox", &error))?;
        let Launcher { mut child, connection } = launchers.take()?;
        let control = UnixStream::from_std(connection).map_err(|source| machine("making a connection", source))?;
        let mut session = Session { control };
        let asked = timeout(READY_TIMEOUT, async {
            // A launcher that is gone already is seen by the missing answer.
            let directory: Vec<BorrowedFd<'_>> = group.iter().map(AsFd::as_fd).collect();
            let _ = session.send(&frame, &directory).await;
            session.answer().await
        });
        match asked.await {
            Ok(Ok(Some((Status::Ready, mut files)))) => {
                let launchers = launchers.clone();
                tokio::spawn(async move {
                    launchers.refill();
                    // It ends when the session is dropped; somebody has to take notice.
                    let _ = child.wait().await;
                    tokio::task::spawn_blocking(move || drop(group)).await
                });
                Ok((session, files.pop()))
            }
            Ok(Ok(Some((Status::Refused { missing, remedy }, _)))) => Err(Refusal { missing, remedy }.into()),
            Ok(Ok(_) | Err(_)) | Err(_) => Err(silent(child).await.into()),
        }
    }

    /// Hands a command over with its descriptors.
    pub(super) async fn start(&mut self, run: &Run, descriptors: &[BorrowedFd<'_>]) -> Result<(), SandboxError> {
        let frame = spec::frame(run).map_err(|error| unsaid("a command with its environment", &error))?;
        self.send(&frame, descriptors).await.map_err(|source| machine("keeping the sandbox up", source))
    }

    async fn send(&mut self, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let control = &self.control;
        let sending = || messages::send_some(control.as_fd(), frame, descriptors);
        let n_sent = control.async_io(Interest::WRITABLE, sending).await?;
        self.control.write_all(&frame[n_sent..]).await
    }

    async fn answer(&mut self) -> io::Result<Option<(Status, Vec<OwnedFd>)>> {
        let mut length = [0; LENGTH_BYTES];
        let control = &self.control;
        let (n_bytes, descriptors) =
            control.async_io(Interest::READABLE, || messages::receive_some(control.as_fd(), &mut length)).await?;
        if n_bytes == 0 {
            return Ok(None);
        }
        self.control.read_exact(&mut length[n_bytes..]).await?;
        let mut json = vec![0; spec::length(length)?];
        self.control.read_exact(&mut json).await?;
        Ok(Some((serde_json::from_slice(&json)?, descriptors)))
    }
}

/// What the launcher cannot be told; the sandbox itself is as good as before.
fn unsaid(what: &str, error: &io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Refusal {
            missing: format!("{what} that fits into {} MiB", spec::SPEC_BYTES_MAX >> 20),
            remedy: "keep long data in files of the workspace".to_owned(),
        };
    }
    Refusal {
        missing: format!("{what} that can be told: {error}"),
        remedy: "give the workspace, and every folder that is shown beside it, a path in UTF-8".to_owned(),
    }
}

/// What is known of a launcher that did not answer.
async fn silent(mut child: Child) -> Refusal {
    let _ = child.start_kill();
    let said = match child.stderr.take() {
        Some(errors) => Kept::new(ERRORS_BYTES_MAX).read(errors).await.map(|kept| kept.into_parts().0).unwrap_or_default(),
        None => Vec::new(),
    };
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let end = child.wait().await.map_or_else(|error| error.to_string(), |end| end.to_string());
    Refusal {
        missing: format!("a launcher that answers: it ended with {end} ({last})"),
        remedy: "point the sandbox at the patchwright binary of this version, on a file system that is not noexec".to_owned(),
    }
}
