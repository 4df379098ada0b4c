//! Taking more than a command may, to see whether its limits are kept and not only claimed; run inside in place of a command.
//!
//! What is looked at only now and then is given time to be seen: whoever gets everything and is left alone with it has found
//! no limit, and prints how much it was.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::spec::WORKSPACE;
use crate::sys;

/// What is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Take {
    /// Memory of several processes together, none of which has more than a fourth.
    Memory {
        /// How much, in bytes.
        bytes: u64,
    },
    /// Processes.
    Processes {
        /// How many.
        n_processes: u64,
    },
    /// One file of the workspace.
    File {
        /// How long, in bytes.
        bytes: u64,
    },
    /// Files of the workspace of a mebibyte each, as fast as someone can look.
    Disk {
        /// How much, in bytes.
        bytes: u64,
    },
}

const STEP_BYTES: u64 = 1 << 20;
const N_TAKERS: u64 = 4;
/// How long it is between two files.
const DISK_PAUSE: Duration = Duration::from_millis(10);
/// How long what was taken is held where nobody has objected so far.
const HOLD: Duration = Duration::from_millis(1500);

/// Takes it, and prints how much it got of what was to be refused.
pub(crate) fn run(take: Take) -> ! {
    let taken = match take {
        Take::Memory { bytes } => memory(bytes),
        Take::Processes { n_processes } => Ok(processes(n_processes)),
        Take::File { bytes } => file(&Path::new(WORKSPACE).join("trial"), bytes),
        Take::Disk { bytes } => disk(bytes),
    };
    // A lost answer is a limit that was not found to hold, and so is one that says why nothing could be taken.
    let _ = match taken {
        Ok(taken) => writeln!(io::stdout(), "{taken}"),
        Err(error) => writeln!(io::stdout(), "{error}"),
    };
    sys::exit_now(0)
}

fn memory(bytes: u64) -> io::Result<u64> {
    let (mut full, mut is_full) = io::pipe()?;
    for _ in 0..N_TAKERS {
        if sys::fork()?.is_none() {
            drop(full);
            let mut held: Vec<Vec<u8>> = Vec::new();
            for _ in 0..bytes / N_TAKERS / STEP_BYTES {
                let mut block = vec![0; STEP_BYTES as usize];
                block.fill(1);
                held.push(black_box(block));
            }
            let _ = is_full.write_all(b"x");
            loop {
                thread::park();
            }
        }
    }
    drop(is_full);
    let mut all = [0; N_TAKERS as usize];
    full.read_exact(&mut all)?;
    thread::sleep(HOLD);
    Ok(bytes)
}

fn processes(n_processes: u64) -> u64 {
    let mut n_started = 0;
    while n_started < n_processes {
        match sys::fork() {
            Ok(None) => loop {
                thread::park();
            },
            Ok(Some(_)) => n_started += 1,
            Err(_) => break,
        }
    }
    n_started
}

fn file(path: &Path, bytes: u64) -> io::Result<u64> {
    let mut file = File::create(path)?;
    for _ in 0..bytes / STEP_BYTES {
        file.write_all(&[1; STEP_BYTES as usize])?;
    }
    Ok(bytes)
}

fn disk(bytes: u64) -> io::Result<u64> {
    for number in 0..bytes / STEP_BYTES {
        file(&Path::new(WORKSPACE).join(format!("trial-{number}")), STEP_BYTES)?;
        thread::sleep(DISK_PAUSE);
    }
    thread::sleep(HOLD);
    Ok(bytes)
}
