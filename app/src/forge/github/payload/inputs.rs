//! A command among the inputs of a workflow that somebody starts by hand, or a program does.

use patchwright_domain::event::{EventKind, IssueNumber, Untrusted};
use serde_json::Value;

use super::Payload;

/// The event, where the App is subscribed to it. It has no action.
pub(super) const EVENT: &str = "workflow_dispatch";

/// The input that holds the command.
const COMMAND: &str = "patchwright";
/// Those that say of what.
const ISSUE: &str = "issue";
const PULL_REQUEST: &str = "pull_request";

/// The command that is sent. Inputs are texts, whatever the workflow calls them; GitHub does not say when.
pub(super) fn dispatched(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let input = |name: &str| payload.inputs.as_ref().and_then(|inputs| inputs.get(name));
    let command = input(COMMAND).and_then(Value::as_str).ok_or("the workflow's inputs hold no `patchwright`")?;
    let issue = input(ISSUE).and_then(Value::as_str).and_then(number);
    let issue = issue.ok_or("the workflow's input `issue` is no issue's number")?;
    let on_pull_request = match input(PULL_REQUEST) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(Value::String(text)) if text == "true" => true,
        Some(Value::String(text)) if text.is_empty() || text == "false" => false,
        Some(Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err("the workflow's input `pull_request` is neither `true` nor `false`".into());
        }
    };
    Ok((EventKind::Dispatched { issue: IssueNumber(issue), on_pull_request, command: Untrusted::new(command) }, None))
}

/// A number of digits alone.
fn number(text: &str) -> Option<u64> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|number| *number > 0)
}
