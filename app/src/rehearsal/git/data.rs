//! Git's objects and names as the API makes them: trees out of others, commits that GitHub signs, references.
//!
//! The signature is worthless, for everybody has its key; what it is over, and that one more letter breaks it, is as with a real one.

use std::{collections::BTreeMap, path::Path};

use git2::{ErrorCode, FileMode, Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, Signature, Time};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const SIGNING_KEY: &[u8] = b"the key of rehearsals, which everybody has";
const BEGIN: &str = "-----BEGIN REHEARSED SIGNATURE-----";
const END: &str = "-----END REHEARSED SIGNATURE-----";
/// Who commits what GitHub makes itself.
const GITHUB: (&str, &str) = ("GitHub", "noreply@github.com");

/// What a request is refused with.
pub(in crate::rehearsal) enum Refused {
    /// Something that it names is not there, or not of that kind; in GitHub's words.
    Invalid(String),
    /// git did not do it.
    Git(git2::Error),
}

impl From<git2::Error> for Refused {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

fn invalid<T>(words: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Invalid(words.into()))
}

/// An entry of a tree: its path, its mode, and what is there, if anything is left.
pub(in crate::rehearsal) type Entry = (String, u32, Option<Blob>);

/// What stands at a path.
pub(in crate::rehearsal) enum Blob {
    /// An object that is there, by its name.
    Named(String),
    /// A text that becomes one.
    Text(String),
}

/// An entry of a tree's root: its name, its mode and its object.
pub(in crate::rehearsal) type Listed = (String, i32, String);

/// Makes a tree of another with some entries changed, and lists its root.
pub(in crate::rehearsal) fn make_tree(
    path: &Path,
    base: Option<&str>,
    entries: &[Entry],
) -> Result<(String, Vec<Listed>), Refused> {
    let repository = Repository::open_bare(path)?;
    let mut index = Index::new()?;
    if let Some(base) = base {
        let Some(tree) = named(&repository, base).and_then(|id| repository.find_tree(id).ok()) else {
            return invalid("base_tree is not a valid tree oid");
        };
        index.read_tree(&tree)?;
    }
    for (path, mode, blob) in entries {
        let Some(blob) = blob else {
            if index.get_path(Path::new(path), 0).is_none() {
                return invalid("GitRPC::BadObjectState");
            }
            index.remove(Path::new(path), 0)?;
            continue;
        };
        let id = object(&repository, *mode, blob)?;
        index.add(&index_entry(path, *mode, id))?;
    }
    let tree = repository.find_tree(index.write_tree_to(&repository)?)?;
    let listed = tree
        .iter()
        .map(|entry| (String::from_utf8_lossy(entry.name_bytes()).into_owned(), entry.filemode(), entry.id().to_string()));
    Ok((tree.id().to_string(), listed.collect()))
}

fn named(repository: &Repository, name: &str) -> Option<Oid> {
    let id = Oid::from_str(name).ok().filter(|_| name.len() == 40)?;
    repository.find_object(id, None).ok().map(|found| found.id())
}

fn object(repository: &Repository, mode: u32, blob: &Blob) -> Result<Oid, Refused> {
    let name = match blob {
        Blob::Text(text) => return Ok(repository.blob(text.as_bytes())?),
        Blob::Named(name) => name,
    };
    // What a submodule names is in another repository.
    if mode == u32::from(FileMode::Commit) {
        return Oid::from_str(name).or_else(|_| invalid(format!("tree.sha {name} is not a valid commit")));
    }
    let is_blob = |id: &Oid| repository.find_object(*id, Some(ObjectType::Blob)).is_ok();
    named(repository, name).filter(is_blob).map_or_else(|| invalid(format!("tree.sha {name} is not a valid blob")), Ok)
}

fn index_entry(path: &str, mode: u32, id: Oid) -> IndexEntry {
    let (ctime, mtime) = (IndexTime::new(0, 0), IndexTime::new(0, 0));
    let path = path.as_bytes().to_vec();
    IndexEntry { ctime, mtime, dev: 0, ino: 0, mode, uid: 0, gid: 0, file_size: 0, id, flags: 0, flags_extended: 0, path }
}

/// A commit that is asked for.
pub(in crate::rehearsal) struct Wanted<'a> {
    pub(in crate::rehearsal) message: &'a str,
    pub(in crate::rehearsal) tree: &'a str,
    pub(in crate::rehearsal) parents: Vec<&'a str>,
    /// Name and address.
    pub(in crate::rehearsal) author: (&'a str, &'a str),
    /// Whether GitHub commits and signs it, as it does where nobody says who wrote it.
    pub(in crate::rehearsal) is_signed: bool,
    /// When, in seconds since 1970.
    pub(in crate::rehearsal) at: i64,
}

