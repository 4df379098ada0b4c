//! A scratch tree over a shared one is the same tree as one that was written whole.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use git2::FileMode;
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::{Command, Executor, Profile, Sandbox, Tree};
use patchwright::workspace::{Composition, Scratch};
use patchwright_domain::journal::CommitId;
use patchwright_domain::patch::FileState;
use patchwright_domain::proof::Exit;

use super::{Desk, EXECUTABLE, LINK, PLAIN, commit, message, tree_of};

fn sandbox() -> LocalSandbox {
    LocalSandbox::new(
        env!("CARGO_BIN_EXE_patchwright").into(),
        LocalSettings { toolchain_path: None, ..LocalSettings::default() },
    )
}

async fn open(sandbox: &LocalSandbox, tree: &Scratch, profile: Profile) -> Box<dyn Executor> {
    let tree = Tree { layer: tree.layer(), objects: Some(tree.objects()), ..Tree::alone(tree.path()) };
    sandbox.open(tree, profile.into()).await.expect("the machine has sandboxes")
}

async fn prints(executor: &mut dyn Executor, script: &str) -> String {
    let command = Command {
        script: script.to_owned(),
        directory: String::new(),
        timeout: Duration::from_secs(60),
        output_bytes_max: 1 << 20,
    };
    let output = executor.execute(&command).await.expect("the sandbox stands");
    let text = String::from_utf8_lossy(&output.output).into_owned();
    assert_eq!(output.exit, Exit::Code(0), "{script}: {text}");
    text
}

/// Every file, link and folder with its mode and content, as a command sees it.
async fn listing(executor: &mut dyn Executor) -> String {
    let script = "find . -path ./.git -prune -o -print | sort | while read -r path; do \
                  stat -c '%n %A %u %N' \"$path\"; [ ! -f \"$path\" ] || [ -L \"$path\" ] || cksum < \"$path\"; done; \
                  git rev-parse HEAD; git status --porcelain";
    prints(executor, script).await
}

const BASE: &[super::File<'static>] = &[
    ("file-to-folder", b"f", PLAIN),
    ("file-to-link", b"l", PLAIN),
    ("folder-to-file/in", b"i", PLAIN),
    ("gone/deep/x", b"x", PLAIN),
    ("gone/y", b"y", PLAIN),
    ("half/gone/z", b"z", PLAIN),
    ("half/stays", b"s", PLAIN),
    ("kept/a.txt", b"a", PLAIN),
    ("kept/b.txt", b"b", PLAIN),
    ("lib/sub", b"", FileMode::Commit),
    ("link-to-file", b"kept/a.txt", LINK),
    ("mode", b"#!/bin/sh\n", PLAIN),
];

/// Of the base: kinds are changed, and whole folders are away.
const HEAD: &[super::File<'static>] = &[
    ("file-to-folder/new", b"n", PLAIN),
    ("file-to-link", b"kept/b.txt", LINK),
    ("folder-to-file", b"now a file", PLAIN),
    ("half/stays", b"s", PLAIN),
    ("kept/a.txt", b"a", PLAIN),
    ("kept/b.txt", b"changed", PLAIN),
    ("lib/other", b"", FileMode::Commit),
    ("link-to-file", b"now a file", PLAIN),
    ("mode", b"#!/bin/sh\n", EXECUTABLE),
    ("new/er/file", b"new", PLAIN),
];

async fn desk() -> (Desk, CommitId) {
    let desk = Desk::with(BASE).await;
    let mirror = desk.mirror();
    let head = commit(&mirror, "refs/heads/head", tree_of(&mirror, HEAD));
    (desk, head)
}

#[tokio::test]
async fn a_tree_over_another_is_the_commit_and_clean() {
    let (desk, head) = desk().await;
    let sandbox = sandbox();
    let composition = Composition { restored: vec!["gone/y".to_owned(), "mode".to_owned()], written: Vec::new() };
    let mixed = desk.workspaces.compose(&desk.repo, &head, &desk.base, composition).await.expect("both commits are there");
    for commit in [&desk.base, &head, &mixed] {
        let whole = desk.workspaces.scratch(&desk.repo, commit).await.expect("it is there");
        let over = desk.workspaces.layered(&desk.repo, commit, &desk.base).await.expect("it is there");
        let expected = listing(open(&sandbox, &whole, Profile::Proof).await.as_mut()).await;
        let seen = listing(open(&sandbox, &over, Profile::Proof).await.as_mut()).await;
        assert_eq!(seen, expected);
        assert!(seen.ends_with(&format!("{commit}\n")), "nothing differs from the commit: {seen}");
    }
}

