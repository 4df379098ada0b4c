//! Small attacks on walls that are rules on files alone, run inside in place of a command: what holds is found by trying.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, kill_process};

use crate::confined::Confined;
use crate::probe::{Baits, Finding, refused};
use crate::sys::{self, attacks::Attack};

/// How many findings a whole probe has; fewer mean that it did not come to its end.
pub const N_FINDINGS: usize = 10;

/// What of a process only those may open that may look into it.
const OF_PROCESS: [&str; 8] = ["environ", "maps", "mem", "fd", "cwd/.", "root/.", "exe", "cmdline"];

/// Tries every layer and prints one JSON line each.
pub(crate) fn run(confined: &Confined, baits: &Baits, out: &mut impl Write) {
    let parent = std::os::unix::process::parent_id();
    let others = [confined.server, parent];
    let checks: [(&str, Result<(), String>); N_FINDINGS] = [
        ("rules on files (Landlock)", files(baits)),
        ("private workspace, temporary folder and home", writable(confined)),
        ("nobody else's /proc", looks(&others)),
        ("no signals to others", signals(&others)),
        ("no sockets", sockets(baits)),
        ("no objects of the machine", refused(Attack::SharedMemory)),
        ("no namespaces", refused(Attack::UserNamespace)),
        ("no mounts", refused(Attack::Mount)),
        ("system-call filter", refused(Attack::VirtualSocket).and_then(|()| refused(Attack::IoUring))),
        ("no privileges", privileges(confined)),
    ];
    for (layer, found) in checks {
        let finding = Finding { layer: layer.to_owned(), broken: found.err() };
        let line = serde_json::to_string(&finding).unwrap_or_default();
        // A lost line is a layer that was not found to hold.
        let _ = writeln!(out, "{line}");
    }
}

/// A file outside that its mode lets everybody read and write, and a folder in which everybody may make one.
fn files(baits: &Baits) -> Result<(), String> {
    let folder = baits.file.parent().unwrap_or(Path::new("/"));
    denied(&baits.file.display().to_string(), File::open(&baits.file))?;
    denied(&baits.file.display().to_string(), OpenOptions::new().write(true).open(&baits.file))?;
    denied("a new file beside it", File::create_new(folder.join(".patchwright-probe")))?;
    denied(&folder.display().to_string(), fs::read_dir(folder))?;
    denied("removing it", fs::remove_file(&baits.file))?;
    denied("/", fs::read_dir("/"))?;
    denied("/proc", fs::read_dir("/proc"))
}

fn writable(confined: &Confined) -> Result<(), String> {
    for folder in &confined.write {
        let file = folder.join(".patchwright-probe");
        let done = fs::write(&file, b"x").and_then(|()| fs::remove_file(&file));
        done.map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(())
}

fn looks(processes: &[u32]) -> Result<(), String> {
    for process in processes {
        for name in OF_PROCESS {
            let path = format!("/proc/{process}/{name}");
            denied(&path, File::open(&path))?;
        }
    }
    Ok(())
}

fn signals(processes: &[u32]) -> Result<(), String> {
    for process in processes {
        let pid = i32::try_from(*process).ok().and_then(Pid::from_raw).ok_or_else(|| format!("{process} is no process"))?;
        // One that does nothing to a process which goes on.
        match kill_process(pid, Signal::CONT) {
            Err(Errno::PERM) => {}
            Err(error) => return Err(format!("a signal to process {process} is refused for another reason: {error}")),
            Ok(()) => return Err(format!("process {process} was sent a signal")),
        }
    }
    Ok(())
}

fn sockets(baits: &Baits) -> Result<(), String> {
    denied("the host's loopback", TcpStream::connect(("127.0.0.1", baits.port)))?;
    denied("a Unix socket", std::os::unix::net::UnixStream::connect("/patchwright-probe"))?;
    let pair = |kind| socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(std::io::Error::from);
    denied("a pair of datagram sockets", pair(SocketType::DGRAM))?;
    pair(SocketType::STREAM).map(drop).map_err(|error| format!("a pair of streams: {error}"))
}

fn privileges(confined: &Confined) -> Result<(), String> {
    // In a user namespace there may be no root to become.
    refused(Attack::BecomeRoot).or_else(|found| if found.contains("Invalid argument") { Ok(()) } else { Err(found) })?;
    if !sys::privileges::are_new_privileges_forbidden() {
        return Err("programs may give privileges".to_owned());
    }
    let Some(folder) = confined.write.first() else { return Ok(()) };
    match std::os::unix::fs::chown(folder, Some(0), None) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EINVAL)) => Ok(()),
        Err(error) => Err(format!("giving a file to root is refused for another reason: {error}")),
        Ok(()) => Err("a file was given to root".to_owned()),
    }
}

fn denied<T>(what: &str, tried: Result<T, std::io::Error>) -> Result<(), String> {
    match tried {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(format!("{what} is refused for another reason: {error}")),
        Ok(_) => Err(format!("{what} can be opened or made")),
    }
}
