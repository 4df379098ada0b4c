//! Fetching, from a path and from the rehearsed GitHub over git's own protocol.

use git2::{Oid, Repository};
use patchwright::forge::CloneAccess;
use patchwright::workspace::{WorkspaceError, Workspaces};
use patchwright_domain::event::RepoRef;
use patchwright_domain::journal::CommitId;
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;

use super::{Desk, PLAIN, commit, files_below, local, repo, tree_of};
use crate::support::github::Stage;

/// The rehearsal and workspaces that have fetched nothing yet.
pub(super) struct Far {
    pub(super) stage: Stage,
    pub(super) folder: TempDir,
    pub(super) workspaces: Workspaces,
    pub(super) repo: RepoRef,
}

impl Far {
    pub(super) async fn new() -> Self {
        let stage = Stage::set().await;
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let workspaces = Workspaces::open(folder.path().to_owned(), None).await.expect("the folder can be made");
        let repo = RepoRef::new(stage.repo.0, 1, "octo", "rocket", "main").expect("the names are fine");
        Self { stage, folder, workspaces, repo }
    }

    pub(super) fn access(&self, token: &str) -> CloneAccess {
        let url = format!("{}/octo/rocket.git", self.stage.github.web_url());
        CloneAccess { url, token: Some(SecretString::from(token)) }
    }

    pub(super) async fn token(&self, level: &str) -> String {
        self.stage.token(json!({"repository_ids": [self.stage.repo.0], "permissions": {"contents": level}})).await
    }

    pub(super) async fn fetch(&self) -> CommitId {
        let access = self.access(&self.token("read").await);
        self.workspaces.fetch(&self.repo, access).await.expect("the branch is there")
    }

    pub(super) fn head(&self, branch: &str) -> Option<String> {
        self.stage.github.branches(self.stage.repo).get(branch).cloned()
    }
}

