//! `patchwright apply-patch` as a person or a script calls it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
        fs::write(path, content).expect("written");
    }
    folder
}

fn apply(folder: &Path, patch: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_patchwright"))
        .arg("apply-patch")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A patch that is refused early may not be read to its end.
    let _ = child.stdin.take().expect("a pipe").write_all(patch);
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every file below a folder with its content, sorted.
fn tree(root: &Path) -> Vec<(PathBuf, String)> {
    let mut tree = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("readable").path()) {
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                let content = fs::read(&path).unwrap_or_default();
                tree.push((path.strip_prefix(root).expect("below").to_owned(), text(&content)));
            }
        }
    }
    tree.sort();
    tree
}

#[test]
fn a_patch_is_applied_and_told() {
    let folder = folder(&[("a", "1\n2\n"), ("b", "x\n"), ("run.sh", "old\n")]);
    fs::set_permissions(folder.path().join("run.sh"), fs::Permissions::from_mode(0o750)).expect("set");
    let patch = b"*** Begin Patch\n*** Add File: new/c\n+c\n*** Update File: a\n@@\n-2\n+3\n*** Delete File: b\n\
                  *** Update File: run.sh\n@@\n-old\n+new\n*** End Patch\n";
    let done = apply(folder.path(), patch);
    assert_eq!(text(&done.stdout), "Success. Updated the following files:\nD b\nM a\nA new/c\nM run.sh\n");
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), String::new()));
    let expected = [("a", "1\n3\n"), ("new/c", "c\n"), ("run.sh", "new\n")];
    assert_eq!(tree(folder.path()), expected.map(|(path, content)| (PathBuf::from(path), content.to_owned())));
    let mode = fs::metadata(folder.path().join("run.sh")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
}

#[test]
fn a_patch_that_does_not_fit_changes_nothing() {
    let outside = folder(&[("secret", "s\n")]);
    let folder = folder(&[("a", "1\n"), ("d/x", "x\n"), ("f", "f\n")]);
    symlink(outside.path(), folder.path().join("out")).expect("a link");
    symlink(outside.path().join("secret"), folder.path().join("link")).expect("a link");
    symlink("d", folder.path().join("e")).expect("a link");
    let before = tree(folder.path());
    for (hunks, said) in [
        ("*** Update File: a\n@@\n-2\n+3\n", "cannot be found"),
        ("*** Add File: d\n+x\n", "no regular file"),
        ("*** Update File: d\n@@\n-x\n", "no regular file"),
        ("*** Add File: a/b\n+x\n", "a/b"),
        ("*** Add File: out/x\n+x\n", "symbolic link"),
        ("*** Delete File: out/secret\n", "symbolic link"),
        ("*** Update File: link\n@@\n-s\n+t\n", "symbolic link"),
        ("*** Add File: e/y\n+x\n", "symbolic link"),
        ("*** Add File: ../x\n+x\n", "leaves the tree"),
        ("*** Add File: /tmp/patchwright-x\n+x\n", "absolute"),
        ("*** Add File: .git/config\n+x\n", "git's own files"),
    ] {
        let patch = format!("*** Begin Patch\n*** Add File: new/deep/n\n+n\n*** Delete File: f\n{hunks}*** End Patch\n");
        let done = apply(folder.path(), patch.as_bytes());
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(1), String::new()), "{hunks}");
        assert!(text(&done.stderr).contains(said), "{hunks}: {}", text(&done.stderr));
        assert_eq!(tree(folder.path()), before, "{hunks}");
        assert!(!folder.path().join("new").exists(), "{hunks}");
    }
    assert_eq!(text(&fs::read(outside.path().join("secret")).expect("there")), "s\n");
    for patch in [&b"no patch"[..], b"", b"\xff\xfe", b"*** Begin Patch\n*** End Patch\n"] {
        assert_eq!(apply(folder.path(), patch).status.code(), Some(1));
    }
}

#[test]
fn a_file_makes_room_for_a_directory_of_its_name() {
    let folder = folder(&[("a", "1\n")]);
    let done = apply(folder.path(), b"*** Begin Patch\n*** Delete File: a\n*** Add File: a/b\n+x\n*** End Patch\n");
    assert_eq!(text(&done.stderr), "");
    assert_eq!(tree(folder.path()), [(PathBuf::from("a/b"), "x\n".to_owned())]);
}

#[test]
fn usage_is_told_apart_and_help_teaches_the_format() {
    let call =
        |argument| Command::new(env!("CARGO_BIN_EXE_patchwright")).args(["apply-patch", argument]).output().expect("it runs");
    assert_eq!(call("--no-such-option").status.code(), Some(2));
    let help = call("--help");
    assert_eq!(help.status.code(), Some(0));
    for word in ["*** Begin Patch", "*** Update File:", "*** Move to:", "*** End of File", "Exit codes"] {
        assert!(text(&help.stdout).contains(word), "{word}");
    }
}

#[test]
fn the_portable_cases_pass_through_the_program() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/apply_patch");
    let mut n_cases = 0;
    for kind in ["peer", "ours"] {
        for case in fs::read_dir(fixtures.join(kind)).expect("there").map(|entry| entry.expect("readable").path()) {
            // There the patch stays half applied; ours is all or nothing.
            if !case.is_dir() || case.ends_with("015_failure_after_partial_success_leaves_changes") {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder");
            for (path, content) in tree(&case.join("input")) {
                let path = folder.path().join(path);
                fs::create_dir_all(path.parent().expect("below")).expect("made");
                fs::write(path, content).expect("written");
            }
            let done = apply(folder.path(), &fs::read(case.join("patch.txt")).expect("a patch"));
            assert_eq!(tree(folder.path()), tree(&case.join("expected")), "{}: {}", case.display(), text(&done.stderr));
            n_cases += 1;
        }
    }
    assert_eq!(n_cases, 27);
}
