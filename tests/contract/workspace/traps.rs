//! A hostile agent leaves a `.git` of its own, full of things that git would run. Nothing of it is read or run.

use std::path::Path;

use super::{Desk, PLAIN, files_below, link, put, set_mode};

/// A config in which everything that git can be made to run touches the canary.
fn config(canary: &Path) -> String {
    let run = format!("touch {}", canary.display());
    format!(
        "[core]\n\tfsmonitor = {run}\n\thooksPath = .git/hooks\n\tsshCommand = {run}\n\teditor = {run}\n\tworktree = /\n\
         \tattributesFile = .gitattributes\n\
         [filter \"trap\"]\n\tclean = {run}\n\tsmudge = {run}\n\tprocess = {run}\n\trequired = true\n\
         [diff \"trap\"]\n\tcommand = {run}\n\ttextconv = {run}\n\
         [merge \"trap\"]\n\tdriver = {run}\n\
         [credential]\n\thelper = !{run}\n\
         [gpg]\n\tprogram = {run}\n[commit]\n\tgpgSign = true\n\
         [include]\n\tpath = /etc/passwd\n\
         [url \"file:///\"]\n\tinsteadOf = http://\n\
         [remote \"origin\"]\n\turl = ext::{run}\n\treceivepack = {run}\n"
    )
}

fn trap(root: &Path, canary: &Path) {
    put(root, ".git/config", config(canary));
    put(root, ".git/HEAD", "ref: refs/heads/main\n");
    put(root, ".git/index", "not an index");
    put(root, ".git/objects/info/alternates", "/root/other/objects\n");
    put(root, ".git/info/attributes", "* filter=trap diff=trap merge=trap\n");
    put(root, ".git/info/exclude", "*\n");
    put(root, ".git/commondir", "/\n");
    put(root, ".gitattributes", "* filter=trap diff=trap merge=trap text eol=crlf ident working-tree-encoding=UTF-16\n");
    for hook in
        ["pre-commit", "commit-msg", "post-commit", "pre-push", "post-checkout", "reference-transaction", "post-index-change"]
    {
        put(root, &format!(".git/hooks/{hook}"), format!("#!/bin/sh\ntouch {}\n", canary.display()));
        set_mode(root, &format!(".git/hooks/{hook}"), 0o755);
    }
}

#[tokio::test]
async fn the_agents_own_repository_is_never_read_or_run() {
    let desk = Desk::with(&[("a", b"a\n", PLAIN)]).await;
    let canary = desk.folder.path().join("canary");
    let change = |root: &Path| {
        trap(root, &canary);
        put(root, "a", "b\r\n$Id$\n");
    };
    let lines = desk.changed(change).await;
    assert_eq!(lines[1], "a=100644 b\r\n$Id$\n", "no filter touched the bytes");
    assert!(lines[0].starts_with(".gitattributes="), "it is a file like any other");
    assert_eq!(lines.len(), 2);
    assert!(!canary.exists(), "something of the agent's was run");
}

/// `.git` as a link or a file that names another folder is left alone as well.
#[tokio::test]
async fn a_git_folder_elsewhere_is_not_followed() {
    let desk = Desk::with(&[("a", b"a\n", PLAIN)]).await;
    let elsewhere = desk.folder.path().join("elsewhere");
    let canary = desk.folder.path().join("canary");
    trap(&elsewhere, &canary);
    let as_link = |root: &Path| {
        std::fs::remove_dir_all(root.join(".git")).expect("the tree has a repository");
        link(root, ".git", elsewhere.join(".git").to_str().expect("the path is text"));
        put(root, "a", "b\n");
    };
    assert_eq!(desk.changed(as_link).await, ["a=100644 b\n"]);
    let as_file = |root: &Path| {
        std::fs::remove_dir_all(root.join(".git")).expect("the tree has a repository");
        put(root, ".git", format!("gitdir: {}\n", elsewhere.join(".git").display()));
        put(root, "a", "c\n");
    };
    assert_eq!(desk.changed(as_file).await, ["a=100644 c\n"]);
    assert!(!canary.exists(), "something of the agent's was run");
}

/// What the agent makes of a folder's name while it works is looked at when it has ended: a link in a folder's place leads
/// the reader nowhere.
#[tokio::test]
async fn a_link_in_a_folders_place_is_not_read_through() {
    let desk = Desk::with(&[("d/secret", b"public", PLAIN)]).await;
    let outside = desk.folder.path().join("outside");
    put(&outside, "secret", "of the host");
    let tree = desk.scratch().await;
    super::remove(tree.path(), "d");
    link(tree.path(), "d", outside.to_str().expect("the path is text"));
    let refused = desk.try_propose(&tree).await;
    assert!(matches!(refused, Err(patchwright::workspace::WorkspaceError::Refused(_))), "{refused:?}");
    let secret = git2::Oid::hash_object(git2::ObjectType::Blob, b"of the host").expect("it can be hashed");
    assert!(desk.mirror().find_blob(secret).is_err(), "a file of the host was read");
}

#[tokio::test]
async fn a_scratch_tree_leaves_nothing_behind() {
    let desk = Desk::with(&[("a", b"a", PLAIN)]).await;
    let tree = desk.scratch().await;
    put(tree.path(), "more/and/more", "x");
    set_mode(tree.path(), "more/and", 0o700);
    drop(tree);
    assert!(files_below(&desk.folder.path().join("workspaces/scratch")).is_empty());
}
