//! What is left of a process that was killed in the middle of a command: nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use patchwright::private_folder;
use patchwright::workspace::Workspaces;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::*;

/// A command that leaves daemons, and says with a file that all of them run.
const BUSY: &str = "setsid sleep 100000 & (trap '' TERM HUP; sleep 100000 & sleep 100000) & touch busy; sleep 100000";

/// Files of this name below a folder.
fn found(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name() == name {
            all.push(entry.path());
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(found(&entry.path(), name));
        }
    }
    all
}

/// All processes that a process has started, and theirs.
fn descendants(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children = tasks.flat_map(|task| {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        text.split_whitespace().filter_map(|number| number.parse().ok()).collect::<Vec<u32>>()
    });
    children.flat_map(|child| std::iter::once(child).chain(descendants(child))).collect()
}

#[tokio::test]
async fn a_killed_process_leaves_no_process_and_the_next_one_removes_its_folders() {
    // The launcher, the first process, a shell and three daemons.
    check(&[], &[], 5).await;
}

#[tokio::test]
async fn one_that_was_killed_without_a_sandbox_leaves_none_either() {
    check(&["--without-sandbox"], &bare::CONFIG, 4).await;
}

/// A run whose agent's command is busy, and where its trees are.
async fn busy(arguments: &[&str], variables: &[(&str, &str)]) -> (Checkout, PathBuf, tokio::process::Child) {
    let checkout = Checkout::with_model(vec![Step::Shell(BUSY.into())]).await;
    let folder = checkout.folder.path().join("state");
    let url = checkout.model.base_url();
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwright"));
    command.args(["run", "--repo", "rocket", "--task", "Mend the mean"]).args(arguments);
    command.current_dir(checkout.folder.path()).env_clear().envs(variables.iter().copied());
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", checkout.folder.path()).env("USER", "ada");
    command.env("PATCHWRIGHT__WORKSPACE__DIR", &folder).env("PATCHWRIGHT__MODEL__BASE_URL", url).kill_on_drop(true);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let running = command.spawn().expect("the program starts");
    let busy = async {
        while found(&folder.join("scratch"), "busy").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), busy).await.expect("the agent's command runs");
    (checkout, folder, running)
}

#[tokio::test]
async fn an_interrupted_run_leaves_no_tree() {
    let (_checkout, folder, mut running) = busy(&[], &[]).await;
    let number = Pid::from_raw(running.id().expect("it runs").cast_signed()).expect("no process is 0");
    rustix::process::kill_process(number, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(running.wait().await.expect("it was ours").code(), Some(143));
    let left: Vec<_> = std::fs::read_dir(folder.join("scratch")).expect("it is there").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_probe_that_was_killed_leaves_nothing_for_long() {
    let folder = folder();
    let (workspaces, temporary) = (folder.path().join("workspaces"), folder.path().join("temporary"));
    std::fs::create_dir(&temporary).expect("there is room");
    let named = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwright"));
    command.arg("doctor").current_dir(folder.path()).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.env("HOME", folder.path()).env("TMPDIR", &temporary).env("PATCHWRIGHT__WORKSPACE__DIR", &workspaces);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).kill_on_drop(true);
    let until = async |what: &str, is_so: &mut dyn FnMut() -> bool| {
        let waited = async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waited).await.unwrap_or_else(|_| panic!("{what}"));
    };
    // The trial of the disk is under way. It takes a moment: who comes through before anybody has looked is started again.
    let mut running = command.spawn().expect("the program starts");
    until("the disk is tried", &mut || {
        if running.try_wait().expect("it was ours").is_some() {
            running = command.spawn().expect("the program starts");
        }
        !found(&workspaces, ".patchwright-trial-0").is_empty()
    })
    .await;
    running.start_kill().expect("it runs");
    running.wait().await.expect("it was ours");
    // What runs inside ends a little later, and may still write meanwhile.
    let sweep = || [&workspaces, &temporary].iter().for_each(|folder| private_folder::sweep(folder));
    until("nothing is left", &mut || {
        sweep();
        named(&workspaces).is_empty() && named(&temporary).is_empty()
    })
    .await;
}

async fn check(arguments: &[&str], variables: &[(&str, &str)], n_processes: usize) {
    let (_checkout, folder, mut running) = busy(arguments, variables).await;
    let processes = descendants(running.id().expect("it runs"));
    assert!(processes.len() >= n_processes, "the launcher and what it runs: {processes:?}");
    let number = |process: &u32| Pid::from_raw(process.cast_signed()).expect("no process is 0");
    let handles: Vec<_> = processes.iter().filter_map(|process| pidfd_open(number(process), PidfdFlags::empty()).ok()).collect();

    running.start_kill().expect("it runs");
    running.wait().await.expect("it was ours");
    for handle in &handles {
        let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
        let n_ended = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&limit)).expect("the handle is open");
        assert_eq!(n_ended, 1, "every process ends");
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("it is there");
    assert!(!mounts.contains(&*folder.to_string_lossy()), "no mount is left: {mounts}");
    assert!(!found(&folder.join("scratch"), "busy").is_empty(), "nobody was left to remove the tree");

    Workspaces::open(folder.clone(), None).await.expect("the folder is there");
    let left: Vec<_> = std::fs::read_dir(folder.join("scratch")).expect("it is there").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
