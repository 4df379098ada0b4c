//! Servers at an address: streamable HTTP on loopback.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Json, Router};
use patchwright::agent::mcp::{McpServer, Reach};
use patchwright::agent::toolbox::Tools as _;
use patchwright::http_client;
use patchwright_domain::job::Mode;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Step, arguments, call, connect, done, names, sandbox, server, solve};

/// The server's token.
const TOKEN: &str = "mcp-token-canary-4e8d10";
/// What stands in its address, as a key may.
const QUERY: &str = "query-canary-77c0";

/// How an HTTP server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers in JSON.
    Json,
    /// Answers as a stream of events, with a request of its own in front.
    Events,
    /// Sends everybody to another address.
    Redirects(u16),
    /// Sends one event after the other, and never the answer.
    Floods,
}

/// A real server on loopback, and what it was sent.
pub(super) struct Remote {
    pub(super) url: String,
    port: u16,
    /// Method and authorization of every request.
    pub(super) seen: Arc<Mutex<Vec<(String, String)>>>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

type Seen = Arc<Mutex<Vec<(String, String)>>>;

impl Remote {
    pub(super) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (seen, stop) = (Seen::default(), CancellationToken::new());
        let router = Router::new().route("/mcp", any(answer)).with_state((behaviour, Arc::clone(&seen)));
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
        Self { url: format!("http://127.0.0.1:{port}/mcp?key={QUERY}"), port, seen, stop, serving }
    }

    pub(super) fn server(&self, tools: &[&str]) -> McpServer {
        let client = http_client::for_address(&self.url, Some(&SecretString::from(TOKEN))).expect("the address is right");
        server(Reach::Address { url: self.url.clone(), client }, tools)
    }

    pub(super) async fn shutdown(self) {
        self.stop.cancel();
        self.serving.await.expect("no panic").expect("it ends well");
    }

    pub(super) fn n_seen(&self) -> usize {
        self.seen.lock().expect("no panic").len()
    }
}

async fn answer(State((behaviour, seen)): State<(Behaviour, Seen)>, headers: HeaderMap, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let method = message["method"].as_str().unwrap_or_default().to_owned();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    seen.lock().expect("no panic").push((method.clone(), authorization));
    if let Behaviour::Redirects(port) = behaviour {
        let elsewhere = [(header::LOCATION, format!("http://127.0.0.1:{port}/mcp"))];
        return (StatusCode::TEMPORARY_REDIRECT, elsewhere).into_response();
    }
    let result = match method.as_str() {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "tracker", "version": "1"},
        }),
        "tools/list" => json!({"tools": [
            {"name": "double", "description": "Doubles.", "inputSchema": {"type": "object"}},
            {"name": "other", "inputSchema": {"type": "object"}},
        ]}),
        "tools/call" if behaviour == Behaviour::Floods => return flood(),
        "tools/call" => {
            let doubled = message["params"]["arguments"]["n"].as_i64().unwrap_or_default() * 2;
            json!({"content": [{"type": "text", "text": format!("{doubled} for you")}]})
        }
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    let response = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    match behaviour {
        Behaviour::Events => {
            let request = json!({"jsonrpc": "2.0", "id": "mine", "method": "roots/list"});
            let events = format!("data: {request}\n\ndata: {response}\n\n");
            ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
        }
        Behaviour::Json | Behaviour::Redirects(_) | Behaviour::Floods => Json(response).into_response(),
    }
}

fn flood() -> Response {
    let event = format!(
        "data: {}\n\n",
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "z".repeat(65_536)}})
    );
    let endless = futures_util::stream::repeat(Ok::<_, std::convert::Infallible>(Bytes::from(event)));
    ([(header::CONTENT_TYPE, "text/event-stream")], axum::body::Body::from_stream(endless)).into_response()
}

#[tokio::test]
async fn a_server_at_an_address_is_called_and_its_token_goes_nowhere_else() {
    for behaviour in [Behaviour::Json, Behaviour::Events] {
        let remote = Remote::start(behaviour).await;
        let steps: Vec<Step> = vec![call("mcp__calc__double", &json!({"n": 21})), done()];
        let outcome = solve(Mode::Fix, vec![remote.server(&["double"])], steps).await;
        assert!(outcome.told.contains("\n42 for you\n"), "{}", outcome.told);
        assert!(!outcome.offered.iter().any(|name| name.ends_with("other")));
        let seen = remote.seen.lock().expect("no panic").clone();
        assert!(seen.len() >= 4 && seen.iter().all(|(_, authorization)| *authorization == format!("Bearer {TOKEN}")), "{seen:?}");
        for text in [&outcome.transcript, &outcome.requests, &outcome.lines.join("\n")] {
            assert!(!text.contains(TOKEN) && !text.contains(QUERY));
        }
        let shown = format!("{:?}", remote.server(&["double"]));
        assert!(!shown.contains(TOKEN) && !shown.contains(QUERY), "{shown}");
        remote.shutdown().await;
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Remote::start(Behaviour::Json).await;
    let remote = Remote::start(Behaviour::Redirects(elsewhere.port)).await;
    let (_folder, mut executor) = sandbox().await;
    let mcp = connect(vec![remote.server(&["double"])], executor.as_mut()).await;
    assert_eq!((names(&mcp).len(), mcp.left_out().len(), elsewhere.n_seen()), (0, 1, 0));
    remote.shutdown().await;
    elsewhere.shutdown().await;
}

#[tokio::test]
async fn an_address_that_floods_is_not_asked_again_and_one_that_is_dead_is_left_out() {
    let remote = Remote::start(Behaviour::Floods).await;
    let (_folder, mut executor) = sandbox().await;
    let server = remote.server(&["double"]);
    let mut mcp = connect(vec![server.clone()], executor.as_mut()).await;
    let told = mcp.call("mcp__calc__double", &arguments(json!({"n": 1}))).await.expect_err("there is no answer");
    assert!(told.contains("it sent more than 16777216 bytes for one answer"), "{told}");
    assert!(mcp.call("mcp__calc__double", &Map::new()).await.is_err_and(|told| told.contains("is not asked again")));
    mcp.close().await;
    remote.shutdown().await;
    let outcome = solve(Mode::Fix, vec![server], vec![done()]).await;
    let line = outcome.transcript.lines().find(|line| line.contains(r#""kind":"left_out""#)).expect("it is written down");
    assert!(line.contains("it cannot be talked to") && !line.contains(QUERY), "{line}");
}
