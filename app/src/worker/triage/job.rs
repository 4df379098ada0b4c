//! The job of a red check, as the workflow files of the commit say.
//!
//! What they say is worked out on a thread of its own: strangers have written it, and it may be a lot.

use std::collections::BTreeSet;

use patchwright_domain::event::Untrusted;
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::CommitId;
use patchwright_domain::workflow::reconstruction::{Commands, reconstruct};
use patchwright_domain::workflow::search::find;
use tracing::info;

use crate::worker::{StepError, Tools};
use crate::workflow_file;
use crate::workspace::{Adopted, WorkspaceError};

/// How many workflow files are read.
const FILES_MAX: usize = 50;

/// Which job is looked for, and which step of it.
pub(super) struct Wanted {
    /// What its check is called.
    pub(super) check: Untrusted,
    /// What its workflow is called, where GitHub says so.
    pub(super) called: Option<String>,
    /// The step that failed, where GitHub says which.
    pub(super) failed_step: Option<String>,
}

/// What a job runs, or why that cannot be known, and what is different here.
pub(super) struct Job {
    pub(super) commands: Result<Commands, String>,
    pub(super) differences: Vec<String>,
    /// Whether the step that failed is one of its file's.
    pub(super) is_own_step: bool,
}

/// Reads the job out of the workflow files of the commit itself, for it may have changed them.
///
/// What a setup runs may reach out, so that only the base's word counts for that: where the file is another one there, all of the job
/// runs without a way out.
pub(super) async fn read(tools: &Tools, spec: &JobSpec, adopted: &Adopted, wanted: Wanted) -> Result<Job, StepError> {
    let head = &adopted.head;
    let paths = tools.workspaces.paths(&spec.repo, head).await?;
    let mut files = Vec::new();
    for path in paths.into_iter().filter(|path| workflow_file::is_path(path)).take(FILES_MAX) {
        let text = tools.workspaces.read(&spec.repo, head, &path).await?.unwrap_or_default();
        files.push((path, text));
    }
    let changed = adopted.changes.iter().map(|change| change.path.clone()).collect();
    let others = others(spec, head);
    let found = tokio::task::spawn_blocking(move || among(&files, &changed, &wanted, &others)).await;
    Ok(found.map_err(|error| WorkspaceError::Unavailable { what: "reading the workflow files", reason: error.to_string() })?)
}

fn among(files: &[(String, Vec<u8>)], changed: &BTreeSet<String>, wanted: &Wanted, others: &[(&'static str, String)]) -> Job {
    let Wanted { check, called, failed_step } = wanted;
    let mut workflows = Vec::new();
    for (path, text) in files {
        match workflow_file::read(path, text) {
            Ok(workflow) => workflows.push(workflow),
            // The job may be another one's.
            Err(problem) => info!("a workflow file is left out: {problem}"),
        }
    }
    let found = match find(&workflows, called.as_deref(), check, others) {
        Err(because) => return Job { commands: Err(because), differences: Vec::new(), is_own_step: false },
        Ok(found) => found,
    };
    let job = reconstruct(&found, others);
    let (mut commands, mut differences) = (job.commands(failed_step.as_deref()), job.notes(failed_step.as_deref()));
    if commands.as_ref().is_ok_and(|known| known.setup.is_some()) && changed.contains(&found.workflow.path) {
        commands = commands.map(Commands::without_setup);
        differences.push(format!("The pull request changes `{}`, so that none of its steps had a way out.", job.path));
    }
    let is_own_step = failed_step.as_deref().is_some_and(|step| job.has_script(step));
    Job { commands, differences, is_own_step }
}

/// What of GitHub's own values is known here, by whole names.
fn others(spec: &JobSpec, head: &CommitId) -> Vec<(&'static str, String)> {
    vec![
        ("runner.os", "Linux".into()),
        ("runner.temp", "/tmp".into()),
        ("github.workspace", "/workspace".into()),
        ("github.repository", spec.repo.to_string()),
        ("github.repository_owner", spec.repo.owner().to_owned()),
        ("github.sha", head.to_string()),
    ]
}
