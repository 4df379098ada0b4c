//! The first process of the namespace: it builds the sandbox from inside, starts the command, reaps, and reports.
//!
//! When it ends, the kernel kills everything else in the namespace. It ends when the command has ended, when the lifeline
//! is closed, and when the process outside is gone.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use seccompiler::BpfProgram;

use crate::fault::{Fault, OrFault, Step};
use crate::spec::{Program, Spec, WORKSPACE};
use crate::status::Status;
use crate::{Wires, filter, mounts, namespaces, privileges, probe, report, sys};

/// Runs one command in this namespace and ends it.
pub(crate) fn run(outer: sys::Ids, spec: &Spec, filter: &BpfProgram, wires: &Wires) -> ! {
    match serve(outer, spec, filter, wires) {
        Ok(Some(end)) => report(File::from(copy(wires)), &end),
        Ok(None) => {}
        Err(fault) => report(File::from(copy(wires)), &fault.refusal()),
    }
    sys::exit_now(0)
}

fn copy(wires: &Wires) -> std::os::fd::OwnedFd {
    match wires.status.try_clone() {
        Ok(copy) => copy,
        Err(_) => sys::exit_now(1),
    }
}

fn serve(outer: sys::Ids, spec: &Spec, filter: &BpfProgram, wires: &Wires) -> Result<Option<Status>, Fault> {
    namespaces::settle(outer, spec.uid, spec.gid)?;
    let proc = mounts::build(spec)?;
    privileges::drop_all(spec, &proc)?;
    drop(proc);
    let signals = sys::child_signals().or_fault(Step::Process, "signalfd")?;
    filter::install(filter)?;
    report(File::from(copy(wires)), &Status::Ready);
    match sys::fork().or_fault(Step::Process, "fork")? {
        None => become_command(spec, wires),
        Some(command) => attend(command, wires, &signals),
    }
}

/// Reaps whatever ends, until the command does or nobody wants it any more.
fn attend(command: i32, wires: &Wires, signals: &std::os::fd::OwnedFd) -> Result<Option<Status>, Fault> {
    loop {
        let ends = [wires.lifeline.as_fd(), wires.outer_alive.as_fd(), signals.as_fd()];
        let [cut, abandoned, _child] = sys::poll(ends).or_fault(Step::Process, "poll")?;
        if cut || abandoned {
            return Ok(None);
        }
        sys::drain(signals);
        while let Some((pid, end)) = sys::reap_one().or_fault(Step::Process, "wait")? {
            if pid == command {
                return Ok(Some(ended(end)));
            }
        }
    }
}

fn ended(end: ExitStatus) -> Status {
    match (end.code(), end.signal()) {
        (Some(code), _) => Status::Exited { code },
        (None, Some(signal)) => Status::Signaled { signal },
        (None, None) => Status::Exited { code: 255 },
    }
}

/// Becomes the command. What fails here is reported as a refusal: the command never ran.
fn become_command(spec: &Spec, wires: &Wires) -> ! {
    match prepare(spec, wires) {
        Ok(()) => {}
        Err(fault) => {
            report(File::from(copy(wires)), &fault.refusal());
            sys::exit_now(127);
        }
    }
    let (shell, script) = match &spec.program {
        Program::Script { shell, script } => (shell.to_string_lossy(), script),
        Program::Probe(baits) => {
            probe::run(baits, &mut io::stdout());
            sys::exit_now(0)
        }
    };
    let Err(error) = sys::execute(&shell, &[&shell, "-c", script], &spec.environment);
    if error.raw_os_error() == Some(libc::E2BIG) {
        // The script's own fault, so its answer, and the one that a shell gives.
        let _ = writeln!(io::stdout(), "{shell}: the script is too long for one argument");
        sys::exit_now(126);
    }
    report(File::from(copy(wires)), &Fault::new(Step::Command, shell, error).refusal());
    sys::exit_now(127)
}

fn prepare(spec: &Spec, wires: &Wires) -> Result<(), Fault> {
    let step = Step::Command;
    sys::reset_signals().or_fault(step, "resetting signals")?;
    sys::new_session().or_fault(step, "setsid")?;
    sys::set_umask(0o022);
    let nothing = File::open("/dev/null").or_fault(step, "/dev/null")?;
    sys::place(&nothing, 0).or_fault(step, "standard input")?;
    sys::place(&wires.output, 1).or_fault(step, "standard output")?;
    sys::place(&wires.output, 2).or_fault(step, "standard error")?;
    let directory = std::path::Path::new(WORKSPACE).join(&spec.directory);
    std::env::set_current_dir(&directory).or_fault(step, directory.display().to_string())?;
    sys::close_others_on_exec().or_fault(step, "close_range")
}
