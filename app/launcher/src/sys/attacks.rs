//! Calls that must fail inside, for the probe.

use std::ffi::c_void;
use std::io;
use std::ptr;

use super::check;

/// Tries a system call that takes up to three numbers, for the probe's attacks.
///
/// Safe because every call that the probe names takes numbers or null pointers, which the kernel checks.
pub(crate) fn attempt(attack: Attack) -> io::Result<()> {
    let null = ptr::null::<c_void>();
    // SAFETY: only numbers and null or static pointers are passed; what a call makes is left to the end of the process.
    check(unsafe {
        match attack {
            Attack::UserNamespace => libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER),
            Attack::Mount => libc::syscall(libc::SYS_mount, c"none".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, null),
            Attack::VirtualSocket => libc::syscall(libc::SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM, 0),
            Attack::IoUring => libc::syscall(libc::SYS_io_uring_setup, 1, null),
            Attack::BecomeRoot => libc::syscall(libc::SYS_setresuid, 0, 0, 0),
            Attack::SharedMemory => libc::syscall(libc::SYS_shmget, libc::IPC_PRIVATE, 4096, 0o600),
        }
    })
    .map(drop)
}

/// A system call that must fail inside.
#[derive(Clone, Copy)]
pub(crate) enum Attack {
    UserNamespace,
    Mount,
    VirtualSocket,
    IoUring,
    BecomeRoot,
    SharedMemory,
}
