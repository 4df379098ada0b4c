//! What comes in: whether it is GitHub's, and what it says.

use std::collections::BTreeSet;
use std::io::Read as _;

use jiff::Timestamp;
use patchwright::forge::{Forge as _, Unauthentic};
use patchwright::rehearsal::hook::signature;
use patchwright::rehearsal::review::Remark;
use patchwright_domain::event::{DeliveryId, Event, EventKind, IssueNumber, Place, RawDelivery, Role, Text, Untrusted};
use patchwright_domain::job::Budget;
use patchwright_domain::policy::rates::{Rates, Recent};
use patchwright_domain::policy::wanted::Policy;
use patchwright_domain::policy::{self, Decision, Deployment, Facts};
use serde_json::{Value, json};

use super::{SECRET, Scene, raw};

fn delivery(event: &str, body: impl Into<Vec<u8>>) -> RawDelivery {
    let received_at = Timestamp::from_second(1_760_000_000).expect("the time is in range");
    RawDelivery {
        id: DeliveryId::new("d").expect("the name is well-formed"),
        event: event.into(),
        body: body.into(),
        received_at,
    }
}

fn comment_payload() -> Value {
    json!({
        "action": "created",
        "installation": {"id": 1},
        "repository": {"id": 7, "name": "rocket", "owner": {"login": "octo", "id": 2, "type": "Organization"}, "default_branch": "main"},
        "sender": {"id": 9, "login": "ada", "type": "User"},
        "issue": {"number": 3, "state": "open", "updated_at": "2026-01-02T03:04:05Z", "user": {"login": "ada"}},
        "comment": {"id": 5_000_000_000u64, "body": "@codex fix this", "created_at": "2026-01-02T03:04:06Z", "user": {"id": 9, "login": "ada"}},
    })
}

/// The payload with one place changed; nothing takes it away.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut payload = comment_payload();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = payload.pointer_mut(parent).and_then(Value::as_object_mut).expect("the parent is there");
    match value {
        Some(value) => drop(parent.insert(name.into(), value)),
        None => drop(parent.remove(name)),
    }
    payload
}

#[tokio::test]
async fn only_what_github_signed_is_let_in() {
    let scene = Scene::set().await;
    let body = b"{\"action\":\"created\"}\r\n\xff";
    let check = |signature: Option<&str>| scene.forge.authenticate(signature, body);
    for secret in [SECRET, "the one before"] {
        check(Some(&signature(secret.as_bytes(), body))).expect("it is signed");
    }
    let right = signature(SECRET.as_bytes(), body);
    check(Some(&right.to_uppercase().replace("SHA256", "sha256"))).expect("hexadecimal digits are digits in either case");
    assert!(matches!(check(None), Err(Unauthentic::Unsigned)));
    let digits = right.strip_prefix("sha256=").expect("it has its prefix");
    for wrong in [
        signature(b"another", body),
        signature(SECRET.as_bytes(), &body[1..]),
        signature(b"", body),
        String::new(),
        "sha256=".into(),
        format!("sha256={}", &digits[..62]),
        format!("sha256={digits}00"),
        "sha256=not hexadecimal digits at all".into(),
        format!("sha1={}", &digits[..40]),
        format!("sha1={digits}"),
        digits.into(),
        format!(" {right}"),
        format!("{right},{right}"),
    ] {
        assert!(matches!(check(Some(&wrong)), Err(Unauthentic::Mismatch)), "{wrong}");
    }
    scene.end().await;
}

#[tokio::test]
async fn the_rehearsals_webhooks_are_read() {
    let scene = Scene::set().await;
    let receiver = crate::support::github::Receiver::listen().await;
    let github = &scene.stage.github;
    github.send_webhooks_to(&receiver.url);
    github.comment(scene.stage.repo, scene.issue.0, "ada", "@codex fix this").expect("the issue is there");
    github.label(scene.stage.repo, scene.issue.0, "ada", "codex").expect("the issue is there");
    github.close_issue(scene.stage.repo, scene.issue.0, "ada").expect("the issue is there");
    github.settle().await;
    let read = |arrival: &crate::support::github::Arrival| {
        scene.forge.authenticate(Some(&arrival.headers["x-hub-signature-256"]), &arrival.body).expect("it is signed");
        scene.forge.parse(&delivery(&arrival.headers["x-github-event"], arrival.body.clone())).expect("it says something")
    };
    let events: Vec<Event> = receiver.arrivals().iter().map(read).collect();
    assert!(events.iter().all(|event| event.repo == scene.repo && event.actor.login == "ada" && !event.actor.is_bot));
    let EventKind::Written { issue, text, before, on_pull_request, via_app, .. } = &events[0].kind else {
        panic!("not a comment: {events:?}")
    };
    assert_eq!((*issue, raw(&text.body).as_str(), before), (scene.issue, "@codex fix this", &None));
    assert_eq!((*on_pull_request, *via_app), (false, None));
    assert_eq!(
        events[1].kind,
        EventKind::IssueLabeled { issue: scene.issue, label: "codex".into(), is_open: true, on_pull_request: false }
    );
    assert_eq!(events[2].kind, EventKind::IssueClosed { issue: scene.issue });
    scene.end().await;
}

