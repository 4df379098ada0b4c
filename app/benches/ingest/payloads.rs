//! Webhooks as GitHub publishes them, signed.

use anyhow::Context as _;
use patchwright::rehearsal::hook;
use serde_json::Value;

/// The events that are sent, with their action.
const EVENTS: [(&str, &str); 4] =
    [("issue_comment", "created"), ("pull_request", "opened"), ("check_run", "completed"), ("workflow_run", "completed")];

/// A webhook but for its name.
pub(crate) struct Payload {
    pub(crate) event: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) signature: String,
}

/// Reads the payloads that GitHub publishes, and signs each once.
pub(crate) fn payloads(secret: &[u8]) -> anyhow::Result<Vec<Payload>> {
    let packed: &[u8] = include_bytes!("../../../tests/fixtures/webhooks/examples.json.gz");
    let events: Vec<Value> = serde_json::from_reader(flate2::read::GzDecoder::new(packed)).context("reading the fixtures")?;
    let find = |(event, action): (&'static str, &str)| {
        let examples = events.iter().find(|entry| entry["name"] == event).and_then(|entry| entry["examples"].as_array());
        let example = examples.into_iter().flatten().find(|example| example["action"] == action);
        let body = serde_json::to_vec(example.with_context(|| format!("the fixtures have no {event}.{action}"))?)?;
        let signature = hook::signature(secret, &body);
        Ok(Payload { event, body, signature })
    };
    EVENTS.into_iter().map(find).collect()
}
