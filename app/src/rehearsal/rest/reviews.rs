//! Reviews of pull requests.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, issues::check_length, not_found, ok, page, pulls, refuse};
use crate::rehearsal::{
    git,
    review::{Remark, shape},
    world::World,
};

pub(super) fn list(world: &mut World, call: &Call) -> Reply {
    let (repo, issue, pull) = pulls::find(world, call)?;
    let (items, headers) = page(world, call, pull.reviews.iter().collect());
    let items = items.into_iter().map(|review| shape(world, repo, issue, review)).collect();
    Ok(Answer { status: 200, headers, body: Value::Array(items) })
}

/// Takes all of a review or none of it: beside lines that the pull request does not show nothing can be said.
pub(super) fn create(world: &mut World, call: &Call) -> Reply {
    let (repo, issue, pull) = pulls::find(world, call)?;
    let number = issue.number;
    let text = call.field("body").unwrap_or_default();
    check_length("PullRequestReview", text)?;
    let state = match call.field("event") {
        Some("COMMENT") if text.is_empty() => return Err(unprocessable("A review that comments needs a body")),
        Some("COMMENT") => "commented",
        Some("APPROVE") => "approved",
        Some("REQUEST_CHANGES") => "changes_requested",
        Some(_) | None => return Err(unprocessable("Could not submit review of this event")),
    };
    let compared = git::compare(&repo.path, &pull.base_sha, &pull.head_sha).ok_or_else(not_found)?;
    if call.field("commit_id").is_some_and(|commit| !compared.commits.iter().any(|known| known == commit)) {
        return Err(unprocessable("The commit_id is not part of the pull request"));
    }
    let comments = call.body["comments"].as_array().cloned().unwrap_or_default();
    let remarks = comments.iter().map(remark).collect::<Option<Vec<_>>>();
    let remarks = remarks.ok_or_else(|| unprocessable("A comment has no path, no body or no lines"))?;
    remarks.iter().try_for_each(|remark| check_length("PullRequestReviewComment", remark.text))?;
    let bot = world.bot_login();
    let outside = |_| unprocessable("Pull request review thread line must be part of the diff");
    let id = world.add_review(call.repo, number, &bot, (state, call.field("commit_id")), (text, &remarks)).map_err(outside)?;
    let (repo, issue, pull) = pulls::find(world, call)?;
    let review = pull.reviews.iter().find(|review| review.id == id).ok_or_else(not_found)?;
    ok(shape(world, repo, issue, review))
}

/// Of reviews GitHub says in words what is wrong.
fn unprocessable(problem: &str) -> Answer {
    let mut refused = refuse(422, "Unprocessable Entity");
    refused.body["errors"] = json!([problem]);
    refused
}

fn remark(comment: &Value) -> Option<Remark<'_>> {
    let start_line = comment["start_line"].as_u64();
    let line = comment["line"].as_u64().filter(|line| start_line.is_none_or(|start| start < *line))?;
    let (path, text) = (comment["path"].as_str()?, comment["body"].as_str().filter(|text| !text.is_empty())?);
    Some(Remark { path, start_line, line, text })
}