/// What is said on a pull request: in its text, by a review as a whole, and beside a line; and who is to do an issue.
#[tokio::test]
async fn what_is_said_on_a_pull_request_is_read_wherever_it_stands() {
    let scene = Scene::set().await;
    let receiver = crate::support::github::Receiver::listen().await;
    let (github, repo) = (&scene.stage.github, scene.stage.repo);
    github.push_commit(repo, "more", "ada", &[("more", b"more\n", false)], "More").await.expect("git takes it");
    github.send_webhooks_to(&receiver.url);
    let opened = github.open_pull_request_from(repo, repo, "ada", ("More", "@codex prove"), ("more", "main")).await;
    let pull = opened.expect("both branches are there");
    let remarks = [Remark { path: "more", start_line: None, line: 1, text: "@codex prove it" }];
    let review = github.review(repo, pull, "ada", "commented", ("@codex help", &remarks)).expect("it shows the line");
    let remark = github.review_comments(repo, pull)[0].id;
    github.edit_issue(repo, pull, "ada", &json!({"title": "Much more"})).expect("it is there");
    github.edit_review(repo, review, "ada", "@codex status").expect("it is there");
    github.edit_review_comment(repo, remark, "ada", "@codex stop").expect("it is there");
    github.assign(repo, scene.issue.0, "ada", "codex").expect("it is there");
    github.label(repo, pull, "ada", "codex").expect("it is there");
    github.assign(repo, pull, "ada", "codex").expect("it is there");
    github.request_review(repo, pull, "ada", "codex").expect("it is there");
    let sent = json!({"pull_request": pull, "command": "review the locking"});
    github.dispatch(repo, "ada", "patchwright", sent).expect("it is there");
    github.close_issue(repo, pull, "ada").expect("it is there");
    github.settle().await;
    let told: Vec<String> = receiver
        .arrivals()
        .iter()
        .map(|arrival| scene.forge.parse(&delivery(&arrival.headers["x-github-event"], arrival.body.clone())))
        .map(|event| match event.expect("it says something").kind {
            EventKind::Written { issue, place, text, before, on_pull_request: true, via_app: None, .. } => {
                let place = match place {
                    Place::Description => "text",
                    Place::Review(id) if id == review => "review",
                    Place::ReviewComment { comment, review: Some(id) } if (comment, id) == (remark, review) => "remark",
                    Place::Comment(_) | Place::Review(_) | Place::ReviewComment { .. } => "elsewhere",
                };
                let told = |text: &Text| format!("{:?} {:?}", text.title.as_ref().map(raw), raw(&text.body));
                format!("{place} of #{issue}: {}, before: {:?}", told(&text), before.as_ref().map(told))
            }
            other => format!("{other:?}"),
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    text of #2: None "@codex prove", before: None
    review of #2: None "@codex help", before: None
    remark of #2: None "@codex prove it", before: None
    text of #2: None "@codex prove", before: Some("None \"@codex prove\"")
    review of #2: None "@codex status", before: Some("None \"@codex help\"")
    remark of #2: None "@codex stop", before: Some("None \"@codex prove it\"")
    IssueAssigned { issue: IssueNumber(1), assignee: "codex", is_open: true, on_pull_request: false }
    IssueLabeled { issue: IssueNumber(2), label: "codex", is_open: true, on_pull_request: true }
    IssueAssigned { issue: IssueNumber(2), assignee: "codex", is_open: true, on_pull_request: true }
    ReviewRequested { pull_request: IssueNumber(2), reviewer: "codex", is_open: true }
    Dispatched { issue: IssueNumber(2), on_pull_request: true, command: Untrusted(18 bytes) }
    IssueClosed { issue: IssueNumber(2) }
    "#);
    scene.end().await;
}

/// A workflow is started by hand or by a program, with a command among its inputs, or without.
#[tokio::test]
async fn a_command_is_read_among_the_inputs_of_a_workflow() {
    let scene = Scene::set().await;
    let mut payload = comment_payload();
    payload["ref"] = json!("refs/heads/main");
    payload["workflow"] = json!(".github/workflows/ask.yml");
    payload.as_object_mut().expect("it is one").remove("action");
    let mut parse = |inputs: Value| {
        payload["inputs"] = inputs;
        scene.forge.parse(&delivery("workflow_dispatch", payload.to_string())).map(|event| (event.kind, event.actor.login))
    };
    let sent = |on_pull_request| {
        let command = Untrusted::new("fix this");
        Ok((EventKind::Dispatched { issue: IssueNumber(12), on_pull_request, command }, "ada".to_owned()))
    };
    assert_eq!(parse(json!({"patchwright": "fix this", "issue": "12"})), sent(false));
    for (pull_request, on_pull_request) in
        [(json!("true"), true), (json!(true), true), (json!("false"), false), (json!(""), false), (Value::Null, false)]
    {
        let inputs = json!({"patchwright": "fix this", "issue": "12", "pull_request": pull_request, "more": "x"});
        assert_eq!(parse(inputs), sent(on_pull_request), "{pull_request}");
    }
    for none in [Value::Null, json!({}), json!("fix"), json!({"issue": "12"}), json!({"patchwright": 7, "issue": "12"})] {
        assert_eq!(parse(none.clone()), Err("the workflow's inputs hold no `patchwright`".into()), "{none}");
    }
    for issue in [json!("12a"), json!("+12"), json!(""), json!("0"), json!("#12"), json!(null), json!("99999999999999999999")] {
        let told = Err("the workflow's input `issue` is no issue's number".into());
        assert_eq!(parse(json!({"patchwright": "fix this", "issue": issue})), told, "{issue}");
    }
    let odd = json!({"patchwright": "fix this", "issue": "12", "pull_request": "yes"});
    assert_eq!(parse(odd), Err("the workflow's input `pull_request` is neither `true` nor `false`".into()));
    scene.end().await;
}

/// GitHub's own words for them are full of nothing.
#[tokio::test]
async fn a_review_may_be_odd() {
    let scene = Scene::set().await;
    let parse = |event: &str, payload: &Value| scene.forge.parse(&delivery(event, payload.to_string()));
    let mut payload = comment_payload();
    payload["action"] = json!("submitted");
    assert_eq!(parse("pull_request_review", &payload), Err("the payload holds no pull request".into()));
    payload["pull_request"] = json!({"number": 4, "body": null, "user": null});
    assert_eq!(parse("pull_request_review", &payload), Err("the payload holds no review".into()));
    payload["review"] = json!({"id": 6, "body": null, "user": {"id": 9}, "submitted_at": null});
    let event = parse("pull_request_review", &payload).expect("it says something");
    assert_eq!((event.kind.issue().map(|issue| issue.0), event.at.as_second()), (Some(4), 1_760_000_000));
    payload["review"]["user"] = Value::Null;
    assert_eq!(parse("pull_request_review", &payload), Err("the sender has not written the text".into()));
    payload["action"] = json!("dismissed");
    let dismissed = "`pull_request_review` events with the action `dismissed` start nothing";
    assert_eq!(parse("pull_request_review", &payload), Err(dismissed.into()));
    payload["action"] = json!("opened");
    assert_eq!(parse("pull_request", &payload), Err("the sender has not written the text".into()));
    payload["action"] = json!("assigned");
    assert_eq!(parse("issues", &payload), Err("the payload names no assignee".into()));
    scene.end().await;
}

/// All that GitHub publishes as examples: nothing panics, and nothing would start a run even for an administrator.
#[tokio::test]
async fn githubs_own_examples_start_nothing() {
    let scene = Scene::set().await;
    let mut text = String::new();
    let zipped: &[u8] = include_bytes!("../../fixtures/webhooks/examples.json.gz");
    flate2::read::GzDecoder::new(zipped).read_to_string(&mut text).expect("the fixture is gzip");
    let groups: Value = serde_json::from_str(&text).expect("the fixture is JSON");
    let budget = Budget { wall_clock_ms: 1, rounds: 1, attempts: 1, turns: 1, claims: 1, tokens: 1, cost_microusd: 1 };
    let deployment = Deployment { app_id: 1, mention: "@codex".into(), bots: BTreeSet::new(), budget, rates: Rates::default() };
    let facts = Facts {
        policy: Policy::default(),
        role: Role::Admin,
        is_open: true,
        is_no_issue: false,
        open_jobs: Vec::new(),
        stoppable: Vec::new(),
        unread: None,
        was_answered: false,
        recent: Recent::default(),
        check: None,
        pull: None,
        last: None,
        stopping: Vec::new(),
        n_by_bots: 0,
        n_mended: 0,
    };
    let (mut n_examples, mut n_read) = (0, 0);
    for group in groups.as_array().expect("the fixture is a list") {
        let event = group["name"].as_str().expect("an event has a name");
        for example in group["examples"].as_array().expect("an event has examples") {
            n_examples += 1;
            for body in [example.to_string(), installed(example).to_string()] {
                let Ok(event) = scene.forge.parse(&delivery(event, body)) else { continue };
                n_read += 1;
                let decision = policy::decide(&event, &deployment, &facts);
                assert!(matches!(decision, Decision::Ignore { .. }), "{decision:?}");
            }
        }
    }
    assert_eq!(n_examples, 329);
    assert!(n_read > 0, "some of them are read");
    scene.end().await;
}

/// The example as it would come from our App.
fn installed(example: &Value) -> Value {
    let mut example = example.clone();
    if let Some(fields) = example.as_object_mut() {
        fields.insert("installation".into(), json!({"id": 1}));
    }
    example
}

/// A transferred issue is told of as opened, by who moved it; and whoever mends what somebody else has written may do more than that
/// one. What the author has written there is no command of theirs.
#[tokio::test]
async fn a_text_counts_for_who_wrote_it() {
    let scene = Scene::set().await;
    let opened = json!({
        "action": "opened",
        "installation": {"id": 1},
        "repository": {"id": 7, "name": "rocket", "owner": {"login": "octo", "id": 2, "type": "Organization"}, "default_branch": "main"},
        "sender": {"id": 9, "login": "ada", "type": "User"},
        "issue": {
            "number": 3, "title": "Wrong", "body": "@codex fix this", "state": "open", "created_at": "2026-01-02T03:04:05Z",
            "user": {"id": 9, "login": "ada"}
        },
    });
    let parse = |payload: &Value| scene.forge.parse(&delivery("issues", payload.to_string()));
    let EventKind::Written { text, place: Place::Description, before: None, .. } = parse(&opened).expect("it is hers").kind
    else {
        panic!("no text of an issue's own")
    };
    let both = |text: &Text| (text.title.as_ref().map(raw).expect("an issue has a title"), raw(&text.body));
    let is = |title: &str, body: &str| (title.to_owned(), body.to_owned());
    assert_eq!(both(&text), is("Wrong", "@codex fix this"));
    for mark in ["_Originally posted by @eve in #2 (comment)_", "<div type='discussions-op-text'>\n\n<sup>by eve</sup>"] {
        let mut copied = opened.clone();
        copied["issue"]["body"] = json!(format!("@codex fix this\n\n{mark}"));
        assert_eq!(parse(&copied), Err("the issue was made of what somebody else has written".into()));
    }
    for author in [json!({"id": 8, "login": "eve"}), Value::Null] {
        let mut moved = opened.clone();
        moved["issue"]["user"] = author;
        assert_eq!(parse(&moved), Err("the sender has not written the text".into()));
    }
    let mut edited = opened.clone();
    edited["action"] = json!("edited");
    assert_eq!(parse(&edited), Err("the payload does not say what was edited".into()));
    for (changes, before) in [
        (json!({"title": {"from": "Right"}}), is("Right", "@codex fix this")),
        (json!({"body": {"from": "It is 6."}}), is("Wrong", "It is 6.")),
        (json!({"body": {"from": null}}), is("Wrong", "")),
    ] {
        edited["changes"] = changes;
        let EventKind::Written { before: Some(told), .. } = parse(&edited).expect("it was edited").kind else {
            panic!("no edit")
        };
        assert_eq!(both(&told), before);
        let mut of_another = edited.clone();
        of_another["issue"]["user"] = json!({"id": 8, "login": "eve"});
        assert_eq!(parse(&of_another), Err("the sender has not written the text".into()));
    }
    scene.end().await;
}

#[tokio::test]
async fn a_payload_may_be_odd() {
    let scene = Scene::set().await;
    let parse = |payload: &Value| scene.forge.parse(&delivery("issue_comment", payload.to_string()));
    let event = parse(&comment_payload()).expect("it says something");
    assert_eq!(event.at.to_string(), "2026-01-02T03:04:06Z");
    let kind = |payload: &Value| parse(payload).expect("it says something").kind;
    for (pointer, value) in [("/comment/body", Some(Value::Null)), ("/comment/body", None)] {
        let EventKind::Written { text, place, .. } = kind(&with(pointer, value)) else { panic!("not a comment") };
        assert_eq!((raw(&text.body).as_str(), place), ("", Place::Comment(5_000_000_000)));
    }
    let EventKind::Written { text, .. } = kind(&with("/comment/body", Some(json!("a\r\n@codex fix\r\n")))) else {
        panic!("not a comment")
    };
    assert_eq!(raw(&text.body), "a\r\n@codex fix\r\n");
    let app = with("/comment/performed_via_github_app", Some(json!({"id": 7, "slug": "x"})));
    assert!(matches!(kind(&app), EventKind::Written { via_app: Some(7), .. }));
    let pull = with("/issue/pull_request", Some(json!({"url": "x"})));
    assert!(matches!(kind(&pull), EventKind::Written { on_pull_request: true, .. }));
    let none = with("/issue/pull_request", Some(Value::Null));
    assert!(matches!(kind(&none), EventKind::Written { on_pull_request: false, .. }));
    for undated in [with("/comment/created_at", Some(json!("yesterday"))), with("/comment/created_at", None)] {
        assert_eq!(parse(&undated).expect("it says something").at.as_second(), 1_760_000_000);
    }
    for bot in [with("/sender/type", Some(json!("Bot"))), with("/sender/login", Some(json!("helper[bot]")))] {
        assert!(parse(&bot).expect("it says something").actor.is_bot);
    }
    scene.end().await;
}

#[tokio::test]
async fn what_a_payload_lacks_is_a_reason() {
    let scene = Scene::set().await;
    let reason = |pointer: &str, value: Option<Value>| {
        let payload = with(pointer, value).to_string();
        scene.forge.parse(&delivery("issue_comment", payload)).expect_err("it lacks something")
    };
    for pointer in ["/sender", "/installation", "/repository", "/issue", "/comment"] {
        let (name, missing) = (&pointer[1..], reason(pointer, None));
        assert!(missing.contains(name), "{missing}");
        assert_eq!(reason(pointer, Some(Value::Null)), missing);
    }
    let invisible = reason("/sender/login", Some(Value::Null));
    assert_eq!(invisible, "the sender has no id or no login");
    for login in ["../../admin", "a/b", "a b", "a%2fb", "a?b", "a#b", ""] {
        let path = reason("/sender/login", Some(json!(login)));
        assert_eq!(path, "the sender's login has a form that GitHub does not give", "{login}");
    }
    assert!(reason("/repository/name", Some(json!("../x"))).contains("the repository's name"));
    assert!(reason("/repository/default_branch", Some(json!("-x"))).contains("the default branch"));
    assert_eq!(reason("/repository/owner/login", Some(Value::Null)), "the payload names no owner of the repository");
    assert_eq!(reason("/action", Some(json!("de\nleted`"))), "`issue_comment` events with the action `deleted` start nothing");
    assert!(reason("/repository/id", Some(json!("7"))).starts_with("the payload cannot be read"));
    assert!(reason("/comment/id", Some(json!(-1))).starts_with("the payload cannot be read"));
    assert!(reason("/comment/id", Some(json!(1e30))).starts_with("the payload cannot be read"));
    assert!(reason("/comment/body", Some(json!(["@codex fix"]))).starts_with("the payload cannot be read"));
    let deep = format!("{{\"action\":\"created\",\"issue\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for body in
        [b"".to_vec(), b"null".to_vec(), b"[]".to_vec(), b"\xff\xfe".to_vec(), b"{\"action\":".to_vec(), deep.into_bytes()]
    {
        scene.forge.parse(&delivery("issue_comment", body)).expect_err("it is no payload");
    }
    let other = scene.forge.parse(&delivery("push`\n<b>", "{}")).expect_err("we do not listen");
    assert_eq!(other, "`pushb` events start nothing");
    scene.end().await;
}
