//! What the launcher tells the supervisor: JSON lines on the status channel of each command.

use serde::{Deserialize, Serialize};

use crate::fault;

/// One status line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub enum Status {
    /// The sandbox stands, or the command in it is about to start.
    Ready,
    /// The sandbox could not be made; nothing was run. It outranks every other line.
    Refused {
        /// What is missing, in one line.
        missing: String,
        /// What the operator can do about it.
        remedy: String,
    },
    /// The command returned.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended the command.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// It used more than it may, and everything of it was killed. It outranks every line but a refusal.
    Exceeded {
        /// What it had too much of.
        limit: Limit,
    },
    /// The sandbox itself was killed from outside.
    Lost {
        /// The signal's number.
        signal: i32,
    },
}

/// What is looked at while a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Processor time of the command's processes together.
    Cpu,
    /// Memory of the command's processes and the private file systems.
    Memory,
    /// What the workspace and the home directory take on the disk.
    Disk,
    /// How many files and directories they have.
    Files,
}

impl Status {
    /// Returns the line, with its end.
    pub(crate) fn line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// What the operator can do about a refusal with this remedy, without its last resort, where it says that the machine gives no
/// namespaces; `None` where something else is wrong.
pub fn remedy_for_lack_of_namespaces(remedy: &str) -> Option<&str> {
    remedy.strip_suffix(fault::LAST_RESORT)
}
