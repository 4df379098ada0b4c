//! The same suites behind rules on files alone: what works there too, and what is known not to.

use patchwright::sandbox::landlock::LandlockSandbox;

use super::*;

/// What does not work, and why.
const CLOSED: &[(&str, &str)] = &[
    ("a server on the loopback, by TCP", "there are no sockets"),
    ("a server on the loopback, by UDP", "there are no sockets"),
    ("a server on the loopback, by IPv6", "there are no sockets"),
    ("Unix sockets, with a path and abstract", "there are no sockets"),
    ("the usual devices", "the list of a process's own descriptors is in /proc"),
    ("temporary files, home and identity", "they are at the host's own paths, and the commands' user has no name"),
    ("threads, semaphores and shared memory", "shared memory with a name is the host's"),
    ("a terminal of its own", "terminals are the host's"),
    ("gdb stops at a function", "it writes to /proc/PID/mem"),
    ("a terminal by script(1)", "terminals are the host's"),
    ("Python: processes, semaphores and queues", "semaphores with a name are the host's"),
    ("Python: a terminal, a server and subprocesses", "there are no sockets"),
    ("Node: a worker, a server on the loopback, child processes", "there are no sockets"),
    ("Rust: cargo test, offline", "there are no sockets"),
    ("Java: compile and run with threads", "there are no sockets"),
];

fn landlock() -> LandlockSandbox {
    let binary = std::env::var_os("PATCHWRIGHT_BINARY");
    let launcher = binary.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), PathBuf::from);
    LandlockSandbox::new(launcher, LocalSettings { limits: Limits::default(), ..LocalSettings::default() })
}

#[tokio::test]
async fn what_programs_ask_of_the_system_works_behind_rules_on_files_but_for_what_is_known() {
    if !rustix::process::geteuid().is_root() {
        // They are refused to a plain user.
        return;
    }
    check_but(&landlock(), system::SUITES, CLOSED).await;
}

#[tokio::test]
async fn what_languages_bring_works_behind_rules_on_files_but_for_what_is_known() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    check_but(&landlock(), languages::SUITES, CLOSED).await;
}
