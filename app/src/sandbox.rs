//! Where untrusted code runs: every command of the agent, of a repository's setup and of its tests.
//!
//! The port says what a sandbox gives and nothing of how. It knows no model, no forge and no token. A command that
//! fails is an [`Output`]; an error means that the promise of the sandbox could not be kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
pub use patchwright_domain::demands::Isolation;
use patchwright_domain::excerpt::search::{Found, Search};
use patchwright_domain::job::Mode;
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::{Exit, Limit};
pub use patchwright_domain::walls::Enforcement;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::sandbox::files::{Files, blocking};
use crate::sandbox::live::Live;
use crate::sandbox::stamps::{Look, Stamps};

pub mod bare;
mod carried;
pub mod container;
pub mod errand;
pub mod fallback;
mod files;
mod findings;
mod ground;
pub mod images;
mod kernels;
pub mod kubernetes;
pub mod landlock;
pub mod live;
pub mod local;
pub mod minimum;
mod output;
pub mod ownership;
pub mod patching;
mod plain;
mod printed;
pub mod record;
pub mod relay;
mod resident;
mod search;
mod signals;
pub mod stamps;
mod tarball;
pub mod toolchains;
mod trials;

/// Where the git objects that a tree's `.git` borrows are found inside.
pub const OBJECTS: &str = "/opt/base/objects";

/// The files that an executor works on.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    /// The host folder that becomes the workspace, the only one that commands can write to, if they can.
    pub path: &'a Path,
    /// A tree beneath that is never written, and an empty folder for the kernel's use; `path` holds what differs from it.
    /// Only for sandboxes that [can](Sandbox::layers).
    pub layer: Option<(&'a Path, &'a Path)>,
    /// A host folder of git objects, to be read at [`OBJECTS`].
    pub objects: Option<&'a Path>,
    /// A host folder that becomes the home directory and keeps what one executor's commands leave there for the next
    /// executor; without one the home directory is empty and lasts as long as the executor.
    pub home: Option<&'a Path>,
    /// Further host files that are read only inside: the host's path and the one inside.
    pub read_only: &'a [(PathBuf, PathBuf)],
    /// Whether nothing in it is to be given to the sandbox's user: all of it is that user's already, or is only read.
    pub is_owned: bool,
}

impl<'a> Tree<'a> {
    /// A folder whose `.git`, if it has one, borrows nothing.
    pub fn alone(path: &'a Path) -> Self {
        Self { path, layer: None, objects: None, home: None, read_only: &[], is_owned: false }
    }
}

/// What the commands of one executor are for; it decides what is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The commands that fetch what a repository needs. They alone may be given an [`Outlet`].
    Setup,
    /// The agent's own commands, in its scratch tree.
    Agent,
    /// The commands of an agent that is to change nothing: the workspace can be read only.
    Reader,
    /// The repository's setup and test commands, in a tree that no agent has touched.
    Proof,
}

impl Profile {
    /// What an agent's commands may do in a mode.
    pub fn of_agent(mode: Mode) -> Self {
        if mode.edits() { Self::Agent } else { Self::Reader }
    }
}

/// How one executor is to be.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// What its commands are for.
    pub profile: Profile,
    /// Where they may reach out; nowhere without it.
    pub outlet: Option<&'a Outlet>,
    /// The image that the repository names, for executors that run images; the operator's without it.
    pub image: Option<&'a str>,
    /// The weakest walls that the repository takes.
    pub isolation: Isolation,
}

impl From<Profile> for Terms<'static> {
    fn from(profile: Profile) -> Self {
        Self { profile, outlet: None, image: None, isolation: Isolation::None }
    }
}

/// The one way out of a sandbox: a forward proxy outside, which decides where it leads.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// The Unix socket on which the proxy listens.
    pub socket: PathBuf,
    /// The variables by which programs find it, at [`OUTLET_PORT`] of the sandbox's own loopback.
    pub environment: Vec<(String, String)>,
    /// Host files that programs see read only while they have it, such as a tool's settings: the host's path and the one
    /// inside.
    pub read_only: Vec<(PathBuf, PathBuf)>,
}

/// The port of a sandbox's own loopback that leads to its [`Outlet`].
pub const OUTLET_PORT: u16 = 3128;

