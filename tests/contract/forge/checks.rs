//! Red checks: what GitHub tells of them, which one is meant, and the job and the log behind it.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use jiff::Timestamp;
use patchwright::forge::{Forge as _, RepoFacts};
use patchwright::rehearsal::fault::{Fault, FaultyAnswer};
use patchwright::rehearsal::scene::{Job, JobStep};
use patchwright_domain::effect::Button;
use patchwright_domain::event::{CheckRef, DeliveryId, EventKind, IssueNumber, RawDelivery, Untrusted};
use patchwright_domain::job::JobId;
use patchwright_domain::job_log::LOG_BYTES_MAX;
use patchwright_domain::journal::CommitId;
use patchwright_domain::triage::Ended;
use serde_json::{Value, json};

use super::{Scene, assert_scoped, raw};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn payload(name: &str, check: Value) -> Value {
    json!({
        "action": "completed", name: check,
        "installation": {"id": 1},
        "repository": {"id": 7, "name": "rocket", "owner": {"login": "octo", "id": 2}, "default_branch": "main"},
        "sender": {"id": 9, "login": "ada", "type": "User"},
    })
}

fn check() -> Value {
    json!({
        "id": 5_000_000_000_u64, "name": "test (3.12)", "head_sha": SHA, "status": "completed", "conclusion": "failure",
        "app": {"id": 15_368, "slug": "github-actions"}, "pull_requests": [], "head_branch": null,
    })
}

/// What a delivery is read as.
fn read(scene: &Scene, event: &str, payload: &Value) -> Result<EventKind, String> {
    let id = DeliveryId::new("d").expect("the name is well-formed");
    let body = payload.to_string().into_bytes();
    scene.forge.parse(&RawDelivery { id, event: event.into(), body, received_at: Timestamp::UNIX_EPOCH }).map(|event| event.kind)
}

fn failed(check: Option<CheckRef>, app: Option<u64>) -> Result<EventKind, String> {
    Ok(EventKind::CheckFailed { head: CommitId::parse(SHA).expect("forty digits"), check, app })
}

#[tokio::test]
async fn a_red_check_is_read_however_it_is_told_of() {
    let scene = Scene::set().await;
    let named = CheckRef { id: 5_000_000_000, name: Untrusted::new("test (3.12)") };
    assert_eq!(read(&scene, "check_run", &payload("check_run", check())), failed(Some(named.clone()), Some(15_368)));
    assert_eq!(read(&scene, "check_suite", &payload("check_suite", check())), failed(None, Some(15_368)));
    let mut workflow = check();
    workflow.as_object_mut().expect("it is one").remove("app");
    assert_eq!(read(&scene, "workflow_run", &payload("workflow_run", workflow)), failed(None, None));
    let mut status = payload("x", Value::Null);
    for (name, value) in [("sha", json!(SHA)), ("state", json!("error")), ("action", Value::Null)] {
        status[name] = value;
    }
    assert_eq!(read(&scene, "status", &status), failed(None, None));
    let mut nobody = payload("check_run", check());
    nobody.as_object_mut().expect("it is one").remove("sender");
    assert_eq!(read(&scene, "check_run", &nobody), failed(Some(named), Some(15_368)), "nobody has asked");
    scene.end().await;
}

#[tokio::test]
async fn what_is_not_red_or_not_ours_is_not_read() {
    let scene = Scene::set().await;
    let with = |name: &str, value: Value| {
        let mut check = check();
        check[name] = value;
        payload("check_run", check)
    };
    for conclusion in
        [json!("success"), json!("neutral"), json!("cancelled"), json!("action_required"), json!("stale"), Value::Null]
    {
        let told = read(&scene, "check_run", &with("conclusion", conclusion.clone()));
        assert_eq!(told, Err("the check is not red".into()), "{conclusion}");
    }
    for sha in [Value::Null, json!("main"), json!("0123"), json!(SHA.to_uppercase())] {
        assert_eq!(read(&scene, "check_run", &with("head_sha", sha)), Err("the payload names no commit".into()));
    }
    let mut other = payload("check_run", check());
    other["action"] = json!("rerequested");
    assert!(read(&scene, "check_run", &other).is_err());
    let mut hook = payload("check_run", check());
    hook.as_object_mut().expect("it is one").remove("installation");
    assert!(read(&scene, "check_run", &hook).unwrap_err().contains("names no installation"));
    assert_eq!(read(&scene, "check_suite", &payload("x", json!({}))), Err("the payload holds no check_suite".into()));
    scene.end().await;
}

