//! Setuid and setgid files: in a tree that is somebody's on the host, none is made by any call that sets a mode. In a tree
//! that is thrown away they are allowed, for there are test suites that make them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use patchwright::sandbox::{Profile, Sandbox, Tree};
use patchwright_domain::proof::Exit;

use super::trial::{command, own, workspace};
use super::{ATTACKER, weapons};

/// Tries every call in a tree of somebody's, where it is to be refused, and in one of the sandbox's own.
pub(super) async fn check(sandbox: &dyn Sandbox) {
    check_in(sandbox, &[(false, true), (true, false)]).await;
}

/// As [`check`], for a sandbox that refuses it in every tree.
pub(super) async fn check_everywhere(sandbox: &dyn Sandbox) {
    check_in(sandbox, &[(false, true), (true, true)]).await;
}

/// In trees that are or are not the sandbox's own, and whether it is refused there.
async fn check_in(sandbox: &dyn Sandbox, trees: &[(bool, bool)]) {
    for (is_owned, is_refused) in trees.iter().copied() {
        let tree = workspace();
        if rustix::process::geteuid().is_root() {
            own(tree.path(), ATTACKER);
        }
        let tree_of = Tree { is_owned, ..Tree::alone(tree.path()) };
        let mut executor = sandbox.open(tree_of, Profile::Agent.into()).await.expect("the sandbox can be made");
        let output = executor.execute(&command("weapons/set_id; echo tried")).await.expect("the sandbox stays up");
        let text = String::from_utf8_lossy(&output.output).into_owned();
        assert_eq!(output.exit, Exit::Code(0), "{text}");
        assert!(text.ends_with("tried\n"), "{text}");
        let made: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("MADE: ")).collect();
        let seen = with_set_id(tree.path());
        if !is_refused {
            assert!(made.len() > 10 && !seen.is_empty(), "the calls were to work: {text}");
        } else {
            assert!(made.is_empty() && seen.is_empty(), "{seen:?}: {text}");
            assert_eq!(text.matches("REFUSED: ").count(), text.lines().count() - 2, "{text}");
            assert!(text.contains("FINE: ordinary modes work"), "{text}");
        }
    }
}

/// The files of a tree that run as somebody, as the host sees them; those of the attackers' weapons are not meant.
fn with_set_id(tree: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(tree).expect("it is there").flatten().filter(|entry| entry.file_name() != weapons::FOLDER);
    let mode = |entry: &fs::DirEntry| entry.metadata().map_or(0, |found| found.permissions().mode());
    entries.filter(|entry| mode(entry) & 0o6000 != 0).map(|entry| entry.path().display().to_string()).collect()
}
