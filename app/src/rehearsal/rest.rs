//! The REST API: one table of operations, and what every operation has in common: who may call it, how errors look,
//! pages, rate-limit headers, and the record of exchanges. It knows no sockets; everything here blocks.

mod actions;
mod app;
mod checks;
mod git_data;
mod hook;
mod issues;
mod pulls;
mod repositories;
mod reviews;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    access::{Denied, Token},
    fault::{self, Effect, Fault, FaultyAnswer},
    scene::{Exchange, RepositoryId},
    world::World,
};

const DOCUMENTATION: &str = "https://docs.github.com/rest";
const PER_PAGE: usize = 30;
const PER_PAGE_MAX: usize = 100;
const REQUESTS_PER_HOUR: u64 = 5_000;

/// A request, apart from its socket.
pub(super) struct Request {
    pub(super) method: String,
    /// Within the API, not decoded.
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) authorization: Option<String>,
    /// What an answer is called that the caller has already.
    pub(super) if_none_match: Option<String>,
    pub(super) body: Vec<u8>,
}

/// An answer, apart from its socket.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Value,
}

/// What the caller is to see.
pub(super) enum Outcome {
    Answered(Answer),
    Disconnected,
    /// Nothing is sent, and the connection stays.
    Silent,
}

/// Both sides are answers: a refusal leaves the handler early.
type Reply = Result<Answer, Answer>;

/// Who may call an operation.
#[derive(Clone, Copy)]
enum Needs {
    /// The App itself.
    App,
    /// Any installation.
    Installation,
    /// An installation that reaches the repository with one of these permissions.
    Repository(&'static [(&'static str, &'static str)]),
    /// The same, for the conversation of an issue or pull request.
    Conversation(&'static str),
}

type Handler = fn(&mut World, &Call) -> Reply;

/// An operation as GitHub's API description names it.
struct Route {
    method: &'static str,
    template: &'static str,
    needs: Needs,
    handler: Handler,
}

/// A request that was let in.
struct Call {
    parameters: BTreeMap<&'static str, String>,
    query: BTreeMap<String, String>,
    body: Value,
    path: String,
    repo: RepositoryId,
    token: Option<Token>,
}

const CONTENTS: Needs = Needs::Repository(&[("contents", "read")]);
const CONTENTS_WRITE: Needs = Needs::Repository(&[("contents", "write")]);
const METADATA: Needs = Needs::Repository(&[("metadata", "read")]);
const PULLS: Needs = Needs::Repository(&[("pull_requests", "read")]);
const PULLS_WRITE: Needs = Needs::Repository(&[("pull_requests", "write")]);
const ACTIONS: Needs = Needs::Repository(&[("actions", "read")]);
const CHECKS: Needs = Needs::Repository(&[("checks", "read")]);
const CHECKS_WRITE: Needs = Needs::Repository(&[("checks", "write")]);
const READ: Needs = Needs::Conversation("read");
const WRITE: Needs = Needs::Conversation("write");

#[rustfmt::skip]
const ROUTES: &[Route] = &[
    route("GET", "/app", Needs::App, app::show),
    route("GET", "/app/hook/deliveries", Needs::App, hook::deliveries),
    route("POST", "/app/hook/deliveries/{delivery_id}/attempts", Needs::App, hook::redeliver),
    route("GET", "/app/installations", Needs::App, app::installations),
    route("GET", "/app/installations/{installation_id}", Needs::App, app::installation),
    route("POST", "/app/installations/{installation_id}/access_tokens", Needs::App, app::access_token),
    route("GET", "/installation/repositories", Needs::Installation, app::repositories),
    route("GET", "/rate_limit", Needs::Installation, app::rate_limit),
    route("GET", "/users/{username}", Needs::Installation, app::user),
    route("GET", "/repos/{owner}/{repo}", METADATA, repositories::show),
    route("GET", "/repos/{owner}/{repo}/installation", Needs::App, app::repository_installation),
    route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", METADATA, repositories::permission),
    route("GET", "/repos/{owner}/{repo}/contents/{path}", CONTENTS, repositories::content),
    route("GET", "/repos/{owner}/{repo}/git/ref/{ref}", CONTENTS, git_data::reference),
    route("POST", "/repos/{owner}/{repo}/git/refs", CONTENTS_WRITE, git_data::make_reference),
    route("PATCH", "/repos/{owner}/{repo}/git/refs/{ref}", CONTENTS_WRITE, git_data::move_reference),
    route("DELETE", "/repos/{owner}/{repo}/git/refs/{ref}", CONTENTS_WRITE, git_data::remove_reference),
    route("POST", "/repos/{owner}/{repo}/git/trees", CONTENTS_WRITE, git_data::make_tree),
    route("POST", "/repos/{owner}/{repo}/git/commits", CONTENTS_WRITE, git_data::make_commit),
    route("GET", "/repos/{owner}/{repo}/git/commits/{commit_sha}", CONTENTS, git_data::commit),
    route("GET", "/repos/{owner}/{repo}/branches/{branch}", CONTENTS, repositories::branch),
    route("GET", "/repos/{owner}/{repo}/actions/jobs/{job_id}", ACTIONS, actions::job),
    route("GET", "/repos/{owner}/{repo}/actions/jobs/{job_id}/logs", ACTIONS, actions::log),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", CHECKS, checks::list),
    route("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", PULLS, pulls::of_commit),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}", CONTENTS, repositories::commit),
    route("POST", "/repos/{owner}/{repo}/check-runs", CHECKS_WRITE, checks::create),
    route("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}", CHECKS, checks::show),
    route("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", CHECKS_WRITE, checks::update),
    route("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", CHECKS, checks::annotations),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", READ, issues::comment),
    route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", WRITE, issues::edit_comment),
    route("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}", WRITE, issues::delete_comment),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", READ, issues::comment_reactions),
    route("POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", WRITE, issues::react_to_comment),
    route("GET", "/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions", PULLS, issues::review_comment_reactions),
    route("POST", "/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions", PULLS_WRITE, issues::react_to_review_comment),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}", READ, issues::show),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels", READ, issues::labels),
    route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels", WRITE, issues::add_labels),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", READ, issues::comments),
    route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", WRITE, issues::new_comment),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/reactions", READ, issues::reactions),
    route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/reactions", WRITE, issues::react),
    route("GET", "/repos/{owner}/{repo}/pulls", PULLS, pulls::list),
    route("POST", "/repos/{owner}/{repo}/pulls", PULLS_WRITE, pulls::create),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", PULLS, pulls::show),
    route("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}", PULLS_WRITE, pulls::update),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files", PULLS, pulls::files),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/comments", PULLS, pulls::comments),
    route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies", PULLS_WRITE, pulls::reply),
    route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", PULLS_WRITE, pulls::request_reviewers),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", PULLS, reviews::list),
    route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", PULLS_WRITE, reviews::create),
];

