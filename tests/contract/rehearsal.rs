//! The rehearsed GitHub is held to GitHub's own API description, to its rules of access, and to real git.

mod access;
mod git;
mod octocrab;
mod webhooks;

use http::Method;
use patchwright::rehearsal::{
    fault::{Effect, Fault},
    review::Remark,
    scene::{Account, Job, JobStep},
};
use serde_json::{Value, json};

use crate::support::{
    github::{APP_ID, NOW, Stage, app_token},
    openapi::{Description, assert_conform},
};

const REPO: &str = "/repos/octo/rocket";

fn app() -> String {
    app_token(&json!({"iss": APP_ID, "iat": NOW - 60, "exp": NOW + 540}), patchwright::rehearsal::WORTHLESS_PRIVATE_KEY)
}

#[tokio::test]
async fn every_operation_answers_as_github_describes_it() {
    let stage = Stage::set().await;
    the_app_and_its_installations(&stage).await;
    let token = stage.token(Value::Null).await;
    the_repository(&stage, &token).await;
    the_objects(&stage, &token).await;
    the_conversation(&stage, &token).await;
    the_pull_requests(&stage, &token).await;
    the_checks(&stage, &token).await;
    let exchanges = stage.github.exchanges();
    assert_conform(&exchanges);
    let succeeded: Vec<String> = exchanges
        .iter()
        .filter(|exchange| exchange.status < 300 || exchange.status == 302)
        .filter_map(|exchange| exchange.template.map(|template| format!("{} {template}", exchange.method)))
        .collect();
    let untried: Vec<String> = Description::read().operations().into_iter().filter(|name| !succeeded.contains(name)).collect();
    assert!(untried.is_empty(), "never seen to succeed: {untried:?}");
    stage.github.stop().await;
}

async fn the_app_and_its_installations(stage: &Stage) {
    let app = app();
    assert_eq!(stage.get("/app", &app).await.body["slug"], "patchwright");
    // Nobody listens at port 1.
    stage.github.send_webhooks_to("http://127.0.0.1:1/hook");
    stage.github.open_issue(stage.repo, "ada", "It does not land", "").expect("the repository is there");
    stage.github.settle().await;
    let missed = stage.get("/app/hook/deliveries?per_page=1", &app).await.body;
    assert_eq!((&missed[0]["event"], &missed[0]["status_code"]), (&json!("issues"), &json!(0)));
    let again = format!("/app/hook/deliveries/{}/attempts", missed[0]["id"]);
    assert_eq!(stage.post(&again, &app, json!({})).await.status, 202);
    stage.github.settle().await;
    let listed = stage.get("/app/hook/deliveries", &app).await.body;
    assert_eq!((&listed[0]["guid"], &listed[0]["redelivery"]), (&missed[0]["guid"], &json!(true)));
    assert_eq!(stage.post("/app/hook/deliveries/7/attempts", &app, json!({})).await.status, 404);
    assert_eq!(stage.get("/app/hook/deliveries?cursor=nonsense", &app).await.status, 422);
    let installations = stage.get("/app/installations", &app).await.body;
    assert_eq!(installations.as_array().map(Vec::len), Some(1));
    assert_eq!(stage.get(&format!("/app/installations/{}", installations[0]["id"]), &app).await.status, 200);
    assert_eq!(stage.get("/app/installations/7", &app).await.status, 404);
    let narrow = json!({"repository_ids": [stage.repo.0], "permissions": {"contents": "read"}});
    let token = stage.token(narrow).await;
    let repositories = stage.get("/installation/repositories?per_page=10", &token).await.body;
    assert_eq!(repositories["repositories"][0]["full_name"], "octo/rocket");
    assert_eq!(stage.get("/rate_limit", &token).await.body["rate"]["limit"], 5_000);
    assert_eq!(stage.get("/users/patchwright%5Bbot%5D", &token).await.body["type"], "Bot");
    assert_eq!(stage.get("/users/nobody", &token).await.status, 404);
}

