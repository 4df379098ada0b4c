//! GitHub, github.com or a server of one's own, as an App.
//!
//! Every address is built from the configuration, checked names and numbers; none is taken from a payload. Every write
//! has a token of its own that holds one repository and one permission.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use patchwright_domain::brief::Request;
use patchwright_domain::effect::{CheckUnderWay, Effect, EffectKey, Receipt};
use patchwright_domain::event::{Actor, Event, EventKind, IssueNumber, RawDelivery, RepoRef, Role};
use patchwright_domain::job::JobSpec;
use patchwright_domain::journal::CommitId;
use patchwright_domain::policy::schedule::Schedule;
use patchwright_domain::report::policy::Flaw;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::OnceCell;

use super::signing::Signer;
use super::{
    Access, Attempt, Attempts, CheckedJob, CloneAccess, Cursor, Forge, ForgeError, PullRequest, RepoFacts, Schedules, Unauthentic,
};
use crate::clock::Clock;
use client::{Answer, Call, Client};
use tokens::Grant;

mod answers;
mod checks;
mod client;
mod effects;
mod hook;
mod jobs;
mod opened;
mod payload;
mod places;
mod policy;
mod pulls;
mod red;
mod refusal;
mod request;
mod reviews;
mod schedules;
mod signing;
mod tokens;
mod traffic;

/// How many pages of a hundred are read. GitHub lists comments oldest first and takes none after the 2 500th of an issue,
/// so that the newest, and ours among them, are always within.
const PAGES_MAX: u32 = 30;
/// How many comments the agent is told.
const COMMENTS_MAX: usize = 50;

/// What a GitHub App needs.
pub struct GitHubSettings {
    /// The App's number.
    pub app_id: u64,
    /// Its private key, as PEM.
    pub private_key: SecretString,
    /// The secrets that deliveries may be signed with: the present one and, while it is changed, the one before.
    pub webhook_secrets: Vec<SecretString>,
    /// The address of the REST API, such as `https://api.github.com` or `https://HOST/api/v3`.
    pub api_url: String,
    /// The address of the web pages and repositories, such as `https://github.com`.
    pub web_url: String,
    /// The pause between writes to one installation's repositories.
    pub write_spacing: Duration,
    /// Whether commits are made by GitHub, which signs them, where it can; else they are as they were pushed.
    pub signs_commits: bool,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// A connection to GitHub.
pub struct GitHub {
    client: Client,
    app_id: u64,
    webhook_secrets: Vec<SecretString>,
    web_url: String,
    signs_commits: bool,
    /// The account that we write as, once it was asked for.
    login: OnceCell<String>,
    schedules: schedules::Read,
}

impl GitHub {
    /// Reads the key and makes the connection pool; asks nothing of GitHub.
    ///
    /// # Errors
    /// [`ForgeError::Denied`] for a key that cannot be read, [`ForgeError::Unavailable`] for an address that is none.
    pub fn new(settings: GitHubSettings) -> Result<Self, ForgeError> {
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(settings.private_key.expose_secret().as_bytes());
        let key = key.map_err(|e| ForgeError::Denied {
            what: "reading the App's private key".into(),
            reason: e.to_string(),
            remedy: "download a new private key from the App's settings and name it in `github.private_key_file`".into(),
        })?;
        let client = Client::new(&settings, key)?;
        let web_url = settings.web_url.trim_end_matches('/').to_owned();
        let GitHubSettings { app_id, webhook_secrets, signs_commits, .. } = settings;
        Ok(Self {
            client,
            app_id,
            webhook_secrets,
            web_url,
            signs_commits,
            login: OnceCell::new(),
            schedules: schedules::Read::default(),
        })
    }

