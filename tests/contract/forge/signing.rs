//! Commits that GitHub makes and signs: only what was proven, and the branch once.

use patchwright::forge::signing::{Draft, Entry, Object, ObjectKind, Signer, hidden};
use patchwright::forge::{Forge as _, ForgeError};
use patchwright::rehearsal::fault::Fault;
use patchwright_domain::journal::CommitId;
use serde_json::json;

use super::{Scene, assert_scoped, told};

const BRANCH: &str = "codex/1-fix";

impl Scene {
    fn signer(&self) -> &dyn Signer {
        self.forge.signer().expect("it was asked to sign")
    }

    /// A commit that is there under a hidden name, as a forge has to know it: one file that can be started instead of another.
    async fn draft(&self) -> Draft {
        let path = self.stage.github.repository_path(self.stage.repo).expect("it is there");
        let made = || -> Result<Draft, git2::Error> {
            let repository = git2::Repository::open_bare(path)?;
            let base = repository.find_reference("refs/heads/main")?.peel_to_commit()?;
            let blob = repository.blob(b"#!/bin/sh\nexit 0\n")?;
            let mut edit = git2::build::TreeUpdateBuilder::new();
            edit.upsert("bin/start", blob, git2::FileMode::BlobExecutable).remove("README.md");
            let tree = repository.find_tree(edit.create_updated(&repository, &base.tree()?)?)?;
            let who = git2::Signature::new("Patchwright", "bot@example.com", &git2::Time::new(1, 0))?;
            let message = "Fix it\n\nFor issue #1. Job x.\n";
            let commit = repository.commit(None, &who, &who, message, &tree, &[&base])?;
            repository.reference(&hidden(&self.spec().id()), commit, true, "test")?;
            let id = |oid: git2::Oid| CommitId::parse(&oid.to_string()).expect("forty digits");
            let start = Object { kind: ObjectKind::Executable, id: blob.to_string() };
            Ok(Draft {
                branch: BRANCH.into(),
                commit: id(commit),
                tree: tree.id().to_string(),
                base: id(base.id()),
                base_tree: base.tree_id().to_string(),
                message: message.into(),
                entries: vec![
                    Entry { path: "README.md".into(), object: None },
                    Entry { path: "bin/start".into(), object: Some(start) },
                ],
                moves: false,
            })
        };
        made().expect("git makes it")
    }

    async fn signs(&self, draft: &Draft) -> Result<CommitId, ForgeError> {
        self.signer().sign(&self.repo, draft).await
    }
}

#[tokio::test]
async fn a_commit_is_signed_put_on_its_branch_and_found_there() {
    let scene = Scene::set().await;
    let (draft, signer) = (scene.draft().await, scene.signer());
    assert_eq!(signer.look(&scene.repo, &draft).await.expect("GitHub answers"), None);
    let commit = scene.signs(&draft).await.expect("GitHub signs");
    assert_ne!(commit, draft.commit);
    assert!(!scene.stage.github.branches(scene.stage.repo).contains_key(BRANCH), "nothing points to it");
    signer.point(&scene.repo, &draft, &commit).await.expect("GitHub makes the branch");
    let published = signer.look(&scene.repo, &draft).await.expect("GitHub answers").expect("it is there");
    assert_eq!((&published.commit, published.is_verified, published.reason), (&commit, true, None));
    let start = scene.stage.github.file(scene.stage.repo, BRANCH, "bin/start").await;
    assert_eq!(start, Some((b"#!/bin/sh\nexit 0\n".to_vec(), true)));
    assert_eq!(scene.stage.github.file(scene.stage.repo, BRANCH, "README.md").await, None);
    // Nobody is named, for that would keep GitHub from signing.
    let asked: Vec<_> = scene.asked("POST", "/git/commits").iter().map(|one| one.request.clone()).collect();
    assert_eq!(asked, [json!({"message": draft.message, "tree": draft.tree, "parents": [draft.base.as_str()]})]);
    for token in scene.asked("POST", "/access_tokens") {
        assert_scoped(&token, &scene.repo, json!({"contents": "write"}));
    }
    scene.end().await;
}

#[tokio::test]
async fn what_is_on_no_branch_is_shown_as_well() {
    let scene = Scene::set().await;
    let draft = scene.draft().await;
    let signed = scene.signs(&draft).await.expect("GitHub signs");
    let shown = async |commit: &CommitId| {
        let published = scene.signer().shown(&scene.repo, commit).await.expect("GitHub shows it");
        (published.commit == *commit, published.is_verified, published.reason)
    };
    assert_eq!(shown(&signed).await, (true, true, None));
    let unsigned = Some("GitHub says of its signature: unsigned".to_owned());
    assert_eq!(shown(&draft.commit).await, (true, false, unsigned));
    scene.end().await;
}

#[tokio::test]
async fn a_hidden_name_is_taken_away_as_often_as_is_wanted() {
    let scene = Scene::set().await;
    let (draft, job) = (scene.draft().await, scene.spec().id());
    assert!(scene.stage.github.references(scene.stage.repo).contains_key(&hidden(&job)), "{draft:?}");
    scene.stage.github.fault(Fault::lose_answer("DELETE", "/repos/octo/rocket/git/refs/*"));
    for _ in 0..2 {
        scene.signer().unhide(&scene.repo, &job).await.expect("it is not there then");
    }
    assert!(!scene.stage.github.references(scene.stage.repo).contains_key(&hidden(&job)));
    scene.stage.github.fault(Fault::refuse("DELETE", "/repos/octo/rocket/git/refs/*", 403, "Not you"));
    assert!(told(scene.signer().unhide(&scene.repo, &job).await).starts_with("denied: taking the hidden name"));
    scene.end().await;
}

