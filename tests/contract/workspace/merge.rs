//! The merge that is tested is the one that git makes, or none.

use std::path::Path;
use std::process::Command;

use git2::Repository;
use patchwright::workspace::{Apart, Pull, Workspaces};
use patchwright_domain::event::IssueNumber;

use super::{local, repo};

/// What makes commits in a checkout with a tracked `main` and leaves one of them as `mine`.
struct History(&'static str);

/// Each of two commits is merged into the other's line; then one line takes both changes back.
const CRISS_CROSS: History = History(
    "
    put one 1; put two 1; save begin
    git checkout -q -b left; put one 2; save left
    git checkout -q -b right main; put two 2; save right
    git checkout -q -b mine left; git merge -q --no-edit right; put mine 1; save mine
    git checkout -q main; git merge -q --ff-only right; git merge -q --no-edit left; put one 1; put two 1; save back
    ",
);

/// More files than are compared with one another, and one of them is changed on the other side as well.
const MANY_FILES_THAT_MOVE: History = History(
    "
    mkdir many; for n in $(seq 150); do echo $n > many/$n; done; put one 1; save begin
    git checkout -q -b mine; for n in $(seq 150); do git mv many/$n many/m$n; echo more >> many/m$n; done; save mine
    git checkout -q main; echo other > many/7; save other
    ",
);

/// Lines that are there more than once, so that it depends on the way to compare them which of them one side has added.
const LINES_THAT_ARE_ALIKE: History = History(
    "
    lines() { printf '%s\\n' \"$@\" > alike; }
    put one 1; lines c { b b; save begin
    git checkout -q -b mine; lines { b c { b; save mine
    git checkout -q main; lines c { c b b; save alike
    ",
);

/// The same, but the two commits change the same line, and each side has settled that in its own way.
const CRISS_CROSS_THAT_CONFLICTS: History = History(
    "
    put one 1; put two 1; save begin
    git checkout -q -b left; put one 2; save left
    git checkout -q -b right main; put one 3; save right
    git checkout -q -b mine left; git merge -q right -s ours --no-edit; put mine 1; save mine
    git checkout -q main; git merge -q --ff-only right; git merge -q left -s ours --no-edit; put two 2; save two
    ",
);

/// The commits that both share have two commits that they share themselves, and so have these: each is merged into the other's
/// line again and again, and at last one line takes everything back.
const CRISS_CROSS_OF_CRISS_CROSSES: History = History(
    "
    put one 1; put two 1; save begin
    git checkout -q -b left; put one 2; save left
    git checkout -q -b right main; put two 2; save right
    for round in 1 2 3; do
        was=$(git rev-parse left)
        git checkout -q left; git merge -q --no-edit right; put left $round; save left
        git checkout -q right; git merge -q --no-edit $was; put right $round; save right
    done
    was=$(git rev-parse left)
    git checkout -q -b mine left; git merge -q --no-edit right; put mine 1; save mine
    git checkout -q main; git merge -q --ff-only right; git merge -q --no-edit $was; put one 1; put left 1; put right 1; save back
    ",
);

/// A folder moves on one side, and the other adds a file to it where it was.
const FOLDER_THAT_MOVES: History = History(
    "
    mkdir old; put old/one 1; put old/two 1; save begin
    git checkout -q -b mine; put old/three 1; save three
    git checkout -q main; git mv old new; save move
    ",
);

/// A file is renamed on one side and changed on the other.
const FILE_THAT_MOVES: History = History(
    "
    put one 1; put two 1; save begin
    git checkout -q -b mine; put one 2; save two
    git checkout -q main; git mv one other; save move
    ",
);

/// Runs a script in a folder, as a git of nobody's configuration; what it printed, and whether it worked.
fn shell(folder: &Path, script: &str) -> (String, bool) {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(folder).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    for (name, value) in [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent")] {
        command.env(name, value);
    }
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Mona").env(format!("GIT_{who}_EMAIL"), "mona@example.com");
    }
    let done = command.output().expect("there is a shell");
    let printed = [done.stdout, done.stderr].concat();
    (String::from_utf8_lossy(&printed).trim().to_owned(), done.status.success())
}

/// What comes of the pull request here, and the tree of git's own merge; none where git asks.
async fn both(history: &History) -> (Pull, Option<String>) {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path();
    Repository::init_bare(path.join("bare.git")).expect("the folder is empty");
    let script = format!(
        "git init -q -b main checkout; cd checkout
        put() {{ for n in 1 2 3 4 5 6; do echo $n; done >\"$1\"; echo \"$1 $2\" >>\"$1\"; }}
        save() {{ git add -A; git commit -q -m \"$1\"; }}
        {}
        git push -q ../bare.git main mine:refs/pull/3/head",
        history.0
    );
    let (printed, has_worked) = shell(path, &script);
    assert!(has_worked, "{printed}");
    let (_, goes_together) = shell(path, "cd checkout; git checkout -q main; git merge --no-edit mine");
    let (tree, _) = shell(path, "cd checkout; git rev-parse 'HEAD^{tree}'");
    let workspaces = Workspaces::open(path.join("workspaces"), None).await.expect("the folder can be made");
    let pull = workspaces.pull(&repo("main"), local(&folder), IssueNumber(3)).await.expect("it can be fetched");
    (pull, goes_together.then_some(tree))
}

#[tokio::test]
async fn a_merge_has_the_tree_of_gits_own() {
    for (name, history) in [
        ("criss-cross", CRISS_CROSS),
        ("criss-cross of criss-crosses", CRISS_CROSS_OF_CRISS_CROSSES),
        ("renamed file", FILE_THAT_MOVES),
    ] {
        let (pull, tree) = both(&history).await;
        let Pull::Pulled(pulled) = pull else { panic!("{name}: not merged: {pull:?}") };
        assert!(pulled.adopted.proposed.is_some(), "{name}: it is a merge");
        assert_eq!(Some(pulled.adopted.tree), tree, "{name}");
    }
}

#[track_caller]
fn doubt(pull: Pull) -> String {
    let Pull::Apart { why: Apart::Doubtful(reason), .. } = pull else { panic!("merged: {pull:?}") };
    reason
}

#[tokio::test]
async fn what_git_may_merge_in_another_way_is_not_merged() {
    let (pull, _) = both(&CRISS_CROSS_THAT_CONFLICTS).await;
    let reason = doubt(pull);
    assert!(reason.ends_with("which both share, do not merge by themselves"), "{reason}");

    let (pull, tree) = both(&LINES_THAT_ARE_ALIKE).await;
    assert!(tree.is_some(), "git makes one of them");
    assert_eq!(doubt(pull), "two ways to compare their texts lead to different merges");

    let (pull, tree) = both(&MANY_FILES_THAT_MOVE).await;
    assert_eq!(tree, None, "git asks");
    assert_eq!(doubt(pull), "more than 200 files were changed, too many to know which of them were renamed");

    let (pull, tree) = both(&FOLDER_THAT_MOVES).await;
    assert_eq!(tree, None, "git asks");
    let reason = doubt(pull);
    assert_eq!(reason, "one side adds old/three to a folder that the other has moved or removed");
}

#[tokio::test]
async fn a_merge_that_takes_too_many_others_is_refused() {
    let history = CRISS_CROSS_OF_CRISS_CROSSES.0.replace("1 2 3; do", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do");
    let (pull, _) = both(&History(history.leak())).await;
    let reason = doubt(pull);
    assert_eq!(reason, "more than 16 merges of commits that both share would have to be made first");
}
