//! Who this process is and what it may: users, capabilities, limits, rules.

use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::io;
use std::ptr;

use super::check;

/// A user and its group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

pub(crate) fn ids() -> Ids {
    // SAFETY: these calls only read numbers and cannot fail.
    unsafe { Ids { uid: libc::geteuid(), gid: libc::getegid() } }
}

pub(crate) fn is_root() -> bool {
    ids().uid == 0
}

/// Becomes a user of the host, for good: real, effective and saved ids change, and no further group is kept.
pub(crate) fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: only numbers are passed, and one thread means that no other keeps the old identity.
    unsafe {
        check(c_long::from(libc::setgroups(0, ptr::null())))?;
        check(c_long::from(libc::setresgid(gid, gid, gid)))?;
        check(c_long::from(libc::setresuid(uid, uid, uid))).map(drop)
    }
}

/// Says whether processes of the same user may look into this one.
pub(crate) fn set_dumpable(dumpable: bool) -> io::Result<()> {
    // SAFETY: only numbers are passed.
    check(c_long::from(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, c_ulong::from(dumpable), 0, 0, 0) })).map(drop)
}

pub(crate) fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: only numbers are passed.
    check(c_long::from(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })).map(drop)
}

/// Whether no program that this process starts can give it privileges.
pub(crate) fn are_new_privileges_forbidden() -> bool {
    // SAFETY: only numbers are passed.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 }
}

#[cfg(target_env = "gnu")]
pub(crate) type Resource = libc::__rlimit_resource_t;

#[cfg(not(target_env = "gnu"))]
pub(crate) type Resource = c_int;

/// Lowers a limit for good; one that is already lower stays.
pub(crate) fn lower_limit(resource: Resource, most: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives across the call.
    check(c_long::from(unsafe { libc::getrlimit(resource, &raw mut now) }))?;
    set_limit(resource, now.rlim_max.min(most))
}

/// Lowers the softer limit, at which the kernel warns.
pub(crate) fn lower_soft_limit(resource: Resource, most: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives across both calls.
    unsafe {
        check(c_long::from(libc::getrlimit(resource, &raw mut limit)))?;
        limit.rlim_cur = limit.rlim_max.min(most);
        check(c_long::from(libc::setrlimit(resource, &raw const limit))).map(drop)
    }
}

/// Sets a limit for good; raising one takes a privilege.
pub(crate) fn set_limit(resource: Resource, most: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the structure lives across the call.
    check(c_long::from(unsafe { libc::setrlimit(resource, &raw const limit) })).map(drop)
}

pub(crate) fn set_umask(mask: u32) {
    // SAFETY: only a number is passed, and the call cannot fail.
    unsafe { libc::umask(mask) };
}

/// Which version of Landlock the kernel has in force; none is 0.
pub(crate) fn landlock_version() -> u32 {
    const LANDLOCK_CREATE_RULESET_VERSION: c_int = 1;
    let none = ptr::null::<c_void>();
    // SAFETY: with this flag nothing is made and no memory is looked at.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, LANDLOCK_CREATE_RULESET_VERSION) };
    u32::try_from(version).unwrap_or_default()
}
