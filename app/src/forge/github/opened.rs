//! Pull requests of ours: opened, and shown to those whom the repository wants to see them.

use http::Method;
use patchwright_domain::effect::{EffectKey, Receipt};
use patchwright_domain::event::RepoRef;
use serde_json::{Value, json};

use super::GitHub;
use super::client::Call;
use super::effects::{ROUNDS_MAX, Write};
use super::tokens::{Grant, Permissions};
use crate::forge::ForgeError;

/// What a token may do that opens and labels pull requests, and asks people to review them.
const ON_PULLS: Permissions = &[("pull_requests", "write")];
/// The same where teams are asked, which GitHub shows only to those who may see an organisation's members.
const ON_TEAMS: Permissions = &[("pull_requests", "write"), ("members", "read")];
/// What GitHub says where a repository has no drafts, such as a private one of a plan without them.
const NO_DRAFTS: &str = "Draft pull requests are not supported";
const ASKING: &str = "asking for reviews";

/// A pull request that is to be opened.
pub(super) struct New<'e> {
    pub(super) branch: &'e str,
    pub(super) base: &'e str,
    pub(super) title: &'e str,
    pub(super) body: &'e str,
    pub(super) draft: bool,
}

/// What is to be done about a pull request that is there.
pub(super) struct Introduction<'e> {
    pub(super) branch: &'e str,
    pub(super) labels: &'e [String],
    pub(super) reviewers: &'e [String],
    pub(super) teams: &'e [String],
}

/// Some of those who are to review, as GitHub's requests and answers have them.
struct Asked<'e> {
    names: &'e [String],
    /// Where they stand in a request.
    field: &'static str,
    /// Where those stand in a pull request who were asked, and what names each.
    shown: (&'static str, &'static str),
    permissions: Permissions,
}

impl GitHub {
    pub(super) async fn ensure_pull_request(
        &self,
        repo: &RepoRef,
        key: &EffectKey,
        new: &New<'_>,
    ) -> Result<Receipt, ForgeError> {
        let opened = self.open_pull(repo, key, new).await;
        match opened {
            // Where there are no drafts, nothing less than a pull request is what was promised.
            Err(ForgeError::Rejected { reason, .. }) if new.draft && reason.contains(NO_DRAFTS) => {
                self.open_pull(repo, key, &New { draft: false, ..*new }).await
            }
            opened => opened,
        }
    }

    async fn open_pull(&self, repo: &RepoRef, key: &EffectKey, new: &New<'_>) -> Result<Receipt, ForgeError> {
        let New { branch, base, title, body, draft } = *new;
        let body = format!("{body}\n{}", key.marker());
        let write = Write {
            find: from(branch),
            create: "/pulls".into(),
            body: json!({ "head": branch, "base": base, "title": title, "body": body, "draft": draft }),
            update: None,
            what: "opening the pull request",
        };
        Ok(self.find_or_create(&Grant::new(repo, ON_PULLS), &write, |found| is_from(found, branch)).await?.receipt())
    }

    /// Puts labels on a pull request and asks for its reviews, as far as they are missing. Nothing of it keeps the rest back: labels come
    /// first, then people, then teams, and of those who are refused together each is asked alone.
    pub(super) async fn introduce(&self, repo: &RepoRef, introduction: &Introduction<'_>) -> Result<Receipt, ForgeError> {
        let Introduction { branch, labels, reviewers, teams } = *introduction;
        let people =
            Asked { names: reviewers, field: "reviewers", shown: ("requested_reviewers", "login"), permissions: ON_PULLS };
        let teams = Asked { names: teams, field: "team_reviewers", shown: ("requested_teams", "slug"), permissions: ON_TEAMS };
        let labelled = refusal(self.label(repo, branch, labels).await)?;
        let people = refusal(self.ask_for_reviews(repo, branch, &people).await)?;
        let teams = refusal(self.ask_for_reviews(repo, branch, &teams).await)?;
        labelled.or(people).or(teams).map_or(Ok(Receipt::default()), Err)
    }

    async fn label(&self, repo: &RepoRef, branch: &str, labels: &[String]) -> Result<(), ForgeError> {
        const WHAT: &str = "labelling the pull request";
        let grant = Grant::new(repo, ON_PULLS);
        self.until_there(|| async {
            let Some(pull) = self.pull_from(&grant, branch, WHAT, labels).await? else { return Ok(()) };
            let missing = missing(&pull, ("labels", "name"), labels);
            if missing.is_empty() {
                return Ok(());
            }
            let path = format!("/issues/{}/labels", number(&pull)?);
            self.client.call(&grant, &Call::new(Method::POST, path, json!({ "labels": missing }), WHAT)).await.map(drop)
        })
        .await
    }