#[track_caller]
pub(super) fn rejection<T: std::fmt::Debug>(result: Result<T, WorkspaceError>) -> String {
    match result {
        Err(error @ WorkspaceError::Rejected { .. }) => error.to_string(),
        other => panic!("not rejected: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fetching_brings_what_is_new() {
    let far = Far::new().await;
    let noise: Vec<u8> = (0..400_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    far.stage
        .github
        .push_commit(far.stage.repo, "main", "ada", &[("noise", &noise, false)], "Noise")
        .await
        .expect("git takes it");
    let first = far.fetch().await;
    assert_eq!(Some(first.to_string()), far.head("main"));
    assert_eq!(far.fetch().await, first);
    let size =
        |far: &Far| files_below(far.folder.path()).iter().map(|path| path.metadata().map_or(0, |file| file.len())).sum::<u64>();
    let before = size(&far);
    assert!(before > 1_000_000, "the noise is there");
    let second = far.stage.github.push_commit(far.stage.repo, "main", "ada", &[("new", b"x", false)], "More").await;
    assert_eq!(far.fetch().await.as_str(), second.expect("git takes it"));
    assert!(size(&far) - before < 50_000, "what is here is not fetched again");
    let head = far.fetch().await;
    let new = far.workspaces.read(&far.repo, &head, "new").await.expect("the mirror is there");
    assert_eq!(new.as_deref(), Some(b"x".as_slice()));
    assert_eq!(far.workspaces.read(&far.repo, &first, "new").await.expect("the old commit is still there"), None);
    far.stage.github.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_rejected_in_a_sentence() {
    let far = Far::new().await;
    let wrong = far.workspaces.fetch(&far.repo, far.access("ghs_wrong")).await;
    assert_eq!(rejection(wrong), "fetching the repository: the forge answered 401 Invalid username or token.");
    let elsewhere = far.stage.github.create_repository("octo", "other", &[("a", b"a", false)]).await.expect("the name is fine");
    let narrow = far.stage.token(json!({"repository_ids": [elsewhere.0], "permissions": {"contents": "read"}})).await;
    let refused = far.workspaces.fetch(&far.repo, far.access(&narrow)).await;
    assert_eq!(rejection(refused), "fetching the repository: the forge answered 404 Repository not found.");
    let none = CloneAccess { url: far.access("").url, token: None };
    assert!(rejection(far.workspaces.fetch(&far.repo, none).await).contains("401"));
    far.stage.github.suspend("octo").expect("the App is installed");
    let suspended = far.workspaces.fetch(&far.repo, far.access("ghs_any")).await;
    assert!(rejection(suspended).contains("the forge answered"));
    far.stage.github.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_is_not_available() {
    use patchwright::rehearsal::fault::Fault;
    let far = Far::new().await;
    let token = far.token("read").await;
    let path = "/octo/rocket.git/info/refs";
    for fault in [
        Fault::disconnect("POST", "/octo/rocket.git/git-upload-pack"),
        Fault::refuse("POST", "/octo/rocket.git/git-upload-pack", 500, "Oops"),
        Fault::refuse("GET", path, 502, "Bad Gateway"),
        Fault::disconnect("GET", path),
        Fault::rate_limit("GET", path, 429, 60),
    ] {
        far.stage.github.fault(fault.clone());
        let fetched = far.workspaces.fetch(&far.repo, far.access(&token)).await;
        assert!(matches!(fetched, Err(WorkspaceError::Unavailable { .. })), "{fault:?}: {fetched:?}");
    }
    far.fetch().await;
    far.stage.github.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_nowhere_on_disk() {
    let far = Far::new().await;
    let token = far.token("write").await;
    let access = far.access(&token);
    assert!(!access.url.contains(&token));
    assert!(!format!("{access:?}").contains(&token));
    let base = far.workspaces.fetch(&far.repo, access).await.expect("the branch is there");
    far.workspaces.push(&far.repo, far.access(&token), &super::push::new("copy", &base)).await.expect("the server takes it");
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("x-access-token:{token}"));
    let files = files_below(far.folder.path());
    assert!(files.len() > 3, "the mirror is there");
    for path in files {
        let content = std::fs::read(&path).expect("it is there");
        for secret in [&token, &encoded] {
            let is_there = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "the token is in {}", path.display());
        }
    }
    far.stage.github.stop().await;
}

#[tokio::test]
async fn a_moved_branch_is_followed() {
    let desk = Desk::with(&[("a", b"1", PLAIN)]).await;
    let bare = desk.bare();
    let other = commit(&bare, "refs/heads/other", tree_of(&bare, &[("b", b"2", PLAIN)]));
    bare.reference("refs/heads/main", Oid::from_str(other.as_str()).expect("forty digits"), true, "force")
        .expect("it can be moved");
    let moved = desk.workspaces.fetch(&desk.repo, local(&desk.folder)).await.expect("the branch is there");
    assert_eq!(moved, other);
    desk.scratch().await;
}

#[tokio::test]
async fn a_branch_that_is_gone_is_told() {
    let desk = Desk::with(&[("a", b"1", PLAIN)]).await;
    let bare = desk.bare();
    commit(&bare, "refs/heads/trunk", tree_of(&bare, &[("b", b"2", PLAIN)]));
    bare.find_reference("refs/heads/main").and_then(|mut main| main.delete()).expect("it can be deleted");
    let gone = desk.workspaces.fetch(&desk.repo, local(&desk.folder)).await;
    assert_eq!(rejection(gone), "fetching the repository: there is no branch `main`");
    let never = desk.workspaces.fetch(&repo("never"), local(&desk.folder)).await;
    assert_eq!(rejection(never), "fetching the repository: there is no branch `never`");
    desk.workspaces.fetch(&repo("trunk"), local(&desk.folder)).await.expect("the branch is there");
}

/// A default branch may have slashes, and may once have been called what is now a folder of refs.
#[tokio::test]
async fn a_default_branch_with_slashes() {
    let desk = Desk::with(&[("a", b"1", PLAIN)]).await;
    let bare = desk.bare();
    let first = commit(&bare, "refs/heads/release", tree_of(&bare, &[("b", b"1", PLAIN)]));
    let fetched = desk.workspaces.fetch(&repo("release"), local(&desk.folder)).await.expect("the branch is there");
    assert_eq!(fetched, first);
    bare.find_reference("refs/heads/release").and_then(|mut main| main.delete()).expect("it can be deleted");
    let second = commit(&bare, "refs/heads/release/1.x", tree_of(&bare, &[("b", b"2", PLAIN)]));
    let fetched = desk.workspaces.fetch(&repo("release/1.x"), local(&desk.folder)).await.expect("the branch is there");
    assert_eq!(fetched, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_branch_with_slashes_over_http() {
    let far = Far::new().await;
    let files: [(&str, &[u8], bool); 1] = [("b", b"2", false)];
    let head = far.stage.github.push_commit(far.stage.repo, "release/1.x", "ada", &files, "Begin").await.expect("git takes it");
    let repo = RepoRef::new(far.stage.repo.0, 1, "octo", "rocket", "release/1.x").expect("the names are fine");
    let access = far.access(&far.token("read").await);
    assert_eq!(far.workspaces.fetch(&repo, access).await.expect("the branch is there").as_str(), head);
    far.stage.github.stop().await;
}

#[tokio::test]
async fn many_fetches_at_once_do_not_harm_each_other() {
    let desk = std::sync::Arc::new(Desk::with(&[("a", b"1", PLAIN)]).await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let desk = std::sync::Arc::clone(&desk);
        tasks.spawn(async move { desk.workspaces.fetch(&desk.repo, local(&desk.folder)).await.expect("the branch is there") });
    }
    assert!(tasks.join_all().await.iter().all(|head| *head == desk.base));
}

/// A process that is killed while git holds its locks leaves them; nobody would ever fetch again.
#[tokio::test]
async fn what_a_killed_process_has_left_locked_or_half_made_is_no_hindrance() {
    let desk = Desk::with(&[("a.txt", b"a\n", PLAIN)]).await;
    let mirror = desk.folder.path().join("workspaces/mirrors").join(format!("{}.git", desk.repo.id));
    for lock in ["config.lock", "HEAD.lock", "packed-refs.lock", "FETCH_HEAD.lock", "refs/patchwright/base.lock"] {
        std::fs::write(mirror.join(lock), "").expect("the mirror is there");
    }
    let bare = Repository::open(desk.folder.path().join("bare.git")).expect("it is there");
    let tree = tree_of(&bare, &[("a.txt", b"b\n", PLAIN)]);
    let moved = commit(&bare, "refs/heads/main", tree);
    let fetched = desk.workspaces.fetch(&desk.repo, local(&desk.folder)).await.expect("what is left locked is nobody's");
    assert_eq!(fetched, moved);
    std::fs::remove_file(mirror.join("HEAD")).expect("a mirror has one");
    std::fs::write(mirror.join("config.lock"), "").expect("the mirror is there");
    let fetched = desk.workspaces.fetch(&desk.repo, local(&desk.folder)).await.expect("a half-made mirror is made anew");
    assert_eq!(fetched, moved);
    desk.workspaces.scratch(&desk.repo, &fetched).await.expect("all is in the mirror");
}
