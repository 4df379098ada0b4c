//! The namespaces of a sandbox and those of each command in it, and the identity inside them.

use crate::fault::{Fault, OrFault, Step};
use crate::spec::{Run, Spec};
use crate::sys;

/// What all commands of a sandbox share.
const OF_SANDBOX: i32 = libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// What each command has for itself: its processes, and a copy of the mounts in which `/proc` shows them alone.
const OF_COMMAND: i32 = libc::CLONE_NEWPID | libc::CLONE_NEWNS;

/// Enters the sandbox's namespaces. Unless we are root, a user namespace is made with them.
pub(crate) fn enter(spec: &Spec) -> Result<(), Fault> {
    let outer = sys::privileges::ids();
    let user = if outer.uid == 0 { 0 } else { libc::CLONE_NEWUSER };
    sys::namespaces::unshare(OF_SANDBOX | user).or_fault(Step::Namespaces, "unshare")?;
    if outer.uid != 0 {
        map_identity(outer, spec.uid, spec.gid)?;
    }
    // As much System V shared memory as in one of the other private places. Only root can say so; what there is is counted.
    let n_pages = spec.limits.tmp_bytes / rustix::param::page_size() as u64;
    let _ = std::fs::write("/proc/sys/kernel/shmall", n_pages.to_string());
    sys::namespaces::set_hostname("sandbox").or_fault(Step::Namespaces, "sethostname")?;
    sys::namespaces::loopback_up().or_fault(Step::Network, "bringing lo up")
}

/// The namespaces that are made for a command.
pub(crate) fn of_command(run: &Run) -> i32 {
    if run.is_apart { OF_COMMAND | libc::CLONE_NEWNET | libc::CLONE_NEWIPC } else { OF_COMMAND }
}

/// Finishes what only the inside of a command's namespaces can do.
pub(crate) fn settle(run: &Run) -> Result<(), Fault> {
    // Its root is the group that this process is in, so it cannot be made together with those that clone makes.
    sys::namespaces::unshare(libc::CLONE_NEWCGROUP).or_fault(Step::Namespaces, "unshare")?;
    if run.is_apart { sys::namespaces::loopback_up().or_fault(Step::Network, "bringing lo up") } else { Ok(()) }
}

/// Maps one user and one group into the user namespace that this process has just entered.
pub(crate) fn map_identity(outer: sys::privileges::Ids, uid: u32, gid: u32) -> Result<(), Fault> {
    let write = |file: &str, text: String| std::fs::write(file, text).or_fault(Step::Identity, file);
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{uid} {} 1", outer.uid))?;
    write("/proc/self/gid_map", format!("{gid} {} 1", outer.gid))
}
