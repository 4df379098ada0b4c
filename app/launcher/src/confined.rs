//! A command behind rules on files alone, for machines that give no namespaces: Landlock, the system-call filter, a user
//! without privileges, and limits.
//!
//! The command shares the host's process numbers, paths and network, and gets to none of them: no file but those on a list,
//! no signal to anybody but its own, no socket. This process stays outside of those rules, adopts what the command leaves
//! behind and ends it. Landlock has no rule for a file's mode, owner and times: of what is the command's own user's they can
//! be changed wherever it is, but for setuid and setgid bits, which the filter refuses.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::process::{Signal, set_parent_process_death_signal};
use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};

use crate::bare::{self, Bare, Outcome};
use crate::confined::watch::Watch;
use crate::fault::{Fault, OrFault, Step};
use crate::spec::Program;
use crate::status::Status;
use crate::usage::disk::Full;
use crate::{filter, messages, privileges, rules, sys, trial};

pub mod attacks;
pub mod orphans;
pub(crate) mod watch;

/// The launcher's argument that makes it this.
pub const MODE: &str = "confined";

/// How gladly the kernel kills the command first when memory is short.
const OOM_SCORE_ADJ: &str = "500";

/// One command and its walls. The connection is that of [`Bare`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confined {
    /// The command, and the limits that the kernel keeps for each process.
    pub command: Bare,
    /// The user and group of the command; never 0.
    pub user: u32,
    /// What of the host is read and run beside its programs; what this user cannot get to is left out.
    pub read: Vec<PathBuf>,
    /// What is written, read and run.
    pub write: Vec<PathBuf>,
    /// What may be changed of files beside their content.
    pub changes: Changes,
    /// In which of those no file is made, because there are too many; the launcher finds that out.
    #[serde(skip)]
    pub no_more: Vec<PathBuf>,
    /// What is looked at while the command runs.
    pub places: Vec<Place>,
    /// Memory of all its processes together.
    pub memory_bytes: u64,
    /// How many processes and threads its user may have beside those that it has already.
    pub n_processes: u64,
    /// The server's process, which is attacked by a probe.
    pub server: u32,
}

/// What a command may change of files beside their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Changes {
    /// Modes and times of what is its user's own.
    ModesAndTimes,
    /// Nothing.
    Nothing,
}

/// Folders of one file system that commands write to, and what they may take together.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The folders.
    pub folders: Vec<PathBuf>,
    /// Of its disk, in bytes.
    pub bytes: u64,
    /// Files and directories.
    pub n_files: u64,
}

/// Runs the command that the connection brings, and says how it ended.
pub(crate) fn serve() -> Result<(), Fault> {
    let control = io::stdin().as_fd().try_clone_to_owned().or_fault(Step::Process, "standard input")?;
    let control = UnixStream::from(control);
    let received = messages::receive::<Confined>(&control).or_fault(Step::Spec, "the command")?;
    let Some((confined, _)) = received else { return Ok(()) };
    let lines = work(&control, confined).unwrap_or_else(|fault| fault.refusal().line());
    // Nobody may be left to hear it.
    let _ = (&control).write_all(lines.as_bytes());
    Ok(())
}

