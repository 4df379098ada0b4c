//! Writes the files of a commit into a fresh folder, on several threads: the cost is per file, and git2's own checkout
//! is three times slower.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use patchwright_domain::journal::CommitId;

use super::edit::{EXECUTABLE, Edits, LINK, edited, file_mode};
use super::mirror::{git, oid, open};
use super::{Scratch, WorkspaceError, paths, unavailable};
use crate::sandbox::OBJECTS;

const WHAT: &str = "writing the scratch tree";
/// More threads than this gain nothing on the disks that were measured.
const THREADS_MAX: usize = 4;
/// How many files a tree may have.
const FILES_MAX: usize = 500_000;

struct Entry {
    path: String,
    id: Oid,
    mode: i32,
}

pub(super) fn write(
    mirror: &Path,
    commit: &CommitId,
    restored: Option<(CommitId, Vec<String>)>,
    parent: &Path,
    owner: Option<u32>,
) -> Result<Scratch, WorkspaceError> {
    let repository = open(mirror)?;
    let tree = repository.find_commit(oid(commit)).map_err(|e| git(WHAT, &e))?.tree_id();
    let tree = match restored {
        Some((base, paths)) if !paths.is_empty() => restore(&repository, tree, &base, &paths)?,
        Some(_) | None => tree,
    };
    let folder = tempfile::Builder::new().prefix("tree-").tempdir_in(parent).map_err(|e| unavailable(WHAT, &e))?;
    let root = folder.path();
    let (folders, mut entries) = list(&repository, tree)?;
    let made = folders.iter().try_for_each(|path| fs::create_dir(root.join(path)));
    made.map_err(|e| unavailable(WHAT, &e))?;
    let links = entries.extract_if(.., |entry| entry.mode == LINK).collect::<Vec<_>>();
    write_files(mirror, root, &entries, owner)?;
    // Links come last, so that no file is ever written through one.
    links.iter().try_for_each(|link| write_link(&repository, root, link, owner))?;
    let objects = mirror.join("objects");
    write_repository(root, tree, commit, &objects).map_err(|e| git("writing the scratch tree's .git", &e))?;
    let give = || -> io::Result<()> {
        let Some(owner) = owner else { return Ok(()) };
        folders.iter().try_for_each(|path| std::os::unix::fs::chown(root.join(path), Some(owner), Some(owner)))?;
        std::os::unix::fs::chown(root, Some(owner), Some(owner))
    };
    give().map_err(|e| unavailable(WHAT, &e))?;
    Ok(Scratch { folder, objects })
}

/// Makes a `.git` in which the files are those of `commit`, with the objects where the sandbox shows them.
fn write_repository(root: &Path, tree: Oid, commit: &CommitId, objects: &Path) -> Result<(), git2::Error> {
    let repository = Repository::init(root)?;
    // For this process the objects are elsewhere than for those inside.
    repository.odb()?.add_disk_alternate(&objects.to_string_lossy())?;
    repository.reference("refs/heads/base", oid(commit), true, "the commit that this tree is of")?;
    repository.set_head("refs/heads/base")?;
    let mut index = repository.index()?;
    index.read_tree(&repository.find_tree(tree)?)?;
    index.write()?;
    let info = repository.path().join("objects/info");
    let written = fs::create_dir_all(&info).and_then(|()| fs::write(info.join("alternates"), format!("{OBJECTS}\n")));
    written.map_err(|e| git2::Error::from_str(&e.to_string()))?;
    let mut config = repository.config()?;
    config.set_str("user.name", "agent")?;
    config.set_str("user.email", "agent@localhost")
}

/// The tree with some paths as in another commit.
fn restore(repository: &Repository, tree: Oid, base: &CommitId, paths: &[String]) -> Result<Oid, WorkspaceError> {
    let changed = || -> Result<Oid, git2::Error> {
        let base = repository.find_commit(oid(base))?.tree()?;
        let mut edits = Edits::new();
        for path in paths {
            let entry = base.get_path(Path::new(path)).ok();
            let file = entry.filter(|entry| entry.kind() == Some(ObjectType::Blob));
            edits.insert(path.clone(), file.map(|entry| (entry.id(), file_mode(entry.filemode()))));
        }
        edited(repository, &repository.find_tree(tree)?, &edits)
    };
    changed().map_err(|e| git(WHAT, &e))
}

/// Folders, each after the one that holds it, and files.
fn list(repository: &Repository, tree: Oid) -> Result<(BTreeSet<String>, Vec<Entry>), WorkspaceError> {
    let tree = repository.find_tree(tree).map_err(|e| git(WHAT, &e))?;
    let (mut folders, mut entries, mut refused) = (BTreeSet::new(), Vec::new(), None);
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
        match entry.kind() {
            Some(ObjectType::Blob) => entries.push(Entry { path, id: entry.id(), mode: entry.filemode() }),
            // A submodule's folder is there and empty.
            _ => drop(folders.insert(path)),
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
        (None, Ok(())) => Ok((folders, entries)),
    }
}

fn write_files(mirror: &Path, root: &Path, entries: &[Entry], owner: Option<u32>) -> Result<(), WorkspaceError> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let chunk = entries.len().div_ceil(n_threads).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = entries.chunks(chunk).map(|part| scope.spawn(|| write_part(mirror, root, part, owner))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("writing files does not panic"))
    })
}

fn write_part(mirror: &Path, root: &Path, entries: &[Entry], owner: Option<u32>) -> Result<(), WorkspaceError> {
    let repository = open(mirror)?;
    let odb = repository.odb().map_err(|e| git(WHAT, &e))?;
    entries.iter().try_for_each(|entry| {
        let object = odb.read(entry.id).map_err(|e| git(WHAT, &e))?;
        write_file(&root.join(&entry.path), object.data(), entry.mode == EXECUTABLE, owner).map_err(|e| unavailable(WHAT, &e))
    })
}

fn write_file(path: &PathBuf, content: &[u8], is_executable: bool, owner: Option<u32>) -> io::Result<()> {
    let mode = if is_executable { 0o755 } else { 0o644 };
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    if let Some(owner) = owner {
        std::os::unix::fs::fchown(&file, Some(owner), Some(owner))?;
    }
    // The process's umask must not decide what a test sees.
    if file.metadata()?.permissions().mode() & 0o777 != mode {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn write_link(repository: &Repository, root: &Path, link: &Entry, owner: Option<u32>) -> Result<(), WorkspaceError> {
    use std::os::unix::ffi::OsStrExt as _;
    let blob = repository.find_blob(link.id).map_err(|e| git(WHAT, &e))?;
    let path = root.join(&link.path);
    let made = std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(blob.content()), &path)
        .and_then(|()| owner.map_or(Ok(()), |owner| std::os::unix::fs::lchown(&path, Some(owner), Some(owner))));
    made.map_err(|e| unavailable(WHAT, &e))
}
