//! Writes the files of a commit into a fresh folder, on several threads: the cost is per file, and git2's own checkout
//! is three times slower.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use git2::{Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use patchwright_domain::journal::CommitId;
use rustix::fs::{Timespec, Timestamps};

use super::edit::{EXECUTABLE, Edits, LINK, SUBMODULE, edited, file_mode};
use super::mirror::{git, oid, open};
use super::{WorkspaceError, paths, unavailable};
use crate::sandbox::OBJECTS;
use crate::sandbox::ownership::ensure_owner;

const WHAT: &str = "writing the scratch tree";
/// More threads than this gain nothing on the disks that were measured.
const THREADS_MAX: usize = 4;
/// How many files a tree may have.
const FILES_MAX: usize = 500_000;

/// A file, link or submodule of a commit.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) id: Oid,
    pub(super) mode: i32,
}

/// Writes a commit, with some paths as in another one, into an empty folder.
pub(super) fn write(
    mirror: &Path,
    commit: &CommitId,
    restored: Option<&(CommitId, Vec<String>)>,
    root: &Path,
    owner: Option<u32>,
) -> Result<(), WorkspaceError> {
    let repository = open(mirror)?;
    let tree = tree_of(&repository, commit, restored)?;
    let entries = list(&repository, tree)?;
    let folders = folders(&entries);
    let made = folders.iter().try_for_each(|path| fs::create_dir(root.join(path)));
    made.map_err(|e| unavailable(WHAT, &e))?;
    let of_kind = |wanted: fn(i32) -> bool| entries.iter().filter(move |entry| wanted(entry.mode)).collect::<Vec<_>>();
    let files = of_kind(|mode| mode != LINK && mode != SUBMODULE);
    write_files(mirror, root, &files, owner, &times(&repository, commit)?)?;
    // Links come last, so that no file is ever written through one.
    of_kind(|mode| mode == LINK).iter().try_for_each(|link| write_link(&repository, root, link, owner))?;
    write_repository(root, commit, &mirror.join("objects"))?;
    write_index(root, &root.join(".git/index"), &entries)?;
    let give = || -> io::Result<()> {
        let Some(owner) = owner else { return Ok(()) };
        folders.iter().try_for_each(|path| std::os::unix::fs::chown(root.join(path), Some(owner), Some(owner)))?;
        std::os::unix::fs::chown(root, Some(owner), Some(owner))?;
        ensure_owner(&root.join(".git"), owner, owner).map(drop)
    };
    give().map_err(|e| unavailable(WHAT, &e))
}

/// The tree of a commit, with some paths as in another one.
pub(super) fn tree_of(
    repository: &Repository,
    commit: &CommitId,
    restored: Option<&(CommitId, Vec<String>)>,
) -> Result<Oid, WorkspaceError> {
    let tree = repository.find_commit(oid(commit)).map_err(|e| git(WHAT, &e))?.tree_id();
    match restored {
        Some((base, paths)) if !paths.is_empty() => restore(repository, tree, base, paths),
        Some(_) | None => Ok(tree),
    }
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

/// Puts entries into an index file as they are on the disk, so that git need not read them again; what is there under
/// the same path is replaced.
pub(super) fn write_index(root: &Path, file: &Path, entries: &[Entry]) -> Result<(), WorkspaceError> {
    let written = || -> Result<(), git2::Error> {
        let mut index = Index::open(file)?;
        for entry in entries {
            index.add(&index_entry(root, entry))?;
        }
        index.write()
    };
    written().map_err(|e| git("writing the scratch tree's index", &e))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "git's index keeps the low 32 bits of each number")]
fn index_entry(root: &Path, entry: &Entry) -> IndexEntry {
    let found = fs::symlink_metadata(root.join(&entry.path)).ok().filter(|_| entry.mode != SUBMODULE);
    let number = |number: fn(&fs::Metadata) -> u64| found.as_ref().map_or(0, number) as u32;
    let time = |seconds: fn(&fs::Metadata) -> i64, nanoseconds: fn(&fs::Metadata) -> i64| {
        found.as_ref().map_or(IndexTime::new(0, 0), |found| IndexTime::new(seconds(found) as i32, nanoseconds(found) as u32))
    };
    IndexEntry {
        ctime: time(fs::Metadata::ctime, fs::Metadata::ctime_nsec),
        mtime: time(fs::Metadata::mtime, fs::Metadata::mtime_nsec),
        dev: number(fs::Metadata::dev),
        ino: number(fs::Metadata::ino),
        mode: u32::from(file_mode(entry.mode)),
        uid: number(|found| found.uid().into()),
        gid: number(|found| found.gid().into()),
        file_size: number(fs::Metadata::size),
        id: entry.id,
        flags: 0,
        flags_extended: 0,
        path: entry.path.clone().into_bytes(),
    }
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

/// The folders of entries, each after the one that holds it; a submodule's is there and empty.
fn folders(entries: &[Entry]) -> BTreeSet<&str> {
    let mut folders = BTreeSet::new();
    for entry in entries {
        folders.extend(entry.path.match_indices('/').map(|(end, _)| &entry.path[..end]));
        folders.extend((entry.mode == SUBMODULE).then_some(&*entry.path));
    }
    folders
}

fn write_files(
    mirror: &Path,
    root: &Path,
    entries: &[&Entry],
    owner: Option<u32>,
    at: &Timestamps,
) -> Result<(), WorkspaceError> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let chunk = entries.len().div_ceil(n_threads).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            entries.chunks(chunk).map(|part| scope.spawn(|| write_part(mirror, root, part, owner, at))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("writing files does not panic"))
    })
}

/// Writes files of a commit where nothing is.
pub(super) fn write_part(
    mirror: &Path,
    root: &Path,
    entries: &[&Entry],
    owner: Option<u32>,
    at: &Timestamps,
) -> Result<(), WorkspaceError> {
    let repository = open(mirror)?;
    let odb = repository.odb().map_err(|e| git(WHAT, &e))?;
    entries.iter().try_for_each(|entry| {
        let object = odb.read(entry.id).map_err(|e| git(WHAT, &e))?;
        let written = write_file(&root.join(&entry.path), object.data(), entry.mode == EXECUTABLE, owner, at);
        written.map_err(|e| unavailable(WHAT, &e))
    })
}

/// When the files of a commit were changed: at its time. Git reads again what is not older than its index.
pub(super) fn times(repository: &Repository, commit: &CommitId) -> Result<Timestamps, WorkspaceError> {
    let time = repository.find_commit(oid(commit)).map_err(|e| git(WHAT, &e))?.time();
    let at = Timespec { tv_sec: time.seconds().max(0), tv_nsec: 0 };
    Ok(Timestamps { last_access: at, last_modification: at })
}

fn write_file(path: &Path, content: &[u8], is_executable: bool, owner: Option<u32>, at: &Timestamps) -> io::Result<()> {
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
    Ok(rustix::fs::futimens(&file, at)?)
}

/// Makes a link of a commit where nothing is.
pub(super) fn write_link(repository: &Repository, root: &Path, link: &Entry, owner: Option<u32>) -> Result<(), WorkspaceError> {
    let blob = repository.find_blob(link.id).map_err(|e| git(WHAT, &e))?;
    let path = root.join(&link.path);
    let made = std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(blob.content()), &path)
        .and_then(|()| owner.map_or(Ok(()), |owner| std::os::unix::fs::lchown(&path, Some(owner), Some(owner))));
    made.map_err(|e| unavailable(WHAT, &e))
}
