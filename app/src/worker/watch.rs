//! What of the tests a run changes, or the setup before it.
//!
//! Code under test that rewrites a test before that is loaded has it pass. It can put the file back, too, but not the time at
//! which the kernel saw it changed. The tree is looked at from outside, while nothing runs in it; a run that could not be
//! looked at proves nothing. Three kinds of change count:
//!
//! - a test, a link, or a file of a library that is there is another one, or was changed;
//! - a folder with tests in it is another one, or has changed together with the folder around it, which is what moving it away
//!   and back leaves. What is made in a folder changes that folder alone;
//! - a file is new that a runner would load in the place of a test, or before it. Whatever else tests leave is theirs.

use std::collections::BTreeSet;

use patchwright_domain::ecosystem::Plan;
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::CommitId;
use patchwright_domain::proof::is_test_path;

use super::{StepError, Tools, conclusions};
use crate::sandbox::Executor;
use crate::sandbox::stamps::{Kind, Look, Stamp, Stamps};

/// Folders into which tools put what tests load, and in which a run has nothing to change.
const LIBRARIES: [&str; 3] = ["node_modules", ".venv", "venv"];
/// What Python keeps of modules, and loads in the place of them.
const KEPT_MODULES: &str = "__pycache__";
/// How files end that runners and interpreters load.
const LOADED: [&str; 16] =
    [".py", ".pyc", ".pth", ".so", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".node", ".rs", ".go", ".rb"];
/// What an interpreter looks for in every folder, or at its start.
const FOUND_FIRST: [&str; 3] = ["sitecustomize.py", "usercustomize.py", "package.json"];

/// What of a commit's tree is looked at: all but what tools leave, unless the repository has a folder of that name itself.
pub(super) async fn look(tools: &Tools, spec: &JobSpec, commit: &CommitId, plan: &Plan) -> Result<Look, StepError> {
    let is_watched = |name: &str| LIBRARIES.contains(&name) || name == KEPT_MODULES;
    let left_out: BTreeSet<String> = plan.droppings.iter().filter(|name| !is_watched(name)).cloned().collect();
    let mut kept = BTreeSet::new();
    for path in tools.workspaces.paths(&spec.repo, commit).await? {
        let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        kept.extend(folders.filter(|folder| left_out.contains(last(folder))).map(str::to_owned));
    }
    Ok(Look { left_out, kept, is_first: false })
}

/// Looks at the tree.
pub(super) async fn stamps(executor: &mut dyn Executor, look: &Look) -> Result<Stamps, StepError> {
    Ok(executor.stamps(look).await.map_err(|error| conclusions::sandbox(&error))?)
}

/// What is not as it was, in the order of paths; `None` where that cannot be said.
pub(super) fn changed(before: &Stamps, after: &Stamps) -> Option<Vec<String>> {
    if !before.is_whole || !after.is_whole {
        return None;
    }
    let folders = folders_of_tests(before);
    let is_moved = |path: &str, stamp: &Stamp| {
        let is_changed = |path: &str| before.entries.get(path) != after.entries.get(path);
        let inode = after.entries.get(path).map(|after| after.inode);
        inode != Some(stamp.inode) || is_changed(path) && is_changed(around(path))
    };
    let is_changed = |path: &str, stamp: &Stamp| match stamp.kind {
        Kind::Folder => folders.contains(path) && is_moved(path, stamp),
        Kind::Link => after.entries.get(path) != Some(stamp),
        Kind::File | Kind::Other => is_watched(path) && after.entries.get(path) != Some(stamp),
    };
    let old = before.entries.iter().filter(|(path, stamp)| is_changed(path, stamp));
    let is_new = |path: &str, stamp: &Stamp| {
        !before.entries.contains_key(path) && stamp.kind != Kind::Folder && is_found_before_others(path, stamp)
    };
    let new = after.entries.iter().filter(|(path, stamp)| is_new(path, stamp));
    Some(old.chain(new).map(|(path, _)| path.clone()).collect::<BTreeSet<_>>().into_iter().collect())
}

/// What two looks after another have found.
pub(super) fn both(first: Option<Vec<String>>, second: Option<Vec<String>>) -> Option<Vec<String>> {
    let both: BTreeSet<String> = first?.into_iter().chain(second?).collect();
    Some(both.into_iter().collect())
}

/// The folders that files of tests or libraries are in, at any depth.
fn folders_of_tests(stamps: &Stamps) -> BTreeSet<&str> {
    let is_one = |(path, stamp): &(&String, &Stamp)| stamp.kind != Kind::Folder && is_watched(path);
    let paths = stamps.entries.iter().filter(is_one).map(|(path, _)| path);
    paths.flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end])).collect()
}

fn is_watched(path: &str) -> bool {
    is_test_path(path) || is_in_a_library(path)
}

/// Whether a file belongs to a library, and is none of what tools keep in hidden folders beside those.
fn is_in_a_library(path: &str) -> bool {
    let mut parts = path.split('/').skip_while(|part| !LIBRARIES.contains(part));
    parts.next().is_some() && parts.all(|part| !part.starts_with('.'))
}

/// Whether a new file is one that is loaded.
fn is_found_before_others(path: &str, stamp: &Stamp) -> bool {
    let name = last(path);
    let is_loaded = stamp.kind == Kind::Link || LOADED.iter().any(|ending| name.ends_with(ending));
    FOUND_FIRST.contains(&name) || name.ends_with(".pth") || is_loaded && is_watched(path)
}

/// The folder around a path; the workspace has the empty one.
fn around(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests;
