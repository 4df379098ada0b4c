//! What every sandbox's search promises, tried against the local one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::{Profile, Sandbox, SandboxError, Tree};
use patchwright_domain::excerpt::search::{Found, Search};
use tempfile::TempDir;

/// A workspace with these files.
fn workspace(files: &[(&str, &[u8])]) -> TempDir {
    let workspace = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = workspace.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    workspace
}

async fn attempt(workspace: &TempDir, search: &Search) -> Result<Found, SandboxError> {
    let settings = LocalSettings { toolchain_path: None, ..LocalSettings::default() };
    let sandbox = LocalSandbox::new(PathBuf::from(env!("CARGO_BIN_EXE_patchwright")), settings);
    let mut executor = sandbox.open(Tree::alone(workspace.path()), Profile::Agent.into()).await.unwrap();
    executor.search(search).await
}

async fn found(workspace: &TempDir, search: &Search) -> Found {
    attempt(workspace, search).await.unwrap()
}

/// The hits as `path:line`.
fn places(found: &Found) -> Vec<String> {
    found.hits.iter().map(|hit| format!("{}{}{}", hit.path, if hit.is_context { '-' } else { ':' }, hit.line)).collect()
}

#[tokio::test]
async fn lines_are_found_in_the_order_of_paths_and_lines() {
    let workspace = workspace(&[("b.txt", b"no\nfoo 1\r\n"), ("a/z.txt", b"foo 2\nFOO\nfoo"), ("c", b"bar\n")]);
    let all = found(&workspace, &Search::for_pattern(r"fo+( \d)?$")).await;
    assert_eq!(places(&all), ["a/z.txt:1", "a/z.txt:3", "b.txt:2"]);
    assert_eq!(all.hits[2].text, b"foo 1");
    assert_eq!((all.n_files_searched, all.n_files_skipped, all.is_cut_short), (3, 0, false));
    let any_case = found(&workspace, &Search { ignore_case: true, ..Search::for_pattern("foo") }).await;
    assert_eq!(places(&any_case), ["a/z.txt:1", "a/z.txt:2", "a/z.txt:3", "b.txt:2"]);
    let literal = Search { is_literal: true, ..Search::for_pattern("fo+") };
    assert_eq!(places(&found(&workspace, &literal).await), [""; 0]);
    let around = Search { n_context_lines: 1, ..Search::for_pattern("FOO") };
    assert_eq!(places(&found(&workspace, &around).await), ["a/z.txt-1", "a/z.txt:2", "a/z.txt-3"]);
}

#[tokio::test]
async fn directories_files_and_globs_narrow_a_search() {
    let files: &[(&str, &[u8])] = &[("src/a.rs", b"x\n"), ("src/b.py", b"x\n"), ("src/in/c.rs", b"x\n"), ("d.rs", b"x\n")];
    let workspace = workspace(files);
    for (directory, globs, expected) in [
        ("src", &[][..], &["src/a.rs:1", "src/b.py:1", "src/in/c.rs:1"][..]),
        ("src/", &["*.rs"], &["src/a.rs:1", "src/in/c.rs:1"]),
        ("./src/b.py", &[], &["src/b.py:1"]),
        ("", &["/src/*.rs"], &["src/a.rs:1"]),
        (".", &["!src/**", "!*.py"], &["d.rs:1"]),
        ("", &["src/**/*.rs", "!src/a.rs"], &["src/in/c.rs:1"]),
    ] {
        let globs = globs.iter().map(|glob| (*glob).to_owned()).collect();
        let search = Search { directory: directory.to_owned(), globs, ..Search::for_pattern("x") };
        assert_eq!(places(&found(&workspace, &search).await), expected, "{search:?}");
    }
    for directory in ["nothing", "../x", "/etc", "src/a.rs/x"] {
        let search = Search { directory: directory.to_owned(), ..Search::for_pattern("x") };
        assert!(matches!(attempt(&workspace, &search).await, Err(SandboxError::Path { .. })), "{directory}");
    }
}

#[tokio::test]
async fn what_git_ignores_and_git_itself_are_left_out() {
    let workspace = workspace(&[
        (".gitignore", b"target/\n*.log\n!keep.log\n/only-here\n"),
        ("target/x", b"x\n"),
        ("a.log", b"x\n"),
        ("keep.log", b"x\n"),
        ("only-here", b"x\n"),
        ("sub/only-here", b"x\n"),
        ("sub/.gitignore", b"!a.log\nb\n"),
        ("sub/a.log", b"x\n"),
        ("sub/b", b"x\n"),
        (".github/w.yml", b"x\n"),
        (".git/config", b"x\n"),
        ("sub/.git", b"x\n"),
    ]);
    let expected = [".github/w.yml:1", "keep.log:1", "sub/a.log:1", "sub/only-here:1"];
    assert_eq!(places(&found(&workspace, &Search::for_pattern("x$")).await), expected);
    let below = Search { directory: "sub".to_owned(), ..Search::for_pattern("x$") };
    assert_eq!(places(&found(&workspace, &below).await), ["sub/a.log:1", "sub/only-here:1"]);
}

#[tokio::test]
async fn no_link_and_no_pipe_is_followed() {
    let outside = workspace(&[("secret", b"x\n")]);
    let workspace = workspace(&[("in/a", b"x\n")]);
    symlink(outside.path(), workspace.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), workspace.path().join("file")).unwrap();
    symlink("in", workspace.path().join("again")).unwrap();
    symlink(outside.path().join("secret"), workspace.path().join(".gitignore")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, workspace.path().join("pipe"), rustix::fs::Mode::from_raw_mode(0o666)).unwrap();
    assert_eq!(places(&found(&workspace, &Search::for_pattern("x")).await), ["in/a:1"]);
    for directory in ["out", "file", "again", "pipe", "again/a"] {
        let search = Search { directory: directory.to_owned(), ..Search::for_pattern("x") };
        let hits = attempt(&workspace, &search).await.map(|found| found.hits).unwrap_or_default();
        assert!(hits.is_empty(), "{directory}: {hits:?}");
    }
}

#[tokio::test]
async fn a_search_is_bounded() {
    let many = "x\n".repeat(50);
    let long = format!("x{}\n", "y".repeat(100_000));
    let huge = vec![b'x'; 5 * 1024 * 1024];
    let endless = vec![b'x'; 400 * 1024];
    let files: &[(&str, &[u8])] =
        &[("a", many.as_bytes()), ("b", b"x\n\0\x01x\n"), ("c", long.as_bytes()), ("d", &huge), ("e", &endless)];
    let workspace = workspace(files);
    let some = found(&workspace, &Search { n_hits_max: 10, ..Search::for_pattern("x") }).await;
    assert_eq!((some.hits.len(), some.n_hits_omitted, some.n_files_searched, some.n_files_skipped), (10, 41, 2, 3));
    let only = found(&workspace, &Search { directory: "c".to_owned(), ..Search::for_pattern("x") }).await;
    assert!(only.hits[0].text.len() < 10_000, "{}", only.hits[0].text.len());
    let hostile = ["(".repeat(2_000), "((a{100}){100}){100}".to_owned(), "(".to_owned(), String::new(), "x".repeat(5_000)];
    for pattern in hostile {
        let error = attempt(&workspace, &Search::for_pattern(pattern)).await.unwrap_err();
        assert!(matches!(error, SandboxError::Path { .. }), "{error}");
        assert!(error.to_string().len() < 10_000, "{error}");
    }
    let slow = found(&workspace, &Search::for_pattern("(x+x+)+y(.*x){20}")).await;
    assert!(!slow.is_cut_short && slow.hits.is_empty(), "{slow:?}");
}
