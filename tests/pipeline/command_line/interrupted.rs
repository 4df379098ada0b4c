//! A command that is interrupted ends with what it has made, and what one that was killed left goes with the next.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::*;

/// A command that says with a file that it runs, and does not end.
const BUSY: &str = "touch busy; sleep 100000";

/// The program in `folder`, with temporary files of its own.
fn program(folder: &Path, arguments: &[&str]) -> Command {
    for name in ["tree", "tmp"] {
        std::fs::create_dir_all(folder.join(name)).expect("there is room");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwright"));
    command.args(arguments).current_dir(folder).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder.join("home")).env("TMPDIR", folder.join("tmp"));
    command.env("PATCHWRIGHT__SANDBOX__EGRESS__ECOSYSTEMS", "false").kill_on_drop(true);
    command
}

/// Starts `sandbox exec` as for a setup, and waits until its command runs.
async fn busy(folder: &Path) -> Child {
    let arguments = ["sandbox", "exec", "--workspace", "tree", "--profile", "setup", "--", "sh", "-c", BUSY];
    let mut running = program(folder, &arguments).spawn().expect("the program starts");
    let mark = folder.join("tree/busy");
    let busy = async {
        while !mark.exists() {
            assert!(running.try_wait().expect("it is ours").is_none(), "it goes on until it is ended");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), busy).await.expect("the command runs");
    running
}

/// What is among the temporary files.
fn left(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("tmp")).expect("it is there").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn an_interrupted_command_removes_its_folders_and_says_which_signal_it_was() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let folder = folder();
        let mut running = busy(folder.path()).await;
        assert!(!left(folder.path()).is_empty(), "there is something to be removed");
        kill_process(Pid::from_raw(running.id().expect("it runs").cast_signed()).expect("it is not 0"), signal).expect("it runs");
        assert_eq!(running.wait().await.expect("it was ours").code(), Some(code));
        assert_eq!(left(folder.path()), [""; 0]);
    }
}

#[tokio::test]
async fn what_a_killed_command_left_is_removed_by_the_next() {
    let folder = folder();
    let mut running = busy(folder.path()).await;
    running.kill().await.expect("it runs");
    assert!(!left(folder.path()).is_empty(), "nobody was there to remove them");
    let arguments = ["sandbox", "exec", "--workspace", "tree", "--", "true"];
    let next = program(folder.path(), &arguments).output().await.expect("the program starts");
    assert_eq!(next.status.code(), Some(0), "{}", String::from_utf8_lossy(&next.stderr));
    assert_eq!(left(folder.path()), [""; 0]);
}
