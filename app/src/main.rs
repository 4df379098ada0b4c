//! The `patchwright` program.

use std::process::ExitCode;

mod commands;

fn main() -> ExitCode {
    // Every sandboxed command is this program, started again under another name; that must come before any thread.
    patchwright_launcher::run_if_launched();
    commands::main()
}