async fn the_repository(stage: &Stage, token: &str) {
    stage.github.create_user("eve", Account::User);
    let get = async |path: &str| stage.get(&format!("{REPO}{path}"), token).await;
    assert_eq!(get("").await.body["default_branch"], "main");
    assert_eq!(stage.get(&format!("/repositories/{}", stage.repo.0), token).await.body["name"], "rocket");
    let ada = get("/collaborators/ada/permission").await.body;
    assert_eq!((&ada["permission"], &ada["role_name"]), (&json!("write"), &json!("maintain")));
    assert_eq!(get("/collaborators/eve/permission").await.body["permission"], "none");
    assert_eq!(get("/collaborators/patchwright%5Bbot%5D/permission").await.status, 404);
    assert_eq!(get("/collaborators/nobody/permission").await.status, 404);
    assert_eq!(get("/contents/README.md?ref=main").await.body["content"], "IyBSb2NrZXQK\n");
    assert_eq!(get("/contents/src").await.body[0]["path"], "src/lib.rs");
    assert_eq!(get("/contents/src%2F..%2FREADME.md").await.status, 404);
    assert_eq!(get("/contents/missing").await.status, 404);
    let head = get("/git/ref/heads/main").await.body["object"]["sha"].as_str().expect("a commit has a name").to_owned();
    assert_eq!(get("/git/ref/heads/other").await.status, 404);
    assert_eq!(get("/branches/main").await.body["commit"]["sha"], *head);
    assert_eq!(get("/branches/other/branch").await.status, 404);
    assert_eq!(get(&format!("/commits/{head}")).await.body["commit"]["message"], "Begin");
    assert_eq!(get("/commits/0000000").await.status, 422);
    assert_eq!(get("/nothing/here").await.status, 404);
}

