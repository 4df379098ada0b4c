//! Webhooks: built when something happens, signed, sent one after the other by a single task, and logged.

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Shared, body,
    scene::{Attempt, Delivery, RepositoryId},
    world::World,
};

/// The events that the App listens to; those of its installation come unasked.
pub const EVENTS: [&str; 11] = [
    "check_run",
    "check_suite",
    "issue_comment",
    "issues",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "push",
    "repository_dispatch",
    "workflow_dispatch",
    "workflow_run",
];

/// How long a receiver may take to answer, as at GitHub.
pub const ANSWER_SECONDS_MAX: u64 = 10;

/// The most webhooks that wait to be sent; beyond that they are lost, as at GitHub, and stand in the log unanswered.
pub const WAITING_MAX: usize = 4_096;

/// The most deliveries, and the most attempts, that are remembered; older ones are forgotten first.
pub const LOGGED_MAX: usize = 10_000;

/// How long deliveries are listed and can be asked for again, in seconds: three days.
pub(super) const LISTED_SECONDS: i64 = 3 * 24 * 60 * 60;

/// A delivery on its way.
pub(super) struct Outgoing {
    url: String,
    app_id: u64,
    guid: String,
    event: &'static str,
    body: Vec<u8>,
    signature: String,
    is_redelivery: bool,
}

impl World {
    /// Tells of something in a repository.
    pub(super) fn announce(&mut self, event: &'static str, repo: RepositoryId, sender: &str, fields: Value) {
        if !self.settings.events.contains(&event) {
            return;
        }
        let Some(repository) = self.repository(repo) else { return };
        let Some(installation) = self.installation_of(&repository.owner).filter(|found| found.suspended_at.is_none()) else {
            return;
        };
        let node_id = body::node_id("IntegrationInstallation", installation.id);
        let around = json!({
            "repository": super::repository_body::repository(self, repository),
            "sender": body::user(self, sender),
            "installation": {"id": installation.id, "node_id": node_id},
        });
        self.send(event, body::merged(around, fields));
    }

    /// Queues a webhook, if there is somewhere to send it.
    pub(super) fn send(&mut self, event: &'static str, payload: Value) {
        if self.webhook_url.is_none() {
            return;
        }
        let guid = format!("{:08x}-7265-11ee-8e68-{:012x}", self.n_deliveries, self.n_deliveries * 7_919);
        self.n_deliveries += 1;
        if self.deliveries.len() == LOGGED_MAX {
            self.deliveries.remove(0);
        }
        let id = |name: &str| payload.pointer(&format!("/{name}/id")).and_then(Value::as_u64);
        let (installation, repository) = (id("installation"), id("repository"));
        let guid_of = guid.clone();
        self.deliveries.push(Delivery { guid: guid_of, event, payload, installation, repository, n_attempts: 0, status: None });
        self.redeliver(&guid);
    }

    /// Queues a logged delivery (again), under the same name.
    pub(super) fn redeliver(&mut self, guid: &str) -> Option<()> {
        let url = self.webhook_url.clone()?;
        let delivery = self.deliveries.iter_mut().find(|delivery| delivery.guid == guid)?;
        delivery.n_attempts += 1;
        let body = delivery.payload.to_string().into_bytes();
        let signature = signature(self.settings.webhook_secret.expose_secret().as_bytes(), &body);
        let (app_id, event) = (self.settings.app_id, delivery.event);
        let is_redelivery = delivery.n_attempts > 1;
        self.outbox.push(Outgoing { url, app_id, guid: guid.to_owned(), event, body, signature, is_redelivery });
        Some(())
    }

    /// Writes down how an attempt to deliver ended; with nothing where the answer was not heard.
    pub(super) fn end_attempt(&mut self, guid: &str, is_redelivery: bool, status: Option<u16>) {
        let is_heard = self.n_unheard == 0;
        self.n_unheard = self.n_unheard.saturating_sub(1);
        let status = status.filter(|_| is_heard);
        if let Some(delivery) = self.deliveries.iter_mut().find(|delivery| delivery.guid == guid) {
            delivery.status = status;
        }
        if self.attempts.len() == LOGGED_MAX {
            self.attempts.remove(0);
        }
        let (id, at) = (self.next_id(), self.now());
        self.attempts.push(Attempt { id, guid: guid.to_owned(), at, is_redelivery, status });
    }

    /// Loses what waits to be sent.
    pub(super) fn lose_outbox(&mut self) {
        for lost in std::mem::take(&mut self.outbox) {
            self.end_attempt(&lost.guid, lost.is_redelivery, None);
        }
    }
}

/// Computes the value of `X-Hub-Signature-256`.
pub fn signature(secret: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Sends what is queued until told to stop.
pub(super) async fn send_all(
    shared: Arc<Shared>,
    mut queue: mpsc::Receiver<Outgoing>,
    client: reqwest::Client,
    stop: CancellationToken,
) {
    while let Some(Some(outgoing)) = stop.run_until_cancelled(queue.recv()).await {
        let (guid, is_redelivery) = (outgoing.guid.clone(), outgoing.is_redelivery);
        let status = send(&client, outgoing).await;
        shared.with(|world| world.end_attempt(&guid, is_redelivery, status));
        shared.waiting.send_modify(|n| *n -= 1);
    }
}

async fn send(client: &reqwest::Client, outgoing: Outgoing) -> Option<u16> {
    let request = client
        .post(outgoing.url)
        .header("accept", "*/*")
        .header("content-type", "application/json")
        .header("user-agent", "GitHub-Hookshot/7265686")
        .header("x-github-delivery", outgoing.guid)
        .header("x-github-event", outgoing.event)
        .header("x-github-hook-id", "292430182")
        .header("x-github-hook-installation-target-id", outgoing.app_id.to_string())
        .header("x-github-hook-installation-target-type", "integration")
        .header("x-hub-signature-256", outgoing.signature)
        .timeout(Duration::from_secs(ANSWER_SECONDS_MAX))
        .body(outgoing.body);
    match request.send().await {
        Ok(answer) => Some(answer.status().as_u16()),
        Err(error) => {
            tracing::debug!(error = %error, "a rehearsed webhook was not answered");
            None
        }
    }
}
