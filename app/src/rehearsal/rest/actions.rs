//! Jobs of GitHub Actions, and where their logs are.

use serde_json::{Value, json};

use super::{Answer, Call, Reply, not_found, ok};
use crate::rehearsal::{
    body::{node_id, time},
    scene::{CheckRun, JobStep},
    world::World,
};

/// How many runs a workflow has had; which is told and means nothing here.
const ATTEMPT: u64 = 1;

fn run<'w>(world: &'w World, call: &Call) -> Result<&'w CheckRun, Answer> {
    let id = call.number("job_id")?;
    let checks = &world.repository(call.repo).ok_or_else(not_found)?.checks;
    checks.iter().find(|run| run.id == id && run.job.is_some()).ok_or_else(not_found)
}

/// A job has the number of its check run.
pub(super) fn job(world: &mut World, call: &Call) -> Reply {
    let run = run(world, call)?;
    let job = run.job.as_ref().ok_or_else(not_found)?;
    let step = |(number, step): (u64, &JobStep)| {
        json!({
            "name": step.name, "number": number, "status": "completed", "conclusion": step.conclusion,
            "started_at": time(step.started_at), "completed_at": time(step.completed_at),
        })
    };
    let steps: Vec<Value> = (1..).zip(&job.steps).map(step).collect();
    ok(world.shape(call.repo, |world, repo| {
        let (api, page) = (world.repository_api(repo), format!("{}/{}", world.web, repo.full_name()));
        json!({
            "id": run.id,
            "run_id": run.id,
            "run_url": format!("{api}/actions/runs/{}", run.id),
            "run_attempt": ATTEMPT,
            "node_id": node_id("CheckRun", run.id),
            "head_sha": run.head_sha,
            "url": format!("{api}/actions/jobs/{}", run.id),
            "html_url": format!("{page}/actions/runs/{0}/job/{0}", run.id),
            "status": "completed",
            "conclusion": run.conclusion,
            "created_at": time(run.started_at),
            "started_at": time(run.started_at),
            "completed_at": run.completed_at.map(time),
            "name": run.name,
            "steps": steps,
            "check_run_url": format!("{api}/check-runs/{}", run.id),
            "labels": ["ubuntu-latest"],
            "runner_id": 1,
            "runner_name": "GitHub Actions 1",
            "runner_group_id": 0,
            "runner_group_name": "GitHub Actions",
            "workflow_name": job.workflow,
            "head_branch": null,
        })
    }))
}

/// Leads to where the log is for a minute.
pub(super) fn log(world: &mut World, call: &Call) -> Reply {
    let run = run(world, call)?;
    run.job.as_ref().and_then(|job| job.log.as_ref()).ok_or_else(not_found)?;
    let address = format!("{}{}{}", world.web, crate::rehearsal::serve::LOGS, run.id);
    Ok(Answer { status: 302, headers: vec![("location", address)], body: Value::Null })
}