async fn the_objects(stage: &Stage, token: &str) {
    let post = async |path: &str, body: Value| stage.post(&format!("{REPO}/git/{path}"), token, body).await;
    let sha = |answer: &Value| answer["sha"].as_str().expect("it has a name").to_owned();
    let head = stage.get(&format!("{REPO}/commits/main"), token).await.body;
    let (main, base) = (sha(&head), head["commit"]["tree"]["sha"].clone());
    assert_eq!(head["commit"]["verification"]["reason"], "unsigned");
    let launch = json!({"path": "bin/launch", "mode": "100755", "type": "blob", "content": "#!/bin/sh\nexit 0\n"});
    let gone = json!({"path": "src/lib.rs", "mode": "100644", "type": "blob", "sha": null});
    let tree = post("trees", json!({"base_tree": base, "tree": [launch, gone]})).await;
    let root: Vec<&str> = tree.body["tree"].as_array().expect("a list").iter().filter_map(|one| one["path"].as_str()).collect();
    assert_eq!((tree.status, root), (201, vec!["README.md", "bin"]), "a folder with nothing in it is none");
    assert_eq!(post("trees", json!({"base_tree": base, "tree": [gone, gone]})).await.status, 422);
    let odd = json!({"path": "x", "mode": "100644", "type": "blob", "sha": main});
    assert_eq!(post("trees", json!({"base_tree": base, "tree": [odd]})).await.status, 422, "a commit is no file");

    let wanted = json!({"message": "Launch", "tree": sha(&tree.body), "parents": [main]});
    let made = post("commits", wanted.clone()).await;
    assert_eq!((made.status, &made.body["verification"]["reason"]), (201, &json!("valid")));
    assert_eq!(made.body["author"]["name"], "patchwright[bot]");
    let read = stage.get(&format!("{REPO}/git/commits/{}", sha(&made.body)), token).await.body;
    assert_eq!(read, made.body);
    assert_eq!(stage.get(&format!("{REPO}/git/commits/{}", &main[..10]), token).await.status, 404);
    let author = json!({"name": "Ada", "email": "ada@example.com"});
    let hers = post("commits", rehearsed(&wanted, "author", author)).await;
    assert_eq!(
        (hers.status, &hers.body["verification"]["verified"]),
        (201, &json!(false)),
        "what says who wrote it is not signed"
    );
    assert_eq!(post("commits", rehearsed(&wanted, "tree", json!(main))).await.status, 422);
    assert_eq!(post("commits", rehearsed(&wanted, "parents", json!([base]))).await.status, 422);

    let name = json!({"ref": "refs/heads/launch/now", "sha": sha(&made.body)});
    assert_eq!(post("refs", name.clone()).await.status, 201);
    assert_eq!(post("refs", name.clone()).await.body["message"], "Reference already exists");
    assert_eq!(post("refs", rehearsed(&name, "sha", json!("0".repeat(40)))).await.status, 422);
    assert_eq!(post("refs", rehearsed(&name, "ref", json!("launch"))).await.status, 422);
    assert_eq!(stage.github.branches(stage.repo).get("launch/now"), Some(&sha(&made.body)));
    let place = format!("{REPO}/git/refs/heads/launch/now");
    let moved = async |body: Value| {
        let answer = stage.patch(&place, token, body).await;
        (answer.status, answer.body["object"]["sha"].as_str().map(str::to_owned))
    };
    let elsewhere = post("commits", rehearsed(&wanted, "message", json!("Launch later"))).await;
    assert_eq!(moved(json!({"sha": sha(&elsewhere.body)})).await, (422, None), "no commit is lost unasked");
    assert_eq!(moved(json!({"sha": sha(&elsewhere.body), "force": true})).await, (200, Some(sha(&elsewhere.body))));
    let next = post("commits", rehearsed(&wanted, "parents", json!([sha(&elsewhere.body)]))).await;
    for _ in 0..2 {
        assert_eq!(moved(json!({"sha": sha(&next.body), "force": false})).await, (200, Some(sha(&next.body))));
    }
    assert_eq!(moved(json!({"sha": "0".repeat(40)})).await.0, 422);
    assert_eq!(stage.call(Method::DELETE, &place, token, Value::Null).await.status, 204);
    assert_eq!(stage.call(Method::DELETE, &place, token, Value::Null).await.body["message"], "Reference does not exist");
    let reader = stage.token(json!({"permissions": {"contents": "read"}})).await;
    assert_eq!(stage.post(&format!("{REPO}/git/trees"), &reader, json!({"tree": []})).await.status, 403);
}

/// The same with one field changed.
fn rehearsed(wanted: &Value, field: &str, value: Value) -> Value {
    let mut wanted = wanted.clone();
    wanted[field] = value;
    wanted
}

