//! Issues, the conversation of issues and pull requests, labels, reactions.

use serde_json::Value;

use super::{Answer, Call, Reply, created, invalid, not_found, ok, page, refuse};
use crate::rehearsal::{
    body,
    scene::{Issue, Reaction, Repository},
    world::World,
};

/// The most characters of a body of any kind.
pub(super) const BODY_CHARACTERS_MAX: usize = 65_536;

/// The most characters of a label's name.
const LABEL_CHARACTERS_MAX: usize = 50;

fn issue<'w>(world: &'w World, call: &Call) -> Result<(&'w Repository, &'w Issue), Answer> {
    let repo = world.repository(call.repo).ok_or_else(not_found)?;
    let issue = repo.issues.get(&call.number("issue_number")?).ok_or_else(not_found)?;
    Ok((repo, issue))
}

/// Refuses a body that is too long.
pub(super) fn check_length(resource: &str, text: &str) -> Result<(), Answer> {
    if text.chars().count() <= BODY_CHARACTERS_MAX {
        return Ok(());
    }
    let message = format!("body is too long (maximum is {BODY_CHARACTERS_MAX} characters)");
    Err(invalid(resource, "body", "custom", Some(message)))
}

pub(super) fn show(world: &mut World, call: &Call) -> Reply {
    let (repo, issue) = issue(world, call)?;
    ok(body::issue(world, repo, issue))
}

pub(super) fn labels(world: &mut World, call: &Call) -> Reply {
    let (repo, issue) = issue(world, call)?;
    let all = issue.labels.iter().map(|name| body::label(world, repo, name)).collect();
    let (items, headers) = page(world, call, all);
    Ok(Answer { status: 200, headers, body: Value::Array(items) })
}

/// Adds labels to those that are there.
pub(super) fn add_labels(world: &mut World, call: &Call) -> Reply {
    let (_, found) = issue(world, call)?;
    let (number, there) = (found.number, found.labels.clone());
    let wanted = call.body["labels"].as_array().filter(|labels| !labels.is_empty());
    let wanted: Option<Vec<&str>> = wanted.and_then(|labels| labels.iter().map(Value::as_str).collect());
    let wanted = wanted.ok_or_else(|| invalid("Label", "name", "missing_field", None))?;
    if wanted.iter().any(|name| name.is_empty() || name.chars().count() > LABEL_CHARACTERS_MAX) {
        return Err(invalid("Label", "name", "invalid", None));
    }
    let user = world.bot_login();
    for name in wanted.into_iter().filter(|name| !there.iter().any(|label| label.eq_ignore_ascii_case(name))) {
        world.set_label(call.repo, number, &user, name, true).ok_or_else(not_found)?;
    }
    labels(world, call)
}

pub(super) fn comments(world: &mut World, call: &Call) -> Reply {
    let (repo, issue) = issue(world, call)?;
    let since: Option<jiff::Timestamp> = call.query.get("since").and_then(|since| since.parse().ok());
    let recent = issue.comments.iter().filter(|comment| since.is_none_or(|since| comment.updated_at >= since));
    let (items, headers) = page(world, call, recent.collect());
    let items = items.into_iter().map(|comment| body::comment(world, repo, issue, comment)).collect();
    Ok(Answer { status: 200, headers, body: Value::Array(items) })
}

pub(super) fn new_comment(world: &mut World, call: &Call) -> Reply {
    let (_, issue) = issue(world, call)?;
    let number = issue.number;
    if issue.locked {
        return Err(refuse(403, "Unable to create comment because issue is locked."));
    }
    let text = text_of(call)?;
    let id = world.comment_on(call.repo, number, &world.bot_login(), text).ok_or_else(not_found)?;
    created(comment_shape(world, call, id)?)
}

fn text_of(call: &Call) -> Result<&str, Answer> {
    let text = call.field("body").filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| invalid("IssueComment", "body", "missing_field", None))?;
    check_length("IssueComment", text).map(|()| text)
}

