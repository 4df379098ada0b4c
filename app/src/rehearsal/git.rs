//! The bare repositories: the only place of the rehearsal that reads or writes git objects. Everything here blocks.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use git2::{Commit, Delta, DiffOptions, ErrorCode, ObjectType, Oid, Patch, Repository, Signature, Sort, Time, Tree};
use serde_json::{Value, json};

use super::scene::File;

pub(super) mod data;

/// The most commits that a comparison counts, as GitHub does.
const COMMITS_MAX: usize = 250;

const FILE: i32 = 0o100_644;
const EXECUTABLE: i32 = 0o100_755;

/// Makes an empty bare repository.
pub(super) fn create(path: &Path, default_branch: &str) -> Result<(), git2::Error> {
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).mkpath(true).external_template(false).initial_head(default_branch);
    Repository::init_opts(path, &options).map(|_| ())
}

/// Makes a bare repository with the branches of another.
pub(super) fn fork(from: &Path, path: &Path, default_branch: &str) -> Result<(), git2::Error> {
    create(path, default_branch)?;
    fetch(path, from, "+refs/heads/*:refs/heads/*")
}

/// Lets a repository show a branch, of its own or of a fork, as what a pull request proposes.
pub(super) fn show_pull(path: &Path, from: &Path, number: u64, branch: &str) -> Result<(), git2::Error> {
    let name = format!("refs/pull/{number}/head");
    if path != from {
        return fetch(path, from, &format!("+refs/heads/{branch}:{name}"));
    }
    let repository = Repository::open_bare(path)?;
    let commit = repository.find_reference(&format!("refs/heads/{branch}"))?.peel_to_commit()?.id();
    repository.reference(&name, commit, true, "rehearsal").map(|_| ())
}

fn fetch(path: &Path, from: &Path, refspec: &str) -> Result<(), git2::Error> {
    let mut options = git2::FetchOptions::new();
    options.download_tags(git2::AutotagOption::None).update_fetchhead(false);
    Repository::open_bare(path)?.remote_anonymous(&from.to_string_lossy())?.fetch(&[refspec], Some(&mut options), None)
}

/// Commits files on top of a branch, which is made if need be.
pub(super) fn commit(
    path: &Path,
    branch: &str,
    from: &str,
    files: &[File<'_>],
    message: &str,
    at: i64,
) -> Result<String, git2::Error> {
    let repository = Repository::open_bare(path)?;
    let name = format!("refs/heads/{branch}");
    let parent = match head(&repository, &name)? {
        Some(parent) => Some(parent),
        None => head(&repository, &format!("refs/heads/{from}"))?,
    };
    let base = parent.as_ref().map(Commit::tree).transpose()?;
    let tree = with_files(&repository, base, files)?;
    let author = Signature::new("Rehearsal", "rehearsal@users.noreply.github.com", &Time::new(at, 0))?;
    let parents: Vec<&Commit<'_>> = parent.iter().collect();
    let id = repository.commit(None, &author, &author, message, &tree, &parents)?;
    repository.reference(&name, id, true, "rehearsal")?;
    Ok(id.to_string())
}

fn head<'r>(repository: &'r Repository, name: &str) -> Result<Option<Commit<'r>>, git2::Error> {
    match repository.find_reference(name) {
        Ok(reference) => reference.peel_to_commit().map(Some),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn with_files<'r>(repository: &'r Repository, base: Option<Tree<'r>>, files: &[File<'_>]) -> Result<Tree<'r>, git2::Error> {
    let base = match base {
        Some(base) => base,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, bytes, executable) in files {
        let mode = if *executable { git2::FileMode::BlobExecutable } else { git2::FileMode::Blob };
        update.upsert(*path, repository.blob(bytes)?, mode);
    }
    repository.find_tree(update.create_updated(repository, &base)?)
}

/// Lists the branches with their last commits.
pub(super) fn heads(path: &Path) -> Result<BTreeMap<String, String>, git2::Error> {
    let repository = Repository::open_bare(path)?;
    let mut heads = BTreeMap::new();
    for reference in repository.references_glob("refs/heads/*")? {
        let reference = reference?;
        let target = reference.peel_to_commit()?.id().to_string();
        if let Some(branch) = reference.name().ok().and_then(|name| name.strip_prefix("refs/heads/")) {
            heads.insert(branch.to_owned(), target);
        }
    }
    Ok(heads)
}

