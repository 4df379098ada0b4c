//! Namespaces, and what belongs to one of names or of the network.

use std::ffi::{c_char, c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::check;

pub(crate) fn set_hostname(name: &str) -> io::Result<()> {
    // SAFETY: the bytes live across the call and their length is the one given.
    check(c_long::from(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })).map(drop)
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    // SAFETY: the request is zeroed, which is valid for it, and lives across the call; the socket is ours alone.
    unsafe {
        let socket = check(c_long::from(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)))?;
        let socket = OwnedFd::from_raw_fd(socket as c_int);
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as c_char;
        request.ifr_name[1] = b'o' as c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
        check(c_long::from(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request))).map(drop)
    }
}

/// Enters new namespaces; there is one thread, so none is left behind in the old ones.
pub(crate) fn unshare(namespaces: c_int) -> io::Result<()> {
    // SAFETY: only a number is passed.
    check(c_long::from(unsafe { libc::unshare(namespaces) })).map(drop)
}
