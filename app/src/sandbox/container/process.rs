//! A process that is talked to: a container of its own, with what only that process sees.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use async_trait::async_trait;
use patchwright_domain::proof::Exit;
use patchwright_launcher::resident::orders::{Order, Report, Task, Work};
use patchwright_launcher::spec::Bridge;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};

use crate::sandbox::container::blueprint::Blueprint;
use crate::sandbox::container::life::Container;
use crate::sandbox::output::{Kept, Tail};
use crate::sandbox::printed::Printed;
use crate::sandbox::resident::{Frame, KILL_TIMEOUT, ended, machine};
use crate::sandbox::{Handle, Process, Running, SandboxError};

/// How much of the end of standard error is kept, in bytes.
const ERRORS_BYTES_MAX: usize = 8 * 1024;

/// The container of a process, made from that of the executor's commands.
pub(super) fn blueprint(template: &Blueprint, process: &Process) -> Result<Blueprint, SandboxError> {
    for (source, _) in &process.sockets {
        let is_socket = fs::symlink_metadata(source).is_ok_and(|found| found.file_type().is_socket());
        if !is_socket {
            let reason = "it is no Unix socket".to_owned();
            return Err(SandboxError::Path { path: source.display().to_string(), reason });
        }
    }
    let mut blueprint = template.clone();
    let mounts = process.read_only.iter().chain(&process.sockets);
    blueprint.read_only.extend(mounts.map(|(source, target)| (source.clone(), target.to_string_lossy().into_owned())));
    blueprint.environment.extend(process.environment.iter().cloned());
    if let Some(bridge) = &process.bridge {
        blueprint.bridge = Some(Bridge { port: bridge.port, socket: bridge.socket.clone() });
    }
    Ok(blueprint)
}

/// The task of a process or of a command.
pub(super) fn task(blueprint: &Blueprint, work: Work, directory: &str) -> Task {
    Task {
        work,
        directory: PathBuf::from(directory),
        environment: BTreeMap::clone(&blueprint.environment),
        bridge: blueprint.bridge.clone(),
        refuses_set_id: blueprint.refuses_set_id,
        limits: blueprint.task_limits(),
    }
}

/// Starts the process in a container that was made for it.
pub(super) async fn spawn(mut container: Container, standard: UnixStream, task: Task) -> Result<Running, SandboxError> {
    let starting = |source| machine("starting a process", source);
    let session = container.session.as_mut().ok_or_else(|| starting(io::ErrorKind::NotConnected.into()))?;
    session.order(&Order::Run(Box::new(task))).await.map_err(starting)?;
    let (kept, errors) = Kept::tail(ERRORS_BYTES_MAX);
    let (kill, killed) = oneshot::channel();
    let task = tokio::spawn(watch(container, kept, killed));
    let (output, input) = standard.into_split();
    let handle = ContainerHandle { kill: Some(kill), task: Some(task), errors, end: None };
    Ok(Running { input: Box::new(input), output: Box::new(Printed(output)), handle: Box::new(handle) })
}

/// Reads errors until the process ends, by itself or because nobody wants it any more, and removes the container.
async fn watch(mut container: Container, mut kept: Kept, mut killed: oneshot::Receiver<()>) -> Result<Exit, SandboxError> {
    let exit = read(&mut container, &mut kept, &mut killed).await;
    container.remove().await;
    exit
}

async fn read(container: &mut Container, kept: &mut Kept, killed: &mut oneshot::Receiver<()>) -> Result<Exit, SandboxError> {
    let broken = |source| machine("keeping a process up", source);
    let Some(session) = container.session.as_mut() else { return Err(broken(io::ErrorKind::NotConnected.into())) };
    loop {
        let frame = tokio::select! {
            frame = session.next() => frame,
            _ = &mut *killed => break,
        };
        if let Some(report) = taken(frame, kept).map_err(broken)? {
            return ended(report);
        }
    }
    session.order(&Order::Kill).await.map_err(broken)?;
    let until = Instant::now() + KILL_TIMEOUT;
    loop {
        let frame = timeout_at(until, session.next()).await.map_err(|_| broken(io::ErrorKind::TimedOut.into()))?;
        if let Some(report) = taken(frame, kept).map_err(broken)? {
            return ended(report).map(|_| Exit::TimedOut);
        }
    }
}

/// Keeps what was printed, and hands on the launcher's last word.
fn taken(frame: io::Result<Frame>, kept: &mut Kept) -> io::Result<Option<Report>> {
    Ok(match frame? {
        Frame::Output(bytes) => {
            kept.push(&bytes);
            None
        }
        Frame::Report(Report::Ready { .. } | Report::Started) => None,
        Frame::Report(report) => Some(report),
    })
}

/// The container of one process.
struct ContainerHandle {
    /// Used, or dropped with this, it has the task end everything inside.
    kill: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<Exit, SandboxError>>>,
    errors: Tail,
    end: Option<Exit>,
}

impl ContainerHandle {
    async fn end(&mut self) -> Result<Exit, SandboxError> {
        let gone = || machine("awaiting a process", io::Error::other("it broke before"));
        let Some(task) = &mut self.task else { return self.end.ok_or_else(gone) };
        let joined: Result<_, JoinError> = task.await;
        self.task = None;
        let exit = joined.map_err(|error| machine("awaiting a process", io::Error::other(error)))??;
        self.end = Some(exit);
        Ok(exit)
    }
}

#[async_trait]
impl Handle for ContainerHandle {
    fn errors(&self) -> String {
        self.errors.text()
    }

    async fn wait(&mut self) -> Result<Exit, SandboxError> {
        self.end().await
    }

    async fn kill(&mut self) -> Result<Exit, SandboxError> {
        if let Some(kill) = self.kill.take() {
            // A task that is over already has nobody to hear it.
            let _ = kill.send(());
        }
        self.end().await
    }
}
