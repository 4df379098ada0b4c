//! Taking more than a command may, to see whether its limits are kept and not only claimed; run inside in place of a command.
//!
//! What is looked at only now and then is given time to be seen: whoever gets everything and is left alone with it has found
//! no limit, and prints how much it was.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

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
    /// Room on the workspace's disk.
    Disk {
        /// How much, in bytes.
        bytes: u64,
    },
    /// Empty files in the workspace.
    Files {
        /// How many.
        n_files: u64,
    },
    /// Open files of one process.
    OpenFiles {
        /// How many.
        n_files: u64,
    },
    /// Room in the output, after which nothing else is said.
    Output {
        /// How much, in bytes.
        bytes: u64,
    },
    /// Nothing: taking processor time takes time. What is said is how many seconds of it the kernel was told to give.
    Cpu,
}

/// The exit code of a trial whose file system was full before all was taken; what it printed is as much as there was.
pub const FULL_CODE: i32 = 75;

const STEP_BYTES: u64 = 1 << 20;
const N_TAKERS: u64 = 4;
/// What is made in the workspace, which is there for the trial only.
const TRIAL: &str = ".patchwright-trial";
/// How long what was taken is held where nobody has objected so far: as long as whoever looks now and then may take to see it,
/// on a slow machine, too. Where a limit is kept, nothing waits so long.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// How much was got, in the unit of what was to be taken.
enum Taken {
    All(u64),
    /// The file system had no room for more.
    UntilFull(u64),
}

/// Takes it, and prints how much it got of what was to be refused.
pub(crate) fn run(take: Take) -> ! {
    let taken = match take {
        Take::Memory { bytes } => memory(bytes).map(Taken::All),
        Take::Processes { n_processes } => Ok(Taken::All(processes(n_processes))),
        Take::File { bytes } => file(bytes),
        Take::Disk { bytes } => Ok(disk(bytes)),
        Take::Files { n_files } => Ok(files(n_files)),
        Take::OpenFiles { n_files } => Ok(Taken::All(open_files(n_files))),
        Take::Output { bytes } => output(bytes).map(Taken::All),
        Take::Cpu => Ok(Taken::All(getrlimit(Resource::Cpu).current.unwrap_or(u64::MAX))),
    };
    // A lost answer is a limit that was not found to hold.
    match taken {
        Ok(Taken::All(taken)) => {
            let _ = writeln!(io::stdout(), "{taken}");
            sys::processes::exit_now(0)
        }
        Ok(Taken::UntilFull(taken)) => {
            let _ = writeln!(io::stdout(), "{taken}");
            sys::processes::exit_now(FULL_CODE)
        }
        Err(error) => {
            let _ = writeln!(io::stdout(), "{error}");
            sys::processes::exit_now(1)
        }
    }
}

/// Each process has a pipe of its own, so that it is seen where only one of them is killed.
fn memory(bytes: u64) -> io::Result<u64> {
    let mut takers = Vec::new();
    for _ in 0..N_TAKERS {
        let (full, mut is_full) = io::pipe()?;
        if sys::processes::fork()?.is_none() {
            let mut held: Vec<Vec<u8>> = Vec::new();
            for step in 0..bytes / N_TAKERS / STEP_BYTES {
                let mut block = vec![0; STEP_BYTES as usize];
                block.fill((step % 251) as u8 + 1);
                held.push(black_box(block));
            }
            let _ = is_full.write_all(b"x");
            loop {
                thread::park();
            }
        }
        takers.push(full);
    }
    takers.iter_mut().try_for_each(|full| full.read_exact(&mut [0]))?;
    thread::sleep(LOOK_TIMEOUT);
    Ok(bytes)
}

fn processes(n_processes: u64) -> u64 {
    let mut n_started = 0;
    while n_started < n_processes {
        match sys::processes::fork() {
            Ok(None) => loop {
                thread::park();
            },
            Ok(Some(_)) => n_started += 1,
            Err(_) => break,
        }
    }
    n_started
}

/// All of it is hole, so that nothing is taken of the disk; the limit counts its length.
fn file(bytes: u64) -> io::Result<Taken> {
    match File::create(TRIAL) {
        Err(error) if is_full(&error) => Ok(Taken::UntilFull(0)),
        created => {
            let file = created?;
            let _ = file.set_len(bytes);
            Ok(Taken::All(file.metadata()?.len()))
        }
    }
}

fn disk(bytes: u64) -> Taken {
    let block: Vec<u8> = (0..STEP_BYTES).map(|at| (at % 251) as u8).collect();
    step_by_step(bytes / STEP_BYTES, STEP_BYTES, |name| fs::write(name, &block))
}

fn files(n_files: u64) -> Taken {
    step_by_step(n_files, 1, |name| File::create(name).map(drop))
}

/// Makes so many files in the workspace, each of which counts for so much, and waits to be seen.
fn step_by_step(n_steps: u64, step: u64, make: impl Fn(&str) -> io::Result<()>) -> Taken {
    tidy();
    let mut n_made = 0;
    let failed = (0..n_steps).find_map(|number| {
        let made = make(&format!("{TRIAL}-{number}"));
        n_made += u64::from(made.is_ok());
        made.err()
    });
    thread::sleep(LOOK_TIMEOUT);
    if failed.is_some_and(|error| is_full(&error)) { Taken::UntilFull(n_made * step) } else { Taken::All(n_made * step) }
}

/// Whether it was not a limit of the command that refused something, but the disk.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn open_files(n_files: u64) -> u64 {
    let held: Vec<File> = (0..n_files).map_while(|_| File::open("/dev/null").ok()).collect();
    held.len() as u64
}

fn output(bytes: u64) -> io::Result<u64> {
    let line = [b'\n'; 4096];
    let mut left = bytes;
    while left > 0 {
        left = left.saturating_sub(line.len() as u64);
        io::stdout().write_all(&line)?;
    }
    io::stdout().flush()?;
    thread::sleep(LOOK_TIMEOUT);
    Ok(bytes)
}

/// Removes what an earlier trial was ended over.
fn tidy() {
    for entry in fs::read_dir(".").into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(TRIAL.as_bytes()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
