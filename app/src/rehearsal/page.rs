//! Plain pages of issues and pull requests, so that the addresses in comments and reports lead somewhere.

use std::fmt::Write;

use super::{
    git,
    scene::{Issue, Pull, Repository},
    world::World,
};

/// Renders `/owner/name`, `/owner/name/issues/1` or `/owner/name/pull/1`.
pub(super) fn render(world: &World, path: &str) -> Option<String> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (owner, name) = (parts.first()?, parts.get(1)?);
    let repo = world.repository_named(owner, name)?;
    match parts.get(2..)? {
        [] => Some(front(repo)),
        ["issues" | "pull", number] => Some(conversation(repo, repo.issues.get(&number.parse().ok()?)?)),
        _ => None,
    }
}

fn front(repo: &Repository) -> String {
    let mut page = String::new();
    for issue in repo.issues.values().rev() {
        let kind = if issue.pull.is_some() { "pull" } else { "issues" };
        let address = format!("/{}/{kind}/{}", repo.full_name(), issue.number);
        line(&mut page, &format!("<li><a href=\"{address}\">{} (#{})</a></li>", escaped(&issue.title), issue.number));
    }
    whole(&repo.full_name(), &format!("<ul>\n{page}</ul>\n"))
}

fn conversation(repo: &Repository, issue: &Issue) -> String {
    let mut page = String::new();
    said(&mut page, &issue.user, issue.body.as_deref().unwrap_or_default());
    for comment in &issue.comments {
        said(&mut page, &comment.user, &comment.body);
    }
    if let Some(pull) = &issue.pull {
        changed(&mut page, repo, pull);
    }
    whole(&format!("{} ({}#{}, {})", issue.title, repo.full_name(), issue.number, issue.state.word()), &page)
}

fn said(page: &mut String, user: &str, text: &str) {
    line(page, &format!("<h2>{}</h2>\n<pre>{}</pre>", escaped(user), escaped(text)));
}

fn changed(page: &mut String, repo: &Repository, pull: &Pull) {
    for run in repo.checks.iter().filter(|run| run.head_sha == pull.head_sha) {
        let conclusion = run.conclusion.as_deref().unwrap_or(&run.status);
        line(page, &format!("<h2>Check: {}: {}</h2>", escaped(&run.name), escaped(conclusion)));
        line(page, &format!("<pre>{}</pre>", escaped(run.output["summary"].as_str().unwrap_or_default())));
    }
    let changes = git::compare(&repo.path, &pull.base_sha, &pull.head_sha).map(|compared| compared.changes);
    for change in changes.unwrap_or_default() {
        line(page, &format!("<h2>{} {}</h2>", change.status, escaped(&change.path)));
        line(page, &format!("<pre>{}</pre>", escaped(change.patch.as_deref().unwrap_or("(binary)"))));
    }
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("writing to a String cannot fail");
}

fn whole(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!("<!doctype html>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<h1>{title}</h1>\n{body}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
