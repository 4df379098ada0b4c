//! What the launcher tells the supervisor: JSON lines on its standard error.

use serde::{Deserialize, Serialize};

/// One status line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub enum Status {
    /// The sandbox stands; the command is about to start.
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
    /// The sandbox itself was killed from outside.
    Lost {
        /// The signal's number.
        signal: i32,
    },
}

impl Status {
    /// Returns the line, with its end.
    pub(crate) fn line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}