fn comment_shape(world: &World, call: &Call, id: u64) -> Result<Value, Answer> {
    let (issue, comment) = world.comment(call.repo, id).ok_or_else(not_found)?;
    Ok(world.shape(call.repo, |world, repo| body::comment(world, repo, issue, comment)))
}

pub(super) fn comment(world: &mut World, call: &Call) -> Reply {
    ok(comment_shape(world, call, call.number("comment_id")?)?)
}

/// An App may write over every comment if it may write at all, as at GitHub.
pub(super) fn edit_comment(world: &mut World, call: &Call) -> Reply {
    let id = call.number("comment_id")?;
    world.comment(call.repo, id).ok_or_else(not_found)?;
    let text = text_of(call)?;
    world.edit_comment(call.repo, id, &world.bot_login(), text).ok_or_else(not_found)?;
    ok(comment_shape(world, call, id)?)
}

pub(super) fn delete_comment(world: &mut World, call: &Call) -> Reply {
    let user = world.bot_login();
    world.delete_comment(call.repo, call.number("comment_id")?, &user).ok_or_else(not_found)?;
    Ok(Answer { status: 204, headers: Vec::new(), body: Value::Null })
}

fn list_reactions(world: &World, call: &Call, reactions: &[Reaction]) -> Reply {
    let wanted = call.query.get("content");
    let listed = reactions.iter().filter(|reaction| wanted.is_none_or(|wanted| *wanted == reaction.content));
    let (items, headers) = page(world, call, listed.map(|reaction| body::reaction(world, reaction)).collect());
    Ok(Answer { status: 200, headers, body: Value::Array(items) })
}

pub(super) fn reactions(world: &mut World, call: &Call) -> Reply {
    list_reactions(world, call, &issue(world, call)?.1.reactions)
}

pub(super) fn comment_reactions(world: &mut World, call: &Call) -> Reply {
    let (_, comment) = world.comment(call.repo, call.number("comment_id")?).ok_or_else(not_found)?;
    list_reactions(world, call, &comment.reactions)
}

pub(super) fn review_comment_reactions(world: &mut World, call: &Call) -> Reply {
    let comment = world.review_comment_mut(call.repo, call.number("comment_id")?).ok_or_else(not_found)?;
    let reactions = comment.reactions.clone();
    list_reactions(world, call, &reactions)
}

pub(super) fn react(world: &mut World, call: &Call) -> Reply {
    let number = issue(world, call)?.1.number;
    add_reaction(world, call, |world| world.issue_mut(call.repo, number).map(|issue| &mut issue.reactions))
}

pub(super) fn react_to_comment(world: &mut World, call: &Call) -> Reply {
    let id = call.number("comment_id")?;
    add_reaction(world, call, |world| world.comment_mut(call.repo, id).map(|comment| &mut comment.reactions))
}

pub(super) fn react_to_review_comment(world: &mut World, call: &Call) -> Reply {
    let id = call.number("comment_id")?;
    add_reaction(world, call, |world| world.review_comment_mut(call.repo, id).map(|comment| &mut comment.reactions))
}

/// The same reaction twice is answered with the first.
fn add_reaction(world: &mut World, call: &Call, of: impl Fn(&mut World) -> Option<&mut Vec<Reaction>>) -> Reply {
    let content = call.field("content").filter(|content| body::is_reaction(content));
    let content = content.ok_or_else(|| invalid("Reaction", "content", "invalid", None))?;
    let reaction = world.new_reaction(&world.bot_login(), content);
    let reactions = of(world).ok_or_else(not_found)?;
    let known = reactions.iter().find(|known| known.user == reaction.user && known.content == reaction.content).cloned();
    if let Some(known) = known {
        return ok(body::reaction(world, &known));
    }
    reactions.push(reaction.clone());
    created(body::reaction(world, &reaction))
}
