//! Which files of a patch only tests have, by the sources that declare them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use git2::{Oid, Repository};
use patchwright_domain::journal::{Change, CommitId};
use patchwright_domain::proof::is_test_path;
use patchwright_domain::proof::test_files::TestFiles;

use super::WorkspaceError;
use super::mirror::{each_file, git, open};
use crate::syntax::modules::{Modules, modules};

/// How many sources of a commit are looked through; where there are more, those of the packages that the patch changes.
const SOURCES_MAX: usize = 10_000;
/// How many bytes they may have together.
const SOURCES_BYTES_MAX: usize = 256 << 20;
/// What a package of Rust is configured by.
const MANIFEST: &str = "Cargo.toml";

/// Looks through the sources of both commits, whose difference has these files.
pub(super) fn test_files(
    mirror: &Path,
    base: &CommitId,
    head: &CommitId,
    changes: &[Change],
) -> Result<TestFiles, WorkspaceError> {
    let asked: Vec<&str> = changes.iter().map(|change| change.path.as_str()).filter(|path| !is_test_path(path)).collect();
    if asked.is_empty() {
        return Ok(TestFiles::default());
    }
    let repository = open(mirror)?;
    let mut known = HashMap::new();
    let mut of = |commit| Sources::of(&repository, commit, &asked, &mut known);
    let (Some(before), Some(after)) = (of(base)?, of(head)?) else {
        return Ok(TestFiles { is_whole: false, ..TestFiles::default() });
    };
    // A file that was part of the program stays one, whatever the patch declares it to be. Of a new one the patch alone can tell.
    let is_for_tests = |path: &&&str| {
        let version = if before.has(path) { &before } else { &after };
        version.for_tests.contains(**path)
    };
    let declared = asked.iter().filter(is_for_tests).map(|path| (*path).to_owned()).collect();
    Ok(TestFiles { declared, is_whole: true })
}

/// The sources of one commit.
struct Sources {
    files: BTreeMap<String, Modules>,
    /// Files that are no sources, of those that are asked for.
    others: BTreeSet<String>,
    /// Those that only tests have.
    for_tests: BTreeSet<String>,
}

/// What was read of sources already, by their path and content.
type Known = HashMap<(String, Oid), Modules>;

impl Sources {
    /// `None` where there are more than are looked through.
    fn of(repository: &Repository, commit: &CommitId, asked: &[&str], known: &mut Known) -> Result<Option<Self>, WorkspaceError> {
        let asked_for: BTreeSet<&str> = asked.iter().copied().collect();
        let (mut found, mut others, mut packages) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        each_file(repository, commit, |folder, name, id| {
            if name == MANIFEST {
                packages.insert(folder.to_owned());
            }
            let path = format!("{folder}{name}");
            if name.ends_with(".rs") {
                found.push((path, id));
            } else if asked_for.contains(path.as_str()) {
                others.insert(path);
            }
        })?;
        if found.len() > SOURCES_MAX {
            let own: BTreeSet<&str> = asked.iter().filter_map(|path| package(path, &packages)).collect();
            found.retain(|(path, _)| package(path, &packages).is_some_and(|package| own.contains(package)));
        }
        if found.len() > SOURCES_MAX {
            return Ok(None);
        }
        let (mut files, mut n_bytes) = (BTreeMap::new(), 0_usize);
        for (path, id) in found {
            let key = (path, id);
            if !known.contains_key(&key) {
                let blob = repository.find_blob(id).map_err(|e| git("reading a source", &e))?;
                n_bytes = n_bytes.saturating_add(blob.size());
                if n_bytes > SOURCES_BYTES_MAX {
                    return Ok(None);
                }
                known.insert(key.clone(), modules(&key.0, blob.content()));
            }
            files.insert(key.0.clone(), known.get(&key).cloned().unwrap_or_default());
        }
        let for_tests = for_tests(&files, &others);
        Ok(Some(Self { files, others, for_tests }))
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.others.contains(path)
    }
}

/// The innermost of these packages, each by its folder, that a path is in.
fn package<'a>(path: &str, packages: &'a BTreeSet<String>) -> Option<&'a str> {
    let folders = path.match_indices('/').map(|(at, _)| &path[..=at]).rev().chain([""]);
    folders.filter_map(|folder| packages.get(folder)).map(String::as_str).next()
}

/// The files that are declared or included, and to which no way leads from the program.
fn for_tests(files: &BTreeMap<String, Modules>, others: &BTreeSet<String>) -> BTreeSet<String> {
    let is_there = |place: &&String| files.contains_key(*place) || others.contains(*place);
    let targets = |source: &Modules| -> Vec<(String, bool)> {
        let target = |places: &[String]| places.iter().find(is_there).cloned();
        source.declarations.iter().filter_map(|said| Some((target(&said.places)?, said.is_for_tests))).collect()
    };
    let declared: BTreeSet<String> = files.values().flat_map(targets).map(|(path, _)| path).collect();
    let marked = |path: &str| files.get(path).is_some_and(|source| source.is_for_tests);
    let is_program = |path: &String| !marked(path) && !is_test_path(path);
    let mut left: Vec<String> = files.keys().filter(|path| !declared.contains(*path) && is_program(path)).cloned().collect();
    let mut program = BTreeSet::new();
    while let Some(path) = left.pop() {
        let of_it = files.get(&path).map(targets).unwrap_or_default();
        if program.insert(path) {
            left.extend(of_it.into_iter().filter(|(path, is_for_tests)| !is_for_tests && is_program(path)).map(|(path, _)| path));
        }
    }
    let only_marked = files.keys().filter(|path| marked(path));
    declared.iter().chain(only_marked).filter(|path| !program.contains(*path)).cloned().collect()
}
