//! What of the tests a run changes, or the setup before it.
//!
//! Code under test that rewrites a test before that is loaded has it pass. It can put the file back, too, but not the time at
//! which the kernel saw it changed. The tree is looked at from outside, while nothing runs in it; a run that could not be
//! looked at proves nothing. Three kinds of change count:
//!
//! - a test, a link, a file of a library, a source of Rust, in which tests may stand, or what decides how the tests are run is
//!   another one, or was changed;
//! - a folder with one of those in it is another one, or has changed together with the folder around it, which is what moving it
//!   away and back leaves. What is made in a folder changes that folder alone;
//! - a file is new that a runner would load in the place of a test, or before it. Whatever else tests leave is theirs.
//!
//! What a runner does to the workspace itself in every run is done before, so that its change says something.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::time::Duration;

use patchwright_domain::ecosystem::Plan;
use patchwright_domain::ecosystem::runner::Runner;
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::CommitId;
use patchwright_domain::proof::test_files::TestFiles;

use super::{StepError, Tools, conclusions};
use crate::sandbox::stamps::{Kind, Look, Stamp, Stamps};
use crate::sandbox::{Command, Executor};

/// Folders into which tools put what tests load, and in which a run has nothing to change.
const LIBRARIES: [&str; 3] = ["node_modules", ".venv", "venv"];
/// What Python keeps of modules, and loads in the place of them.
const KEPT_MODULES: &str = "__pycache__";
/// How files end that runners and interpreters load.
const LOADED: [&str; 16] =
    [".py", ".pyc", ".pth", ".so", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".node", ".rs", ".go", ".rb"];
/// What an interpreter looks for in every folder, or at its start.
const FOUND_FIRST: [&str; 3] = ["sitecustomize.py", "usercustomize.py", "package.json"];
/// How modules of Python end, which hides the one of that name that would be found later.
const MODULES: [&str; 3] = [".py", ".pyc", ".so"];
/// How sources of Rust end.
const RUST: &str = ".rs";
/// How long making way for the runner may take, and how much it may print, in bytes.
const WAY_TIMEOUT: Duration = Duration::from_secs(60);
const WAY_OUTPUT_BYTES_MAX: usize = 4 * 1024;

/// What decides a run of the tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched<'a> {
    /// How they are run.
    pub(super) plan: &'a Plan,
    /// Which files of the patch are tests.
    pub(super) test_files: &'a TestFiles,
}

impl Watched<'_> {
    /// Whether a file that is there has to stay as it is.
    fn has(self, path: &str) -> bool {
        self.is_of_tests(path) || path.ends_with(RUST) || self.plan.decides_how_tests_run(path)
    }

    fn is_of_tests(self, path: &str) -> bool {
        self.test_files.has(path) || is_in_a_library(path)
    }

    /// Whether a new file is one that is loaded, or read by what starts the tests.
    fn has_new(self, path: &str, stamp: &Stamp) -> bool {
        let name = last(path);
        let is_loaded = stamp.kind == Kind::Link || LOADED.iter().any(|ending| name.ends_with(ending));
        FOUND_FIRST.contains(&name)
            || name.ends_with(".pth")
            || is_loaded && self.is_of_tests(path)
            || is_module_of_the_root(path, stamp)
            || self.plan.decides_how_tests_run(path)
    }
}

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
    executor.stamps(look).await.map_err(|error| conclusions::sandbox(&error))
}

/// Does to the workspace itself what the runner would do to it. Where that fails, every run changes it.
pub(super) async fn make_way(executor: &mut dyn Executor, plan: &Plan) -> Result<(), StepError> {
    let script = match plan.runner {
        // Where the tree lies over another one, a file that is written for the first time changes the folder that it is in.
        Some(Runner::Cargo | Runner::Nextest) => "mkdir -p target; test ! -f Cargo.lock || : >> Cargo.lock",
        Some(Runner::Pytest) => "mkdir -p .pytest_cache",
        Some(Runner::Unittest | Runner::Go | Runner::Node | Runner::Jest | Runner::Vitest) | None => return Ok(()),
    };
    let command = Command {
        script: script.to_owned(),
        directory: String::new(),
        timeout: WAY_TIMEOUT,
        output_bytes_max: WAY_OUTPUT_BYTES_MAX,
    };
    executor.execute(&command).await.map_err(|error| conclusions::sandbox(&error))?;
    Ok(())
}

/// What is not as it was, in the order of paths, folders with a slash at their ends; `None` where that cannot be said.
pub(super) fn changed(before: &Stamps, after: &Stamps, watched: Watched<'_>) -> Option<Vec<String>> {
    if !before.is_whole || !after.is_whole {
        return None;
    }
    // Seldom is any folder like one that was moved.
    let folders = LazyCell::new(|| watched_folders(before, watched));
    let is_moved = |path: &str, stamp: &Stamp| {
        let is_changed = |path: &str| before.entries.get(path) != after.entries.get(path);
        let inode = after.entries.get(path).map(|after| after.inode);
        inode != Some(stamp.inode) || is_changed(path) && is_changed(around(path))
    };
    let is_changed = |path: &str, stamp: &Stamp| match stamp.kind {
        Kind::Folder => is_moved(path, stamp) && folders.contains(path),
        Kind::Link => after.entries.get(path) != Some(stamp),
        Kind::File | Kind::Other => after.entries.get(path) != Some(stamp) && watched.has(path),
    };
    let old = before.entries.iter().filter(|(path, stamp)| is_changed(path, stamp));
    let is_new = |path: &str, stamp: &Stamp| {
        !before.entries.contains_key(path) && stamp.kind != Kind::Folder && watched.has_new(path, stamp)
    };
    let new = after.entries.iter().filter(|(path, stamp)| is_new(path, stamp));
    let told = |(path, stamp): (&String, &Stamp)| match stamp.kind {
        Kind::Folder => format!("{path}/"),
        Kind::File | Kind::Link | Kind::Other => path.clone(),
    };
    Some(old.chain(new).map(told).collect::<BTreeSet<_>>().into_iter().collect())
}

/// What two looks after another have found.
pub(super) fn both(first: Option<Vec<String>>, second: Option<Vec<String>>) -> Option<Vec<String>> {
    let both: BTreeSet<String> = first?.into_iter().chain(second?).collect();
    Some(both.into_iter().collect())
}

/// The folders that watched files are in, at any depth.
fn watched_folders<'a>(stamps: &'a Stamps, watched: Watched<'_>) -> BTreeSet<&'a str> {
    let is_one = |(path, stamp): &(&String, &Stamp)| stamp.kind != Kind::Folder && watched.has(path);
    let paths = stamps.entries.iter().filter(is_one).map(|(path, _)| path);
    paths.flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end])).collect()
}

/// Whether a file belongs to a library, and is none of what tools keep in hidden folders beside those.
fn is_in_a_library(path: &str) -> bool {
    let mut parts = path.split('/').skip_while(|part| !LIBRARIES.contains(part));
    parts.next().is_some() && parts.all(|part| !part.starts_with('.'))
}

/// Whether Python would find this before a module of the same name that it or a library has: whoever starts a module there has
/// the workspace itself looked through first.
fn is_module_of_the_root(path: &str, stamp: &Stamp) -> bool {
    match path.split_once('/') {
        None => stamp.kind == Kind::Link || MODULES.iter().any(|ending| path.ends_with(ending)),
        Some((_, below)) => {
            MODULES.iter().any(|ending| below.strip_prefix("__init__").is_some_and(|rest| rest.ends_with(ending)))
        }
    }
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
