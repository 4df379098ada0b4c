//! Where the links of a commit lead, as they would on a disk.

use std::collections::BTreeMap;

use git2::{Oid, Repository};

/// How many links of a commit are known.
const LINKS_MAX: usize = 10_000;
/// How many links a path may lead through, as with Linux.
const HOPS_MAX: usize = 40;
/// How long a path may be, in bytes, as with Linux: no longer one can be opened.
const PATH_BYTES_MAX: usize = 4096;

/// The links of a commit, each with the path that it says.
#[derive(Default)]
pub(super) struct Links {
    targets: BTreeMap<String, String>,
}

/// What is at the end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// This file, whose own path has no links.
    There(String),
    /// Nothing.
    Nothing,
    /// Nobody knows: it leads through more links than are followed, or out of the repository, from where it may lead back into it.
    Unknown,
}

impl Links {
    /// Takes in a link; whether there was room for it.
    pub(super) fn add(&mut self, repository: &Repository, path: String, id: Oid) -> bool {
        if self.targets.len() >= LINKS_MAX {
            return false;
        }
        // One that says a longer path cannot be made on a disk, and is found to lead nowhere.
        let said = repository.find_blob(id).ok().filter(|blob| blob.size() <= PATH_BYTES_MAX);
        if let Some(target) = said.and_then(|blob| String::from_utf8(blob.content().to_vec()).ok()) {
            self.targets.insert(path, target);
        }
        true
    }

    /// Whether this is one.
    pub(super) fn has(&self, path: &str) -> bool {
        self.targets.contains_key(path)
    }

    /// Goes along a path, step by step; `is_there` says whether there is such a file.
    pub(super) fn reached(&self, path: &str, is_there: impl Fn(&str) -> bool) -> Reached {
        if path.len() > PATH_BYTES_MAX {
            return Reached::Nothing;
        }
        let (mut left, mut here, mut n_hops_left) = (path.split('/').rev().collect::<Vec<_>>(), Vec::new(), HOPS_MAX);
        while let Some(step) = left.pop() {
            match step {
                "" | "." => continue,
                ".." if here.pop().is_none() => return Reached::Unknown,
                ".." => continue,
                step => here.push(step),
            }
            let Some(target) = (!self.targets.is_empty()).then(|| self.targets.get(&here.join("/"))).flatten() else { continue };
            match n_hops_left.checked_sub(1) {
                Some(n_left) if !target.starts_with('/') => n_hops_left = n_left,
                Some(_) | None => return Reached::Unknown,
            }
            here.pop();
            left.extend(target.split('/').rev());
        }
        let place = here.join("/");
        if is_there(&place) { Reached::There(place) } else { Reached::Nothing }
    }
}

#[cfg(test)]
impl FromIterator<(String, String)> for Links {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(links: T) -> Self {
        Self { targets: links.into_iter().collect() }
    }
}
