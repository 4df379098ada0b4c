//! Whether the limits of a command are kept behind rules on files: more than they allow is taken, of limits that are small.

use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::spec::Program;
use patchwright_launcher::trial::Take;

use super::tried;
use crate::sandbox::findings::taken;
use crate::sandbox::ground::Ground;
use crate::sandbox::plain::PlainExecutor;
use crate::sandbox::{Enforcement, Limits, Refusal};

const MIB: u64 = 1 << 20;
const MEMORY_BYTES: u64 = 48 * MIB;
const N_PROCESSES: u64 = 32;
const FILE_BYTES: u64 = MIB;
const DISK_BYTES: u64 = 4 * MIB;
const N_FILES: u64 = 256;
const N_OPEN_FILES: u64 = 64;
const CPU_SECONDS: u64 = 60;
const OUTPUT_BYTES: u64 = MIB;
/// How many times a limit is taken.
const TIMES: u64 = 2;
/// The disk is seen less often, so more of it is taken.
const TIMES_OF_DISK: u64 = 8;

/// The limits that are tried with.
pub(super) fn limits() -> Limits {
    Limits {
        memory_bytes: MEMORY_BYTES,
        n_processes: N_PROCESSES,
        file_bytes: FILE_BYTES,
        disk_bytes: DISK_BYTES,
        tmp_bytes: DISK_BYTES,
        n_files: N_FILES,
        n_open_files: N_OPEN_FILES,
        cpu_seconds: CPU_SECONDS,
        output_bytes: OUTPUT_BYTES,
        ..Limits::default()
    }
}

/// Tries all with an executor that has these limits.
pub(super) async fn kept(ground: &Ground, executor: &PlainExecutor) -> Result<Vec<(Limit, Enforcement)>, Refusal> {
    let take = async |take, limit, most| {
        let output = tried(executor, Program::Take(take)).await?;
        ground.had_room(&output, most).map(|()| output.exit == Exit::Exceeded(limit))
    };
    let answer = async |take| tried(executor, Program::Take(take)).await.map(|done| taken(&done));
    let (n_processes, n_opened) = (TIMES * N_PROCESSES, TIMES * N_OPEN_FILES);
    let found = [
        (
            Limit::Memory,
            Enforcement::Polled,
            take(Take::Memory { bytes: TIMES * MEMORY_BYTES }, Limit::Memory, MEMORY_BYTES).await?,
        ),
        (Limit::Cpu, Enforcement::Polled, answer(Take::Cpu).await?.is_some_and(|seconds| seconds <= CPU_SECONDS)),
        // The kernel refuses what is over it, but over what there was of the user's when the command began.
        (Limit::Processes, Enforcement::Polled, {
            answer(Take::Processes { n_processes }).await?.is_some_and(|n_started| n_started < n_processes)
        }),
        (Limit::OpenFiles, Enforcement::Exact, {
            answer(Take::OpenFiles { n_files: n_opened }).await?.is_some_and(|n_opened| n_opened < N_OPEN_FILES)
        }),
        (Limit::FileSize, Enforcement::Exact, take(Take::File { bytes: TIMES * FILE_BYTES }, Limit::FileSize, FILE_BYTES).await?),
        (
            Limit::Disk,
            Enforcement::Polled,
            take(Take::Disk { bytes: TIMES_OF_DISK * DISK_BYTES }, Limit::Disk, DISK_BYTES).await?,
        ),
        (Limit::Files, Enforcement::Polled, take(Take::Files { n_files: TIMES_OF_DISK * N_FILES }, Limit::Files, N_FILES).await?),
        (
            Limit::Output,
            Enforcement::Exact,
            take(Take::Output { bytes: TIMES * OUTPUT_BYTES }, Limit::Output, OUTPUT_BYTES).await?,
        ),
    ];
    Ok(found.map(|(limit, how, is_kept)| (limit, if is_kept { how } else { Enforcement::Missing })).to_vec())
}
