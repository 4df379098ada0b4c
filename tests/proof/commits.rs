//! Which commits `prove` takes, and where it says what.

use std::process::{Command, Output, Stdio};

use git2::Repository;
use tempfile::TempDir;

use super::{PYTHON, PYTHON_FIXED, commit};

/// A checkout with a commit, and two behind it on lines of their own.
struct Fork {
    folder: TempDir,
    begin: String,
    gained: String,
    fixed: String,
}

impl Fork {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let repository = Repository::init(folder.path().join("checkout")).expect("a repository");
        let begin = commit(&repository, PYTHON);
        let gained = commit(&repository, &[("README.md", Some("More.\n"))]);
        let back = repository.revparse_single(&begin).expect("it is there");
        repository.reset(&back, git2::ResetType::Hard, None).expect("it can be gone back to");
        let fixed = commit(&repository, &[PYTHON_FIXED]);
        Self { folder, begin, gained, fixed }
    }

    fn prove(&self, base: &str, head: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_patchwright"))
            .args(["prove", "--base", base, "--head", head, "--repo"])
            .arg(self.folder.path().join("checkout"))
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("PATCHWRIGHT__LIMITS__PROOF_RUNS", "1")
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .output()
            .expect("the program starts")
    }
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_commit_that_the_base_has_already_is_no_patch() {
    let fork = Fork::new();
    for base in [&fork.begin, &fork.fixed] {
        let done = fork.prove(base, &fork.begin);
        assert_eq!((done.status.code(), said(&done.stdout)), (Some(2), String::new()));
        insta::allow_duplicates! {
            insta::assert_snapshot!(said(&done.stderr), @"error: looking at the commit with the patch: the base has that commit already, so it brings no patch; name one that the base does not have");
        }
    }
}

/// Whoever reads the result from standard output gets the result.
#[test]
fn that_a_merge_is_tested_is_told_beside_the_result() {
    let fork = Fork::new();
    let done = fork.prove(&fork.gained, &fork.fixed);
    let (result, note) = (said(&done.stdout), said(&done.stderr));
    assert!(result.contains("Proven:") && !result.contains("merged"), "{result}");
    let begin = format!("The base has gained commits since: what is tested is {} merged into it, tree ", fork.fixed);
    assert!(note.starts_with(&begin), "{note}");
}
