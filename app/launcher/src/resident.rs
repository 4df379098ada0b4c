//! The resident launcher: the first process of a container that an engine has made, which runs one command after another.
//!
//! In a container no namespace can be made, so the walls are the engine's; here are the filter, the limits of each process,
//! and the end of everything that a command started. Nothing inside can end or look into the first process of a process
//! namespace that is not dumpable, and when it ends the kernel ends all others. It ends when its connection does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use crate::fault::{Fault, OrFault, Step};
use crate::resident::memory::Memory;
use crate::resident::orders::{CONTROL, FRAME_BYTES_MAX, OUTPUT, Order, REPORT, Report, STANDARD, Task, send};
use crate::status::Status;
use crate::{bridge, filter, sys};

mod command;
mod memory;
pub mod orders;
mod trial;

/// How often memory is looked at where it has to be, in milliseconds.
const POLL_MS: i32 = 50;

/// Serves the supervisor until it is gone.
pub(crate) fn serve() -> Result<(), Fault> {
    if std::process::id() != 1 {
        // It ends everything that it can see, which must be nothing but what it started.
        let error = io::Error::new(io::ErrorKind::Unsupported, "this is not the first process of a container");
        return Err(error).or_fault(Step::Process, "a process namespace");
    }
    let filter = filter::compile()?;
    let control = UnixStream::connect(CONTROL).or_fault(Step::Process, CONTROL)?;
    let is_wanted = Path::new(STANDARD).exists();
    let standard = is_wanted.then(|| UnixStream::connect(STANDARD).map(OwnedFd::from)).transpose();
    let mut standard = standard.or_fault(Step::Process, STANDARD)?;
    // One byte, not none: a limit of zero still starts the core handler of the host, as root and outside.
    let _ = sys::set_limit(libc::RLIMIT_CORE, 1);
    sys::set_dumpable(false).or_fault(Step::Privileges, "prctl(PR_SET_DUMPABLE)")?;
    sys::forbid_new_privileges().or_fault(Step::Privileges, "prctl(PR_SET_NO_NEW_PRIVS)")?;
    let signals = sys::child_signals().or_fault(Step::Process, "signalfd")?;
    filter::install(&filter)?;
    let kernel = std::fs::read_to_string("/proc/version").unwrap_or_default().trim().to_owned();
    tell(&control, &Report::Ready { kernel });
    while let Some(order) = next(&control) {
        match order {
            Order::Run(task) => match work(&control, &task, standard.take(), &signals) {
                Ok(end) => tell(&control, &end),
                Err(fault) => {
                    end_everything();
                    tell(&control, &refused(&fault));
                }
            },
            // They came too late for a task that is over.
            Order::Terminate | Order::Kill => {}
        }
    }
    Ok(())
}

/// The next order, once there is one; `None` when nobody is left to give any, or what is said is no order.
fn next(mut control: &UnixStream) -> Option<Order> {
    Order::read_from(&mut control).ok().flatten()
}

/// Says something to the supervisor; without one there is nothing left to do, and the kernel ends everything inside.
fn tell(control: &UnixStream, report: &Report) {
    let sent = serde_json::to_vec(report).map_err(io::Error::from).and_then(|json| send(control, REPORT, &json));
    if sent.is_err() {
        sys::exit_now(0);
    }
}

fn refused(fault: &Fault) -> Report {
    match fault.refusal() {
        Status::Refused { missing, remedy } => Report::Refused { missing, remedy },
        Status::Ready | Status::Exited { .. } | Status::Signaled { .. } | Status::Lost { .. } | Status::Exceeded { .. } => {
            Report::Refused { missing: "an answer of the launcher".to_owned(), remedy: String::new() }
        }
    }
}