const fn route(method: &'static str, template: &'static str, needs: Needs, handler: Handler) -> Route {
    Route { method, template, needs, handler }
}

/// Answers a request, or does with it what a fault says.
pub(super) fn answer(world: &mut World, request: &Request) -> Outcome {
    let path = by_name(world, &request.path);
    let fault = fault::strike(&mut world.faults, &request.method, &path);
    let body = if request.body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&request.body) };
    let sent = body.as_ref().cloned().unwrap_or(Value::Null);
    let found = find(&request.method, &path);
    let route = found.as_ref().map(|(route, _)| *route);
    let withheld = fault.as_ref().is_some_and(|fault| fault.effect == Effect::Withheld);
    let served = (!withheld).then(|| match (found, body) {
        (_, Err(_)) => refuse(400, "Problems parsing JSON"),
        (None, Ok(_)) => not_found(),
        (Some((route, parameters)), Ok(body)) => serve(world, request, &path, route, parameters, body),
    });
    let mut exchange = Exchange {
        method: route.map_or(&*request.method, |route| route.method).to_owned(),
        path,
        template: route.map(|route| route.template),
        query: request.query.clone(),
        request: sent,
        status: 0,
        response: Value::Null,
        faulty: fault.is_some(),
    };
    let answer = match (fault, served) {
        (None, Some(served)) => served,
        (Some(Fault { answer: FaultyAnswer::Response { status, headers, body }, .. }), _) => Answer { status, headers, body },
        (Some(Fault { answer: FaultyAnswer::Silence, .. }), _) => {
            world.record(exchange);
            return Outcome::Silent;
        }
        (_, _) => {
            world.record(exchange);
            return Outcome::Disconnected;
        }
    };
    let answer = if exchange.faulty { answer } else { unless_known(request, answer) };
    // What has not changed counts towards no limit.
    world.n_requests += u64::from(answer.status != 304);
    (exchange.status, exchange.response) = (answer.status, answer.body.clone());
    world.record(exchange);
    Outcome::Answered(with_common_headers(world, answer))
}

/// Gives a successful answer to a GET its name, and is silent where the caller has it.
fn unless_known(request: &Request, mut answer: Answer) -> Answer {
    if request.method != "GET" || answer.status != 200 {
        return answer;
    }
    let digest = Sha256::digest(format!("{:?} {}", answer.headers, answer.body));
    let etag = format!("W/\"{}\"", hex::encode(digest));
    if request.if_none_match.as_ref() == Some(&etag) {
        (answer.status, answer.body) = (304, Value::Null);
    }
    answer.headers.push(("etag", etag));
    answer
}

