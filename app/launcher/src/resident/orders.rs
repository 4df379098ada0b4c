//! What the supervisor and the resident launcher say to each other, over one Unix socket.
//!
//! The supervisor sends [`Order`]s: four bytes of length, big end first, then JSON. Back come frames: one byte for the
//! kind, four bytes of length, and either the command's output as it is or a [`Report`] as JSON.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::probe::Baits;
use crate::spec::Bridge;
use crate::status::Limit;
use crate::trial::Take;

/// The first argument that makes the launcher a resident one.
pub const MODE: &str = "resident";

/// The first argument that makes the launcher hold a container, as its first process, for others to be attached to.
pub const HOLD: &str = "hold";

/// The first argument that makes the launcher a resident one whose orders come over its standard input, beside a first
/// process that [holds](HOLD).
pub const ATTACHED: &str = "attached";

/// Where the supervisor listens for the resident launcher, inside.
pub const CONTROL: &str = "/opt/patchwright/session/control";

/// Where it listens for the connection that becomes the one task's standard input and output, inside, if that is wanted.
pub const STANDARD: &str = "/opt/patchwright/session/standard";

/// The longest order that is read, in bytes.
pub const ORDER_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// The longest frame that is sent back, in bytes.
pub const FRAME_BYTES_MAX: u32 = 64 * 1024;

/// The kind of a frame that carries output.
pub const OUTPUT: u8 = b'o';

/// The kind of a frame that carries a [`Report`].
pub const REPORT: u8 = b'r';

/// What the supervisor wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Run this; one task at a time.
    Run(Box<Task>),
    /// Ask every process of the task to end.
    Terminate,
    /// End every process of the task.
    Kill,
}

/// One command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What runs.
    pub work: Work,
    /// Where it starts, relative to the workspace; empty for its root.
    pub directory: PathBuf,
    /// The whole environment: nothing of the image or the engine is added.
    pub environment: BTreeMap<String, String>,
    /// What is reached over TCP, if anything is.
    pub bridge: Option<Bridge>,
    /// Whether setuid and setgid bits are refused to files, because the tree is somebody's on the host and stays there.
    pub refuses_set_id: bool,
    /// What each of its processes may use.
    pub limits: TaskLimits,
}

/// What runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// A script for `bash -c` where the image has it, otherwise for `sh -c`.
    Script(String),
    /// A program with its arguments, the first of which is its path inside.
    Program(Vec<String>),
    /// The launcher's own attacks; they print [`crate::probe::Finding`] lines.
    Probe(Baits),
    /// The launcher takes more than it may, if it can.
    Take(Take),
}

/// What one task's processes may use, beside the engine's limits on the container.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskLimits {
    /// Processes and threads of the user, where the engine counts none.
    pub n_processes: Option<u64>,
    /// Open files of each process.
    pub n_open_files: u64,
    /// Processor time of all processes together, in seconds; the kernel keeps each of them to it.
    pub cpu_seconds: u64,
    /// The largest file that can be written, in bytes.
    pub file_bytes: u64,
    /// Memory of all processes together, in bytes, to be looked at again and again where the engine keeps no limit.
    pub polled_memory_bytes: Option<u64>,
    /// What the workspace, and the home directory where it is kept, may take on the disk, in bytes; looked at likewise.
    pub disk_bytes: u64,
    /// How many files and directories they may have.
    pub n_files: u64,
    /// Whether the home directory is kept, and not memory.
    pub is_home_kept: bool,
}

/// What the resident launcher says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Report {
    /// It is there and takes orders.
    Ready {
        /// What the kernel calls itself, as in `/proc/version`.
        kernel: String,
    },
    /// The task's program has been started.
    Started,
    /// The task could not be started; nothing was run.
    Refused {
        /// What is missing, in one line.
        missing: String,
        /// What the operator can do about it.
        remedy: String,
    },
    /// The task is over: no process of it is left, and all of its output has been sent.
    Ended {
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// The signal's number.
        signal: Option<i32>,
        /// What it had too much of, if it was ended for that, or one of its processes was.
        exceeded: Option<Limit>,
    },
}

impl Order {
    /// Returns the order as it is sent.
    ///
    /// # Errors
    /// `InvalidInput` for a path that is not UTF-8 or an order over [`ORDER_BYTES_MAX`].
    pub fn frame(&self) -> io::Result<Vec<u8>> {
        let mut frame = vec![0; 4];
        serde_json::to_writer(&mut frame, self).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length <= ORDER_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is too long"))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }

    /// Reads one order; `None` once the supervisor is gone.
    pub(crate) fn read_from(source: &mut impl Read) -> io::Result<Option<Order>> {
        let mut length = [0; 4];
        match source.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let length = u32::from_be_bytes(length);
        if length > ORDER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the order is too long"));
        }
        let mut json = vec![0; length as usize];
        source.read_exact(&mut json)?;
        Ok(Some(serde_json::from_slice(&json)?))
    }
}

/// Sends one frame.
pub(crate) fn send(mut channel: impl Write, kind: u8, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the frame is too long"))?;
    let mut frame = Vec::with_capacity(content.len() + 5);
    frame.push(kind);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(content);
    channel.write_all(&frame)
}
