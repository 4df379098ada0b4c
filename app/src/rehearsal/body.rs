//! The shapes of GitHub's JSON: people, issues, comments, pull requests. Repositories and check runs are next door.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    git::{Change, Committed, Comparison},
    repository_body::repository,
    scene::{Account, Checker, Comment, Installation, Issue, Pull, Reaction, Repository, User},
    world::World,
};

/// The number of the GitHub Actions App.
pub(super) const ACTIONS_APP_ID: u64 = 15_368;

const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket"];

/// A time as GitHub writes it, in whole seconds.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn node_id(kind: &str, id: u64) -> String {
    STANDARD.encode(format!("{}:{kind}{id}", kind.len()))
}

/// Puts the fields of the second object into the first.
pub(super) fn merged(mut into: Value, more: Value) -> Value {
    if let (Value::Object(into), Value::Object(more)) = (&mut into, more) {
        into.extend(more);
    }
    into
}

pub(super) fn user(world: &World, login: &str) -> Value {
    world.user(login).map_or(Value::Null, |user| simple_user(world, user))
}

fn simple_user(world: &World, user: &User) -> Value {
    let (web, login) = (&world.web, user.login.as_str());
    let path = login.replace('[', "%5B").replace(']', "%5D");
    let url = format!("{}/users/{path}", world.api);
    let page = login.strip_suffix("[bot]").map_or_else(|| format!("{web}/{login}"), |slug| format!("{web}/apps/{slug}"));
    let kind = match user.account {
        Account::User => "User",
        Account::Organization => "Organization",
        Account::Bot => "Bot",
    };
    json!({
        "login": login,
        "id": user.id,
        "node_id": node_id(kind, user.id),
        "avatar_url": format!("{web}/avatars/u/{}?v=4", user.id),
        "gravatar_id": "",
        "url": url,
        "html_url": page,
        "followers_url": format!("{url}/followers"),
        "following_url": format!("{url}/following{{/other_user}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"),
        "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"),
        "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"),
        "type": kind,
        "user_view_type": "public",
        "site_admin": false,
    })
}

pub(super) fn public_user(world: &World, found: &User) -> Value {
    let at = time(world.started_at);
    let more = json!({
        "name": found.login, "company": null, "blog": "", "location": null, "email": null, "hireable": null, "bio": null,
        "twitter_username": null, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
        "created_at": at, "updated_at": at,
    });
    merged(simple_user(world, found), more)
}

/// The App as it asks for itself.
pub(super) fn own_app(world: &World) -> Value {
    merged(app(world), json!({"installations_count": world.installations.len()}))
}

fn app(world: &World) -> Value {
    let settings = &world.settings;
    an_app(world, settings.app_id, &settings.app_slug, &world.bot_login(), json!(settings.permissions))
}

fn an_app(world: &World, id: u64, slug: &str, owner: &str, permissions: Value) -> Value {
    let at = time(world.started_at);
    json!({
        "id": id,
        "slug": slug,
        "client_id": format!("Iv1.{id:016x}"),
        "node_id": node_id("App", id),
        "owner": user(world, owner),
        "name": slug,
        "description": "",
        "external_url": format!("{}/apps/{slug}", world.web),
        "html_url": format!("{}/apps/{slug}", world.web),
        "created_at": at,
        "updated_at": at,
        "permissions": permissions,
        "events": world.settings.events,
    })
}

/// The App that a check run belongs to.
pub(super) fn checker(world: &World, checker: Checker) -> Value {
    match checker {
        Checker::OurApp => app(world),
        Checker::Actions => {
            an_app(world, ACTIONS_APP_ID, "github-actions", "github-actions[bot]", json!({"checks": "write", "metadata": "read"}))
        }
    }
}

fn via_app(world: &World, via: bool) -> Value {
    if via { app(world) } else { Value::Null }
}

