//! The resident launcher: the first process of a container that an engine has made, which runs one command after another.
//!
//! In a container no namespace can be made, so the walls are the engine's; here are the filter, the limits of each process,
//! and the end of everything that a command started. Nothing inside can end or look into the first process of a process
//! namespace that is not dumpable, and when it ends the kernel ends all others. It ends when its connection does.
//!
//! Where no socket of the host reaches inside, as in a Pod, the first process only [holds](hold) the container, and a second
//! one, [attached](attend_attached) over its standard input and output, does the same work: no process but these two is left
//! when it says so. It can be replaced by another after its connection is gone; the new one ends what the old one ran.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use crate::fault::{Fault, OrFault, Step};
use crate::resident::orders::{CONTROL, FRAME_BYTES_MAX, HOLD, OUTPUT, Order, REPORT, Report, STANDARD, Task, send};
use crate::resident::watch::Watch;
use crate::spec::WORKSPACE;
use crate::status::{Limit, Status};
use crate::{bridge, filter, sys};

mod command;
mod memory;
pub mod orders;
mod watch;

/// How gladly the kernel kills what is inside first when memory is short.
const OOM_SCORE_ADJ: &str = "500";
/// How often what commands take is looked at, in milliseconds.
const POLL_MS: i32 = 50;

/// Serves the supervisor until it is gone.
pub(crate) fn serve() -> Result<(), Fault> {
    // It ends everything that it can see, which must be nothing but what it started.
    be_only_process(1)?;
    let control = UnixStream::connect(CONTROL).or_fault(Step::Process, CONTROL)?;
    let is_wanted = Path::new(STANDARD).exists();
    let standard = is_wanted.then(|| UnixStream::connect(STANDARD).map(OwnedFd::from)).transpose();
    let standard = standard.or_fault(Step::Process, STANDARD)?;
    let input = control.try_clone().or_fault(Step::Process, CONTROL)?;
    obey(&Control { input: OwnedFd::from(input).into(), output: OwnedFd::from(control).into() }, standard)
}

/// Holds a container as its first process: nothing inside can end it, and its end is that of all others.
pub(crate) fn hold() -> Result<(), Fault> {
    be_only_process(1)?;
    give_way();
    sys::privileges::set_dumpable(false).or_fault(Step::Privileges, "prctl(PR_SET_DUMPABLE)")?;
    let signals = sys::signals::ending_signals().or_fault(Step::Process, "signalfd")?;
    loop {
        sys::descriptors::poll_for([Some(signals.as_fd())], -1).or_fault(Step::Process, "poll")?;
        if sys::signals::is_asked_to_end(&signals) {
            return Ok(());
        }
        while reap()?.is_some() {}
    }
}

/// Serves the supervisor at the other end of standard input and output until it is gone, and leaves nothing behind.
pub(crate) fn attend_attached() -> Result<(), Fault> {
    // Everything that it can see it ends, which must be nothing but what another like it has started.
    let first = std::fs::read("/proc/1/cmdline").unwrap_or_default();
    let is_held = first.split(|byte| *byte == 0).any(|part| part == HOLD.as_bytes());
    if std::process::id() == 1 || !is_held || !is_in_container(&first) {
        let error = io::Error::new(io::ErrorKind::Unsupported, "the first process here is not the launcher's");
        return Err(error).or_fault(Step::Process, "a process namespace");
    }
    give_way();
    sys::privileges::set_dumpable(false).or_fault(Step::Privileges, "prctl(PR_SET_DUMPABLE)")?;
    sys::processes::adopt_orphans().or_fault(Step::Process, "prctl(PR_SET_CHILD_SUBREAPER)")?;
    end_everything();
    let ours = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from);
    let control = ours(io::stdin().as_fd()).and_then(|input| Ok(Control { input, output: ours(io::stdout().as_fd())? }));
    let control = control.or_fault(Step::Process, "standard input and output")?;
    let served = obey(&control, None);
    end_everything();
    served
}

/// Whether the first process was started as the launcher.
fn is_in_container(command_line: &[u8]) -> bool {
    command_line.split(|byte| *byte == 0).any(|part| part.ends_with(crate::NAME.as_bytes()))
}

fn be_only_process(id: u32) -> Result<(), Fault> {
    if std::process::id() == id {
        return Ok(());
    }
    let error = io::Error::new(io::ErrorKind::Unsupported, "this is not the first process of a container");
    Err(error).or_fault(Step::Process, "a process namespace")
}

/// The two ends of the connection to the supervisor.
struct Control {
    input: File,
    output: File,
}

/// Does what the supervisor says until it is gone.
fn obey(control: &Control, mut standard: Option<OwnedFd>) -> Result<(), Fault> {
    let filter = filter::compile()?;
    // One byte, not none: a limit of zero still starts the core handler of the host, as root and outside.
    let _ = sys::privileges::set_limit(libc::RLIMIT_CORE, 1);
    give_way();
    sys::privileges::set_dumpable(false).or_fault(Step::Privileges, "prctl(PR_SET_DUMPABLE)")?;
    sys::privileges::forbid_new_privileges().or_fault(Step::Privileges, "prctl(PR_SET_NO_NEW_PRIVS)")?;
    let signals = sys::signals::child_signals().or_fault(Step::Process, "signalfd")?;
    filter::install(&filter)?;
    let kernel = std::fs::read_to_string("/proc/version").unwrap_or_default().trim().to_owned();
    tell(control, &Report::Ready { kernel });
    let mut watch = Watch::default();
    while let Some(order) = next(control) {
        match order {
            Order::Run(task) => match work(control, &task, standard.take(), &signals, &mut watch) {
                Ok(end) => tell(control, &end),
                Err(fault) => {
                    end_everything();
                    tell(control, &refused(&fault));
                }
            },
            // They came too late for a task that is over.
            Order::Terminate | Order::Kill => {}
        }
    }
    Ok(())
}

