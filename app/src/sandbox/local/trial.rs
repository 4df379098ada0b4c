//! Whether the limits of a command are kept here: more than they allow is taken, of limits that are small, so that trying is
//! quick and hurts nobody.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use patchwright_domain::proof::{Exit, Limit};
use patchwright_launcher::spec::Program;
use patchwright_launcher::trial::Take;

use crate::sandbox::findings::taken;
use crate::sandbox::ground::Ground;
use crate::sandbox::local::room::Room;
use crate::sandbox::local::{groups, tried};
use crate::sandbox::trials::{
    CPU_SECONDS, DISK_BYTES, FILE_BYTES, MEMORY_BYTES, N_FILES, N_OPEN_FILES, N_PROCESSES, OUTPUT_BYTES, TIMES, TIMES_OF_DISK,
};
use crate::sandbox::{Enforcement, Refusal};

/// How long it is believed by all sandboxes of this process.
const BELIEVED: Duration = Duration::from_secs(600);

/// How each limit is kept.
pub(super) type Kept = Vec<(Limit, Enforcement)>;

/// Tries all in a room with these limits, unless that was done in the same place a short while ago.
pub(super) async fn kept(ground: &Ground, room: impl FnOnce() -> Result<Room, Refusal>) -> Result<Kept, Refusal> {
    static LAST: Mutex<Option<(PathBuf, Instant, Kept)>> = Mutex::new(None);
    let last = LAST.lock().map(|last| last.clone()).unwrap_or_default();
    if let Some((place, at, kept)) = last
        && at.elapsed() < BELIEVED
        && place == ground.parent()
    {
        return Ok(kept);
    }
    let kept = all(ground, &mut room()?).await?;
    if let Ok(mut last) = LAST.lock() {
        *last = Some((ground.parent().to_owned(), Instant::now(), kept.clone()));
    }
    Ok(kept)
}

async fn all(ground: &Ground, room: &mut Room) -> Result<Kept, Refusal> {
    let in_group = if groups::of_this_process().is_ok() { Enforcement::Exact } else { Enforcement::Polled };
    let mut take = async |take, limit, most| {
        let output = tried(room, Program::Take(take)).await?;
        ground.had_room(&output, most).map(|()| output.exit == Exit::Exceeded(limit))
    };
    let or_missing = |is_kept, kept| if is_kept { kept } else { Enforcement::Missing };
    let memory = take(Take::Memory { bytes: TIMES * MEMORY_BYTES }, Limit::Memory, MEMORY_BYTES).await?;
    let file = take(Take::File { bytes: TIMES * FILE_BYTES }, Limit::FileSize, FILE_BYTES).await?;
    let disk = take(Take::Disk { bytes: TIMES_OF_DISK * DISK_BYTES }, Limit::Disk, DISK_BYTES).await?;
    let files = take(Take::Files { n_files: TIMES_OF_DISK * N_FILES }, Limit::Files, N_FILES).await?;
    let output = take(Take::Output { bytes: TIMES * OUTPUT_BYTES }, Limit::Output, OUTPUT_BYTES).await?;
    let n_processes = TIMES * N_PROCESSES;
    let processes = answer(room, Take::Processes { n_processes }).await?.is_some_and(|n_started| n_started < N_PROCESSES);
    let n_files = TIMES * N_OPEN_FILES;
    let open_files = answer(room, Take::OpenFiles { n_files }).await?.is_some_and(|n_opened| n_opened < N_OPEN_FILES);
    let cpu = answer(room, Take::Cpu).await?.is_some_and(|seconds| seconds <= CPU_SECONDS);
    Ok(vec![
        (Limit::Memory, or_missing(memory, in_group)),
        (Limit::Cpu, or_missing(cpu, Enforcement::Polled)),
        (Limit::Processes, or_missing(processes, Enforcement::Exact)),
        (Limit::OpenFiles, or_missing(open_files, Enforcement::Exact)),
        (Limit::FileSize, or_missing(file, Enforcement::Exact)),
        (Limit::Disk, or_missing(disk, Enforcement::Polled)),
        (Limit::Files, or_missing(files, Enforcement::Polled)),
        (Limit::Output, or_missing(output, Enforcement::Exact)),
    ])
}

/// How much of something the launcher says that it got.
async fn answer(room: &mut Room, take: Take) -> Result<Option<u64>, Refusal> {
    Ok(taken(&tried(room, Program::Take(take)).await?))
}

/// What an operator can do about limits that could be kept better.
pub(super) fn advice(kept: &Kept, workspaces: &Path) -> Vec<String> {
    let how = |limit| kept.iter().find(|(found, _)| *found == limit).map(|(_, how)| *how);
    let is_missing = |limit: &Limit| how(*limit) == Some(Enforcement::Missing);
    let mut advice = Vec::new();
    if let (Err(unavailable), Some(Enforcement::Polled | Enforcement::Missing)) = (groups::of_this_process(), how(Limit::Memory))
    {
        advice.push(format!("memory could be kept exactly, but {} is missing; {}", unavailable.missing, unavailable.remedy));
    }
    if is_missing(&Limit::Memory) && groups::of_this_process().is_ok() {
        advice.push(
            "the kernel was told a limit of memory and does not keep it: run another kernel, and report this one".to_owned(),
        );
    } else if is_missing(&Limit::Memory) {
        advice.push("let the server see its own processes in /proc (no hidepid, no ProtectProc= but `default`)".to_owned());
    }
    if [Limit::Disk, Limit::Files].iter().any(is_missing) {
        advice.push(format!("keep workspaces on a file system that says how full it is; {} does not", workspaces.display()));
    }
    if [Limit::Processes, Limit::FileSize, Limit::OpenFiles, Limit::Cpu].iter().any(is_missing) {
        advice.push(
            "start the server with limits that it may lower (`ulimit -u`, `ulimit -f`, `ulimit -n`, `ulimit -t`)".to_owned(),
        );
    }
    advice
}
