//! Containers whose server is gone: how ours are told from others, and the living from the dead.

use std::collections::HashMap;
use std::fs;

use serde::Deserialize;

use crate::sandbox::Refusal;
use crate::sandbox::container::engine::Engine;

/// The container's own name, on each of ours.
const SESSION: &str = "patchwright.session";
/// Where process numbers mean the same: the machine's start and the process namespace.
const INSTANCE: &str = "patchwright.instance";
const PID: &str = "patchwright.pid";
const STARTED: &str = "patchwright.started";

/// What an engine lists of a container.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    state: Option<String>,
    labels: Option<HashMap<String, String>>,
}

/// What a container is labelled with.
pub(super) fn labels(name: &str) -> HashMap<String, String> {
    let pid = std::process::id().to_string();
    let started = started(&pid).unwrap_or_default();
    let labels = [(SESSION, name.to_owned()), (INSTANCE, instance()), (PID, pid), (STARTED, started)];
    labels.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Removes the containers whose server is gone, and says how many there were.
pub(super) async fn remove(engine: &Engine) -> Result<usize, Refusal> {
    let path = "/containers/json?all=true";
    let listed = engine.look(path).await.map_err(|error| Refusal {
        missing: format!("a list of the containers of {}: {error}", engine.version),
        remedy: "look into the engine's log".to_owned(),
    })?;
    let listed: Vec<Listed> = serde_json::from_value(listed).unwrap_or_default();
    let mut n_removed = 0;
    for Listed { id, state, labels } in listed {
        let labels = labels.unwrap_or_default();
        if labels.contains_key(SESSION) && is_left_behind(&labels, state.as_deref() == Some("running")) {
            engine.remove(&id).await;
            n_removed += 1;
        }
    }
    Ok(n_removed)
}

/// A server in another process namespace may be alive though its number means nothing here: what runs there is its own.
fn is_left_behind(labels: &HashMap<String, String>, is_running: bool) -> bool {
    let label = |name: &str| labels.get(name).map(String::as_str).unwrap_or_default();
    if label(INSTANCE) != instance() {
        return !is_running;
    }
    let pid = label(PID);
    pid.parse::<u32>().is_err() || started(pid).is_none_or(|started| started != label(STARTED))
}

fn instance() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

/// When a process was started, in ticks since the machine was; `None` when there is no such process.
fn started(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, so the fields are counted from behind it.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests;
