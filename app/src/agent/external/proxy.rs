//! The one way out of an external agent's sandbox: a proxy on a Unix socket that asks the configured model.
//!
//! Inside there is no key and no network. Here every request is put to the [`books`](super::books) before it is sent and
//! settled behind it, whatever the agent itself thinks that it spends; the [`gateway`](crate::gateway) adds the key.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use tokio::net::UnixListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::agent::external::books::{Entry, Granted, Used};
use crate::agent::external::pulse::Pulse;
use crate::gateway::Gateway;
use crate::gateway::request::Request as Asked;
use crate::gateway::wire::Wire;
use crate::private_folder::PrivateFolder;

mod bounded;
mod usage;

use bounded::Bounded;
use usage::Counter;

/// The longest request that is taken, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Requests at a time; a further one waits. A job has one reservation open, so that what it may use is known.
const REQUESTS_MAX: usize = 1;
/// Pieces of a response that wait for the agent to read them.
const PIECES_MAX: usize = 16;
/// How much of the end of each request and of each response goes into the transcript, in bytes.
pub(super) const RECORDED_BYTES_MAX: usize = 256 * 1024;
struct Shared {
    gateway: Gateway,
    entries: mpsc::Sender<Entry>,
    permits: Arc<Semaphore>,
    pulse: Pulse,
    stopped: CancellationToken,
}

/// A proxy that listens. Dropping it ends it.
pub(super) struct Proxy {
    folder: PrivateFolder,
    stopped: CancellationToken,
    server: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.cancel();
        self.server.abort();
    }
}

impl Proxy {
    /// Starts to listen. Everything that is asked and used goes to `entries`, which end some time after the proxy.
    pub(super) fn start(gateway: Gateway, entries: mpsc::Sender<Entry>, pulse: Pulse) -> io::Result<Self> {
        // Only we can enter the folder; who is given the socket itself must be able to write to it, whoever that is inside.
        let folder = PrivateFolder::new()?;
        let path = socket(folder.path());
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
        let stopped = CancellationToken::new();
        let permits = Arc::new(Semaphore::new(REQUESTS_MAX));
        let shared = Shared { gateway, entries, permits, pulse, stopped: stopped.clone() };
        let router = Router::new().fallback(forward).with_state(Arc::new(shared));
        let until = stopped.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(Bounded::new(listener), router).with_graceful_shutdown(until).await {
                tracing::warn!("the model's proxy ended: {error}");
            }
        });
        Ok(Self { folder, stopped, server })
    }

    /// The socket's path on the host.
    pub(super) fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// Breaks off what is under way, which is settled with what was seen of it.
    pub(super) fn stop(&self) {
        self.stopped.cancel();
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("model")
}

/// An answer of our own, in the shape that all formats have for errors.
fn refusal(status: StatusCode, message: &str) -> Response {
    let body = json!({ "type": "error", "error": { "type": "patchwright", "code": status.as_u16(), "message": message } });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.pulse.beat();
    let wire = (request.method() == Method::POST).then(|| Wire::of(request.uri().path())).flatten();
    let Some(wire) = wire else {
        return refusal(StatusCode::NOT_FOUND, "only requests to the model are answered here");
    };
    // Before the body is read, so that what is in memory is bounded too.
    let Ok(permit) = Arc::clone(&shared.permits).acquire_owned().await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the work is over");
    };
    let (parts, body) = request.into_parts();
    let too_large = || refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large or broke off");
    if body.size_hint().lower() > REQUEST_BYTES_MAX as u64 {
        return too_large();
    }
    let Ok(bytes) = to_bytes(body, REQUEST_BYTES_MAX).await else { return too_large() };
    let asked = match Asked::read(wire, &bytes) {
        Ok(asked) => asked,
        Err(refused) => return refusal(StatusCode::BAD_REQUEST, &refused.to_string()),
    };
    let granted = match reserve(&shared, bytes.len(), asked.output_asked()).await {
        Ok(granted) => granted,
        Err(limit) => return refusal(StatusCode::TOO_MANY_REQUESTS, &format!("the budget is used up: {limit}")),
    };
    let exchange = Exchange { shared, wire, headers: parts.headers, granted, permit };
    let bytes = asked.into_bytes(exchange.shared.gateway.model(), exchange.granted.output_tokens_max);
    let (head, heard) = oneshot::channel();
    // A task of its own: it settles even where the agent hangs up.
    tokio::spawn(exchange.run(bytes, head));
    heard.await.unwrap_or_else(|_| refusal(StatusCode::BAD_GATEWAY, "the request broke off"))
}