/// The branch that somebody else has made, at whatever, is left alone.
#[tokio::test]
async fn another_branch_of_that_name_is_neither_ours_nor_moved() {
    let scene = Scene::set().await;
    let draft = scene.draft().await;
    let files: [(&str, &[u8], bool); 1] = [("x", b"x", false)];
    let theirs = scene.stage.github.push_commit(scene.stage.repo, BRANCH, "ada", &files, "Mine").await.expect("git takes it");
    let reason = format!("the branch `{BRANCH}` exists and points to another commit ({theirs})");
    assert_eq!(told(scene.signer().look(&scene.repo, &draft).await), format!("rejected: looking at the branch: {reason}"));
    let commit = scene.signs(&draft).await.expect("GitHub signs");
    let refused = told(scene.signer().point(&scene.repo, &draft, &commit).await);
    assert_eq!(refused, "rejected: making the branch: GitHub answered 422 Reference already exists");
    assert_eq!(scene.stage.github.branches(scene.stage.repo).get(BRANCH), Some(&theirs));
    scene.end().await;
}

/// A branch that is to be moved is there, and is moved onto what comes behind it alone.
#[tokio::test]
async fn a_branch_is_moved_from_the_commit_that_was_worked_on() {
    let scene = Scene::set().await;
    let draft = Draft { branch: "main".into(), moves: true, ..scene.draft().await };
    let (signer, at) = (scene.signer(), || scene.stage.github.branches(scene.stage.repo)["main"].clone());
    assert_eq!(signer.look(&scene.repo, &draft).await.expect("GitHub answers"), None, "it was not moved yet");
    let commit = scene.signs(&draft).await.expect("GitHub signs");
    for _ in 0..2 {
        signer.point(&scene.repo, &draft, &commit).await.expect("GitHub moves the branch");
        assert_eq!(at(), commit.as_str());
    }
    let published = signer.look(&scene.repo, &draft).await.expect("GitHub answers").expect("it is there");
    assert_eq!((&published.commit, published.is_verified), (&commit, true));
    scene.end().await;
}

#[tokio::test]
async fn a_branch_to_which_somebody_has_pushed_is_not_moved() {
    let scene = Scene::set().await;
    let draft = Draft { branch: "main".into(), moves: true, ..scene.draft().await };
    let files: [(&str, &[u8], bool); 1] = [("x", b"x", false)];
    let theirs = scene.stage.github.push_commit(scene.stage.repo, "main", "ada", &files, "Mine").await.expect("git takes it");
    let commit = scene.signs(&draft).await.expect("GitHub signs");
    assert!(told(scene.signer().look(&scene.repo, &draft).await).contains("points to another commit"));
    let refused = told(scene.signer().point(&scene.repo, &draft, &commit).await);
    assert_eq!(refused, "rejected: moving the branch: GitHub answered 422 Update is not a fast forward");
    assert_eq!(scene.stage.github.branches(scene.stage.repo)["main"], theirs);
    scene.end().await;
}

/// What was pushed as it was is found as well, and is what it is.
#[tokio::test]
async fn a_branch_that_was_pushed_is_found_unverified() {
    let scene = Scene::set().await;
    let draft = scene.draft().await;
    scene.signer().point(&scene.repo, &draft, &draft.commit).await.expect("GitHub makes the branch");
    let published = scene.signer().look(&scene.repo, &draft).await.expect("GitHub answers").expect("it is there");
    assert_eq!((published.commit, published.is_verified), (draft.commit, false));
    scene.end().await;
}

#[tokio::test]
async fn another_tree_than_the_proven_one_becomes_no_commit() {
    let scene = Scene::set().await;
    let mut draft = scene.draft().await;
    draft.entries.pop();
    assert!(told(scene.signs(&draft).await).starts_with("rejected: having GitHub sign the commit: GitHub came to another tree"));
    assert!(scene.asked("POST", "/git/commits").is_empty());
    scene.end().await;
}

#[tokio::test]
async fn a_commit_without_a_signature_is_refused() {
    let scene = Scene::set().await;
    let draft = scene.draft().await;
    scene.stage.github.leave_commits_unsigned();
    let reason = "rejected: having GitHub sign the commit: GitHub says of its signature: unsigned";
    assert_eq!(told(scene.signs(&draft).await), reason);
    scene.end().await;
}

/// Nothing points to what was made, so that it may be made once more.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_made_again() {
    let scene = Scene::set().await;
    let draft = scene.draft().await;
    scene.stage.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/git/trees"));
    scene.stage.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/git/commits"));
    scene.signs(&draft).await.expect("GitHub signs");
    assert_eq!(scene.asked("POST", "/git/commits").len(), 2);
    // A branch is none of that: whether it is there has to be looked at.
    scene.stage.github.fault(Fault::lose_answer("POST", "/repos/octo/rocket/git/refs"));
    let lost = told(scene.signer().point(&scene.repo, &draft, &draft.commit).await);
    assert_eq!(lost, "unavailable: GitHub answered 502 Server Error");
    assert_eq!(scene.asked("POST", "/git/refs").len(), 1);
    scene.end().await;
}

#[tokio::test]
async fn an_operator_who_wants_commits_as_they_were_pushed_wants_no_signer() {
    let scene = Scene::set().await;
    let settings = super::settings(&scene.stage);
    let forge = super::GitHub::new(super::GitHubSettings { signs_commits: false, ..settings }).expect("the key is PEM");
    assert_eq!(forge.signer().map(|signer| signer.is_wanted()), Some(false));
    scene.end().await;
}
