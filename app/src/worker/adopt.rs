//! Adopt: fetch what somebody else has changed, fix what it is measured against, and write both down.

use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::{Adopted, CommitId, Conclusion, EntryKind, Failure, Outcome, Proposal};
use patchwright_domain::proof;
use patchwright_domain::report::neutral::{code, plain};
use tracing::info;

use super::{Answer, StepError, Tools, conclusions};
use crate::forge::{Access, PullRequest};
use crate::store::StoreError;
use crate::workspace::{self, Apart, Pull, Pulled, WorkspaceError};

/// How much of a reason is told that names a path, in characters.
const REASON_CHARS_MAX: usize = 500;

pub(super) async fn adopt(tools: &Tools, spec: &JobSpec) -> Result<Answer, StepError> {
    let number = spec.task.issue().ok_or_else(|| StoreError::Corrupt("a run without a pull request adopts".into()))?;
    let Some(PullRequest { target, .. }) = tools.forge.pull_request(spec).await? else {
        return Err(no_pull_request(number).into());
    };
    let pulled = match pulled(tools, spec, &target, number).await? {
        Pull::Pulled(pulled) => *pulled,
        Pull::Apart { head, why, .. } => {
            let conclusion = apart(number, target.default_branch(), &why);
            info!(%head, "not adopted: {}", conclusion.cause);
            return Ok(Answer::entry(EntryKind::Unmerged { head, conclusion }));
        }
    };
    if pulled.adopted.changes.is_empty() {
        return Err(no_change(number, target.default_branch()).into());
    }
    let adopted = kept(tools, target.default_branch(), pulled).await?;
    info!(head = %adopted.proposal.commit, base = %adopted.base, "adopted");
    Ok(Answer::entry(EntryKind::Adopted { adopted }))
}

/// Where a pull request is to go to, while this is its last commit; `moved_on` says how a run ends of which another one is.
pub(super) async fn target_of(
    tools: &Tools,
    spec: &JobSpec,
    number: IssueNumber,
    head: &CommitId,
    moved_on: impl FnOnce(&CommitId) -> Failure,
) -> Result<RepoRef, StepError> {
    match tools.forge.pull_request(spec).await? {
        Some(PullRequest { target, head: now }) if now == *head => Ok(target),
        Some(PullRequest { head: now, .. }) => Err(moved_on(&now).into()),
        None => Err(no_pull_request(number).into()),
    }
}

/// Fetches what a pull request proposes, and what it is to go to.
pub(super) async fn pulled(tools: &Tools, spec: &JobSpec, target: &RepoRef, number: IssueNumber) -> Result<Pull, StepError> {
    let access = tools.forge.clone_access(&spec.repo, Access::Fetch).await?;
    match tools.workspaces.pull(target, access, number).await {
        Err(WorkspaceError::Refused(reason)) => Err(too_large(number, &reason).into()),
        pull => Ok(pull?),
    }
}

/// Keeps what was fetched as artifacts, so that whoever goes on with the run goes on with this, wherever the pull request
/// points by then.
async fn kept(tools: &Tools, branch: &str, pulled: Pulled) -> Result<Adopted, StepError> {
    let Pulled { adopted: workspace::Adopted { base, head, tree, proposed, diff, changes }, pack } = pulled;
    let nothing = tools.store.put_artifact(Vec::new(), tools.clock.now()).await?;
    let fingerprint = Some(proof::fingerprint(&diff));
    let proposal = Proposal {
        commit: head,
        pack: tools.store.put_artifact(pack, tools.clock.now()).await?,
        diff: tools.store.put_artifact(diff.into_bytes(), tools.clock.now()).await?,
        answer: nothing,
        transcript: nothing,
        changes,
        fingerprint,
    };
    let tree = proposed.is_some().then_some(tree);
    Ok(Adopted { branch: branch.to_owned(), base, head: proposed, tree, proposal })
}

pub(super) fn ended(outcome: Outcome, cause: String, next_step: &str) -> Failure {
    Failure { conclusion: Conclusion::new(outcome, cause.clone(), next_step), internal: cause }
}

pub(super) fn no_pull_request(number: IssueNumber) -> Failure {
    let cause = format!("#{number} is an issue and proposes no change, so there is nothing to prove.");
    ended(Outcome::NeedsInput, cause, "Write the command on the pull request that is to be proven.")
}

/// How a run ends whose pull request does not go into its branch.
pub(super) fn apart(number: IssueNumber, branch: &str, why: &Apart) -> Conclusion {
    match why {
        Apart::Unrelated => no_base(number, branch),
        Apart::Conflicts(paths) => conflicts(number, branch, paths),
        Apart::Doubtful(reason) => doubtful(number, branch, reason),
    }
}

fn no_base(number: IssueNumber, branch: &str) -> Conclusion {
    let cause = format!("#{number} shares no commit with `{branch}`, so there is nothing to measure it against.");
    Conclusion::new(Outcome::NeedsInput, cause, "Put the change on top of that branch, and ask again.")
}

fn conflicts(number: IssueNumber, branch: &str, paths: &[String]) -> Conclusion {
    let named: Vec<String> = paths.iter().map(|path| code(path)).collect();
    let cause = format!(
        "#{number} does not merge into `{branch}` as that is now ({}), so what it would change there cannot be tested.",
        named.join(", ")
    );
    Conclusion::new(Outcome::NeedsInput, cause, "Rebase it on that branch, or merge the branch into it, and ask again.")
}

fn doubtful(number: IssueNumber, branch: &str, reason: &str) -> Conclusion {
    let cause = format!(
        "#{number} may merge into `{branch}` in another way than would be tested here: {}.",
        plain(reason, REASON_CHARS_MAX)
    );
    Conclusion::new(Outcome::NeedsInput, cause, "Rebase it on that branch, or merge the branch into it, and ask again.")
}

fn no_change(number: IssueNumber, branch: &str) -> Failure {
    let cause = format!("#{number} changes no file of `{branch}` as that is now.");
    ended(Outcome::NoChange, cause, "Push the change, and ask again.")
}

fn too_large(number: IssueNumber, reason: &str) -> Failure {
    let cause = format!("#{number} is too large to be looked at: {reason}.");
    conclusions::policy(&cause, "Split it, or prove it on a machine of your own with `patchwright prove`.")
}
