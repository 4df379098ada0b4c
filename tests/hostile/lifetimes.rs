//! Daemons: nothing outlives the command that started it, however it lets go of its parents.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use patchwright::sandbox::{Profile, Sandbox, Tree};
use patchwright_domain::proof::Exit;

use super::ATTACKER;
use super::trial::{command, own, workspace};

/// With what is let go, and how the command itself ends.
const KINDS: &[&str] = &["quiet", "holding", "killing"];

/// Starts every kind of daemon inside, where it ends with its command, and bare, where it does not.
pub(super) async fn check(sandbox: &dyn Sandbox) {
    for kind in KINDS {
        let tree = workspace();
        pipes(tree.path());
        let opened = sandbox.open(Tree::alone(tree.path()), Profile::Agent.into()).await;
        let mut executor = opened.expect("the sandbox can be made");
        let script = format!("weapons/daemon {kind}; exit 5");
        let output = executor.execute(&command(&script)).await.expect("the sandbox stays up");
        assert_eq!(output.exit, Exit::Code(5), "{kind}: {}", String::from_utf8_lossy(&output.output));
        assert!(!is_held(&tree.path().join("up")), "{kind}: it outlived its command");
        bare(kind).await;
    }
}

async fn bare(kind: &str) {
    let tree = workspace();
    pipes(tree.path());
    let mut daemon = Command::new("weapons/daemon");
    daemon.arg(kind).current_dir(tree.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        own(tree.path(), ATTACKER);
        daemon.uid(ATTACKER).gid(ATTACKER);
    }
    daemon.status().expect("it was compiled");
    let up = tree.path().join("up");
    assert!(is_held(&up), "{kind}: without a sandbox it was to live on");
    let released = async {
        // It may not have come to wait for this yet.
        while is_held(&up) {
            drop(non_blocking().write(true).open(tree.path().join("end")));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), released).await.expect("it ends when it is told to");
}

pub(super) fn pipes(tree: &Path) {
    for name in ["up", "end"] {
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        rustix::fs::mkfifoat(rustix::fs::CWD, tree.join(name), mode).expect("the folder is fresh");
    }
}

/// Whether any process holds the pipe open for writing.
pub(super) fn is_held(pipe: &Path) -> bool {
    let mut pipe = non_blocking().read(true).open(pipe).expect("it is there");
    match pipe.read(&mut [0; 16]) {
        Ok(n_bytes) => n_bytes > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn non_blocking() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    options
}
