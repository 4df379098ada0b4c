//! A process that is talked to: a command whose standard input and output are a connection to us.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use async_trait::async_trait;
use patchwright_domain::proof::Exit;
use patchwright_launcher::spec::{Bridge, Program, ReadOnly, Run};
use tokio::net::UnixStream;

use crate::sandbox::local::launch::{self, Started, exit, machine};
use crate::sandbox::local::session::Session;
use crate::sandbox::output::{Kept, Tail};
use crate::sandbox::printed::Printed;
use crate::sandbox::{Handle, Process, Running, SandboxError};

/// How much of the end of standard error is kept, in bytes.
const ERRORS_BYTES_MAX: usize = 8 * 1024;

/// The process as the launcher is told of it; `environment` is that of the executor's commands.
pub(super) fn described(process: &Process, environment: &[(String, String)]) -> Result<Run, SandboxError> {
    for (source, _) in &process.sockets {
        let is_socket = fs::symlink_metadata(source).is_ok_and(|found| found.file_type().is_socket());
        if !is_socket {
            let reason = "it is no Unix socket".to_owned();
            return Err(SandboxError::Path { path: source.display().to_string(), reason });
        }
    }
    let is_replaced = |name: &str| process.environment.iter().any(|(added, _)| added == name);
    let kept = environment.iter().filter(|(name, _)| !is_replaced(name));
    let mounts = process.read_only.iter().chain(&process.sockets);
    Ok(Run {
        program: Program::Process { arguments: process.argv.clone() },
        directory: PathBuf::new(),
        environment: kept.chain(&process.environment).cloned().collect(),
        read_only: mounts.map(|(source, target)| ReadOnly { source: source.clone(), target: target.clone() }).collect(),
        bridge: process.bridge.as_ref().map(|bridge| Bridge { port: bridge.port, socket: bridge.socket.clone() }),
        is_apart: true,
    })
}

/// Starts the process.
pub(super) async fn spawn(session: &mut Session, run: &Run) -> Result<Running, SandboxError> {
    let making = |source| machine("making the process's standard input and output", source);
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(making)?;
    ours.set_nonblocking(true).map_err(making)?;
    let stream = UnixStream::from_std(ours).map_err(making)?;
    let (kept, errors) = Kept::tail(ERRORS_BYTES_MAX);
    let started = launch::start(session, run, kept, Some(theirs.into()), None).await?;
    let (output, input) = stream.into_split();
    let handle = LocalHandle { started: Some(started), errors, end: None };
    Ok(Running { input: Box::new(input), output: Box::new(Printed(output)), handle: Box::new(handle) })
}

/// The process, which is killed when this is dropped.
struct LocalHandle {
    started: Option<Started>,
    errors: Tail,
    end: Option<Exit>,
}

impl LocalHandle {
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
        let Some(started) = &mut self.started else { return self.known() };
        let seen = started.over().await;
        self.started = None;
        let exit = exit(&seen?, false)?;
        self.end = Some(exit);
        Ok(exit)
    }

    async fn kill(&mut self) -> Result<Exit, SandboxError> {
        let Some(started) = self.started.take() else { return self.known() };
        let exit = exit(&started.killed().await?, true)?;
        self.end = Some(exit);
        Ok(exit)
    }
}