fn work(control: &UnixStream, mut confined: Confined) -> Result<String, Fault> {
    let wrong = |what: &str| Fault::new(Step::Spec, "the command", io::Error::new(io::ErrorKind::InvalidData, what));
    if confined.user == 0 {
        return Err(wrong("it never runs as root"));
    }
    // No rule keeps a user from the modes and times of what it owns.
    if !sys::privileges::is_root() {
        return Err(wrong("its user must be another than the server's, and only root can choose one"));
    }
    let filter = filter::compile()?;
    let mut watch = Watch::of(&confined)?;
    let mut full = Full::default();
    // The most files of a place that the command writes to and that has too many.
    let mut n_files_max = None;
    for (place, found) in confined.places.iter().zip(watch.full()) {
        full = Full { bytes: full.bytes || found.bytes, files: full.files || found.files };
        if found.files {
            // Files there can still be written and removed.
            confined.no_more.extend(place.folders.iter().cloned());
            let is_written = place.folders.iter().any(|folder| confined.write.contains(folder));
            n_files_max = n_files_max.or(is_written.then_some(place.n_files));
        }
    }
    if full.bytes {
        confined.command.file_bytes = 0;
    }
    confined.n_processes = confined.n_processes.saturating_add(watch::tasks_of(confined.user));
    // The supervisor lets go of its own.
    let output = n_files_max.and_then(|_| io::stderr().as_fd().try_clone_to_owned().ok());
    let outcome = bare::supervise(control, Some(watch), |faults| become_command(&confined, &filter, faults))?;
    Ok(match outcome {
        Outcome::Unstarted(said) => String::from_utf8_lossy(&said).into_owned(),
        Outcome::Escaped => Status::Lost { signal: libc::SIGKILL }.line(),
        Outcome::Ended(end, exceeded) => {
            let exceeded = exceeded.or_else(|| full.stopped(end));
            let note = n_files_max.and_then(|n_files_max| full.note(end, n_files_max));
            if let (Some(output), Some(note)) = (output, note) {
                sys::descriptors::write_now(&output, note.as_bytes());
            }
            let limit = exceeded.map(|limit| Status::Exceeded { limit }.line()).unwrap_or_default();
            format!("{limit}{}", bare::ended(end).line())
        }
    })
}

/// Becomes the command. What fails here is said as a refusal: the command never ran.
fn become_command(confined: &Confined, filter: &BpfProgram, mut faults: File) -> ! {
    if let Err(fault) = give_up(confined, filter) {
        let _ = faults.write_all(fault.refusal().line().as_bytes());
        sys::processes::exit_now(127)
    }
    match &confined.command.program {
        Program::Script { .. } | Program::Process { .. } => {
            let (program, error) = bare::execute(&confined.command);
            let _ = faults.write_all(Fault::new(Step::Command, program, error).refusal().line().as_bytes());
            sys::processes::exit_now(127)
        }
        // The supervisor waits for its end.
        Program::Probe(baits) => {
            drop(faults);
            attacks::run(confined, baits, &mut io::stdout());
            sys::processes::exit_now(0)
        }
        Program::Take(take) => {
            drop(faults);
            trial::run(*take)
        }
    }
}

/// Gives everything up but what the command may have.
fn give_up(confined: &Confined, filter: &BpfProgram) -> Result<(), Fault> {
    let (step, command) = (Step::Privileges, &confined.command);
    bare::begin(command).or_fault(Step::Command, "beginning it")?;
    let user = confined.user;
    // Only a hint, inherited by all that is started. It is not the launcher's own, which ends what is left of the command.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ);
    privileges::give_output(&io::stdout(), user, user);
    privileges::give_output(&io::stderr(), user, user);
    // A second belt: no program can give a privilege any more. It takes one itself, which a container may lack.
    let _ = sys::capabilities::empty_bounding_set();
    sys::privileges::become_user(user, user).or_fault(step, format!("changing to user {user}"))?;
    sys::capabilities::give_up_capabilities().or_fault(step, "dropping capabilities")?;
    sys::privileges::forbid_new_privileges().or_fault(step, "prctl(PR_SET_NO_NEW_PRIVS)")?;
    // Whoever is to end the command may be ended itself.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from).or_fault(step, "prctl(PR_SET_PDEATHSIG)")?;
    for folder in &confined.write {
        std::fs::read_dir(folder).or_fault(Step::Reach, folder.display().to_string())?;
    }
    bare::enter(command).or_fault(Step::Reach, command.directory.display().to_string())?;
    sys::privileges::lower_limit(libc::RLIMIT_NPROC, confined.n_processes).or_fault(step, "RLIMIT_NPROC")?;
    rules::confine_alone(&confined.read, &confined.write, &confined.no_more)?;
    filter::install(filter)?;
    filter::alone::refuse(confined.changes)?;
    filter::set_id::refuse()?;
    sys::descriptors::close_others_on_exec().or_fault(step, "close_range")
}
