//! Starting processes, waiting for them and ending them, and becoming another program.

use std::convert::Infallible;
use std::ffi::{CString, c_char, c_int, c_long, c_ulong, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;

use super::{check, no_nul};

pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; no destructor of ours has to run.
    unsafe { libc::_exit(code) }
}

/// Starts a copy of this process in new namespaces; `None` in the copy, its id and a pidfd in the original.
pub(crate) fn clone_process(namespaces: c_int) -> io::Result<Option<(i32, OwnedFd)>> {
    let mut pidfd: c_int = -1;
    let flags = c_ulong::from((namespaces | libc::CLONE_PIDFD | libc::SIGCHLD).cast_unsigned());
    let none = ptr::null_mut::<c_void>();
    // SAFETY: without CLONE_VM and with no stack given this is a fork: the copy has its own memory and goes on here. There
    // is one thread, so no lock is held by a thread that the copy lacks. The kernel writes the pidfd into our variable.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut pidfd, none, none) };
    match check(pid)? {
        0 => Ok(None),
        // SAFETY: the kernel has just made this descriptor for us, and nothing else owns it.
        pid => Ok(Some((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))),
    }
}

/// As [`clone_process`], with the copy born in a control group, whose directory is given.
pub(crate) fn clone_into_group(namespaces: c_int, group: BorrowedFd<'_>) -> io::Result<Option<(i32, OwnedFd)>> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    /// The arguments of `clone3(2)`, as far as kernels know them that can do this.
    #[repr(C)]
    #[derive(Default)]
    struct Arguments {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    let mut pidfd: c_int = -1;
    let arguments = Arguments {
        flags: u64::from((namespaces | libc::CLONE_PIDFD).cast_unsigned()) | CLONE_INTO_CGROUP,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: group.as_raw_fd() as u64,
        ..Arguments::default()
    };
    // SAFETY: as above; the arguments live across the call, and their size is the one given.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<Arguments>()) };
    match check(pid)? {
        0 => Ok(None),
        // SAFETY: the kernel has just made this descriptor for us, and nothing else owns it.
        pid => Ok(Some((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))),
    }
}

/// Starts a copy of this process; `None` in the copy.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: there is one thread, so the copy may do whatever the original may.
    let pid = check(c_long::from(unsafe { libc::fork() }))?;
    Ok((pid != 0).then_some(pid as i32))
}

/// Waits for any child that has ended, without blocking; `None` when none has.
pub(crate) fn reap_one() -> io::Result<Option<(i32, ExitStatus)>> {
    let mut status = 0;
    // SAFETY: the kernel writes the status into our variable.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    Ok(match check(c_long::from(pid))? {
        0 => None,
        pid => Some((pid as i32, ExitStatus::from_raw(status))),
    })
}

/// Waits for one child to end.
pub(crate) fn wait_for(pid: i32) -> io::Result<ExitStatus> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes the status into our variable.
        match check(c_long::from(unsafe { libc::waitpid(pid, &raw mut status, 0) })) {
            Ok(_) => return Ok(ExitStatus::from_raw(status)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn pidfd_kill(pidfd: &OwnedFd) -> io::Result<()> {
    let no_info = ptr::null::<c_void>();
    // SAFETY: the descriptor is open, and no signal information is passed.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, no_info, 0) }).map(drop)
}

/// Starts a session without a terminal, in its own process group.
pub(crate) fn new_session() -> io::Result<()> {
    // SAFETY: no arguments.
    check(c_long::from(unsafe { libc::setsid() })).map(drop)
}

/// Becomes another program; returns only to say why not.
pub(crate) fn execute(program: &str, arguments: &[&str], environment: &[(String, String)]) -> io::Result<Infallible> {
    let program = no_nul(program)?;
    let arguments = arguments.iter().map(|text| no_nul(text)).collect::<io::Result<Vec<_>>>()?;
    let environment =
        environment.iter().map(|(name, value)| no_nul(&format!("{name}={value}"))).collect::<io::Result<Vec<_>>>()?;
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments_, environment_) = (pointers(&arguments), pointers(&environment));
    // SAFETY: both arrays end with a null pointer and point to C strings that live across the call.
    unsafe { libc::execve(program.as_ptr(), arguments_.as_ptr(), environment_.as_ptr()) };
    Err(io::Error::last_os_error())
}

/// Sends a signal to every process of this namespace but the first and this one; that there is none is no error.
pub(crate) fn signal_everyone(signal: c_int) {
    // SAFETY: only numbers are passed.
    unsafe { libc::kill(-1, signal) };
}

/// Waits for any child to end; an error when there is none.
pub(crate) fn reap_next() -> io::Result<i32> {
    loop {
        // SAFETY: no status is asked for, which a null pointer says.
        match check(c_long::from(unsafe { libc::waitpid(-1, ptr::null_mut(), 0) })) {
            Ok(pid) => return Ok(pid as i32),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes this process the parent of what its descendants leave behind.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    // SAFETY: only numbers are passed.
    check(c_long::from(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })).map(drop)
}