/// Has the kernel kill this process and what it starts first when memory is short. Only a hint, and only as long as the
/// process is dumpable, for then this file is its own; raising it takes no privilege.
fn give_way() {
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ);
}

/// The next order, once there is one; `None` when nobody is left to give any, or what is said is no order.
fn next(control: &Control) -> Option<Order> {
    Order::read_from(&mut &control.input).ok().flatten()
}

/// Says something to the supervisor; without one there is nothing left to do, and the kernel ends everything inside.
fn tell(control: &Control, report: &Report) {
    let sent = serde_json::to_vec(report).map_err(io::Error::from).and_then(|json| send(&control.output, REPORT, &json));
    if sent.is_err() {
        leave();
    }
}

fn refused(fault: &Fault) -> Report {
    match fault.refusal() {
        Status::Refused { missing, remedy } => Report::Refused { missing, remedy },
        Status::Ready | Status::Exited { .. } | Status::Signaled { .. } | Status::Exceeded { .. } | Status::Lost { .. } => {
            Report::Refused { missing: "an answer of the launcher".to_owned(), remedy: String::new() }
        }
    }
}

/// Runs one task to its end and ends what it left behind.
fn work(
    control: &Control,
    task: &Task,
    standard: Option<OwnedFd>,
    signals: &OwnedFd,
    watch: &mut Watch,
) -> Result<Report, Fault> {
    let full = watch.begin(&task.limits);
    if let Some(bridge) = &task.bridge {
        let listener = bridge::listen(bridge)?;
        // It listens already, so the command finds it whenever it starts; from here on only the copy does.
        if sys::processes::fork().or_fault(Step::Process, "fork")?.is_none() {
            drop(standard);
            bridge::serve(&listener, &bridge.socket);
        }
    }
    let (mut output, output_end) = io::pipe().or_fault(Step::Process, "a pipe")?;
    let (mut faults, faults_end) = io::pipe().or_fault(Step::Process, "a pipe")?;
    let Some(command) = sys::processes::fork().or_fault(Step::Process, "fork")? else {
        command::become_command(task, full, standard.as_ref(), output_end.into(), File::from(OwnedFd::from(faults_end)));
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
    let (end, exceeded) = attend(control, command, &mut output, signals, watch)?;
    let exceeded = exceeded.or_else(|| full.stopped(end));
    // The main process may have ended by itself while others that it started go on.
    end_everything();
    while forward(control, &mut output)? {}
    let note = full.note(end, task.limits.n_files).filter(|_| !sys::mounts::is_read_only(WORKSPACE));
    if note.is_some_and(|note| send(&control.output, OUTPUT, note.as_bytes()).is_err()) {
        leave();
    }
    Ok(Report::Ended { code: end.code(), signal: end.signal(), exceeded })
}

/// Forwards output and orders until the command's main process has ended; what it was ended for having too much of.
fn attend(
    control: &Control,
    command: i32,
    output: &mut io::PipeReader,
    signals: &OwnedFd,
    watch: &mut Watch,
) -> Result<(ExitStatus, Option<Limit>), Fault> {
    let (mut is_open, mut exceeded) = (true, None);
    loop {
        let ends = [Some(control.input.as_fd()), is_open.then(|| output.as_fd()), Some(signals.as_fd())];
        let [ordered, printed, _child] = sys::descriptors::poll_for(ends, POLL_MS).or_fault(Step::Process, "poll")?;
        if ordered {
            match next(control) {
                Some(Order::Terminate) => sys::processes::signal_everyone(libc::SIGTERM),
                Some(Order::Kill) => sys::processes::signal_everyone(libc::SIGKILL),
                // Nobody wants the command any more.
                Some(Order::Run(_)) | None => leave(),
            }
        }
        if printed {
            is_open = forward(control, output)?;
        }
        if exceeded.is_none() {
            exceeded = watch.exceeded();
            // The kernel kills one process alone; what is left of the command would go on without it.
            if exceeded.is_some() {
                sys::processes::signal_everyone(libc::SIGKILL);
            }
        }
        sys::signals::drain(signals);
        while let Some((pid, end)) = reap()? {
            if pid == command {
                return Ok((end, exceeded.or_else(|| watch.killed())));
            }
        }
    }
}

/// Sends on what has been printed; false at its end.
fn forward(control: &Control, output: &mut io::PipeReader) -> Result<bool, Fault> {
    let mut chunk = [0; FRAME_BYTES_MAX as usize];
    let n_bytes = output.read(&mut chunk).or_fault(Step::Process, "reading the output")?;
    if n_bytes > 0 && send(&control.output, OUTPUT, &chunk[..n_bytes]).is_err() {
        leave();
    }
    Ok(n_bytes > 0)
}

fn reap() -> Result<Option<(i32, ExitStatus)>, Fault> {
    match sys::processes::reap_one() {
        Ok(reaped) => Ok(reaped),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        Err(error) => Err(error).or_fault(Step::Process, "wait"),
    }
}

/// Ends everything and this process, for nobody is left to give orders.
fn leave() -> ! {
    sys::processes::signal_everyone(libc::SIGKILL);
    sys::processes::exit_now(0)
}

/// Ends every process but this one and the first, and waits until the last is gone.
///
/// The kernel lets no process that is to be killed start another, so one signal to all reaches all.
fn end_everything() {
    sys::processes::signal_everyone(libc::SIGKILL);
    while sys::processes::reap_next().is_ok() {}
}
