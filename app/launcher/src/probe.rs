//! Small attacks and checks, run inside in place of a command: what holds is found by trying.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::resident::orders::HOLD;
use crate::spec::{HOME, WORKSPACE};
use crate::sys;
use crate::sys::attacks::Attack;

/// Things of the host that must be out of reach.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baits {
    /// A file that exists on the host, outside the workspace.
    pub file: PathBuf,
    /// A port of the host's loopback that accepts connections.
    pub port: u16,
}

/// How many findings a whole probe has; fewer mean that it did not come to its end.
pub const N_FINDINGS: usize = 10;

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The layer that was tried.
    pub layer: String,
    /// What is wrong with it; `None` when it holds.
    pub broken: Option<String>,
}

/// Tries every layer and prints one JSON line each.
pub(crate) fn run(baits: &Baits, out: &mut impl Write) {
    let checks: [(&str, Result<(), String>); N_FINDINGS] = [
        ("allow-listed root", root(baits)),
        ("private workspace, /tmp and home", writable()),
        ("pid namespace", processes()),
        ("network namespace", no_network(baits)),
        ("own loopback", loopback()),
        ("no nested user namespace", refused(Attack::UserNamespace)),
        ("no mounts", refused(Attack::Mount)),
        ("system-call filter", refused(Attack::VirtualSocket).and_then(|()| refused(Attack::IoUring))),
        ("no privileges", privileges()),
        (landlock(), rules()),
    ];
    for (layer, found) in checks {
        let finding = Finding { layer: layer.to_owned(), broken: found.err() };
        let line = serde_json::to_string(&finding).unwrap_or_default();
        // A lost line is a layer that was not found to hold.
        let _ = writeln!(out, "{line}");
    }
}

fn root(baits: &Baits) -> Result<(), String> {
    if baits.file.exists() {
        return Err(format!("{} can be seen", baits.file.display()));
    }
    for path in ["/patchwright", "/usr/patchwright", "/etc/patchwright", "/proc/sys/kernel/hostname"] {
        if fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).is_ok() {
            return Err(format!("{path} can be written"));
        }
    }
    Ok(())
}

fn writable() -> Result<(), String> {
    for directory in [WORKSPACE, "/tmp", HOME] {
        let file = format!("{directory}/.patchwright-probe");
        fs::write(&file, b"x").and_then(|()| fs::remove_file(&file)).map_err(|error| format!("{directory}: {error}"))?;
    }
    Ok(())
}

/// Whether the launcher is beside the first process and not that itself.
fn is_attached() -> bool {
    let first = fs::read("/proc/1/cmdline").unwrap_or_default();
    std::os::unix::process::parent_id() != 1 && first.split(|byte| *byte == 0).any(|part| part == HOLD.as_bytes())
}

fn landlock() -> &'static str {
    if sys::privileges::landlock_version() == 0 { "no Landlock in this kernel" } else { "Landlock" }
}

fn processes() -> Result<(), String> {
    let parent = std::os::unix::process::parent_id();
    if parent != 1 && !is_attached() {
        return Err("the first process is not the launcher's".to_owned());
    }
    let n_expected = if is_attached() { 3 } else { 2 };
    let numbers = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let n_processes = numbers.flatten().filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).count();
    if n_processes != n_expected {
        return Err(format!("{n_processes} processes are visible, not {n_expected}"));
    }
    // Where Linux guards both alike, gVisor shows everybody's environment; there is nothing in it but what the engine sets.
    let files = if tells_as_linux_does() { ["environ", "mem"].as_slice() } else { &["mem"] };
    let paths = [1, parent].into_iter().flat_map(|process| files.iter().map(move |file| format!("/proc/{process}/{file}")));
    match paths.into_iter().find(|path| fs::File::open(path).is_ok()) {
        Some(path) => Err(format!("{path} can be read: the launcher can be looked into")),
        None => Ok(()),
    }
}

/// Whether a process is told all about itself by `/proc`, or only what gVisor's kernel tells.
fn tells_as_linux_does() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("NoNewPrivs:"))
}

fn no_network(baits: &Baits) -> Result<(), String> {
    match TcpStream::connect(("127.0.0.1", baits.port)) {
        Ok(_) => Err("the host's loopback can be reached".to_owned()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(format!("loopback: {error}")),
    }
}

fn loopback() -> Result<(), String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| format!("bind: {error}"))?;
    let address = listener.local_addr().map_err(|error| format!("bind: {error}"))?;
    TcpStream::connect(address).map(drop).map_err(|error| format!("connect: {error}"))
}

/// Programs start from anywhere but `/dev`, which nothing else than the rules on files sees to.
fn rules() -> Result<(), String> {
    if sys::privileges::landlock_version() == 0 {
        return Ok(());
    }
    let program = "/dev/shm/.patchwright-probe";
    let written =
        fs::write(program, "#!/bin/sh\nexit 0\n").and_then(|()| fs::set_permissions(program, PermissionsExt::from_mode(0o755)));
    written.map_err(|error| format!("{program}: {error}"))?;
    let started = std::process::Command::new(program).status();
    let _ = fs::remove_file(program);
    match started {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(format!("refused for another reason: {error}")),
        Ok(_) => Err("a program started from /dev/shm".to_owned()),
    }
}

pub(crate) fn refused(attack: Attack) -> Result<(), String> {
    match sys::attacks::attempt(attack) {
        Ok(()) => Err("the kernel allowed it".to_owned()),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
        Err(error) => Err(format!("refused for another reason: {error}")),
    }
}

fn privileges() -> Result<(), String> {
    refused(Attack::BecomeRoot).or_else(|found| if found.contains("Invalid argument") { Ok(()) } else { Err(found) })?;
    let status = fs::read_to_string("/proc/self/status").map_err(|error| format!("/proc/self/status: {error}"))?;
    if !sys::privileges::are_new_privileges_forbidden() {
        return Err("programs may give privileges".to_owned());
    }
    let expected = [("CapEff:", "0000000000000000"), ("CapBnd:", "0000000000000000"), ("Seccomp:", "2")];
    for (name, value) in expected {
        let found = status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if found != Some(value) {
            return Err(format!("{name} {}", found.unwrap_or("unknown")));
        }
    }
    Ok(())
}
