//! The capabilities of this process and of the programs that it may start, of which none are kept.

use std::ffi::{c_int, c_long};
use std::io;

use super::check;

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Empties all five capability sets.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    empty_bounding_set()?;
    give_up_capabilities()
}

/// Takes every capability out of what a program could give; it takes a privilege itself.
pub(crate) fn empty_bounding_set() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: only numbers are passed.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            let error = io::Error::last_os_error();
            // The first number that the kernel does not know ends the list.
            return if error.raw_os_error() == Some(libc::EINVAL) { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

/// Empties the sets of what this process has and could take back by itself.
pub(crate) fn give_up_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    let header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    let none = [0_u32; 6];
    // SAFETY: the header and the six empty words (two sets of three) have the layout of that version, and live across the
    // call; the rest are numbers.
    unsafe {
        check(c_long::from(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)))?;
        check(libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr())).map(drop)
    }
}