pub(super) fn installation(world: &World, found: &Installation) -> Value {
    let url = format!("{}/app/installations/{}", world.api, found.id);
    let account = world.user(&found.account);
    json!({
        "id": found.id,
        "client_id": format!("Iv1.{:016x}", world.settings.app_id),
        "account": user(world, &found.account),
        "repository_selection": "all",
        "access_tokens_url": format!("{url}/access_tokens"),
        "repositories_url": format!("{}/installation/repositories", world.api),
        "html_url": format!("{}/settings/installations/{}", world.web, found.id),
        "app_id": world.settings.app_id,
        "app_slug": world.settings.app_slug,
        "target_id": account.map_or(0, |account| account.id),
        "target_type": if account.is_some_and(|account| account.account == Account::Organization) { "Organization" } else { "User" },
        "permissions": found.permissions,
        "events": world.settings.events,
        "created_at": time(found.created_at),
        "updated_at": time(found.created_at),
        "single_file_name": null,
        "has_multiple_single_files": false,
        "single_file_paths": [],
        "suspended_by": found.suspended_at.map_or(Value::Null, |_| user(world, &found.account)),
        "suspended_at": found.suspended_at.map(time),
    })
}

pub(super) fn label(world: &World, repo: &Repository, name: &str) -> Value {
    let id = number_of(name);
    json!({
        "id": id,
        "node_id": node_id("Label", id),
        "url": format!("{}/labels/{name}", world.repository_api(repo)).replace(' ', "%20"),
        "name": name,
        "color": "ededed",
        "default": false,
        "description": null,
    })
}

/// A team of the repository's owner's.
pub(super) fn team(world: &World, repo: &Repository, slug: &str) -> Value {
    let id = number_of(slug);
    let url = format!("{}/organizations/{}/team/{id}", world.api, world.user(&repo.owner).map_or(0, |owner| owner.id));
    json!({
        "id": id,
        "node_id": node_id("Team", id),
        "name": slug,
        "slug": slug,
        "description": null,
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "push",
        "url": url,
        "html_url": format!("{}/orgs/{}/teams/{slug}", world.web, repo.owner),
        "members_url": format!("{url}/members{{/member}}"),
        "repositories_url": format!("{url}/repos"),
        "type": "organization",
        "parent": null,
    })
}

/// A number for a name, the same each time.
fn number_of(name: &str) -> u64 {
    name.bytes().fold(7u64, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_000_007)
}

pub(super) fn reaction(world: &World, found: &Reaction) -> Value {
    json!({
        "id": found.id,
        "node_id": node_id("Reaction", found.id),
        "user": user(world, &found.user),
        "content": found.content,
        "created_at": time(found.created_at),
    })
}

pub(super) fn is_reaction(content: &str) -> bool {
    REACTIONS.contains(&content)
}

pub(super) fn reactions(url: &str, found: &[Reaction]) -> Value {
    let mut counts = Map::new();
    counts.insert("url".into(), json!(format!("{url}/reactions")));
    counts.insert("total_count".into(), json!(found.len()));
    for content in REACTIONS {
        let count = found.iter().filter(|reaction| reaction.content == content).count();
        counts.insert(content.into(), json!(count));
    }
    Value::Object(counts)
}

/// What the author is to the repository; never to be taken for a permission.
pub(super) fn association(repo: &Repository, login: &str) -> &'static str {
    if repo.owner.eq_ignore_ascii_case(login) {
        "OWNER"
    } else if repo.roles.contains_key(&login.to_lowercase()) {
        "COLLABORATOR"
    } else {
        "NONE"
    }
}

pub(super) fn issue_page(world: &World, repo: &Repository, issue: &Issue) -> String {
    let kind = if issue.pull.is_some() { "pull" } else { "issues" };
    format!("{}/{}/{kind}/{}", world.web, repo.full_name(), issue.number)
}

fn assignees(world: &World, issue: &Issue) -> Vec<Value> {
    issue.assignees.iter().map(|login| user(world, login)).collect()
}

pub(super) fn issue(world: &World, repo: &Repository, found: &Issue) -> Value {
    let api = world.repository_api(repo);
    let url = format!("{api}/issues/{}", found.number);
    let page = issue_page(world, repo, found);
    let labels: Vec<_> = found.labels.iter().map(|name| label(world, repo, name)).collect();
    let assignees = assignees(world, found);
    let mut body = json!({
        "url": url,
        "repository_url": api,
        "labels_url": format!("{url}/labels{{/name}}"),
        "comments_url": format!("{url}/comments"),
        "events_url": format!("{url}/events"),
        "html_url": page,
        "id": found.id,
        "node_id": node_id("Issue", found.id),
        "number": found.number,
        "title": found.title,
        "user": user(world, &found.user),
        "labels": labels,
        "state": found.state.word(),
        "state_reason": found.closed_at.map(|_| "completed"),
        "locked": found.locked,
        "active_lock_reason": null,
        "assignee": assignees.first(),
        "assignees": assignees,
        "milestone": null,
        "comments": found.comments.len(),
        "created_at": time(found.created_at),
        "updated_at": time(found.updated_at),
        "closed_at": found.closed_at.map(time),
        "author_association": association(repo, &found.user),
        "body": found.body,
        "reactions": reactions(&url, &found.reactions),
        "timeline_url": format!("{url}/timeline"),
        "performed_via_github_app": via_app(world, found.via_app),
    });
    if let Some(pull) = &found.pull {
        let links = json!({
            "url": format!("{api}/pulls/{}", found.number),
            "html_url": page,
            "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"),
            "merged_at": null,
        });
        body = merged(body, json!({"draft": pull.draft, "pull_request": links}));
    }
    body
}