fn resolve<'r>(repository: &'r Repository, reference: &str) -> Result<Commit<'r>, git2::Error> {
    let reference = reference.strip_prefix("heads/").unwrap_or(reference);
    if let Some(commit) = head(repository, &format!("refs/heads/{reference}"))? {
        return Ok(commit);
    }
    let is_sha = (7..=40).contains(&reference.len()) && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_sha {
        return Err(git2::Error::from_str("no such branch"));
    }
    repository.find_object_by_prefix(reference, Some(ObjectType::Commit))?.peel_to_commit()
}

/// Finds the commit that a branch, or the beginning of a commit's name, stands for.
pub(super) fn find_commit(path: &Path, reference: &str) -> Option<String> {
    let repository = Repository::open_bare(path).ok()?;
    resolve(&repository, reference).ok().map(|commit| commit.id().to_string())
}

/// What a path is at a commit.
pub(super) enum Content {
    /// A file: its object's name and bytes.
    File(String, Vec<u8>),
    /// A directory: name, object's name, size, and whether it is a directory, of each entry.
    Directory(Vec<(String, String, usize, bool)>),
}

/// Reads a file or lists a directory at a branch or commit.
pub(super) fn content(path: &Path, reference: &str, file: &str) -> Option<Content> {
    let repository = Repository::open_bare(path).ok()?;
    let tree = resolve(&repository, reference).ok()?.tree().ok()?;
    if file.is_empty() {
        return Some(Content::Directory(entries(&repository, &tree)));
    }
    let entry = tree.get_path(Path::new(file)).ok()?;
    let object = entry.to_object(&repository).ok()?;
    if let Some(blob) = object.as_blob() {
        return Some(Content::File(blob.id().to_string(), blob.content().to_vec()));
    }
    Some(Content::Directory(entries(&repository, object.as_tree()?)))
}

fn entries(repository: &Repository, tree: &Tree<'_>) -> Vec<(String, String, usize, bool)> {
    let entry = |entry: git2::TreeEntry<'_>| {
        let size = repository.find_blob(entry.id()).map_or(0, |blob| blob.size());
        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        (name, entry.id().to_string(), size, entry.kind() == Some(ObjectType::Tree))
    };
    tree.iter().map(entry).collect()
}

/// Whether a path is executable at a branch or commit; none if it is no file.
pub(super) fn is_executable(path: &Path, reference: &str, file: &str) -> Option<bool> {
    let repository = Repository::open_bare(path).ok()?;
    let entry = resolve(&repository, reference).ok()?.tree().ok()?.get_path(Path::new(file)).ok()?;
    match entry.filemode() {
        EXECUTABLE => Some(true),
        FILE => Some(false),
        _ => None,
    }
}

/// One changed file of a comparison.
pub(super) struct Change {
    pub(super) path: String,
    pub(super) sha: String,
    pub(super) status: &'static str,
    pub(super) additions: usize,
    pub(super) deletions: usize,
    pub(super) patch: Option<String>,
}

/// What lies between the merge base of two commits and the second.
pub(super) struct Comparison {
    pub(super) commits: Vec<String>,
    pub(super) changes: Vec<Change>,
    pub(super) mergeable: bool,
}

/// Compares as `base...head` does.
pub(super) fn compare(path: &Path, base: &str, head: &str) -> Option<Comparison> {
    let repository = Repository::open_bare(path).ok()?;
    let base = resolve(&repository, base).ok()?;
    let head = resolve(&repository, head).ok()?;
    let ancestor = repository.merge_base(base.id(), head.id()).ok()?;
    let mergeable = repository.merge_commits(&base, &head, None).is_ok_and(|index| !index.has_conflicts());
    let commits = commits(&repository, base.id(), head.id()).ok()?;
    let ancestor = repository.find_commit(ancestor).ok()?.tree().ok()?;
    let changes = changes(&repository, Some(&ancestor), &head.tree().ok()?).ok()?;
    Some(Comparison { commits, changes, mergeable })
}

