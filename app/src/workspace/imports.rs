//! Where the program of a patch begins to import a file of tests, in Python, JavaScript and TypeScript.
//!
//! What is named is looked for where their tools would, and beside that where test runners would: it counts as found where any
//! of them finds a test and none that comes first finds something else. What a source puts together while it runs is not known.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{ObjectType, Repository, Tree};
use patchwright_domain::journal::{Change, ChangeKind, CommitId};
use patchwright_domain::proof::is_test_path;
use patchwright_domain::proof::test_files::{TestFiles, Use};

use super::WorkspaceError;
use super::links::{Links, Reached};
use super::mirror::{Entry, each_entry, each_file, git, oid, read_from};
use crate::syntax::imports::{Import, Wanted, has_imports, imports};
use crate::syntax::inline::Parsing;
use crate::syntax::modules::plain;

/// How many places are told.
const USES_TOLD_MAX: usize = 10;
/// How files of scripts end where an import does not say it.
const SCRIPT_ENDS: [&str; 18] = [
    "",
    ".js",
    ".cjs",
    ".mjs",
    ".jsx",
    ".ts",
    ".cts",
    ".mts",
    ".tsx",
    ".json",
    "/index.js",
    "/index.cjs",
    "/index.mjs",
    "/index.jsx",
    "/index.ts",
    "/index.cts",
    "/index.mts",
    "/index.tsx",
];
/// What a source without a parser has to say for it to be taken to import a test.
const WORDS_OF_TESTS: [&str; 3] = ["test", "spec", "snap"];

/// Adds what the patch's own files begin to import.
pub(super) fn add_uses(
    repository: &Repository,
    base: &CommitId,
    head: &CommitId,
    changes: &[Change],
    found: &mut TestFiles,
) -> Result<(), WorkspaceError> {
    let tree = repository.find_commit(oid(head)).and_then(|commit| commit.tree()).map_err(|e| git("reading a commit", &e))?;
    let (links, knows_links) = links(repository, head)?;
    let mut places = Places { tree, repository, head, links, has_lost: !knows_links, of_tests: None };
    let mut parsing = Parsing::default();
    let is_code = |change: &&Change| change.kind != ChangeKind::Deleted && !is_test_path(&change.path);
    for path in changes.iter().filter(is_code).map(|change| change.path.as_str()) {
        if places.links.has(path) {
            add_use_of_link(&places, path, found);
            continue;
        }
        if !has_imports(path) {
            continue;
        }
        let Some(after) = read_from(repository, head, path)? else { continue };
        let now = parsing.takes(after.len()).then(|| imports(path, &after)).flatten();
        let Some(now) = now else {
            let text = String::from_utf8_lossy(&after);
            if WORDS_OF_TESTS.iter().any(|word| text.contains(word)) {
                let why = "it is not read, and may import a file of tests".to_owned();
                found.uncertain.entry(path.to_owned()).or_insert(why);
            }
            continue;
        };
        let before = read_from(repository, base, path)?.filter(|before| parsing.takes(before.len()));
        let before = before.and_then(|before| imports(path, &before)).unwrap_or_default();
        let known: BTreeSet<Wanted> = before.into_iter().map(|import| import.wanted).collect();
        for Import { wanted, line } in now.into_iter().filter(|import| !known.contains(&import.wanted)) {
            places.has_lost = !knows_links;
            let of = places.test(path, &wanted)?;
            if of.is_none() && places.has_lost {
                let why = format!("it imports something in line {line}, and where that is cannot be told");
                found.uncertain.entry(path.to_owned()).or_insert(why);
            }
            let Some(of) = of else { continue };
            let is_told = found.uses.iter().any(|told| told.path == path && told.of == of);
            if !is_told && found.uses.len() < USES_TOLD_MAX {
                found.uses.push(Use { path: path.to_owned(), line: Some(line), of, is_certain: true });
            }
        }
    }
    Ok(())
}

/// A link of the program that leads to a file of tests, or into a folder of them, has it under another name.
fn add_use_of_link(places: &Places<'_>, path: &str, found: &mut TestFiles) {
    let is_there = |path: &str| path.is_empty() || places.tree.get_path(Path::new(path)).is_ok();
    let is_of_tests = |of: &str| is_test_path(of) || is_test_path(&format!("{of}/any"));
    match places.links.reached(path, is_there) {
        Reached::There(of) if is_of_tests(&of) && found.uses.len() < USES_TOLD_MAX => {
            found.uses.push(Use { path: path.to_owned(), line: None, of, is_certain: true });
        }
        Reached::There(_) | Reached::Nothing => {}
        Reached::Unknown => {
            let why = "it is a link, and where it leads is not known".to_owned();
            found.uncertain.entry(path.to_owned()).or_insert(why);
        }
    }
}

/// A commit's links, and whether those are all.
fn links(repository: &Repository, commit: &CommitId) -> Result<(Links, bool), WorkspaceError> {
    let (mut links, mut is_whole) = (Links::default(), true);
    is_whole &= each_entry(repository, commit, |folder, name, entry| {
        if let Entry::Link(id) = entry {
            is_whole &= links.add(repository, format!("{folder}{name}"), id);
        }
    })?;
    Ok((links, is_whole))
}

