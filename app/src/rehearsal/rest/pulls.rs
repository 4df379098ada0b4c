//! Pull requests.

use serde_json::Value;

use super::{Answer, Call, Reply, created, invalid, issues::check_length, not_found, ok, page, refuse};
use crate::rehearsal::{
    act::NewPull,
    body, git,
    scene::{Issue, Pull, Repository, Role, State},
    world::World,
};

pub(super) fn find<'w>(world: &'w World, call: &Call) -> Result<(&'w Repository, &'w Issue, &'w Pull), Answer> {
    let repo = world.repository(call.repo).ok_or_else(not_found)?;
    let issue = repo.issues.get(&call.number("pull_number")?).ok_or_else(not_found)?;
    Ok((repo, issue, issue.pull.as_ref().ok_or_else(not_found)?))
}

pub(super) fn list(world: &mut World, call: &Call) -> Reply {
    let repo = world.repository(call.repo).ok_or_else(not_found)?;
    let state = call.query.get("state").map_or("open", String::as_str);
    let head = call.query.get("head").filter(|head| head.contains(':'));
    let base = call.query.get("base");
    let is_wanted = |issue: &Issue, pull: &Pull| {
        let owner = world.repository(pull.head_repo).map_or("", |repo| repo.owner.as_str());
        let has_head = head.is_none_or(|head| *head == format!("{owner}:{}", pull.head));
        (state == "all" || issue.state.word() == state) && has_head && base.is_none_or(|base| *base == pull.base)
    };
    let pulls = repo.issues.values().rev().filter_map(|issue| issue.pull.as_ref().map(|pull| (issue, pull)));
    let (items, headers) = page(world, call, pulls.filter(|(issue, pull)| is_wanted(issue, pull)).collect());
    let items = items.into_iter().map(|(issue, pull)| body::pull_simple(world, repo, issue, pull)).collect();
    Ok(Answer { status: 200, headers, body: Value::Array(items) })
}

/// Lists the pull requests that a commit is in, open and closed.
pub(super) fn of_commit(world: &mut World, call: &Call) -> Reply {
    let repo = world.repository(call.repo).ok_or_else(not_found)?;
    let sha = call.text("commit_sha");
    git::find_commit(&repo.path, sha).ok_or_else(|| refuse(422, &format!("No commit found for SHA: {sha}")))?;
    let has = |pull: &Pull| {
        let compared = git::compare(&repo.path, &pull.base_sha, &pull.head_sha);
        pull.head_sha == sha || compared.is_some_and(|compared| compared.commits.iter().any(|commit| commit == sha))
    };
    let pulls = repo.issues.values().rev().filter_map(|issue| issue.pull.as_ref().map(|pull| (issue, pull)));
    let (items, headers) = page(world, call, pulls.filter(|(_, pull)| has(pull)).collect());
    let items = items.into_iter().map(|(issue, pull)| body::pull_simple(world, repo, issue, pull)).collect();
    Ok(Answer { status: 200, headers, body: Value::Array(items) })
}

pub(super) fn create(world: &mut World, call: &Call) -> Reply {
    let repo = world.repository(call.repo).ok_or_else(not_found)?;
    let required = |name: &str| {
        let text = call.field(name).filter(|text| !text.is_empty());
        text.ok_or_else(|| invalid("PullRequest", name, "missing_field", None))
    };
    let (head, base, title) = (required("head")?, required("base")?, required("title")?);
    let head = head.strip_prefix(&format!("{}:", repo.owner)).unwrap_or(head);
    check_length("PullRequest", call.field("body").unwrap_or_default())?;
    check_branches(repo, head, base)?;
    let new = NewPull {
        title: title.to_owned(),
        body: call.field("body").map(str::to_owned),
        head_repo: call.repo,
        head: head.to_owned(),
        base: base.to_owned(),
        draft: call.body["draft"].as_bool().unwrap_or(false),
        maintainer_can_modify: call.body["maintainer_can_modify"].as_bool().unwrap_or(false),
    };
    let number = world.open_pull(call.repo, &world.bot_login(), new).ok_or_else(not_found)?;
    created(shape(world, call, number)?)
}

fn check_branches(repo: &Repository, head: &str, base: &str) -> Result<(), Answer> {
    let head_sha = repo.heads.get(head).ok_or_else(|| invalid("PullRequest", "head", "invalid", None))?;
    let base_sha = repo.heads.get(base).ok_or_else(|| invalid("PullRequest", "base", "invalid", None))?;
    let taken = |message: String| Err(invalid("PullRequest", "head", "custom", Some(message)));
    let is_same = |pull: &Pull| pull.head_repo == repo.id && pull.head == head && pull.base == base;
    let mut open = repo.issues.values().filter(|issue| issue.state == State::Open);
    if open.any(|issue| issue.pull.as_ref().is_some_and(is_same)) {
        return taken(format!("A pull request already exists for {}:{head}.", repo.owner));
    }
    match git::compare(&repo.path, base_sha, head_sha) {
        None => taken(format!("The {head} branch has no history in common with {base}")),
        Some(compared) if compared.commits.is_empty() => taken(format!("No commits between {base} and {head}")),
        Some(_) => Ok(()),
    }
}

