//! The shapes of GitHub's JSON that are about check runs.

use serde_json::{Value, json};

use super::{
    body::{checker, node_id, time},
    scene::{CheckRun, Checker, Issue, Pull, Repository},
    world::World,
};

/// A check run.
pub(super) fn check_run(world: &World, repo: &Repository, run: &CheckRun) -> Value {
    let url = format!("{}/check-runs/{}", world.repository_api(repo), run.id);
    let page = format!("{}/{}/runs/{}", world.web, repo.full_name(), run.id);
    let text = |name: &str| run.output.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": run.id,
        "node_id": node_id("CheckRun", run.id),
        "name": run.name,
        "head_sha": run.head_sha,
        "external_id": run.external_id,
        "url": url,
        "html_url": page,
        "details_url": run.details_url.as_ref().unwrap_or(&page),
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": time(run.started_at),
        "completed_at": run.completed_at.map(time),
        "output": {
            "title": text("title"),
            "summary": text("summary"),
            "text": text("text"),
            "annotations_count": run.annotations.len(),
            "annotations_url": format!("{url}/annotations"),
        },
        "check_suite": {"id": suite_id(run)},
        "app": checker(world, run.checker),
        "pull_requests": pulls_at(world, repo, &run.head_sha),
    })
}

/// An annotation as it is listed; what was not sent is null.
pub(super) fn annotation(world: &World, repo: &Repository, sha: &str, sent: &Value) -> Value {
    let path = sent["path"].as_str().unwrap_or_default();
    json!({
        "path": path,
        "start_line": sent["start_line"],
        "end_line": sent["end_line"],
        "start_column": sent["start_column"],
        "end_column": sent["end_column"],
        "annotation_level": sent["annotation_level"],
        "title": sent["title"],
        "message": sent["message"],
        "raw_details": sent["raw_details"],
        "blob_href": format!("{}/{}/blob/{sha}/{path}", world.web, repo.full_name()),
    })
}

/// There is one suite for each commit and App, and of GitHub Actions one for each run of a workflow.
fn suite_id(run: &CheckRun) -> u64 {
    let commit = u64::from_str_radix(run.head_sha.get(..8).unwrap_or("0"), 16).unwrap_or(0);
    let workflow = run.job.iter().flat_map(|job| job.workflow.bytes());
    let workflow = workflow.fold(0, |known: u64, byte| (known * 31 + u64::from(byte)) % 4_093);
    (commit * 4_096 + workflow) * 2 + u64::from(run.checker == Checker::Actions)
}

/// A check suite as it stands in the webhooks of its runs.
pub(super) fn check_suite(world: &World, repo: &Repository, run: &CheckRun) -> Value {
    let api = world.repository_api(repo);
    let branch = repo.heads.iter().find(|(_, sha)| **sha == run.head_sha).map(|(branch, _)| branch);
    json!({
        "id": suite_id(run),
        "node_id": node_id("CheckSuite", suite_id(run)),
        "head_branch": branch,
        "head_sha": run.head_sha,
        "status": run.status,
        "conclusion": run.conclusion,
        "url": format!("{api}/check-suites/{}", suite_id(run)),
        "before": null,
        "after": run.head_sha,
        "pull_requests": pulls_at(world, repo, &run.head_sha),
        "app": checker(world, run.checker),
        "created_at": time(run.started_at),
        "updated_at": time(run.completed_at.unwrap_or(run.started_at)),
    })
}

/// The run of a workflow that a job is in, as far as its webhook is read.
pub(super) fn workflow_run(world: &World, repo: &Repository, run: &CheckRun) -> Value {
    let job = run.job.clone().unwrap_or_default();
    json!({
        "id": run.id,
        "node_id": node_id("WorkflowRun", run.id),
        "name": job.workflow,
        "head_branch": repo.heads.iter().find(|(_, sha)| **sha == run.head_sha).map(|(branch, _)| branch),
        "head_sha": run.head_sha,
        "event": "push",
        "status": run.status,
        "conclusion": run.conclusion,
        "check_suite_id": suite_id(run),
        "run_attempt": 1,
        "pull_requests": pulls_at(world, repo, &run.head_sha),
        "created_at": time(run.started_at),
        "updated_at": time(run.completed_at.unwrap_or(run.started_at)),
    })
}

fn pulls_at(world: &World, repo: &Repository, sha: &str) -> Vec<Value> {
    let api = world.repository_api(repo);
    let repo_link = json!({"id": repo.id.0, "url": api, "name": repo.name});
    let open = |issue: &&Issue| issue.closed_at.is_none();
    let pulls = repo.issues.values().filter(open).filter_map(|issue| issue.pull.as_ref().map(|pull| (issue, pull)));
    let link = |(issue, pull): (&Issue, &Pull)| {
        json!({
            "id": pull.id,
            "number": issue.number,
            "url": format!("{api}/pulls/{}", issue.number),
            "head": {"ref": pull.head, "sha": pull.head_sha, "repo": repo_link},
            "base": {"ref": pull.base, "sha": pull.base_sha, "repo": repo_link},
        })
    };
    // GitHub names no pull request of a fork here.
    pulls.filter(|(_, pull)| pull.head_sha == sha && pull.head_repo == repo.id).map(link).collect()
}
