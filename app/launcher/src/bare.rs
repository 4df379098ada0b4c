//! A command without walls, for machines that are thrown away: its limits, a session of its own, and the end of what it
//! started.
//!
//! Nothing is contained here: the command is the server's own user, with that user's files and network. What is kept is
//! order. This process adopts what the command leaves behind and ends it, by looking for its own descendants; a command
//! that first ends this process gets away. It ends, with everything that it started, when its connection does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::confined::watch::Watch;
use crate::fault::{Fault, OrFault, Step};
use crate::spec::Program;
use crate::status::{Limit, Status};
use crate::{messages, privileges, sys};

/// The launcher's argument that makes it this.
pub const MODE: &str = "bare";
/// A byte on the connection that asks the command to end.
pub const TERMINATE: u8 = b't';

/// How often what is left of a command is looked for before it is given up.
const ROUNDS_MAX: u32 = 5_000;
/// How long a round waits for what it has killed to be gone, in milliseconds.
const ROUND_MS: i32 = 20;
/// How many processes that have ended are taken notice of before something else is looked at: more may end as fast.
const REAPED_MAX: u32 = 4_096;

/// One command. The launcher's standard input is the connection over which this comes and on which
/// [`Status`] lines go back; its standard output and error become the command's. For a [`Program::Process`] standard output
/// is a socket, which becomes its standard input too.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bare {
    /// What runs.
    pub program: Program,
    /// Where it starts.
    pub directory: PathBuf,
    /// The whole environment: nothing else is added or inherited.
    pub environment: Vec<(String, String)>,
    /// Open files of each process.
    pub n_open_files: u64,
    /// The largest file that can be written.
    pub file_bytes: u64,
    /// Processor time of each process, in seconds; nothing counts what all have together.
    pub cpu_seconds: u64,
    /// Private memory of each process; nothing counts what all have together.
    pub process_memory_bytes: u64,
}

/// Runs the command that the connection brings, and says how it ended.
pub(crate) fn serve() -> Result<(), Fault> {
    let step = Step::Process;
    let control = io::stdin().as_fd().try_clone_to_owned().or_fault(step, "standard input")?;
    let control = UnixStream::from(control);
    let received = messages::receive::<Bare>(&control).or_fault(Step::Spec, "the command")?;
    let Some((bare, _)) = received else { return Ok(()) };
    let status = work(&control, &bare).unwrap_or_else(|fault| fault.refusal());
    // Nobody may be left to hear it.
    let _ = (&control).write_all(status.line().as_bytes());
    Ok(())
}

fn work(control: &UnixStream, bare: &Bare) -> Result<Status, Fault> {
    match supervise(control, None, |faults| become_command(bare, faults))? {
        Outcome::Unstarted(said) => {
            let said = String::from_utf8_lossy(&said).into_owned();
            Err(Fault::new(Step::Command, said, io::ErrorKind::NotFound.into()))
        }
        Outcome::Escaped => Ok(Status::Lost { signal: libc::SIGKILL }),
        Outcome::Ended(end, _) => Ok(ended(end)),
    }
}

/// How a command's main process ended, as it is told to the supervisor.
pub(crate) fn ended(end: ExitStatus) -> Status {
    match end.code() {
        Some(code) => Status::Exited { code },
        None => Status::Signaled { signal: end.signal().unwrap_or(libc::SIGKILL) },
    }
}

/// What came of a command.
pub(crate) enum Outcome {
    /// It never ran; this is what it said of the reason.
    Unstarted(Vec<u8>),
    /// Not everything that it started could be ended.
    Escaped,
    /// It ended, and nothing of it is left; and what it was ended for having too much of.
    Ended(ExitStatus, Option<Limit>),
}

