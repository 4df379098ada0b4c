//! Signals that are waited for, and their defaults for programs.

use std::ffi::{c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::check;

/// Blocks `SIGCHLD` and returns a descriptor that becomes readable when one is due.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: a zeroed signal set is valid memory, which sigemptyset then makes a valid set; both live across the calls.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(c_long::from(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut())))?;
        let fd = check(c_long::from(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Reads the pending notices away, so that the next poll waits.
pub(crate) fn drain(signals: &OwnedFd) {
    let mut buffer = [0_u8; 1024];
    // SAFETY: the buffer lives across the call and its length is the one given; the descriptor does not block.
    while unsafe { libc::read(signals.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) } > 0 {}
}

/// Gives every signal its default effect and unblocks all, as a program expects to be started.
pub(crate) fn reset_signals() -> io::Result<()> {
    // SAFETY: only default dispositions are set, and the signal set is made by sigemptyset before it is used.
    unsafe {
        for signal in 1..=64 {
            // Some numbers cannot be set; those have their default already.
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        check(c_long::from(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()))).map(drop)
    }
}

/// Blocks the signals by which a container is asked to end, and `SIGCHLD`, and returns a descriptor that tells of them.
pub(crate) fn ending_signals() -> io::Result<OwnedFd> {
    // SAFETY: a zeroed signal set is valid memory, which sigemptyset then makes a valid set; both live across the calls.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT] {
            libc::sigaddset(&raw mut set, signal);
        }
        check(c_long::from(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut())))?;
        let fd = check(c_long::from(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Reads the notices of [`ending_signals`] away and says whether one of them came from outside and asked for the end.
pub(crate) fn is_asked_to_end(signals: &OwnedFd) -> bool {
    let mut is_asked = false;
    loop {
        // SAFETY: a zeroed structure is valid memory for the kernel to fill, and its size is the one given; the descriptor
        // does not block.
        let told = unsafe {
            let mut told: libc::signalfd_siginfo = std::mem::zeroed();
            let size = size_of::<libc::signalfd_siginfo>();
            (libc::read(signals.as_raw_fd(), (&raw mut told).cast(), size) == size as isize).then_some(told)
        };
        match told {
            // A process of this namespace has a number here; one outside of it has none.
            Some(told) => is_asked |= told.ssi_signo != libc::SIGCHLD as u32 && told.ssi_pid == 0,
            None => return is_asked,
        }
    }
}