/// What commands may use, whichever executor runs them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Processes and threads of one command at a time.
    pub n_processes: u64,
    /// Open files of each process; a lower limit of the server itself wins.
    pub n_open_files: u64,
    /// Memory of all processes of one command together, in bytes, with what they keep in `/tmp`.
    pub memory_bytes: u64,
    /// Processor time of all processes of one command together, in seconds.
    pub cpu_seconds: u64,
    /// The largest file that a command can write, in bytes.
    pub file_bytes: u64,
    /// The size of `/tmp`, of `/dev/shm`, and of the home directory where it is not kept, in bytes, each.
    pub tmp_bytes: u64,
    /// What the workspace and the home directory may take on the disk, in bytes.
    pub disk_bytes: u64,
    /// How many files and directories they may have.
    pub n_files: u64,
    /// What a command may print before it is killed, in bytes.
    pub output_bytes: u64,
    /// How long a command has between the request to end and the end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            n_processes: 1024,
            n_open_files: 4096,
            memory_bytes: 4 << 30,
            cpu_seconds: 4 * 3600,
            file_bytes: 2 << 30,
            tmp_bytes: 1 << 30,
            disk_bytes: 10 << 30,
            n_files: 1_000_000,
            output_bytes: 256 << 20,
            grace: Duration::from_secs(2),
        }
    }
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
    /// How strong the walls are.
    pub isolation: Isolation,
    /// One line per layer that is in force, such as `user namespace` or `seccomp`.
    pub layers: Vec<String>,
    /// How each limit is kept.
    pub limits: Vec<(Limit, Enforcement)>,
    /// What an operator can do so that limits are kept better, one sentence each.
    pub advice: Vec<String>,
}

/// The machine cannot give what a sandbox promises; nothing was run.
#[derive(Clone, Debug, thiserror::Error)]
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
    /// What it is called in the configuration.
    fn name(&self) -> &'static str;

    /// What its commands may use.
    fn limits(&self) -> Limits;

    /// Tries the sandbox for real and says what is in force.
    ///
    /// # Errors
    /// [`Refusal`] names what the machine lacks and the remedy.
    async fn probe(&self) -> Result<Capabilities, Refusal>;

    /// What was found to be in force, by a probe that need not be new.
    ///
    /// # Errors
    /// As for `probe`.
    async fn found(&self) -> Result<Capabilities, Refusal> {
        self.probe().await
    }

    /// Opens an executor on a tree.
    ///
    /// # Errors
    /// [`Refusal`] where the machine cannot give the sandbox.
    async fn open(&self, tree: Tree<'_>, terms: Terms<'_>) -> Result<Box<dyn Executor>, Refusal>;

    /// Whether trees below `place` may lie over others, for what `profile` does with them; found by trying, once.
    async fn layers(&self, _place: &Path, _profile: Profile) -> bool {
        false
    }

    /// Removes what earlier processes of this server left behind when they were killed: processes, mounts, containers.
    ///
    /// # Errors
    /// [`Refusal`] where it cannot be removed.
    async fn sweep(&self) -> Result<(), Refusal>;
}

/// Runs commands in one workspace and reads and writes its files without following a link out of it.
#[async_trait]
pub trait Executor: Send {
    /// Runs one command to its end; no process of it is left when this returns.
    ///
    /// # Errors
    /// [`SandboxError::Refused`] and [`SandboxError::Machine`]; a failing command is an [`Output`].
    async fn execute(&mut self, command: &Command) -> Result<Output, SandboxError>;

    /// Runs one command as `execute` does, and hands on all that it prints, as it prints it. An executor that cannot see it
    /// before the end hands on then what it kept.
    ///
    /// # Errors
    /// As for `execute`.
    async fn execute_live(&mut self, command: &Command, live: &Live) -> Result<Output, SandboxError> {
        let output = self.execute(command).await?;
        live.finish();
        live.push(&output.output).await;
        Ok(output)
    }

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

    /// Brings the workspace, as commands have left it, to where this process can read it, and returns that folder. It is
    /// as hostile as what ran in it, and is there until the executor is dropped or runs something again.
    ///
    /// # Errors
    /// [`SandboxError::Refused`] and [`SandboxError::Machine`].
    async fn collect(&mut self) -> Result<PathBuf, SandboxError>;

    /// Says when everything in the workspace was changed for the last time, without any program of its image. Only what one
    /// executor says can be compared: where the workspace is sent elsewhere, it is another one there.
    ///
    /// # Errors
    /// As for `collect`.
    async fn stamps(&mut self, look: &Look) -> Result<Stamps, SandboxError> {
        const CONTEXT: &str = "looking at the workspace";
        let (folder, look) = (self.collect().await?, look.clone());
        blocking(CONTEXT, move || {
            let files = Files::open(&folder, None);
            let files = files.map_err(|source| SandboxError::Machine { context: CONTEXT.to_owned(), source })?;
            stamps::stamps(&files, &look)
        })
        .await
    }

    /// Searches the regular files of the workspace, without those that its `.gitignore` files name, binary ones and `.git`.
    ///
    /// # Errors
    /// [`SandboxError::Path`] for a directory that is not there and for a pattern or glob that is none.
    async fn search(&mut self, search: &Search) -> Result<Found, SandboxError>;
}