async fn the_conversation(stage: &Stage, token: &str) {
    let number = stage.github.open_issue(stage.repo, "ada", "It does not fly", "At all.").expect("the repository is there");
    stage.github.label(stage.repo, number, "ada", "help wanted").expect("the issue is there");
    let issue = format!("{REPO}/issues/{number}");
    assert_eq!(stage.get(&issue, token).await.body["title"], "It does not fly");
    assert_eq!(stage.get(&format!("{issue}/labels"), token).await.body[0]["name"], "help wanted");
    let labelled = stage.post(&format!("{issue}/labels"), token, json!({"labels": ["wings", "Help wanted"]})).await;
    let names: Vec<&Value> = labelled.body.as_array().expect("a list").iter().map(|label| &label["name"]).collect();
    assert_eq!((labelled.status, names), (200, vec![&json!("help wanted"), &json!("wings")]), "those that are there stay");
    for refused in [json!({"labels": []}), json!({"labels": ["x".repeat(51)]})] {
        assert_eq!(stage.post(&format!("{issue}/labels"), token, refused.clone()).await.status, 422, "{refused}");
    }
    for n in 0..3 {
        let comment = stage.post(&format!("{issue}/comments"), token, json!({"body": format!("Number {n}")})).await;
        assert_eq!((comment.status, &comment.body["user"]["type"]), (201, &json!("Bot")));
    }
    assert_eq!(stage.post(&format!("{issue}/comments"), token, json!({"body": "x".repeat(65_537)})).await.status, 422);
    let first = stage.get(&format!("{issue}/comments?per_page=2"), token).await;
    let links = first.headers["link"].to_str().expect("a link is text").to_owned();
    assert!(links.contains(&format!("/repositories/{}/issues/{number}/comments?per_page=2&page=2>; rel=\"next\"", stage.repo.0)));
    let next = links.split(['<', '>']).nth(1).expect("the link has an address");
    assert_eq!(stage.get(next, token).await.body[0]["body"], "Number 2");
    let comment = format!("{REPO}/issues/comments/{}", first.body[0]["id"]);
    assert_eq!(stage.patch(&comment, token, json!({"body": "Number zero"})).await.body["body"], "Number zero");
    assert_eq!(stage.get(&comment, token).await.body["body"], "Number zero");
    for subject in [&issue, &comment] {
        let reactions = format!("{subject}/reactions");
        assert_eq!(stage.post(&reactions, token, json!({"content": "eyes"})).await.status, 201);
        assert_eq!(stage.post(&reactions, token, json!({"content": "eyes"})).await.status, 200);
        assert_eq!(stage.post(&reactions, token, json!({"content": "tears"})).await.status, 422);
        assert_eq!(stage.get(&reactions, token).await.body.as_array().map(Vec::len), Some(1));
    }
    assert_eq!(stage.call(Method::DELETE, &comment, token, Value::Null).await.status, 204);
    assert_eq!(stage.get(&comment, token).await.status, 404);
    stage.github.lock_issue(stage.repo, number).expect("the issue is there");
    assert_eq!(stage.post(&format!("{issue}/comments"), token, json!({"body": "May I?"})).await.status, 403);
    stage.github.close_issue(stage.repo, number, "ada").expect("the issue is there");
    assert_eq!(stage.get(&issue, token).await.body["state"], "closed");
}

