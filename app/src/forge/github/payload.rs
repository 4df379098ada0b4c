//! Reads the few fields of a webhook that we listen to.
//!
//! A third of the payloads that GitHub publishes as examples break its own schema, so that everything here is optional
//! until it is needed, and what is missing is a reason and not an error.

use jiff::Timestamp;
use patchwright_domain::effect::is_own_branch;
use patchwright_domain::event::{Actor, Described, Event, EventKind, IssueNumber, Place, RawDelivery, RepoRef, Text, Untrusted};
use patchwright_domain::journal::CommitId;
use serde::Deserialize;

#[derive(Deserialize)]
struct Payload {
    action: Option<String>,
    installation: Option<Installation>,
    repository: Option<Repository>,
    sender: Option<User>,
    issue: Option<Issue>,
    pull_request: Option<PullRequest>,
    comment: Option<Comment>,
    review: Option<Review>,
    label: Option<Label>,
    assignee: Option<User>,
    requested_reviewer: Option<User>,
    changes: Option<Changes>,
    client_payload: Option<Sent>,
    inputs: Option<serde_json::Value>,
}

/// What a program sends with a `repository_dispatch`: a command, and of what.
#[derive(Deserialize)]
struct Sent {
    issue: Option<u64>,
    pull_request: Option<u64>,
    command: Option<String>,
}

/// What an edit has changed: each with what was there before.
#[derive(Deserialize)]
struct Changes {
    title: Option<Before>,
    body: Option<Before>,
}

#[derive(Deserialize)]
struct Before {
    from: Option<String>,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    name: String,
    owner: User,
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: Option<u64>,
    login: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    user: Option<User>,
    title: Option<String>,
    body: Option<String>,
    performed_via_github_app: Option<App>,
    state: Option<String>,
    pull_request: Option<serde::de::IgnoredAny>,
    created_at: Option<String>,
    updated_at: Option<String>,
    closed_at: Option<String>,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    pull_request_review_id: Option<u64>,
    user: Option<User>,
    body: Option<String>,
    performed_via_github_app: Option<App>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct PullRequest {
    number: u64,
    user: Option<User>,
    body: Option<String>,
    state: Option<String>,
    head: Option<Head>,
    created_at: Option<String>,
    updated_at: Option<String>,
    closed_at: Option<String>,
}

#[derive(Deserialize)]
struct Review {
    id: u64,
    user: Option<User>,
    body: Option<String>,
    state: Option<String>,
    submitted_at: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "ref")]
    name: Option<String>,
    sha: Option<String>,
}

#[derive(Deserialize)]
struct App {
    id: u64,
}

#[derive(Deserialize)]
struct Label {
    name: Option<String>,
}

mod checks;
mod inputs;

/// What a review is that wants changes.
const CHANGES_REQUESTED: &str = "changes_requested";
/// The `type` of an account that is not a person.
const BOT: &str = "Bot";

/// The events that may say something to us; the App is to be subscribed to them (`manifests/github-app.json`).
pub(super) const LISTENED_TO: [&str; 5] =
    ["issue_comment", "issues", "pull_request", "pull_request_review", "pull_request_review_comment"];

/// The event by which programs send commands, where the App is subscribed to it, and the type that is for us.
const DISPATCH: (&str, &str) = ("repository_dispatch", "patchwright");