pub(super) fn comment(world: &World, repo: &Repository, issue: &Issue, found: &Comment) -> Value {
    let api = world.repository_api(repo);
    let url = format!("{api}/issues/comments/{}", found.id);
    json!({
        "url": url,
        "html_url": format!("{}#issuecomment-{}", issue_page(world, repo, issue), found.id),
        "issue_url": format!("{api}/issues/{}", issue.number),
        "id": found.id,
        "node_id": node_id("IssueComment", found.id),
        "user": user(world, &found.user),
        "created_at": time(found.created_at),
        "updated_at": time(found.updated_at),
        "author_association": association(repo, &found.user),
        "body": found.body,
        "reactions": reactions(&url, &found.reactions),
        "performed_via_github_app": via_app(world, found.via_app),
    })
}

/// A pull request as it stands in lists.
pub(super) fn pull_simple(world: &World, repo: &Repository, issue: &Issue, pull: &Pull) -> Value {
    let api = world.repository_api(repo);
    let (url, page) = (format!("{api}/pulls/{}", issue.number), issue_page(world, repo, issue));
    let issue_url = format!("{api}/issues/{}", issue.number);
    let labels: Vec<_> = issue.labels.iter().map(|name| label(world, repo, name)).collect();
    let assignees = assignees(world, issue);
    let end = |repo: &Repository, branch: &str, sha: &str| {
        let label = format!("{}:{branch}", repo.owner);
        json!({"label": label, "ref": branch, "sha": sha, "user": user(world, &repo.owner), "repo": repository(world, repo)})
    };
    let head_repo = world.repository(pull.head_repo).unwrap_or(repo);
    json!({
        "url": url,
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "html_url": page,
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "issue_url": issue_url,
        "number": issue.number,
        "state": issue.state.word(),
        "locked": issue.locked,
        "title": issue.title,
        "user": user(world, &issue.user),
        "body": issue.body,
        "created_at": time(issue.created_at),
        "updated_at": time(issue.updated_at),
        "closed_at": issue.closed_at.map(time),
        "merged_at": null,
        "merge_commit_sha": null,
        "assignee": assignees.first(),
        "assignees": assignees,
        "requested_reviewers": pull.requested_reviewers.iter().map(|login| user(world, login)).collect::<Vec<_>>(),
        "requested_teams": pull.requested_teams.iter().map(|slug| team(world, repo, slug)).collect::<Vec<_>>(),
        "labels": labels,
        "milestone": null,
        "draft": pull.draft,
        "commits_url": format!("{url}/commits"),
        "review_comments_url": format!("{url}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
        "comments_url": format!("{issue_url}/comments"),
        "statuses_url": format!("{api}/statuses/{}", pull.head_sha),
        "head": end(head_repo, &pull.head, &pull.head_sha),
        "base": end(repo, &pull.base, &pull.base_sha),
        "_links": pull_links(&api, &page, issue.number, &pull.head_sha),
        "author_association": association(repo, &issue.user),
        "auto_merge": null,
        "active_lock_reason": null,
    })
}

fn pull_links(api: &str, page: &str, number: u64, head_sha: &str) -> Value {
    json!({
        "self": {"href": format!("{api}/pulls/{number}")},
        "html": {"href": page},
        "issue": {"href": format!("{api}/issues/{number}")},
        "comments": {"href": format!("{api}/issues/{number}/comments")},
        "review_comments": {"href": format!("{api}/pulls/{number}/comments")},
        "review_comment": {"href": format!("{api}/pulls/comments{{/number}}")},
        "commits": {"href": format!("{api}/pulls/{number}/commits")},
        "statuses": {"href": format!("{api}/statuses/{head_sha}")},
    })
}

/// A pull request by itself; `mergeable` is null until the second time somebody asks.
pub(super) fn pull(world: &World, repo: &Repository, issue: &Issue, pull: &Pull) -> Value {
    let compared = super::git::compare(&repo.path, &pull.base_sha, &pull.head_sha);
    let compared = compared.unwrap_or(Comparison { commits: Vec::new(), changes: Vec::new(), mergeable: false });
    let mergeable = pull.mergeability_known.then_some(compared.mergeable);
    let mergeable_state = match mergeable {
        None => "unknown",
        Some(true) => "clean",
        Some(false) => "dirty",
    };
    let sum = |of: fn(&Change) -> usize| compared.changes.iter().map(of).sum::<usize>();
    let more = json!({
        "merged": false,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": mergeable_state,
        "merged_by": null,
        "comments": issue.comments.len(),
        "review_comments": 0,
        "maintainer_can_modify": pull.maintainer_can_modify,
        "commits": compared.commits.len(),
        "additions": sum(|change| change.additions),
        "deletions": sum(|change| change.deletions),
        "changed_files": compared.changes.len(),
    });
    merged(pull_simple(world, repo, issue, pull), more)
}

pub(super) fn change(world: &World, repo: &Repository, head: &str, change: &Change) -> Value {
    let page = format!("{}/{}", world.web, repo.full_name());
    let contents = format!("{}/contents/{}?ref={head}", world.repository_api(repo), change.path);
    let mut body = json!({
        "sha": change.sha,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": format!("{page}/blob/{head}/{}", change.path),
        "raw_url": format!("{page}/raw/{head}/{}", change.path),
        "contents_url": contents,
    });
    if let Some(patch) = &change.patch {
        body = merged(body, json!({"patch": patch}));
    }
    body
}

pub(super) fn commit(world: &World, repo: &Repository, found: &Committed) -> Value {
    let (api, page) = (world.repository_api(repo), format!("{}/{}", world.web, repo.full_name()));
    let url = format!("{api}/commits/{}", found.sha);
    let parent =
        |sha: &String| json!({"sha": sha, "url": format!("{api}/commits/{sha}"), "html_url": format!("{page}/commit/{sha}")});
    let sum = |of: fn(&Change) -> usize| found.changes.iter().map(of).sum::<usize>();
    let (additions, deletions) = (sum(|change| change.additions), sum(|change| change.deletions));
    json!({
        "sha": found.sha,
        "node_id": node_id("Commit", 0),
        "url": url,
        "html_url": format!("{page}/commit/{}", found.sha),
        "comments_url": format!("{url}/comments"),
        "commit": {
            "url": format!("{api}/git/commits/{}", found.sha),
            "author": found.author,
            "committer": found.committer,
            "message": found.message,
            "comment_count": 0,
            "tree": {"sha": found.tree, "url": format!("{api}/git/trees/{}", found.tree)},
            "verification": found.verification,
        },
        "author": null,
        "committer": null,
        "parents": found.parents.iter().map(parent).collect::<Vec<_>>(),
        "stats": {"additions": additions, "deletions": deletions, "total": additions + deletions},
        "files": found.changes.iter().map(|of| change(world, repo, &found.sha, of)).collect::<Vec<_>>(),
    })
}

/// A commit as git has it.
pub(super) fn git_commit(world: &World, repo: &Repository, found: &Committed) -> Value {
    let (api, page) = (world.repository_api(repo), format!("{}/{}", world.web, repo.full_name()));
    let parent =
        |sha: &String| json!({"sha": sha, "url": format!("{api}/git/commits/{sha}"), "html_url": format!("{page}/commit/{sha}")});
    json!({
        "sha": found.sha,
        "node_id": node_id("Commit", 0),
        "url": format!("{api}/git/commits/{}", found.sha),
        "html_url": format!("{page}/commit/{}", found.sha),
        "author": found.author,
        "committer": found.committer,
        "tree": {"sha": found.tree, "url": format!("{api}/git/trees/{}", found.tree)},
        "message": found.message,
        "parents": found.parents.iter().map(parent).collect::<Vec<_>>(),
        "verification": found.verification,
    })
}