    async fn ask_for_reviews(&self, repo: &RepoRef, branch: &str, asked: &Asked<'_>) -> Result<(), ForgeError> {
        let together = self.ask_together(repo, branch, asked, asked.names).await;
        let Err(ForgeError::Rejected { .. }) = &together else { return together };
        if asked.names.len() < 2 {
            return together;
        }
        let mut refused = None;
        for name in asked.names {
            let alone = self.ask_together(repo, branch, asked, std::slice::from_ref(name)).await;
            refused = refused.or(refusal(alone)?);
        }
        refused.map_or(Ok(()), Err)
    }

    async fn ask_together(&self, repo: &RepoRef, branch: &str, asked: &Asked<'_>, names: &[String]) -> Result<(), ForgeError> {
        let grant = Grant::new(repo, asked.permissions);
        self.until_there(|| async {
            let Some(pull) = self.pull_from(&grant, branch, ASKING, names).await? else { return Ok(()) };
            let missing = missing(&pull, asked.shown, names);
            if missing.is_empty() {
                return Ok(());
            }
            let path = format!("/pulls/{}/requested_reviewers", number(&pull)?);
            let body = json!({ asked.field: missing });
            let answer = self.client.call(&grant, &Call::new(Method::POST, path, body, ASKING)).await;
            answer.map(drop).map_err(|error| naming(error, &missing))
        })
        .await
    }

    /// The pull request from a branch; none where nothing is wanted of it.
    async fn pull_from(
        &self,
        grant: &Grant,
        branch: &str,
        what: &'static str,
        wanted: &[String],
    ) -> Result<Option<Value>, ForgeError> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let write = Write { find: from(branch), create: String::new(), body: Value::Null, update: None, what };
        let found = self.find(grant, &write, |found| is_from(found, branch)).await?;
        let none = || ForgeError::Rejected { what: what.into(), reason: "there is no pull request from the branch".into() };
        found.map(Some).ok_or_else(none)
    }

    /// Tries something that is looked for each time before it is done, for as long as its answers are lost.
    async fn until_there<F>(&self, attempt: impl Fn() -> F) -> Result<(), ForgeError>
    where
        F: Future<Output = Result<(), ForgeError>>,
    {
        let mut round = 1;
        loop {
            match attempt().await {
                Err(ForgeError::Unavailable(_)) if round < ROUNDS_MAX => round += 1,
                ended => return ended,
            }
        }
    }
}

/// Where the pull requests from a branch are listed.
fn from(branch: &str) -> String {
    format!("/pulls?head={{owner}}:{branch}&state=all&per_page=100")
}

fn is_from(pull: &Value, branch: &str) -> bool {
    pull.pointer("/head/ref").and_then(Value::as_str) == Some(branch)
}

fn number(pull: &Value) -> Result<u64, ForgeError> {
    pull["number"].as_u64().ok_or_else(|| ForgeError::Unavailable("GitHub's answer has no number".into()))
}

/// What is wanted of a pull request and is not there. GitHub's names are the same in capitals.
fn missing<'n>(pull: &Value, (list, field): (&str, &str), wanted: &'n [String]) -> Vec<&'n str> {
    let there: Vec<String> =
        pull[list].as_array().into_iter().flatten().filter_map(|one| Some(one[field].as_str()?.to_lowercase())).collect();
    wanted.iter().map(String::as_str).filter(|name| !there.contains(&name.to_lowercase())).collect()
}

/// What was refused, which can be done without; everything else is for another time.
fn refusal(done: Result<(), ForgeError>) -> Result<Option<ForgeError>, ForgeError> {
    match done {
        Ok(()) => Ok(None),
        Err(refused @ (ForgeError::Denied { .. } | ForgeError::Rejected { .. })) => Ok(Some(refused)),
        Err(error @ (ForgeError::RateLimited { .. } | ForgeError::Unavailable(_))) => Err(error),
    }
}

/// Says of whom something was refused: GitHub does not.
fn naming(error: ForgeError, names: &[&str]) -> ForgeError {
    match error {
        ForgeError::Rejected { what, reason } => {
            ForgeError::Rejected { what: format!("{what} from {}", names.join(", ")), reason }
        }
        error @ (ForgeError::RateLimited { .. } | ForgeError::Unavailable(_) | ForgeError::Denied { .. }) => error,
    }
}
