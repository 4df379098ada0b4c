//! From the files that an agent left to a commit that the host made.
//!
//! The agent's tree is read name by name through a handle of its root that no link leads out of; its processes are dead
//! by then. Contents become blobs in the mirror, the tree is the base's with the differences put in, and the commit
//! follows from tree, parent, message and date alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _, PermissionsExt as _};
use git2::build::TreeUpdateBuilder;
use git2::{Delta, DiffFormat, FileMode, ObjectType, Oid, Patch, Repository, Signature, Time, TreeWalkMode, TreeWalkResult};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use patchwright_domain::journal::{Change, ChangeKind, CommitId};

use super::mirror::{commit_id, git, oid, open};
use super::{Message, Proposed, WorkspaceError, paths, unavailable};

const WHAT: &str = "reading the proposed files";
/// How many files a proposal may change.
const CHANGES_MAX: usize = 500;
/// The largest file that a proposal may add or change, in bytes.
const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// How many names are looked at.
const NAMES_MAX: usize = 500_000;
/// How deep folders may lie.
const DEPTH_MAX: usize = 100;

const LINK: i32 = 0o120_000;
const EXECUTABLE: i32 = 0o100_755;
const SUBMODULE: i32 = 0o160_000;

/// The base's files: where, what, and with which mode.
type Base = BTreeMap<String, (Oid, i32)>;

/// What is to be put into the tree, or taken out.
#[derive(Default)]
struct Difference {
    put: BTreeMap<String, (Oid, FileMode)>,
    removed: BTreeSet<String>,
}

pub(super) fn propose(
    mirror: &Path,
    base: &CommitId,
    tree: &Path,
    droppings: &[String],
    message: &Message,
) -> Result<Option<Proposed>, WorkspaceError> {
    let repository = open(mirror)?;
    let base_commit = repository.find_commit(oid(base)).map_err(|e| git(WHAT, &e))?;
    let base_tree = base_commit.tree().map_err(|e| git(WHAT, &e))?;
    let files = list(&base_tree)?;
    let root = Dir::open_ambient_dir(tree, ambient_authority()).map_err(|e| unavailable(WHAT, &e))?;
    let mut reader = Reader::new(&repository, &files, droppings);
    reader.folder(&root, "", 0)?;
    let difference = reader.finish()?;
    if difference.put.is_empty() && difference.removed.is_empty() {
        return Ok(None);
    }
    let made = || -> Result<Proposed, git2::Error> {
        let mut builder = TreeUpdateBuilder::new();
        for path in &difference.removed {
            builder.remove(path.as_str());
        }
        for (path, (id, mode)) in &difference.put {
            builder.upsert(path.as_str(), *id, *mode);
        }
        let tree = repository.find_tree(builder.create_updated(&repository, &base_tree)?)?;
        let time = Time::new(message.at.as_second(), 0);
        let signature = Signature::new(&message.author, &message.email, &time)?;
        let commit = repository.commit(None, &signature, &signature, &message.text, &tree, &[&base_commit])?;
        let (diff, changes) = describe(&repository, &base_tree, &tree)?;
        Ok(Proposed { commit: commit_id(commit), pack: pack(&repository, commit, base_commit.id())?, diff, changes })
    };
    made().map(Some).map_err(|e| git("making the commit", &e))
}

fn list(tree: &git2::Tree<'_>) -> Result<Base, WorkspaceError> {
    let mut base = Base::new();
    let walked = tree.walk(TreeWalkMode::PreOrder, |parent, entry| {
        if entry.kind() != Some(ObjectType::Tree)
            && let Ok(name) = entry.name()
        {
            base.insert(format!("{parent}{name}"), (entry.id(), entry.filemode()));
        }
        TreeWalkResult::Ok
    });
    walked.map_err(|e| git(WHAT, &e))?;
    Ok(base)
}

struct Reader<'a> {
    repository: &'a Repository,
    base: &'a Base,
    /// Every folder of the base.
    folders: BTreeSet<&'a str>,
    droppings: &'a [String],
    ignores: Vec<Gitignore>,
    seen: BTreeSet<String>,
    difference: Difference,
    n_names: usize,
}

impl<'a> Reader<'a> {
    fn new(repository: &'a Repository, base: &'a Base, droppings: &'a [String]) -> Self {
        let parents = |path: &'a String| path.match_indices('/').map(move |(at, _)| &path[..at]);
        let folders = base.keys().flat_map(parents).collect();
        let (ignores, seen, difference) = (Vec::new(), BTreeSet::new(), Difference::default());
        Self { repository, base, folders, droppings, ignores, seen, difference, n_names: 0 }
    }

