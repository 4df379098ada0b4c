//! Descriptors: waiting for them, placing and closing them.

use std::ffi::{c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, no_nul};

/// Waits until something is to be read from one of the descriptors, or its other end is gone; says which.
pub(crate) fn poll<const N: usize>(descriptors: [BorrowedFd<'_>; N]) -> io::Result<[bool; N]> {
    let mut set = descriptors.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    loop {
        // SAFETY: the array lives across the call and its length is the one given.
        match check(c_long::from(unsafe { libc::poll(set.as_mut_ptr(), N as libc::nfds_t, -1) })) {
            Ok(_) => return Ok(set.map(|polled| polled.revents != 0)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes what there is room for just now: nobody may be left to read it.
pub(crate) fn write_now(descriptor: &OwnedFd, bytes: &[u8]) {
    if rustix::fs::fcntl_setfl(descriptor, rustix::fs::OFlags::NONBLOCK).is_ok() {
        let _ = rustix::io::write(descriptor, bytes);
    }
}

/// Reads what is there, and says how much it was; none is the end.
pub(crate) fn read_some(descriptor: &OwnedFd) -> usize {
    let mut buffer = [0_u8; 16];
    // SAFETY: the buffer lives across the call and its length is the one given.
    let n_bytes = unsafe { libc::read(descriptor.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(n_bytes).unwrap_or_default()
}

/// Closes every descriptor but the standard three and these.
///
/// Only for a fresh copy of a process that never returns to what owned the others: their values are never dropped.
pub(crate) fn close_all_but(kept: &[c_int]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().filter_map(|fd| u32::try_from(*fd).ok()).filter(|fd| *fd > 2).collect();
    kept.sort_unstable();
    let mut next = 3;
    for fd in kept {
        if next < fd {
            // SAFETY: see above; nothing uses these descriptors any more.
            check(c_long::from(unsafe { libc::close_range(next, fd - 1, 0) }))?;
        }
        next = fd + 1;
    }
    // SAFETY: as above.
    check(c_long::from(unsafe { libc::close_range(next, u32::MAX, 0) })).map(drop)
}

/// Opens a path below a directory or a detached tree, for writing.
pub(crate) fn open_below(directory: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    let path = no_nul(path)?;
    // SAFETY: the path is a C string that lives across the call; the descriptor returned is ours alone.
    unsafe {
        let fd = libc::openat(directory.as_raw_fd(), path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        Ok(OwnedFd::from_raw_fd(check(c_long::from(fd))? as c_int))
    }
}

/// Makes `number` a copy of `descriptor`.
pub(crate) fn place(descriptor: &impl AsRawFd, number: c_int) -> io::Result<()> {
    // SAFETY: only 0, 1 and 2 are placed, which no value of ours owns.
    check(c_long::from(unsafe { libc::dup2(descriptor.as_raw_fd(), number) })).map(drop)
}

/// Marks every descriptor but the standard three to be closed by exec.
pub(crate) fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: nothing is closed here; the mark takes effect only when this program is replaced.
    match check(c_long::from(unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as c_int) })) {
        // gVisor's kernel knows the call without the flag, and older ones not even that.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {}
        done => return done.map(drop),
    }
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<c_int>().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            // SAFETY: only numbers are passed; the descriptor of the listing itself is among them.
            check(c_long::from(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }))?;
        }
    }
    Ok(())
}

/// As [`poll`], for descriptors some of which may be gone, and for so many milliseconds only; -1 waits for ever.
pub(crate) fn poll_for<const N: usize>(descriptors: [Option<BorrowedFd<'_>>; N], ms: c_int) -> io::Result<[bool; N]> {
    let number = |fd: Option<BorrowedFd<'_>>| fd.map_or(-1, |fd| fd.as_raw_fd());
    let mut set = descriptors.map(|fd| libc::pollfd { fd: number(fd), events: libc::POLLIN, revents: 0 });
    loop {
        // SAFETY: the array lives across the call and its length is the one given; the kernel skips negative numbers.
        match check(c_long::from(unsafe { libc::poll(set.as_mut_ptr(), N as libc::nfds_t, ms) })) {
            Ok(_) => return Ok(set.map(|polled| polled.revents != 0)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
