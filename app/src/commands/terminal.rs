//! What goes to the terminal: results to standard output, everything else to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is not logged unless it is named.
const QUIET: &str = "rmcp=off";

/// Prints a line of the result.
#[expect(clippy::print_stdout, reason = "this is where results are printed")]
pub(super) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Prints what is worth knowing beside the result.
#[expect(clippy::print_stderr, reason = "this is where notes are printed")]
pub(super) fn note(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// Prints an error with its causes.
#[expect(clippy::print_stderr, reason = "this is where errors are printed")]
pub(super) fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// Sends the log to standard error; `RUST_LOG` says what of it, `level` what without that variable.
pub(super) fn log(level: &str) {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // It logs what MCP servers send, whole, already at its usual level; only who asks for that gets it.
    if !filter.to_string().contains("rmcp") {
        filter = filter.add_directive(QUIET.parse().expect("it is a directive"));
    }
    // A second call, in one process, changes nothing.
    let is_coloured = std::io::stderr().is_terminal();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_coloured).with_writer(std::io::stderr).try_init();
}
