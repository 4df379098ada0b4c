//! The launcher itself, talked to over its connection: what comes in pieces, and what cannot be understood.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::{self, Profile, Sandbox as _, SandboxError, Tree, ownership};
use patchwright_launcher::spec::{self, LENGTH_BYTES, Limits, Program, Run, SPEC_BYTES_MAX, Spec};
use patchwright_launcher::trial::{FULL_CODE, Take};
use patchwright_launcher::{NAME, messages};
use tempfile::TempDir;

const UID: u32 = 60_874;

fn program() -> PathBuf {
    std::env::var_os("PATCHWRIGHT_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), PathBuf::from)
}

/// A launcher that has made a sandbox.
struct Launcher {
    control: UnixStream,
    process: Child,
    workspace: TempDir,
}

/// Our ends of a command.
struct Ends {
    _lifeline: PipeWriter,
    output: PipeReader,
    status: PipeReader,
}

impl Launcher {
    fn start(memory_bytes: u64) -> Launcher {
        Launcher::with(Limits { memory_bytes, ..limits() })
    }

    fn with(limits: Limits) -> Launcher {
        let workspace = tempfile::tempdir().unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            ownership::ensure_owner(workspace.path(), UID, UID).unwrap();
        }
        let (control, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(program());
        command.arg0(NAME).env_clear().current_dir("/").stdin(Stdio::from(OwnedFd::from(theirs)));
        let process = command.spawn().unwrap();
        let launcher = Launcher { control, process, workspace };
        let spec = spec(launcher.workspace.path(), limits);
        (&launcher.control).write_all(&spec::frame(&spec).unwrap()).unwrap();
        let mut length = [0; LENGTH_BYTES];
        (&launcher.control).read_exact(&mut length).unwrap();
        let mut answer = vec![0; spec::length(length).unwrap()];
        (&launcher.control).read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), r#"{"status":"ready"}"#);
        launcher
    }

    /// Sends the beginning of a message with a command's descriptors.
    fn send(&self, bytes: &[u8]) -> Ends {
        let ((lifeline_end, lifeline), (output, output_end), (status, status_end)) =
            (pipe().unwrap(), pipe().unwrap(), pipe().unwrap());
        let n_sent =
            messages::send_some(&self.control, bytes, &[lifeline_end.as_fd(), output_end.as_fd(), status_end.as_fd()]).unwrap();
        (&self.control).write_all(&bytes[n_sent..]).unwrap();
        Ends { _lifeline: lifeline, output, status }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        let _ = self.control.shutdown(std::net::Shutdown::Both);
        let _ = self.process.wait();
    }
}

impl Ends {
    /// What was printed and what was said about it, when all of it is over.
    fn read(mut self) -> (String, String) {
        let (mut output, mut status) = (String::new(), String::new());
        self.status.read_to_string(&mut status).unwrap();
        self.output.read_to_string(&mut output).unwrap();
        (output, status)
    }
}

fn limits() -> Limits {
    Limits {
        n_processes: 100,
        n_open_files: 100,
        file_bytes: 1 << 30,
        tmp_bytes: 1 << 30,
        cpu_seconds: 1000,
        memory_bytes: 1 << 30,
        disk_bytes: 1 << 40,
        n_files: 1 << 30,
        oom_score_adj: None,
    }
}

fn spec(workspace: &Path, limits: Limits) -> Spec {
    Spec {
        workspace: workspace.to_owned(),
        layer: None,
        is_workspace_read_only: false,
        refuses_set_id: false,
        home: None,
        read_only: Vec::new(),
        uid: UID,
        gid: UID,
        limits,
        has_group: false,
    }
}

fn frame(script: &str) -> Vec<u8> {
    framed(Program::Script { shell: PathBuf::from("/bin/sh"), script: script.to_owned() }, Path::new(""))
}

fn framed(program: Program, directory: &Path) -> Vec<u8> {
    let run = Run {
        program,
        directory: directory.to_owned(),
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        read_only: Vec::new(),
        bridge: None,
        is_apart: false,
    };
    spec::frame(&run).unwrap()
}

#[test]
fn a_trial_says_when_the_disk_was_full_before_its_limit_was_reached() {
    let launcher = Launcher::with(Limits { tmp_bytes: 3 << 20, ..limits() });
    let take = Program::Take(Take::Disk { bytes: 16 << 20 });
    // A private file system is the one that is sure to be small.
    let (taken, status) = launcher.send(&framed(take, Path::new("/tmp"))).read();
    assert!(status.contains(&format!(r#"{{"status":"exited","code":{FULL_CODE}}}"#)), "{status}");
    let taken: u64 = taken.trim().parse().unwrap();
    assert!(taken > 0 && taken <= 3 << 20, "{taken}");
}

#[test]
fn half_a_message_holds_nothing_up() {
    let launcher = Launcher::start(128 << 20);
    let hog = "perl -e '$x = \"x\" x (40 << 20); sleep 100000' & perl -e '$x = \"x\" x (40 << 20); sleep 100000'; wait";
    let watched = launcher.send(&frame(hog));
    // The length of another and nothing behind it.
    let next = frame("echo next");
    let later = launcher.send(&next[..LENGTH_BYTES]);
    let (_, status) = watched.read();
    assert!(status.contains(r#"{"status":"exceeded","limit":"memory"}"#), "{status}");
    (&launcher.control).write_all(&next[LENGTH_BYTES..20]).unwrap();
    (&launcher.control).write_all(&next[20..]).unwrap();
    assert_eq!(later.read().0, "next\n");
}

#[test]
fn what_cannot_be_understood_is_refused_and_the_sandbox_stays() {
    let launcher = Launcher::start(1 << 30);
    let mut long = (SPEC_BYTES_MAX + 1).to_be_bytes().to_vec();
    long.resize(LENGTH_BYTES + SPEC_BYTES_MAX as usize + 1, b' ');
    let mut no_command = 2_u32.to_be_bytes().to_vec();
    no_command.extend(b"{}");
    for (message, why) in [(long, "it is longer than"), (no_command, "missing field")] {
        let (output, status) = launcher.send(&message).read();
        assert!(output.is_empty() && status.contains("refused") && status.contains(why), "{status}");
    }
    assert_eq!(launcher.send(&frame("echo there")).read().0, "there\n");
}

#[tokio::test]
async fn a_script_that_is_too_long_is_refused_and_the_sandbox_stays() {
    let workspace = tempfile::tempdir().unwrap();
    let sandbox = LocalSandbox::new(program(), LocalSettings { toolchain_path: None, ..LocalSettings::default() });
    let mut executor = sandbox.open(Tree::alone(workspace.path()), Profile::Agent.into()).await.unwrap();
    let command = |script: String| {
        let timeout = Duration::from_secs(60);
        sandbox::Command { script, directory: String::new(), timeout, output_bytes_max: 1024 }
    };
    executor.execute(&command("echo kept > /tmp/file".to_owned())).await.unwrap();
    let refused = executor.execute(&command(format!(": {}", "x".repeat(5 << 20)))).await;
    assert!(matches!(&refused, Err(SandboxError::Refused(refusal)) if !refusal.remedy.is_empty()), "{refused:?}");
    assert_eq!(executor.execute(&command("cat /tmp/file".to_owned())).await.unwrap().output, b"kept\n");
}
