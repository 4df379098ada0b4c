//! Taking more than there may be, to see whether the engine's limits are kept and not only accepted.

use std::hint::black_box;
use std::io::{self, Write};

use crate::sys;

const STEP_BYTES: u64 = 1 << 20;

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

fn answer(number: u64) -> ! {
    // A lost answer is a limit that was not found to hold.
    let _ = writeln!(io::stdout(), "{number}");
    sys::exit_now(0)
}
