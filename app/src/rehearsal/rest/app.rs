//! The App itself, its installations and their tokens.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Answer, Call, REQUESTS_PER_HOUR, Reply, created, not_found, ok, page, refuse, reset};
use crate::rehearsal::{
    access::{INSTALLATION_TOKEN_SECONDS, Token, rank},
    body, repository_body,
    scene::{Installation, Repository, RepositoryId},
    world::World,
};

pub(super) fn show(world: &mut World, _call: &Call) -> Reply {
    ok(body::own_app(world))
}

pub(super) fn installations(world: &mut World, call: &Call) -> Reply {
    let all = world.installations.iter().map(|found| body::installation(world, found)).collect();
    let (items, headers) = page(world, call, all);
    Ok(Answer { status: 200, headers, body: Value::Array(items) })
}

pub(super) fn installation(world: &mut World, call: &Call) -> Reply {
    let found = find(world, call)?;
    ok(body::installation(world, found))
}

pub(super) fn repository_installation(world: &mut World, call: &Call) -> Reply {
    let repo = world.repository(call.repo).ok_or_else(not_found)?;
    let found = world.installation_of(&repo.owner).ok_or_else(not_found)?;
    ok(body::installation(world, found))
}

fn find<'w>(world: &'w World, call: &Call) -> Result<&'w Installation, Answer> {
    let id = call.number("installation_id")?;
    world.installations.iter().find(|found| found.id == id).ok_or_else(not_found)
}

pub(super) fn access_token(world: &mut World, call: &Call) -> Reply {
    let found = find(world, call)?.clone();
    if found.suspended_at.is_some() {
        return Err(refuse(403, "This installation has been suspended"));
    }
    let repositories = wanted_repositories(world, &found, &call.body)?;
    let permissions = wanted_permissions(&found, &call.body)?;
    let expires_at = world.now() + SignedDuration::from_secs(INSTALLATION_TOKEN_SECONDS);
    let selection = if repositories.is_some() { "selected" } else { "all" };
    let token = Token { installation: found.id, expires_at, repositories, permissions };
    let text = world.mint(token.clone());
    let mut answer = json!({
        "token": text,
        "expires_at": body::time(expires_at),
        "permissions": token.permissions,
        "repository_selection": selection,
    });
    if token.repositories.is_some() {
        answer = body::merged(answer, json!({"repositories": reached(world, &token)}));
    }
    created(answer)
}

fn wanted_repositories(world: &World, found: &Installation, wanted: &Value) -> Result<Option<BTreeSet<RepositoryId>>, Answer> {
    let ids = wanted.get("repository_ids").and_then(Value::as_array);
    let names = wanted.get("repositories").and_then(Value::as_array);
    if ids.is_none() && names.is_none() {
        return Ok(None);
    }
    let refusal =
        || refuse(422, "There is at least one repository that does not exist or is not accessible to the parent installation.");
    let find = |is_it: &dyn Fn(&Repository) -> bool| {
        let own = world.repositories.iter().filter(|repo| repo.owner.eq_ignore_ascii_case(&found.account));
        own.filter(|repo| is_it(repo)).map(|repo| repo.id).next().ok_or_else(refusal)
    };
    let by_id = ids.into_iter().flatten().map(|id| find(&|repo| Some(repo.id.0) == id.as_u64()));
    let by_name = names.into_iter().flatten().map(|name| find(&|repo| Some(repo.name.as_str()) == name.as_str()));
    by_id.chain(by_name).collect::<Result<_, _>>().map(Some)
}

fn wanted_permissions(found: &Installation, wanted: &Value) -> Result<BTreeMap<String, String>, Answer> {
    let Some(wanted) = wanted.get("permissions").and_then(Value::as_object) else { return Ok(found.permissions.clone()) };
    let mut permissions = BTreeMap::from([("metadata".to_owned(), "read".to_owned())]);
    for (name, level) in wanted {
        let level = level.as_str().unwrap_or_default();
        if found.permissions.get(name).is_none_or(|granted| rank(granted) < rank(level)) {
            return Err(refuse(422, "The permissions requested are not granted to this installation."));
        }
        permissions.insert(name.clone(), level.to_owned());
    }
    Ok(permissions)
}

fn reached(world: &World, token: &Token) -> Vec<Value> {
    let reached = world.repositories.iter().filter(|repo| world.reaches(token, repo.id));
    reached.map(|repo| repository_body::repository(world, repo)).collect()
}

pub(super) fn repositories(world: &mut World, call: &Call) -> Reply {
    let token = call.token.as_ref().ok_or_else(not_found)?;
    let all = reached(world, token);
    let n = all.len();
    let (items, headers) = page(world, call, all);
    let selection = if token.repositories.is_some() { "selected" } else { "all" };
    let body = json!({"total_count": n, "repository_selection": selection, "repositories": items});
    Ok(Answer { status: 200, headers, body })
}

pub(super) fn rate_limit(world: &mut World, _call: &Call) -> Reply {
    let limit = |limit: u64, used: u64| {
        let used = used.min(limit);
        json!({"limit": limit, "used": used, "remaining": limit - used, "reset": reset(world)})
    };
    let core = limit(REQUESTS_PER_HOUR, world.n_requests);
    ok(json!({"resources": {"core": core, "search": limit(30, 0), "graphql": limit(5_000, 0)}, "rate": core}))
}

pub(super) fn user(world: &mut World, call: &Call) -> Reply {
    let found = world.user(call.text("username"));
    ok(body::public_user(world, found.ok_or_else(not_found)?))
}
