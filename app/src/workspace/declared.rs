//! Which files of a patch only tests have, by the sources that declare them.
//!
//! A file is code or a test as it was before the patch: what the patch declares it to be changes nothing, and tells of new files
//! alone. Where the patch has the program use a file of tests, that is told, and what stands in such a file is looked through
//! as code.
//!
//! What cannot be told for certain counts against a patch only where it is about one of its files. Such a file is one that only
//! a macro declares, or one that nothing leads to from the root of a crate, and that a declaration may mean whose path is not
//! known or a source that was not read: by the parts of the path that are known, and if a source says its name. A file of tests
//! is another, which a declaration of that kind that comes with the patch may have the program use.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;

use git2::{ObjectType, Oid, Repository};
use patchwright_domain::journal::{Change, CommitId};
use patchwright_domain::proof::is_test_path;
use patchwright_domain::proof::test_files::{TestFiles, Use};

use self::graph::{Doubtful, Graph};
use super::links::Links;
use super::mirror::{Entry, each_entry, git, oid, open};
use super::{WorkspaceError, imports};
use crate::syntax::modules::{Meant, Modules, Who, modules};

mod graph;
mod manifest;

/// How many sources of a commit are looked through; where there are more, those of the packages that the patch changes.
const SOURCES_MAX: usize = 50_000;
/// How many bytes they may have together.
const SOURCES_BYTES_MAX: usize = 256 << 20;
/// How many names are looked for in all sources; a further one counts as found.
const NAMES_MAX: usize = 20;
/// How many places are told at which the program has a file of tests.
const USES_TOLD_MAX: usize = 10;
/// What a package of Rust is configured by.
const MANIFEST: &str = "Cargo.toml";

/// Looks through the sources of both commits, whose difference has these files.
pub(super) fn test_files(
    mirror: &Path,
    base: &CommitId,
    head: &CommitId,
    changes: &[Change],
) -> Result<TestFiles, WorkspaceError> {
    let asked: BTreeSet<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    if asked.iter().all(|path| is_test_path(path)) {
        return Ok(TestFiles::default());
    }
    let repository = open(mirror)?;
    let mut known = HashMap::new();
    let mut before = Sources::of(&repository, base, &asked, &mut known)?;
    let mut after = Sources::of(&repository, head, &asked, &mut known)?;
    let mut found = TestFiles::default();
    for path in &asked {
        // Of a new file the patch alone can tell.
        let version = if before.has(path) { &mut before } else { &mut after };
        let is_declared = version.graph.is_for_tests(path);
        if is_declared && !is_test_path(path) {
            found.declared.insert((*path).to_owned());
        }
        let why = if is_declared || is_test_path(path) {
            if after.graph.has_program(path) {
                found.used.insert((*path).to_owned());
                continue;
            }
            after.may_come_to_use(path, &before, &asked)?
        } else {
            version.uncertainty(path)?
        };
        found.uncertain.extend(why.map(|why| ((*path).to_owned(), why)));
    }
    found.uses = uses(&before.graph, &after.graph);
    imports::add_uses(&repository, base, head, changes, &mut found)?;
    Ok(found)
}

/// Where the program has a file of tests that it did not have, or may have one.
fn uses(before: &Graph, after: &Graph) -> Vec<Use> {
    let is_new = |path: &str| {
        let is_test = is_test_path(path) || before.is_for_tests(path);
        is_test && !before.has_program(path) && !before.is_uncertain(path)
    };
    let of = |by: &str, path: &str, is_certain| Use { path: by.to_owned(), line: None, of: path.to_owned(), is_certain };
    let ways = after.ways().filter(|(by, path, _)| is_new(path) && !is_new(by));
    let ways = ways.map(|(by, path, is_certain)| of(by, path, is_certain));
    let doubtful = after.doubtful().into_iter().filter(|doubtful| {
        let is_open = matches!(doubtful.meant, Meant::Like(_)) && doubtful.who != Who::Tests;
        is_open && !before.has_doubtful(doubtful) && !is_test_path(&doubtful.source)
    });
    let doubtful: Vec<Doubtful> = doubtful.collect();
    let doubtful = doubtful.iter().filter_map(|doubtful| Some(of(&doubtful.source, after.test_like(&doubtful.meant)?, false)));
    ways.chain(doubtful).take(USES_TOLD_MAX).collect()
}

