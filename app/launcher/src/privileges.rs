//! Giving everything up: the user, the capabilities, the right to gain any, and more than the limits allow.

use std::fs::File;
use std::io::Write;

use crate::fault::{Fault, OrFault, Step};
use crate::spec::{Limits, Spec};
use crate::{mounts, namespaces, sys};

/// How long a process may still compute after it was told that its processor time is over.
const CPU_GRACE_SECONDS: u64 = 2;

/// Drops every privilege over the sandbox that was just built.
///
/// The last user namespace owns none of the mounts and none of the other namespaces, so even a capability regained in it
/// would move nothing; it also gives the command a process count of its own.
pub(crate) fn drop_all(spec: &Spec, proc: &mounts::Proc) -> Result<(), Fault> {
    let step = Step::Privileges;
    // One byte, not none: a limit of zero still starts the core handler of the host, as root and outside. A server that was
    // itself started with zero may lack the privilege to raise it; then zero is the best that there is.
    let _ = sys::set_limit(libc::RLIMIT_CORE, 1);
    if sys::is_root() {
        sys::become_user(spec.uid, spec.gid).or_fault(step, format!("changing to user {}", spec.uid))?;
    }
    sys::unshare(libc::CLONE_NEWUSER).or_fault(step, "the inner user namespace")?;
    // Changing the user made /proc/self root's own; the maps could not be written. No other process is inside yet.
    sys::set_dumpable(true).or_fault(step, "prctl(PR_SET_DUMPABLE)")?;
    namespaces::map_identity(sys::Ids { uid: spec.uid, gid: spec.gid }, spec.uid, spec.gid)?;
    sys::set_dumpable(false).or_fault(step, "prctl(PR_SET_DUMPABLE)")?;
    limit_shared_memory(spec, proc);
    forbid_user_namespaces(proc);
    limit(&spec.limits)?;
    sys::drop_capabilities().or_fault(step, "dropping capabilities")?;
    sys::forbid_new_privileges().or_fault(step, "prctl(PR_SET_NO_NEW_PRIVS)")
}

/// Sets how much System V shared memory there may be, as much as in the other private places.
///
/// Quiet where a kernel refuses it: what processes map of it is counted.
fn limit_shared_memory(spec: &Spec, proc: &mounts::Proc) {
    let n_pages = (spec.limits.tmp_bytes / rustix::param::page_size() as u64).to_string();
    let _ = proc.open_for_writing("sys/kernel/shmall").and_then(|file| File::from(file).write_all(n_pages.as_bytes()));
}

/// Sets the number of user namespaces that can be made below this one to none.
///
/// A second belt, hence quiet where a kernel refuses it: the system-call filter already forbids them, and the probe tries.
fn forbid_user_namespaces(proc: &mounts::Proc) {
    let _ = proc.open_for_writing("sys/user/max_user_namespaces").and_then(|file| File::from(file).write_all(b"0"));
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
        sys::lower_limit(resource, most).or_fault(Step::Privileges, name)?;
    }
    // The kernel first sends a signal that tells why, and kills at the harder limit.
    sys::lower_limit(libc::RLIMIT_CPU, limits.cpu_seconds.saturating_add(CPU_GRACE_SECONDS))
        .or_fault(Step::Privileges, "RLIMIT_CPU")?;
    sys::lower_soft_limit(libc::RLIMIT_CPU, limits.cpu_seconds).or_fault(Step::Privileges, "RLIMIT_CPU")?;
    Ok(())
}
