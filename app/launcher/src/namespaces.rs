//! The namespaces of one command, and the identity inside them.

use std::os::fd::OwnedFd;

use crate::fault::{Fault, OrFault, Step};
use crate::sys;

const NAMESPACES: i32 =
    libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;

/// Which side of the wall this process is on.
pub(crate) enum Side {
    /// The first process inside.
    Inside,
    /// The process that watches it.
    Outside {
        /// The first process inside, as the host numbers it.
        init: i32,
        /// A handle to it that no other process can take over.
        pidfd: OwnedFd,
    },
}

/// Starts the first process in namespaces of its own. Unless we are root, a user namespace is made with them.
pub(crate) fn enter() -> Result<Side, Fault> {
    let flags = if sys::is_root() { NAMESPACES } else { NAMESPACES | libc::CLONE_NEWUSER };
    match sys::clone_process(flags).or_fault(Step::Namespaces, "clone")? {
        None => Ok(Side::Inside),
        Some((init, pidfd)) => Ok(Side::Outside { init, pidfd }),
    }
}

/// Finishes what only the inside can do: maps the user, names the host, brings the loopback up.
pub(crate) fn settle(outer: sys::Ids, uid: u32, gid: u32) -> Result<(), Fault> {
    if outer.uid != 0 {
        map_identity(outer, uid, gid)?;
    }
    sys::set_hostname("sandbox").or_fault(Step::Namespaces, "sethostname")?;
    sys::loopback_up().or_fault(Step::Network, "bringing lo up")
}

/// Maps one user and one group into the user namespace that this process has just entered.
pub(crate) fn map_identity(outer: sys::Ids, uid: u32, gid: u32) -> Result<(), Fault> {
    let write = |file: &str, text: String| std::fs::write(file, text).or_fault(Step::Identity, file);
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{uid} {} 1", outer.uid))?;
    write("/proc/self/gid_map", format!("{gid} {} 1", outer.gid))
}
