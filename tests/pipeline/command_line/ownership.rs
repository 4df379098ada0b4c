//! Whose files `sandbox exec` gives to the sandbox's user: none that it was not meant to.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use super::{Ended, folder, patchwright};

/// The sandbox's user.
const SANDBOX_UID: u32 = 65532;
const OTHER_UID: u32 = 64998;

async fn exec(folder: &Path, workspace: &str, options: &[&str]) -> Ended {
    let arguments = [["sandbox", "exec", "--workspace", workspace].as_slice(), options, &["--", "cat", "file"]].concat();
    patchwright(folder, &arguments, &[]).await
}

/// A file in a folder that everybody may read.
fn tree(folder: &Path) -> std::path::PathBuf {
    std::fs::create_dir(folder.join("tree")).expect("there is room");
    let file = folder.join("tree/file");
    std::fs::write(&file, "mine\n").expect("there is room");
    for path in [folder, &folder.join("tree"), &file] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    file
}

fn owner(file: &Path) -> u32 {
    file.metadata().expect("it is there").uid()
}

/// Only root can give files away.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn a_reader_is_given_no_file() {
    let folder = folder();
    let file = tree(folder.path());
    let before = owner(&file);
    let ended = exec(folder.path(), "tree", &["--profile", "reader"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "mine\n"), "{}", ended.err);
    assert_eq!((owner(&file), owner(&folder.path().join("tree"))), (before, before));
}

#[tokio::test]
async fn files_of_others_are_given_away_only_where_that_is_said() {
    if !is_root() {
        return;
    }
    let folder = folder();
    let file = tree(folder.path());
    chown(&file, Some(OTHER_UID), Some(OTHER_UID)).expect("root may");
    let refused = exec(folder.path(), "tree", &[]).await;
    assert_eq!((refused.code, refused.out.as_str(), owner(&file)), (Some(2), "", OTHER_UID));
    assert!(refused.err.contains("tree/file") && refused.err.contains("--take-ownership"), "{}", refused.err);
    assert_eq!(owner(&folder.path().join("tree")), 0, "nothing of it is given away");
    let taken = exec(folder.path(), "tree", &["--take-ownership"]).await;
    assert_eq!((taken.code, owner(&file)), (Some(0), SANDBOX_UID), "{}", taken.err);
    let again = exec(folder.path(), "tree", &[]).await;
    assert_eq!(again.code, Some(0), "what the sandbox's user has already is no question: {}", again.err);
}

#[tokio::test]
async fn a_home_folder_is_not_given_away() {
    if !is_root() {
        return;
    }
    let folder = folder();
    let file = tree(folder.path());
    // The program's home is `folder`, and that of somebody who has keys is told by them.
    let home = exec(folder.path(), ".", &[]).await;
    assert_eq!((home.code, owner(&file)), (Some(2), 0), "{}", home.err);
    insta::assert_snapshot!(home.err.replace(&*folder.path().to_string_lossy(), "FOLDER").trim_end(), @"error: as root `sandbox exec` gives all files of the workspace to the sandbox's user (id 65532), and of FOLDER it does not: it is somebody's home folder. Name a copy of what the command needs, take `--profile reader`, which gives nothing away, or say `--take-ownership`");
    std::fs::create_dir(folder.path().join("tree/.ssh")).expect("there is room");
    let keys = exec(folder.path(), "tree", &[]).await;
    assert_eq!((keys.code, owner(&file)), (Some(2), 0), "{}", keys.err);
}
