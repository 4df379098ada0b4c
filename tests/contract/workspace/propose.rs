//! What becomes of each kind of change.

use patchwright_domain::journal::ChangeKind;

use super::{Desk, EXECUTABLE, LINK, PLAIN, link, message, put, remove, set_mode};

async fn desk() -> Desk {
    Desk::with(&[
        ("README.md", b"# Rocket\n", PLAIN),
        ("bin/launch", b"#!/bin/sh\n", EXECUTABLE),
        ("src/a.py", b"a = 1\nb = 2\n", PLAIN),
        ("src/deep/b.py", b"b\r\n", PLAIN),
        ("latest", b"src/a.py", LINK),
    ])
    .await
}

#[tokio::test]
async fn nothing_changed_is_no_proposal() {
    let desk = desk().await;
    assert_eq!(desk.changed(|_| ()).await, [""; 0]);
    let rewritten = |root: &std::path::Path| {
        remove(root, "README.md");
        put(root, "README.md", "# Rocket\n");
        remove(root, "latest");
        link(root, "latest", "src/a.py");
        std::fs::create_dir_all(root.join("empty/folder")).expect("the folder can be made");
    };
    assert_eq!(desk.changed(rewritten).await, [""; 0]);
}

#[tokio::test]
async fn contents_change() {
    let desk = desk().await;
    let tree = desk.scratch().await;
    put(tree.path(), "src/a.py", "a = 1\nb = 3\nc = 4\n");
    let proposed = desk.propose(&tree).await.expect("something changed");
    insta::assert_snapshot!(proposed.diff, @r"
    diff --git a/src/a.py b/src/a.py
    index 223ca50..7884034 100644
    --- a/src/a.py
    +++ b/src/a.py
    @@ -1,2 +1,3 @@
     a = 1
    -b = 2
    +b = 3
    +c = 4
    ");
    let change = &proposed.changes[0];
    assert_eq!((change.kind, change.lines_added, change.lines_removed), (ChangeKind::Modified, 2, 1));
    assert_eq!(proposed.changes.len(), 1);
}

#[tokio::test]
async fn only_the_owners_execute_bit_counts() {
    let desk = desk().await;
    let modes = |root: &std::path::Path| {
        set_mode(root, "src/a.py", 0o755);
        set_mode(root, "bin/launch", 0o644);
        set_mode(root, "README.md", 0o666);
    };
    assert_eq!(desk.changed(modes).await, ["bin/launch=100644 #!/bin/sh\n", "src/a.py=100755 a = 1\nb = 2\n"]);
}

#[tokio::test]
async fn files_come_and_go() {
    let desk = desk().await;
    let change = |root: &std::path::Path| {
        put(root, "new/deep/file", "new\r\n");
        put(root, "new/ü and \"space\"", "");
        put(root, "data.bin", b"\0\xff\xfe");
        remove(root, "README.md");
        std::fs::rename(root.join("src/a.py"), root.join("src/renamed.py")).expect("it can be renamed");
    };
    assert_eq!(
        desk.changed(change).await,
        [
            "README.md gone",
            "data.bin=100644 \0\u{fffd}\u{fffd}",
            "new/deep/file=100644 new\r\n",
            "new/ü and \"space\"=100644 ",
            "src/a.py gone",
            "src/renamed.py=100644 a = 1\nb = 2\n",
        ]
    );
}

#[tokio::test]
async fn a_folder_goes_with_its_last_file() {
    let desk = desk().await;
    assert_eq!(desk.changed(|root| remove(root, "src/deep/b.py")).await, ["src/deep/b.py gone"]);
    assert_eq!(desk.changed(|root| remove(root, "src")).await, ["src/a.py gone", "src/deep/b.py gone"]);
    let everything =
        |root: &std::path::Path| ["README.md", "bin", "src", "latest"].into_iter().for_each(|name| remove(root, name));
    assert_eq!(desk.changed(everything).await.len(), 5);
}

#[tokio::test]
async fn links_inside_the_tree_are_kept_as_links() {
    let desk = desk().await;
    let change = |root: &std::path::Path| {
        link(root, "src/deep/up", "../../bin");
        link(root, "dangling", "not/there/yet");
        remove(root, "latest");
        link(root, "latest", "./src/deep/b.py");
    };
    let expected = ["dangling=120000 not/there/yet", "latest=120000 ./src/deep/b.py", "src/deep/up=120000 ../../bin"];
    assert_eq!(desk.changed(change).await, expected);
}

#[tokio::test]
async fn one_kind_takes_the_place_of_another() {
    let desk = desk().await;
    let file_to_folder = |root: &std::path::Path| {
        remove(root, "README.md");
        put(root, "README.md/now/a/folder", "x");
    };
    assert_eq!(desk.changed(file_to_folder).await, ["README.md gone", "README.md/now/a/folder=100644 x"]);
    let folder_to_file = |root: &std::path::Path| {
        remove(root, "src");
        put(root, "src", "x");
    };
    assert_eq!(desk.changed(folder_to_file).await, ["src/a.py gone", "src/deep/b.py gone", "src=100644 x"]);
    let folder_to_link = |root: &std::path::Path| {
        remove(root, "src");
        link(root, "src", "bin");
    };
    assert_eq!(desk.changed(folder_to_link).await, ["src/a.py gone", "src/deep/b.py gone", "src=120000 bin"]);
    let link_to_folder = |root: &std::path::Path| {
        remove(root, "latest");
        put(root, "latest/a", "x");
    };
    assert_eq!(desk.changed(link_to_folder).await, ["latest gone", "latest/a=100644 x"]);
    let link_to_file = |root: &std::path::Path| {
        remove(root, "latest");
        put(root, "latest", "src/a.py");
    };
    assert_eq!(desk.changed(link_to_file).await, ["latest=100644 src/a.py"]);
}

/// Writing through a link of the base changes the file that it leads to, and the link stays a link.
#[tokio::test]
async fn writing_through_a_link_changes_its_target() {
    let desk = desk().await;
    assert_eq!(desk.changed(|root| put(root, "latest", "a = 9\n")).await, ["src/a.py=100644 a = 9\n"]);
}

#[tokio::test]
async fn what_is_no_file_is_left_out_and_does_not_hang() {
    let desk = desk().await;
    let leave = |root: &std::path::Path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), mode).expect("a pipe can be made");
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join(".gitignore"), mode).expect("a pipe can be made");
        drop(std::os::unix::net::UnixListener::bind(root.join("socket")).expect("a socket can be made"));
        put(root, "new", "x");
    };
    assert_eq!(desk.changed(leave).await, ["new=100644 x"]);
    let replace = |root: &std::path::Path| {
        remove(root, "README.md");
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("README.md"), mode).expect("a pipe can be made");
    };
    assert_eq!(desk.changed(replace).await, ["README.md gone"]);
}