    /// Asks GitHub who we are: proves address, number, key and clock.
    ///
    /// # Errors
    /// [`ForgeError`] with what to do.
    pub async fn whoami(&self) -> Result<Identity, ForgeError> {
        let answer = self.client.call_as_app(&Call::get("/app".into(), "asking who we are")).await?;
        let slug = answer.body.get("slug").and_then(Value::as_str);
        let slug = slug.ok_or_else(|| ForgeError::Unavailable("GitHub's answer names no App".into()))?.to_owned();
        let events: Vec<&str> = answer.body["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let unheard = payload::LISTENED_TO.into_iter().filter(|event| !events.contains(event)).collect();
        let sets_checks = answer.body.pointer("/permissions/checks").and_then(Value::as_str) == Some("write");
        Ok(Identity { slug, unheard, sets_checks })
    }

    /// The account that we write as. Of a review GitHub does not say which App has written it.
    async fn login(&self) -> Result<&str, ForgeError> {
        let asked = self.login.get_or_try_init(async || self.whoami().await.map(|identity| format!("{}[bot]", identity.slug)));
        asked.await.map(String::as_str)
    }

    /// What the account of this name may do.
    async fn role_by_name(&self, login: &str, grant: &Grant) -> Result<Role, ForgeError> {
        Ok(self.permission(login, grant).await?.map_or(Role::None, |found| role(&found)))
    }

    /// What somebody may do. A name that is another account's by now says nothing.
    async fn role_of(&self, actor: &Actor, grant: &Grant) -> Result<Role, ForgeError> {
        let found = self.permission(&actor.login, grant).await?;
        let is_same = |found: &Value| found.pointer("/user/id").and_then(Value::as_u64).is_none_or(|id| id == actor.id);
        Ok(found.filter(is_same).map_or(Role::None, |found| role(&found)))
    }

    async fn permission(&self, login: &str, grant: &Grant) -> Result<Option<Value>, ForgeError> {
        let path = format!("/collaborators/{login}/permission");
        match self.client.call(grant, &Call::get(path, "asking for the sender's permission")).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(ForgeError::Denied { reason, .. }) if reason.contains("answered 404") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether an issue is open now, which one that is gone is not, and whether it is a pull request: to GitHub that is an issue too.
    async fn is_open_and_pull(&self, issue: IssueNumber, grant: &Grant) -> Result<(bool, bool), ForgeError> {
        match self.client.call(grant, &Call::get(format!("/issues/{issue}"), "looking whether the issue is open")).await {
            Ok(Answer { body, .. }) => {
                let is_pull = body.get("pull_request").is_some_and(|pull| !pull.is_null());
                Ok((body.get("state").and_then(Value::as_str) == Some("open"), is_pull))
            }
            Err(ForgeError::Denied { reason, .. }) if reason.contains("answered 404") => Ok((false, false)),
            Err(error) => Err(error),
        }
    }

    async fn comments(&self, issue: IssueNumber, grant: &Grant) -> Result<Vec<Value>, ForgeError> {
        let path = format!("/issues/{issue}/comments");
        self.client.pages(grant, (&path, "reading the comments"), PAGES_MAX, |body| body).await
    }

    /// Whether the comment was written through our App, whatever it says of itself.
    fn is_ours(&self, comment: &Value) -> bool {
        comment.pointer("/performed_via_github_app/id").and_then(Value::as_u64) == Some(self.app_id)
    }
}

/// Who we are at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The App's name in addresses; it writes as `SLUG[bot]`.
    pub slug: String,
    /// The events that we listen to and that the App is not subscribed to: nobody tells us of them.
    pub unheard: Vec<&'static str>,
    /// Whether the App may set check runs where it is installed. Without, none is set, and all else is as it is.
    pub sets_checks: bool,
}

/// Reads the finer `role_name` where it is one of GitHub's own, and the coarse `permission` for an organisation's.
fn role(answer: &Value) -> Role {
    let read = |field: &str| match answer.get(field)?.as_str()? {
        "admin" => Some(Role::Admin),
        "maintain" => Some(Role::Maintain),
        "write" | "push" => Some(Role::Write),
        "triage" => Some(Role::Triage),
        "read" | "pull" => Some(Role::Read),
        "none" => Some(Role::None),
        _ => None,
    };
    read("role_name").or_else(|| read("permission")).unwrap_or(Role::None)
}

/// The issue or pull request that a job is about.
fn issue_of(spec: &JobSpec) -> Result<IssueNumber, ForgeError> {
    let missing = || ForgeError::Rejected { what: "reading the request".into(), reason: "the task has no issue".into() };
    spec.task.issue().ok_or_else(missing)
}

#[async_trait]
impl Forge for GitHub {
    fn authenticate(&self, signature: Option<&str>, body: &[u8]) -> Result<(), Unauthentic> {
        let signature = signature.ok_or(Unauthentic::Unsigned)?;
        let digest =
            signature.strip_prefix("sha256=").and_then(|digits| hex::decode(digits).ok()).ok_or(Unauthentic::Mismatch)?;
        let is_signed_with = |secret: &SecretString| {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
            mac.update(body);
            mac.verify_slice(&digest).is_ok()
        };
        if self.webhook_secrets.iter().any(is_signed_with) { Ok(()) } else { Err(Unauthentic::Mismatch) }
    }

    fn parse(&self, delivery: &RawDelivery) -> Result<Event, String> {
        payload::parse(delivery)
    }

