//! Edits: what is needed is read, the edit is applied in memory, and all of it is written or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use patchwright_domain::patch::{Change, FileState, Patch};

use super::{Refused, Told, broken, refused, silent};
use crate::sandbox::Executor;

/// How long one file operation may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(60);
/// How many paths are shown in the line about a turn.
const PATHS_SHOWN_MAX: usize = 3;

/// Applies a patch.
pub(super) async fn patch(executor: &mut dyn Executor, patch: Patch) -> Result<Told, Refused> {
    let paths = listed(&patch);
    match apply(executor, patch).await {
        Ok(changes) => Ok(Told::of(success(&changes), format!("patched {paths}"))),
        Err(Refused::Told(reason)) => {
            let text = format!("apply_patch failed, nothing was changed: {reason}");
            Ok(Told::of(text, format!("could not patch {paths}")))
        }
        Err(ended @ Refused::Ended(_)) => Err(ended),
    }
}

/// Reads what the patch needs, applies it, and writes all of it or nothing.
async fn apply(executor: &mut dyn Executor, patch: Patch) -> Result<Vec<(char, Change)>, Refused> {
    refuse_linked_directories(executor, &patch).await?;
    let mut files = BTreeMap::new();
    for path in patch.paths() {
        files.insert(path.to_owned(), read(executor, path).await?);
    }
    // A hostile patch may take seconds to be refused, which no other job should wait for.
    let applied = tokio::task::spawn_blocking(move || (patch.apply(&files), files)).await;
    let (changes, files) = applied.map_err(|error| Refused::Ended(broken(format!("applying a patch: {error}"))))?;
    let changes = changes.map_err(|error| Refused::Told(error.to_string()))?;
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
    Ok(changes.into_iter().map(|change| (mark(&change), change)).collect())
}

/// A directory that is a link could lead to git's own files, which the patch could not name.
async fn refuse_linked_directories(executor: &mut dyn Executor, patch: &Patch) -> Result<(), Refused> {
    let paths = patch.paths();
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
async fn restore(executor: &mut dyn Executor, changes: &[Change], files: &BTreeMap<String, Option<FileState>>) {
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

fn listed(patch: &Patch) -> String {
    let paths: Vec<&str> = patch.paths().into_iter().collect();
    let shown = paths.iter().take(PATHS_SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
    if paths.len() > PATHS_SHOWN_MAX { format!("{shown} and {} more", paths.len() - PATHS_SHOWN_MAX) } else { shown }
}
