//! The GitHub adapter against the rehearsed GitHub: the real client, real HTTP, and faults.

use std::time::Duration;

use jiff::Timestamp;
use patchwright::forge::github::{GitHub, GitHubSettings};
use patchwright::forge::{Forge as _, ForgeError};
use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;
use patchwright::rehearsal::scene::Exchange;
use patchwright_domain::effect::{Effect, EffectKey, Receipt};
use patchwright_domain::event::{Actor, DeliveryId, Event, EventKind, IssueNumber, RepoRef, Role, Untrusted};
use patchwright_domain::job::{Budget, JobKey, JobSpec, Opening, Task};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::github::{APP_ID, Stage, app_token};
use crate::support::openapi::assert_conform;

mod annotations;
mod answers;
mod checks;
mod deliveries;
mod effects;
mod facts;
mod failures;
mod limits;
mod opened;
mod reviews;
mod schedules;
mod signing;
mod sweep;
mod targets;
mod tokens;

const SECRET: &str = "a secret for rehearsals";

/// The rehearsal, our adapter, and an issue that `ada` opened.
struct Scene {
    stage: Stage,
    forge: GitHub,
    repo: RepoRef,
    issue: IssueNumber,
}

impl Scene {
    async fn set() -> Self {
        let stage = Stage::set().await;
        let now = crate::support::github::NOW;
        let app = app_token(&json!({"iss": APP_ID, "iat": now - 60, "exp": now + 500}), WORTHLESS_PRIVATE_KEY);
        let installation = stage.get("/repos/octo/rocket/installation", &app).await.body["id"].as_u64().expect("a number");
        let repo = RepoRef::new(stage.repo.0, installation, "octo", "rocket", "main").expect("the names are fine");
        let issue =
            stage.github.open_issue(stage.repo, "ada", "It does not fly", "At all.\r\n").expect("the repository is there");
        let forge = adapter(&stage, WORTHLESS_PRIVATE_KEY, APP_ID).expect("the key is PEM");
        Self { stage, forge, repo, issue: IssueNumber(issue) }
    }

    async fn perform(&self, effect: &Effect) -> Result<Receipt, ForgeError> {
        self.forge.perform(&self.repo, &self.key(effect), effect).await
    }

    fn spec(&self) -> JobSpec {
        JobSpec {
            key: JobKey::of_comment(&self.repo, self.issue, 1),
            repo: self.repo.clone(),
            task: Task::FixIssue { issue: self.issue, request: None },
            requested_by: actor("ada"),
            role: Role::Write,
            needed: Role::Write,
            delivery: DeliveryId::new("d").expect("the name is well-formed"),
            requested_at: self.stage.clock().now(),
            budget: Budget { wall_clock_ms: 1, rounds: 1, attempts: 1, turns: 1, claims: 1, tokens: 1, cost_microusd: 1 },
            described: None,
            plan: None,
            opening: Opening::default(),
            schedule: None,
        }
    }

    fn key(&self, effect: &Effect) -> EffectKey {
        effect.key(&self.spec().id())
    }

    fn comment(&self, body: &str) -> Effect {
        Effect::EnsureComment { issue: self.issue, body: body.into() }
    }

    fn event(&self, login: &str) -> Event {
        Event {
            delivery: DeliveryId::new("d").expect("the name is well-formed"),
            repo: self.repo.clone(),
            actor: Actor { id: self.stage.github.account(login).unwrap_or(0), ..actor(login) },
            at: Timestamp::UNIX_EPOCH,
            kind: EventKind::IssueClosed { issue: self.issue },
            described: None,
            proposes: None,
        }
    }

    /// What people see below the issue, in order.
    fn comments(&self) -> Vec<String> {
        self.stage.github.comments(self.stage.repo, self.issue.0).into_iter().map(|comment| comment.body).collect()
    }

    /// The requests of one operation.
    fn asked(&self, method: &str, end_of_template: &str) -> Vec<Exchange> {
        let is_it = |exchange: &Exchange| {
            exchange.method == method && exchange.template.is_some_and(|template| template.ends_with(end_of_template))
        };
        self.stage.github.exchanges().into_iter().filter(is_it).collect()
    }

    /// Ends the scene; everything that was asked and answered is as GitHub describes it.
    async fn end(self) {
        assert_conform(&self.stage.github.exchanges());
        self.stage.github.stop().await;
    }
}

fn adapter(stage: &Stage, key: &str, app_id: u64) -> Result<GitHub, ForgeError> {
    GitHub::new(GitHubSettings { app_id, private_key: SecretString::from(key), ..settings(stage) })
}

fn settings(stage: &Stage) -> GitHubSettings {
    GitHubSettings {
        app_id: APP_ID,
        private_key: SecretString::from(WORTHLESS_PRIVATE_KEY),
        webhook_secrets: vec![SecretString::from(SECRET), SecretString::from("the one before")],
        api_url: stage.github.api_url(),
        web_url: stage.github.web_url().to_owned(),
        write_spacing: Duration::ZERO,
        signs_commits: true,
        clock: stage.clock(),
    }
}

fn actor(login: &str) -> Actor {
    Actor { id: 9, login: login.into(), is_bot: false }
}

/// Untrusted text as it would be stored; there is no other way to look into it from here.
fn raw(text: &Untrusted) -> String {
    serde_json::to_value(text).ok().and_then(|value| value.as_str().map(str::to_owned)).expect("it is stored as text")
}

/// A refusal in a line: its kind, what was tried, and the remedy.
#[track_caller]
fn told<T: std::fmt::Debug>(result: Result<T, ForgeError>) -> String {
    match result {
        Err(ForgeError::Denied { what, reason, remedy }) => format!("denied: {what}: {reason} -> {remedy}"),
        Err(ForgeError::RateLimited { retry_after }) => format!("wait {} s", retry_after.as_secs()),
        Err(ForgeError::Unavailable(reason)) => format!("unavailable: {reason}"),
        Err(ForgeError::Rejected { what, reason }) => format!("rejected: {what}: {reason}"),
        Ok(value) => panic!("it went well: {value:?}"),
    }
}

/// Whether a token was asked for with one repository and exactly these permissions.
#[track_caller]
fn assert_scoped(token: &Exchange, repo: &RepoRef, permissions: Value) {
    assert_eq!(token.request, json!({"repository_ids": [repo.id], "permissions": permissions}));
}
