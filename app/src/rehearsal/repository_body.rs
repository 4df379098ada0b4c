//! The shape of a repository in GitHub's JSON: mostly addresses.

use serde_json::{Map, Value, json};

use super::{
    body::{merged, node_id, time, user},
    scene::{Repository, State},
    world::World,
};

/// Fields that end in `_url` and what follows the repository's own address in each.
const ADDRESSES: [(&str, &str); 37] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
];

/// A repository as lists and webhooks have it.
pub(super) fn repository(world: &World, repo: &Repository) -> Value {
    let api = world.repository_api(repo);
    let addresses = ADDRESSES.iter().map(|(name, rest)| ((*name).to_owned(), json!(format!("{api}{rest}"))));
    merged(Value::Object(addresses.collect::<Map<_, _>>()), own_fields(world, repo))
}

fn own_fields(world: &World, repo: &Repository) -> Value {
    let page = format!("{}/{}", world.web, repo.full_name());
    let own = json!({
        "id": repo.id.0,
        "node_id": node_id("Repository", repo.id.0),
        "name": repo.name,
        "full_name": repo.full_name(),
        "private": true,
        "visibility": "private",
        "owner": user(world, &repo.owner),
        "html_url": page,
        "description": null,
        "fork": repo.fork_of.is_some(),
        "clone_url": format!("{page}.git"),
        "git_url": format!("{page}.git"),
        "ssh_url": format!("git@localhost:{}.git", repo.full_name()),
        "svn_url": page,
        "mirror_url": null,
        "homepage": null,
        "language": null,
        "license": null,
        "size": 0,
        "default_branch": repo.default_branch,
    });
    merged(own, traits(repo))
}

/// What is the same for nearly all.
fn traits(repo: &Repository) -> Value {
    let n_open = repo.issues.values().filter(|issue| issue.state == State::Open).count();
    json!({
        "topics": [],
        "custom_properties": {},
        "has_issues": repo.has_issues,
        "has_projects": false,
        "has_wiki": false,
        "has_pages": false,
        "has_downloads": false,
        "has_discussions": false,
        "is_template": false,
        "archived": repo.is_archived,
        "disabled": false,
        "allow_forking": true,
        "web_commit_signoff_required": false,
        "forks": 0,
        "forks_count": 0,
        "stargazers_count": 0,
        "watchers": 0,
        "watchers_count": 0,
        "open_issues": n_open,
        "open_issues_count": n_open,
        "created_at": time(repo.created_at),
        "updated_at": time(repo.created_at),
        "pushed_at": time(repo.pushed_at),
    })
}

/// A repository asked for by name.
pub(super) fn full(world: &World, repo: &Repository) -> Value {
    merged(repository(world, repo), json!({"network_count": 0, "subscribers_count": 0}))
}

/// A repository in the webhook of a push, whose times are numbers.
pub(super) fn pushed(world: &World, repo: &Repository) -> Value {
    let (created_at, pushed_at) = (repo.created_at.as_second(), repo.pushed_at.as_second());
    let more = json!({"created_at": created_at, "pushed_at": pushed_at, "stargazers": 0, "master_branch": repo.default_branch});
    merged(repository(world, repo), more)
}

/// A repository in the webhooks of installations.
pub(super) fn brief(repo: &Repository) -> Value {
    json!({
        "id": repo.id.0,
        "node_id": node_id("Repository", repo.id.0),
        "name": repo.name,
        "full_name": repo.full_name(),
        "private": true,
    })
}