/// Starts a command, which becomes its program in `start` and says there why it cannot, and ends everything that descends
/// from it when it has ended, when nobody wants it any more, or when the watch finds that it is over a limit.
pub(crate) fn supervise(control: &UnixStream, mut watch: Option<Watch>, start: impl FnOnce(File)) -> Result<Outcome, Fault> {
    let step = Step::Process;
    sys::processes::new_session().or_fault(step, "setsid")?;
    sys::processes::adopt_orphans().or_fault(step, "prctl(PR_SET_CHILD_SUBREAPER)")?;
    let signals = sys::signals::child_signals().or_fault(step, "signalfd")?;
    let (mut faults, faults_end) = io::pipe().or_fault(step, "a pipe")?;
    let Some(command) = sys::processes::fork().or_fault(step, "fork")? else {
        start(File::from(OwnedFd::from(faults_end)));
        sys::processes::exit_now(127)
    };
    // Copies kept here would hold the ends open after the command closed them.
    drop(faults_end);
    let nothing = File::options().read(true).write(true).open("/dev/null").or_fault(step, "/dev/null")?;
    [1, 2].into_iter().try_for_each(|number| sys::descriptors::place(&nothing, number)).or_fault(step, "standard output")?;
    let mut said = Vec::new();
    // It ends when the command's program replaces ours, which closes its end.
    faults.read_to_end(&mut said).or_fault(step, "a pipe")?;
    if !said.is_empty() {
        end_descendants(&signals);
        return Ok(Outcome::Unstarted(said));
    }
    let end = attend(control, command, &signals, watch.as_mut());
    // The main process may have ended by itself while others that it started go on.
    if !end_descendants(&signals) {
        return Ok(Outcome::Escaped);
    }
    end.map(|(end, exceeded)| Outcome::Ended(end, exceeded))
}

/// Waits for the command's main process, does what the supervisor asks for meanwhile, and ends everything where the watch
/// finds that it is over a limit.
fn attend(
    control: &UnixStream,
    command: i32,
    signals: &OwnedFd,
    mut watch: Option<&mut Watch>,
) -> Result<(ExitStatus, Option<Limit>), Fault> {
    let mut control = Some(control);
    let mut exceeded = None;
    // What has ended and was not yet taken notice of tells nothing more.
    let mut has_more = false;
    loop {
        let ends = [control.map(AsFd::as_fd), Some(signals.as_fd())];
        let wait_ms = if has_more { 0 } else { watch.as_ref().map_or(-1, |watch| watch.pause_ms()) };
        let [asked, _child] = sys::descriptors::poll_for(ends, wait_ms).or_fault(Step::Process, "poll")?;
        if let (true, Some(mut connection)) = (asked, control) {
            let mut word = [0];
            match connection.read(&mut word) {
                Ok(1) if word == [TERMINATE] => signal_descendants(Signal::TERM),
                // Nobody wants the command any more.
                Ok(_) | Err(_) => {
                    control = None;
                    signal_descendants(Signal::KILL);
                }
            }
        }
        if exceeded.is_none() {
            exceeded = watch.as_mut().and_then(|watch| watch.exceeded());
        }
        if exceeded.is_some() {
            // What starts others faster than it is found is met again the next time.
            kill_descendants(own());
        }
        sys::signals::drain(signals);
        has_more = true;
        for _ in 0..REAPED_MAX {
            match reap() {
                Some((pid, end)) if pid == command => return Ok((end, exceeded)),
                Some(_) => {}
                None => {
                    has_more = false;
                    break;
                }
            }
        }
    }
}

fn reap() -> Option<(i32, ExitStatus)> {
    sys::processes::reap_one().ok().flatten()
}

/// Ends everything that the command left behind, and says whether nothing is left. What starts others faster than it is
/// found is stopped first.
fn end_descendants(signals: &OwnedFd) -> bool {
    for _ in 0..ROUNDS_MAX {
        if is_childless() {
            return true;
        }
        // What starts others while it is looked for may be missed, so that none was found means nothing.
        kill_descendants(own());
        let _ = sys::descriptors::poll_for([Some(signals.as_fd())], ROUND_MS);
        sys::signals::drain(signals);
    }
    false
}

/// Whether nothing is left: whatever this process has not lost descends from a child of it, for it adopts orphans.
fn is_childless() -> bool {
    for _ in 0..REAPED_MAX {
        match sys::processes::reap_one() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(error) => return error.raw_os_error() == Some(libc::ECHILD),
        }
    }
    false
}

fn signal_descendants(signal: Signal) {
    send(&descendants(own()), signal);
}

/// Kills, once, whatever descends from a launcher that a command keeps from doing it.
pub fn kill_descendants(launcher: i32) {
    let found = descendants(launcher);
    [Signal::STOP, Signal::KILL].into_iter().for_each(|signal| send(&found, signal));
}

pub(crate) fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(i32::MAX)
}

/// A process at one moment: its parent, and when it was started, which tells it from a later one of the same number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) parent: i32,
    started: u64,
}

pub(crate) fn send(processes: &[(i32, Seen)], signal: Signal) {
    for (pid, seen) in processes {
        let Some(number) = Pid::from_raw(*pid) else { continue };
        let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else { continue };
        // The number may be another's by now; the descriptor stays with the one that is looked at here.
        if look(*pid).is_some_and(|now| now.started == seen.started) {
            let _ = pidfd_send_signal(&process, signal);
        }
    }
}