#[tokio::test]
async fn a_check_that_somebody_asks_for_once_more_names_its_job() {
    let scene = Scene::set().await;
    let asked = |changed: &[(&str, Value)]| {
        let mut check = check();
        check["external_id"] = json!("0123456789abcdef/check");
        changed.iter().for_each(|(name, value)| check[*name] = value.clone());
        let mut payload = payload("check_run", check);
        payload["action"] = json!("rerequested");
        read(&scene, "check_run", &payload)
    };
    let job = JobId::parse("0123456789abcdef").expect("it is one");
    let kind = |pull_request| EventKind::CheckAsked {
        check: 5_000_000_000,
        app: Some(15_368),
        job: job.clone(),
        pull_request,
        button: None,
        wanted: None,
    };
    assert_eq!(asked(&[]), Ok(kind(None)));
    assert_eq!(asked(&[("pull_requests", json!([{"number": 3}, {"number": 4}]))]), Ok(kind(Some(IssueNumber(3)))));
    assert_eq!(asked(&[("pull_requests", Value::Null)]), Ok(kind(None)));
    let to = |repo: u64, number: u64| json!({"number": number, "base": {"repo": {"id": repo}}});
    let listed = json!([to(8, 3), to(7, 4)]);
    assert_eq!(asked(&[("pull_requests", listed)]), Ok(kind(Some(IssueNumber(4)))), "the first is another repository's");
    for other in [Value::Null, json!(""), json!("../check"), json!("0123456789abcdeF/check"), json!("0123456789abcdef")] {
        let told = asked(&[("external_id", other.clone())]);
        assert_eq!(told, Err("no job of this program has set the check that is asked for".into()), "{other}");
    }
    assert_eq!(asked(&[("id", Value::Null)]), Err("the check that is asked for has no number".into()));
    let pressed = |identifier: Value| {
        let mut check = check();
        check["external_id"] = json!("0123456789abcdef/check");
        let mut payload = payload("check_run", check);
        payload["action"] = json!("requested_action");
        payload["requested_action"] = json!({ "identifier": identifier });
        read(&scene, "check_run", &payload)
    };
    let EventKind::CheckAsked { button: Some(Button::Mend), .. } = pressed(json!("mend")).expect("it is ours") else {
        panic!("another button")
    };
    for other in [json!("mend|1"), json!(""), json!("lgtm|26764"), Value::Null] {
        assert_eq!(pressed(other.clone()), Err("the button that was pressed is none of ours".into()), "{other}");
    }
    scene.end().await;
}

impl Scene {
    /// A pull request of `ada`, in a repository that wants its red checks looked into; its number and its commit.
    async fn pull(&self) -> (u64, CommitId) {
        let (github, repo) = (&self.stage.github, self.stage.repo);
        let policy: [(&str, &[u8], bool); 1] = [(".github/patchwright.yml", b"triggers: {checks: all}\n", false)];
        github.push_commit(repo, "main", "ada", &policy, "Policy").await.expect("git takes it");
        github.push_commit(repo, "mine", "ada", &[("n", b"1", false)], "Fix").await.expect("git takes it");
        let number = github.open_pull_request(repo, "ada", "Mine", "mine", "main").await.expect("both branches are there");
        (number, CommitId::parse(&github.branches(repo)["mine"]).expect("it is a commit"))
    }

    async fn red(&self, head: &CommitId, check: Option<&str>) -> RepoFacts {
        self.red_run(head, check.map(|name| (1, name))).await
    }

