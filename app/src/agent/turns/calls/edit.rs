//! Edits: what is needed is read, the edit is applied in memory, and all of it is written or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use patchwright_domain::patch::replace::Replacement;
use patchwright_domain::patch::{Change, FileState, Patch};

use super::{Refused, Told, refused, silent};
use crate::sandbox::Executor;
use crate::syntax;

/// How long one file operation may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(60);
/// How many paths are shown in the line about a turn.
const PATHS_SHOWN_MAX: usize = 3;

/// The files that an edit needs, as they are.
type Files = BTreeMap<String, Option<FileState>>;

/// Applies a patch.
pub(super) async fn patch(executor: &mut dyn Executor, patch: Patch) -> Result<Told, Refused> {
    let paths: Vec<String> = patch.paths().into_iter().map(str::to_owned).collect();
    edit(executor, "apply_patch", paths, move |files| patch.apply(files).map_err(|error| error.to_string())).await
}

/// Puts a text in the place of another.
pub(super) async fn replace(executor: &mut dyn Executor, replacement: Replacement) -> Result<Told, Refused> {
    let paths = vec![replacement.path().to_owned()];
    edit(executor, "edit", paths, move |files| replacement.apply(files).map_err(|miss| miss.to_string())).await
}

async fn edit(
    executor: &mut dyn Executor,
    tool: &str,
    paths: Vec<String>,
    change: impl FnOnce(&Files) -> Result<Vec<Change>, String> + Send + 'static,
) -> Result<Told, Refused> {
    let listed = listed(&paths);
    match apply(executor, &paths, change).await {
        Ok((marked, broken)) => {
            let mut text = success(&marked);
            if !broken.is_empty() {
                let _ = write!(text, "But the syntax is broken now; mend it:\n{}", broken.join("\n"));
            }
            let note =
                if broken.is_empty() { format!("edited {listed}") } else { format!("edited {listed}, which broke its syntax") };
            Ok(Told::of(text, note))
        }
        Err(Refused::Told(reason)) => {
            Ok(Told::of(format!("{tool} failed, nothing was changed: {reason}"), format!("could not edit {listed}")))
        }
        Err(ended @ Refused::Ended(_)) => Err(ended),
    }
}

/// Reads what the edit needs, makes it, and writes all of it or nothing; what changed, and what is broken by it.
async fn apply(
    executor: &mut dyn Executor,
    paths: &[String],
    change: impl FnOnce(&Files) -> Result<Vec<Change>, String> + Send + 'static,
) -> Result<(Vec<(char, Change)>, Vec<String>), Refused> {
    refuse_linked_directories(executor, paths).await?;
    let mut files = Files::new();
    for path in paths {
        files.insert(path.clone(), read(executor, path).await?);
    }
    // A hostile patch may take seconds to be refused, which no other job should wait for; so may a hostile file's syntax.
    let changed = tokio::task::spawn_blocking(move || {
        let changes = change(&files)?;
        let broken = broken(&changes, &files);
        Ok((changes, broken, files))
    });
    let changed = changed.await.map_err(|error| Refused::Ended(super::broken(format!("making an edit: {error}"))))?;
    let (changes, broken, files) = changed.map_err(Refused::Told)?;
    if let Err(error) = write(executor, &changes).await {
        restore(executor, &changes, &files).await;
        return Err(error);
    }
    let existed = |path: &str| files.get(path).is_some_and(Option::is_some);
    let mark = |(path, state): &Change| match state {
        None => 'D',
        Some(_) if existed(path) => 'M',
        Some(_) => 'A',
    };
    Ok((changes.into_iter().map(|change| (mark(&change), change)).collect(), broken))
}

/// What the changes break of the files' syntax.
fn broken(changes: &[Change], files: &Files) -> Vec<String> {
    let content = |state: Option<&FileState>| match state {
        Some(FileState::Regular { content, .. }) => Some(content.clone()),
        Some(FileState::Symlink { .. }) | None => None,
    };
    let breakage = |(path, state): &Change| {
        let before = content(files.get(path).and_then(Option::as_ref));
        syntax::breakage(path, before.as_deref(), &content(state.as_ref())?)
    };
    changes.iter().filter_map(breakage).collect()
}

/// A directory that is a link could lead to git's own files, which the patch could not name.
async fn refuse_linked_directories(executor: &mut dyn Executor, paths: &[String]) -> Result<(), Refused> {
    let directories: BTreeSet<&str> =
        paths.iter().flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end])).collect();
    for directory in directories {
        match read(executor, directory).await {
            Ok(Some(FileState::Symlink { .. })) => {
                let reason = format!("{directory} is a symbolic link, and a patch does not write through links");
                return Err(Refused::Told(reason));
            }
            // A true directory cannot be read as a file.
            Ok(_) | Err(Refused::Told(_)) => {}
            Err(Refused::Ended(ending)) => return Err(Refused::Ended(ending)),
        }
    }
    Ok(())
}

pub(super) async fn read(executor: &mut dyn Executor, path: &str) -> Result<Option<FileState>, Refused> {
    match tokio::time::timeout(FILE_TIMEOUT, executor.read(path)).await {
        Err(_) => Err(Refused::Ended(silent("reading a file"))),
        Ok(result) => result.map_err(refused),
    }
}

async fn write(executor: &mut dyn Executor, changes: &[Change]) -> Result<(), Refused> {
    match tokio::time::timeout(FILE_TIMEOUT, executor.write(changes)).await {
        Err(_) => Err(Refused::Ended(silent("writing files"))),
        Ok(result) => result.map_err(refused),
    }
}

/// Puts back what a write that was refused half way had changed; each file by itself, since one of them is the trouble.
async fn restore(executor: &mut dyn Executor, changes: &[Change], files: &Files) {
    for (path, _) in changes.iter().rev() {
        let before = files.get(path).cloned().flatten();
        if let Err(Refused::Ended(ending)) = write(executor, &[(path.clone(), before)]).await {
            tracing::warn!("a refused patch could not be taken back: {ending:?}");
            return;
        }
    }
}

fn success(changes: &[(char, Change)]) -> String {
    if changes.is_empty() {
        return "Success, but nothing changed: the files already are as the patch wants them.".to_owned();
    }
    let mut told = "Success. Updated the following files:\n".to_owned();
    for (mark, (path, _)) in changes {
        let _ = writeln!(told, "{mark} {path}");
    }
    told
}

fn listed(paths: &[String]) -> String {
    let shown = paths.iter().take(PATHS_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = paths.len().saturating_sub(PATHS_SHOWN_MAX);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
