use std::sync::{Arc, Mutex};

use axum::extract::Request;
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;

use super::{Relay, Remote};
use crate::forge::CloneAccess;

type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// A forge that answers everything with this status, and remembers what it was asked.
async fn forge(status: StatusCode) -> (String, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let answer = async move |request: Request| {
        let asked = format!("{} {}", request.method(), request.uri());
        log.lock().expect("nobody panics with it").push((asked, request.headers().clone()));
        (status, [("location", "http://127.0.0.1:1/"), ("set-cookie", "a=b")], "said the forge")
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
    let url = format!("http://{}/octo/rocket.git", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    (url, seen)
}

fn admit(relay: &Relay, url: &str) -> Remote {
    relay.admit(CloneAccess { url: url.into(), token: Some(SecretString::from("ghs_secret")) })
}

async fn ask(url: String, password: Option<&str>) -> reqwest::Response {
    let client = crate::http_client::builder().build().expect("the client needs nothing");
    let request = client.get(url).header("git-protocol", "version=2").header("cookie", "c=d");
    let request = match password {
        Some(password) => request.basic_auth("relay", Some(password)),
        None => request,
    };
    request.send().await.expect("the relay answers")
}

const REFS: &str = "/info/refs?service=git-upload-pack";

#[tokio::test]
async fn what_git_asks_goes_to_the_forge_with_the_token_and_without_the_password() {
    let (url, seen) = forge(StatusCode::OK).await;
    let relay = Relay::start().await.expect("loopback has a free port");
    let remote = admit(&relay, &url);
    assert!(!remote.url().contains("ghs_secret") && !format!("{relay:?}{remote:?}").contains("ghs_secret"));
    let answer = ask(format!("{}{REFS}", remote.url()), Some(remote.credentials().1)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.headers().contains_key("set-cookie"));
    assert_eq!(answer.text().await.expect("it is whole"), "said the forge");
    let seen = seen.lock().expect("nobody panics with it");
    let (asked, headers) = &seen[0];
    assert_eq!(asked, "GET /octo/rocket.git/info/refs?service=git-upload-pack");
    // `x-access-token:ghs_secret`
    assert_eq!(headers["authorization"], "Basic eC1hY2Nlc3MtdG9rZW46Z2hzX3NlY3JldA==");
    assert_eq!(headers["git-protocol"], "version=2");
    assert_eq!(headers.get_all("authorization").iter().count(), 1);
}

#[tokio::test]
async fn without_its_password_nothing_passes() {
    let (url, seen) = forge(StatusCode::OK).await;
    let relay = Relay::start().await.expect("loopback has a free port");
    let remote = admit(&relay, &url);
    let address = format!("{}{REFS}", remote.url());
    let password = remote.credentials().1.to_owned();
    for wrong in [None, Some(""), Some("wrong"), Some(&password[1..]), Some(&format!("{password}0"))] {
        assert_eq!(ask(address.clone(), wrong).await.status(), StatusCode::UNAUTHORIZED, "{wrong:?}");
    }
    drop(remote);
    assert_eq!(ask(address, Some(&password)).await.status(), StatusCode::UNAUTHORIZED, "a password is worth nothing afterwards");
    assert!(seen.lock().expect("nobody panics with it").is_empty());
}

#[tokio::test]
async fn a_password_is_good_for_one_repository_and_for_git_alone() {
    let (url, seen) = forge(StatusCode::OK).await;
    let relay = Relay::start().await.expect("loopback has a free port");
    let remote = admit(&relay, &url);
    let host = remote.url().strip_suffix("/repository.git").expect("that is its name").to_owned();
    for path in [
        "/",
        "/repository.git",
        "/repository.git/",
        "/repository.git/info/refs",
        "/repository.git/info/refs?service=git-upload-archive",
        "/repository.git/info/refs?service=git-upload-pack&x=y",
        "/repository.git/../other.git/info/refs?service=git-upload-pack",
        "/repository.git/%2e%2e/other.git/info/refs?service=git-upload-pack",
        "/repository.git/objects/info/packs",
        "/repository.git/HEAD",
        "/other.git/info/refs?service=git-upload-pack",
        "/api/v3/user",
    ] {
        let answer = ask(format!("{host}{path}"), Some(remote.credentials().1)).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert!(seen.lock().expect("nobody panics with it").is_empty());
}

#[tokio::test]
async fn a_refusal_is_kept_and_a_redirect_not_followed() {
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND] {
        let (url, _) = forge(status).await;
        let relay = Relay::start().await.expect("loopback has a free port");
        let remote = admit(&relay, &url);
        let answer = ask(format!("{}{REFS}", remote.url()), Some(remote.credentials().1)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "git is not asked for other credentials");
        assert_eq!(remote.refusal(), Some(format!("the forge answered {} said the forge", status.as_u16())));
    }
    for status in [StatusCode::FOUND, StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY] {
        let (url, seen) = forge(status).await;
        let relay = Relay::start().await.expect("loopback has a free port");
        let remote = admit(&relay, &url);
        let answer = ask(format!("{}{REFS}", remote.url()), Some(remote.credentials().1)).await;
        assert_eq!((answer.status(), remote.refusal()), (status, None));
        assert!(!answer.headers().contains_key("location"));
        assert_eq!(seen.lock().expect("nobody panics with it").len(), 1);
    }
}