fn shape(world: &World, call: &Call, number: u64) -> Result<Value, Answer> {
    let issue = world.issue(call.repo, number).ok_or_else(not_found)?;
    let pull = issue.pull.as_ref().ok_or_else(not_found)?;
    Ok(world.shape(call.repo, |world, repo| body::pull(world, repo, issue, pull)))
}

/// The first time somebody asks, GitHub does not know yet whether it can be merged.
pub(super) fn show(world: &mut World, call: &Call) -> Reply {
    let (repo, issue, pull) = find(world, call)?;
    let (shape, number) = (body::pull(world, repo, issue, pull), issue.number);
    if let Some(pull) = world.issue_mut(call.repo, number).and_then(|issue| issue.pull.as_mut()) {
        pull.mergeability_known = true;
    }
    ok(shape)
}

pub(super) fn update(world: &mut World, call: &Call) -> Reply {
    let (repo, issue, _) = find(world, call)?;
    let number = issue.number;
    check_length("PullRequest", call.field("body").unwrap_or_default())?;
    if call.field("base").is_some_and(|base| !repo.heads.contains_key(base)) {
        return Err(invalid("PullRequest", "base", "invalid", None));
    }
    let bot = world.bot_login();
    match call.field("state") {
        Some("open") => world.set_state(call.repo, number, &bot, State::Open),
        Some("closed") => world.set_state(call.repo, number, &bot, State::Closed),
        Some(_) => return Err(invalid("PullRequest", "state", "invalid", None)),
        None => Some(()),
    };
    world.edit_issue(call.repo, number, &bot, &call.body).ok_or_else(not_found)?;
    ok(shape(world, call, number)?)
}

pub(super) fn files(world: &mut World, call: &Call) -> Reply {
    let (repo, _, pull) = find(world, call)?;
    let compared = git::compare(&repo.path, &pull.base_sha, &pull.head_sha).ok_or_else(not_found)?;
    let all = compared.changes.iter().map(|change| body::change(world, repo, &pull.head_sha, change)).collect();
    let (items, headers) = page(world, call, all);
    Ok(Answer { status: 200, headers, body: Value::Array(items) })
}

/// Answers what stands beside lines.
pub(super) fn reply(world: &mut World, call: &Call) -> Reply {
    find(world, call)?;
    let text = call.field("body").filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| invalid("PullRequestReviewComment", "body", "missing_field", None))?;
    check_length("PullRequestReviewComment", text)?;
    let bot = world.bot_login();
    let made = world.reply_to_remark(call.repo, call.number("comment_id")?, &bot, text).ok_or_else(not_found)?;
    let (repo, issue, pull) = find(world, call)?;
    let all = crate::rehearsal::review::comment_bodies(world, repo, issue, pull);
    created(all.into_iter().find(|comment| comment["id"] == made).ok_or_else(not_found)?)
}

/// What stands beside lines, in the order in which it was written.
pub(super) fn comments(world: &mut World, call: &Call) -> Reply {
    let (repo, issue, pull) = find(world, call)?;
    let all = crate::rehearsal::review::comment_bodies(world, repo, issue, pull);
    let (items, headers) = page(world, call, all);
    Ok(Answer { status: 200, headers, body: Value::Array(items) })
}

/// Asks people and teams for a review: all of them, or nobody.
pub(super) fn request_reviewers(world: &mut World, call: &Call) -> Reply {
    let (repo, issue, pull) = find(world, call)?;
    let names = |field: &str| call.body[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let people: Vec<String> = names("reviewers").collect();
    let teams: Vec<String> = names("team_reviewers").collect();
    let may_review = |login: &String| repo.roles.get(&login.to_lowercase()).is_some_and(|role| *role != Role::None);
    if people.iter().any(|login| login.eq_ignore_ascii_case(&issue.user)) {
        return Err(refuse(422, "Review cannot be requested from pull request author."));
    }
    let sees_teams = call.token.as_ref().is_some_and(|token| token.holds("members", "read"));
    if !teams.is_empty() && !sees_teams {
        let message = "Could not resolve to a node with the global id of 'T_kwDOAJy2Ks4AXVqN'.";
        return Err(invalid("PullRequest", "team_reviewers", "custom", Some(message.to_owned())));
    }
    if !people.iter().all(may_review) || !teams.iter().all(|slug| repo.teams.contains(slug)) {
        let told = format!(
            "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator \
             of the {} repository.",
            repo.full_name()
        );
        return Err(refuse(422, &told));
    }
    let (number, asked) = (issue.number, (pull.requested_reviewers.clone(), pull.requested_teams.clone()));
    let user = world.bot_login();
    for login in people.iter().filter(|login| !asked.0.contains(login)) {
        world.request_review(call.repo, number, &user, login).ok_or_else(not_found)?;
    }
    for slug in teams.iter().filter(|slug| !asked.1.contains(slug)) {
        world.request_team_review(call.repo, number, &user, slug).ok_or_else(not_found)?;
    }
    let (repo, issue, pull) = find(world, call)?;
    created(body::pull_simple(world, repo, issue, pull))
}
