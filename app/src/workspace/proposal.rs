//! From the files that an agent left to a commit that the host made.
//!
//! The agent's tree is read name by name through a handle of its root that no link leads out of; its processes are dead
//! by then. Contents become blobs in the mirror, the tree is the base's with the differences put in, and the commit
//! follows from tree, parent, message and date alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _, PermissionsExt as _};
use git2::{
    Delta, DiffFormat, DiffOptions, FileMode, ObjectType, Oid, Patch, Repository, Signature, Time, TreeWalkMode, TreeWalkResult,
};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use patchwright_domain::journal::{Change, ChangeKind, CommitId};

use super::edit::{EXECUTABLE, Edits, LINK, SUBMODULE, edited, file_mode};
use super::mirror::{commit_id, git, oid, open};
use super::{Message, Proposed, WorkspaceError, paths, unavailable};

const WHAT: &str = "reading the proposed files";
/// How many lines are shown around a difference.
const CONTEXT_LINES: u32 = 3;
/// How many digits of an object's name are shown.
const ABBREVIATED_TO: u16 = 7;
/// How many files a proposal may change.
const CHANGES_MAX: usize = 500;
/// The largest file that a proposal may add or change, in bytes.
const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// How large all that it adds or changes may be together, in bytes.
const PROPOSAL_BYTES_MAX: u64 = 50 * 1024 * 1024;
/// How large its pack may be, in bytes: the lists of the folders that it changes are in it too.
const PACK_BYTES_MAX: usize = 100 * 1024 * 1024;
/// The largest `.gitignore` that is heard, in bytes.
const IGNORE_BYTES_MAX: u64 = 1024 * 1024;
/// How many names are looked at.
const NAMES_MAX: usize = 500_000;
/// How deep folders may lie.
const DEPTH_MAX: usize = 100;

/// The base's files: where, what, and with which mode.
type Base = BTreeMap<String, (Oid, i32)>;

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
    reader.folder(&root, &Place::default())?;
    let edits = reader.finish()?;
    if edits.is_empty() {
        return Ok(None);
    }
    let made = || -> Result<Option<Proposed>, git2::Error> {
        let tree = repository.find_tree(edited(&repository, &base_tree, &edits)?)?;
        let time = Time::new(message.at.as_second(), 0);
        let signature = Signature::new(&message.author, &message.email, &time)?;
        let commit = repository.commit(None, &signature, &signature, &message.text, &tree, &[&base_commit])?;
        let (diff, changes) = describe(&repository, &base_tree, &tree)?;
        let pack = pack(&repository, commit, base_commit.id(), PACK_BYTES_MAX)?;
        Ok(pack.map(|pack| Proposed { commit: commit_id(commit), pack, diff, changes }))
    };
    let made = made().map_err(|e| git("making the commit", &e))?;
    made.map(Some).ok_or_else(|| refused("the patch", &format!("has more than {PACK_BYTES_MAX} bytes as a pack")))
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

/// A folder on the way through the tree.
#[derive(Default)]
struct Place {
    /// Its path: empty, or ending in a slash.
    prefix: String,
    depth: usize,
    /// Whether it is ignored and only looked into because the base has it: nothing new in it is kept.
    is_ignored: bool,
}

/// A `.gitignore`: how many bytes the path of its folder has, and its rules.
type Ignore = (usize, Gitignore);

struct Reader<'a> {
    repository: &'a Repository,
    base: &'a Base,
    /// Every folder of the base.
    folders: BTreeSet<&'a str>,
    droppings: &'a [String],
    ignores: Vec<Ignore>,
    seen: BTreeSet<String>,
    edits: Edits,
    n_bytes: u64,
    n_names: usize,
}

impl<'a> Reader<'a> {
    fn new(repository: &'a Repository, base: &'a Base, droppings: &'a [String]) -> Self {
        let parents = |path: &'a String| path.match_indices('/').map(move |(at, _)| &path[..at]);
        let folders = base.keys().flat_map(parents).collect();
        let (ignores, seen, edits) = (Vec::new(), BTreeSet::new(), Edits::new());
        Self { repository, base, folders, droppings, ignores, seen, edits, n_bytes: 0, n_names: 0 }
    }

    /// Reads one folder and those below it.
    fn folder(&mut self, folder: &Dir, place: &Place) -> Result<(), WorkspaceError> {
        let prefix = &place.prefix;
        if place.depth > DEPTH_MAX {
            return Err(refused(prefix, "lies too deep"));
        }
        self.ignores.push((prefix.len(), ignores(folder)));
        for name in self.names(folder, prefix)? {
            let metadata = folder.symlink_metadata(&name).map_err(|e| unreadable(prefix, &e))?;
            let Some(text) = name.to_str() else {
                return Err(refused(&format!("{prefix}{}", name.to_string_lossy()), "has a name that is not UTF-8"));
            };
            let path = format!("{prefix}{text}");
            let is_ignored = place.is_ignored || self.is_ignored(&path, metadata.is_dir());
            if path == ".git" || !self.is_known(&path) && (is_ignored || self.is_dropping(text)) {
                continue;
            }
            if let Some(objection) = paths::objection(text) {
                return Err(refused(&path, objection));
            }
            if metadata.is_dir() {
                let place = Place { prefix: format!("{path}/"), depth: place.depth + 1, is_ignored };
                self.subfolder(folder, text, &path, &place)?;
            } else if metadata.is_symlink() {
                self.link(folder, text, path)?;
            } else if metadata.is_file() {
                self.file(folder, text, path, &metadata)?;
            }
        }
        self.ignores.pop();
        Ok(())
    }