/// Runs one task to its end and ends what it left behind.
fn work(control: &UnixStream, task: &Task, standard: Option<OwnedFd>, signals: &OwnedFd) -> Result<Report, Fault> {
    let memory = Memory::now();
    if let Some(bridge) = &task.bridge {
        let listener = bridge::listen(bridge)?;
        // It listens already, so the command finds it whenever it starts; from here on only the copy does.
        if sys::fork().or_fault(Step::Process, "fork")?.is_none() {
            drop(standard);
            bridge::serve(&listener, &bridge.socket);
        }
    }
    let (mut output, output_end) = io::pipe().or_fault(Step::Process, "a pipe")?;
    let (mut faults, faults_end) = io::pipe().or_fault(Step::Process, "a pipe")?;
    let Some(command) = sys::fork().or_fault(Step::Process, "fork")? else {
        command::become_command(task, standard.as_ref(), output_end.into(), File::from(OwnedFd::from(faults_end)));
    };
    // Copies kept here would hold the ends open after the command closed them.
    drop((standard, output_end, faults_end));
    let mut said = Vec::new();
    // It ends when the command's program replaces ours, which closes its end.
    faults.by_ref().take(FRAME_BYTES_MAX.into()).read_to_end(&mut said).or_fault(Step::Process, "a pipe")?;
    if !said.is_empty() {
        end_everything();
        return serde_json::from_slice(&said).map_err(io::Error::from).or_fault(Step::Process, "a pipe");
    }
    tell(control, &Report::Started);
    let polled = task.limits.polled_memory_bytes;
    let (end, is_over) = attend(control, command, &mut output, signals, polled)?;
    let is_out_of_memory = is_over || memory.has_killed();
    // The main process may have ended by itself while others that it started go on.
    end_everything();
    while forward(control, &mut output)? {}
    Ok(Report::Ended { code: end.code(), signal: end.signal(), is_out_of_memory })
}

/// Forwards output and orders until the command's main process has ended; whether it was ended for the memory it took.
fn attend(
    control: &UnixStream,
    command: i32,
    output: &mut io::PipeReader,
    signals: &OwnedFd,
    memory_bytes: Option<u64>,
) -> Result<(ExitStatus, bool), Fault> {
    let (mut is_open, mut is_over) = (true, false);
    loop {
        let ends = [Some(control.as_fd()), is_open.then(|| output.as_fd()), Some(signals.as_fd())];
        let pause_ms = if memory_bytes.is_some() { POLL_MS } else { -1 };
        let [ordered, printed, _child] = sys::poll_for(ends, pause_ms).or_fault(Step::Process, "poll")?;
        if ordered {
            match next(control) {
                Some(Order::Terminate) => sys::signal_everyone(libc::SIGTERM),
                Some(Order::Kill) => sys::signal_everyone(libc::SIGKILL),
                // Nobody wants the command any more.
                Some(Order::Run(_)) | None => sys::exit_now(0),
            }
        }
        if printed {
            is_open = forward(control, output)?;
        }
        if memory_bytes.is_some_and(|most| memory::taken_bytes() > most) {
            is_over = true;
            sys::signal_everyone(libc::SIGKILL);
        }
        sys::drain(signals);
        while let Some((pid, end)) = reap()? {
            if pid == command {
                return Ok((end, is_over));
            }
        }
    }
}

/// Sends on what has been printed; false at its end.
fn forward(control: &UnixStream, output: &mut io::PipeReader) -> Result<bool, Fault> {
    let mut chunk = [0; FRAME_BYTES_MAX as usize];
    let n_bytes = output.read(&mut chunk).or_fault(Step::Process, "reading the output")?;
    if n_bytes > 0 && send(control, OUTPUT, &chunk[..n_bytes]).is_err() {
        sys::exit_now(0);
    }
    Ok(n_bytes > 0)
}

fn reap() -> Result<Option<(i32, ExitStatus)>, Fault> {
    match sys::reap_one() {
        Ok(reaped) => Ok(reaped),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        Err(error) => Err(error).or_fault(Step::Process, "wait"),
    }
}

/// Ends every process but this one and waits until the last is gone.
///
/// The kernel lets no process that is to be killed start another, so one signal to all reaches all.
fn end_everything() {
    sys::signal_everyone(libc::SIGKILL);
    while sys::reap_next().is_ok() {}
}
