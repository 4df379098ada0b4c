//! Commits that GitHub makes and signs, by its REST API for git's objects.
//!
//! GitHub signs a commit that an App makes there, as long as nobody says who wrote it. The tree is made of the base's and of what
//! differs, by names of objects that were pushed before, so that every mode and every byte stays; that it is the tree which was
//! proven is checked by its name. A branch that is there is looked at and left alone, but for that of our own pull request: it is moved
//! from the very commit that was worked on, onto its child, so that nothing is lost by it.

use async_trait::async_trait;
use http::Method;
use patchwright_domain::effect::Published;
use patchwright_domain::event::RepoRef;
use patchwright_domain::job::JobId;
use patchwright_domain::journal::CommitId;
use serde_json::{Value, json};

use super::GitHub;
use super::client::Call;
use super::tokens::Grant;
use crate::forge::ForgeError;
use crate::forge::signing::{Draft, Entry, ObjectKind, Signer, hidden};

const SIGNING: &str = "having GitHub sign the commit";
const LOOKING: &str = "looking at the branch";
const MAKING_BRANCH: &str = "making the branch";
const MOVING_BRANCH: &str = "moving the branch";
const TAKING_AWAY: &str = "taking the hidden name of the commit away";

fn grant(repo: &RepoRef) -> Grant {
    Grant::new(repo, &[("contents", "write")])
}

fn rejected(what: &str, reason: impl Into<String>) -> ForgeError {
    ForgeError::Rejected { what: what.into(), reason: reason.into() }
}

#[async_trait]
impl Signer for GitHub {
    fn is_wanted(&self) -> bool {
        self.signs_commits
    }

    async fn look(&self, repo: &RepoRef, draft: &Draft) -> Result<Option<Published>, ForgeError> {
        let grant = grant(repo);
        let branch = &draft.branch;
        let answer = match self.client.call(&grant, &Call::get(format!("/git/ref/heads/{branch}"), LOOKING)).await {
            Ok(answer) => answer.body,
            Err(ForgeError::Denied { reason, .. }) if reason.contains("answered 404") => return Ok(None),
            Err(error) => return Err(error),
        };
        let there = answer.pointer("/object/sha").and_then(Value::as_str).and_then(CommitId::parse);
        let there = there.ok_or_else(|| ForgeError::Unavailable("GitHub's answer names no commit".into()))?;
        if draft.moves && there == draft.base {
            return Ok(None);
        }
        let found = self.client.call(&grant, &Call::get(format!("/git/commits/{there}"), LOOKING)).await?.body;
        if there != draft.commit && !is_drafted(&found, draft) {
            return Err(rejected(LOOKING, format!("the branch `{branch}` exists and points to another commit ({there})")));
        }
        let is_verified = is_verified(&found);
        let reason = (!is_verified && there != draft.commit).then(|| why_unverified(&found));
        Ok(Some(Published { commit: there, is_verified, reason }))
    }

    async fn shown(&self, repo: &RepoRef, commit: &CommitId) -> Result<Published, ForgeError> {
        let found = self.client.call(&grant(repo), &Call::get(format!("/git/commits/{commit}"), LOOKING)).await?.body;
        let is_verified = is_verified(&found);
        Ok(Published { commit: commit.clone(), is_verified, reason: (!is_verified).then(|| why_unverified(&found)) })
    }

    async fn sign(&self, repo: &RepoRef, draft: &Draft) -> Result<CommitId, ForgeError> {
        let grant = grant(repo);
        let entries: Vec<Value> = draft.entries.iter().map(entry).collect();
        let body = json!({ "base_tree": draft.base_tree, "tree": entries });
        let tree = self.client.call(&grant, &Call::of_object("/git/trees", body, SIGNING)).await?.body;
        let tree = tree["sha"].as_str().unwrap_or_default();
        if tree != draft.tree {
            return Err(rejected(SIGNING, format!("GitHub came to another tree (`{tree}`) than the one that was proven")));
        }
        let body = json!({ "message": draft.message, "tree": tree, "parents": [draft.base.as_str()] });
        let made = self.client.call(&grant, &Call::of_object("/git/commits", body, SIGNING)).await?.body;
        if !is_drafted(&made, draft) {
            return Err(rejected(SIGNING, "GitHub made another commit than the one that was asked for"));
        }
        if !is_verified(&made) {
            return Err(rejected(SIGNING, why_unverified(&made)));
        }
        let commit = made["sha"].as_str().and_then(CommitId::parse);
        commit.ok_or_else(|| rejected(SIGNING, "GitHub's answer names no commit"))
    }

    async fn point(&self, repo: &RepoRef, draft: &Draft, commit: &CommitId) -> Result<(), ForgeError> {
        let call = if draft.moves {
            let body = json!({ "sha": commit.as_str(), "force": false });
            Call::new(Method::PATCH, format!("/git/refs/heads/{}", draft.branch), body, MOVING_BRANCH)
        } else {
            let body = json!({ "ref": format!("refs/heads/{}", draft.branch), "sha": commit.as_str() });
            Call::new(Method::POST, "/git/refs".into(), body, MAKING_BRANCH)
        };
        self.client.call(&grant(repo), &call).await.map(|_| ())
    }

    async fn unhide(&self, repo: &RepoRef, job: &JobId) -> Result<(), ForgeError> {
        let name = hidden(job);
        match self.client.call(&grant(repo), &Call::removing(format!("/git/{name}"), TAKING_AWAY)).await {
            Ok(_) => Ok(()),
            Err(ForgeError::Rejected { reason, .. }) if reason.contains("does not exist") => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether a commit as GitHub shows it is the draft's: the same files on the same base, with the same message.
fn is_drafted(found: &Value, draft: &Draft) -> bool {
    let parents: Vec<&str> = found["parents"].as_array().into_iter().flatten().filter_map(|one| one["sha"].as_str()).collect();
    found.pointer("/tree/sha").and_then(Value::as_str) == Some(&draft.tree)
        && parents == [draft.base.as_str()]
        && found["message"].as_str().map(str::trim) == Some(draft.message.trim())
}

fn is_verified(found: &Value) -> bool {
    found.pointer("/verification/verified").and_then(Value::as_bool) == Some(true)
}

fn why_unverified(found: &Value) -> String {
    let reason = found.pointer("/verification/reason").and_then(Value::as_str).unwrap_or("no reason is given");
    format!("GitHub says of its signature: {reason}")
}

fn entry(entry: &Entry) -> Value {
    let Some(object) = &entry.object else {
        // What it was makes no difference to what is gone, and GitHub's description asks for one of its modes.
        return json!({ "path": entry.path, "mode": "100644", "type": "blob", "sha": null });
    };
    let (mode, kind) = match object.kind {
        ObjectKind::File => ("100644", "blob"),
        ObjectKind::Executable => ("100755", "blob"),
        ObjectKind::Link => ("120000", "blob"),
        ObjectKind::Submodule => ("160000", "commit"),
    };
    json!({ "path": entry.path, "mode": mode, "type": kind, "sha": object.id })
}