#[tokio::test]
async fn the_same_files_give_the_same_commit() {
    let desk = desk().await;
    let mut commits = Vec::new();
    for _ in 0..2 {
        let tree = desk.scratch().await;
        put(tree.path(), "new", "x");
        let first = desk.propose(&tree).await.expect("something changed");
        let again = desk.propose(&tree).await.expect("something changed");
        assert_eq!(first.commit, again.commit);
        commits.push(first.commit);
    }
    assert_eq!(commits[0], commits[1]);
    let elsewhere = self::desk().await;
    let tree = elsewhere.scratch().await;
    put(tree.path(), "new", "x");
    assert_eq!(elsewhere.propose(&tree).await.expect("something changed").commit, commits[0]);
    let mut later = message();
    later.text = "Another message\n".into();
    let other = elsewhere.workspaces.propose(&elsewhere.repo, &elsewhere.base, tree.path(), &[], later).await;
    assert_ne!(other.expect("the tree is fine").expect("something changed").commit, commits[0]);
}

#[tokio::test]
async fn the_commit_says_who_and_when_and_on_what() {
    let desk = desk().await;
    let tree = desk.scratch().await;
    put(tree.path(), "new", "x");
    let proposed = desk.propose(&tree).await.expect("something changed");
    let mirror = desk.mirror();
    let commit = mirror.find_commit(git2::Oid::from_str(proposed.commit.as_str()).expect("forty digits")).expect("it is there");
    assert_eq!(commit.parent_ids().map(|id| id.to_string()).collect::<Vec<_>>(), [desk.base.as_str()]);
    assert_eq!(commit.message(), Ok("Fix it\n"));
    assert_eq!(commit.author().to_string(), "patchwright[bot] <bot@example.com>");
    assert_eq!((commit.time().seconds(), commit.time().offset_minutes()), (1_760_000_000, 0));
    assert_eq!(commit.author().to_string(), commit.committer().to_string());
}