async fn reserve(shared: &Shared, request_bytes: usize, output_asked: Option<u64>) -> Result<Granted, String> {
    let (answer, answered) = oneshot::channel();
    let over = || "the work is over".to_owned();
    let entry = Entry::Reserve { request_bytes, output_asked, answer };
    shared.entries.send(entry).await.map_err(|_| over())?;
    answered.await.map_err(|_| over())?
}

/// One request on its way, with what was reserved for it.
struct Exchange {
    shared: Arc<Shared>,
    wire: Wire,
    headers: HeaderMap,
    granted: Granted,
    permit: OwnedSemaphorePermit,
}

impl Exchange {
    /// Asks the endpoint, passes on what it says as it comes, and settles.
    async fn run(self, request: Bytes, head: oneshot::Sender<Response>) {
        let mut counter = Counter::default();
        let mut seen = Seen::default();
        let stopped = self.shared.stopped.clone();
        let talk = self.talk(&request, head, &mut counter, &mut seen);
        // What was seen before the end counts.
        let _ = stopped.run_until_cancelled(talk).await;
        let used = Used {
            granted: self.granted,
            tokens: counter.tokens(request.len(), seen.is_answered()),
            path: self.wire.path(),
            status: seen.status.map(|status| status.as_u16()),
            failure: seen.failure,
            request: tail(&request),
            response: String::from_utf8_lossy(&seen.recorded.into_iter().collect::<Vec<_>>()).into_owned(),
        };
        // Nobody keeps the books any more when the work is over and settled.
        let _ = self.shared.entries.send(Entry::Settle(Box::new(used))).await;
        drop(self.permit);
    }

    async fn talk(&self, request: &Bytes, head: oneshot::Sender<Response>, counter: &mut Counter, seen: &mut Seen) {
        let mut answer = match self.shared.gateway.ask(self.wire, &self.headers, request.clone()).await {
            Ok(answer) => answer,
            Err(error) => {
                let _ = head.send(refusal(StatusCode::BAD_GATEWAY, "the model's endpoint cannot be reached"));
                seen.failure = Some(error);
                return;
            }
        };
        seen.status = Some(answer.status);
        let (pieces, taken) = mpsc::channel::<Result<Bytes, io::Error>>(PIECES_MAX);
        let stream = futures_util::stream::unfold(taken, |mut taken| async { taken.recv().await.map(|piece| (piece, taken)) });
        let mut passed = Response::new(Body::from_stream(stream));
        *passed.status_mut() = answer.status;
        *passed.headers_mut() = std::mem::take(&mut answer.headers);
        let _ = head.send(passed);
        loop {
            let piece = match answer.piece().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    seen.failure = Some(error);
                    let _ = pieces.send(Err(io::Error::other("the model's endpoint broke off"))).await;
                    return;
                }
            };
            self.shared.pulse.beat();
            counter.push(&piece);
            seen.push(&piece);
            if pieces.send(Ok(piece)).await.is_err() {
                // The agent hung up, so nobody reads on.
                return;
            }
        }
        counter.end();
        if seen.status.is_some_and(|status| !status.is_success()) {
            seen.failure =
                Some(String::from_utf8_lossy(&seen.recorded.iter().copied().take(500).collect::<Vec<_>>()).into_owned());
        }
    }
}

/// What was seen of a response.
#[derive(Default)]
struct Seen {
    status: Option<StatusCode>,
    failure: Option<String>,
    recorded: VecDeque<u8>,
}

impl Seen {
    fn push(&mut self, piece: &[u8]) {
        self.recorded.extend(&piece[piece.len().saturating_sub(RECORDED_BYTES_MAX)..]);
        let excess = self.recorded.len().saturating_sub(RECORDED_BYTES_MAX);
        self.recorded.drain(..excess);
    }

    /// Whether a model has worked for it, so that it is paid for.
    fn is_answered(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }
}

fn tail(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(RECORDED_BYTES_MAX)..]).into_owned()
}

#[cfg(test)]
mod tests;