    async fn red_run(&self, head: &CommitId, check: Option<(u64, &str)>) -> RepoFacts {
        let check = check.map(|(id, name)| CheckRef { id, name: Untrusted::new(name) });
        let mut event = self.event("ada");
        event.kind = EventKind::CheckFailed { head: head.clone(), check, app: None };
        self.forge.facts(&event).await.expect("GitHub answers")
    }
}

fn job(log: Option<Vec<u8>>) -> Job {
    let now = Timestamp::from_second(1_760_000_000).expect("it is in range");
    let step = |name: &str, conclusion: &str| JobStep {
        name: name.into(),
        conclusion: conclusion.into(),
        started_at: now,
        completed_at: now,
    };
    let steps = vec![step("Set up job", "success"), step("Test", "failure"), step("Later", "skipped")];
    Job { workflow: "CI".into(), steps, log }
}

#[tokio::test]
async fn the_red_check_of_a_pull_request_is_found() {
    let scene = Scene::set().await;
    let (number, head) = scene.pull().await;
    let (github, repo) = (&scene.stage.github, scene.stage.repo);
    assert_eq!(scene.red(&head, None).await.check, None, "nothing is red yet");
    let first = github.end_job(repo, "mine", "test", "failure", job(None)).expect("it is there");
    github.end_job(repo, "mine", "lint", "timed_out", job(None)).expect("it is there");
    github.end_job(repo, "mine", "docs", "success", job(None)).expect("it is there");
    let found = scene.red(&head, None).await.check.expect("one is red");
    assert_eq!((found.check.id, raw(&found.check.name).as_str(), found.pull_request.0), (first, "test", number));
    assert_eq!((found.is_own, found.n_triaged, found.branch.as_str()), (false, 0, "mine"));
    let lint = scene.red(&head, Some("lint")).await.check.expect("it is red");
    assert_eq!(raw(&lint.check.name), "lint");
    assert_eq!(scene.red(&head, Some("docs")).await.check, None, "it is green");
    github.end_job(repo, "mine", "test", "success", job(None)).expect("it is there");
    assert_eq!(scene.red(&head, Some("test")).await.check, None, "it was run again since");
    github.close_issue(repo, number, "ada").expect("it is there");
    assert_eq!(scene.red(&head, Some("lint")).await.check, None, "the pull request is closed");
    let gone = CommitId::parse(SHA).expect("forty digits");
    assert_eq!(scene.red(&gone, None).await.check, None, "there is no such commit");
    scene.end().await;
}

/// Two workflows may each have a job of one name, and each is run again for itself.
#[tokio::test]
async fn jobs_of_one_name_are_told_from_each_other_by_their_workflows() {
    let scene = Scene::set().await;
    let (_, head) = scene.pull().await;
    let end = |workflow: &str, conclusion: &str| {
        let job = Job { workflow: workflow.into(), ..job(None) };
        scene.stage.github.end_job(scene.stage.repo, "mine", "build", conclusion, job).expect("it is there")
    };
    let (red, docs) = (end("CI", "failure"), end("Docs", "success"));
    let found = scene.red(&head, Some("build")).await.check.expect("the green one of another workflow hides nothing");
    assert_eq!(found.check.id, red);
    let docs_red = end("Docs", "failure");
    let other = scene.red_run(&head, Some((docs_red, "build"))).await.check.expect("it is red");
    assert_eq!(other.check.id, docs_red, "the one that was told of");
    assert_ne!(other.suite, found.suite);
    let old = scene.red_run(&head, Some((docs, "build"))).await.check.expect("one of them is red");
    assert_eq!(old.check.id, red, "the first of those that fail now");
    end("CI", "success");
    end("Docs", "success");
    assert_eq!(scene.red_run(&head, Some((red, "build"))).await.check, None, "both were run again since");
    scene.end().await;
}

