//! What a pull request proposes now.

use patchwright_domain::effect::is_own_branch;
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::CommitId;
use patchwright_domain::policy::wanted::Policy;
use patchwright_domain::policy::{PullHead, Target};
use serde_json::Value;

use super::client::Call;
use super::tokens::Grant;
use super::{GitHub, issue_of};
use crate::forge::{ForgeError, PullRequest};
use crate::policy_file::globs::Globs;

const WHAT: &str = "looking at the pull request";

impl GitHub {
    /// The pull request that a job is about; none where it is about an issue.
    pub(super) async fn pull(&self, spec: &JobSpec) -> Result<Option<PullRequest>, ForgeError> {
        let number = issue_of(spec)?;
        let grant = Grant::new(&spec.repo, &[("issues", "read"), ("pull_requests", "read")]);
        let get = async |collection: &str| {
            let path = format!("/{collection}/{number}");
            self.client.call(&grant, &Call::get(path, WHAT)).await
        };
        if get("issues").await?.body.get("pull_request").is_none_or(Value::is_null) {
            return Ok(None);
        }
        let found = get("pulls").await?.body;
        let odd = |reason: String| ForgeError::Rejected { what: WHAT.into(), reason };
        let branch = found.pointer("/base/ref").and_then(Value::as_str).unwrap_or_default();
        let target = spec.repo.on_branch(branch).map_err(|e| odd(format!("of the branch that it is to go to: {e}")))?;
        Ok(Some(PullRequest { target, head: head(&found).ok_or_else(|| odd("GitHub's answer names no commit".into()))? }))
    }

    /// Whether a pull request is open now, and what it proposes; one that is gone is not, and proposes nothing.
    pub(super) async fn proposal(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        policy: &Policy,
    ) -> Result<(bool, Option<PullHead>), ForgeError> {
        let grant = Grant::new(repo, &[("pull_requests", "read")]);
        let found = match self.client.call(&grant, &Call::get(format!("/pulls/{number}"), WHAT)).await {
            Ok(answer) => answer.body,
            Err(ForgeError::Denied { reason, .. }) if reason.contains("answered 404") => return Ok((false, None)),
            Err(error) => return Err(error),
        };
        // The repository of its branch may be gone.
        let is_from_here = found.pointer("/head/repo/id").and_then(Value::as_u64) == Some(repo.id);
        let branch = found.pointer("/head/ref").and_then(Value::as_str).filter(|_| is_from_here).map(str::to_owned);
        let is_open = found.get("state").and_then(Value::as_str) == Some("open");
        let Some(head) = head(&found) else { return Ok((is_open, None)) };
        // A branch is soon called as ours are; who has opened the pull request is asked for.
        let is_own = branch.as_deref().is_some_and(|branch| is_own_branch(branch) && branch != repo.default_branch())
            && self.has_opened(repo, number).await?;
        Ok((is_open, Some(PullHead { head, branch, is_own, target: target(repo, &found, policy) })))
    }
}

fn head(pull: &Value) -> Option<CommitId> {
    pull.pointer("/head/sha").and_then(Value::as_str).and_then(CommitId::parse)
}

/// The branch that a pull request is to go to, held against those that the policy names.
pub(super) fn target(repo: &RepoRef, pull: &Value, policy: &Policy) -> Target {
    let branch = pull.pointer("/base/ref").and_then(Value::as_str).filter(|branch| repo.on_branch(branch).is_ok());
    let named = &policy.triggers.branches;
    let fits = |branch: &str| Globs::of_branches(named.iter().map(String::as_str)).is_ok_and(|globs| globs.fit(branch));
    Target { branch: branch.unwrap_or_default().to_owned(), is_named: named.is_empty() || branch.is_some_and(fits) }
}