async fn the_pull_requests(stage: &Stage, token: &str) {
    let pulls = format!("{REPO}/pulls");
    let wanted = json!({"title": "Make it fly", "head": "fix/wings", "base": "main", "body": "Wings.", "draft": true});
    assert_eq!(stage.post(&pulls, token, wanted.clone()).await.body["errors"][0]["field"], "head");
    let files: [(&str, &[u8], bool); 1] = [("src/wings.rs", b"// wings\n", false)];
    stage.github.push_commit(stage.repo, "fix/wings", "ada", &files, "Add wings").await.expect("git takes the files");
    let made = stage.post(&pulls, token, wanted.clone()).await;
    assert_eq!((made.status, &made.body["draft"], &made.body["changed_files"]), (201, &json!(true), &json!(1)));
    let again = stage.post(&pulls, token, wanted).await;
    assert_eq!(again.status, 422);
    assert_eq!(again.body["errors"][0]["message"], "A pull request already exists for octo:fix/wings.");
    let same = json!({"title": "Nothing", "head": "main", "base": "main"});
    assert_eq!(stage.post(&pulls, token, same).await.body["errors"][0]["message"], "No commits between main and main");
    assert_eq!(stage.post(&pulls, token, json!({"head": "fix/wings", "base": "main"})).await.status, 422);
    let found = stage.get(&format!("{pulls}?head=octo:fix/wings&state=open"), token).await.body;
    assert_eq!(found[0]["number"], made.body["number"]);
    assert_eq!(stage.get(&format!("{pulls}?head=octo:other"), token).await.body, json!([]));
    let pull = format!("{pulls}/{}", made.body["number"]);
    assert_eq!(stage.get(&pull, token).await.body["mergeable"], Value::Null);
    assert_eq!(stage.get(&pull, token).await.body["mergeable"], true);
    assert_eq!(stage.get(&format!("{pull}/files"), token).await.body[0]["filename"], "src/wings.rs");
    let number = made.body["number"].as_u64().expect("it is a number");
    let remarks = [Remark { path: "src/wings.rs", start_line: None, line: 1, text: "Two of them?" }];
    stage.github.review(stage.repo, number, "ada", "approved", ("", &remarks)).expect("it shows the line");
    let beside = stage.get(&format!("{pull}/comments"), token).await.body;
    assert_eq!(
        (&beside[0]["body"], &beside[0]["path"], &beside[0]["line"]),
        (&json!("Two of them?"), &json!("src/wings.rs"), &json!(1))
    );
    let replies = format!("{pull}/comments/{}/replies", beside[0]["id"]);
    let reply = stage.post(&replies, token, json!({"body": "One is enough."})).await;
    assert_eq!((reply.status, &reply.body["in_reply_to_id"], &reply.body["line"]), (201, &beside[0]["id"], &json!(1)));
    let to_it = format!("{pull}/comments/{}/replies", reply.body["id"]);
    assert_eq!(stage.post(&to_it, token, json!({"body": "Is it?"})).await.status, 404, "only what heads a thread is answered");
    assert_eq!(stage.post(&replies, token, json!({"body": ""})).await.status, 422);
    the_reviews(stage, token, &pull).await;
    the_reviewers(stage, token, &pull).await;
    let reactions = format!("{pulls}/comments/{}/reactions", stage.github.review_comments(stage.repo, number)[0].id);
    for status in [201, 200] {
        assert_eq!(stage.post(&reactions, token, json!({"content": "eyes"})).await.status, status);
    }
    assert_eq!(stage.post(&reactions, token, json!({"content": "tears"})).await.status, 422);
    assert_eq!(stage.get(&reactions, token).await.body[0]["content"], "eyes");
    assert_eq!(stage.get(&format!("{pulls}/comments/7/reactions"), token).await.status, 404);
    assert_eq!(stage.patch(&pull, token, json!({"title": "Make it soar"})).await.body["title"], "Make it soar");
    assert_eq!(stage.patch(&pull, token, json!({"state": "closed"})).await.body["state"], "closed");
    assert_eq!(stage.get(&format!("{pulls}/999"), token).await.status, 404);
    let issue = format!("{REPO}/issues/{}", made.body["number"]);
    assert!(stage.get(&issue, token).await.body["pull_request"].is_object());
}

async fn the_reviews(stage: &Stage, token: &str, pull: &str) {
    let reviews = format!("{pull}/reviews");
    let beside = |path: &str, line: u64| json!([{"path": path, "line": line, "side": "RIGHT", "body": "Two of them?"}]);
    let wanted = |event: &str, body: &str, comments: Value| json!({"event": event, "body": body, "comments": comments});
    let made = stage.post(&reviews, token, wanted("COMMENT", "I see.", beside("src/wings.rs", 1))).await;
    assert_eq!((made.status, &made.body["state"], &made.body["body"]), (200, &json!("COMMENTED"), &json!("I see.")));
    let listed = stage.get(&reviews, token).await.body;
    assert_eq!((&listed[0]["state"], &listed[2]["id"]), (&json!("APPROVED"), &made.body["id"]), "a reply is a review, too");
    for refused in [
        wanted("COMMENT", "I see.", beside("src/wings.rs", 2)),
        wanted("COMMENT", "I see.", beside("src/wheels.rs", 1)),
        wanted("COMMENT", "", json!([])),
        wanted("SHRUG", "I see.", json!([])),
        json!({"event": "COMMENT", "body": "I see.", "commit_id": "0".repeat(40)}),
        wanted("COMMENT", "I see.", json!([{"path": "src/wings.rs", "start_line": 1, "line": 1, "body": "Two?"}])),
    ] {
        assert_eq!(stage.post(&reviews, token, refused.clone()).await.status, 422, "{refused}");
    }
    assert_eq!(stage.get(&reviews, token).await.body.as_array().map(Vec::len), Some(3));
}