/// The sources of one commit.
struct Sources<'a> {
    repository: &'a Repository,
    graph: Graph,
    /// What each source is called, and its content.
    ids: BTreeMap<String, Oid>,
    /// Files that are no sources, of those that are asked for.
    others: BTreeSet<String>,
    /// Whether there are sources that were not looked at.
    has_left_out: bool,
    /// Which sources say a name, for those that were looked for.
    named: HashMap<String, Vec<String>>,
}

/// What was read of sources already, by their path and content.
type Known = HashMap<(String, Oid), Rc<Modules>>;

/// What a commit has, as far as it is of use here.
#[derive(Default)]
struct Listing {
    sources: Vec<(String, Oid)>,
    manifests: Vec<(String, Oid)>,
    packages: BTreeSet<String>,
    links: Links,
    others: BTreeSet<String>,
    has_left_out: bool,
}

impl Listing {
    fn of(repository: &Repository, commit: &CommitId, asked: &BTreeSet<&str>) -> Result<Self, WorkspaceError> {
        let mut found = Self::default();
        let is_whole = each_entry(repository, commit, |folder, name, entry| {
            let path = || format!("{folder}{name}");
            match entry {
                Entry::Link(id) => found.has_left_out |= !found.links.add(repository, path(), id),
                Entry::File(id) if name.ends_with(".rs") => found.sources.push((path(), id)),
                Entry::File(id) if name == MANIFEST => {
                    found.packages.insert(folder.to_owned());
                    found.manifests.push((path(), id));
                }
                Entry::File(_) => {
                    let path = path();
                    if asked.contains(path.as_str()) {
                        found.others.insert(path);
                    }
                }
            }
        })?;
        found.has_left_out |= !is_whole;
        if found.sources.len() > SOURCES_MAX {
            found.has_left_out = true;
            let own: BTreeSet<&str> = asked.iter().filter_map(|path| package(path, &found.packages)).collect();
            found.sources.retain(|(path, _)| package(path, &found.packages).is_some_and(|package| own.contains(package)));
            found.sources.truncate(SOURCES_MAX);
        }
        Ok(found)
    }
}

impl<'a> Sources<'a> {
    fn of(
        repository: &'a Repository,
        commit: &CommitId,
        asked: &BTreeSet<&str>,
        known: &mut Known,
    ) -> Result<Self, WorkspaceError> {
        let Listing { sources, manifests, packages, links, others, mut has_left_out } = Listing::of(repository, commit, asked)?;
        let (mut files, mut n_bytes_left) = (BTreeMap::new(), SOURCES_BYTES_MAX);
        for (path, id) in sources.iter().chain(&manifests) {
            let key = (path.clone(), *id);
            if !known.contains_key(&key) {
                let blob = repository.find_blob(*id).map_err(|e| git("reading a source", &e))?;
                let Some(left) = n_bytes_left.checked_sub(blob.size()) else {
                    has_left_out = true;
                    break;
                };
                n_bytes_left = left;
                let read = if path.ends_with(MANIFEST) { manifest::targets } else { modules };
                known.insert(key.clone(), Rc::new(read(path, blob.content())));
            }
            files.insert(path.clone(), known.get(&key).map(Rc::clone).unwrap_or_default());
        }
        let tree = repository.find_commit(oid(commit)).and_then(|commit| commit.tree());
        let tree = tree.map_err(|e| git("reading a commit", &e))?;
        let is_there = |path: &str| {
            let is_file = || tree.get_path(Path::new(path)).is_ok_and(|entry| entry.kind() == Some(ObjectType::Blob));
            files.contains_key(path) || !path.ends_with(".rs") && is_file()
        };
        let graph = Graph::of(&files, &packages, &links, is_there);
        let ids = sources.into_iter().collect();
        Ok(Self { repository, graph, ids, others, has_left_out, named: HashMap::new() })
    }

