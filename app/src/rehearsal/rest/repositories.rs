//! Repositories: permissions, contents, branches, commits.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, not_found, ok, refuse};
use crate::rehearsal::{
    body,
    git::{self, Content},
    repository_body,
    scene::{Account, Repository, Role},
    world::World,
};

fn repository<'w>(world: &'w World, call: &Call) -> Result<&'w Repository, Answer> {
    world.repository(call.repo).ok_or_else(not_found)
}

pub(super) fn show(world: &mut World, call: &Call) -> Reply {
    ok(repository_body::full(world, repository(world, call)?))
}

/// Apps are no collaborators, and neither is anybody unknown.
pub(super) fn permission(world: &mut World, call: &Call) -> Reply {
    let repo = repository(world, call)?;
    let user = world.user(call.text("username")).filter(|user| user.account == Account::User).ok_or_else(not_found)?;
    let role = repo.roles.get(&user.login.to_lowercase()).unwrap_or(&Role::None);
    let (permission, role_name) = role.words();
    let at_least = |least: &[&str]| least.contains(&permission);
    let booleans = json!({
        "admin": permission == "admin",
        "maintain": permission == "admin" || role_name == "maintain",
        "push": at_least(&["admin", "write"]),
        "triage": at_least(&["admin", "write"]) || role_name == "triage",
        "pull": at_least(&["admin", "write", "read"]),
    });
    let more = json!({"permissions": booleans, "role_name": role_name});
    let shape = body::merged(body::user(world, &user.login), more);
    ok(json!({"permission": permission, "role_name": role_name, "user": shape}))
}

pub(super) fn content(world: &mut World, call: &Call) -> Reply {
    let repo = repository(world, call)?;
    let reference = call.query.get("ref").unwrap_or(&repo.default_branch);
    let path = call.text("path").trim_end_matches('/');
    match git::content(&repo.path, reference, path).ok_or_else(not_found)? {
        Content::File(sha, bytes) => {
            let content = json!({"content": git::base64_lines(&bytes), "encoding": "base64"});
            ok(body::merged(entry(world, repo, reference, path, &sha, bytes.len(), "file"), content))
        }
        Content::Directory(entries) => {
            let shape = |(name, sha, size, is_directory): &(String, String, usize, bool)| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                entry(world, repo, reference, &path, sha, *size, if *is_directory { "dir" } else { "file" })
            };
            ok(Value::Array(entries.iter().map(shape).collect()))
        }
    }
}

fn entry(world: &World, repo: &Repository, reference: &str, path: &str, sha: &str, size: usize, kind: &str) -> Value {
    let (api, page) = (world.repository_api(repo), format!("{}/{}", world.web, repo.full_name()));
    let (noun, objects) = if kind == "dir" { ("tree", "trees") } else { ("blob", "blobs") };
    let url = format!("{api}/contents/{path}?ref={reference}");
    let (git_url, html_url) = (format!("{api}/git/{objects}/{sha}"), format!("{page}/{noun}/{reference}/{path}"));
    let download = (kind == "file").then(|| format!("{page}/raw/{reference}/{path}"));
    json!({
        "type": kind,
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": sha,
        "size": size,
        "url": url,
        "git_url": git_url,
        "html_url": html_url,
        "download_url": download,
        "_links": {"self": url, "git": git_url, "html": html_url},
    })
}

pub(super) fn branch(world: &mut World, call: &Call) -> Reply {
    let repo = repository(world, call)?;
    let name = call.text("branch");
    let missing = || refuse(404, "Branch not found");
    let sha = repo.heads.get(name).ok_or_else(missing)?;
    let commit = git::read_commit(&repo.path, sha).ok_or_else(missing)?;
    let url = format!("{}/branches/{name}", world.repository_api(repo));
    ok(json!({
        "name": name,
        "commit": body::commit(world, repo, &commit),
        "_links": {"self": url, "html": format!("{}/{}/tree/{name}", world.web, repo.full_name())},
        "protected": repo.protected.contains(name),
        "protection": {"enabled": repo.protected.contains(name)},
        "protection_url": format!("{url}/protection"),
    }))
}

pub(super) fn commit(world: &mut World, call: &Call) -> Reply {
    let repo = repository(world, call)?;
    let missing = || refuse(422, &format!("No commit found for SHA: {}", call.text("ref")));
    let found = git::read_commit(&repo.path, call.text("ref")).ok_or_else(missing)?;
    ok(body::commit(world, repo, &found))
}