/// Makes a commit to which nothing points.
pub(in crate::rehearsal) fn make_commit(path: &Path, wanted: &Wanted<'_>) -> Result<String, Refused> {
    let repository = Repository::open_bare(path)?;
    let Some(tree) = named(&repository, wanted.tree).and_then(|id| repository.find_tree(id).ok()) else {
        return invalid("Tree SHA does not exist");
    };
    let mut parents = Vec::new();
    for parent in &wanted.parents {
        let Some(parent) = named(&repository, parent).and_then(|id| repository.find_commit(id).ok()) else {
            return invalid("Parent SHA does not exist or is not a commit object");
        };
        parents.push(parent);
    }
    let at = Time::new(wanted.at, 0);
    let author = Signature::new(wanted.author.0, wanted.author.1, &at)?;
    let parents: Vec<_> = parents.iter().collect();
    if !wanted.is_signed {
        return Ok(repository.commit(None, &author, &author, wanted.message, &tree, &parents)?.to_string());
    }
    let committer = Signature::new(GITHUB.0, GITHUB.1, &at)?;
    let content = repository.commit_create_buffer(&author, &committer, wanted.message, &tree, &parents)?;
    let content = String::from_utf8_lossy(&content).into_owned();
    Ok(repository.commit_signed(&content, &signature(content.as_bytes()), None)?.to_string())
}

fn signature(content: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING_KEY).expect("HMAC takes a key of any length");
    mac.update(content);
    format!("{BEGIN}\n{}\n{END}", hex::encode(mac.finalize().into_bytes()))
}

/// What GitHub says of a commit's signature, by looking at it.
pub(super) fn verification(repository: &Repository, commit: Oid) -> Value {
    let verdict = |verified: bool, reason: &str, signed: Option<(&str, &str)>| {
        json!({
            "verified": verified, "reason": reason, "signature": signed.map(|signed| signed.0),
            "payload": signed.map(|signed| signed.1), "verified_at": null,
        })
    };
    let Ok((found, content)) = repository.extract_signature(&commit, None) else { return verdict(false, "unsigned", None) };
    let (found, content) = (String::from_utf8_lossy(&found).into_owned(), String::from_utf8_lossy(&content).into_owned());
    let holds = found.trim() == signature(content.as_bytes());
    verdict(holds, if holds { "valid" } else { "invalid" }, Some((&found, &content)))
}

/// Makes a reference; false where it is there.
pub(in crate::rehearsal) fn make_reference(path: &Path, name: &str, sha: &str) -> Result<bool, Refused> {
    let repository = Repository::open_bare(path)?;
    let Some(id) = named(&repository, sha) else { return invalid("Object does not exist") };
    match repository.reference(name, id, false, "rehearsal") {
        Ok(_) => Ok(true),
        Err(error) if error.code() == ErrorCode::Exists => Ok(false),
        Err(error) if error.code() == ErrorCode::InvalidSpec => invalid(format!("{name} is not a valid ref name.")),
        Err(error) => Err(error.into()),
    }
}

/// Moves a reference to a commit; where that is not forced, to one that comes behind what it points to.
pub(in crate::rehearsal) fn move_reference(path: &Path, name: &str, sha: &str, is_forced: bool) -> Result<(), Refused> {
    let repository = Repository::open_bare(path)?;
    let Some(id) = named(&repository, sha) else { return invalid("Object does not exist") };
    let Some(from) = repository.find_reference(name).ok().and_then(|found| found.target()) else {
        return invalid("Reference does not exist");
    };
    if !is_forced && from != id && !repository.graph_descendant_of(id, from)? {
        return invalid("Update is not a fast forward");
    }
    repository.reference(name, id, true, "rehearsal")?;
    Ok(())
}

/// Takes a reference away; false where there is none.
pub(in crate::rehearsal) fn remove_reference(path: &Path, name: &str) -> Result<bool, git2::Error> {
    match Repository::open_bare(path)?.find_reference(name) {
        Ok(mut reference) => reference.delete().map(|()| true),
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => Ok(false),
        Err(error) => Err(error),
    }
}

/// All references, and what they point to.
pub(in crate::rehearsal) fn references(path: &Path) -> Result<BTreeMap<String, String>, git2::Error> {
    let mut found = BTreeMap::new();
    for reference in Repository::open_bare(path)?.references()? {
        let reference = reference?;
        if let (Ok(name), Some(target)) = (reference.name(), reference.target()) {
            found.insert(name.to_owned(), target.to_string());
        }
    }
    Ok(found)
}
