//! From a copy of the resident launcher to the command: a session of its own, its limits, its three descriptors.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crate::fault::{Fault, OrFault, Step};
use crate::resident::orders::{Task, TaskLimits, Work};
use crate::resident::refused;
use crate::rules::Lasting;
use crate::spec::WORKSPACE;
use crate::usage::disk::Full;
use crate::{filter, privileges, probe, rules, sys, trial};

/// How gladly the kernel kills a command first when memory is short: more gladly than anything else.
const OOM_SCORE_ADJ: &str = "1000";

/// Becomes the command, which may take no more of what there is too much of. What fails here is written to `faults`: the
/// command never ran.
pub(crate) fn become_command(task: &Task, full: Full, standard: Option<&OwnedFd>, output: OwnedFd, mut faults: File) -> ! {
    if let Err(fault) = prepare(task, full, standard, &output) {
        tell(&mut faults, &fault);
    }
    drop(output);
    let (program, arguments) = match &task.work {
        Work::Script(script) => {
            let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
            (Cow::Borrowed(shell), vec![shell.to_owned(), "-c".to_owned(), script.clone()])
        }
        Work::Program(arguments) => (Cow::Borrowed(arguments.first().map_or("", String::as_str)), arguments.clone()),
        Work::Probe(baits) => {
            drop(faults);
            probe::run(baits, &mut io::stdout());
            sys::processes::exit_now(0)
        }
        Work::Take(take) => {
            drop(faults);
            trial::run(*take)
        }
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let environment: Vec<(String, String)> = task.environment.clone().into_iter().collect();
    let Err(error) = sys::processes::execute(&program, &arguments, &environment);
    if error.raw_os_error() == Some(libc::E2BIG) {
        // The script's own fault, so its answer, and the one that a shell gives.
        let _ = writeln!(io::stderr(), "{program}: the script is too long for one argument");
        sys::processes::exit_now(126);
    }
    tell(&mut faults, &Fault::new(Step::Command, program, error))
}

/// Says what is wrong and ends. Nobody is left to be told when that fails.
fn tell(faults: &mut File, fault: &Fault) -> ! {
    let _ = faults.write_all(&serde_json::to_vec(&refused(fault)).unwrap_or_default());
    sys::processes::exit_now(127)
}

fn prepare(task: &Task, full: Full, standard: Option<&OwnedFd>, output: &OwnedFd) -> Result<(), Fault> {
    let step = Step::Command;
    sys::signals::reset_signals().or_fault(step, "resetting signals")?;
    sys::processes::new_session().or_fault(step, "setsid")?;
    sys::privileges::set_umask(0o022);
    let nothing = File::open("/dev/null").or_fault(step, "/dev/null")?;
    sys::descriptors::place(&standard.map_or(nothing.as_fd(), AsFd::as_fd), 0).or_fault(step, "standard input")?;
    sys::descriptors::place(standard.unwrap_or(output), 1).or_fault(step, "standard output")?;
    sys::descriptors::place(output, 2).or_fault(step, "standard error")?;
    let directory = Path::new(WORKSPACE).join(&task.directory);
    std::env::set_current_dir(&directory).or_fault(step, directory.display().to_string())?;
    go_first()?;
    let file_bytes = if full.bytes { 0 } else { task.limits.file_bytes };
    limit(&TaskLimits { file_bytes, ..task.limits })?;
    if task.refuses_set_id {
        filter::set_id::refuse()?;
    }
    // An engine's own filter may keep the system calls from us. Where nothing may be changed, the mount sees to it.
    if sys::privileges::landlock_version() > 0 {
        let lasting = if full.files { Lasting::NoMore } else { Lasting::Writable };
        rules::confine(lasting, task.limits.is_home_kept)?;
    }
    sys::descriptors::close_others_on_exec().or_fault(step, "close_range")
}

/// Has the kernel kill this process before the launcher when memory is short: what some of it is in has no process, and then
/// any may be chosen. Only a hint, which the kernel takes of a process whose files are its own; none of a command runs yet.
fn go_first() -> Result<(), Fault> {
    sys::privileges::set_dumpable(true).or_fault(Step::Privileges, "prctl(PR_SET_DUMPABLE)")?;
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ);
    sys::privileges::set_dumpable(false).or_fault(Step::Privileges, "prctl(PR_SET_DUMPABLE)")
}

fn limit(limits: &TaskLimits) -> Result<(), Fault> {
    let all = [
        (libc::RLIMIT_CORE, Some(1), "RLIMIT_CORE"),
        (libc::RLIMIT_DATA, limits.polled_memory_bytes, "RLIMIT_DATA"),
        (libc::RLIMIT_FSIZE, Some(limits.file_bytes), "RLIMIT_FSIZE"),
        (libc::RLIMIT_NOFILE, Some(limits.n_open_files), "RLIMIT_NOFILE"),
        (libc::RLIMIT_NPROC, limits.n_processes, "RLIMIT_NPROC"),
    ];
    for (resource, most, name) in all {
        if let Some(most) = most {
            sys::privileges::lower_limit(resource, most).or_fault(Step::Privileges, name)?;
        }
    }
    privileges::limit_cpu(limits.cpu_seconds)
}
