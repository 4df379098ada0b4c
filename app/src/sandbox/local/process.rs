//! A process that is talked to: one start of the launcher, and a connection that is the process's standard input and output.
//!
//! The launcher's own standard input is taken by the spec and the lifeline, so it connects to a socket of ours before it
//! enters any namespace. The socket lies in a folder that only we can enter, takes one connection, and is then removed.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::proof::Exit;
use patchwright_launcher::spec::{self, Program, ReadOnly, Spec};
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::ChildStdin;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::sandbox::local::launch::{self, Seen, exit, machine};
use crate::sandbox::output::{Kept, Tail};
use crate::sandbox::{Handle, Process, Running, SandboxError};

/// How much of the end of standard error is kept, in bytes.
const ERRORS_BYTES_MAX: usize = 8 * 1024;
/// How long the launcher may take to connect; it does nothing else before.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// The spec of a process, made from that of the executor's commands.
pub(super) fn spec(template: &Spec, process: &Process) -> Result<Spec, SandboxError> {
    for (source, _) in &process.sockets {
        let is_socket = fs::symlink_metadata(source).is_ok_and(|found| found.file_type().is_socket());
        if !is_socket {
            let reason = "it is no Unix socket".to_owned();
            return Err(SandboxError::Path { path: source.display().to_string(), reason });
        }
    }
    let mounts = process.read_only.iter().chain(&process.sockets);
    let mut spec = template.clone();
    spec.read_only.extend(mounts.map(|(source, target)| ReadOnly { source: source.clone(), target: target.clone() }));
    spec.environment.retain(|(name, _)| process.environment.iter().all(|(added, _)| added != name));
    spec.environment.extend(process.environment.iter().cloned());
    if let Some(bridge) = &process.bridge {
        spec.bridge = Some(spec::Bridge { port: bridge.port, socket: bridge.socket.clone() });
    }
    spec.program = Program::Process { arguments: process.argv.clone() };
    spec.directory = PathBuf::new();
    Ok(spec)
}

/// Starts the process.
pub(super) async fn spawn(launcher: &Path, mut spec: Spec) -> Result<Running, SandboxError> {
    let making = |source| machine("making the process's standard input and output", source);
    let folder = tempfile::Builder::new().prefix("patchwright-").tempdir().map_err(making)?;
    let socket = folder.path().join("stdio");
    let listener = UnixListener::bind(&socket).map_err(making)?;
    spec.standard = Some(socket);
    let frame = spec.frame().map_err(|source| machine("describing the process", source))?;
    let (child, mut lifeline) = launch::launch(launcher)?;
    let (kept, errors) = Kept::tail(ERRORS_BYTES_MAX);
    let mut task = tokio::spawn(launch::watch(child, kept));
    let connected = timeout(CONNECT_TIMEOUT, async {
        // A launcher that is gone already is seen by its task, which then is what ends the wait.
        let _ = lifeline.write_all(&frame).await;
        tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, _)| stream).map_err(making),
            joined = &mut task => Err(never_connected(joined)),
        }
    });
    let stream = connected.await.map_err(|_| making(io::ErrorKind::TimedOut.into()))??;
    Ok(running(stream, LocalHandle { lifeline: Some(lifeline), task: Some(task), errors, end: None }))
}

fn running(stream: UnixStream, handle: LocalHandle) -> Running {
    let (output, input) = stream.into_split();
    Running { input: Box::new(input), output: Box::new(Output(output)), handle: Box::new(handle) }
}

/// What the process prints. One that ends before it has read all its input resets the connection, behind everything that
/// it printed: that is an end like any other.
struct Output(OwnedReadHalf);

impl AsyncRead for Output {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(context, buffer) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}

fn never_connected(joined: Result<io::Result<Seen>, tokio::task::JoinError>) -> SandboxError {
    let seen = match joined.map_err(io::Error::other).flatten() {
        Ok(seen) => seen,
        Err(source) => return machine("starting a process", source),
    };
    match exit(&seen, false) {
        Err(error) => error,
        Ok(exit) => machine("starting a process", io::Error::other(format!("it ended before it was heard of: {exit:?}"))),
    }
}

/// The launcher of one process.
struct LocalHandle {
    /// Closed when this is dropped, which kills everything inside; the task then reaps the launcher.
    lifeline: Option<ChildStdin>,
    task: Option<JoinHandle<io::Result<Seen>>>,
    errors: Tail,
    end: Option<Exit>,
}

impl LocalHandle {
    fn ended(&mut self, joined: Result<io::Result<Seen>, tokio::task::JoinError>, is_over: bool) -> Result<Exit, SandboxError> {
        self.task = None;
        self.lifeline = None;
        let seen = joined.map_err(io::Error::other).flatten().map_err(|source| machine("awaiting a process", source))?;
        let exit = exit(&seen, is_over)?;
        self.end = Some(exit);
        Ok(exit)
    }

    fn known(&self) -> Result<Exit, SandboxError> {
        self.end.ok_or_else(|| machine("awaiting a process", io::Error::other("it broke before")))
    }
}

#[async_trait]
impl Handle for LocalHandle {
    fn errors(&self) -> String {
        self.errors.text()
    }

    async fn wait(&mut self) -> Result<Exit, SandboxError> {
        let Some(task) = &mut self.task else { return self.known() };
        let joined = task.await;
        self.ended(joined, false)
    }

    async fn kill(&mut self) -> Result<Exit, SandboxError> {
        let (Some(lifeline), Some(task)) = (self.lifeline.take(), self.task.take()) else { return self.known() };
        let joined = launch::killed(lifeline, task).await?;
        self.ended(joined, true)
    }
}
