//! An executor that writes down what it runs, whoever asks for it: the model's calls and the harness's checks alike.

use std::path::PathBuf;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::patch::FileState;

use super::transcript::Line;
use crate::sandbox::{Command, Executor, Output, Process, Running, SandboxError};

/// Passes everything on, and keeps a line for each command.
pub(super) struct Recorder<'e> {
    inner: &'e mut dyn Executor,
    lines: Vec<Line>,
}

impl<'e> Recorder<'e> {
    pub(super) fn new(inner: &'e mut dyn Executor) -> Self {
        Self { inner, lines: Vec::new() }
    }

    /// The lines since the last time.
    pub(super) fn take(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }
}

fn line(command: &Command, output: &Output) -> Line {
    let (text, is_base64) = match std::str::from_utf8(&output.output) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (BASE64_STANDARD.encode(&output.output), true),
    };
    let milliseconds = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Line::Ran {
        script: command.script.clone(),
        directory: command.directory.clone(),
        timeout_ms: milliseconds(command.timeout),
        exit: output.exit,
        duration_ms: milliseconds(output.duration),
        output: text,
        is_base64,
        omitted_bytes: output.omitted_bytes,
    }
}

#[async_trait]
impl Executor for Recorder<'_> {
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError> {
        let output = self.inner.execute(command).await?;
        self.lines.push(line(command, &output));
        Ok(output)
    }

    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError> {
        self.inner.read(path).await
    }

    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError> {
        self.inner.write(changes).await
    }

    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError> {
        self.inner.search(search).await
    }

    async fn collect(&mut self) -> Result<PathBuf, SandboxError> {
        self.inner.collect().await
    }

    async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError> {
        self.inner.spawn(process).await
    }
}