    /// Reads one folder and those below it; `prefix` is empty or ends in a slash.
    fn folder(&mut self, folder: &Dir, prefix: &str, depth: usize) -> Result<(), WorkspaceError> {
        if depth > DEPTH_MAX {
            return Err(refused(prefix, "lies too deep"));
        }
        self.ignores.push(ignores(folder, prefix));
        let mut names = Vec::new();
        for entry in folder.entries().map_err(|e| unavailable(WHAT, &e))? {
            names.push(entry.map_err(|e| unavailable(WHAT, &e))?.file_name());
            self.n_names += 1;
            if self.n_names > NAMES_MAX {
                return Err(refused("the tree", &format!("has more than {NAMES_MAX} files")));
            }
        }
        names.sort();
        for name in names {
            let metadata = folder.symlink_metadata(&name).map_err(|e| unavailable(WHAT, &e))?;
            let Some(text) = name.to_str() else {
                return Err(refused(&format!("{prefix}{}", name.to_string_lossy()), "has a name that is not UTF-8"));
            };
            let path = format!("{prefix}{text}");
            if self.is_left_out(text, &path, metadata.is_dir()) {
                continue;
            }
            if let Some(objection) = paths::objection(text) {
                return Err(refused(&path, objection));
            }
            if metadata.is_dir() {
                self.subfolder(folder, text, &path, depth)?;
            } else if metadata.is_symlink() {
                self.link(folder, text, path)?;
            } else if metadata.is_file() {
                self.file(folder, text, path, &metadata)?;
            }
        }
        self.ignores.pop();
        Ok(())
    }

    /// The agent's own `.git` at the root, and what no patch should carry unless the base has it.
    fn is_left_out(&self, name: &str, path: &str, is_folder: bool) -> bool {
        if path == ".git" {
            return true;
        }
        let is_known = self.base.contains_key(path) || self.folders.contains(path);
        let is_dropping = || self.droppings.iter().any(|dropping| dropping == name) || name.ends_with(".pyc");
        let is_ignored = || {
            let verdicts = self.ignores.iter().rev().map(|ignore| ignore.matched(path, is_folder));
            verdicts.into_iter().find(|verdict| !verdict.is_none()).is_some_and(|verdict| verdict.is_ignore())
        };
        !is_known && (is_dropping() || is_ignored())
    }

    fn subfolder(&mut self, folder: &Dir, name: &str, path: &str, depth: usize) -> Result<(), WorkspaceError> {
        if self.base.get(path).is_some_and(|(_, mode)| *mode == SUBMODULE) {
            self.seen.insert(path.to_owned());
            return Ok(());
        }
        let below = folder.open_dir(name).map_err(|e| unavailable(WHAT, &e))?;
        self.folder(&below, &format!("{path}/"), depth + 1)
    }

    fn link(&mut self, folder: &Dir, name: &str, path: String) -> Result<(), WorkspaceError> {
        let target = folder.read_link_contents(name).map_err(|e| unavailable(WHAT, &e))?;
        let target = target.as_os_str().as_bytes();
        let id = Oid::hash_object(ObjectType::Blob, target).map_err(|e| git(WHAT, &e))?;
        if self.base.get(&path) != Some(&(id, LINK)) && !paths::link_stays_inside(&path, target) {
            return Err(refused(&path, "is a link that leaves the tree"));
        }
        self.keep(path, id, LINK, target)
    }

