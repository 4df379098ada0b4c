//! Effects on GitHub: each is looked for first, and made only where it is missing.
//!
//! A request whose answer was lost may have been carried out, so after every doubtful answer the effect is looked for
//! again. Comments and reviews are found by a hidden marker in a text that our own App wrote, pull requests by their branch, check runs by
//! their `external_id`.

use http::Method;
use patchwright_domain::effect::{Effect, EffectKey, Receipt, Subject};
use patchwright_domain::event::{IssueNumber, RepoRef};
use serde_json::{Value, json};

use super::client::Call;
use super::tokens::Grant;
use super::{GitHub, checks, opened, reviews};
use crate::forge::ForgeError;

/// How often an effect is looked for and tried.
pub(super) const ROUNDS_MAX: u32 = 3;

/// What to send to make or to change an effect.
pub(super) struct Write {
    pub(super) find: String,
    pub(super) create: String,
    pub(super) body: Value,
    /// Under which address and with what an existing one is brought up to date; `None` leaves it as it is.
    pub(super) update: Option<(String, Value)>,
    pub(super) what: &'static str,
}

/// An effect that is there, as GitHub's answer shows it.
pub(super) enum Ensured {
    /// It was missing.
    Made(Value),
    /// It was there.
    Found(Value),
}

impl Ensured {
    pub(super) fn receipt(&self) -> Receipt {
        let (Self::Made(shown) | Self::Found(shown)) = self;
        receipt(shown)
    }
}

impl GitHub {
    pub(super) async fn ensure(&self, repo: &RepoRef, key: &EffectKey, effect: &Effect) -> Result<Receipt, ForgeError> {
        match effect {
            Effect::PushBranch { .. } => {
                Err(ForgeError::Rejected { what: "pushing the branch".into(), reason: "branches are pushed by git".into() })
            }
            Effect::EnsurePullRequest { branch, base, title, body, draft } => {
                let new = opened::New { branch, base, title, body, draft: *draft };
                self.ensure_pull_request(repo, key, &new).await
            }
            Effect::IntroducePull { branch, labels, reviewers, teams } => {
                self.introduce(repo, &opened::Introduction { branch, labels, reviewers, teams }).await
            }
            Effect::EnsureComment { issue, body } => self.ensure_comment(repo, key, *issue, body).await,
            Effect::SetCheck { name, commit, outcome, title, summary, text, annotations, buttons } => {
                let mut output = json!({ "title": title, "summary": summary });
                if let Some(text) = text {
                    output["text"] = text.as_str().into();
                }
                self.set_check(repo, key, commit, &checks::Said { name: *name, outcome: *outcome, output, annotations, buttons })
                    .await
            }
            Effect::EnsureReview { pull_request, commit, body, remarks, body_alone } => {
                let said = reviews::Said { commit, body, remarks, body_alone };
                self.ensure_review(repo, key, *pull_request, &said).await
            }
            Effect::AnswerThreads { pull_request, answers } => self.answer_threads(repo, key, *pull_request, answers).await,
            Effect::React { subject } => self.react(repo, *subject).await,
        }
    }

    async fn ensure_comment(
        &self,
        repo: &RepoRef,
        key: &EffectKey,
        issue: IssueNumber,
        body: &str,
    ) -> Result<Receipt, ForgeError> {
        let grant = Grant::new(repo, &[("issues", "write")]);
        let marker = key.marker();
        let body = format!("{body}\n{marker}");
        let write = Write {
            find: format!("/issues/{issue}/comments?per_page=100"),
            create: format!("/issues/{issue}/comments"),
            body: json!({ "body": body }),
            update: Some(("/issues/comments".into(), json!({ "body": body }))),
            what: "writing the comment",
        };
        let is_it = |found: &Value| self.is_ours(found) && found["body"].as_str().is_some_and(|body| body.contains(&marker));
        Ok(self.find_or_create(&grant, &write, is_it).await?.receipt())
    }

    /// GitHub itself keeps one reaction of a kind by each user.
    async fn react(&self, repo: &RepoRef, subject: Subject) -> Result<Receipt, ForgeError> {
        let on_issue = || Grant::new(repo, &[("issues", "write")]);
        let (path, grant) = match subject {
            Subject::Issue(issue) => (format!("/issues/{issue}/reactions"), on_issue()),
            Subject::Comment(id) => (format!("/issues/comments/{id}/reactions"), on_issue()),
            Subject::ReviewComment(id) => {
                (format!("/pulls/comments/{id}/reactions"), Grant::new(repo, &[("pull_requests", "write")]))
            }
        };
        let call = Call::new(Method::POST, path, json!({ "content": "eyes" }), "reacting to the request");
        self.client.call(&grant, &call).await?;
        Ok(Receipt::default())
    }

    /// Finds it and brings it up to date, or makes it.
    pub(super) async fn find_or_create(
        &self,
        grant: &Grant,
        write: &Write,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Ensured, ForgeError> {
        let mut round = 1;
        loop {
            let error = match self.find(grant, write, &is_it).await? {
                Some(found) => return self.update(grant, write, found).await.map(Ensured::Found),
                None => {
                    let call = Call::new(Method::POST, write.create.clone(), write.body.clone(), write.what);
                    match self.client.call(grant, &call).await {
                        Ok(answer) => return Ok(Ensured::Made(answer.body)),
                        Err(error) => error,
                    }
                }
            };
            let may_be_there = match &error {
                ForgeError::Unavailable(_) => true,
                ForgeError::Rejected { reason, .. } => reason.contains("already exists"),
                ForgeError::RateLimited { .. } | ForgeError::Denied { .. } => false,
            };
            if !may_be_there || round == ROUNDS_MAX {
                return Err(error);
            }
            round += 1;
        }
    }

    pub(super) async fn find(
        &self,
        grant: &Grant,
        write: &Write,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Option<Value>, ForgeError> {
        for page in 1..=super::PAGES_MAX {
            let call = Call::get(format!("{}&page={page}", write.find), write.what);
            let answer = self.client.call(grant, &call).await?;
            let list = answer.body.as_array().or_else(|| answer.body["check_runs"].as_array());
            if let Some(found) = list.into_iter().flatten().find(|found| is_it(found)) {
                return Ok(Some(found.clone()));
            }
            if !answer.has_next_page {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn update(&self, grant: &Grant, write: &Write, found: Value) -> Result<Value, ForgeError> {
        let Some((collection, body)) = &write.update else { return Ok(found) };
        let id = found["id"].as_u64().ok_or_else(|| ForgeError::Unavailable("GitHub's answer has no id".into()))?;
        let call = Call::new(Method::PATCH, format!("{collection}/{id}"), body.clone(), write.what);
        Ok(self.client.call(grant, &call).await?.body)
    }
}

pub(super) fn receipt(found: &Value) -> Receipt {
    Receipt { url: found.get("html_url").and_then(Value::as_str).map(str::to_owned), ..Receipt::default() }
}
