//! Who is let in.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;
use serde_json::{Value, json};

use super::REPO;
use crate::support::{
    github::{APP_ID, NOW, Stage, app_token},
    openapi::assert_conform,
};

#[track_caller]
fn check(claims: Value, expected: u16) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let stage = Stage::set().await;
        let answer = stage.get("/app", &app_token(&claims, WORTHLESS_PRIVATE_KEY)).await;
        assert_eq!(answer.status, expected, "{caller}: {}", answer.body);
        stage.github.stop().await;
    }
}

#[tokio::test]
async fn the_app_signs_short_lived_tokens() {
    check(json!({"iss": APP_ID, "iat": NOW - 60, "exp": NOW + 540}), 200).await;
    check(json!({"iss": APP_ID.to_string(), "iat": NOW, "exp": NOW + 600}), 200).await;
    check(json!({"iss": APP_ID, "iat": NOW - 61, "exp": NOW + 540}), 401).await;
    check(json!({"iss": APP_ID, "iat": NOW - 700, "exp": NOW - 100}), 401).await;
    check(json!({"iss": APP_ID, "iat": NOW + 120, "exp": NOW + 240}), 401).await;
    check(json!({"iss": 1, "iat": NOW, "exp": NOW + 60}), 401).await;
    check(json!({"iss": APP_ID}), 401).await;
}

#[tokio::test]
async fn a_token_that_the_app_did_not_sign_is_refused() {
    let stage = Stage::set().await;
    let claims = json!({"iss": APP_ID, "iat": NOW, "exp": NOW + 60});
    let mut forged = app_token(&claims, WORTHLESS_PRIVATE_KEY).into_bytes();
    let at = forged.len() - 20;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("a token is ASCII");
    // The public key must not be taken for a shared secret.
    let confused = EncodingKey::from_secret(patchwright::rehearsal::WORTHLESS_PUBLIC_KEY.as_bytes());
    let confused = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &confused).expect("any secret signs");
    for token in [forged.as_str(), &confused, "nonsense", ""] {
        assert_eq!(stage.get("/app", token).await.status, 401);
    }
    assert_conform(&stage.github.exchanges());
    stage.github.stop().await;
}

#[tokio::test]
async fn a_token_grants_what_was_asked_for_and_no_more() {
    let stage = Stage::set().await;
    let other = stage.github.create_repository("octo", "other", &[("a", b"a", false)]).await.expect("the names are fine");
    let stranger = stage.github.create_repository("else", "where", &[("a", b"a", false)]).await.expect("the names are fine");
    let number = stage.github.open_issue(stage.repo, "ada", "It does not fly", "").expect("the repository is there");
    let token = stage.token(json!({"repository_ids": [stage.repo.0], "permissions": {"issues": "read"}})).await;
    assert_eq!(stage.get(&format!("{REPO}/issues/{number}"), &token).await.status, 200);
    for path in ["/repos/octo/other", "/repos/else/where", "/repos/no/where"] {
        assert_eq!(stage.get(path, &token).await.status, 404);
    }
    let refused = stage.post(&format!("{REPO}/issues/{number}/comments"), &token, json!({"body": "Hello"})).await;
    assert_eq!((refused.status, &refused.body["message"]), (403, &json!("Resource not accessible by integration")));
    assert_eq!(refused.headers["x-accepted-github-permissions"], "issues=write");
    assert_eq!(stage.get(&format!("{REPO}/contents/README.md"), &token).await.status, 403);
    let app = super::app();
    let id = stage.get(&format!("{REPO}/installation"), &app).await.body["id"].clone();
    let tokens = format!("/app/installations/{id}/access_tokens");
    for wanted in [
        json!({"permissions": {"issues": "admin"}}),
        json!({"permissions": {"workflows": "write"}}),
        json!({"repository_ids": [stranger.0]}),
        json!({"repositories": ["nothing"]}),
    ] {
        assert_eq!(stage.post(&tokens, &app, wanted).await.status, 422);
    }
    assert_eq!(stage.post(&tokens, &app, json!({"repository_ids": [other.0]})).await.status, 201);
    assert_eq!(stage.post(&tokens, &token, json!({})).await.status, 401);
    assert_conform(&stage.github.exchanges());
    stage.github.stop().await;
}

#[tokio::test]
async fn the_conversation_of_a_pull_request_opens_to_either_permission() {
    let stage = Stage::set().await;
    stage.github.push_commit(stage.repo, "fix", "ada", &[("a", b"a", false)], "Fix").await.expect("git takes the files");
    let pull = stage.github.open_pull_request(stage.repo, "ada", "Fix", "fix", "main").await.expect("the branches are there");
    let issue = stage.github.open_issue(stage.repo, "ada", "It does not fly", "").expect("the repository is there");
    let token = stage.token(json!({"permissions": {"pull_requests": "write"}})).await;
    for (number, expected) in [(pull, 201), (issue, 403)] {
        let answer = stage.post(&format!("{REPO}/issues/{number}/comments"), &token, json!({"body": "Hello"})).await;
        assert_eq!(answer.status, expected);
    }
    stage.github.stop().await;
}

#[tokio::test]
async fn a_token_ends_after_an_hour_or_with_the_installation() {
    let stage = Stage::set().await;
    let token = stage.token(Value::Null).await;
    stage.github.suspend("octo").expect("the App is installed");
    assert_eq!(stage.get(REPO, &token).await.status, 403);
    stage.github.unsuspend("octo").expect("the App is installed");
    stage.pass(3_599);
    assert_eq!(stage.get(REPO, &token).await.status, 200);
    stage.pass(1);
    assert_eq!(stage.get(REPO, &token).await.status, 401);
    stage.github.stop().await;
}
