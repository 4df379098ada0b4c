//! What the supervisor tells the launcher: one length-prefixed JSON object.

use std::io::{self, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::probe::Baits;

/// The longest spec that is read, in bytes.
pub const SPEC_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// Where the workspace is inside.
pub const WORKSPACE: &str = "/workspace";

/// The home directory inside: empty, private to the command, writable.
pub const HOME: &str = "/home/agent";

/// One command and the sandbox around it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What runs.
    pub program: Program,
    /// Where it starts, relative to the workspace; empty for its root.
    pub directory: PathBuf,
    /// The whole environment: nothing else is added or inherited.
    pub environment: Vec<(String, String)>,
    /// The host directory that becomes [`WORKSPACE`].
    pub workspace: PathBuf,
    /// Whether the command may look at the workspace only.
    pub is_workspace_read_only: bool,
    /// Further host paths, mounted read only and in order. A Unix socket among them can be connected to.
    pub read_only: Vec<ReadOnly>,
    /// What is reached over TCP, if anything is.
    pub bridge: Option<Bridge>,
    /// A Unix socket of the host that the launcher connects to first; the connection is the command's standard input and
    /// output, and only its standard error is the launcher's standard output. None for a command without input.
    pub standard: Option<PathBuf>,
    /// The user id of the command. As root it is also its id on the host, and must not be 0.
    pub uid: u32,
    /// The group id of the command, likewise.
    pub gid: u32,
    /// What it may use.
    pub limits: Limits,
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
    /// The size of `/tmp`, of the home directory and of `/dev/shm`, each.
    pub tmp_bytes: u64,
    /// How gladly the kernel kills the command first when memory is short, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
}

impl Spec {
    /// Returns the spec as it is sent: four bytes of length, big end first, then JSON.
    ///
    /// # Errors
    /// `InvalidInput` for a path that is not UTF-8 or a spec over [`SPEC_BYTES_MAX`].
    pub fn frame(&self) -> io::Result<Vec<u8>> {
        let mut frame = vec![0; 4];
        serde_json::to_writer(&mut frame, self).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length <= SPEC_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the spec is too long"))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }

    /// Reads one spec and nothing after it: what follows is the lifeline.
    pub(crate) fn read_from(source: &mut impl Read) -> io::Result<Spec> {
        let mut length = [0; 4];
        source.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > SPEC_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the spec is too long"));
        }
        let mut json = vec![0; length as usize];
        source.read_exact(&mut json)?;
        let spec: Spec = serde_json::from_slice(&json)?;
        if spec.uid == 0 || spec.gid == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a command never runs as root"));
        }
        Ok(spec)
    }
}
