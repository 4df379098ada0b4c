//! What the signal that ended a command says.

use patchwright_domain::proof::{Exit, Limit};

/// Signals by which the kernel ends a process at its own limit, on every architecture that we run on.
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

/// The end of a command whose main process a signal ended.
pub(super) fn end(signal: i32) -> Exit {
    match signal {
        SIGXCPU => Exit::Exceeded(Limit::Cpu),
        SIGXFSZ => Exit::Exceeded(Limit::FileSize),
        signal => Exit::Signal(signal),
    }
}
