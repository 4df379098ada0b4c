//! The policy file, as GitHub has it: that of the default branch, which counts, and that of a pull request, which is looked at.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::journal::CommitId;
use patchwright_domain::policy::wanted::Policy;
use patchwright_domain::report::policy::Flaw;
use serde_json::Value;

use super::GitHub;
use super::client::Call;
use super::tokens::Grant;
use crate::forge::ForgeError;
use crate::policy_file;
use crate::policy_file::problem::Problem;

/// How many pages of a hundred files are looked through for the policy file. GitHub lists them by their paths, of which few stand before
/// its own, and anybody may propose any number of them as often as he likes.
const FILE_PAGES_MAX: u32 = 3;

impl GitHub {
    /// The policy, with where in its file it cannot be read: then it is the default.
    pub(super) async fn policy_or_place(&self, grant: &Grant) -> Result<(Policy, Option<String>), ForgeError> {
        Ok(match self.policy_file(grant, "").await? {
            None => (Policy::default(), None),
            Some(None) => (Policy::default(), Some("as a file".to_owned())),
            Some(Some(bytes)) => match policy_file::parse(&bytes) {
                Ok(policy) => (policy, None),
                Err(Problem { line, column, .. }) => (Policy::default(), Some(format!("in line {line}, column {column}"))),
            },
        })
    }

    /// What a pull request makes of the file, where it changes it and leaves one. What it changes is asked first: most change something else.
    pub(super) async fn changed_policy(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        head: &CommitId,
    ) -> Result<Option<Result<(), Flaw>>, ForgeError> {
        const WHAT: &str = "asking which files the pull request changes";
        let grant = Grant::new(repo, &[("contents", "read"), ("pull_requests", "read")]);
        let changed = self.client.pages(&grant, (&format!("/pulls/{number}/files"), WHAT), FILE_PAGES_MAX, |body| body).await?;
        if !changed.iter().any(|file| file["filename"] == policy_file::PATH && file["status"] != "removed") {
            return Ok(None);
        }
        let Some(file) = self.policy_file(&grant, &format!("?ref={head}")).await? else { return Ok(None) };
        let read = match file {
            Some(bytes) => policy_file::parse(&bytes).map(drop),
            None => Err(Problem::of_file("this is no file, or one that is too large".into())),
        };
        let flaw = |Problem { line, column, what, hint, picture }| Flaw { line, column, what, hint, picture };
        Ok(Some(read.map_err(flaw)))
    }

    /// The file, if there is one, and its bytes: GitHub gives none of what is very large, and of what is a folder.
    async fn policy_file(&self, grant: &Grant, query: &str) -> Result<Option<Option<Vec<u8>>>, ForgeError> {
        let path = format!("/contents/{}{query}", policy_file::PATH);
        let answer = match self.client.call(grant, &Call::get(path, "reading the policy file")).await {
            Ok(answer) => answer,
            Err(ForgeError::Denied { reason, .. }) if reason.contains("answered 404") => return Ok(None),
            Err(error) => return Err(error),
        };
        let content = answer.body.get("content").and_then(Value::as_str).unwrap_or_default();
        let content: String = content.chars().filter(|c| !c.is_whitespace()).collect();
        let is_whole = answer.body.get("encoding").and_then(Value::as_str) == Some("base64");
        Ok(Some(STANDARD.decode(content).ok().filter(|_| is_whole)))
    }
}
