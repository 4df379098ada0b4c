//! Where untrusted code runs: every command of the agent, of a repository's setup and of its tests.
//!
//! The port says what a sandbox gives and nothing of how. It knows no model, no forge and no token. A command that
//! fails is an [`Output`]; an error means that the promise of the sandbox could not be kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::Exit;
use tokio::io::{AsyncRead, AsyncWrite};

pub mod local;
pub mod toolchains;

/// Where the git objects that a tree's `.git` borrows are found inside.
pub const OBJECTS: &str = "/opt/base/objects";

/// The files that an executor works on.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    /// The host folder that becomes the workspace, the only one that commands can write to, if they can.
    pub path: &'a Path,
    /// A host folder of git objects, to be read at [`OBJECTS`].
    pub objects: Option<&'a Path>,
}

impl<'a> Tree<'a> {
    /// A folder whose `.git`, if it has one, borrows nothing.
    pub fn alone(path: &'a Path) -> Self {
        Self { path, objects: None }
    }
}

/// What the commands of one executor are for; it decides the limits and what is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The agent's own commands, in its scratch tree.
    Agent,
    /// The commands of an agent that is to change nothing: the workspace can be read only.
    Reader,
    /// The repository's setup and test commands, in a tree that no agent has touched.
    Proof,
}

/// One shell script to run in the workspace.
#[derive(Clone, Debug)]
pub struct Command {
    /// The script, given to `sh -c` (bash where the machine has it).
    pub script: String,
    /// The directory to start in, relative to the workspace; empty for its root.
    pub directory: String,
    /// Wall-clock limit; at its end every process of the command is killed.
    pub timeout: Duration,
    /// How much output is kept: the head and the tail, half each. The rest is counted and dropped.
    pub output_bytes_max: usize,
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Standard output and standard error as they came, cut in the middle where too long.
    pub output: Vec<u8>,
    /// How many bytes were dropped from the middle of `output`.
    pub omitted_bytes: u64,
    /// From start to the last byte of output.
    pub duration: Duration,
}

/// A program that stays and is talked to, such as another agent.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Its path inside and its arguments.
    pub argv: Vec<String>,
    /// What is added to the sandbox's environment, or put in the place of what is there.
    pub environment: Vec<(String, String)>,
    /// Host files and folders that it sees read only beside those of every command: the host's path and the one inside.
    pub read_only: Vec<(PathBuf, PathBuf)>,
    /// Unix sockets of the host that it can connect to, likewise. They are all that it reaches of the host.
    pub sockets: Vec<(PathBuf, PathBuf)>,
    /// A port of its own loopback that leads to one of these sockets, for programs that speak TCP only.
    pub bridge: Option<Bridge>,
}

/// A port of a sandbox's own loopback that leads to a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// The port on 127.0.0.1 inside.
    pub port: u16,
    /// The socket's path inside.
    pub socket: PathBuf,
}

/// A process in a sandbox, and the two ends that it is talked to through.
pub struct Running {
    /// Its standard input; shutting it down is the end of input.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output; it ends when the process and all that hold it are gone.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// The process itself. Dropping this kills everything in the sandbox.
    pub handle: Box<dyn Handle>,
}

/// Holds a process of a sandbox; dropped, it kills everything in there.
#[async_trait]
pub trait Handle: Send {
    /// The end of its standard error so far, for messages.
    fn errors(&self) -> String;

    /// Waits for its end; no process of it is left when this returns.
    ///
    /// # Errors
    /// [`SandboxError::Refused`] where the sandbox could not be made, so that the process never ran; otherwise
    /// [`SandboxError::Machine`].
    async fn wait(&mut self) -> Result<Exit, SandboxError>;

    /// Kills everything in the sandbox; no process is left when this returns.
    ///
    /// # Errors
    /// As for `wait`.
    async fn kill(&mut self) -> Result<Exit, SandboxError>;
}

/// What the machine gives, as a probe found by trying.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// One line per layer that is in force, such as `user namespace` or `seccomp`.
    pub layers: Vec<String>,
}

/// The machine cannot give what a sandbox promises; nothing was run.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cannot be made: {missing}")]
pub struct Refusal {
    /// What is missing, in one line.
    pub missing: String,
    /// What the operator can do about it.
    pub remedy: String,
}

/// A sandbox that was promised and broke, or a file operation that it refused.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The sandbox could not be made for this command; nothing was run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The path leaves the workspace, or is no regular file or symbolic link; or what was to be searched for is no pattern.
    #[error("{path}: {reason}")]
    Path {
        /// The path as it was asked for, or which part of a search it is.
        path: String,
        /// Why it was refused.
        reason: String,
    },
    /// The machine failed under us: no processes, no disk.
    #[error("{context}")]
    Machine {
        /// What was being done.
        context: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Makes executors.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Tries the sandbox for real and says what is in force.
    ///
    /// # Errors
    /// [`Refusal`] names what the machine lacks and the remedy.
    async fn probe(&self) -> Result<Capabilities, Refusal>;

    /// Opens an executor on a tree.
    ///
    /// # Errors
    /// [`Refusal`] where the machine cannot give the sandbox.
    async fn open(&self, tree: Tree<'_>, profile: Profile) -> Result<Box<dyn Executor>, Refusal>;
}

/// Runs commands in one workspace and reads and writes its files without following a link out of it.
#[async_trait]
pub trait Executor: Send {
    /// Runs one command to its end; no process of it is left when this returns.
    ///
    /// # Errors
    /// [`SandboxError::Refused`] and [`SandboxError::Machine`]; a failing command is an [`Output`].
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError>;

    /// Starts a program in the workspace's root, in a sandbox like that of a command, and returns as soon as it can be
    /// talked to. Whether it could be started at all is what [`Handle::wait`] says.
    ///
    /// # Errors
    /// [`SandboxError::Path`] for a socket that is none, [`SandboxError::Refused`] and [`SandboxError::Machine`].
    async fn spawn(&mut self, process: &Process) -> Result<Running, SandboxError>;

    /// Reads a file, or the text of a symbolic link; `None` where there is none.
    ///
    /// # Errors
    /// [`SandboxError::Path`] for a path that leaves the workspace, a directory, a device or a file over the limit.
    async fn read(&mut self, path: &str) -> Result<Option<FileState>, SandboxError>;

    /// Writes (`Some`) and deletes (`None`) files, in order, creating directories as needed.
    ///
    /// # Errors
    /// [`SandboxError::Path`] as for `read`, and for everything where the profile is [`Profile::Reader`]; what came before
    /// the refused change stays written.
    async fn write(&mut self, changes: &[(String, Option<FileState>)]) -> Result<(), SandboxError>;

    /// Searches the regular files of the workspace, without those that its `.gitignore` files name, binary ones and `.git`.
    ///
    /// # Errors
    /// [`SandboxError::Path`] for a directory that is not there and for a pattern or glob that is none.
    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError>;
}