async fn the_reviewers(stage: &Stage, token: &str, pull: &str) {
    let ask = async |token: &str, wanted: Value| stage.post(&format!("{pull}/requested_reviewers"), token, wanted).await;
    let shown = |body: &Value| (body["requested_reviewers"][0]["login"].clone(), body["requested_teams"][0]["slug"].clone());
    let made = ask(token, json!({"reviewers": ["ada"]})).await;
    assert_eq!((made.status, shown(&made.body)), (201, (json!("ada"), Value::Null)));
    let refused = ask(token, json!({"reviewers": ["ada", "eve"]})).await;
    assert!(refused.status == 422 && refused.body["message"].as_str().is_some_and(|told| told.contains("is not a collaborator")));
    assert_eq!(ask(token, json!({"reviewers": ["patchwright[bot]"]})).await.status, 422, "it has opened it");
    stage.github.add_team(stage.repo, "pilots").expect("the repository is there");
    let unseen = ask(token, json!({"team_reviewers": ["pilots"]})).await;
    assert!(unseen.body["errors"][0]["message"].as_str().is_some_and(|told| told.starts_with("Could not resolve to a node")));
    stage.github.accept("octo", "members", "read").expect("the App is installed");
    let token = stage.token(Value::Null).await;
    assert_eq!(ask(&token, json!({"team_reviewers": ["strangers"]})).await.status, 422);
    let made = ask(&token, json!({"reviewers": ["ada"], "team_reviewers": ["pilots"]})).await;
    assert_eq!((made.status, shown(&made.body)), (201, (json!("ada"), json!("pilots"))));
    assert_eq!(made.body["requested_reviewers"].as_array().map(Vec::len), Some(1), "once");
}