/// Whoever opens a pull request from a fork at the same commit keeps nobody from looking into one's own.
#[tokio::test]
async fn a_forks_pull_request_at_the_same_commit_hides_nothing() {
    let scene = Scene::set().await;
    let (github, repo) = (&scene.stage.github, scene.stage.repo);
    let policy: [(&str, &[u8], bool); 1] = [(".github/patchwright.yml", b"triggers: {checks: all}\n", false)];
    github.push_commit(repo, "main", "ada", &policy, "Policy").await.expect("git takes it");
    github.push_commit(repo, "mine", "ada", &[("n", b"1", false)], "Fix").await.expect("git takes it");
    let head = CommitId::parse(&github.branches(repo)["mine"]).expect("it is a commit");
    let fork = github.fork(repo, "eve").await.expect("it is there");
    let theirs = github.open_pull_request_from(fork, repo, "eve", ("Theirs", ""), ("mine", "main")).await;
    theirs.expect("both branches are there");
    github.end_job(repo, "mine", "test", "failure", job(None)).expect("it is there");
    assert_eq!(scene.red(&head, None).await.check, None, "a fork's is left out");
    let ours = github.open_pull_request(repo, "ada", "Ours", "mine", "main").await.expect("both branches are there");
    assert_eq!(scene.red(&head, None).await.check.map(|found| found.pull_request.0), Some(ours));
    scene.end().await;
}

/// What runs when a job's time is over is stopped, and is what has failed.
#[tokio::test]
async fn the_step_that_ran_when_a_jobs_time_was_over_is_the_one_that_failed() {
    let scene = Scene::set().await;
    scene.pull().await;
    for (conclusion, failed) in [("timed_out", Some("Test")), ("cancelled", None)] {
        let mut late = job(None);
        late.steps[1].conclusion = "cancelled".into();
        let id = scene.stage.github.end_job(scene.stage.repo, "mine", "test", conclusion, late).expect("it is there");
        let found = scene.forge.checked_job(&scene.repo, id).await.expect("GitHub answers").expect("it is a job");
        assert_eq!(found.told.failed_step.as_deref(), failed, "{conclusion}");
    }
    scene.end().await;
}

#[tokio::test]
async fn where_no_checks_are_wanted_nothing_is_asked_of_them() {
    let scene = Scene::set().await;
    let (_, head) = scene.pull().await;
    let off: [(&str, &[u8], bool); 1] = [(".github/patchwright.yml", b"triggers: {checks: off}\n", false)];
    scene.stage.github.push_commit(scene.stage.repo, "main", "ada", &off, "Off").await.expect("git takes it");
    assert_eq!(scene.red(&head, None).await.check, None);
    assert_eq!((scene.asked("GET", "/check-runs").len(), scene.asked("GET", "/pulls").len()), (0, 0));
    scene.end().await;
}

#[tokio::test]
async fn a_job_is_told_with_its_log() {
    let scene = Scene::set().await;
    scene.pull().await;
    let github = &scene.stage.github;
    let id = github.end_job(scene.stage.repo, "mine", "test", "failure", job(Some(b"not ok".to_vec()))).expect("it is there");
    let found = scene.forge.checked_job(&scene.repo, id).await.expect("GitHub answers").expect("it is a job");
    assert_eq!((found.workflow.as_deref(), found.log.as_deref()), (Some("CI"), Some(b"not ok" as &[u8])));
    assert_eq!(
        (found.told.conclusion, found.told.failed_step.as_deref(), found.told.has_steps),
        (Ended::Failure, Some("Test"), true)
    );
    assert_eq!(found.during.map(|span| span.from.as_second()), Some(1_760_000_000));
    // The place of the logs refuses whoever brings a token.
    let token = &scene.asked("POST", "/access_tokens")[0];
    assert_scoped(token, &scene.repo, json!({"actions": "read"}));
    let gone = github.end_job(scene.stage.repo, "mine", "old", "failure", job(None)).expect("it is there");
    let found = scene.forge.checked_job(&scene.repo, gone).await.expect("GitHub answers").expect("it is a job");
    assert_eq!(found.log, None, "it is not kept for ever");
    let other = github.report_check(scene.stage.repo, "mine", "other", "failure", "").expect("it is there");
    assert_eq!(scene.forge.checked_job(&scene.repo, other).await.expect("GitHub answers"), None, "it is no job");
    scene.end().await;
}

