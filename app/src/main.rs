//! The `patchwright` program.

use std::process::ExitCode;

use mimalloc::MiMalloc;

mod commands;

/// Gives back what a burst took, where the C library keeps it for each thread that had a part in it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Every sandboxed command is this program, started again under another name; that must come before any thread.
    patchwright_launcher::run_if_launched();
    commands::main()
}