async fn the_checks(stage: &Stage, token: &str) {
    let sha = stage.github.branches(stage.repo)["main"].clone();
    let runs = format!("{REPO}/check-runs");
    let made = stage.post(&runs, token, json!({"name": "proof", "head_sha": sha, "external_id": "job-1"})).await;
    assert_eq!((made.status, &made.body["status"]), (201, &json!("queued")));
    let run = format!("{runs}/{}", made.body["id"]);
    let annotation = json!({"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "here"});
    let output = |n: usize| json!({"title": "Proof", "summary": "Green", "annotations": vec![annotation.clone(); n]});
    assert_eq!(stage.patch(&run, token, json!({"output": output(51)})).await.status, 422);
    assert_eq!(stage.patch(&run, token, json!({"status": "completed"})).await.status, 422);
    let done = stage.patch(&run, token, json!({"conclusion": "success", "output": output(50)})).await;
    assert_eq!((&done.body["status"], &done.body["output"]["annotations_count"]), (&json!("completed"), &json!(50)));
    assert_eq!(stage.get(&run, token).await.body["external_id"], "job-1");
    let added = stage.patch(&run, token, json!({"output": output(3)})).await.body["output"]["annotations_count"].clone();
    assert_eq!(added, 53, "they are added to those that are there");
    let listed = stage.get(&format!("{run}/annotations?per_page=100"), token).await.body;
    assert_eq!((listed.as_array().map(Vec::len), &listed[52]["message"]), (Some(53), &json!("here")));
    assert_eq!(stage.get(&format!("{runs}/7/annotations"), token).await.status, 404);
    let theirs = stage.github.report_check(stage.repo, "main", "tests", "failure", "1 failed").expect("main is there");
    assert_eq!(stage.patch(&format!("{runs}/{theirs}"), token, json!({"status": "queued"})).await.status, 403);
    let list =
        async |query: &str| stage.get(&format!("{REPO}/commits/main/check-runs{query}"), token).await.body["total_count"].clone();
    assert_eq!(list("").await, 2);
    assert_eq!(list("?check_name=tests").await, 1);
    assert_eq!(list(&format!("?app_id={APP_ID}")).await, 1);
    assert_eq!(stage.post(&runs, token, json!({"name": "proof", "head_sha": "0".repeat(40)})).await.status, 422);
    the_jobs(stage, token).await;
}

async fn the_jobs(stage: &Stage, token: &str) {
    let now = stage.clock().now();
    let step = JobStep { name: "Test".into(), conclusion: "failure".into(), started_at: now, completed_at: now };
    let job = Job { workflow: "CI".into(), steps: vec![step], log: Some(b"not ok".to_vec()) };
    let id = stage.github.end_job(stage.repo, "fix/wings", "test", "failure", job).expect("the branch is there");
    let job = format!("{REPO}/actions/jobs/{id}");
    assert_eq!(stage.get(&job, token).await.body["steps"][0]["name"], "Test");
    assert_eq!(stage.get(&format!("{REPO}/actions/jobs/7"), token).await.status, 404);
    // This client goes where it is led to, and takes the token along.
    assert_eq!(stage.get(&format!("{job}/logs"), token).await.status, 400);
    let head = stage.github.branches(stage.repo)["fix/wings"].clone();
    let pulls = async |sha: &str| stage.get(&format!("{REPO}/commits/{sha}/pulls"), token).await;
    assert_eq!(pulls(&head).await.body[0]["head"]["sha"], *head);
    assert_eq!(pulls(&"0".repeat(40)).await.status, 422);
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_it_says() {
    let stage = Stage::set().await;
    let token = stage.token(Value::Null).await;
    let number = stage.github.open_issue(stage.repo, "ada", "It does not fly", "").expect("the repository is there");
    let comments = format!("{REPO}/issues/{number}/comments");
    let comment = async || stage.post(&comments, &token, json!({"body": "Hello"})).await;
    stage.github.fault(Fault::rate_limit("POST", "/repos/*/comments", 429, 7).times(2));
    for _ in 0..2 {
        let limited = comment().await;
        assert_eq!((limited.status, &limited.headers["retry-after"]), (429, &http::HeaderValue::from_static("7")));
    }
    assert_eq!(stage.github.comments(stage.repo, number).len(), 0);
    stage.github.fault(Fault::lose_answer("POST", "/repos/*/comments"));
    assert_eq!(comment().await.status, 502);
    assert_eq!(stage.github.comments(stage.repo, number).len(), 1);
    assert_eq!(comment().await.status, 201);
    for (effect, n) in [(Effect::Withheld, 2), (Effect::Applied, 3)] {
        stage.github.fault(Fault { effect, ..Fault::disconnect("POST", "/repos/*/comments") });
        let url = format!("{}{comments}", stage.github.api_url());
        let client = reqwest::Client::builder().no_proxy().build().expect("the client needs nothing");
        let sent = client.post(url).bearer_auth(&token).json(&json!({"body": "Hello"})).send().await;
        let broken = match sent {
            Ok(answer) => answer.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(broken);
        assert_eq!(stage.github.comments(stage.repo, number).len(), n);
    }
    assert_conform(&stage.github.exchanges());
    stage.github.stop().await;
}

#[tokio::test]
async fn the_addresses_lead_to_pages_that_quote_what_people_wrote() {
    let stage = Stage::set().await;
    let number =
        stage.github.open_issue(stage.repo, "ada", "It <b>does</b> not fly", "At all.").expect("the repository is there");
    let issue = stage.github.issue(stage.repo, number).expect("it was just opened");
    assert_eq!(issue.title, "It <b>does</b> not fly");
    let page = async |path: &str| {
        let url = format!("{}{path}", stage.github.web_url());
        reqwest::get(url).await.expect("the rehearsal answers").text().await.expect("a page is text")
    };
    assert!(
        page(&format!("/octo/rocket/issues/{number}"))
            .await
            .contains("<h1>It &lt;b&gt;does&lt;/b&gt; not fly (octo/rocket#1, open)")
    );
    assert!(page("/octo/rocket").await.contains("<a href=\"/octo/rocket/issues/1\">"));
    assert!(page("/octo/nothing").await.contains("no such page"));
    stage.github.stop().await;
}