    async fn facts(&self, event: &Event) -> Result<RepoFacts, ForgeError> {
        if let EventKind::CheckFailed { head, check, .. } = &event.kind {
            return self.facts_of_check(&event.repo, head, check.as_ref()).await;
        }
        let grant = Grant::new(&event.repo, &[("metadata", "read"), ("contents", "read"), ("issues", "read")]);
        let (policy, unread) = self.policy_or_place(&grant).await?;
        let (is_open, is_no_issue, pull) = match (&event.kind, event.kind.issue()) {
            (kind, Some(number)) if kind.is_of_pull() => {
                let (is_open, pull) = self.proposal(&event.repo, number, &policy).await?;
                (is_open, false, pull)
            }
            (_, Some(issue)) => {
                let (is_open, is_pull) = self.is_open_and_pull(issue, &grant).await?;
                (is_open, is_pull, None)
            }
            (_, None) => (false, false, None),
        };
        let role = match &event.kind {
            // No account has asked, so that none has a role.
            EventKind::Scheduled { .. } => Role::None,
            EventKind::Written { .. }
            | EventKind::IssueLabeled { .. }
            | EventKind::IssueAssigned { .. }
            | EventKind::ReviewRequested { .. }
            | EventKind::Dispatched { .. }
            | EventKind::Pushed { .. }
            | EventKind::IssueClosed { .. }
            | EventKind::CheckFailed { .. }
            | EventKind::CheckAsked { .. } => self.role_of(&event.actor, &grant).await?,
        };
        Ok(RepoFacts { policy, unread, role, is_open, is_no_issue, check: None, pull })
    }

    async fn proposed_policy(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        head: &CommitId,
    ) -> Result<Option<Result<(), Flaw>>, ForgeError> {
        self.changed_policy(repo, number, head).await
    }

    async fn role(&self, repo: &RepoRef, actor: &Actor) -> Result<Role, ForgeError> {
        let grant = Grant::new(repo, &[("metadata", "read")]);
        let role = self.role_of(actor, &grant).await?;
        if role == Role::None {
            // GitHub says the same of an account without a role and of a repository that we do not see any more.
            self.client.call(&grant, &Call::get(String::new(), "looking at the repository")).await?;
        }
        Ok(role)
    }

    async fn context(&self, spec: &JobSpec) -> Result<Request, ForgeError> {
        self.request(spec).await
    }

    async fn pull_request(&self, spec: &JobSpec) -> Result<Option<PullRequest>, ForgeError> {
        self.pull(spec).await
    }

    async fn checked_job(&self, repo: &RepoRef, check: u64) -> Result<Option<CheckedJob>, ForgeError> {
        self.job(repo, check).await
    }

    async fn clone_access(&self, repo: &RepoRef, access: Access) -> Result<CloneAccess, ForgeError> {
        const WHAT: &str = "opening the repository to git";
        let grant = match access {
            Access::Fetch => Grant::new(repo, &[("contents", "read")]),
            Access::Push => Grant::new(repo, &[("contents", "write")]),
        };
        // git would only be told that something was refused, so name and token are tried here.
        let (place, token) = self.client.locate(&grant, WHAT).await?;
        if place.is_archived {
            return Err(refusal::denied(WHAT, "the repository is archived and can only be read", refusal::ARCHIVED));
        }
        Ok(CloneAccess { url: format!("{}/{}/{}.git", self.web_url, place.owner, place.name), token: Some(token) })
    }

    async fn attempts(&self, from: Option<&Cursor>) -> Result<Attempts, ForgeError> {
        self.list_attempts(from).await
    }

    async fn redeliver(&self, attempt: &Attempt) -> Result<(), ForgeError> {
        self.ask_again(attempt).await
    }

    async fn schedules(&self) -> Result<Schedules, ForgeError> {
        self.all_schedules().await
    }

    async fn schedule_of(&self, repo: &RepoRef) -> Result<Vec<Schedule>, ForgeError> {
        self.scheduled_in(repo).await
    }

    async fn perform(&self, repo: &RepoRef, key: &EffectKey, effect: &Effect) -> Result<Receipt, ForgeError> {
        self.ensure(repo, key, effect).await
    }

    async fn begin_check(&self, repo: &RepoRef, key: &EffectKey, check: &CheckUnderWay) -> Result<(), ForgeError> {
        self.open_check(repo, key, check).await
    }

    fn signer(&self) -> Option<&dyn Signer> {
        Some(self)
    }
}

/// Reads a private key's file.
///
/// # Errors
/// The sentence for the operator.
pub fn read_private_key(path: &Path) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path);
    text.map(SecretString::from).map_err(|e| format!("the App's private key `{}` cannot be read: {e}", path.display()))
}
