//! What limits are tried with, small enough that trying is quick and hurts nobody, and how one of our own programs that tries
//! is run.

use std::time::Duration;

use crate::sandbox::{Command, Limits, Output, Refusal, SandboxError};

const TIMEOUT: Duration = Duration::from_secs(20);
const OUTPUT_KEPT_BYTES_MAX: usize = 64 * 1024;

const MIB: u64 = 1 << 20;
pub(super) const MEMORY_BYTES: u64 = 48 * MIB;
pub(super) const N_PROCESSES: u64 = 32;
pub(super) const FILE_BYTES: u64 = MIB;
pub(super) const DISK_BYTES: u64 = 4 * MIB;
pub(super) const N_FILES: u64 = 256;
pub(super) const N_OPEN_FILES: u64 = 64;
pub(super) const CPU_SECONDS: u64 = 60;
pub(super) const OUTPUT_BYTES: u64 = MIB;
/// How many times a limit is taken.
pub(super) const TIMES: u64 = 2;
/// The disk is seen less often, so more of it is taken.
pub(super) const TIMES_OF_DISK: u64 = 8;

/// The limits that are tried with.
pub(super) fn limits() -> Limits {
    Limits {
        memory_bytes: MEMORY_BYTES,
        n_processes: N_PROCESSES,
        file_bytes: FILE_BYTES,
        disk_bytes: DISK_BYTES,
        tmp_bytes: MEMORY_BYTES,
        n_files: N_FILES,
        n_open_files: N_OPEN_FILES,
        cpu_seconds: CPU_SECONDS,
        output_bytes: OUTPUT_BYTES,
        ..Limits::default()
    }
}

/// How such a program is run.
pub(super) fn command() -> Command {
    Command { script: String::new(), directory: String::new(), timeout: TIMEOUT, output_bytes_max: OUTPUT_KEPT_BYTES_MAX }
}

/// What it did; where it could not be run to its end, the machine lacks a sandbox.
pub(super) fn outcome(done: Result<Output, SandboxError>) -> Result<Output, Refusal> {
    match done {
        Ok(output) => Ok(output),
        Err(SandboxError::Refused(refusal)) => Err(refusal),
        Err(error @ (SandboxError::Path { .. } | SandboxError::Machine { .. })) => Err(Refusal {
            missing: format!("a sandbox that stays up: {error}"),
            remedy: "look into the machine's log: something ends the launcher's processes".to_owned(),
        }),
    }
}
