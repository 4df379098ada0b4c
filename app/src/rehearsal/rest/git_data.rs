//! Git's own objects and names: trees, commits, references.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, created, not_found, ok, refuse};
use crate::rehearsal::{
    body::{self, node_id},
    git::{
        self,
        data::{self, Blob, Entry, Listed, Refused, Wanted},
    },
    scene::Repository,
    world::World,
};

fn repository<'w>(world: &'w World, call: &Call) -> Result<&'w Repository, Answer> {
    world.repository(call.repo).ok_or_else(not_found)
}

fn refused(refused: Refused) -> Answer {
    match refused {
        Refused::Invalid(words) => refuse(422, &words),
        Refused::Git(error) => {
            tracing::error!(%error, "an object of the rehearsal could not be made");
            refuse(500, "Server Error")
        }
    }
}

pub(super) fn reference(world: &mut World, call: &Call) -> Reply {
    let repo = repository(world, call)?;
    let name = format!("refs/{}", call.text("ref"));
    let sha = data::references(&repo.path).ok().and_then(|mut all| all.remove(&name)).ok_or_else(not_found)?;
    ok(shape(world, repo, &name, &sha))
}

fn shape(world: &World, repo: &Repository, name: &str, sha: &str) -> Value {
    let api = world.repository_api(repo);
    json!({
        "ref": name,
        "node_id": node_id("Ref", repo.id.0),
        "url": format!("{api}/git/{name}"),
        "object": {"type": "commit", "sha": sha, "url": format!("{api}/git/commits/{sha}")},
    })
}

pub(super) fn make_reference(world: &mut World, call: &Call) -> Reply {
    let (name, sha) = (call.field("ref").unwrap_or_default(), call.field("sha").unwrap_or_default());
    let repo = repository(world, call)?;
    if !name.starts_with("refs/") || name.matches('/').count() < 2 {
        return Err(refuse(422, "Reference name must start with 'refs' and have at least two slashes"));
    }
    if name.strip_prefix("refs/heads/").is_some_and(|branch| repo.protected.contains(branch)) {
        return Err(refuse(422, "Repository rule violations found\n\nCannot create ref due to creations being restricted."));
    }
    if !data::make_reference(&repo.path, name, sha).map_err(refused)? {
        return Err(refuse(422, "Reference already exists"));
    }
    let made = shape(world, repo, name, sha);
    observe(world, call)?;
    created(made)
}

/// Without `force` only onto what comes behind it.
pub(super) fn move_reference(world: &mut World, call: &Call) -> Reply {
    let sha = call.field("sha").unwrap_or_default();
    let is_forced = call.body.get("force").and_then(Value::as_bool).unwrap_or_default();
    let repo = repository(world, call)?;
    let name = format!("refs/{}", call.text("ref"));
    if name.strip_prefix("refs/heads/").is_some_and(|branch| repo.protected.contains(branch)) {
        return Err(refuse(422, "Repository rule violations found\n\nCannot update this protected ref."));
    }
    data::move_reference(&repo.path, &name, sha, is_forced).map_err(refused)?;
    let moved = shape(world, repo, &name, sha);
    observe(world, call)?;
    ok(moved)
}

pub(super) fn remove_reference(world: &mut World, call: &Call) -> Reply {
    let repo = repository(world, call)?;
    let name = format!("refs/{}", call.text("ref"));
    if !data::remove_reference(&repo.path, &name).map_err(|error| refused(error.into()))? {
        return Err(refuse(422, "Reference does not exist"));
    }
    observe(world, call)?;
    Ok(Answer { status: 204, headers: Vec::new(), body: Value::Null })
}

fn observe(world: &mut World, call: &Call) -> Result<(), Answer> {
    let bot = world.bot_login();
    world.observe_branches(call.repo, &bot).map_err(|error| refused(error.into()))
}

pub(super) fn make_tree(world: &mut World, call: &Call) -> Reply {
    let repo = repository(world, call)?;
    let wanted = call.body.get("tree").and_then(Value::as_array).ok_or_else(|| refuse(422, "Invalid tree info"))?;
    let entries = wanted.iter().map(entry).collect::<Result<Vec<Entry>, Answer>>()?;
    let (sha, listed) = data::make_tree(&repo.path, call.field("base_tree"), &entries).map_err(refused)?;
    let api = world.repository_api(repo);
    let shape = |(path, mode, sha): &Listed| {
        let kind = match mode {
            0o40_000 => "tree",
            0o160_000 => "commit",
            _ => "blob",
        };
        json!({"path": path, "mode": format!("{mode:06o}"), "type": kind, "sha": sha})
    };
    let url = format!("{api}/git/trees/{sha}");
    created(json!({"sha": sha, "url": url, "tree": listed.iter().map(shape).collect::<Vec<_>>(), "truncated": false}))
}

fn entry(wanted: &Value) -> Result<Entry, Answer> {
    let text = |name: &str| wanted.get(name).and_then(Value::as_str);
    let path = text("path").filter(|path| !path.is_empty() && !path.starts_with('/') && !path.ends_with('/'));
    let path = path.ok_or_else(|| refuse(422, "tree.path contains a malformed path component"))?;
    let mode = text("mode").filter(|mode| ["100644", "100755", "120000", "160000"].contains(mode));
    let mode =
        mode.and_then(|mode| u32::from_str_radix(mode, 8).ok()).ok_or_else(|| refuse(422, "Must supply a valid tree.mode"))?;
    let blob = match (text("sha"), text("content"), wanted.get("sha").is_some_and(Value::is_null)) {
        (Some(_), Some(_), _) => return Err(refuse(422, "Must supply either tree.sha or tree.content")),
        (Some(sha), None, _) => Some(Blob::Named(sha.to_owned())),
        (None, Some(content), _) => Some(Blob::Text(content.to_owned())),
        (None, None, true) => None,
        (None, None, false) => return Err(refuse(422, "Must supply tree.sha or tree.content")),
    };
    Ok((path.to_owned(), mode, blob))
}

pub(super) fn commit(world: &mut World, call: &Call) -> Reply {
    let repo = repository(world, call)?;
    let sha = call.text("commit_sha");
    let found = git::read_commit(&repo.path, sha).filter(|found| found.sha == sha).ok_or_else(not_found)?;
    ok(body::git_commit(world, repo, &found))
}

/// GitHub signs what an App makes, as long as nobody says who wrote it.
pub(super) fn make_commit(world: &mut World, call: &Call) -> Reply {
    let repo = repository(world, call)?;
    let missing = |name: &str| refuse(422, &format!("Invalid request.\n\n\"{name}\" wasn't supplied."));
    let message = call.field("message").ok_or_else(|| missing("message"))?;
    let tree = call.field("tree").ok_or_else(|| missing("tree"))?;
    let parents = call.body.get("parents").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let says_who = ["author", "committer", "signature"].iter().any(|name| call.body.get(*name).is_some());
    let bot = world.bot_login();
    let address = format!("{}+{bot}@users.noreply.github.com", world.user(&bot).map_or(0, |user| user.id));
    let of_author = |name: &str| call.body.pointer(&format!("/author/{name}")).and_then(Value::as_str);
    let author = (of_author("name").unwrap_or(&bot), of_author("email").unwrap_or(&address));
    let is_signed = !says_who && !world.leaves_unsigned;
    let wanted = Wanted { message, tree, parents, author, is_signed, at: world.now().as_second() };
    let sha = data::make_commit(&repo.path, &wanted).map_err(refused)?;
    let made = git::read_commit(&repo.path, &sha).ok_or_else(not_found)?;
    created(body::git_commit(world, repo, &made))
}
