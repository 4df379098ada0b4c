//! What a pull request changes, whoever has made it.

use git2::{Oid, Repository};
use patchwright::workspace::{Apart, Pull, Pulled, WorkspaceError};
use patchwright_domain::event::IssueNumber;
use patchwright_domain::journal::CommitId;

use super::remote::{Far, rejection};
use super::{Desk, EXECUTABLE, PLAIN, commit, local, tree_of};

const BASE: [super::File<'_>; 2] = [("README", b"one\n", PLAIN), ("run", b"#!/bin/sh\n", EXECUTABLE)];
const PULL: &str = "refs/pull/3/head";

/// Commits a tree behind another commit and lets the reference point to it.
pub(super) fn behind(bare: &Repository, parent: &CommitId, reference: &str, tree: Oid) -> CommitId {
    let author = git2::Signature::new("Eve", "eve@example.com", &git2::Time::new(1_750_000_100, 0)).expect("the name is fine");
    let parent = bare.find_commit(Oid::from_str(parent.as_str()).expect("forty digits")).expect("it is there");
    let tree = bare.find_tree(tree).expect("the tree is there");
    let id = bare.commit(None, &author, &author, "Change", &tree, &[&parent]).expect("a commit can be written");
    bare.reference(reference, id, true, "test").expect("the reference can be written");
    CommitId::parse(&id.to_string()).expect("git prints forty digits")
}

async fn pull(desk: &Desk) -> Result<Pull, WorkspaceError> {
    desk.workspaces.pull(&desk.repo, local(&desk.folder), IssueNumber(3)).await
}

pub(super) async fn pulled(desk: &Desk) -> Pulled {
    taken(pull(desk).await)
}

#[track_caller]
fn taken(pull: Result<Pull, WorkspaceError>) -> Pulled {
    match pull {
        Ok(Pull::Pulled(pulled)) => *pulled,
        other => panic!("not fetched: {other:?}"),
    }
}

async fn refusal(desk: &Desk) -> String {
    match pull(desk).await {
        Err(WorkspaceError::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_pull_request_is_measured_as_it_merges_into_the_branch() {
    let desk = Desk::with(&BASE).await;
    let bare = desk.bare();
    let head = behind(&bare, &desk.base, PULL, tree_of(&bare, &[BASE[1], ("README", b"two\n", PLAIN), ("new", b"x\n", PLAIN)]));
    let Pulled { adopted, .. } = pulled(&desk).await;
    assert_eq!((&adopted.base, &adopted.head, &adopted.proposed), (&desk.base, &head, &None), "it is its own merge");

    let tip = behind(&bare, &desk.base, "refs/heads/main", tree_of(&bare, &[BASE[0], ("gained", b"x\n", PLAIN)]));
    let Pulled { adopted, pack } = pulled(&desk).await;
    assert_eq!((&adopted.base, &adopted.proposed), (&tip, &Some(head)));
    assert_eq!(pulled(&desk).await.adopted.head, adopted.head, "the same merge, whenever it is made");
    let merge = adopted.head.clone();
    assert_eq!(desk.workspaces.read(&desk.repo, &merge, "gained").await.expect("it is there"), Some(b"x\n".to_vec()));
    assert_eq!(desk.workspaces.read(&desk.repo, &merge, "run").await.expect("it can be looked for"), None);
    let paths: Vec<&str> = adopted.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["README", "new"], "what the branch has gained since is no part of it");
    assert!(adopted.diff.contains("-one") && adopted.diff.contains("+two"), "{}", adopted.diff);

    // Another worker has the base alone, and the pack.
    let other = Desk::at(tempfile::tempdir().map(|folder| copied(&desk, folder)).expect("there is room")).await;
    other.workspaces.unpack(&other.repo, &merge, pack).await.expect("the pack holds it");
    assert_eq!(other.workspaces.read(&other.repo, &merge, "new").await.expect("it is there"), Some(b"x\n".to_vec()));
}

/// The bare repository again, without its pull requests.
fn copied(desk: &Desk, folder: tempfile::TempDir) -> tempfile::TempDir {
    let from = desk.folder.path().join("bare.git");
    let bare = Repository::init_bare(folder.path().join("bare.git")).expect("the folder is empty");
    let mut remote = bare.remote_anonymous(&from.to_string_lossy()).expect("a path is an address");
    remote.fetch(&["refs/heads/*:refs/heads/*"], None, None).expect("it is there");
    drop(remote);
    folder
}

#[tokio::test]
async fn a_pull_request_that_is_not_there_or_shares_nothing_is_told_apart() {
    let desk = Desk::with(&BASE).await;
    assert_eq!(rejection(pull(&desk).await), "fetching the repository: there is no pull request #3");
    let bare = desk.bare();
    commit(&bare, PULL, tree_of(&bare, &[("other", b"x\n", PLAIN)]));
    assert!(matches!(pull(&desk).await, Ok(Pull::Apart { why: Apart::Unrelated, .. })));
    let elsewhere = desk.repo.on_branch("release").expect("a plain name");
    let missing = desk.workspaces.pull(&elsewhere, local(&desk.folder), IssueNumber(3)).await;
    assert_eq!(rejection(missing), "fetching the repository: there is no branch `release`");
}

#[tokio::test]
async fn a_pull_request_that_is_too_large_is_refused() {
    let desk = Desk::with(&BASE).await;
    let bare = desk.bare();
    let names: Vec<String> = (0..3_001).map(|n| format!("f{n}")).collect();
    let many: Vec<super::File<'_>> = names.iter().map(|name| (name.as_str(), b"x" as &[u8], PLAIN)).collect();
    behind(&bare, &desk.base, PULL, tree_of(&bare, &[&BASE[..], &many[1..]].concat()));
    assert_eq!(pulled(&desk).await.adopted.changes.len(), 3_000);
    behind(&bare, &desk.base, PULL, tree_of(&bare, &[&BASE[..], &many].concat()));
    assert_eq!(refusal(&desk).await, "it changes more than 3000 files");
    let zeros = vec![0; 100 * 1024 * 1024];
    behind(&bare, &desk.base, PULL, tree_of(&bare, &[BASE[0], BASE[1], ("zeros", &zeros, PLAIN), ("more", b"x", PLAIN)]));
    assert_eq!(refusal(&desk).await, "the files that it changes have 104857601 bytes, and 104857600 are looked at");
}

/// Twelve folders, each of which holds the next one ten times: thirteen objects, and a million million files.
#[tokio::test]
async fn a_few_objects_that_make_endless_files_are_refused() {
    let desk = Desk::with(&BASE).await;
    let bare = desk.bare();
    let mut tree = tree_of(&bare, &[("f", b"x", PLAIN)]);
    for _ in 0..12 {
        let mut builder = bare.treebuilder(None).expect("a tree can be built");
        for n in 0..10 {
            builder.insert(format!("d{n}"), tree, 0o040_000).expect("a plain name");
        }
        tree = builder.write().expect("a tree can be written");
    }
    behind(&bare, &desk.base, PULL, tree);
    assert_eq!(refusal(&desk).await, "it has more than 100000 names in folders that it changes");
}

#[tokio::test]
async fn folders_that_are_too_deep_are_refused() {
    let desk = Desk::with(&BASE).await;
    let bare = desk.bare();
    let deep = |n_folders: usize| {
        let inner = tree_of(&bare, &[("f", b"x", PLAIN)]);
        (1..n_folders).fold(inner, |tree, _| {
            let mut builder = bare.treebuilder(None).expect("a tree can be built");
            builder.insert("d", tree, 0o040_000).expect("a plain name");
            builder.write().expect("a tree can be written")
        })
    };
    behind(&bare, &desk.base, PULL, deep(100));
    assert_eq!(pulled(&desk).await.adopted.changes.len(), 3);
    behind(&bare, &desk.base, PULL, deep(101));
    assert_eq!(refusal(&desk).await, "it has more than 100 folders inside one another");
}

#[tokio::test]
async fn what_was_changed_on_both_sides_is_in_the_way() {
    let desk = Desk::with(&BASE).await;
    let bare = desk.bare();
    let proposed = behind(&bare, &desk.base, PULL, tree_of(&bare, &[BASE[1], ("README", b"two\n", PLAIN)]));
    behind(&bare, &desk.base, "refs/heads/main", tree_of(&bare, &[BASE[1], ("README", b"three\n", PLAIN)]));
    match pull(&desk).await {
        Ok(Pull::Apart { head, why: Apart::Conflicts(paths), .. }) => {
            assert_eq!((head, paths), (proposed, vec!["README".to_owned()]))
        }
        other => panic!("it goes together: {other:?}"),
    }
}

/// Only the repository itself is asked, with a token for it that may read.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_fork_proposes_is_fetched_from_the_repository_itself() {
    let far = Far::new().await;
    let github = &far.stage.github;
    let fork = github.fork(far.stage.repo, "eve").await.expect("the repository is there");
    let files: [(&str, &[u8], bool); 1] = [("README.md", b"# Mine\n", false)];
    let head = github.push_commit(fork, "mine", "eve", &files, "Change").await.expect("git takes it");
    let opened = github.open_pull_request_from(fork, far.stage.repo, "eve", ("Change", ""), ("mine", "main")).await;
    let number = IssueNumber(opened.expect("both branches are there"));
    let token = far.token("read").await;
    let pulled = far.workspaces.pull(&far.repo, far.access(&token), number).await.expect("it can be fetched");
    assert_eq!(taken(Ok(pulled)).adopted.head.as_str(), head);
    // What is pushed to the fork later is what the pull request proposes from then on.
    let later = github.push_commit(fork, "mine", "eve", &[("more", b"x", false)], "More").await.expect("git takes it");
    let pulled = far.workspaces.pull(&far.repo, far.access(&token), number).await.expect("it can be fetched");
    assert_eq!(taken(Ok(pulled)).adopted.changes.len(), 2);
    let shown = github.pull_requests(far.stage.repo);
    assert_eq!(shown[0].1.head_sha, later);
}
