//! Mirrors, scratch trees and proposals: what an agent left becomes a commit, or a reason why not.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use git2::{FileMode, Oid, Repository, TreeWalkMode, TreeWalkResult};
use jiff::Timestamp;
use patchwright::forge::CloneAccess;
use patchwright::sandbox::local::SANDBOX_UID;
use patchwright::workspace::{Message, Proposed, Scratch, WorkspaceError, Workspaces};
use patchwright_domain::event::RepoRef;
use patchwright_domain::journal::CommitId;
use tempfile::TempDir;

mod ignored;
mod layers;
mod merge;
mod propose;
mod pull;
mod push;
mod refused;
mod remote;
mod scratch;
mod shown;
mod traps;

type File<'a> = (&'a str, &'a [u8], FileMode);

const PLAIN: FileMode = FileMode::Blob;
const EXECUTABLE: FileMode = FileMode::BlobExecutable;
const LINK: FileMode = FileMode::Link;

/// A bare repository on this machine, and workspaces that have fetched it.
struct Desk {
    folder: TempDir,
    workspaces: Workspaces,
    repo: RepoRef,
    base: CommitId,
}

impl Desk {
    async fn with(files: &[File<'_>]) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let bare = Repository::init_bare(folder.path().join("bare.git")).expect("the folder is empty");
        let tree = tree_of(&bare, files);
        commit(&bare, "refs/heads/main", tree);
        Self::at(folder).await
    }

    /// Opens workspaces beside `bare.git` and fetches.
    async fn at(folder: TempDir) -> Self {
        let workspaces =
            Workspaces::open(folder.path().join("workspaces"), Some(SANDBOX_UID)).await.expect("the folder can be made");
        let repo = repo("main");
        let base = workspaces.fetch(&repo, local(&folder)).await.expect("the branch is there");
        Self { folder, workspaces, repo, base }
    }

    async fn scratch(&self) -> Scratch {
        self.workspaces.scratch(&self.repo, &self.base).await.expect("the commit is in the mirror")
    }

    async fn try_propose(&self, tree: &Scratch) -> Result<Option<Proposed>, WorkspaceError> {
        let droppings = ["target", "__pycache__"].map(str::to_owned);
        self.workspaces.propose(&self.repo, &self.base, tree.path(), &droppings, message()).await
    }

    async fn propose(&self, tree: &Scratch) -> Option<Proposed> {
        self.try_propose(tree).await.expect("the tree is fine")
    }

    /// Proposes what `change` makes of a fresh tree, and gives the difference: `path=mode content`, or `path` gone.
    async fn changed(&self, change: impl FnOnce(&Path)) -> Vec<String> {
        let tree = self.scratch().await;
        change(tree.path());
        let Some(proposed) = self.propose(&tree).await else { return Vec::new() };
        let mirror = self.mirror();
        assert_sound(&mirror, &proposed.commit);
        let (before, after) = (listed(&mirror, &self.base), listed(&mirror, &proposed.commit));
        let gone = before.keys().filter(|path| !after.contains_key(*path)).map(|path| format!("{path} gone"));
        let put = after.iter().filter(|(path, file)| before.get(*path) != Some(file));
        let mut lines: Vec<String> = gone.chain(put.map(|(path, file)| format!("{path}={file}"))).collect();
        lines.sort();
        let path_of = |line: &'_ String| line.split_once('=').map_or(line.trim_end_matches(" gone"), |(path, _)| path).to_owned();
        let mut paths: Vec<String> = lines.iter().map(path_of).collect();
        paths.sort_unstable();
        paths.dedup();
        let mut changes: Vec<String> = proposed.changes.into_iter().map(|change| change.path).collect();
        changes.sort_unstable();
        changes.dedup();
        assert_eq!(changes, paths, "the list of changes is the difference");
        lines
    }

    /// The reason for which a tree is refused.
    async fn refusal(&self, change: impl FnOnce(&Path)) -> String {
        let tree = self.scratch().await;
        change(tree.path());
        match self.try_propose(&tree).await {
            Err(WorkspaceError::Refused(reason)) => reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn mirror(&self) -> Repository {
        let path = self.folder.path().join(format!("workspaces/mirrors/{}.git", self.repo.id));
        Repository::open_bare(path).expect("the mirror is there")
    }

    fn bare(&self) -> Repository {
        Repository::open_bare(self.folder.path().join("bare.git")).expect("the repository is there")
    }
}

fn repo(branch: &str) -> RepoRef {
    RepoRef::new(7, 1, "octo", "rocket", branch).expect("the names are fine")
}

fn local(folder: &TempDir) -> CloneAccess {
    CloneAccess { url: folder.path().join("bare.git").display().to_string(), token: None }
}

fn message() -> Message {
    let at = Timestamp::from_second(1_760_000_000).expect("the time is in range");
    Message { text: "Fix it\n".into(), author: "patchwright[bot]".into(), email: "bot@example.com".into(), at }
}

fn tree_of(repository: &Repository, files: &[File<'_>]) -> Oid {
    let empty = repository.treebuilder(None).and_then(|builder| builder.write()).expect("an empty tree can be written");
    let empty = repository.find_tree(empty).expect("it was just written");
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, content, mode) in files {
        let id = match mode {
            FileMode::Commit => Oid::from_str(&"5".repeat(40)).expect("forty digits"),
            _ => repository.blob(content).expect("a blob can be written"),
        };
        update.upsert(*path, id, *mode);
    }
    update.create_updated(repository, &empty).expect("the paths are fine")
}

/// Commits a tree to a branch, with nothing before it.
fn commit(repository: &Repository, reference: &str, tree: Oid) -> CommitId {
    let time = git2::Time::new(1_750_000_000, 0);
    let author = git2::Signature::new("Ada", "ada@example.com", &time).expect("the name is fine");
    let tree = repository.find_tree(tree).expect("the tree is there");
    let id = repository.commit(None, &author, &author, "Begin", &tree, &[]).expect("a commit can be written");
    repository.reference(reference, id, true, "test").expect("the reference can be written");
    CommitId::parse(&id.to_string()).expect("git prints forty digits")
}

/// The files of a commit: mode and content.
fn listed(repository: &Repository, commit: &CommitId) -> BTreeMap<String, String> {
    let commit = repository.find_commit(Oid::from_str(commit.as_str()).expect("forty digits")).expect("the commit is there");
    let mut files = BTreeMap::new();
    let tree = commit.tree().expect("a commit has a tree");
    let walked = tree.walk(TreeWalkMode::PreOrder, |parent, entry| {
        if entry.kind() != Some(git2::ObjectType::Tree) {
            let content = repository.find_blob(entry.id()).map(|blob| String::from_utf8_lossy(blob.content()).into_owned());
            let path = format!("{parent}{}", String::from_utf8_lossy(entry.name_bytes()));
            files.insert(path, format!("{:o} {}", entry.filemode(), content.unwrap_or_default()));
        }
        TreeWalkResult::Ok
    });
    walked.expect("the tree can be read");
    files
}

/// No folder of the commit is empty, and git itself finds nothing wrong with it.
#[track_caller]
fn assert_sound(repository: &Repository, commit: &CommitId) {
    let id = Oid::from_str(commit.as_str()).expect("forty digits");
    let tree = repository.find_commit(id).and_then(|commit| commit.tree()).expect("the commit is there");
    let walked = tree.walk(TreeWalkMode::PreOrder, |_, entry| {
        let subtree = (entry.kind() == Some(git2::ObjectType::Tree)).then(|| repository.find_tree(entry.id()));
        assert!(subtree.is_none_or(|tree| tree.is_ok_and(|tree| !tree.is_empty())), "{:?} is empty", entry.name_bytes());
        TreeWalkResult::Ok
    });
    walked.expect("the tree can be read");
    let mut git = std::process::Command::new("git");
    git.args(["fsck", "--strict", "--no-dangling", "--no-progress", commit.as_str()]).current_dir(repository.path());
    let output = git.env("GIT_CONFIG_GLOBAL", "/dev/null").output().expect("git is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn put(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    let parent = path.parent().expect("a file has a folder");
    std::fs::create_dir_all(parent).expect("the folder can be made");
    std::fs::write(path, content).expect("the file can be written");
}

fn link(root: &Path, path: &str, target: &str) {
    std::os::unix::fs::symlink(target, root.join(path)).expect("the link can be made");
}

fn remove(root: &Path, path: &str) {
    let path = root.join(path);
    let is_folder = path.symlink_metadata().expect("it is there").is_dir();
    let removed = if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.expect("it can be removed");
}

fn set_mode(root: &Path, path: &str, mode: u32) {
    std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(mode)).expect("the mode can be set");
}

/// Every file below a folder, but for those of a repository.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.ends_with(".git") {
            continue;
        }
        if path.symlink_metadata().expect("it is there").is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