/// Reads the event, or says why there is none to listen to.
pub(super) fn parse(delivery: &RawDelivery) -> Result<Event, String> {
    let is_of_check = checks::EVENTS.contains(&delivery.event.as_str());
    let is_sent = [DISPATCH.0, inputs::EVENT].contains(&delivery.event.as_str());
    if !is_of_check && !is_sent && !LISTENED_TO.contains(&delivery.event.as_str()) {
        return Err(format!("`{}` events start nothing", printable(&delivery.event)));
    }
    let payload: Payload = serde_json::from_slice(&delivery.body).map_err(|e| format!("the payload cannot be read: {e}"))?;
    if let Some(asked) = checks::asked(&delivery.event, &delivery.body).filter(|_| is_of_check) {
        return Ok(Event {
            delivery: delivery.id.clone(),
            kind: asked?,
            repo: repository(&payload)?,
            actor: actor(payload.sender.as_ref())?,
            at: delivery.received_at,
            described: None,
            proposes: None,
        });
    }
    if is_of_check {
        return Ok(Event {
            delivery: delivery.id.clone(),
            kind: checks::failed(&delivery.event, &delivery.body)?,
            repo: repository(&payload)?,
            // Nobody has asked, so that it does not matter who was first to push or to run it again.
            actor: actor(payload.sender.as_ref()).unwrap_or_else(|_| checks::nobody()),
            at: delivery.received_at,
            described: None,
            proposes: None,
        });
    }
    let action = payload.action.as_deref().unwrap_or_default();
    let read = match (delivery.event.as_str(), action) {
        ("issue_comment", "created" | "edited") => comment_written(&payload),
        ("issues", "opened" | "edited") => issue_written(&payload),
        ("issues", "labeled") => issue_labeled(&payload),
        ("issues", "assigned") => issue_assigned(&payload),
        ("issues", "closed") => issue(&payload).map(|issue| closed(issue.number, issue.closed_at.as_deref())),
        ("pull_request", "opened" | "edited") => pull_request_written(&payload),
        ("pull_request", "synchronize" | "reopened") => pushed(&payload),
        ("pull_request", "labeled") => pull_request_labeled(&payload),
        ("pull_request", "assigned") => pull_request_assigned(&payload),
        ("pull_request", "review_requested") => review_requested(&payload),
        (event, action) if (event, action) == DISPATCH => dispatched(&payload),
        (inputs::EVENT, _) => inputs::dispatched(&payload),
        ("pull_request", "closed") => pull_request(&payload).map(|found| closed(found.number, found.closed_at.as_deref())),
        ("pull_request_review", "submitted" | "edited") => review_written(&payload),
        ("pull_request_review_comment", "created" | "edited") => review_comment_written(&payload),
        (event, _) => return Err(format!("`{event}` events with the action `{}` start nothing", printable(action))),
    };
    let (kind, at) = read?;
    Ok(Event {
        delivery: delivery.id.clone(),
        repo: repository(&payload)?,
        actor: actor(payload.sender.as_ref())?,
        at: at.and_then(|at| at.parse::<Timestamp>().ok()).unwrap_or(delivery.received_at),
        kind,
        described: payload.issue.as_ref().map(described),
        proposes: proposed(delivery, &payload),
    })
}

fn described(issue: &Issue) -> Described {
    Described::new(issue.title.as_deref().unwrap_or_default(), issue.body.as_deref().unwrap_or_default())
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).take(50).collect()
}

/// What a pull request proposes from now on.
fn proposed(delivery: &RawDelivery, payload: &Payload) -> Option<CommitId> {
    let is_new = matches!(payload.action.as_deref(), Some("opened" | "synchronize" | "reopened"));
    let found = payload.pull_request.as_ref().filter(|_| is_new && delivery.event == "pull_request")?;
    CommitId::parse(found.head.as_ref()?.sha.as_deref()?)
}

fn pushed(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let PullRequest { number, updated_at, .. } = pull_request(payload)?;
    Ok((EventKind::Pushed { pull_request: IssueNumber(*number) }, updated_at.as_deref()))
}

/// What was asked for after that is not meant, however late it is told.
fn closed(number: u64, at: Option<&str>) -> (EventKind, Option<&str>) {
    (EventKind::IssueClosed { issue: IssueNumber(number) }, at)
}

fn comment_written(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let issue = issue(payload)?;
    commented(payload, IssueNumber(issue.number), issue.pull_request.is_some(), |comment| Place::Comment(comment.id))
}

fn review_comment_written(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let place = |comment: &Comment| Place::ReviewComment { comment: comment.id, review: comment.pull_request_review_id };
    commented(payload, IssueNumber(pull_request(payload)?.number), true, place)
}

fn commented(
    payload: &Payload,
    issue: IssueNumber,
    on_pull_request: bool,
    place: fn(&Comment) -> Place,
) -> Result<(EventKind, Option<&str>), String> {
    let comment = payload.comment.as_ref().ok_or("the payload holds no comment")?;
    let body = comment.body.as_deref().unwrap_or_default();
    let whole = |body: &str| Text { title: None, body: Untrusted::new(body) };
    let before = changed(payload, comment.user.as_ref())?.map(|changes| whole(before(changes.body.as_ref(), body)));
    let at = if before.is_some() { &comment.updated_at } else { &comment.created_at };
    let via_app = comment.performed_via_github_app.as_ref().map(|app| app.id);
    let kind = EventKind::Written {
        issue,
        place: place(comment),
        text: whole(body),
        before,
        on_pull_request,
        via_app,
        wants_changes: false,
    };
    Ok((kind, at.as_deref()))
}

