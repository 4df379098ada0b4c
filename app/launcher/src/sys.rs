//! The system calls that the standard library lacks, each behind a safe function. All `unsafe` of Patchwright is here.
//!
//! The launcher has one thread from its start to its end; several functions below rely on that.

use std::ffi::{CString, c_long};
use std::io;

pub(crate) mod attacks;
pub(crate) mod capabilities;
pub(crate) mod descriptors;
pub(crate) mod memory;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod privileges;
pub(crate) mod processes;
pub(crate) mod signals;

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn no_nul(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}
