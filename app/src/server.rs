//! Where webhooks arrive: authenticate, make durable, answer. Nothing else happens here, so the answer comes in
//! milliseconds, whatever the work behind it takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::forge::Forge;
use crate::store::Store;

mod webhook;

/// How many connections may wait to be taken; the system's default of 128 makes bursts wait for a second.
const BACKLOG: u32 = 1024;
/// How many connections may be open.
const CONNECTIONS_MAX: usize = 4096;
/// How long a request's head may take, also between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait before the next connection is taken where one could not be, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How much of bodies may be in memory at the same time, in KiB; what is more is told to come again.
const BODIES_KIB_MAX: usize = 256 * 1024;
/// How long the store may take to say that it can be written to.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What a key in PEM form is sent as.
const PEM: &str = "application/x-pem-file";

/// What the handlers share.
#[derive(Clone)]
pub struct Server {
    /// Where deliveries go.
    pub store: Arc<dyn Store>,
    /// Who signs them.
    pub forge: Arc<dyn Forge>,
    /// When they come.
    pub clock: Arc<dyn Clock>,
    /// The public half of the key that attestations are signed with, in PEM form.
    pub attestation_key: Option<Arc<str>>,
}

/// Listens on an address.
///
/// # Errors
/// The system's, such as an address in use.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// All that is served.
pub fn router(server: Server) -> Router {
    let room = Arc::new(Semaphore::new(BODIES_KIB_MAX));
    Router::new()
        .route("/webhooks/github", post(move |state, headers, body| webhook::receive(state, room, headers, body)))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/attestation/key", get(attestation_key))
        .with_state(server)
}

/// Serves until told to stop; requests that are under way are finished. Connections are bounded in number, and one that
/// does not send its request's head in time is closed, so that nobody can hold the others up by sending nothing.
///
/// # Errors
/// None while the listener lives; a connection that cannot be taken is logged.
pub async fn serve(listener: TcpListener, server: Server, stop: CancellationToken) -> std::io::Result<()> {
    let service = TowerToHyperService::new(router(server));
    let (room, graceful) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), GracefulShutdown::new());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connections = JoinSet::new();
    loop {
        // A place first: who finds none waits in the listener's backlog.
        let taken = async { (Arc::clone(&room).acquire_owned().await, listener.accept().await) };
        let (place, stream) = tokio::select! {
            (place, accepted) = taken => match (place, accepted) {
                (Ok(place), Ok((stream, _))) => (place, stream),
                (_, Err(error)) => {
                    tracing::warn!(error = %error, "a connection cannot be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                (Err(_), Ok(_)) => continue,
            },
            Some(_) = connections.join_next() => continue,
            () = stop.cancelled() => break,
        };
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
        connections.spawn(async move {
            // A client that breaks off is no error of ours.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

/// The key that attestations of this server are checked with.
async fn attestation_key(State(server): State<Server>) -> Response {
    match server.attestation_key {
        Some(pem) => ([(CONTENT_TYPE, PEM)], pem.to_string()).into_response(),
        None => {
            (StatusCode::NOT_FOUND, "this server signs nothing: its store keeps nothing, and no key is named\n").into_response()
        }
    }
}

/// Ready means that a delivery would be durable.
async fn ready(State(server): State<Server>) -> (StatusCode, String) {
    match tokio::time::timeout(CHECK_TIMEOUT, server.store.check()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n".into()),
        Ok(Err(error)) => {
            tracing::error!(error = %error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, format!("the store cannot be written to; {}\n", error.told()))
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n".into()),
    }
}