    fn has(&self, path: &str) -> bool {
        self.graph.has(path) || self.others.contains(path)
    }

    /// Why it cannot be told whether a file that counts as code is that.
    fn uncertainty(&mut self, path: &str) -> Result<Option<String>, WorkspaceError> {
        if self.graph.is_uncertain(path) {
            return Ok(Some("a macro decides whether more than tests have it".to_owned()));
        }
        let Some(root) = self.graph.loose_root(path).map(str::to_owned) else { return Ok(None) };
        if self.has_left_out {
            return Ok(Some("there are more sources than are looked through, and those that are do not declare it".to_owned()));
        }
        for Doubtful { source, meant, .. } in self.graph.doubtful() {
            if source != root && meant.fits(&root) && self.says_name_of(&root, &source, &meant)? {
                return Ok(Some(format!("nothing declares it, unless {source} does, in a way that cannot be told")));
            }
        }
        Ok(None)
    }

    /// Why the patch may have the program use a file of tests.
    fn may_come_to_use(&mut self, path: &str, before: &Self, asked: &BTreeSet<&str>) -> Result<Option<String>, WorkspaceError> {
        if self.graph.is_uncertain(path) && !before.graph.is_uncertain(path) {
            return Ok(Some("with the patch, a macro decides whether more than tests have it".to_owned()));
        }
        for doubtful in self.graph.doubtful() {
            let Doubtful { source, meant, who } = &doubtful;
            let is_unread = *meant == Meant::Anything && asked.contains(source.as_str());
            let is_new = is_unread || !before.graph.has_doubtful(&doubtful);
            if *who != Who::Tests && is_new && meant.fits(path) {
                let may_be = *meant != Meant::Anything || self.says_name_of(path, source, meant)?;
                if may_be {
                    return Ok(Some(format!("with the patch, {source} may have it, in a way that cannot be told")));
                }
            }
        }
        Ok(None)
    }

    /// Whether a source says the name of a file: the one that was not read, or any but the file itself.
    fn says_name_of(&mut self, path: &str, source: &str, meant: &Meant) -> Result<bool, WorkspaceError> {
        let name = name(path);
        if !self.named.contains_key(name) {
            if self.named.len() >= NAMES_MAX {
                return Ok(true);
            }
            let mut named = Vec::new();
            for (source, id) in &self.ids {
                let blob = self.repository.find_blob(*id).map_err(|e| git("reading a source", &e))?;
                if has_word(&String::from_utf8_lossy(blob.content()), name) {
                    named.push(source.clone());
                }
            }
            self.named.insert(name.to_owned(), named);
        }
        let named = self.named.get(name).map(Vec::as_slice).unwrap_or_default();
        Ok(named.iter().any(|named| named != path && (*meant != Meant::Anything || named == source)))
    }
}

/// What sources call a file: its name without what it ends with, or that of its folder.
fn name(path: &str) -> &str {
    let path = path.strip_suffix("/mod.rs").unwrap_or(path);
    let file = path.rsplit_once('/').map_or(path, |(_, file)| file);
    file.split_once('.').map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem })
}

/// Whether a text has a word, not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(is_part);
        let after = text[at + word.len()..].chars().next().is_some_and(is_part);
        !before && !after
    })
}

/// The innermost of these packages, each by its folder, that a path is in.
fn package<'a>(path: &str, packages: &'a BTreeSet<String>) -> Option<&'a str> {
    let folders = path.match_indices('/').map(|(at, _)| &path[..=at]).rev().chain([""]);
    folders.filter_map(|folder| packages.get(folder)).map(String::as_str).next()
}
