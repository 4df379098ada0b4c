//! Whether the limits of a command are kept behind rules on files: more than they allow is taken, of limits that are small.

use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::spec::Program;
use patchwright_launcher::trial::Take;

use super::tried;
use crate::sandbox::findings::taken;
use crate::sandbox::ground::Ground;
use crate::sandbox::plain::PlainExecutor;
use crate::sandbox::trials::{
    self, CPU_SECONDS, DISK_BYTES, FILE_BYTES, MEMORY_BYTES, N_FILES, N_OPEN_FILES, N_PROCESSES, OUTPUT_BYTES, TIMES,
    TIMES_OF_DISK,
};
use crate::sandbox::{Enforcement, Limits, Refusal};

/// The limits that are tried with.
pub(super) fn limits() -> Limits {
    // Temporary files are on a disk, too.
    Limits { tmp_bytes: DISK_BYTES, ..trials::limits() }
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
