//! From a proposal to a branch, also on a machine that did not make it.

use patchwright::rehearsal::fault::Fault;
use patchwright::workspace::{Proposed, Update, WorkspaceError, Workspaces};
use patchwright_domain::event::IssueNumber;
use patchwright_domain::journal::CommitId;

use super::remote::{Far, rejection};
use super::{message, put};

async fn proposal(far: &Far) -> (CommitId, Proposed) {
    let base = far.fetch().await;
    let tree = far.workspaces.scratch(&far.repo, &base).await.expect("the commit is there");
    put(tree.path(), "new/file", "x");
    std::fs::remove_file(tree.path().join("src/lib.rs")).expect("it is there");
    let proposed = far.workspaces.propose(&far.repo, &base, tree.path(), &[], message()).await;
    (base, proposed.expect("the tree is fine").expect("something changed"))
}

/// A branch that is made.
pub(super) fn new(branch: &str, commit: &CommitId) -> Update {
    Update { branch: branch.into(), from: None, commit: commit.clone() }
}

async fn push(far: &Far, branch: &str, commit: &CommitId) -> Result<(), WorkspaceError> {
    let access = far.access(&far.token("write").await);
    far.workspaces.push(&far.repo, access, &new(branch, commit)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_pushed_and_found_pushed() {
    let far = Far::new().await;
    let (_, proposed) = proposal(&far).await;
    push(&far, "codex/3-fix-abc", &proposed.commit).await.expect("the server takes it");
    assert_eq!(far.head("codex/3-fix-abc").as_deref(), Some(proposed.commit.as_str()));
    push(&far, "codex/3-fix-abc", &proposed.commit).await.expect("it is there");
    let file = far.stage.github.file(far.stage.repo, "codex/3-fix-abc", "new/file").await;
    assert_eq!(file, Some((b"x".to_vec(), false)));
    assert_eq!(far.stage.github.file(far.stage.repo, "codex/3-fix-abc", "src/lib.rs").await, None);
    far.stage.github.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_points_elsewhere_is_left_alone() {
    let far = Far::new().await;
    let (base, proposed) = proposal(&far).await;
    let files: [(&str, &[u8], bool); 1] = [("theirs", b"1", false)];
    let theirs = far.stage.github.push_commit(far.stage.repo, "codex/x", "ada", &files, "Mine").await.expect("git takes it");
    let reason = rejection(push(&far, "codex/x", &proposed.commit).await);
    assert_eq!(reason, format!("pushing the branch: the branch `codex/x` exists and points to another commit ({theirs})"));
    assert_eq!(far.head("codex/x"), Some(theirs));
    // Not even where it would be a step forward.
    let reason = rejection(push(&far, "main", &proposed.commit).await);
    assert!(reason.contains("exists and points to another commit"), "{reason}");
    assert_eq!(far.head("main").as_deref(), Some(base.as_str()));
    far.stage.github.stop().await;
}

/// Where it points to anything else than what was worked on, be that before or behind it, somebody wanted it there.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_moved_from_the_very_commit_that_was_worked_on() {
    let far = Far::new().await;
    let (base, proposed) = proposal(&far).await;
    let moves = async |from: &CommitId| {
        let access = far.access(&far.token("write").await);
        let update = Update { branch: "main".into(), from: Some(from.clone()), commit: proposed.commit.clone() };
        far.workspaces.push(&far.repo, access, &update).await
    };
    let elsewhere = CommitId::parse(&"7".repeat(40)).expect("forty digits");
    let reason = rejection(moves(&elsewhere).await);
    assert_eq!(reason, format!("pushing the branch: the branch `main` exists and points to another commit ({base})"));
    assert_eq!(far.head("main").as_deref(), Some(base.as_str()));
    for _ in 0..2 {
        moves(&base).await.expect("it is there, and stays there");
        assert_eq!(far.head("main").as_deref(), Some(proposed.commit.as_str()));
    }
    let access = far.access(&far.token("write").await);
    let gone = Update { branch: "gone".into(), from: Some(base.clone()), commit: proposed.commit.clone() };
    let reason = rejection(far.workspaces.push(&far.repo, access, &gone).await);
    assert_eq!(reason, "pushing the branch: the branch `gone` is gone");
    assert_eq!(far.head("gone"), None);
    far.stage.github.stop().await;
}

/// Under the name that it was pushed by, or made again by the forge of the same files, on the same commit, with the same message.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_below_a_later_push_is_found_there() {
    let far = Far::new().await;
    let (base, proposed) = proposal(&far).await;
    let github = &far.stage.github;
    let more: [(&str, &[u8], bool); 1] = [("theirs", b"1", false)];
    github.push_commit(far.stage.repo, "mend", "ada", &more, "Mine").await.expect("git takes it");
    let number = github.open_pull_request(far.stage.repo, "ada", "Mine", "mend", "main").await.expect("both are there");
    let update = Update { branch: "mend".into(), from: Some(base.clone()), commit: proposed.commit.clone() };
    let arrived = async || {
        let access = far.access(&far.token("read").await);
        far.workspaces.arrived(&far.repo, access, IssueNumber(number), &update).await.expect("the server answers")
    };
    assert_eq!(arrived().await, None, "theirs is on the same commit, and not ours");
    push(&far, "codex/made", &proposed.commit).await.expect("the server takes it");
    let path = github.repository_path(far.stage.repo).expect("it is there");
    let again = || -> Result<String, git2::Error> {
        let here = git2::Repository::open_bare(&path)?;
        let ours = here.find_commit(git2::Oid::from_str(proposed.commit.as_str())?)?;
        let who = git2::Signature::new("GitHub", "noreply@example.com", &git2::Time::new(7, 0))?;
        let parent = ours.parent(0)?;
        let made = here.commit(None, &who, &who, &String::from_utf8_lossy(ours.message_bytes()), &ours.tree()?, &[&parent])?;
        Ok(made.to_string())
    };
    let made = again().expect("git makes it");
    for there in [proposed.commit.as_str(), &made] {
        let there_now = git2::Oid::from_str(there).expect("it is one");
        let here = git2::Repository::open_bare(&path).expect("it is there");
        here.reference("refs/heads/mend", there_now, true, "test").expect("git moves it");
        github.push_commit(far.stage.repo, "mend", "ada", &more, "Mine").await.expect("git takes it");
        assert_eq!(arrived().await.as_ref().map(CommitId::as_str), Some(there));
    }
    far.stage.github.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_says_why() {
    let far = Far::new().await;
    let (_, proposed) = proposal(&far).await;
    far.stage.github.protect_branch(far.stage.repo, "codex/locked").expect("the repository is there");
    let reason = rejection(push(&far, "codex/locked", &proposed.commit).await);
    let words = "error: GH006: Protected branch update failed for refs/heads/codex/locked.";
    assert!(reason.starts_with(&format!("pushing the branch: hook declined; {words}")), "{reason}");
    far.stage.github.fault(Fault::refuse_push("octo/rocket", "no signed commits, no entry"));
    let reason = rejection(push(&far, "codex/x", &proposed.commit).await);
    assert!(reason.starts_with("pushing the branch: hook declined; no signed commits, no entry"), "{reason}");
    assert_eq!(far.head("codex/x"), None);
    let read_only = far.access(&far.token("read").await);
    let refused = far.workspaces.push(&far.repo, read_only, &new("codex/x", &proposed.commit)).await;
    assert_eq!(rejection(refused), "asking for the branches: the forge answered 403 Write access to repository not granted.");
    push(&far, "codex/x", &proposed.commit).await.expect("the server takes it");
    far.stage.github.stop().await;
}

/// The answer is lost after the push was taken: the next try finds it done.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_answer_was_lost_is_found_done() {
    let far = Far::new().await;
    let (_, proposed) = proposal(&far).await;
    far.stage.github.fault(Fault::lose_answer("POST", "/octo/rocket.git/git-receive-pack"));
    let lost = push(&far, "codex/x", &proposed.commit).await;
    assert!(matches!(lost, Err(WorkspaceError::Unavailable { .. })), "{lost:?}");
    assert_eq!(far.head("codex/x").as_deref(), Some(proposed.commit.as_str()));
    push(&far, "codex/x", &proposed.commit).await.expect("it is there");
    far.stage.github.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machine_pushes_from_the_pack() {
    let far = Far::new().await;
    let (base, proposed) = proposal(&far).await;
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let fresh = Workspaces::open(folder.path().to_owned(), None).await.expect("the folder can be made");
    let unpacked = fresh.unpack(&far.repo, &proposed.commit, proposed.pack.clone()).await;
    assert!(matches!(unpacked, Err(WorkspaceError::Unavailable { .. })), "without the base there is nothing to build on");
    let access = far.access(&far.token("read").await);
    assert_eq!(fresh.fetch(&far.repo, access).await.expect("the branch is there"), base);
    for pack in [b"".to_vec(), b"not a pack".to_vec(), proposed.pack[..proposed.pack.len() / 2].to_vec()] {
        let broken = fresh.unpack(&far.repo, &proposed.commit, pack).await;
        assert!(matches!(broken, Err(WorkspaceError::Unavailable { .. })), "{broken:?}");
    }
    let elsewhere = CommitId::parse(&"7".repeat(40)).expect("forty digits");
    assert!(fresh.unpack(&far.repo, &elsewhere, proposed.pack.clone()).await.is_err(), "the pack does not hold it");
    for _ in 0..2 {
        fresh.unpack(&far.repo, &proposed.commit, proposed.pack.clone()).await.expect("the pack holds it");
    }
    let tree = fresh.scratch(&far.repo, &proposed.commit).await.expect("the commit is there");
    assert_eq!(std::fs::read(tree.path().join("new/file")).expect("it is there"), b"x");
    assert_eq!(std::fs::read(tree.path().join("README.md")).expect("it is there"), b"# Rocket\n");
    let access = far.access(&far.token("write").await);
    fresh.push(&far.repo, access, &new("codex/x", &proposed.commit)).await.expect("the server takes it");
    assert_eq!(far.head("codex/x").as_deref(), Some(proposed.commit.as_str()));
    far.stage.github.stop().await;
}
