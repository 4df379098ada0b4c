//! A scratch tree is the commit, byte by byte, and nothing that a commit may not be.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use git2::{FileMode, ObjectType, Oid, Repository};
use patchwright::sandbox;
use patchwright::workspace::{Composition, Scratch, WorkspaceError};
use patchwright_domain::ecosystem::Files as _;
use patchwright_domain::journal::CommitId;

use super::{Desk, EXECUTABLE, File, LINK, PLAIN, commit, files_below, link, put, remove};

fn mode(tree: &Scratch, path: &str) -> u32 {
    tree.path().join(path).symlink_metadata().expect("it is there").permissions().mode() & 0o777
}

fn read(tree: &Scratch, path: &str) -> Vec<u8> {
    std::fs::read(tree.path().join(path)).expect("it is there")
}

#[tokio::test]
async fn a_scratch_tree_is_the_commit() {
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let desk = Desk::with(&[
        ("crlf.txt", b"a\r\nb\n\r", PLAIN),
        (".gitattributes", b"* text eol=lf\n*.txt ident filter=lfs\n", PLAIN),
        ("id.txt", b"$Id$", PLAIN),
        ("bytes", &bytes, PLAIN),
        ("empty", b"", PLAIN),
        ("run", b"#!/bin/sh\n", EXECUTABLE),
        ("a/b/c/d", b"deep", PLAIN),
        ("link", b"a/b", LINK),
        ("a/out", b"../../../etc/passwd", LINK),
        ("lib", b"", FileMode::Commit),
        ("\u{fc} \"quoted\" \\ back", b"odd", PLAIN),
    ])
    .await;
    let tree = desk.scratch().await;
    assert_eq!(read(&tree, "crlf.txt"), b"a\r\nb\n\r");
    assert_eq!(read(&tree, "id.txt"), b"$Id$");
    assert_eq!(read(&tree, "bytes"), bytes);
    assert_eq!(read(&tree, "empty"), b"");
    assert_eq!(read(&tree, "a/b/c/d"), b"deep");
    assert_eq!(read(&tree, "\u{fc} \"quoted\" \\ back"), b"odd");
    assert_eq!((mode(&tree, "run"), mode(&tree, "empty")), (0o755, 0o644));
    let target = |path: &str| std::fs::read_link(tree.path().join(path)).expect("it is a link");
    assert_eq!(target("link"), Path::new("a/b"));
    assert_eq!(target("a/out"), Path::new("../../../etc/passwd"));
    let submodule = std::fs::read_dir(tree.path().join("lib")).expect("the submodule's folder is there");
    assert_eq!(submodule.count(), 0);
    assert_eq!(read(&tree, ".git/objects/info/alternates"), format!("{}\n", sandbox::OBJECTS).as_bytes());
    assert_eq!(read(&tree, ".git/refs/heads/base").trim_ascii_end(), desk.base.as_str().as_bytes());
    assert!(tree.objects().join("pack").exists(), "the objects are the mirror's");
    assert_eq!(files_below(tree.path()).len(), 10);
    let path = tree.path().to_owned();
    drop(tree);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_tree_of_many_files_is_written_whole() {
    let names: Vec<String> = (0..2_000).map(|n| format!("d{}/e{}/f{n}", n % 17, n % 5)).collect();
    let content = |name: &'_ str| name.split_once('/').map_or("", |(folder, _)| folder).to_owned();
    let contents: Vec<String> = names.iter().map(|name| content(name)).collect();
    let files: Vec<File<'_>> =
        names.iter().zip(&contents).map(|(name, content)| (name.as_str(), content.as_bytes(), PLAIN)).collect();
    let desk = Desk::with(&files).await;
    let tree = desk.scratch().await;
    assert_eq!(files_below(tree.path()).len(), 2_000);
    assert!(names.iter().all(|name| read(&tree, name) == content(name).as_bytes()));
    assert!(desk.propose(&tree).await.is_none());
}

#[tokio::test]
async fn an_empty_commit_is_an_empty_tree() {
    let desk = Desk::with(&[]).await;
    let tree = desk.scratch().await;
    assert_eq!(files_below(tree.path()).len(), 0);
    assert_eq!(desk.changed(|root| put(root, "first", "x")).await, ["first=100644 x"]);
}

#[tokio::test]
async fn two_scratch_trees_do_not_meet() {
    let desk = Desk::with(&[("a", b"a", PLAIN)]).await;
    let (one, other) = (desk.scratch().await, desk.scratch().await);
    put(one.path(), "a", "changed");
    assert_eq!(read(&other, "a"), b"a");
}

/// Writes a tree as bytes, for git's own functions would not.
fn raw_tree(repository: &Repository, entries: &[(&str, &[u8], Oid)]) -> Oid {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    repository.odb().and_then(|odb| odb.write(ObjectType::Tree, &bytes)).expect("an object of any content can be written")
}

async fn scratch_of(desk: &Desk, build: impl FnOnce(&Repository, Oid) -> Oid) -> Result<Scratch, WorkspaceError> {
    let evil = {
        let bare = desk.bare();
        let blob = bare.blob(b"evil").expect("a blob can be written");
        commit(&bare, "refs/heads/main", build(&bare, blob))
    };
    // Over a local path the objects come as they are.
    let fetched = desk.workspaces.fetch(&desk.repo, super::local(&desk.folder)).await.expect("the branch is there");
    assert_eq!(fetched, evil);
    desk.workspaces.scratch(&desk.repo, &evil).await
}

#[tokio::test]
async fn names_that_no_tree_may_have_are_refused() {
    let desk = Desk::with(&[]).await;
    let names: [&[u8]; 12] = [
        b".git",
        b".GIT",
        b"git~1",
        b".git ",
        b"..",
        b".",
        b"../evil",
        b"/evil",
        b"d/../../evil",
        b".git/hooks/x",
        b"bad\xff",
        b"a//b",
    ];
    for name in names {
        let file = |bare: &Repository, blob| raw_tree(bare, &[("100644", name, blob)]);
        let nested = |bare: &Repository, blob| raw_tree(bare, &[("40000", b"d", file(bare, blob))]);
        let folder = |bare: &Repository, blob| {
            let inner = raw_tree(bare, &[("100644", b"evil", blob)]);
            raw_tree(bare, &[("40000", name, inner)])
        };
        for build in [&file as &dyn Fn(&Repository, Oid) -> Oid, &nested, &folder] {
            let scratch = scratch_of(&desk, build).await;
            assert!(matches!(scratch, Err(WorkspaceError::Refused(_))), "{:?}: {scratch:?}", String::from_utf8_lossy(name));
        }
    }
    let is_evil = |path: &std::path::PathBuf| path.file_name().is_some_and(|name| name == "evil");
    assert!(!files_below(desk.folder.path()).iter().any(is_evil));
}

/// A name that is there twice, once as a link and once as a folder: nothing is written through the link.
#[tokio::test]
async fn nothing_is_written_through_a_link_of_the_commit() {
    let outside = tempfile::tempdir().expect("there is a temporary folder");
    let target = outside.path().to_str().expect("the path is text").to_owned();
    let twice = |bare: &Repository, blob| {
        let way_out = bare.blob(target.as_bytes()).expect("a blob can be written");
        let inner = raw_tree(bare, &[("100644", b"evil", blob)]);
        raw_tree(bare, &[("120000", b"d", way_out), ("40000", b"d", inner)])
    };
    let desk = Desk::with(&[]).await;
    let scratch = scratch_of(&desk, twice).await;
    assert!(scratch.is_err(), "{scratch:?}");
    assert!(files_below(outside.path()).is_empty());
    let slashed = |bare: &Repository, blob| {
        let way_out = bare.blob(target.as_bytes()).expect("a blob can be written");
        raw_tree(bare, &[("120000", b"d", way_out), ("100644", b"d/evil", blob)])
    };
    let scratch = scratch_of(&desk, slashed).await;
    assert!(scratch.is_err(), "{scratch:?}");
    assert!(files_below(outside.path()).is_empty());
}

#[tokio::test]
async fn files_are_read_from_a_commit() {
    let desk = Desk::with(&[
        ("AGENTS.md", b"Be kind.\r\n", PLAIN),
        ("link", b"AGENTS.md", LINK),
        ("d/x", b"", PLAIN),
        ("bin", b"\xff", PLAIN),
    ])
    .await;
    let read = async |path| desk.workspaces.read(&desk.repo, &desk.base, path).await.expect("the mirror is there");
    assert_eq!(read("AGENTS.md").await.as_deref(), Some(b"Be kind.\r\n".as_slice()));
    assert_eq!(read("d/x").await.as_deref(), Some(b"".as_slice()));
    for path in ["link", "d", "nothing", "d/nothing", "AGENTS.md/x"] {
        assert_eq!(read(path).await, None, "{path}");
    }
    let files = desk.workspaces.root_files(&desk.repo, &desk.base).await.expect("the mirror is there");
    let mut names = files.names();
    names.sort();
    assert_eq!(names, ["AGENTS.md", "bin", "d", "link"]);
    assert_eq!(files.read("AGENTS.md").as_deref(), Some("Be kind.\r\n"));
    assert_eq!([files.read("link"), files.read("d"), files.read("bin")], [None, None, None]);
    let unknown = CommitId::parse(&"7".repeat(40)).expect("forty digits");
    assert!(matches!(desk.workspaces.scratch(&desk.repo, &unknown).await, Err(WorkspaceError::Unavailable { .. })));
    assert!(desk.workspaces.read(&desk.repo, &unknown, "AGENTS.md").await.is_err());
}

/// The proof runs the base's tests on the patch: whatever the patch made of them, and of the folders that they lie in.
#[tokio::test]
async fn paths_are_restored_as_in_the_base() {
    let desk = Desk::with(&[
        ("src/a.py", b"a", PLAIN),
        ("tests/test_a.py", b"assert a", PLAIN),
        ("tests/run", b"#!/bin/sh\n", EXECUTABLE),
        ("tests/data", b"../src", LINK),
    ])
    .await;
    let restored = async |change: &dyn Fn(&Path), paths: &[&str]| {
        let tree = desk.scratch().await;
        change(tree.path());
        let head = desk.propose(&tree).await.expect("something changed").commit;
        let composition = Composition {
            restored: paths.iter().map(|path| (*path).to_owned()).collect(),
            written: vec![("src/b.py".to_owned(), "mixed".to_owned())],
        };
        let composed = desk.workspaces.compose(&desk.repo, &head, &desk.base, composition).await.expect("both commits are there");
        desk.workspaces.scratch(&desk.repo, &composed).await.expect("it is there")
    };
    let weaken = |root: &Path| {
        put(root, "src/a.py", "b");
        put(root, "tests/test_a.py", "assert True");
        put(root, "tests/test_new.py", "assert b");
        remove(root, "tests/run");
        remove(root, "tests/data");
    };
    let tree = restored(&weaken, &["tests/test_a.py", "tests/run", "tests/data"]).await;
    assert_eq!((read(&tree, "src/a.py"), read(&tree, "tests/test_a.py")), (b"b".to_vec(), b"assert a".to_vec()));
    assert_eq!(read(&tree, "tests/test_new.py"), b"assert b");
    assert_eq!((mode(&tree, "tests/run"), read(&tree, "src/b.py")), (0o755, b"mixed".to_vec()));
    assert!(tree.path().join("tests/data").is_symlink());
    let untouched = restored(&weaken, &[]).await;
    assert_eq!(read(&untouched, "tests/test_a.py"), b"assert True");

    let in_the_way: [&dyn Fn(&Path); 3] = [
        &|root| {
            remove(root, "tests");
            put(root, "tests", "a file");
        },
        &|root| {
            remove(root, "tests");
            link(root, "tests", "src");
        },
        &|root| {
            remove(root, "tests/test_a.py");
            put(root, "tests/test_a.py/deep", "a folder");
        },
    ];
    for change in in_the_way {
        let tree = restored(change, &["tests/test_a.py"]).await;
        assert_eq!(read(&tree, "tests/test_a.py"), b"assert a");
        assert!(!tree.path().join("tests").is_symlink());
    }
    let added = |root: &Path| put(root, "tests/test_new.py", "x");
    let tree = restored(&added, &["tests/test_new.py"]).await;
    assert!(!tree.path().join("tests/test_new.py").exists(), "what the base does not have is not there");
}
