//! An executor without any walls, for the benchmark alone: what the loop costs when commands cost what they cost.

use std::path::PathBuf;
use std::time::Instant;

use async_trait::async_trait;
use patchwright::sandbox::{Command, Executor, Output, Process, Running, SandboxError};
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::Exit;

/// Runs commands as this process's children, and touches files below a folder.
pub(crate) struct Bare {
    folder: PathBuf,
}

impl Bare {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

fn machine(context: &str, source: std::io::Error) -> SandboxError {
    SandboxError::Machine { context: context.to_owned(), source }
}

#[async_trait]
impl Executor for Bare {
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError> {
        let started = Instant::now();
        let mut child = tokio::process::Command::new("/bin/bash");
        child.args(["-c", &command.script]).current_dir(self.folder.join(&command.directory)).kill_on_drop(true);
        let done = tokio::time::timeout(command.timeout, child.output()).await;
        let Ok(done) = done else {
            return Ok(Output { exit: Exit::TimedOut, output: Vec::new(), omitted_bytes: 0, duration: started.elapsed() });
        };
        let done = done.map_err(|error| machine("running a command", error))?;
        let output = [done.stdout, done.stderr].concat();
        Ok(Output { exit: Exit::Code(done.status.code().unwrap_or(255)), output, omitted_bytes: 0, duration: started.elapsed() })
    }

    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError> {
        let path = self.folder.join(path);
        if path.is_dir() {
            return Err(SandboxError::Path { path: path.display().to_string(), reason: "is a directory".to_owned() });
        }
        Ok(std::fs::read(path).ok().map(|content| FileState::Regular { content, executable: false }))
    }

    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError> {
        for (path, state) in changes {
            if let Some(FileState::Regular { content, .. }) = state {
                std::fs::write(self.folder.join(path), content).map_err(|error| machine("writing a file", error))?;
            }
        }
        Ok(())
    }

    async fn collect(&mut self) -> Result<PathBuf, SandboxError> {
        Ok(self.folder.clone())
    }

    async fn search(&mut self, _search: &Search) -> Result<Found, SandboxError> {
        Ok(Found::default())
    }

    async fn spawn(&mut self, _process: &Process) -> Result<Running, SandboxError> {
        Err(machine("starting a process", std::io::ErrorKind::Unsupported.into()))
    }
}
