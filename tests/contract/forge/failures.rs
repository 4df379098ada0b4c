//! What GitHub refuses, limits or loses becomes what the caller should do about it.

use jsonwebtoken::EncodingKey;
use patchwright::clock::SystemClock;
use patchwright::forge::Forge as _;
use patchwright::forge::github::{GitHub, GitHubSettings, read_private_key};
use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;
use patchwright::rehearsal::fault::{Fault, FaultyAnswer};

use super::{APP_ID, Scene, adapter, settings, told};

pub(super) const COMMENTS: &str = "/repos/octo/rocket/issues/*/comments";
pub(super) const TOKENS: &str = "/app/installations/*/access_tokens";

/// A refusal with more headers.
pub(super) fn refuse(method: &'static str, path: &str, status: u16, message: &str, more: &[(&'static str, &str)]) -> Fault {
    let mut fault = Fault::refuse(method, path, status, message);
    if let FaultyAnswer::Response { headers, .. } = &mut fault.answer {
        headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    }
    fault
}

#[tokio::test]
async fn a_short_limit_is_waited_out() {
    let scene = Scene::set().await;
    for status in [403, 429] {
        scene.stage.github.fault(Fault::rate_limit("POST", COMMENTS, status, 0));
        scene.stage.github.fault(Fault::rate_limit("GET", COMMENTS, status, 0));
        scene.stage.github.fault(Fault::rate_limit("POST", TOKENS, status, 0));
        scene.perform(&scene.comment("Begun.")).await.expect("it succeeds after the wait");
    }
    assert_eq!(scene.comments().len(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_long_limit_is_the_callers() {
    let scene = Scene::set().await;
    for status in [403, 429] {
        scene.stage.github.fault(Fault::rate_limit("POST", COMMENTS, status, 90));
        assert_eq!(told(scene.perform(&scene.comment("Begun.")).await), "wait 90 s");
        scene.stage.pass(90);
    }
    assert_eq!(scene.comments().len(), 0);
    // Limits that name no time.
    scene.stage.github.fault(refuse("GET", COMMENTS, 429, "Too many requests", &[]));
    assert_eq!(told(scene.perform(&scene.comment("Begun.")).await), "wait 60 s");
    scene.stage.pass(60);
    scene.stage.github.fault(refuse("GET", COMMENTS, 403, "You have exceeded a secondary rate limit.", &[]));
    assert_eq!(told(scene.perform(&scene.comment("Begun.")).await), "wait 60 s");
    scene.stage.pass(60);
    scene.stage.github.fault(refuse("GET", COMMENTS, 429, "slow down", &[("retry-after", "soon")]));
    assert_eq!(told(scene.perform(&scene.comment("Begun.")).await), "wait 60 s");
    scene.stage.pass(60);
    let reset = (scene.stage.clock().now().as_second() + 600).to_string();
    let primary = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
    scene.stage.github.fault(refuse("GET", COMMENTS, 403, "API rate limit exceeded", &primary));
    assert_eq!(told(scene.perform(&scene.comment("Begun.")).await), "wait 600 s");
    scene.end().await;
}

/// A limit that never ends is the caller's as well.
#[tokio::test]
async fn a_limit_without_end_is_given_up() {
    let scene = Scene::set().await;
    scene.stage.github.fault(Fault::rate_limit("GET", COMMENTS, 429, 0).times(100));
    assert_eq!(told(scene.perform(&scene.comment("Begun.")).await), "wait 0 s");
    assert_eq!(scene.asked("GET", "/comments").len(), 4);
    scene.end().await;
}

#[tokio::test]
async fn reading_survives_a_server_that_stumbles() {
    let scene = Scene::set().await;
    scene.stage.github.fault(Fault::refuse("GET", "/repos/octo/rocket/issues/*", 502, "Bad Gateway"));
    scene.stage.github.fault(Fault::disconnect("GET", "/repos/octo/rocket/issues/*"));
    scene.forge.context(&scene.spec()).await.expect("the third try succeeds");
    scene.end().await;
}

/// Nothing that is not harmless twice is sent again before it was looked for.
#[tokio::test]
async fn a_write_is_looked_for_before_it_is_sent_again() {
    let scene = Scene::set().await;
    scene.stage.github.fault(Fault::disconnect("POST", COMMENTS));
    scene.perform(&scene.comment("Begun.")).await.expect("the second try succeeds");
    let operations: Vec<_> = scene.stage.github.exchanges().into_iter().map(|exchange| exchange.method).collect();
    assert_eq!(operations[operations.len() - 4..], ["GET", "POST", "GET", "POST"]);
    assert_eq!(scene.comments().len(), 1);
    scene.stage.github.fault(Fault::refuse("POST", "/repos/octo/rocket/issues/*/reactions", 500, "Oops").times(9));
    let reaction = patchwright_domain::effect::Effect::React { subject: patchwright_domain::effect::Subject::Issue(scene.issue) };
    assert_eq!(told(scene.perform(&reaction).await), "unavailable: GitHub answered 500 Oops");
    scene.end().await;
}

#[tokio::test]
async fn a_server_that_stays_away_is_not_available() {
    let scene = Scene::set().await;
    scene.stage.github.fault(Fault::refuse("POST", COMMENTS, 503, "Unicorn!").times(100));
    assert_eq!(told(scene.perform(&scene.comment("Begun.")).await), "unavailable: GitHub answered 503 Unicorn!");
    assert_eq!(scene.asked("POST", "/comments").len(), 3);
    scene.end().await;
}

#[tokio::test]
async fn a_refused_key_names_the_key_and_the_clock() {
    let scene = Scene::set().await;
    let check = "check `github.app_id`, `github.private_key_file` and this machine's clock";
    let stranger = adapter(&scene.stage, WORTHLESS_PRIVATE_KEY, APP_ID + 1).expect("the key is PEM");
    let refused = told(stranger.whoami().await);
    assert_eq!(refused, format!("denied: asking who we are: GitHub answered 401 Integration not found -> {check}"));
    assert!(told(stranger.facts(&scene.event("ada")).await).starts_with("denied: asking for an installation token"));
    let ahead = GitHub::new(GitHubSettings { clock: std::sync::Arc::new(SystemClock), ..settings(&scene.stage) });
    let early = told(ahead.expect("the key is PEM").whoami().await);
    assert!(early.contains("'Issued at'") && early.ends_with(check), "{early}");
    scene.end().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_told() {
    let scene = Scene::set().await;
    let broken = told(
        adapter(&scene.stage, "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", 1).map(|_: GitHub| ()),
    );
    assert!(broken.starts_with("denied: reading the App's private key: "), "{broken}");
    assert!(EncodingKey::from_rsa_pem(WORTHLESS_PRIVATE_KEY.as_bytes()).is_ok());
    let missing = read_private_key(std::path::Path::new("/nowhere/key.pem")).map(|_| ()).expect_err("there is no such file");
    assert!(missing.starts_with("the App's private key `/nowhere/key.pem` cannot be read: "), "{missing}");
    scene.end().await;
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let scene = Scene::set().await;
    scene.stage.github.fault(Fault::refuse(
        "POST",
        TOKENS,
        422,
        "The permissions requested are not granted to this installation.",
    ));
    let not_granted = told(scene.perform(&scene.comment("Begun.")).await);
    assert!(
        not_granted.starts_with("denied: asking for an installation token") && not_granted.contains("-> grant the App"),
        "{not_granted}"
    );
    let wanted = [("x-accepted-github-permissions", "issues=write; pull_requests=write")];
    scene.stage.github.fault(refuse("POST", COMMENTS, 403, "Resource not accessible by integration", &wanted));
    assert_eq!(
        told(scene.perform(&scene.comment("Begun.")).await),
        "denied: writing the comment: GitHub answered 403 Resource not accessible by integration -> grant the App \
         `issues=write; pull_requests=write` and accept the change in the installation's settings"
    );
    scene.end().await;
}

#[tokio::test]
async fn what_owners_did_is_told() {
    let scene = Scene::set().await;
    scene.stage.github.lock_issue(scene.stage.repo, scene.issue.0).expect("the issue is there");
    let locked = told(scene.perform(&scene.comment("Begun.")).await);
    assert!(
        locked.contains("issue is locked") && locked.ends_with("-> unlock the conversation, or ask in another one"),
        "{locked}"
    );
    scene.stage.github.fault(Fault::refuse("GET", COMMENTS, 410, "Issues are disabled for this repo"));
    let disabled = told(scene.perform(&scene.comment("Begun.")).await);
    assert!(disabled.contains("410 Issues are disabled") && disabled.contains("-> enable issues"), "{disabled}");
    scene.stage.github.suspend("octo").expect("the App is installed");
    let suspended = told(scene.forge.facts(&scene.event("ada")).await);
    assert!(
        suspended.starts_with("denied: asking for an installation token: GitHub answered 403 This installation"),
        "{suspended}"
    );
    scene.stage.github.unsuspend("octo").expect("the App is installed");
    scene.forge.facts(&scene.event("ada")).await.expect("GitHub answers again");
    scene.end().await;
}

#[tokio::test]
async fn a_long_answer_is_not_repeated_whole() {
    let scene = Scene::set().await;
    scene.stage.github.fault(Fault::refuse("GET", COMMENTS, 400, &"x".repeat(10_000)));
    assert!(told(scene.perform(&scene.comment("Begun.")).await).len() < 500);
    scene.end().await;
}