    fn file(&mut self, folder: &Dir, name: &str, path: String, metadata: &cap_std::fs::Metadata) -> Result<(), WorkspaceError> {
        let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o100_644 } else { EXECUTABLE };
        // A file of the base may be of any size as long as it keeps it.
        let size_before = || self.repository.odb().ok()?.read_header(self.base.get(&path)?.0).ok().map(|(size, _)| size as u64);
        if metadata.size() > FILE_BYTES_MAX && size_before() != Some(metadata.size()) {
            return Err(refused(&path, &format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        let mut content = Vec::new();
        let file = folder.open(name).map_err(|e| unavailable(WHAT, &e))?;
        file.take(metadata.size()).read_to_end(&mut content).map_err(|e| unavailable(WHAT, &e))?;
        let id = Oid::hash_object(ObjectType::Blob, &content).map_err(|e| git(WHAT, &e))?;
        self.keep(path, id, mode, &content)
    }

    fn keep(&mut self, path: String, id: Oid, mode: i32, content: &[u8]) -> Result<(), WorkspaceError> {
        self.seen.insert(path.clone());
        // 0o100664 is what very old gits wrote for a plain file.
        let before = self.base.get(&path).map(|(id, mode)| (*id, if *mode == 0o100_664 { 0o100_644 } else { *mode }));
        if before == Some((id, mode)) {
            return Ok(());
        }
        if path == ".gitmodules" || before.is_some_and(|(_, mode)| mode == SUBMODULE) {
            return Err(refused(&path, "changes a submodule"));
        }
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(refused(&path, &format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        self.repository.blob(content).map_err(|e| git(WHAT, &e))?;
        let mode = match mode {
            LINK => FileMode::Link,
            EXECUTABLE => FileMode::BlobExecutable,
            _ => FileMode::Blob,
        };
        self.difference.put.insert(path, (id, mode));
        Ok(())
    }

    fn finish(mut self) -> Result<Difference, WorkspaceError> {
        for (path, (_, mode)) in self.base {
            if self.seen.contains(path) {
                continue;
            }
            if *mode == SUBMODULE || path == ".gitmodules" {
                return Err(refused(path, "changes a submodule"));
            }
            self.difference.removed.insert(path.clone());
        }
        let n_changes = self.difference.put.len() + self.difference.removed.len();
        if n_changes > CHANGES_MAX {
            return Err(refused("the patch", &format!("changes {n_changes} files, and {CHANGES_MAX} are allowed")));
        }
        Ok(self.difference)
    }
}

fn refused(path: &str, reason: &str) -> WorkspaceError {
    let path: String = path.chars().map(|c| if c.is_control() || c == '`' { '?' } else { c }).take(200).collect();
    WorkspaceError::Refused(format!("`{path}` {reason}"))
}

/// The rules of a folder's own `.gitignore`; a broken rule is no rule.
fn ignores(folder: &Dir, prefix: &str) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    let is_plain = folder.symlink_metadata(".gitignore").is_ok_and(|m| m.is_file() && m.size() <= 1024 * 1024);
    if is_plain && let Ok(text) = folder.read_to_string(".gitignore") {
        for line in text.lines() {
            let _ = builder.add_line(None, &anchored(line, prefix));
        }
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// A rule of the `.gitignore` below `prefix`, as one from the root.
fn anchored(line: &str, prefix: &str) -> String {
    if prefix.is_empty() || line.trim().is_empty() || line.starts_with('#') {
        return line.to_owned();
    }
    let (bang, rule) = line.strip_prefix('!').map_or(("", line), |rule| ("!", rule));
    let is_anchored = rule.trim_end_matches('/').contains('/');
    let rule = rule.strip_prefix('/').unwrap_or(rule);
    let between = if is_anchored { "" } else { "**/" };
    format!("{bang}/{prefix}{between}{rule}")
}

/// The difference as text and file by file.
fn describe(repository: &Repository, base: &git2::Tree<'_>, head: &git2::Tree<'_>) -> Result<(String, Vec<Change>), git2::Error> {
    let diff = repository.diff_tree_to_tree(Some(base), Some(head), None)?;
    let mut text = Vec::new();
    diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.push(u8::try_from(line.origin()).unwrap_or(b' '));
        }
        text.extend_from_slice(line.content());
        true
    })?;
    let mut changes = Vec::new();
    for (index, delta) in diff.deltas().enumerate() {
        let kind = match delta.status() {
            Delta::Added => ChangeKind::Added,
            Delta::Deleted => ChangeKind::Deleted,
            _ => ChangeKind::Modified,
        };
        let file = if kind == ChangeKind::Deleted { delta.old_file() } else { delta.new_file() };
        let path = file.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let (_, added, removed) = Patch::from_diff(&diff, index)?.map_or(Ok((0, 0, 0)), |patch| patch.line_stats())?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        changes.push(Change { path, kind, lines_added: count(added), lines_removed: count(removed) });
    }
    Ok((String::from_utf8_lossy(&text).into_owned(), changes))
}

fn pack(repository: &Repository, commit: Oid, base: Oid) -> Result<Vec<u8>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.push(commit)?;
    walk.hide(base)?;
    let mut builder = repository.packbuilder()?;
    builder.insert_walk(&mut walk)?;
    let mut buffer = git2::Buf::new();
    builder.write_buf(&mut buffer)?;
    Ok(buffer.to_vec())
}
