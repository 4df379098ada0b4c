//! The launcher: the innermost layer of every sandbox, and the only crate of Patchwright with `unsafe` code.
//!
//! The `patchwright` binary starts itself again under the name [`NAME`], with an empty environment and a connection as its
//! standard input. Over that comes a [`spec::Spec`], of which it makes namespaces and an allow-listed root, and then any
//! number of [`spec::Run`]s, each of which is a command in there. It knows no model, no forge, no repository and no policy;
//! it is told everything. Once the connection is closed, everything inside is killed.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

pub mod bare;
mod bridge;
pub mod confined;
mod fault;
mod filter;
mod group;
mod init;
pub mod messages;
mod mounts;
mod namespaces;
mod privileges;
pub mod probe;
pub mod resident;
mod rules;
mod session;
pub mod spec;
pub mod status;
mod sys;
pub mod trial;
mod usage;

/// The name (`argv[0]`) under which the binary is the launcher.
pub const NAME: &str = "patchwright-launcher";

/// Becomes the launcher and never returns, if the process was started under [`NAME`]; otherwise does nothing. With
/// [`resident::orders::MODE`] as its argument it is the first process of a container, see [`resident`] also for the others;
/// with [`bare::MODE`] it runs one command without any walls, with [`confined::MODE`] one behind rules on files alone.
///
/// It must be the first call of `main`: no thread may run yet, and nothing may have been printed.
pub fn run_if_launched() {
    let mut arguments = std::env::args_os();
    if arguments.next().is_none_or(|name| Path::new(&name).file_name() != Some(NAME.as_ref())) {
        return;
    }
    let served = match arguments.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some(resident::orders::MODE) => Some(resident::serve()),
        Some(bare::MODE) => Some(bare::serve()),
        Some(confined::MODE) => Some(confined::serve()),
        Some(resident::orders::HOLD) => Some(resident::hold()),
        Some(resident::orders::ATTACHED) => Some(resident::attend_attached()),
        Some(_) | None => None,
    };
    if let Some(served) = served {
        if let Err(fault) = served {
            let _ = io::stderr().write_all(fault.refusal().line().as_bytes());
            sys::processes::exit_now(1);
        }
    } else if let Ok(supervisor) = io::stdin().as_fd().try_clone_to_owned() {
        session::keep(&UnixStream::from(supervisor));
    }
    sys::processes::exit_now(0);
}

/// Has the C library's allocator keep little of what bursts take, in a process that lives long and has many threads. It is to be
/// called before there are any.
pub fn keep_little_memory() {
    sys::memory::keep_little();
}
