//! Names that change while the host looks: a command exchanges a folder for a link out of the workspace, or a file for a
//! pipe, again and again, while the executor reads, writes and searches from outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use patchwright::sandbox::{Executor, Process, Profile, Running, Sandbox, SandboxError, Tree};
use patchwright_domain::excerpt::search::Search;
use patchwright_domain::patch::FileState;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::ATTACKER;
use super::bait::{Baits, SECRET};
use super::trial::workspace;

/// How often the executor looks; both names are met far more often than once.
const N_LOOKS: usize = 300;
/// How often one looks without care, at most, until one was led outside.
const N_CARELESS_LOOKS_MAX: usize = 1_000_000;

pub(super) async fn check(sandbox: &dyn Sandbox) {
    let mut baits = Baits::lay_out(ATTACKER);
    let tree = workspace();
    lay(tree.path(), baits.outside());
    let opened = sandbox.open(Tree::alone(tree.path()), Profile::Agent.into()).await;
    let mut executor = opened.expect("the sandbox can be made");
    let mut swapping = swap(executor.as_mut(), "folder", "link").await;
    let (mut n_read, mut n_refused) = (0, 0);
    for _ in 0..N_LOOKS {
        match executor.read("folder/secret").await {
            Ok(Some(FileState::Regular { content, .. })) => {
                assert_eq!(content, b"public", "a file of the host was read");
                n_read += 1;
            }
            Ok(None) | Err(SandboxError::Path { .. }) => n_refused += 1,
            other => panic!("{other:?}"),
        }
        for (name, state) in [("canary", Some(regular("changed"))), ("canary", None), ("new/file", Some(regular("x")))] {
            let written = executor.write(&[(format!("folder/{name}"), state)]).await;
            assert!(matches!(written, Ok(()) | Err(SandboxError::Path { .. })), "{written:?}");
        }
    }
    let search = Search::for_pattern(SECRET);
    for _ in 0..N_LOOKS / 10 {
        let found = executor.search(&search).await;
        assert!(found.is_err() || found.is_ok_and(|found| found.hits.is_empty()), "a file of the host was searched");
    }
    assert_eq!(baits.touched(), None);
    assert!(n_read > 0 && n_refused > 0, "{n_read} looks met the folder, {n_refused} the link");
    let careless = (0..N_CARELESS_LOOKS_MAX).any(|_| fs::read(tree.path().join("folder/secret")).is_ok_and(is_secret));
    assert!(careless, "whoever looks without care was to be led outside");
    end(&mut swapping).await;
    let mut swapping = swap(executor.as_mut(), "file", "pipe").await;
    for _ in 0..N_LOOKS {
        match executor.read("file").await {
            Ok(Some(FileState::Regular { content, .. })) => assert_eq!(content, b"public"),
            Err(SandboxError::Path { .. }) => {}
            other => panic!("{other:?}"),
        }
        let found = executor.search(&search).await;
        assert!(found.is_ok_and(|found| found.hits.is_empty()));
    }
    end(&mut swapping).await;
}

fn lay(tree: &Path, outside: &Path) {
    fs::create_dir(tree.join("folder")).expect("the workspace is fresh");
    fs::write(tree.join("folder/secret"), "public").expect("there is room");
    fs::write(tree.join("file"), "public").expect("there is room");
    symlink(outside, tree.join("link")).expect("the workspace is fresh");
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.join("pipe"), mode).expect("the workspace is fresh");
}

/// Starts exchanging two names; it has begun when this returns.
async fn swap(executor: &mut dyn Executor, one: &str, other: &str) -> Running {
    let argv = ["weapons/swap", one, other].map(str::to_owned).to_vec();
    let mut running = executor.spawn(&Process { argv, ..Process::default() }).await.expect("the sandbox can be made");
    let mut line = String::new();
    BufReader::new(&mut running.output).read_line(&mut line).await.expect("it says that it has begun");
    assert_eq!(line, "swapping\n");
    running
}

async fn end(running: &mut Running) {
    running.input.shutdown().await.expect("it still runs");
    running.handle.wait().await.expect("the sandbox stays up");
}

fn is_secret(content: Vec<u8>) -> bool {
    content == SECRET.as_bytes()
}

fn regular(content: &str) -> FileState {
    FileState::Regular { content: content.as_bytes().to_vec(), executable: false }
}
