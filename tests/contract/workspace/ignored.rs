//! What `.gitignore` names and builds leave behind is no part of a patch, unless the base has it.

use std::path::Path;

use super::{Desk, PLAIN, put, remove};

#[tokio::test]
async fn ignored_files_and_droppings_are_left_out() {
    let desk =
        Desk::with(&[(".gitignore", b"*.log\nbuild/\n/top\n", PLAIN), ("sub/.gitignore", b"*.tmp\n/only-here\n", PLAIN)]).await;
    let change = |root: &Path| {
        for name in ["a.log", "sub/b.log", "build/out", "sub/build/out", "top", "sub/c.tmp", "sub/deep/d.tmp", "sub/only-here"] {
            put(root, name, "ignored");
        }
        for name in ["target/debug/x", "sub/target/x", "src/__pycache__/a.pyc", "src/b.pyc"] {
            put(root, name, "dropped");
        }
        for name in ["sub/top", "c.tmp", "sub/deep/only-here", "targets", "build.rs"] {
            put(root, name, "kept");
        }
    };
    let expected = ["build.rs", "c.tmp", "sub/deep/only-here", "sub/top", "targets"].map(|path| format!("{path}=100644 kept"));
    assert_eq!(desk.changed(change).await, expected);
}

#[tokio::test]
async fn a_negated_rule_and_the_nearest_rule_win() {
    let desk = Desk::with(&[
        (".gitignore", b"*.log\n!keep.log\nvendor/*\n!vendor/ours\n", PLAIN),
        ("sub/.gitignore", b"!b.log\nkeep.log\n", PLAIN),
    ])
    .await;
    let change = |root: &Path| {
        for name in ["a.log", "keep.log", "sub/b.log", "sub/keep.log", "vendor/theirs/x", "vendor/ours/x"] {
            put(root, name, "");
        }
    };
    assert_eq!(desk.changed(change).await, ["keep.log=100644 ", "sub/b.log=100644 ", "vendor/ours/x=100644 "]);
}

#[tokio::test]
async fn what_the_base_has_is_seen_although_it_is_ignored() {
    let desk = Desk::with(&[
        (".gitignore", b"dist/\n*.cfg\n", PLAIN),
        ("dist/app.js", b"1", PLAIN),
        ("my.cfg", b"1", PLAIN),
        ("target/kept", b"1", PLAIN),
        ("gone.cfg", b"1", PLAIN),
    ])
    .await;
    let change = |root: &Path| {
        for name in ["dist/app.js", "my.cfg", "target/kept"] {
            put(root, name, "2");
        }
        remove(root, "gone.cfg");
        // An ignored folder stays ignored for what is new in it, as git has it.
        for name in ["dist/new.js", "dist/deep/new.js", "new.cfg"] {
            put(root, name, "new");
        }
        // A folder of the base that has a build's name is a folder like any other.
        put(root, "target/new", "new");
    };
    let expected = ["dist/app.js=100644 2", "gone.cfg gone", "my.cfg=100644 2", "target/kept=100644 2", "target/new=100644 new"];
    assert_eq!(desk.changed(change).await, expected);
}

/// `[id]` is a plain name to a file system and to git, and a class of characters to a rule.
#[tokio::test]
async fn a_folders_name_is_no_pattern() {
    let desk = Desk::with(&[("app/[id]/.gitignore", b"*.tmp\n/local\n", PLAIN), ("app/i/x", b"", PLAIN)]).await;
    let change = |root: &Path| {
        for name in ["app/[id]/a.tmp", "app/[id]/local", "app/[id]/deep/b.tmp"] {
            put(root, name, "ignored");
        }
        for name in ["app/i/a.tmp", "app/d/local"] {
            put(root, name, "kept");
        }
    };
    assert_eq!(desk.changed(change).await, ["app/d/local=100644 kept", "app/i/a.tmp=100644 kept"]);
}

#[tokio::test]
async fn rules_are_read_as_git_reads_them() {
    let rules = b"# a comment\r\n\r\n\\#hash\r\n\\!bang\r\n*.log\r\n[broken\r\ncaf\xe9\r\n**/cache/**\r\n";
    let desk = Desk::with(&[(".gitignore", rules, PLAIN)]).await;
    let change = |root: &Path| {
        for name in ["#hash", "!bang", "x.log", "a/cache/b/c"] {
            put(root, name, "ignored");
        }
        for name in ["# a comment", "bang", "broken"] {
            put(root, name, "");
        }
    };
    assert_eq!(desk.changed(change).await, ["# a comment=100644 ", "bang=100644 ", "broken=100644 "]);
}

/// The agent's own rules count like the base's; they can only make the patch smaller, never hide a change of the base's files.
#[tokio::test]
async fn rules_that_the_agent_wrote_hide_no_change() {
    let desk = Desk::with(&[("a", b"1", PLAIN), ("d/b", b"1", PLAIN)]).await;
    let change = |root: &Path| {
        put(root, ".gitignore", "*\n");
        put(root, "a", "2");
        remove(root, "d/b");
        put(root, "new", "x");
    };
    assert_eq!(desk.changed(change).await, ["a=100644 2", "d/b gone"]);
}
