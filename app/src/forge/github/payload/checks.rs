//! What is told of checks that have ended, in the four ways in which GitHub tells it.

use patchwright_domain::effect::{Button, EffectKey};
use patchwright_domain::event::{Actor, CheckRef, EventKind, IssueNumber, Untrusted};
use patchwright_domain::journal::CommitId;
use serde::Deserialize;

use super::printable;

/// The events.
pub(super) const EVENTS: [&str; 4] = ["check_run", "check_suite", "workflow_run", "status"];
/// How a check ends that may be for somebody to look at. One that was cancelled, or waits for a person, is not.
const RED: [&str; 5] = ["failure", "timed_out", "startup_failure", "error", "failed"];

#[derive(Deserialize)]
struct Payload {
    action: Option<String>,
    check_run: Option<Check>,
    requested_action: Option<Pressed>,
    repository: Option<Numbered>,
    check_suite: Option<Check>,
    workflow_run: Option<Check>,
    sha: Option<String>,
    state: Option<String>,
}

/// A check run, a suite of them, or a run of a workflow.
#[derive(Deserialize)]
struct Check {
    id: Option<u64>,
    name: Option<String>,
    head_sha: Option<String>,
    conclusion: Option<String>,
    app: Option<App>,
    external_id: Option<String>,
    pull_requests: Option<Vec<Pull>>,
}

/// The button that somebody has pressed beside a check run.
#[derive(Deserialize)]
struct Pressed {
    identifier: Option<String>,
}

/// A pull request of a check. One that goes from here to another repository is listed as well, with its number there.
#[derive(Deserialize)]
struct Pull {
    number: u64,
    base: Option<Side>,
}

#[derive(Deserialize)]
struct Side {
    repo: Option<Numbered>,
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Deserialize)]
struct App {
    id: Option<u64>,
}

/// Reads which check somebody asks for once more, or beside which one a button was pressed, if that is what the payload tells.
pub(super) fn asked(event: &str, body: &[u8]) -> Option<Result<EventKind, String>> {
    let payload: Payload = serde_json::from_slice(body).ok()?;
    let button = match payload.action.as_deref().filter(|_| event == "check_run")? {
        "rerequested" => None,
        "requested_action" => {
            let pressed = payload.requested_action.and_then(|pressed| pressed.identifier);
            match pressed.as_deref().and_then(Button::of) {
                None => return Some(Err("the button that was pressed is none of ours".into())),
                button => button,
            }
        }
        _ => return None,
    };
    let check = payload.check_run?;
    let Check { id: Some(id), app, external_id, pull_requests, .. } = check else {
        return Some(Err("the check that is asked for has no number".into()));
    };
    let Some(job) = external_id.as_deref().and_then(EffectKey::job_of) else {
        return Some(Err("no job of this program has set the check that is asked for".into()));
    };
    let here = payload.repository.map(|repository| repository.id);
    let is_here = |pull: &&Pull| {
        let to = pull.base.as_ref().and_then(|base| base.repo.as_ref()).map(|repo| repo.id);
        to.is_none() || to == here
    };
    let pull_request = pull_requests.as_deref().unwrap_or_default().iter().find(is_here).map(|pull| IssueNumber(pull.number));
    let app = app.and_then(|app| app.id);
    Some(Ok(EventKind::CheckAsked { check: id, app, job, pull_request, button, wanted: None }))
}

/// Reads the check that is red, or says why there is none.
pub(super) fn failed(event: &str, body: &[u8]) -> Result<EventKind, String> {
    let payload: Payload = serde_json::from_slice(body).map_err(|e| format!("the payload cannot be read: {e}"))?;
    let Payload { action, check_run, check_suite, workflow_run, sha, state, .. } = payload;
    if event == "status" {
        return red(sha.as_deref(), state.as_deref(), None, None);
    }
    let action = action.unwrap_or_default();
    if action != "completed" {
        return Err(format!("`{event}` events with the action `{}` start nothing", printable(&action)));
    }
    let check = match event {
        "check_run" => check_run,
        "check_suite" => check_suite,
        _ => workflow_run,
    };
    let Check { id, name, head_sha, conclusion, app, .. } = check.ok_or_else(|| format!("the payload holds no {event}"))?;
    // The others tell of several at once.
    let named = if event == "check_run" { id.zip(name) } else { None };
    let check = named.map(|(id, name)| CheckRef { id, name: Untrusted::new(name) });
    red(head_sha.as_deref(), conclusion.as_deref(), check, app.and_then(|app| app.id))
}

fn red(sha: Option<&str>, ended: Option<&str>, check: Option<CheckRef>, app: Option<u64>) -> Result<EventKind, String> {
    if !ended.is_some_and(|ended| RED.contains(&ended)) {
        return Err("the check is not red".into());
    }
    let head = sha.and_then(CommitId::parse).ok_or("the payload names no commit")?;
    Ok(EventKind::CheckFailed { head, check, app })
}

/// Who it is where GitHub names nobody.
pub(super) fn nobody() -> Actor {
    Actor { id: 0, login: "ghost".into(), is_bot: true }
}
