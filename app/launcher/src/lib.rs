//! The launcher: the innermost layer of every sandbox, and the only crate of Patchwright with `unsafe` code.
//!
//! The `patchwright` binary starts itself again under the name [`NAME`], with an empty environment. That process reads a
//! [`spec::Spec`] from its standard input, makes namespaces, an allow-listed root and a system-call filter, and runs one
//! command in them. It knows no model, no forge, no repository and no policy; it is told everything.
//!
//! Its standard input stays open as a lifeline: once it is closed, everything inside is killed. Its standard output
//! belongs to the command, its standard error carries [`status::Status`] lines and nothing else. A command that is talked
//! to gets a connection of its own, which the launcher makes before it enters anything.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use crate::fault::{Fault, OrFault, Step};
use crate::spec::Spec;
use crate::status::Status;

mod bridge;
mod fault;
mod filter;
mod init;
mod mounts;
mod namespaces;
mod privileges;
pub mod probe;
pub mod resident;
pub mod spec;
pub mod status;
mod sys;

/// The name (`argv[0]`) under which the binary is the launcher.
pub const NAME: &str = "patchwright-launcher";

/// Becomes the launcher and never returns, if the process was started under [`NAME`]; otherwise does nothing. With
/// [`resident::orders::MODE`] as its argument it is the first process of a container, see [`resident`].
///
/// It must be the first call of `main`: no thread may run yet, and nothing may have been printed.
pub fn run_if_launched() {
    let mut arguments = std::env::args_os();
    if arguments.next().is_none_or(|name| Path::new(&name).file_name() != Some(NAME.as_ref())) {
        return;
    }
    let is_resident = arguments.next().is_some_and(|mode| mode == resident::orders::MODE);
    if let Err(fault) = if is_resident { resident::serve() } else { launch() } {
        report(&io::stderr(), &fault.refusal());
    }
    sys::exit_now(0);
}

/// The ends that the process inside needs of the process outside.
struct Wires {
    lifeline: OwnedFd,
    outer_alive: OwnedFd,
    output: OwnedFd,
    status: OwnedFd,
}

fn launch() -> Result<(), Fault> {
    let spec = Spec::read_from(&mut io::stdin().lock()).or_fault(Step::Spec, "the spec on standard input")?;
    let filter = filter::compile()?;
    let lifeline = io::stdin().as_fd().try_clone_to_owned().or_fault(Step::Process, "standard input")?;
    let output = io::stdout().as_fd().try_clone_to_owned().or_fault(Step::Process, "standard output")?;
    let status = io::stderr().as_fd().try_clone_to_owned().or_fault(Step::Process, "standard error")?;
    let standard = spec.standard.as_deref().map(connect).transpose()?;
    let (outer_alive, held) = io::pipe().or_fault(Step::Process, "a pipe")?;
    if let Some(score) = spec.limits.oom_score_adj {
        // Only a hint to the kernel; a machine that refuses it is no less safe.
        let _ = std::fs::write("/proc/self/oom_score_adj", score.to_string());
    }
    let outer = sys::ids();
    match namespaces::enter()? {
        namespaces::Side::Inside => {
            drop(held);
            let wires = Wires { lifeline, outer_alive: outer_alive.into(), output, status };
            init::run(outer, &spec, &filter, &wires, standard)
        }
        namespaces::Side::Outside { init, pidfd } => {
            drop((outer_alive, output, standard));
            watch(&lifeline, init, &pidfd)
        }
    }
}

fn connect(socket: &Path) -> Result<OwnedFd, Fault> {
    UnixStream::connect(socket).map(OwnedFd::from).or_fault(Step::Process, "the command's standard input and output")
}

/// Waits until the inside is over; ends it when the lifeline is closed.
fn watch(lifeline: &OwnedFd, init: i32, pidfd: &OwnedFd) -> Result<(), Fault> {
    // The command holds its own copies; one kept here would hold the pipe open after the command closed it.
    sys::close_standard_output();
    let [cut, _over] = sys::poll([lifeline.as_fd(), pidfd.as_fd()]).or_fault(Step::Process, "poll")?;
    if cut {
        sys::pidfd_kill(pidfd).or_fault(Step::Process, "killing the sandbox")?;
    }
    // The kernel lets pid 1 of a namespace be reaped only after every other process of it is gone.
    let end = sys::wait_for(init).or_fault(Step::Process, "wait")?;
    match end.signal() {
        Some(signal) if !cut => report(&io::stderr(), &Status::Lost { signal }),
        Some(_) | None => {}
    }
    Ok(())
}

/// Writes one status line. Nobody is left to be told when it fails: the supervisor reads a missing line as a refusal.
fn report(mut channel: impl Write, status: &Status) {
    let _ = channel.write_all(status.line().as_bytes());
}
