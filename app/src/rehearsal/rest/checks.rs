//! Check runs.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, created, invalid, not_found, ok, page, refuse};
use crate::rehearsal::{
    body::{self, ACTIONS_APP_ID},
    check_body, git,
    scene::{CheckRun, Checker},
    world::World,
};

const ANNOTATIONS_MAX: usize = 50;
const ACTIONS_MAX: usize = 3;
const OUTPUT_CHARACTERS_MAX: usize = 65_535;

fn run<'w>(world: &'w World, call: &Call) -> Result<&'w CheckRun, Answer> {
    let id = call.number("check_run_id")?;
    let checks = &world.repository(call.repo).ok_or_else(not_found)?.checks;
    checks.iter().find(|run| run.id == id).ok_or_else(not_found)
}

fn shape(world: &World, call: &Call, run: &CheckRun) -> Value {
    world.shape(call.repo, |world, repo| check_body::check_run(world, repo, run))
}

pub(super) fn show(world: &mut World, call: &Call) -> Reply {
    let run = run(world, call)?;
    ok(shape(world, call, run))
}

/// Lists what was said beside lines, over all requests.
pub(super) fn annotations(world: &mut World, call: &Call) -> Reply {
    let (sha, annotations) = {
        let run = run(world, call)?;
        (run.head_sha.clone(), run.annotations.clone())
    };
    let (items, headers) = page(world, call, annotations);
    let items =
        world.shape(call.repo, |world, repo| items.iter().map(|item| check_body::annotation(world, repo, &sha, item)).collect());
    Ok(Answer { status: 200, headers, body: items })
}

/// Lists the runs of a commit; unless `filter=all`, the latest of each name and App.
pub(super) fn list(world: &mut World, call: &Call) -> Reply {
    let repo = world.repository(call.repo).ok_or_else(not_found)?;
    let reference = call.text("ref");
    let sha = git::find_commit(&repo.path, reference);
    let sha = sha.ok_or_else(|| refuse(422, &format!("No commit found for SHA: {reference}")))?;
    let asked = |name: &str| call.query.get(name).map(String::as_str);
    let is_wanted = |run: &&CheckRun| {
        let app = if run.checker == Checker::OurApp { world.settings.app_id } else { ACTIONS_APP_ID };
        run.head_sha == sha
            && asked("check_name").is_none_or(|name| name == run.name)
            && asked("status").is_none_or(|status| status == run.status)
            && asked("app_id").is_none_or(|id| id == app.to_string())
    };
    let mut found: Vec<&CheckRun> = Vec::new();
    for run in repo.checks.iter().rev().filter(is_wanted) {
        let is_latest = !found.iter().any(|later| later.name == run.name && later.checker == run.checker);
        if is_latest || asked("filter") == Some("all") {
            found.push(run);
        }
    }
    let n = found.len();
    let (items, headers) = page(world, call, found);
    let items: Vec<Value> = items.into_iter().map(|run| shape(world, call, run)).collect();
    Ok(Answer { status: 200, headers, body: json!({"total_count": n, "check_runs": items}) })
}

pub(super) fn create(world: &mut World, call: &Call) -> Reply {
    let missing = |name: &str| invalid("CheckRun", name, "missing_field", None);
    let name = call.field("name").ok_or_else(|| missing("name"))?;
    let wanted = call.field("head_sha").ok_or_else(|| missing("head_sha"))?;
    let repo = world.repository(call.repo).ok_or_else(not_found)?;
    let known = git::find_commit(&repo.path, wanted).filter(|sha| sha == wanted);
    let head_sha = known.ok_or_else(|| refuse(422, &format!("No commit found for SHA: {wanted}")))?;
    let run = CheckRun {
        id: world.next_id(),
        checker: Checker::OurApp,
        name: name.to_owned(),
        head_sha,
        status: "queued".to_owned(),
        conclusion: None,
        external_id: String::new(),
        details_url: None,
        output: json!({}),
        annotations: Vec::new(),
        actions: Vec::new(),
        started_at: world.now(),
        completed_at: None,
        job: None,
    };
    let run = changed(world, run, &call.body)?;
    world.put_check(call.repo, run.clone(), &world.bot_login()).ok_or_else(not_found)?;
    created(shape(world, call, &run))
}

/// Only the App that made a run may change it.
pub(super) fn update(world: &mut World, call: &Call) -> Reply {
    let run = run(world, call)?.clone();
    if run.checker != Checker::OurApp {
        return Err(refuse(403, "Invalid app_id `{app_id}` - check run can only be modified by the GitHub App that created it."));
    }
    let run = changed(world, run, &call.body)?;
    world.put_check(call.repo, run.clone(), &world.bot_login()).ok_or_else(not_found)?;
    ok(shape(world, call, &run))
}

fn changed(world: &World, mut run: CheckRun, wanted: &Value) -> Result<CheckRun, Answer> {
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).map(str::to_owned);
    let time = |name: &str| text(name).and_then(|time| time.parse().ok());
    run.name = text("name").unwrap_or(run.name);
    run.external_id = text("external_id").unwrap_or(run.external_id);
    run.details_url = text("details_url").or(run.details_url);
    run.started_at = time("started_at").unwrap_or(run.started_at);
    run.status = text("status").unwrap_or(run.status);
    if let Some(conclusion) = text("conclusion") {
        run.conclusion = Some(conclusion);
        run.status = "completed".to_owned();
    }
    if run.status == "completed" {
        run.completed_at = Some(time("completed_at").or(run.completed_at).unwrap_or_else(|| world.now()));
        run.conclusion.as_ref().ok_or_else(|| invalid("CheckRun", "conclusion", "missing_field", None))?;
    } else {
        (run.conclusion, run.completed_at) = (None, None);
    }
    if let Some(actions) = wanted.get("actions").and_then(Value::as_array) {
        check_count("actions", actions.len(), ACTIONS_MAX)?;
        run.actions.clone_from(actions);
    }
    if let Some(output) = wanted.get("output") {
        take_output(&mut run, output)?;
    }
    Ok(run)
}

/// Annotations are added to those that are there.
fn take_output(run: &mut CheckRun, output: &Value) -> Result<(), Answer> {
    for name in ["summary", "text"] {
        let length = output.get(name).and_then(Value::as_str).map_or(0, |text| text.chars().count());
        check_count(name, length, OUTPUT_CHARACTERS_MAX)?;
    }
    let annotations = output.get("annotations").and_then(Value::as_array).cloned().unwrap_or_default();
    check_count("annotations", annotations.len(), ANNOTATIONS_MAX)?;
    run.annotations.extend(annotations);
    run.output = body::merged(std::mem::take(&mut run.output), output.clone());
    Ok(())
}

fn check_count(field: &str, count: usize, most: usize) -> Result<(), Answer> {
    if count <= most {
        return Ok(());
    }
    Err(invalid("CheckRun", field, "custom", Some(format!("{field}: {count} is more than {most}"))))
}
