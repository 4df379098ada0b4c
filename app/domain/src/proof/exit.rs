//! How a command ended, and what that says.

use serde::{Deserialize, Serialize};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "exit", content = "value", rename_all = "snake_case")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// Its time ran out and it was killed.
    TimedOut,
    /// It used more than it may and was killed.
    Exceeded(Limit),
}

/// What a command may use; each has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Memory of all its processes together, in bytes.
    Memory,
    /// Processor time, in seconds.
    Cpu,
    /// Processes and threads at a time.
    Processes,
    /// Open files of one process.
    OpenFiles,
    /// The length of one file, in bytes.
    FileSize,
    /// What the workspace takes on the disk, in bytes.
    Disk,
    /// How many files and directories the workspace has.
    Files,
    /// What it prints, in bytes.
    Output,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Cpu => "processor time",
            Self::Processes => "processes",
            Self::OpenFiles => "open files",
            Self::FileSize => "file size",
            Self::Disk => "disk space",
            Self::Files => "number of files",
            Self::Output => "output",
        })
    }
}

impl Exit {
    /// The colour of a test command that ended like this.
    pub fn colour(self) -> Colour {
        match self {
            Self::Code(0) => Colour::Green,
            Self::Code(SHELL_CANNOT_EXECUTE | SHELL_NOT_FOUND) | Self::Signal(_) | Self::TimedOut | Self::Exceeded(_) => {
                Colour::None
            }
            Self::Code(_) => Colour::Red,
        }
    }

    /// Whether the shell says that there is no such command.
    pub fn is_missing_command(self) -> bool {
        matches!(self, Self::Code(SHELL_CANNOT_EXECUTE | SHELL_NOT_FOUND))
    }
}

/// POSIX shell, "Exit Status for Commands": found, but cannot be executed.
const SHELL_CANNOT_EXECUTE: i32 = 126;
/// POSIX shell, "Exit Status for Commands": not found.
const SHELL_NOT_FOUND: i32 = 127;

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("time limit reached"),
            Self::Exceeded(limit) => write!(f, "killed at the limit of {limit}"),
        }
    }
}

/// What a test command's end says about the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// The tests pass.
    Green,
    /// The tests fail.
    Red,
    /// The command was not found, was killed or ran out of time: it says nothing.
    None,
}
