//! A rehearsed GitHub with a clock that stands still, a client for its API, and a receiver for its webhooks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use patchwright::clock::Clock;
use patchwright::rehearsal::{
    Rehearsal, Settings, WORTHLESS_PRIVATE_KEY,
    scene::{RepositoryId, Role},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, task::JoinHandle};

/// When every rehearsal begins.
pub(crate) const NOW: i64 = 1_760_000_000;

/// The rehearsed App's number.
pub(crate) const APP_ID: u64 = 726_568;

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A clock that stands still until time is let pass.
struct StageClock(Arc<AtomicI64>);

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).expect("the clock is in range")
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst).cast_unsigned())
    }
}

/// A rehearsal with one repository, `octo/rocket`, in which `ada` may write.
pub(crate) struct Stage {
    pub(crate) github: Rehearsal,
    pub(crate) repo: RepositoryId,
    seconds: Arc<AtomicI64>,
    client: reqwest::Client,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::set_at(NOW).await
    }

    /// Sets the scene at another time, in seconds since 1970.
    pub(crate) async fn set_at(now: i64) -> Self {
        let seconds = Arc::new(AtomicI64::new(now));
        let clock = seconds.clone();
        let now = move || Timestamp::from_second(clock.load(Ordering::SeqCst)).expect("the clock is in range");
        let github = Rehearsal::start(Settings::new(Arc::new(now))).await.expect("loopback has a free port");
        let files: [(&str, &[u8], bool); 3] =
            [("README.md", b"# Rocket\n", false), ("bin/launch", b"#!/bin/sh\n", true), ("src/lib.rs", b"// lib\n", false)];
        let repo = github.create_repository("octo", "rocket", &files).await.expect("the names are fine");
        github.set_role(repo, "ada", Role::Maintain).expect("the repository is there");
        let client = reqwest::Client::builder().no_proxy().build().expect("the client needs nothing");
        Self { github, repo, seconds, client }
    }

    /// The scene's clock.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(StageClock(Arc::clone(&self.seconds)))
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn call(&self, method: Method, path: &str, token: &str, body: Value) -> Answer {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.github.api_url()) };
        let mut request = self.client.request(method, url).header("accept", "application/vnd.github+json");
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the rehearsal answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.expect("the answer is whole");
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("the answer is JSON") };
        Answer { status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::POST, path, token, body).await
    }

    pub(crate) async fn patch(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, token, body).await
    }

    /// An installation token of `octo` with what the body asks for.
    pub(crate) async fn token(&self, body: Value) -> String {
        let app = app_token(&json!({"iss": APP_ID, "iat": NOW - 60, "exp": NOW + 540}), WORTHLESS_PRIVATE_KEY);
        let installation = self.get("/repos/octo/rocket/installation", &app).await.body["id"].clone();
        let answer = self.post(&format!("/app/installations/{installation}/access_tokens"), &app, body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["token"].as_str().expect("a token is text").to_owned()
    }

    /// The address from which git clones with a token.
    pub(crate) fn remote(&self, token: &str) -> String {
        format!("{}/octo/rocket.git", self.github.web_url().replace("http://", &format!("http://x-access-token:{token}@")))
    }
}

/// Signs claims as the App does.
pub(crate) fn app_token(claims: &Value, private_key: &str) -> String {
    let key = EncodingKey::from_rsa_pem(private_key.as_bytes()).expect("the key is PEM");
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).expect("the key signs")
}

/// Runs git with nothing of the machine's configuration; gives its success and what it said.
pub(crate) async fn git(directory: &std::path::Path, arguments: &[&str]) -> (bool, String) {
    let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
    let mut command = Command::new("git");
    command.args(identity).args(arguments).current_dir(directory).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0").kill_on_drop(true);
    let output = command.output().await.expect("git is installed");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

/// A webhook as it arrived.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Arrival {
    pub(crate) fn payload(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a webhook is JSON")
    }

    /// The event, with the action if there is one: `issues$opened`.
    pub(crate) fn name(&self) -> String {
        let action = self.payload()["action"].as_str().unwrap_or("event").to_owned();
        format!("{}${action}", self.headers["x-github-event"])
    }
}

type Arrivals = Arc<Mutex<Vec<Arrival>>>;

/// Listens for webhooks and keeps them.
pub(crate) struct Receiver {
    pub(crate) url: String,
    arrivals: Arrivals,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn listen() -> Self {
        let arrivals = Arrivals::default();
        let router = Router::new().route("/hook", post(receive)).with_state(arrivals.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("a bound socket has an address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("the receiver runs") });
        Self { url, arrivals, task }
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().expect("no test panics while it holds the list").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(State(arrivals): State<Arrivals>, headers: HeaderMap, body: Bytes) -> http::StatusCode {
    let text = |value: &http::HeaderValue| value.to_str().expect("GitHub's headers are text").to_owned();
    let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    arrivals.lock().expect("no test panics while it holds the list").push(Arrival { headers, body: body.to_vec() });
    http::StatusCode::ACCEPTED
}
