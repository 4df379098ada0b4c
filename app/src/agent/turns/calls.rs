//! Carries out one call of the model and says what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use patchwright_domain::patch::{Change, FileState, Patch};
use patchwright_domain::turn::{Action, output};

use crate::agent::Ending;
use crate::agent::turns::ShellLimits;
use crate::sandbox::{Command, Executor, SandboxError};

/// How much of a command's output the executor keeps, in bytes: more than is shown, since escape sequences are taken out.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// How long an executor may take beyond a command's own limit before it counts as broken.
const EXECUTOR_GRACE: Duration = Duration::from_secs(60);
/// How long one file operation may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of a script is shown in the line about a turn, in characters.
const SCRIPT_SHOWN_MAX: usize = 80;
/// How many paths are shown in the line about a turn.
const PATHS_SHOWN_MAX: usize = 3;

/// Why a file operation did not happen: a sentence for the model, or the end.
enum Refused {
    Told(String),
    Ended(Ending),
}

/// One line on what was done, and what the model is told.
pub(super) async fn carry_out(
    executor: &mut dyn Executor,
    action: Action,
    limits: &ShellLimits,
    time_left: Duration,
) -> Result<(String, String), Ending> {
    match action {
        Action::Shell { script, directory, timeout_ms } => {
            let wanted =
                timeout_ms.map_or(limits.timeout, Duration::from_millis).clamp(Duration::from_millis(1), limits.timeout_max);
            let done = format!("ran `{}`", one_line(&script));
            let command = Command { script, directory, timeout: wanted.min(time_left), output_bytes_max: OUTPUT_BYTES_MAX };
            Ok((done, run(executor, &command).await?))
        }
        Action::Patch(patch) => {
            let paths = listed(&patch);
            match apply(executor, patch).await {
                Ok(changes) => Ok((format!("patched {paths}"), success(&changes))),
                Err(Refused::Told(reason)) => {
                    Ok((format!("could not patch {paths}"), format!("apply_patch failed, nothing was changed: {reason}")))
                }
                Err(Refused::Ended(ending)) => Err(ending),
            }
        }
    }
}

async fn run(executor: &mut dyn Executor, command: &Command) -> Result<String, Ending> {
    let outcome = tokio::time::timeout(command.timeout + EXECUTOR_GRACE, executor.execute(command)).await;
    match outcome {
        Err(_) => Err(silent("a command")),
        Ok(Ok(done)) => {
            let duration_ms = u64::try_from(done.duration.as_millis()).unwrap_or(u64::MAX);
            Ok(output::of_command(done.exit, duration_ms, &done.output, done.omitted_bytes))
        }
        Ok(Err(error)) => match refused(error) {
            Refused::Told(reason) => Ok(format!("the command was not run: {reason}")),
            Refused::Ended(ending) => Err(ending),
        },
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

async fn read(executor: &mut dyn Executor, path: &str) -> Result<Option<FileState>, Refused> {
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

fn refused(error: SandboxError) -> Refused {
    match error {
        SandboxError::Path { path, reason } => Refused::Told(format!("{path}: {reason}")),
        SandboxError::Refused(refusal) => Refused::Ended(Ending::SandboxFailed {
            public: "The sandbox for the agent's commands cannot be made on this machine; the operator has to see to it."
                .to_owned(),
            internal: format!("{refusal}; {}", refusal.remedy),
        }),
        SandboxError::Machine { context, source } => Refused::Ended(broken(format!("{context}: {source}"))),
    }
}

fn silent(what: &str) -> Ending {
    broken(format!("{what} did not come to an end in the sandbox"))
}

fn broken(internal: String) -> Ending {
    let public = "The machine that runs the agent's commands failed. Try again; if it stays so, the operator has to see to it.";
    Ending::SandboxFailed { public: public.to_owned(), internal }
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

/// The first line of a script with words in it, cut to what fits a log line.
fn one_line(script: &str) -> String {
    let plain = output::plain(script.as_bytes());
    let line = plain.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut shown: String = line.chars().take(SCRIPT_SHOWN_MAX).collect();
    if shown.len() < plain.trim().len() {
        shown.push_str(" ...");
    }
    shown
}
