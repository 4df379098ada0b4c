//! Links that a command leaves where the next one's files are mounted: they lead no mount anywhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use patchwright::sandbox::{Process, Profile, Sandbox, SandboxError, Tree};
use patchwright_domain::proof::Exit;
use tokio::io::AsyncReadExt as _;

use super::bait::SECRET;
use super::trial::{command, workspace};

/// With the link that is left, and where the next process has a file that leads through it.
const PLANTED: &[(&str, &str)] = &[
    ("ln -s /etc /tmp/tool", "/tmp/tool/passwd"),
    ("ln -s /etc/passwd /tmp/file", "/tmp/file"),
    ("ln -s ../../etc ~/tool", "/home/agent/tool/passwd"),
    ("ln -s /proc/self/root/etc /tmp/magic", "/tmp/magic/passwd"),
];

/// Plants every link, and has a process started whose file would be mounted through it.
pub(super) async fn check(sandbox: &dyn Sandbox) {
    let outside = tempfile::NamedTempFile::new().expect("there is room");
    fs::write(&outside, SECRET).expect("there is room");
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o644)).expect("it is ours");
    let tree = workspace();
    let mut executor = sandbox.open(Tree::alone(tree.path()), Profile::Agent.into()).await.expect("the sandbox can be made");
    let mut with = async |target: &str, before: &str| {
        let planted = executor.execute(&command(before)).await.expect("the sandbox stays up");
        assert_eq!(planted.exit, Exit::Code(0), "{before}: {}", String::from_utf8_lossy(&planted.output));
        let argv = ["/bin/sh", "-c", &format!("cat /etc/passwd; echo; cat {target}")].map(str::to_owned).to_vec();
        let read_only = vec![(outside.path().to_owned(), target.into())];
        let process = Process { argv, read_only, ..Process::default() };
        let mut running = executor.spawn(&process).await.expect("the sandbox is there");
        let mut text = String::new();
        running.output.read_to_string(&mut text).await.expect("it is text");
        (running.handle.wait().await, text)
    };
    for (plant, target) in PLANTED {
        match with(target, plant).await {
            (Err(SandboxError::Refused(refusal)), _) => {
                assert!(refusal.missing.contains("a link is in the way"), "{plant}: {refusal:?}");
            }
            (other, text) => panic!("{plant}: {other:?}: {text}"),
        }
    }
    // Where nothing is in the way the file is there, and only there.
    let (ended, text) = with("/tmp/honest/file", "mkdir /tmp/honest").await;
    assert_eq!(ended.expect("it ran"), Exit::Code(0), "{text}");
    assert!(text.starts_with("root:") && text.ends_with(SECRET), "{text}");
}