/// Where the files of a commit are.
struct Places<'a> {
    tree: Tree<'a>,
    repository: &'a Repository,
    head: &'a CommitId,
    links: Links,
    /// Whether a file was not found that may be there, behind links that are not known or by a way around the repository.
    has_lost: bool,
    /// The tests of Python that can be imported by their own names, since a runner begins at their folder.
    of_tests: Option<Vec<String>>,
}

impl Places<'_> {
    /// The file of tests that this is, if it is one.
    fn test(&mut self, source: &str, wanted: &Wanted) -> Result<Option<String>, WorkspaceError> {
        let folder = source.rsplit_once('/').map_or("", |(folder, _)| folder);
        match wanted {
            Wanted::Module { n_up: 0, parts } => self.module_from_a_root(folder, parts),
            Wanted::Module { n_up, parts } => {
                let up = "../".repeat(n_up - 1);
                Ok(self.module(&format!("{folder}/{up}"), parts))
            }
            Wanted::Path(path) | Wanted::Package(path) if path.starts_with('/') => {
                self.has_lost = true;
                Ok(None)
            }
            Wanted::Path(path) => Ok(self.script(&format!("{folder}/{path}")).filter(|path| is_test_path(path))),
            Wanted::Package(name) => {
                // The whole path, or that within the package, for it may be the repository's own or another name for a folder.
                let names = [Some(name.as_str()), name.split_once('/').map(|(_, rest)| rest)];
                let scoped = name.starts_with('@').then(|| name.splitn(3, '/').nth(2)).flatten();
                let names: Vec<&str> = names.into_iter().flatten().chain(scoped).filter(|name| !name.is_empty()).collect();
                let places = roots(folder).flat_map(|root| names.iter().map(move |name| format!("{root}/{name}")));
                let mut places = places.collect::<Vec<_>>().into_iter();
                Ok(places.find_map(|place| self.script(&place)).filter(|path| is_test_path(path)))
            }
        }
    }

    fn module_from_a_root(&mut self, folder: &str, parts: &[String]) -> Result<Option<String>, WorkspaceError> {
        let Some(first) = parts.first() else { return Ok(None) };
        for root in roots(folder) {
            if let Some(found) = self.module(root, parts) {
                return Ok(Some(found));
            }
            let own = plain(&format!("{root}/{first}")).unwrap_or_default();
            if self.tree.get_path(Path::new(&own)).is_ok() || self.file(&format!("{own}.py")).is_some() {
                return Ok(None);
            }
        }
        let ends = [format!("/{first}.py"), format!("/{first}/__init__.py")];
        Ok(self.of_tests()?.iter().find(|path| ends.iter().any(|end| path.ends_with(end.as_str()))).cloned())
    }

    /// The first file of tests on the way to a module.
    fn module(&mut self, root: &str, parts: &[String]) -> Option<String> {
        (1..=parts.len()).find_map(|n_parts| {
            let place = format!("{root}/{}", parts[..n_parts].join("/"));
            let ends = ["/__init__.py", ".py", ".pyi"];
            ends.iter().find_map(|end| self.file(&format!("{place}{end}"))).filter(|file| is_test_path(file))
        })
    }

    fn script(&mut self, place: &str) -> Option<String> {
        let place = place.trim_end_matches('/');
        let bare = [(".js", ".ts"), (".js", ".tsx"), (".jsx", ".tsx"), (".mjs", ".mts"), (".cjs", ".cts")];
        let compiled = bare.iter().filter_map(|(end, own)| Some(format!("{}{own}", place.strip_suffix(end)?)));
        let all: Vec<String> = SCRIPT_ENDS.iter().map(|end| format!("{place}{end}")).chain(compiled).collect();
        all.iter().find_map(|path| self.file(path))
    }

    /// The file that a path leads to, if there is one: the path itself where that is called like a test. What leads up in a path is
    /// taken out of it first, as the tools do it.
    fn file(&mut self, path: &str) -> Option<String> {
        let is_file = |path: &str| self.tree.get_path(Path::new(path)).is_ok_and(|entry| entry.kind() == Some(ObjectType::Blob));
        let named = plain(path);
        match named.as_ref().map_or(Reached::Unknown, |path| self.links.reached(path, is_file)) {
            Reached::There(file) => named.filter(|path| is_test_path(path)).or(Some(file)),
            Reached::Nothing => None,
            Reached::Unknown => {
                self.has_lost = true;
                None
            }
        }
    }

    fn of_tests(&mut self) -> Result<&[String], WorkspaceError> {
        if self.of_tests.is_none() {
            let (mut tests, mut packages) = (Vec::new(), BTreeSet::new());
            each_file(self.repository, self.head, |folder, name, _| {
                if name == "__init__.py" {
                    packages.insert(folder.to_owned());
                }
                let path = format!("{folder}{name}");
                if name.ends_with(".py") && is_test_path(&path) {
                    tests.push(path);
                }
            })?;
            // A package is imported by its name, from the folder around it.
            let folder = |path: &str| {
                let own = path.strip_suffix("/__init__.py").unwrap_or(path);
                own.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"))
            };
            tests.retain(|path| !packages.contains(&folder(path)));
            self.of_tests = Some(tests);
        }
        Ok(self.of_tests.as_deref().unwrap_or_default())
    }
}

/// The folders from which a source may import, its own first, up to the repository's root.
fn roots(folder: &str) -> impl Iterator<Item = &str> {
    let up = folder.match_indices('/').map(|(at, _)| &folder[..at]).rev();
    [folder].into_iter().chain(up).chain((!folder.is_empty()).then_some(""))
}
