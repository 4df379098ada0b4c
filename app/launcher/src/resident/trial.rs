//! Taking more than there may be, to see whether the engine's limits are kept and not only accepted.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Write};
use std::time::Duration;

use crate::sys;

const STEP_BYTES: u64 = 1 << 20;
/// What is made in the workspace, which is there for the trial only.
const TRIAL: &str = ".patchwright-trial";
/// How long whoever looks at the disk may take to see what was written.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes memory, page by page, and prints how much it got; a limit that is kept kills it before.
pub(crate) fn take_memory(bytes: u64) -> ! {
    let mut held: Vec<Vec<u8>> = Vec::new();
    for step in 0..bytes / STEP_BYTES {
        let mut block = vec![0; STEP_BYTES as usize];
        block.fill((step % 251) as u8 + 1);
        held.push(black_box(block));
    }
    answer(held.iter().map(|block| block.len() as u64).sum())
}

/// Starts processes that wait, and prints how many it got.
pub(crate) fn take_processes(n_processes: u64) -> ! {
    let mut n_started = 0;
    while n_started < n_processes {
        match sys::fork() {
            Ok(None) => loop {
                std::thread::park();
            },
            Ok(Some(_)) => n_started += 1,
            Err(_) => break,
        }
    }
    answer(n_started)
}

/// Makes one file of this many bytes, and prints how long it came to be.
pub(crate) fn take_file(bytes: u64) -> ! {
    // It is all hole, so that nothing is taken of the disk; the limit counts its length.
    let Ok(file) = File::create(TRIAL) else { answer(u64::MAX) };
    let _ = file.set_len(bytes);
    answer(file.metadata().map_or(u64::MAX, |found| found.len()))
}

/// Writes files into the workspace, and prints how much came to be there.
pub(crate) fn take_disk(bytes: u64) -> ! {
    tidy();
    let block: Vec<u8> = (0..STEP_BYTES).map(|at| (at % 251) as u8).collect();
    let written = |step: u64| fs::write(format!("{TRIAL}-{step}"), &block).is_ok();
    let n_steps = (0..bytes / STEP_BYTES).take_while(|step| written(*step)).count();
    await_the_look();
    answer(n_steps as u64 * STEP_BYTES)
}

/// Makes empty files in the workspace, and prints how many came to be there.
pub(crate) fn take_files(n_files: u64) -> ! {
    tidy();
    let n_made = (0..n_files).take_while(|number| File::create(format!("{TRIAL}-{number}")).is_ok()).count();
    await_the_look();
    answer(n_made as u64)
}

/// Removes what an earlier trial was ended over.
fn tidy() {
    for entry in fs::read_dir(".").into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(TRIAL.as_bytes()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Gives the one who looks the time for it; where nobody does, it is over after a while.
fn await_the_look() {
    std::thread::sleep(LOOK_TIMEOUT);
}

fn answer(number: u64) -> ! {
    // A lost answer is a limit that was not found to hold.
    let _ = writeln!(io::stdout(), "{number}");
    sys::exit_now(0)
}
