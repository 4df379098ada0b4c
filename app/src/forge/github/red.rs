//! Which check an event is about, as GitHub has it now: what was told of it may be long over, and names its pull request rarely.

use patchwright_domain::effect::CheckName;
use patchwright_domain::event::{CheckRef, IssueNumber, RepoRef, Role, Untrusted};
use patchwright_domain::journal::CommitId;
use patchwright_domain::policy::RedCheck;
use patchwright_domain::policy::wanted::{Checks, Policy};
use serde_json::Value;

use super::GitHub;
use super::client::Call;
use super::pulls::target;
use super::tokens::Grant;
use crate::forge::{ForgeError, RepoFacts};

/// How many pages of a hundred check runs of a commit are looked at.
const CHECK_PAGES_MAX: u32 = 5;
/// What GitHub Actions is called among the Apps.
const ACTIONS: &str = "github-actions";
/// How a check ended that is red.
const RED: [&str; 2] = ["failure", "timed_out"];

impl GitHub {
    /// What is to be known of a red check. Where the policy wants none looked into, nothing more is asked for.
    pub(super) async fn facts_of_check(
        &self,
        repo: &RepoRef,
        head: &CommitId,
        told: Option<&CheckRef>,
    ) -> Result<RepoFacts, ForgeError> {
        let (policy, unread) = self.policy_or_place(&Grant::new(repo, &[("metadata", "read"), ("contents", "read")])).await?;
        let check = if policy.triggers.checks == Checks::Off { None } else { self.red_check(repo, head, told, &policy).await? };
        Ok(RepoFacts { policy, unread, role: Role::None, is_open: check.is_some(), is_no_issue: false, check, pull: None })
    }

    async fn red_check(
        &self,
        repo: &RepoRef,
        head: &CommitId,
        told: Option<&CheckRef>,
        policy: &Policy,
    ) -> Result<Option<RedCheck>, ForgeError> {
        // Nothing more is asked about forks: anybody may open pull requests from them.
        let Some(pull) = self.pull_of(repo, head).await? else { return Ok(None) };
        let number = pull.get("number").and_then(Value::as_u64).map(IssueNumber);
        let number = number.ok_or_else(|| ForgeError::Unavailable("GitHub's answer has no number".into()))?;
        let runs = self.check_runs(repo, head).await?;
        let is_red = |run: &&Value| {
            run["app"]["slug"] == ACTIONS
                && run["status"] == "completed"
                && run["conclusion"].as_str().is_some_and(|ended| RED.contains(&ended))
        };
        // What was told of is not always its last run any more; of those that fail together it is always the same one.
        let is_told = |run: &&Value| told.is_none_or(|told| name(run) == told.name);
        let itself = runs.iter().filter(is_red).find(|run| told.is_some_and(|told| run["id"] == told.id));
        let first = itself.or_else(|| runs.iter().filter(is_red).filter(is_told).min_by_key(|run| run["id"].as_u64()));
        let Some((run, id)) = first.and_then(|run| Some((run, run["id"].as_u64()?))) else { return Ok(None) };
        let is_ours = |run: &&Value| run["app"]["id"] == self.app_id && run["name"] == CheckName::Triage.as_str();
        let n_triaged = runs.iter().filter(is_ours).count();
        Ok(Some(RedCheck {
            check: CheckRef { id, name: name(run) },
            suite: suite(run),
            pull_request: number,
            branch: pull.pointer("/head/ref").and_then(Value::as_str).unwrap_or_default().to_owned(),
            target: target(repo, &pull, policy),
            is_own: self.has_opened(repo, number).await?,
            n_triaged: u32::try_from(n_triaged).unwrap_or(u32::MAX),
        }))
    }

    /// The open pull request from a branch of this repository whose last commit this is, if there is one.
    async fn pull_of(&self, repo: &RepoRef, head: &CommitId) -> Result<Option<Value>, ForgeError> {
        let grant = Grant::new(repo, &[("contents", "read"), ("pull_requests", "read")]);
        let call = Call::get(format!("/commits/{head}/pulls?per_page=100"), "looking for the commit's pull request");
        let found = match self.client.call(&grant, &call).await {
            Ok(answer) => answer.body,
            // There is no such commit any more.
            Err(ForgeError::Denied { reason, .. }) if reason.contains("answered 404") => return Ok(None),
            Err(ForgeError::Rejected { reason, .. }) if reason.contains("answered 422") => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_from_here = |pull: &&Value| pull.pointer("/head/repo/id").and_then(Value::as_u64) == Some(repo.id);
        let is_it = |pull: &&Value| pull["state"] == "open" && pull["head"]["sha"] == head.as_str() && is_from_here(pull);
        Ok(found.as_array().into_iter().flatten().find(is_it).cloned())
    }

    async fn check_runs(&self, repo: &RepoRef, head: &CommitId) -> Result<Vec<Value>, ForgeError> {
        let grant = Grant::new(repo, &[("checks", "read")]);
        // All of them: ours of one commit have one name, of which only the latest would be there.
        let wanted = (&*format!("/commits/{head}/check-runs?filter=all"), "reading the commit's checks");
        let runs = self.client.pages(&grant, wanted, CHECK_PAGES_MAX, |body| &body["check_runs"]).await?;
        Ok(latest(runs, self.app_id))
    }

    /// Whether this App has opened a pull request: by its number, for a login can be anybody's.
    pub(super) async fn has_opened(&self, repo: &RepoRef, number: IssueNumber) -> Result<bool, ForgeError> {
        let grant = Grant::new(repo, &[("issues", "read"), ("pull_requests", "read")]);
        let call = Call::get(format!("/issues/{number}"), "looking who has opened the pull request");
        Ok(self.is_ours(&self.client.call(&grant, &call).await?.body))
    }
}

fn name(run: &Value) -> Untrusted {
    Untrusted::new(run["name"].as_str().unwrap_or_default())
}

fn suite(run: &Value) -> Option<u64> {
    run.pointer("/check_suite/id").and_then(Value::as_u64)
}

/// What counts of each check of a run of a workflow: its last one. Of ours all do, for each is about another check.
fn latest(runs: Vec<Value>, app_id: u64) -> Vec<Value> {
    let is_later = |run: &Value, other: &Value| {
        let is_same = run["name"] == other["name"] && run["app"]["id"] == other["app"]["id"] && suite(run) == suite(other);
        is_same && other["id"].as_u64() > run["id"].as_u64()
    };
    let counts = |run: &&Value| run["app"]["id"] == app_id || !runs.iter().any(|other| is_later(run, other));
    runs.iter().filter(counts).cloned().collect()
}
