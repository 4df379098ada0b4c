//! Disks of a test's own, which can be full: mounts that nobody else sees.

use std::process::{Command, Stdio};

use rustix::process::geteuid;

use super::uml::is_required;

/// What a command is begun with that may mount, and that nobody else sees the mounts of.
type Words = &'static [&'static str];

/// Root needs nothing but the right to mount, which containers are seldom given.
const AS_ROOT: Words = &["unshare", "-m"];
/// Whoever may have a user namespace is root in it, and nobody else.
const IN_A_NAMESPACE: Words = &["unshare", "-Urm"];

/// What the machine lacks, and how to have it.
const LACKING: &str = "this machine lets nobody have a disk of his own: it takes root with CAP_SYS_ADMIN, or user namespaces";

/// How a command begins that mounts a disk for itself. Where this is not to be had, it is said, and is a failure where
/// `PATCHWRIGHT_REQUIRE` names `mounts`.
pub(crate) fn own() -> Option<Words> {
    found(if geteuid().is_root() { &[AS_ROOT, IN_A_NAMESPACE] } else { &[IN_A_NAMESPACE] })
}

/// The same for a command that becomes another user, which takes a real root; a plain user's is left out in any case.
pub(crate) fn of_root() -> Option<Words> {
    if geteuid().is_root() { found(&[AS_ROOT]) } else { left_out("only root has one whose user is another") }
}

fn found(known: &[Words]) -> Option<Words> {
    let found = known.iter().copied().find(|words| can_mount(words));
    if found.is_none() {
        assert!(!is_required("mounts"), "{LACKING}");
        return left_out(LACKING);
    }
    found
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tried")]
fn left_out(why: &str) -> Option<Words> {
    eprintln!("a full disk is not tried: {why}");
    None
}

fn can_mount(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["mount", "-t", "tmpfs", "none"]).arg(std::env::temp_dir());
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