/// What GitHub writes below a comment ("Reference in new issue") or above a discussion of which somebody makes an issue. Its title is
/// taken from there as well.
const COPIED: [&str; 2] = ["Originally posted by ", "<div type='discussions-op-text'>"];

/// What stands in an issue itself: its title, and its text below.
fn issue_written(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let issue = issue(payload)?;
    let (title, body) = (issue.title.as_deref().unwrap_or_default(), issue.body.as_deref().unwrap_or_default());
    let whole = |title: &str, body: &str| Text { title: Some(Untrusted::new(title)), body: Untrusted::new(body) };
    let was = |changes: &Changes| whole(before(changes.title.as_ref(), title), before(changes.body.as_ref(), body));
    if COPIED.iter().any(|mark| body.contains(mark)) {
        return Err("the issue was made of what somebody else has written".into());
    }
    let before = changed(payload, issue.user.as_ref())?.map(was);
    let at = if before.is_some() { &issue.updated_at } else { &issue.created_at };
    let kind = EventKind::Written {
        issue: IssueNumber(issue.number),
        place: Place::Description,
        text: whole(title, body),
        before,
        on_pull_request: issue.pull_request.is_some(),
        via_app: issue.performed_via_github_app.as_ref().map(|app| app.id),
        wants_changes: false,
    };
    Ok((kind, at.as_deref()))
}

/// What stands in a pull request itself. Its title says what it changes, and GitHub proposes that of a commit, whoever has made it.
fn pull_request_written(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let found = pull_request(payload)?;
    let body = found.body.as_deref().unwrap_or_default();
    let whole = |body: &str| Text { title: None, body: Untrusted::new(body) };
    let before = changed(payload, found.user.as_ref())?.map(|changes| whole(before(changes.body.as_ref(), body)));
    let at = if before.is_some() { &found.updated_at } else { &found.created_at };
    let kind = EventKind::Written {
        issue: IssueNumber(found.number),
        place: Place::Description,
        text: whole(body),
        before,
        on_pull_request: true,
        via_app: None,
        wants_changes: false,
    };
    Ok((kind, at.as_deref()))
}

/// What a review says of a pull request as a whole. When it was edited GitHub does not tell.
fn review_written(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let pull_request = pull_request(payload)?;
    let review = payload.review.as_ref().ok_or("the payload holds no review")?;
    let body = review.body.as_deref().unwrap_or_default();
    let whole = |body: &str| Text { title: None, body: Untrusted::new(body) };
    let before = changed(payload, review.user.as_ref())?.map(|changes| whole(before(changes.body.as_ref(), body)));
    let at = if before.is_some() { None } else { review.submitted_at.as_deref() };
    let is_called_as_ours = pull_request.head.as_ref().and_then(|head| head.name.as_deref()).is_some_and(is_own_branch);
    let wants_changes = before.is_none() && is_called_as_ours && review.state.as_deref() == Some(CHANGES_REQUESTED);
    let kind = EventKind::Written {
        issue: IssueNumber(pull_request.number),
        place: Place::Review(review.id),
        text: whole(body),
        before,
        on_pull_request: true,
        via_app: None,
        wants_changes,
    };
    Ok((kind, at))
}

/// What was changed, where it is an edit that is told of: without it nobody knows whether a command is new.
///
/// Only an author's own text is heard. Who moves an issue here, or mends a fence in what somebody else has written, may do more
/// than its author, and has not asked for what stands there.
fn changed<'p>(payload: &'p Payload, author: Option<&User>) -> Result<Option<&'p Changes>, String> {
    let of = |user: Option<&User>| user.and_then(|user| user.id);
    if of(author).is_none() || of(author) != of(payload.sender.as_ref()) {
        return Err("the sender has not written the text".into());
    }
    if payload.action.as_deref() != Some("edited") {
        return Ok(None);
    }
    payload.changes.as_ref().map(Some).ok_or_else(|| "the payload does not say what was edited".into())
}

/// A text before an edit, which has left alone what it does not tell of.
fn before<'p>(change: Option<&'p Before>, now: &'p str) -> &'p str {
    change.map_or(now, |before| before.from.as_deref().unwrap_or_default())
}

fn issue_labeled(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let Issue { number, state, updated_at, pull_request, .. } = issue(payload)?;
    Ok((labeled(payload, *number, state.as_deref(), pull_request.is_some())?, updated_at.as_deref()))
}

