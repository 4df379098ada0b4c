//! Commands where they are: in the host's own namespaces and at its own paths, each with a launcher of its own that ends what
//! it leaves behind. What confines them, if anything does, is said by who makes the executor.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::patch::FileState;
use patchwright_launcher::bare::Bare;
use patchwright_launcher::confined::{Changes, Confined, Place};
use patchwright_launcher::spec::Program;

use crate::private_folder::PrivateFolder;
use crate::sandbox::files::{Files, blocking};
use crate::sandbox::live::Live;
use crate::sandbox::plain::launch::Order;
use crate::sandbox::{Command, Executor, Limits, Output, Process, Refusal, Running, SandboxError, search};

mod launch;

/// Which file of a tree says where the git objects are that it borrows.
const ALTERNATES: &str = ".git/objects/info/alternates";

/// Leads the tree's `.git` to the objects that it borrows, which are where they are and nowhere else.
pub(super) fn borrow(files: &Files, objects: &Path) -> io::Result<()> {
    let has_git = files.root().symlink_metadata(ALTERNATES).is_ok();
    if !has_git {
        return Ok(());
    }
    let content = format!("{}\n", objects.display()).into_bytes();
    files.write(ALTERNATES, Some(&FileState::Regular { content, executable: false })).map_err(io::Error::other)
}

pub(super) fn unusable(workspace: &Path, error: &io::Error) -> Refusal {
    Refusal {
        missing: format!("a usable workspace: {}: {error}", workspace.display()),
        remedy: "make it a directory that the server's user owns, on a file system with room".to_owned(),
    }
}

/// Runs commands in one workspace.
pub(super) struct PlainExecutor {
    pub(super) launcher: PathBuf,
    pub(super) limits: Limits,
    pub(super) workspace: PathBuf,
    pub(super) environment: Vec<(String, String)>,
    /// Whether we write nothing; without walls the commands themselves cannot be kept from it.
    pub(super) is_read_only: bool,
    pub(super) files: Arc<Files>,
    /// The home directory that is not kept, and temporary files.
    pub(super) _private: PrivateFolder,
    /// In which that is, where it is in another one.
    pub(super) _pen: Option<Arc<PrivateFolder>>,
    /// What confines each command, if anything does.
    pub(super) walls: Option<Walls>,
}

/// What confines a command that is in no namespaces of its own.
#[derive(Clone, Debug)]
pub(super) struct Walls {
    /// The user and group of commands.
    pub(super) user: u32,
    /// What is read and run beside the host's programs.
    pub(super) read: Vec<PathBuf>,
    /// What is written.
    pub(super) write: Vec<PathBuf>,
    /// What is looked at.
    pub(super) places: Vec<Place>,
}

impl PlainExecutor {
    /// What the launcher is told of a command.
    fn order(&self, program: Program, directory: &str, environment: Vec<(String, String)>) -> Order {
        let bare = Bare {
            program,
            directory: self.workspace.join(directory),
            environment,
            n_open_files: self.limits.n_open_files,
            file_bytes: self.limits.file_bytes,
            cpu_seconds: self.limits.cpu_seconds,
            process_memory_bytes: self.limits.memory_bytes,
        };
        match &self.walls {
            None => Order::Bare(bare),
            Some(walls) => Order::Confined(Box::new(Confined {
                command: bare,
                user: walls.user,
                read: walls.read.clone(),
                write: walls.write.clone(),
                changes: if self.is_read_only { Changes::Nothing } else { Changes::ModesAndTimes },
                no_more: Vec::new(),
                places: walls.places.clone(),
                memory_bytes: self.limits.memory_bytes,
                n_processes: self.limits.n_processes,
                server: std::process::id(),
            })),
        }
    }

    /// Runs a program to its end in the workspace's root, or below it; what it prints is handed on meanwhile where somebody
    /// looks on.
    pub(super) async fn run(&self, program: Program, command: &Command, live: Option<&Live>) -> Result<Output, SandboxError> {
        let order = self.order(program, &command.directory, self.environment.clone());
        launch::run(&self.launcher, &order, command, &self.limits, live).await
    }

    /// Runs a script as [`run`](Self::run) does.
    async fn run_script(&self, command: &Command, live: Option<&Live>) -> Result<Output, SandboxError> {
        let (files, directory) = (Arc::clone(&self.files), command.directory.clone());
        blocking("looking for the directory", move || files.directory(&directory)).await?;
        let bash = Path::new("/bin/bash");
        let shell = if bash.exists() { bash.to_owned() } else { PathBuf::from("/bin/sh") };
        self.run(Program::Script { shell, script: command.script.clone() }, command, live).await
    }

    /// What an external agent needs cannot be given here.
    fn closed(&self) -> Refusal {
        let (missing, other) = match &self.walls {
            None => ("walls that an external agent could be let through: the executor `none` has none", "use another executor"),
            Some(_) => (
                "a way from an external agent to its model: behind rules on files alone (Landlock) there are no sockets",
                "let this machine give namespaces, which `patchwright doctor` says how to do",
            ),
        };
        Refusal { missing: missing.to_owned(), remedy: format!("set `agent.kind = \"builtin\"`, or {other}") }
    }
}

#[async_trait]
impl Executor for PlainExecutor {
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError> {
        self.run_script(command, None).await
    }

    async fn execute_live(&mut self, command: &Command, live: &Live) -> Result<Output, SandboxError> {
        self.run_script(command, Some(live)).await
    }

    async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError> {
        if !(process.read_only.is_empty() && process.sockets.is_empty() && process.bridge.is_none()) {
            return Err(SandboxError::Refused(self.closed()));
        }
        let is_replaced = |name: &str| process.environment.iter().any(|(added, _)| added == name);
        let kept = self.environment.iter().filter(|(name, _)| !is_replaced(name));
        let environment = kept.chain(&process.environment).cloned().collect();
        let program = Program::Process { arguments: process.argv.clone() };
        launch::spawn(&self.launcher, &self.order(program, "", environment)).await
    }

    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError> {
        let (files, path) = (Arc::clone(&self.files), path.to_owned());
        blocking("reading a file of the workspace", move || files.read(&path)).await
    }

    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError> {
        if let (true, Some((path, _))) = (self.is_read_only, changes.first()) {
            return Err(SandboxError::Path { path: path.clone(), reason: "nothing can be changed here".to_owned() });
        }
        let (files, changes) = (Arc::clone(&self.files), changes.to_vec());
        blocking("writing files of the workspace", move || {
            changes.iter().try_for_each(|(path, state)| files.write(path, state.as_ref()))
        })
        .await
    }

    async fn collect(&mut self) -> Result<PathBuf, SandboxError> {
        Ok(self.workspace.clone())
    }

    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError> {
        let (files, search) = (Arc::clone(&self.files), search.clone());
        blocking("searching the workspace", move || search::search(&files, &search)).await
    }
}