/// Turns `/repositories/ID/...`, as links have it, into `/repos/OWNER/NAME/...`.
fn by_name(world: &World, path: &str) -> String {
    let Some(rest) = path.strip_prefix("/repositories/") else { return path.to_owned() };
    let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let repo = id.parse().ok().and_then(|id| world.repository(RepositoryId(id)));
    let Some(repo) = repo else { return path.to_owned() };
    format!("/repos/{}/{rest}", repo.full_name()).trim_end_matches('/').to_owned()
}

/// Finds the operation; GitHub takes POST for PATCH, and some clients rely on it.
fn find(method: &str, path: &str) -> Option<(&'static Route, BTreeMap<&'static str, String>)> {
    let find = |method: &str| {
        let mut of_method = ROUTES.iter().filter(|route| route.method == method);
        of_method.find_map(|route| Some((route, parameters(route.template, path)?)))
    };
    find(method).or_else(|| (method == "POST").then(|| find("PATCH"))?)
}

/// Fits a path to a template; `{ref}`, `{branch}` and `{path}` take slashes as well.
fn parameters(template: &'static str, path: &str) -> Option<BTreeMap<&'static str, String>> {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let greedy = template.iter().position(|part| matches!(*part, "{ref}" | "{branch}" | "{path}"));
    let extra = path.len().checked_sub(template.len()).filter(|extra| *extra == 0 || greedy.is_some())?;
    let mut found = BTreeMap::new();
    let mut at = 0;
    for (index, part) in template.iter().enumerate() {
        let length = if Some(index) == greedy { extra + 1 } else { 1 };
        let text = path[at..at + length].join("/");
        at += length;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => drop(found.insert(name, decoded(&text)?)),
            None if *part == text => {}
            None => return None,
        }
    }
    Some(found)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn serve(
    world: &mut World,
    request: &Request,
    path: &str,
    route: &Route,
    parameters: BTreeMap<&'static str, String>,
    body: Value,
) -> Answer {
    let parameter = |name: &str| parameters.get(name).map_or("", String::as_str);
    let repo = world.repository_named(parameter("owner"), parameter("repo")).map(|repo| repo.id);
    if parameters.contains_key("repo") && repo.is_none() {
        let former = format!("{}/{}", parameter("owner"), parameter("repo"));
        return moved(world, request, path, &former).unwrap_or_else(not_found);
    }
    let (query, path) = (request.query.clone(), path.to_owned());
    let mut call = Call { parameters, query, body, path, repo: repo.unwrap_or(RepositoryId(0)), token: None };
    match admit(world, route.needs, &call, request.authorization.as_deref()) {
        Ok(token) => call.token = token,
        Err(refusal) => return refusal,
    }
    if let Some(refusal) = kept_out(world, route, &call) {
        return refusal;
    }
    (route.handler)(world, &call).unwrap_or_else(|refusal| refusal)
}

/// Leads from a repository's former name to its number, if the caller may know of it.
fn moved(world: &World, request: &Request, path: &str, former: &str) -> Option<Answer> {
    let id = *world.former_names.get(&former.to_lowercase())?;
    let token = world.check_token(request.authorization.as_deref()).ok()?;
    let rest = path.strip_prefix("/repos/")?.get(former.len()..)?;
    let url = format!("{}/repositories/{}{rest}", world.api, id.0);
    let status = if request.method == "GET" { 301 } else { 307 };
    let body = json!({"message": "Moved Permanently", "url": url, "documentation_url": DOCUMENTATION});
    world.reaches(&token, id).then(|| Answer { status, headers: vec![("location", url)], body })
}

/// What the state of a repository forbids to everybody.
fn kept_out(world: &World, route: &Route, call: &Call) -> Option<Answer> {
    let repo = world.repository(call.repo)?;
    if repo.is_archived && route.method != "GET" {
        return Some(refuse(403, "Repository was archived so is read-only."));
    }
    let is_of_issue = matches!(route.needs, Needs::Conversation(_)) && !is_about_pull(world, call);
    (is_of_issue && !repo.has_issues).then(|| refuse(410, "Issues are disabled for this repo"))
}

fn admit(world: &World, needs: Needs, call: &Call, authorization: Option<&str>) -> Result<Option<Token>, Answer> {
    let accepted: Vec<(&str, &str)> = match needs {
        Needs::App => {
            world.check_app_token(authorization).map_err(denied)?;
            return Ok(None);
        }
        Needs::Installation => return world.check_token(authorization).map(Some).map_err(denied),
        Needs::Repository(permissions) => permissions.to_vec(),
        Needs::Conversation(level) if is_about_pull(world, call) => vec![("issues", level), ("pull_requests", level)],
        Needs::Conversation(level) => vec![("issues", level)],
    };
    let token = world.check_token(authorization).map_err(denied)?;
    if !world.reaches(&token, call.repo) {
        return Err(not_found());
    }
    if accepted.iter().any(|(name, level)| token.holds(name, level)) {
        return Ok(Some(token));
    }
    let listed: Vec<String> = accepted.iter().map(|(name, level)| format!("{name}={level}")).collect();
    let mut refusal = refuse(403, "Resource not accessible by integration");
    refusal.headers.push(("x-accepted-github-permissions", listed.join("; ")));
    Err(refusal)
}

fn is_about_pull(world: &World, call: &Call) -> bool {
    let of_comment = || Some(world.comment(call.repo, call.number("comment_id").ok()?)?.0);
    let of_issue = || world.issue(call.repo, call.number("issue_number").ok()?);
    of_issue().or_else(of_comment).is_some_and(|issue| issue.pull.is_some())
}

fn denied(denied: Denied) -> Answer {
    match denied {
        Denied::Missing => refuse(401, "Requires authentication"),
        Denied::Bad(message) => refuse(401, message),
        Denied::Suspended => refuse(403, "This installation has been suspended"),
    }
}

impl Call {
    fn text(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Result<u64, Answer> {
        self.text(name).parse().map_err(|_| not_found())
    }

    /// A string of the body.
    fn field(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }
}

fn ok(body: Value) -> Reply {
    Ok(Answer { status: 200, headers: Vec::new(), body })
}

fn created(body: Value) -> Reply {
    Ok(Answer { status: 201, headers: Vec::new(), body })
}

fn refuse(status: u16, message: &str) -> Answer {
    let body = json!({"message": message, "documentation_url": DOCUMENTATION, "status": status.to_string()});
    Answer { status, headers: Vec::new(), body }
}

fn not_found() -> Answer {
    refuse(404, "Not Found")
}

/// A 422 with one entry in `errors`.
fn invalid(resource: &str, field: &str, code: &str, message: Option<String>) -> Answer {
    let mut error = json!({"resource": resource, "code": code, "field": field});
    if let Some(message) = message {
        error = super::body::merged(error, json!({"message": message}));
    }
    let mut answer = refuse(422, "Validation Failed");
    answer.body = super::body::merged(answer.body, json!({"errors": [error]}));
    answer
}

/// The part of a list that was asked for, with links to the others.
fn page<T>(world: &World, call: &Call, items: Vec<T>) -> (Vec<T>, Vec<(&'static str, String)>) {
    let number = |name: &str, other: usize| call.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(other);
    let per_page = number("per_page", PER_PAGE).clamp(1, PER_PAGE_MAX);
    let page = number("page", 1).max(1);
    let last = items.len().div_ceil(per_page).max(1);
    let repo = world.repository(call.repo);
    let path = match repo.and_then(|repo| call.path.strip_prefix(&format!("/repos/{}", repo.full_name()))) {
        Some(rest) => format!("/repositories/{}{rest}", call.repo.0),
        None => call.path.clone(),
    };
    let kept = call.query.iter().filter(|(name, _)| *name != "page").map(|(name, value)| format!("{name}={value}&"));
    let query: String = kept.collect();
    let link = |page: usize, relation: &str| format!("<{}{path}?{query}page={page}>; rel=\"{relation}\"", world.api);
    let mut links = Vec::new();
    if page > 1 {
        links.extend([link(page - 1, "prev"), link(1, "first")]);
    }
    if page < last {
        links.extend([link(page + 1, "next"), link(last, "last")]);
    }
    let headers = if links.is_empty() { Vec::new() } else { vec![("link", links.join(", "))] };
    (items.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect(), headers)
}

fn with_common_headers(world: &World, mut answer: Answer) -> Answer {
    let used = world.n_requests.min(REQUESTS_PER_HOUR);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&world.now());
    // A year of more than four digits cannot be said in a header.
    answer.headers.extend(date.ok().map(|date| ("date", date)));
    answer.headers.extend([
        ("x-ratelimit-limit", REQUESTS_PER_HOUR.to_string()),
        ("x-ratelimit-remaining", (REQUESTS_PER_HOUR - used).to_string()),
        ("x-ratelimit-used", used.to_string()),
        ("x-ratelimit-reset", reset(world).to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
        ("x-github-request-id", format!("7265:6865:{:08X}", world.n_requests)),
        ("x-github-api-version-selected", "2022-11-28".to_owned()),
        ("x-github-media-type", "github.v3; format=json".to_owned()),
        ("x-github-enterprise-version", "3.17.0".to_owned()),
    ]);
    answer
}

fn reset(world: &World) -> i64 {
    (world.now().as_second() / 3_600 + 1) * 3_600
}
