//! Which sources have which, and who comes to a file by them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use patchwright_domain::proof::is_test_path;

use super::{MANIFEST, package};
use crate::syntax::modules::{Meant, Modules, Who};
use crate::workspace::links::{Links, Reached};

/// How many macros may call one another for it to be known what they do.
const MACROS_DEPTH_MAX: usize = 16;

/// A declaration whose file is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Doubtful {
    /// The source that it stands in.
    pub(super) source: String,
    /// What is known of the file.
    pub(super) meant: Meant,
    pub(super) who: Who,
}

/// The files of a commit, by how the program comes to them.
pub(super) struct Graph {
    sources: BTreeSet<String>,
    /// Sources that say themselves that they are for tests.
    marked: BTreeSet<String>,
    declared: BTreeSet<String>,
    /// The files of the program, each with the one that has it; none where it is the root of a crate.
    program: BTreeMap<String, Option<String>>,
    /// Files of which macros decide whether they are the program's, in the same way.
    uncertain: BTreeMap<String, Option<String>>,
    /// Roots that are known as such by nothing but that no other source declares them.
    loose: BTreeSet<String>,
    doubtful: BTreeSet<Doubtful>,
}

impl Graph {
    /// `links` are the commit's; `is_there` says whether there is such a file.
    pub(super) fn of(
        files: &BTreeMap<String, Rc<Modules>>,
        packages: &BTreeSet<String>,
        links: &Links,
        is_there: impl Fn(&str) -> bool,
    ) -> Self {
        let (mut ways, mut doubtful) = (BTreeMap::<&str, Vec<(String, Who)>>::new(), BTreeSet::new());
        let plain_macros = plain_macros(files);
        for (source, modules) in files {
            for said in &modules.declarations {
                let places = match &said.meant {
                    Meant::Places(places) => places.clone(),
                    Meant::InPackage(path) => {
                        let folder = package(source, packages).unwrap_or_default();
                        vec![format!("{folder}/{path}")]
                    }
                    Meant::Like(_) | Meant::Anything => {
                        doubtful.insert(Doubtful { source: source.clone(), meant: said.meant.clone(), who: said.who });
                        continue;
                    }
                };
                let is_left = !said.by.is_empty() && said.by.iter().all(|name| plain_macros.contains(name.as_str()));
                let who = if is_left { Who::Program } else { said.who };
                let mut reached = places.iter().map(|place| links.reached(place, &is_there));
                match reached.find(|reached| *reached != Reached::Nothing) {
                    Some(Reached::There(place)) => ways.entry(source).or_default().push((place, who)),
                    Some(Reached::Unknown) => {
                        let meant = Meant::Like(vec![String::new()]);
                        doubtful.insert(Doubtful { source: source.clone(), meant, who });
                    }
                    Some(Reached::Nothing) | None => {}
                }
            }
        }
        let declared: BTreeSet<String> = ways.values().flatten().map(|(path, _)| path.clone()).collect();
        let marked: BTreeSet<String> = files.iter().filter(|(_, said)| said.is_for_tests).map(|(path, _)| path.clone()).collect();
        let may_be_root = |path: &&String| !marked.contains(*path) && !is_test_path(path);
        let (sure, other): (Vec<&String>, Vec<&String>) =
            files.keys().filter(may_be_root).partition(|path| is_root(path, packages));
        let loose: Vec<&String> = other.into_iter().filter(|path| !declared.contains(*path)).collect();
        let mut program = BTreeMap::new();
        // What both lead to is known for certain.
        for roots in [&sure, &loose] {
            let begin = roots.iter().map(|root| ((*root).clone(), None)).collect();
            follow(&ways, begin, &mut program, |path, who| who == Who::Program && !marked.contains(path));
        }
        let mut begin = Vec::new();
        for source in program.keys() {
            for (path, who) in ways.get(source.as_str()).into_iter().flatten() {
                if *who == Who::Either && !marked.contains(path) && !program.contains_key(path) {
                    begin.push((path.clone(), Some(source.clone())));
                }
            }
        }
        let mut all = program.clone();
        follow(&ways, begin, &mut all, |path, who| who != Who::Tests && !marked.contains(path));
        let uncertain = all.into_iter().filter(|(path, _)| !program.contains_key(path)).collect();
        let loose = loose.into_iter().cloned().collect();
        Self { sources: files.keys().cloned().collect(), marked, declared, program, uncertain, loose, doubtful }
    }

