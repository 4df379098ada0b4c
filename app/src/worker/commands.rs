//! Runs a repository's setup and test commands in a fresh tree and keeps what they said.

use patchwright_domain::ecosystem::Plan;
use patchwright_domain::event::RepoRef;
use patchwright_domain::journal::CommitId;
use patchwright_domain::proof::Evidence;
use patchwright_domain::turn::output;

use super::{StepError, Tools, conclusions};
use crate::sandbox::{Command, Executor, Profile, Tree};
use crate::workspace::Scratch;

/// How much output of one command is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// How much of it goes into the journal, in characters and lines.
const EXCERPT_CHARS_MAX: usize = 3_000;
const EXCERPT_LINES_MAX: usize = 40;

/// What setup and test said in one tree.
pub(super) enum Said {
    /// The setup command failed, so the tests were not run.
    SetupFailed(Evidence),
    /// The tests were run.
    Tested(Evidence),
}

/// Runs the plan's setup, if it has one, and its test command.
pub(super) async fn test(tools: &Tools, plan: &Plan, test: &str, tree: &Scratch) -> Result<Said, StepError> {
    let mut executor = open(tools, tree, Profile::Proof).await?;
    if let Some(setup) = &plan.setup {
        let evidence = run(tools, executor.as_mut(), setup).await?;
        if evidence.exit.colour() != patchwright_domain::proof::Colour::Green {
            return Ok(Said::SetupFailed(evidence));
        }
    }
    run(tools, executor.as_mut(), test).await.map(Said::Tested)
}

/// Makes the tree of `head` for what `profile` does with it, with `restored` as in `base`: over the tree of the base, which
/// is written once, where the sandbox can lay one over the other.
pub(super) async fn tree(
    tools: &Tools,
    repo: &RepoRef,
    profile: Profile,
    (base, head): (&CommitId, &CommitId),
    restored: Vec<String>,
) -> Result<Scratch, StepError> {
    let workspaces = &tools.workspaces;
    let tree = if tools.sandbox.layers(&workspaces.folder(), profile).await {
        workspaces.layered(repo, head, base, restored).await
    } else {
        workspaces.scratch_with(repo, head, base, restored).await
    };
    Ok(tree?)
}

/// Opens the sandbox on a tree.
pub(super) async fn open(tools: &Tools, tree: &Scratch, profile: Profile) -> Result<Box<dyn Executor>, StepError> {
    let opened = tools
        .sandbox
        .open(Tree { path: tree.path(), layer: tree.layer(), objects: Some(tree.objects()), home: None }, profile.into())
        .await;
    opened.map_err(|refusal| conclusions::refusal(&refusal).into())
}

/// Runs one command and keeps its output.
pub(super) async fn run(tools: &Tools, executor: &mut dyn Executor, command: &str) -> Result<Evidence, StepError> {
    let request = Command {
        script: command.to_owned(),
        directory: String::new(),
        timeout: tools.settings.test_timeout,
        output_bytes_max: OUTPUT_BYTES_MAX,
    };
    let done = executor.execute(&request).await.map_err(|error| conclusions::sandbox(&error))?;
    let excerpt = excerpt(&done.output);
    let duration_ms = u64::try_from(done.duration.as_millis()).unwrap_or(u64::MAX);
    let output_digest = tools.store.put_artifact(done.output).await?;
    Ok(Evidence { command: command.to_owned(), exit: done.exit, duration_ms, output: output_digest, excerpt })
}

/// The last lines, without what a terminal would act on.
fn excerpt(output: &[u8]) -> String {
    let plain = output::plain(output);
    let lines: Vec<&str> = plain.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(EXCERPT_LINES_MAX)..].join("\n");
    let n_over = tail.chars().count().saturating_sub(EXCERPT_CHARS_MAX);
    tail.chars().skip(n_over).collect()
}
