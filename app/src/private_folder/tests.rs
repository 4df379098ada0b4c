//! Nobody else enters, and nothing of anybody else's is removed.

use std::os::unix::fs::PermissionsExt as _;

use super::{MARK, PREFIX, PrivateFolder, UNLOCKED, sweep};

#[test]
fn nobody_else_may_enter() {
    let folder = PrivateFolder::new().expect("there is room");
    let found = folder.path().metadata().expect("it is there");
    assert_eq!(found.permissions().mode() & 0o777, 0o700);
}

#[test]
fn only_what_a_killed_process_left_is_removed() {
    let parent = tempfile::tempdir().expect("there is room");
    let used = PrivateFolder::new_in(parent.path()).expect("there is room");
    let left = PrivateFolder::new_in(parent.path()).expect("there is room");
    let abandoned = left.path().to_owned();
    // As a killed process does it: the lock goes, the folder stays.
    rustix::fs::flock(&left._lock, rustix::fs::FlockOperation::Unlock).expect("it was locked");
    std::mem::forget(left);
    let named_alike = parent.path().join(format!("{PREFIX}of-somebody-else"));
    std::fs::create_dir(&named_alike).expect("there is room");
    std::fs::write(named_alike.join("precious"), "x").expect("there is room");
    let unfinished = ["empty", "marked"].map(|name| parent.path().join(format!("{UNLOCKED}{name}")));
    unfinished.iter().for_each(|folder| std::fs::create_dir(folder).expect("there is room"));
    std::fs::write(unfinished[1].join(MARK), "").expect("there is room");
    sweep(parent.path());
    assert!(unfinished.iter().all(|folder| !folder.exists()), "whoever began them was killed");
    assert!(used.path().exists(), "it is locked by this process");
    assert!(!abandoned.exists(), "nobody is left who has locked it");
    assert!(named_alike.join("precious").exists(), "its name alone makes it nothing of ours");
}