#[tokio::test]
async fn what_is_done_in_a_tree_over_another_stays_there_and_is_proposed() {
    let (desk, _) = desk().await;
    let sandbox = sandbox();
    let mut commits = Vec::new();
    for is_layered in [false, true] {
        let tree = if is_layered {
            desk.workspaces.layered(&desk.repo, &desk.base, &desk.base).await
        } else {
            desk.workspaces.scratch(&desk.repo, &desk.base).await
        };
        let tree = tree.expect("it is there");
        let mut executor = open(&sandbox, &tree, Profile::Agent).await;
        let script = "echo more >> kept/a.txt; rm -r gone; mkdir fresh; echo f > fresh/f; mv half/stays half/moved; chmod +x mode; \
                      rm file-to-link; ln -s mode file-to-link";
        prints(executor.as_mut(), script).await;
        let written = FileState::Regular { content: b"by hand\n".to_vec(), executable: false };
        let changes = [
            ("kept/b.txt".to_owned(), Some(written.clone())),
            ("a/new".to_owned(), Some(written)),
            ("half/gone/z".to_owned(), None),
        ];
        executor.write(&changes).await.expect("the paths are fine");
        assert_eq!(prints(executor.as_mut(), "cat kept/b.txt a/new; ls half").await, "by hand\nby hand\ngone\nmoved\n");
        assert_eq!(executor.read("gone/y").await.expect("the path is fine"), None);
        let files = executor.collect().await.expect("the sandbox stands");
        let proposed = desk.workspaces.propose(&desk.repo, &desk.base, &files, &[], message()).await;
        commits.push(proposed.expect("the tree is fine").expect("something changed").commit);
    }
    assert_eq!(commits[0], commits[1]);
    // The next one begins with the base again.
    let next = desk.workspaces.layered(&desk.repo, &desk.base, &desk.base).await.expect("it is there");
    let mut executor = open(&sandbox, &next, Profile::Proof).await;
    assert_eq!(prints(executor.as_mut(), "git status --porcelain; cat kept/a.txt").await, "a");
}

#[tokio::test]
async fn folders_of_the_tree_beneath_can_be_renamed_by_agents() {
    let (desk, _) = desk().await;
    let sandbox = sandbox();
    let tree = if sandbox.layers(&desk.workspaces.folder(), Profile::Agent).await {
        desk.workspaces.layered(&desk.repo, &desk.base, &desk.base).await
    } else {
        desk.workspaces.scratch(&desk.repo, &desk.base).await
    };
    let tree = tree.expect("it is there");
    let mut executor = open(&sandbox, &tree, Profile::Agent).await;
    assert_eq!(prints(executor.as_mut(), "git mv kept moved && git status --porcelain").await.lines().count(), 2);
}

#[tokio::test]
async fn a_reader_of_a_tree_over_another_changes_nothing() {
    let (desk, _) = desk().await;
    let tree = desk.workspaces.layered(&desk.repo, &desk.base, &desk.base).await.expect("it is there");
    let mut executor = open(&sandbox(), &tree, Profile::Reader).await;
    assert_eq!(prints(executor.as_mut(), "echo x >> kept/a.txt || cat kept/a.txt").await.lines().last(), Some("a"));
}

/// Waits until somebody waits for the lock of a file, as the kernel tells it.
async fn is_waited_for(file: &File) {
    let inode = format!(":{} ", file.metadata().expect("it is open").ino());
    loop {
        let locks = std::fs::read_to_string("/proc/locks").expect("the kernel tells");
        if locks.lines().any(|line| line.contains(" -> ") && line.contains(&inode)) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_tree_that_takes_long_to_prepare_keeps_nobody_waiting_who_wants_another() {
    let (desk, head) = desk().await;
    let layered = async |base: &CommitId| {
        desk.workspaces.layered(&desk.repo, base, base).await.expect("it is there");
    };
    layered(&desk.base).await;
    let names = std::fs::read_dir(desk.folder.path().join("workspaces/layers")).expect("it is there").flatten();
    let lock = names.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "lock"));
    let lock = File::open(lock.expect("a layer has a lock")).expect("it is ours");
    // As a process does that is about to remove it, or is slow.
    // A program that another test starts may hold what is open here for a moment.
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("nobody uses it now");
    let slow = layered(&desk.base);
    tokio::pin!(slow);
    tokio::select! {
        () = &mut slow => panic!("the lock is held"),
        () = is_waited_for(&lock) => {}
    }
    // Should they wait for one another after all, this has an end.
    let other = tokio::time::timeout(Duration::from_secs(30), layered(&head)).await;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock).expect("it is held");
    slow.await;
    assert!(other.is_ok(), "another base waited for the slow one");
}