fn pull_request_labeled(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let PullRequest { number, state, updated_at, .. } = pull_request(payload)?;
    Ok((labeled(payload, *number, state.as_deref(), true)?, updated_at.as_deref()))
}

fn labeled(payload: &Payload, number: u64, state: Option<&str>, on_pull_request: bool) -> Result<EventKind, String> {
    let label = payload.label.as_ref().and_then(|label| label.name.clone()).ok_or("the payload holds no label")?;
    Ok(EventKind::IssueLabeled { issue: IssueNumber(number), label, is_open: is_open(state), on_pull_request })
}

fn issue_assigned(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let Issue { number, state, updated_at, pull_request, .. } = issue(payload)?;
    Ok((assigned(payload, *number, state.as_deref(), pull_request.is_some())?, updated_at.as_deref()))
}

fn pull_request_assigned(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let PullRequest { number, state, updated_at, .. } = pull_request(payload)?;
    Ok((assigned(payload, *number, state.as_deref(), true)?, updated_at.as_deref()))
}

fn assigned(payload: &Payload, number: u64, state: Option<&str>, on_pull_request: bool) -> Result<EventKind, String> {
    let assignee = payload.assignee.as_ref().and_then(|user| user.login.clone()).ok_or("the payload names no assignee")?;
    Ok(EventKind::IssueAssigned { issue: IssueNumber(number), assignee, is_open: is_open(state), on_pull_request })
}

/// A review may be asked of a team, too, which is nobody.
fn review_requested(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let PullRequest { number, state, updated_at, .. } = pull_request(payload)?;
    let reviewer = payload.requested_reviewer.as_ref().and_then(|user| user.login.clone());
    let reviewer = reviewer.ok_or("the payload names no reviewer")?;
    let kind = EventKind::ReviewRequested { pull_request: IssueNumber(*number), reviewer, is_open: is_open(state.as_deref()) };
    Ok((kind, updated_at.as_deref()))
}

/// A command that a program has sent. GitHub does not say when.
fn dispatched(payload: &Payload) -> Result<(EventKind, Option<&str>), String> {
    let sent = payload.client_payload.as_ref().ok_or("the payload holds no `client_payload`")?;
    let (issue, on_pull_request) = match (sent.issue, sent.pull_request) {
        (Some(issue), None) => (issue, false),
        (None, Some(pull_request)) => (pull_request, true),
        (Some(_), Some(_)) | (None, None) => {
            return Err("`client_payload` names neither an `issue` nor a `pull_request`, or both".into());
        }
    };
    let command = sent.command.as_deref().ok_or("`client_payload` holds no `command`")?;
    Ok((EventKind::Dispatched { issue: IssueNumber(issue), on_pull_request, command: Untrusted::new(command) }, None))
}

fn pull_request(payload: &Payload) -> Result<&PullRequest, String> {
    payload.pull_request.as_ref().ok_or_else(|| "the payload holds no pull request".into())
}

fn issue(payload: &Payload) -> Result<&Issue, String> {
    payload.issue.as_ref().ok_or_else(|| "the payload holds no issue".into())
}

fn is_open(state: Option<&str>) -> bool {
    state != Some("closed")
}

fn repository(payload: &Payload) -> Result<RepoRef, String> {
    let installation = payload.installation.as_ref();
    let installation =
        installation.ok_or("the payload names no installation: it comes from a repository's own webhook, not from the App's")?;
    let repository = payload.repository.as_ref().ok_or("the payload names no repository")?;
    let owner = repository.owner.login.as_deref().ok_or("the payload names no owner of the repository")?;
    let branch = repository.default_branch.as_deref().ok_or("the payload names no default branch")?;
    RepoRef::new(repository.id, installation.id, owner, &repository.name, branch).map_err(|e| e.to_string())
}

fn actor(sender: Option<&User>) -> Result<Actor, String> {
    let sender = sender.ok_or("the payload names no sender")?;
    let (Some(id), Some(login)) = (sender.id, sender.login.clone()) else {
        return Err("the sender has no id or no login".into());
    };
    let is_well_formed =
        (1..=100).contains(&login.len()) && login.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_[]".contains(&b));
    if !is_well_formed {
        return Err("the sender's login has a form that GitHub does not give".into());
    }
    let is_bot = sender.kind.as_deref() == Some(BOT) || login.ends_with("[bot]");
    Ok(Actor { id, login, is_bot })
}