    /// Whether there is such a source.
    pub(super) fn has(&self, path: &str) -> bool {
        self.sources.contains(path)
    }

    /// Whether the program has a file.
    pub(super) fn has_program(&self, path: &str) -> bool {
        self.program.contains_key(path)
    }

    /// Whether a file is declared, included or marked, and the program has it neither for certain nor by a macro.
    pub(super) fn is_for_tests(&self, path: &str) -> bool {
        let is_known = self.declared.contains(path) || self.marked.contains(path);
        is_known && !self.has_program(path) && !self.is_uncertain(path)
    }

    /// Whether a macro decides if the program has a file.
    pub(super) fn is_uncertain(&self, path: &str) -> bool {
        self.uncertain.contains_key(path)
    }

    /// The declarations whose files are not known.
    pub(super) fn doubtful(&self) -> Vec<Doubtful> {
        self.doubtful.iter().cloned().collect()
    }

    /// Whether this one is among them.
    pub(super) fn has_doubtful(&self, doubtful: &Doubtful) -> bool {
        self.doubtful.contains(doubtful)
    }

    /// From each file of the program to those that it has, each with whether no macro decides that.
    pub(super) fn ways(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let program = self.program.iter().map(|way| (way, true));
        let all = program.chain(self.uncertain.iter().map(|way| (way, false)));
        all.filter_map(|((path, by), is_certain)| Some((by.as_deref()?, path.as_str(), is_certain)))
    }

    /// A source that is a test, and that a declaration may mean.
    pub(super) fn test_like(&self, meant: &Meant) -> Option<&str> {
        self.sources.iter().map(String::as_str).find(|path| is_test_path(path) && meant.fits(path))
    }

    /// The file from which the program comes to this one, where it is not known to be the root of a crate.
    pub(super) fn loose_root<'a>(&'a self, path: &'a str) -> Option<&'a str> {
        let mut root = path;
        // A way leads through no file twice.
        for _ in 0..=self.program.len() {
            match self.program.get(root) {
                Some(Some(by)) => root = by,
                Some(None) => break,
                None => return Some(root),
            }
        }
        self.loose.contains(root).then_some(root)
    }
}

/// The macros that the sources define and that give back what they are given, by all of their definitions.
fn plain_macros(files: &BTreeMap<String, Rc<Modules>>) -> BTreeSet<&str> {
    let mut calls = BTreeMap::<&str, Option<Vec<&str>>>::new();
    for (name, called) in files.values().flat_map(|modules| &modules.macros) {
        let known = calls.entry(name).or_insert_with(|| Some(Vec::new()));
        *known = known
            .take()
            .zip(called.as_ref())
            .map(|(known, called)| known.into_iter().chain(called.iter().map(String::as_str)).collect());
    }
    let mut plain = BTreeSet::new();
    for _ in 0..MACROS_DEPTH_MAX {
        let is_plain =
            |called: &Option<Vec<&str>>| called.as_ref().is_some_and(|called| called.iter().all(|name| plain.contains(name)));
        let found: BTreeSet<&str> = calls.iter().filter(|(_, called)| is_plain(called)).map(|(name, _)| *name).collect();
        if found.len() == plain.len() {
            break;
        }
        plain = found;
    }
    plain
}

/// Goes on from these files to all that they have, each with the one that has it.
fn follow(
    ways: &BTreeMap<&str, Vec<(String, Who)>>,
    mut left: Vec<(String, Option<String>)>,
    found: &mut BTreeMap<String, Option<String>>,
    goes: impl Fn(&str, Who) -> bool,
) {
    while let Some((path, by)) = left.pop() {
        if found.contains_key(&path) {
            continue;
        }
        let on = ways.get(path.as_str()).into_iter().flatten().filter(|(next, who)| goes(next, *who));
        left.extend(on.map(|(next, _)| (next.clone(), Some(path.clone()))));
        found.insert(path, by);
    }
}

/// Whether a source is the root of a crate, or what names them, by where it is.
fn is_root(path: &str, packages: &BTreeSet<String>) -> bool {
    let Some(folder) = package(path, packages) else { return false };
    let parts: Vec<&str> = path[folder.len()..].split('/').collect();
    matches!(
        parts.as_slice(),
        [MANIFEST | "build.rs"]
            | ["src", "lib.rs" | "main.rs"]
            | ["src", "bin", _]
            | ["src", "bin", _, "main.rs"]
            | ["examples" | "benches", _]
            | ["examples" | "benches", _, "main.rs"]
    )
}

#[cfg(test)]
mod tests;