fn commits(repository: &Repository, hide: Oid, head: Oid) -> Result<Vec<String>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(head)?;
    walk.hide(hide)?;
    walk.take(COMMITS_MAX).map(|id| id.map(|id| id.to_string())).collect()
}

fn changes(repository: &Repository, old: Option<&Tree<'_>>, new: &Tree<'_>) -> Result<Vec<Change>, git2::Error> {
    let diff = repository.diff_tree_to_tree(old, Some(new), Some(&mut DiffOptions::new()))?;
    let mut changes = Vec::new();
    for (index, delta) in diff.deltas().enumerate() {
        let mut patch = Patch::from_diff(&diff, index)?;
        let (_, additions, deletions) = patch.as_ref().map_or(Ok((0, 0, 0)), Patch::line_stats)?;
        let (status, side) = match delta.status() {
            Delta::Added => ("added", delta.new_file()),
            Delta::Deleted => ("removed", delta.old_file()),
            _ => ("modified", delta.new_file()),
        };
        let path = side.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let text = patch.as_mut().and_then(|patch| patch.to_buf().ok()).map(|patch| String::from_utf8_lossy(&patch).into_owned());
        let hunks = text.and_then(|text| text.find("@@").map(|at| text[at..].trim_end().to_owned()));
        changes.push(Change { path, sha: side.id().to_string(), status, additions, deletions, patch: hunks });
    }
    Ok(changes)
}

/// One commit with what it changed.
pub(super) struct Committed {
    pub(super) sha: String,
    pub(super) tree: String,
    pub(super) parents: Vec<String>,
    pub(super) message: String,
    pub(super) author: Value,
    pub(super) committer: Value,
    pub(super) verification: Value,
    pub(super) changes: Vec<Change>,
}

/// Reads a commit by branch or name.
pub(super) fn read_commit(path: &Path, reference: &str) -> Option<Committed> {
    let repository = Repository::open_bare(path).ok()?;
    let commit = resolve(&repository, reference).ok()?;
    let tree = commit.tree().ok()?;
    let parent = commit.parent(0).ok().and_then(|parent| parent.tree().ok());
    Some(Committed {
        sha: commit.id().to_string(),
        tree: tree.id().to_string(),
        parents: commit.parent_ids().map(|id| id.to_string()).collect(),
        message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
        author: person(&commit.author()),
        committer: person(&commit.committer()),
        verification: data::verification(&repository, commit.id()),
        changes: changes(&repository, parent.as_ref(), &tree).ok()?,
    })
}

fn person(signature: &Signature<'_>) -> Value {
    let at = jiff::Timestamp::from_second(signature.when().seconds()).unwrap_or_default();
    json!({
        "name": String::from_utf8_lossy(signature.name_bytes()),
        "email": String::from_utf8_lossy(signature.email_bytes()),
        "date": super::body::time(at),
    })
}

/// Lists the commits that a push brought to a branch, oldest first; of a new branch only the last.
pub(super) fn pushed(path: &Path, before: Option<&str>, after: &str) -> Vec<String> {
    let listed = || {
        let repository = Repository::open_bare(path).ok()?;
        let hide = before.and_then(|before| Oid::from_str(before).ok()).filter(|id| repository.find_commit(*id).is_ok());
        let head = Oid::from_str(after).ok()?;
        match hide {
            Some(hide) => commits(&repository, hide, head).ok(),
            None => Some(vec![after.to_owned()]),
        }
    };
    listed().unwrap_or_default()
}

/// Whether `after` does not build on `before`.
pub(super) fn is_forced(path: &Path, before: &str, after: &str) -> bool {
    let descends = || {
        let repository = Repository::open_bare(path).ok()?;
        repository.graph_descendant_of(Oid::from_str(after).ok()?, Oid::from_str(before).ok()?).ok()
    };
    !descends().unwrap_or(false)
}

/// Base64 in lines of 60, as the contents endpoint has it.
pub(super) fn base64_lines(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let mut lines = String::with_capacity(text.len() + text.len() / 60 + 1);
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % 60 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines.push('\n');
    lines
}