    fn names(&mut self, folder: &Dir, prefix: &str) -> Result<Vec<OsString>, WorkspaceError> {
        let mut names = Vec::new();
        for entry in folder.entries().map_err(|e| unreadable(prefix, &e))? {
            names.push(entry.map_err(|e| unavailable(WHAT, &e))?.file_name());
            self.n_names += 1;
            if self.n_names > NAMES_MAX {
                return Err(refused("the tree", &format!("has more than {NAMES_MAX} files")));
            }
        }
        names.sort();
        Ok(names)
    }

    fn is_known(&self, path: &str) -> bool {
        self.base.contains_key(path) || self.folders.contains(path)
    }

    fn is_dropping(&self, name: &str) -> bool {
        self.droppings.iter().any(|dropping| dropping == name) || name.ends_with(".pyc")
    }

    /// Whether the nearest rule for the path says so.
    fn is_ignored(&self, path: &str, is_folder: bool) -> bool {
        let verdicts = self.ignores.iter().rev().map(|(prefix, ignore)| ignore.matched(&path[*prefix..], is_folder));
        verdicts.into_iter().find(|verdict| !verdict.is_none()).is_some_and(|verdict| verdict.is_ignore())
    }

    fn subfolder(&mut self, folder: &Dir, name: &str, path: &str, place: &Place) -> Result<(), WorkspaceError> {
        if self.base.get(path).is_some_and(|(_, mode)| *mode == SUBMODULE) {
            self.seen.insert(path.to_owned());
            return Ok(());
        }
        let below = folder.open_dir(name).map_err(|e| unreadable(path, &e))?;
        self.folder(&below, place)
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
        let file = folder.open(name).map_err(|e| unreadable(&path, &e))?;
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
        if is_list_of_submodules(&path) || before.is_some_and(|(_, mode)| mode == SUBMODULE) {
            return Err(refused(&path, "changes a submodule"));
        }
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(refused(&path, &format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        self.n_bytes += content.len() as u64;
        if self.n_bytes > PROPOSAL_BYTES_MAX {
            return Err(refused("the patch", &format!("is larger than {PROPOSAL_BYTES_MAX} bytes")));
        }
        self.repository.blob(content).map_err(|e| git(WHAT, &e))?;
        self.edit(path, Some((id, file_mode(mode))))
    }

    fn edit(&mut self, path: String, edit: Option<(Oid, FileMode)>) -> Result<(), WorkspaceError> {
        self.edits.insert(path, edit);
        if self.edits.len() > CHANGES_MAX {
            return Err(refused("the patch", &format!("changes more than {CHANGES_MAX} files")));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Edits, WorkspaceError> {
        for (path, (_, mode)) in self.base {
            if self.seen.contains(path) {
                continue;
            }
            if *mode == SUBMODULE || is_list_of_submodules(path) {
                return Err(refused(path, "changes a submodule"));
            }
            self.edit(path.clone(), None)?;
        }
        Ok(self.edits)
    }
}

/// Some file systems take other spellings for the file that git reads.
fn is_list_of_submodules(path: &str) -> bool {
    path.eq_ignore_ascii_case(".gitmodules")
}

/// What the agent made unreadable is its own doing, and trying again does not help.
fn unreadable(path: &str, error: &std::io::Error) -> WorkspaceError {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => refused(path, "cannot be read"),
        _ => unavailable(WHAT, error),
    }
}

fn refused(path: &str, reason: &str) -> WorkspaceError {
    let path: String = path.chars().map(|c| if c.is_control() || c == '`' { '?' } else { c }).take(200).collect();
    WorkspaceError::Refused(format!("`{path}` {reason}"))
}

/// The rules of a folder's own `.gitignore`; a broken rule is no rule.
fn ignores(folder: &Dir) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    let is_plain = folder.symlink_metadata(".gitignore").is_ok_and(|m| m.is_file() && m.size() <= IGNORE_BYTES_MAX);
    if is_plain && let Ok(bytes) = folder.read(".gitignore") {
        for line in String::from_utf8_lossy(&bytes).lines() {
            let _ = builder.add_line(None, line);
        }
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// The difference of two trees as text, and the files that differ.
pub(super) fn describe(
    repository: &Repository,
    base: &git2::Tree<'_>,
    head: &git2::Tree<'_>,
) -> Result<(String, Vec<Change>), git2::Error> {
    // Whatever a configuration says of how differences are shown: the digest of the text is signed.
    let mut options = DiffOptions::new();
    options.context_lines(CONTEXT_LINES).id_abbrev(ABBREVIATED_TO).old_prefix("a").new_prefix("b");
    let diff = repository.diff_tree_to_tree(Some(base), Some(head), Some(&mut options))?;
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

/// Everything that a commit has and another does not, as a pack; none where that is larger than it may be.
pub(super) fn pack(repository: &Repository, commit: Oid, base: Oid, bytes_max: usize) -> Result<Option<Vec<u8>>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.push(commit)?;
    walk.hide(base)?;
    packed(repository, &mut walk, bytes_max)
}

/// All that the commits of a walk consist of, as a pack; none where that is larger than it may be.
pub(super) fn packed(
    repository: &Repository,
    walk: &mut git2::Revwalk<'_>,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, git2::Error> {
    let (mut pack, mut is_too_large) = (Vec::new(), false);
    let mut builder = repository.packbuilder()?;
    builder.insert_walk(walk)?;
    let done = builder.foreach(|bytes| {
        is_too_large = pack.len().saturating_add(bytes.len()) > bytes_max;
        if !is_too_large {
            pack.extend_from_slice(bytes);
        }
        !is_too_large
    });
    if is_too_large { Ok(None) } else { done.map(|()| Some(pack)) }
}
