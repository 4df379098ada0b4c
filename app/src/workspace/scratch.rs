//! Makes a tree of a commit in a fresh folder: its files, a `.git` and an index that git need not refresh.

use std::fs;
use std::io;
use std::path::Path;

use git2::{Index, IndexEntry, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use patchwright_domain::journal::CommitId;
use rustix::fs::{Timespec, Timestamps};

use super::files;
use super::mirror::{git, oid, open};
use super::{WorkspaceError, paths, unavailable};
use crate::sandbox::OBJECTS;
use crate::sandbox::ownership::ensure_owner;

const WHAT: &str = "writing the scratch tree";
/// How many files a tree may have.
const FILES_MAX: usize = 500_000;

/// A file, link or submodule of a commit.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) id: Oid,
    pub(super) mode: i32,
}

/// Writes a commit into an empty folder.
pub(super) fn write(mirror: &Path, commit: &CommitId, root: &Path, owner: Option<u32>) -> Result<(), WorkspaceError> {
    let repository = open(mirror)?;
    let tree = tree_of(&repository, commit)?;
    let entries = list(&repository, tree)?;
    let index = files::write(mirror, root, &entries, owner, &times(&repository, commit)?)?;
    write_repository(root, commit, &mirror.join("objects"))?;
    write_index(&root.join(".git/index"), &index)?;
    let give = || -> io::Result<()> {
        let Some(owner) = owner else { return Ok(()) };
        std::os::unix::fs::chown(root, Some(owner), Some(owner))?;
        ensure_owner(&root.join(".git"), owner, owner).map(drop)
    };
    give().map_err(|e| unavailable(WHAT, &e))
}

/// The tree of a commit.
pub(super) fn tree_of(repository: &Repository, commit: &CommitId) -> Result<Oid, WorkspaceError> {
    Ok(repository.find_commit(oid(commit)).map_err(|e| git(WHAT, &e))?.tree_id())
}

/// Makes a `.git` for `commit`, with the objects where the sandbox shows them.
fn write_repository(root: &Path, commit: &CommitId, objects: &Path) -> Result<(), WorkspaceError> {
    let made = || -> Result<(), git2::Error> {
        let repository = Repository::init(root)?;
        // For this process the objects are elsewhere than for those inside.
        repository.odb()?.add_disk_alternate(&objects.to_string_lossy())?;
        repository.reference("refs/heads/base", oid(commit), true, "the commit that this tree is of")?;
        repository.set_head("refs/heads/base")?;
        let mut config = repository.config()?;
        config.set_str("user.name", "agent")?;
        config.set_str("user.email", "agent@localhost")?;
        // Inode numbers and change times differ where the tree is seen through another one.
        config.set_str("core.checkStat", "minimal")?;
        config.set_bool("core.trustctime", false)
    };
    made().map_err(|e| git("writing the scratch tree's .git", &e))?;
    let info = root.join(".git/objects/info");
    let written = fs::create_dir_all(&info).and_then(|()| fs::write(info.join("alternates"), format!("{OBJECTS}\n")));
    written.map_err(|e| unavailable(WHAT, &e))
}

/// Puts entries into an index file; what is there under the same path is replaced.
pub(super) fn write_index(file: &Path, entries: &[IndexEntry]) -> Result<(), WorkspaceError> {
    let written = || -> Result<(), git2::Error> {
        let mut index = Index::open(file)?;
        entries.iter().try_for_each(|entry| index.add(entry))?;
        index.write()
    };
    written().map_err(|e| git("writing the scratch tree's index", &e))
}

/// The files, links and submodules of a tree, in the order of git's index.
pub(super) fn list(repository: &Repository, tree: Oid) -> Result<Vec<Entry>, WorkspaceError> {
    let tree = repository.find_tree(tree).map_err(|e| git(WHAT, &e))?;
    let (mut entries, mut refused) = (Vec::new(), None);
    let walked = tree.walk(TreeWalkMode::PreOrder, |parent, entry| {
        let Ok(name) = entry.name() else {
            refused = Some(format!("a file in `{parent}` has a name that is not UTF-8"));
            return TreeWalkResult::Abort;
        };
        let path = format!("{parent}{name}");
        if let Some(objection) = paths::objection(name) {
            refused = Some(format!("`{path}` {objection}"));
            return TreeWalkResult::Abort;
        }
        if entry.kind() != Some(ObjectType::Tree) {
            entries.push(Entry { path, id: entry.id(), mode: entry.filemode() });
        }
        if entries.len() > FILES_MAX {
            refused = Some(format!("the repository has more than {FILES_MAX} files"));
            return TreeWalkResult::Abort;
        }
        TreeWalkResult::Ok
    });
    match (refused, walked) {
        (Some(reason), _) => Err(WorkspaceError::Refused(reason)),
        (None, Err(error)) => Err(git(WHAT, &error)),
        (None, Ok(())) => Ok(entries),
    }
}

/// When the files of a commit were changed: at its time. Git reads again what is not older than its index.
pub(super) fn times(repository: &Repository, commit: &CommitId) -> Result<Timestamps, WorkspaceError> {
    let time = repository.find_commit(oid(commit)).map_err(|e| git(WHAT, &e))?.time();
    let at = Timespec { tv_sec: time.seconds().max(0), tv_nsec: 0 };
    Ok(Timestamps { last_access: at, last_modification: at })
}