#[tokio::test]
async fn of_a_long_log_the_end_is_kept() {
    let scene = Scene::set().await;
    scene.pull().await;
    let long = [vec![b'x'; 3 * LOG_BYTES_MAX], b"the end".to_vec()].concat();
    let id = scene.stage.github.end_job(scene.stage.repo, "mine", "test", "failure", job(Some(long))).expect("it is there");
    let found = scene.forge.checked_job(&scene.repo, id).await.expect("GitHub answers").expect("it is a job");
    let log = found.log.expect("it is there");
    assert!(log.ends_with(b"the end") && (LOG_BYTES_MAX..=2 * LOG_BYTES_MAX).contains(&log.len()), "{}", log.len());
    let longer = vec![b'x'; 65 * 1024 * 1024];
    let id = scene.stage.github.end_job(scene.stage.repo, "mine", "test", "failure", job(Some(longer))).expect("it is there");
    let found = scene.forge.checked_job(&scene.repo, id).await.expect("GitHub answers").expect("it is a job");
    assert_eq!(found.log, None, "what is too long is left out");
    scene.end().await;
}

#[tokio::test]
async fn an_address_that_is_no_place_for_a_log_is_not_gone_to() {
    let scene = Scene::set().await;
    scene.pull().await;
    let id =
        scene.stage.github.end_job(scene.stage.repo, "mine", "test", "failure", job(Some(b"x".to_vec()))).expect("it is there");
    let place = scene.stage.github.web_url().trim_start_matches("http://").to_owned();
    for address in [format!("ftp://{place}/_logs/{id}"), format!("http://ada:secret@{place}/_logs/{id}"), "nonsense".into()] {
        let mut led = Fault::refuse("GET", "/repos/*/logs", 302, "");
        led.answer = FaultyAnswer::Response { status: 302, headers: vec![("location", address.clone())], body: Value::Null };
        scene.stage.github.fault(led);
        let found = scene.forge.checked_job(&scene.repo, id).await.expect("GitHub answers").expect("it is a job");
        assert_eq!(found.log, None, "{address}");
    }
    let found = scene.forge.checked_job(&scene.repo, id).await.expect("GitHub answers").expect("it is a job");
    assert_eq!(found.log.as_deref(), Some(b"x" as &[u8]), "where it leads to its place it is fetched");
    scene.end().await;
}

/// What the place of a log says of where to go on, or packs so that a little of it is much, is not heard.
#[tokio::test]
async fn the_place_of_a_log_leads_nowhere_else_and_packs_nothing() {
    let scene = Scene::set().await;
    scene.pull().await;
    let id =
        scene.stage.github.end_job(scene.stage.repo, "mine", "test", "failure", job(Some(b"x".to_vec()))).expect("it is there");
    let packed = || async { ([("content-encoding", "gzip")], "packed") };
    let led = || async { (StatusCode::FOUND, [("location", "/plain")]) };
    let router = Router::new().route("/packed", get(packed)).route("/led", get(led)).route("/plain", get(|| async { "plain" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let place = listener.local_addr().expect("it is bound");
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    for (path, log) in [("packed", None), ("led", None), ("plain", Some(b"plain" as &[u8]))] {
        let mut fault = Fault::refuse("GET", "/repos/*/logs", 302, "");
        fault.answer = FaultyAnswer::Response {
            status: 302,
            headers: vec![("location", format!("http://{place}/{path}"))],
            body: Value::Null,
        };
        scene.stage.github.fault(fault);
        let found = scene.forge.checked_job(&scene.repo, id).await.expect("GitHub answers").expect("it is a job");
        assert_eq!(found.log.as_deref(), log, "{path}");
    }
    server.abort();
    scene.end().await;
}
