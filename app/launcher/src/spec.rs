//! What the supervisor tells the launcher: a length and a JSON object, first a [`Spec`], then any number of [`Run`]s.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::probe::Baits;
use crate::trial::Take;

/// The longest message that is read, in bytes.
pub const SPEC_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// Where the workspace is inside.
pub const WORKSPACE: &str = "/workspace";

/// The home directory inside: private to the sandbox, writable.
pub const HOME: &str = "/home/agent";

/// One sandbox: the walls that its commands share. It lasts until the connection over which it came is closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The host directory that becomes [`WORKSPACE`].
    pub workspace: PathBuf,
    /// What lies under the workspace and is never written, if anything does.
    pub layer: Option<Layer>,
    /// Whether commands may look at the workspace only.
    pub is_workspace_read_only: bool,
    /// Whether setuid and setgid bits are refused to files, because the tree is somebody's on the host and stays there.
    pub refuses_set_id: bool,
    /// The host directory that becomes [`HOME`]; without one it is empty and lasts as long as the sandbox.
    pub home: Option<PathBuf>,
    /// Further host paths, mounted read only and in order. A Unix socket among them can be connected to.
    pub read_only: Vec<ReadOnly>,
    /// The user id of commands. As root it is also their id on the host, and must not be 0.
    pub uid: u32,
    /// The group id of commands, likewise.
    pub gid: u32,
    /// What commands may use.
    pub limits: Limits,
    /// Whether the directory of a control group comes with this, in which each command gets one of its own.
    pub has_group: bool,
}

/// A tree that others share: the workspace then holds only what differs from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The host directory of the tree.
    pub lower: PathBuf,
    /// An empty host directory on the workspace's file system, for the kernel's own use.
    pub work: PathBuf,
}

/// One command in a sandbox. With it come three or four descriptors, see [`Run::DESCRIPTORS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What runs.
    pub program: Program,
    /// Where it starts, relative to the workspace; empty for its root.
    pub directory: PathBuf,
    /// The whole environment: nothing else is added or inherited.
    pub environment: Vec<(String, String)>,
    /// Further host paths for this command alone, likewise.
    pub read_only: Vec<ReadOnly>,
    /// What is reached over TCP, if anything is.
    pub bridge: Option<Bridge>,
    /// Whether its loopback and its System V objects are its own and not those of the sandbox; temporary files are shared.
    pub is_apart: bool,
}

impl Run {
    /// What comes with a command: its lifeline, its output, where its [`crate::status::Status`] lines go, and, for one that
    /// is talked to, its standard input and output, so that its output is only what it says on standard error.
    ///
    /// A byte on the lifeline asks the command to end; once the lifeline is closed, everything of the command is killed.
    pub const DESCRIPTORS: std::ops::RangeInclusive<usize> = 3..=4;

    /// The place of the status channel among them.
    pub const STATUS: usize = 2;
}

/// What runs inside.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Program {
    /// A script, as `shell -c script`.
    Script {
        /// The shell's path inside.
        shell: PathBuf,
        /// The script's text.
        script: String,
    },
    /// A program with its arguments, the first of which is its path inside.
    Process {
        /// The path and the arguments.
        arguments: Vec<String>,
    },
    /// The launcher's own attacks; they print [`crate::probe::Finding`] lines.
    Probe(Baits),
    /// The launcher takes more than it may, if it can.
    Take(Take),
}

/// A port of the sandbox's own loopback that leads to a Unix socket, for programs that speak TCP only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The socket's path inside.
    pub socket: PathBuf,
}

/// A host file or directory, mounted read only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadOnly {
    /// The host's path.
    pub source: PathBuf,
    /// The absolute path inside; missing parents are made.
    pub target: PathBuf,
}

/// What a command may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Processes and threads at a time.
    pub n_processes: u64,
    /// Open files of each process.
    pub n_open_files: u64,
    /// The largest file that can be written.
    pub file_bytes: u64,
    /// The size of `/tmp`, of `/dev/shm`, and of a home directory that is not kept, each.
    pub tmp_bytes: u64,
    /// Processor time of one command's processes together, in seconds; the kernel keeps each of them to it.
    pub cpu_seconds: u64,
    /// Memory of one command's processes together and of the private file systems.
    pub memory_bytes: u64,
    /// What the workspace and a home directory that is kept take on the disk.
    pub disk_bytes: u64,
    /// How many files and directories they have.
    pub n_files: u64,
    /// How gladly the kernel kills the command first when memory is short, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
}

/// How many bytes a frame's length takes; the descriptors come with the first of them.
pub const LENGTH_BYTES: usize = 4;

/// Returns a message as it is sent: its length, big end first, then JSON.
///
/// # Errors
/// `InvalidInput` for a path that is not UTF-8, `FileTooLarge` for a message over [`SPEC_BYTES_MAX`].
pub fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut frame, message).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let length = u32::try_from(frame.len() - LENGTH_BYTES).ok().filter(|length| *length <= SPEC_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "the message is too long"))?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// How many bytes follow a frame's length.
///
/// # Errors
/// `InvalidData` for a message over [`SPEC_BYTES_MAX`].
pub fn length(bytes: [u8; LENGTH_BYTES]) -> io::Result<usize> {
    let length = u32::from_be_bytes(bytes);
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, "the message is too long");
    if length > SPEC_BYTES_MAX { Err(too_long()) } else { Ok(length as usize) }
}

impl Spec {
    /// Checks what no command may have.
    pub(crate) fn checked(self) -> io::Result<Spec> {
        if self.uid == 0 || self.gid == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a command never runs as root"));
        }
        Ok(self)
    }
}
