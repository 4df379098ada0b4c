//! The first process of a command's namespaces: it gives everything up, starts the command, reaps, and reports.
//!
//! When it ends, the kernel kills everything else in the namespace. It ends when the command has ended, when the lifeline
//! is closed, and when the process outside is gone.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use seccompiler::BpfProgram;

use crate::fault::{Fault, OrFault, Step};
use crate::rules::Lasting;
use crate::session::{Wires, report_to};
use crate::spec::{Program, Run, Spec, WORKSPACE};
use crate::status::Status;
use crate::usage::disk::Full;
use crate::{bridge, filter, mounts, namespaces, privileges, probe, rules, sys, trial};

/// Runs one command in these namespaces and ends them.
pub(crate) fn run(spec: &Spec, run: &Run, full: Full, filter: &BpfProgram, wires: &Wires, standard: Option<OwnedFd>) -> ! {
    match serve(spec, run, full, filter, wires, standard) {
        Ok(Some(end)) => tell(wires, &end),
        Ok(None) => {}
        Err(fault) => tell(wires, &fault.refusal()),
    }
    sys::processes::exit_now(0)
}

/// Nobody is left to be told when this fails: the supervisor reads a missing line as a refusal.
fn tell(wires: &Wires, status: &Status) {
    let _ = report_to(&wires.status, status);
}

fn serve(
    spec: &Spec,
    run: &Run,
    full: Full,
    filter: &BpfProgram,
    wires: &Wires,
    standard: Option<OwnedFd>,
) -> Result<Option<Status>, Fault> {
    namespaces::settle(run)?;
    let proc = mounts::enter(spec, run)?;
    privileges::drop_all(spec, &proc, &wires.output)?;
    drop(proc);
    let lasting = match (spec.is_workspace_read_only, full.files) {
        (true, _) => Lasting::ReadOnly,
        (false, true) => Lasting::NoMore,
        (false, false) => Lasting::Writable,
    };
    rules::confine(lasting, spec.home.is_some())?;
    let signals = sys::signals::child_signals().or_fault(Step::Process, "signalfd")?;
    filter::install(filter)?;
    if spec.refuses_set_id {
        filter::set_id::refuse()?;
    }
    if let Some(bridge) = &run.bridge {
        let listener = bridge::listen(bridge)?;
        // It listens already, so the command finds it whenever it starts; from here on only the copy does.
        if sys::processes::fork().or_fault(Step::Process, "fork")?.is_none() {
            drop(standard);
            bridge::serve(&listener, &bridge.socket);
        }
    }
    tell(wires, &Status::Ready);
    match sys::processes::fork().or_fault(Step::Process, "fork")? {
        None => become_command(run, wires, standard.as_ref()),
        Some(command) => {
            // A copy kept here would hold the connection open after the command closed it.
            drop(standard);
            let end = attend(command, wires, &signals)?;
            let note = end.filter(|_| !spec.is_workspace_read_only).and_then(|end| full.note(end, spec.limits.n_files));
            if let Some(note) = note {
                sys::descriptors::write_now(&wires.output, note.as_bytes());
            }
            Ok(end.map(|end| full.stopped(end).map_or_else(|| ended(end), |limit| Status::Exceeded { limit })))
        }
    }
}

/// Reaps whatever ends, until the command does or nobody wants it any more.
fn attend(command: i32, wires: &Wires, signals: &OwnedFd) -> Result<Option<ExitStatus>, Fault> {
    loop {
        let ends = [wires.lifeline.as_fd(), wires.outer_alive.as_fd(), signals.as_fd()];
        let [cut, abandoned, _child] = sys::descriptors::poll(ends).or_fault(Step::Process, "poll")?;
        if abandoned || (cut && !is_asked_to_end(&wires.lifeline)) {
            return Ok(None);
        }
        sys::signals::drain(signals);
        while let Some((pid, end)) = sys::processes::reap_one().or_fault(Step::Process, "wait")? {
            if pid == command {
                return Ok(Some(end));
            }
        }
    }
}

/// Passes the request to end on to every process of the command; false where the lifeline is closed.
fn is_asked_to_end(lifeline: &OwnedFd) -> bool {
    if sys::descriptors::read_some(lifeline) == 0 {
        return false;
    }
    sys::processes::signal_everyone(libc::SIGTERM);
    true
}

fn ended(end: ExitStatus) -> Status {
    match (end.code(), end.signal()) {
        (Some(code), _) => Status::Exited { code },
        (None, Some(signal)) => Status::Signaled { signal },
        (None, None) => Status::Exited { code: 255 },
    }
}

/// Becomes the command. What fails here is reported as a refusal: the command never ran.
fn become_command(run: &Run, wires: &Wires, standard: Option<&OwnedFd>) -> ! {
    match prepare(run, wires, standard) {
        Ok(()) => {}
        Err(fault) => {
            tell(wires, &fault.refusal());
            sys::processes::exit_now(127);
        }
    }
    let (program, arguments) = match &run.program {
        Program::Script { shell, script } => {
            let shell = shell.to_string_lossy();
            (shell.clone(), vec![shell.into_owned(), "-c".to_owned(), script.clone()])
        }
        Program::Process { arguments } => (Cow::Borrowed(arguments.first().map_or("", String::as_str)), arguments.clone()),
        Program::Probe(baits) => {
            probe::run(baits, &mut io::stdout());
            sys::processes::exit_now(0)
        }
        Program::Take(take) => trial::run(*take),
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Err(error) = sys::processes::execute(&program, &arguments, &run.environment);
    if error.raw_os_error() == Some(libc::E2BIG) {
        // The script's own fault, so its answer, and the one that a shell gives.
        let _ = writeln!(io::stderr(), "{program}: the script is too long for one argument");
        sys::processes::exit_now(126);
    }
    tell(wires, &Fault::new(Step::Command, program, error).refusal());
    sys::processes::exit_now(127)
}

fn prepare(run: &Run, wires: &Wires, standard: Option<&OwnedFd>) -> Result<(), Fault> {
    let step = Step::Command;
    sys::signals::reset_signals().or_fault(step, "resetting signals")?;
    sys::processes::new_session().or_fault(step, "setsid")?;
    sys::privileges::set_umask(0o022);
    let nothing = File::open("/dev/null").or_fault(step, "/dev/null")?;
    sys::descriptors::place(&standard.map_or(nothing.as_fd(), AsFd::as_fd), 0).or_fault(step, "standard input")?;
    sys::descriptors::place(standard.unwrap_or(&wires.output), 1).or_fault(step, "standard output")?;
    sys::descriptors::place(&wires.output, 2).or_fault(step, "standard error")?;
    let directory = std::path::Path::new(WORKSPACE).join(&run.directory);
    std::env::set_current_dir(&directory).or_fault(step, directory.display().to_string())?;
    sys::descriptors::close_others_on_exec().or_fault(step, "close_range")
}
