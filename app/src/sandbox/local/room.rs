//! The sandbox of one executor: made in the background as soon as the executor is opened, and again should it break.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use patchwright_launcher::spec::{Bridge, Program, Run, Spec};
use tokio::task::JoinHandle;

use crate::sandbox::live::Live;
use crate::sandbox::local::groups::{self, Groups};
use crate::sandbox::local::launch::machine;
use crate::sandbox::local::launchers::Launchers;
use crate::sandbox::local::session::Session;
use crate::sandbox::local::{Discovery, LocalSettings, environment, equip, launch, process};
use crate::sandbox::{Command, Output, Process, Running, SandboxError};

/// What is needed for commands on one tree, and the sandbox where it stands.
pub(super) struct Room {
    pub(super) launchers: Launchers,
    pub(super) toolchains: Discovery,
    /// The walls, but for the toolchains.
    pub(super) spec: Spec,
    pub(super) settings: LocalSettings,
    pub(super) bridge: Option<Bridge>,
    pub(super) state: State,
}

/// How far the sandbox is.
pub(super) enum State {
    Shut,
    Opening(JoinHandle<Result<Open, SandboxError>>),
    Open(Open),
}

/// A sandbox and the environment of its commands.
pub(super) struct Open {
    session: Session,
    environment: Vec<(String, String)>,
    /// The workspace, where it is to be seen only from within.
    workspace: Option<OwnedFd>,
}

impl Room {
    /// Begins to make the sandbox, without waiting for it.
    pub(super) fn begin(&mut self) {
        if let State::Shut = self.state {
            let (launchers, toolchains) = (self.launchers.clone(), self.toolchains.clone());
            let (mut spec, settings) = (self.spec.clone(), self.settings.clone());
            let has_outlet = self.bridge.is_some();
            self.state = State::Opening(tokio::spawn(async move {
                if let Some(layer) = &mut spec.layer {
                    // The kernel uses each only once.
                    let made = tempfile::Builder::new().prefix("work-").tempdir_in(&layer.work);
                    layer.work = made.map_err(|error| machine("making a folder for the kernel's use", error))?.keep();
                }
                let toolchains = toolchains.found().await;
                equip(&mut spec, toolchains, has_outlet);
                let made = tokio::task::spawn_blocking(|| groups::of_this_process().ok().map(Groups::group).transpose()).await;
                let group = made.map_err(io::Error::other).flatten().map_err(|error| machine("making a control group", error))?;
                spec.has_group = group.is_some();
                let (session, workspace) = Session::open(&launchers, &spec, group).await?;
                Ok(Open { session, environment: environment(&settings, toolchains), workspace })
            }));
        }
    }

    /// Waits until the sandbox stands.
    async fn open(&mut self) -> Result<&mut Open, SandboxError> {
        self.begin();
        if let State::Opening(opening) = &mut self.state {
            let opened = opening.await.map_err(|error| machine("making the sandbox", std::io::Error::other(error)));
            self.state = State::Shut;
            self.state = State::Open(opened.flatten()?);
        }
        match &mut self.state {
            State::Open(open) => Ok(open),
            State::Shut | State::Opening(_) => Err(machine("making the sandbox", std::io::ErrorKind::NotConnected.into())),
        }
    }

    /// The workspace that lies over another tree.
    pub(super) async fn workspace(&mut self) -> Result<OwnedFd, SandboxError> {
        let missing = || machine("looking into the workspace", std::io::ErrorKind::NotFound.into());
        let workspace = self.open().await?.workspace.as_ref().ok_or_else(missing)?;
        workspace.try_clone().map_err(|error| machine("looking into the workspace", error))
    }

    pub(super) async fn run(&mut self, program: Program, command: &Command, live: Option<&Live>) -> Result<Output, SandboxError> {
        let (limits, bridge) = (self.settings.limits.clone(), self.bridge.clone());
        let open = self.open().await?;
        let run = Run {
            program,
            directory: PathBuf::from(&command.directory),
            environment: open.environment.clone(),
            read_only: Vec::new(),
            bridge,
            is_apart: false,
        };
        let done = launch::run(&mut open.session, &run, command, &limits, live).await;
        self.unless_broken(done)
    }

    pub(super) async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError> {
        let open = self.open().await?;
        let run = process::described(process, &open.environment)?;
        let spawned = process::spawn(&mut open.session, &run).await;
        self.unless_broken(spawned)
    }

    /// What broke is not used again: the next command has a sandbox made anew.
    fn unless_broken<T>(&mut self, done: Result<T, SandboxError>) -> Result<T, SandboxError> {
        if let Err(SandboxError::Machine { .. }) = done {
            self.state = State::Shut;
        }
        done
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let State::Opening(opening) = &self.state {
            opening.abort();
        }
    }
}