/// Every process that descends from this one and has not ended.
pub(crate) fn descendants(ancestor: i32) -> Vec<(i32, Seen)> {
    let all = processes();
    let descends = |id: i32| {
        let mut parents = std::iter::successors(all.get(&id), |seen| all.get(&seen.parent));
        // The table is of one moment, almost: a loop in it would have no end.
        parents.by_ref().take(all.len()).any(|seen| seen.parent == ancestor)
    };
    all.iter().filter(|(id, _)| descends(**id)).map(|(id, seen)| (*id, *seen)).collect()
}

/// Every process that can be seen and has not ended.
pub(crate) fn processes() -> BTreeMap<i32, Seen> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter_map(|id| Some((id, look(id)?))).collect()
}

/// What the kernel says of a process; `None` where there is none, or it has ended and waits for its parent.
fn look(id: i32) -> Option<Seen> {
    // Its name, in parentheses, may be anything.
    let text = fs::read(format!("/proc/{id}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    const STATE: usize = 0;
    const PARENT: usize = 1;
    const N_THREADS: usize = 17;
    const STARTED: usize = 19;
    // One whose first thread alone has ended looks the same and goes on.
    let has_threads = fields.get(N_THREADS)?.parse::<u32>().ok()? > 1;
    if matches!(*fields.get(STATE)?, "Z" | "X") && !has_threads {
        return None;
    }
    Some(Seen { parent: fields.get(PARENT)?.parse().ok()?, started: fields.get(STARTED)?.parse().ok()? })
}

/// Becomes the command. What fails here is written to `faults`: the command never ran.
fn become_command(bare: &Bare, mut faults: File) -> ! {
    if matches!(bare.program, Program::Probe(_) | Program::Take(_)) {
        let _ = faults.write_all(b"there are no walls to be tried");
        sys::processes::exit_now(127)
    }
    if let Err(error) = begin(bare).and_then(|()| enter(bare)).and_then(|()| sys::descriptors::close_others_on_exec()) {
        let _ = write!(faults, "{}: {error}", bare.directory.display());
        sys::processes::exit_now(127)
    }
    let (program, error) = execute(bare);
    let _ = write!(faults, "{program}: {error}");
    sys::processes::exit_now(127)
}

/// Becomes the command's program; returns only to say which it was and why not.
pub(crate) fn execute(bare: &Bare) -> (String, io::Error) {
    let (program, arguments) = match &bare.program {
        Program::Script { shell, script } => {
            let shell = shell.display().to_string();
            (shell.clone(), vec![shell, "-c".to_owned(), script.clone()])
        }
        Program::Process { arguments } => (arguments.first().cloned().unwrap_or_default(), arguments.clone()),
        // Whoever can try walls does so in place of this.
        Program::Probe(_) | Program::Take(_) => (String::new(), Vec::new()),
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Err(error) = sys::processes::execute(&program, &arguments, &bare.environment);
    if error.raw_os_error() == Some(libc::E2BIG) {
        // The script's own fault, so its answer, and the one that a shell gives.
        let _ = writeln!(io::stderr(), "{program}: the script is too long for one argument");
        sys::processes::exit_now(126);
    }
    (program, error)
}

/// Lets go of what the launcher has, but for its rights.
pub(crate) fn begin(bare: &Bare) -> io::Result<()> {
    sys::signals::reset_signals()?;
    sys::processes::new_session()?;
    sys::privileges::set_umask(0o022);
    match bare.program {
        Program::Process { .. } => sys::descriptors::place(&io::stdout(), 0),
        Program::Script { .. } | Program::Probe(_) | Program::Take(_) => sys::descriptors::place(&File::open("/dev/null")?, 0),
    }
}

/// Goes to where the command starts and takes on its limits.
pub(crate) fn enter(bare: &Bare) -> io::Result<()> {
    std::env::set_current_dir(&bare.directory)?;
    // One byte, not none: a limit of zero still starts the core handler of the machine.
    let _ = sys::privileges::set_limit(libc::RLIMIT_CORE, 1);
    let all = [
        (libc::RLIMIT_FSIZE, bare.file_bytes),
        (libc::RLIMIT_NOFILE, bare.n_open_files),
        (libc::RLIMIT_DATA, bare.process_memory_bytes),
    ];
    all.into_iter().try_for_each(|(resource, most)| sys::privileges::lower_limit(resource, most))?;
    privileges::limit_cpu(bare.cpu_seconds).map_err(|_| io::Error::last_os_error())
}
