//! Giving everything up: the user, the capabilities, the right to gain any, and more than the limits allow.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, fchown};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::fault::{Fault, OrFault, Step};
use crate::spec::{Limits, Spec};
use crate::{mounts, namespaces, sys};

/// How long a process may still compute after it was told that its processor time is over.
const CPU_GRACE_SECONDS: u64 = 2;
/// One command gets this part of what the kernel lets one user have.
const SHARE_OF_COUNTERS: u64 = 4;

/// Drops every privilege over the sandbox that was just built.
///
/// The last user namespace owns none of the mounts and none of the other namespaces, so even a capability regained in it
/// would move nothing; it also gives the command a process count of its own.
pub(crate) fn drop_all(spec: &Spec, proc: &mounts::Proc, output: &OwnedFd) -> Result<(), Fault> {
    let step = Step::Privileges;
    // One byte, not none: a limit of zero still starts the core handler of the host, as root and outside. A server that was
    // itself started with zero may lack the privilege to raise it; then zero is the best that there is.
    let _ = sys::privileges::set_limit(libc::RLIMIT_CORE, 1);
    if sys::privileges::is_root() {
        give_output(output, spec.uid, spec.gid);
        sys::privileges::become_user(spec.uid, spec.gid).or_fault(step, format!("changing to user {}", spec.uid))?;
    }
    sys::namespaces::unshare(libc::CLONE_NEWUSER).or_fault(step, "the inner user namespace")?;
    // Changing the user made /proc/self root's own; the maps could not be written. No other process is inside yet.
    sys::privileges::set_dumpable(true).or_fault(step, "prctl(PR_SET_DUMPABLE)")?;
    namespaces::map_identity(sys::privileges::Ids { uid: spec.uid, gid: spec.gid }, spec.uid, spec.gid)?;
    sys::privileges::set_dumpable(false).or_fault(step, "prctl(PR_SET_DUMPABLE)")?;
    bound_counters(proc);
    limit(&spec.limits)?;
    sys::capabilities::drop_capabilities().or_fault(step, "dropping capabilities")?;
    sys::privileges::forbid_new_privileges().or_fault(step, "prctl(PR_SET_NO_NEW_PRIVS)")
}

/// Makes the pipe that the command prints to the command's own: what is root's could not be opened again by `/dev/stdout`
/// and `/dev/stderr`, which scripts do. Quiet, because a command that does not do so works all the same.
pub(crate) fn give_output(output: &impl AsFd, uid: u32, gid: u32) {
    let Ok(output) = output.as_fd().try_clone_to_owned().map(File::from) else { return };
    // A file would be the host's, and stay the host's.
    if output.metadata().is_ok_and(|found| found.file_type().is_fifo()) {
        let _ = fchown(&output, Some(uid), Some(gid));
    }
}

/// Sets how many user namespaces can be made below this one to none, and leaves most of what the kernel counts by user to
/// the other commands that run as the same user at the time.
///
/// Second belts, hence quiet where a kernel refuses them: namespaces are forbidden by the system-call filter already.
fn bound_counters(proc: &mounts::Proc) {
    let set = |name: &str, most: u64| {
        let _ = proc.open_for_writing(name).and_then(|file| File::from(file).write_all(most.to_string().as_bytes()));
    };
    set("sys/user/max_user_namespaces", 0);
    for kind in ["instances", "watches"] {
        let all = std::fs::read_to_string(format!("/proc/sys/fs/inotify/max_user_{kind}"));
        if let Some(all) = all.ok().and_then(|all| all.trim().parse::<u64>().ok()) {
            set(&format!("sys/user/max_inotify_{kind}"), (all / SHARE_OF_COUNTERS).max(1));
        }
    }
}

fn limit(limits: &Limits) -> Result<(), Fault> {
    let all = [
        (libc::RLIMIT_CORE, 1, "RLIMIT_CORE"),
        (libc::RLIMIT_FSIZE, limits.file_bytes, "RLIMIT_FSIZE"),
        (libc::RLIMIT_NOFILE, limits.n_open_files, "RLIMIT_NOFILE"),
        (libc::RLIMIT_NPROC, limits.n_processes, "RLIMIT_NPROC"),
        (libc::RLIMIT_DATA, limits.memory_bytes, "RLIMIT_DATA"),
    ];
    for (resource, most, name) in all {
        sys::privileges::lower_limit(resource, most).or_fault(Step::Privileges, name)?;
    }
    limit_cpu(limits.cpu_seconds)
}

/// Limits the processor time of each process: the kernel first sends a signal that tells why, and kills a little later.
pub(crate) fn limit_cpu(seconds: u64) -> Result<(), Fault> {
    let limited = sys::privileges::lower_limit(libc::RLIMIT_CPU, seconds.saturating_add(CPU_GRACE_SECONDS))
        .and_then(|()| sys::privileges::lower_soft_limit(libc::RLIMIT_CPU, seconds));
    limited.or_fault(Step::Privileges, "RLIMIT_CPU")
}

/// Whether a command ended because it, or what its shell waited for, wrote more to a file than it may.
pub(crate) fn has_written_too_much(end: ExitStatus) -> bool {
    /// What a shell adds to a signal's number to make an exit code of it.
    const OF_SHELL: i32 = 128;
    end.signal() == Some(libc::SIGXFSZ) || end.code() == Some(OF_SHELL + libc::SIGXFSZ)
}
