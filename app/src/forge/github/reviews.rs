//! Reviews of pull requests, which say what was found beside its lines and decide nothing.

use http::Method;
use patchwright_domain::effect::{EffectKey, Receipt, Remark, ThreadAnswer};
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::journal::CommitId;
use serde_json::{Value, json};
use tracing::warn;

use super::client::Call;
use super::effects::{ROUNDS_MAX, Write};
use super::tokens::Grant;
use super::{GitHub, PAGES_MAX};
use crate::forge::ForgeError;

/// What a review says.
pub(super) struct Said<'a> {
    pub(super) commit: &'a CommitId,
    pub(super) body: &'a str,
    pub(super) remarks: &'a [Remark],
    pub(super) body_alone: &'a str,
}

impl GitHub {
    /// Makes the review, once. GitHub takes all that is said beside lines or none of it, and shows fewer lines than git where a
    /// pull request is large or was pushed to meanwhile: then all of it is said in the review's own text.
    pub(super) async fn ensure_review(
        &self,
        repo: &RepoRef,
        key: &EffectKey,
        pull_request: IssueNumber,
        said: &Said<'_>,
    ) -> Result<Receipt, ForgeError> {
        let Said { commit, body, remarks, body_alone } = said;
        let marker = key.marker();
        let beside: Vec<Value> = remarks.iter().map(|remark| beside(remark, &marker)).collect();
        let whole = json!({
            "commit_id": commit.as_str(), "event": "COMMENT", "body": format!("{body}\n{marker}"), "comments": beside,
        });
        match self.reviewed(repo, pull_request, &marker, whole).await {
            Err(ForgeError::Rejected { reason, .. }) if !remarks.is_empty() => {
                warn!(%reason, "GitHub takes nothing beside these lines; it is said in one text");
                let alone = json!({
                    "commit_id": commit.as_str(), "event": "COMMENT", "body": format!("{body_alone}\n{marker}"),
                });
                self.reviewed(repo, pull_request, &marker, alone).await
            }
            reviewed => reviewed,
        }
    }

    async fn reviewed(&self, repo: &RepoRef, number: IssueNumber, marker: &str, review: Value) -> Result<Receipt, ForgeError> {
        let write = Write {
            find: format!("/pulls/{number}/reviews?per_page=100"),
            create: format!("/pulls/{number}/reviews"),
            body: review,
            update: None,
            what: "writing the review",
        };
        let grant = Grant::new(repo, &[("pull_requests", "write")]);
        let login = self.login().await?;
        let is_it = |found: &Value| {
            found.pointer("/user/login").and_then(Value::as_str) == Some(login)
                && found["body"].as_str().is_some_and(|body| body.contains(marker))
        };
        Ok(self.find_or_create(&grant, &write, is_it).await?.receipt())
    }
}

impl GitHub {
    /// Answers comments beside lines, each once: our answers are known by the marker, their author, and what they answer.
    pub(super) async fn answer_threads(
        &self,
        repo: &RepoRef,
        key: &EffectKey,
        pull_request: IssueNumber,
        answers: &[ThreadAnswer],
    ) -> Result<Receipt, ForgeError> {
        const WHAT: &str = "answering what stands beside lines";
        let (grant, marker, login) = (Grant::new(repo, &[("pull_requests", "write")]), key.marker(), self.login().await?);
        let path = format!("/pulls/{pull_request}/comments");
        for round in 1..=ROUNDS_MAX {
            let there = self.client.pages(&grant, (&path, WHAT), PAGES_MAX, |body| body).await?;
            let is_answered = |comment: u64| {
                there.iter().any(|found| {
                    found["in_reply_to_id"].as_u64() == Some(comment)
                        && found.pointer("/user/login").and_then(Value::as_str) == Some(login)
                        && found["body"].as_str().is_some_and(|body| body.contains(&marker))
                })
            };
            let is_there = |comment: u64| there.iter().any(|found| found["id"].as_u64() == Some(comment));
            // Somebody may have deleted what is to be answered.
            let left = answers.iter().filter(|answer| is_there(answer.comment) && !is_answered(answer.comment));
            let mut doubtful = None;
            for ThreadAnswer { comment, body } in left {
                let body = json!({ "body": format!("{body}\n{marker}") });
                let call = Call::new(Method::POST, format!("{path}/{comment}/replies"), body, WHAT);
                match self.client.call(&grant, &call).await {
                    Ok(_) => {}
                    // It may have been taken: what is there is looked at again.
                    Err(error @ ForgeError::Unavailable(_)) => {
                        doubtful = Some(error);
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            match doubtful {
                None => break,
                Some(error) if round == ROUNDS_MAX => return Err(error),
                Some(_) => {}
            }
        }
        Ok(Receipt::default())
    }
}

fn beside(remark: &Remark, marker: &str) -> Value {
    let Remark { path, first_line, last_line, body } = remark;
    let mut comment = json!({ "path": path, "line": last_line, "side": "RIGHT", "body": format!("{body}\n{marker}") });
    if first_line < last_line {
        comment["start_line"] = (*first_line).into();
        comment["start_side"] = "RIGHT".into();
    }
    comment
}
