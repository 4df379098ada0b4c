//! Where webhooks arrive: authenticate, make durable, answer. Nothing else happens here, so the answer comes in
//! milliseconds, whatever the work behind it takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::forge::Forge;
use crate::store::Store;

mod webhook;

/// How many connections may wait to be taken; the system's default of 128 makes bursts wait for a second.
const BACKLOG: u32 = 1024;
/// How much of bodies may be in memory at the same time, in KiB; what is more is told to come again.
const BODIES_KIB_MAX: usize = 256 * 1024;
/// How long the store may take to say that it can be written to.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What the handlers share.
#[derive(Clone)]
pub struct Server {
    /// Where deliveries go.
    pub store: Arc<dyn Store>,
    /// Who signs them.
    pub forge: Arc<dyn Forge>,
    /// When they come.
    pub clock: Arc<dyn Clock>,
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
        .with_state(server)
}

/// Serves until told to stop; requests that are under way are finished.
///
/// # Errors
/// The listener's.
pub async fn serve(listener: TcpListener, server: Server, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router(server)).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Ready means that a delivery would be durable.
async fn ready(State(server): State<Server>) -> (StatusCode, String) {
    match tokio::time::timeout(CHECK_TIMEOUT, server.store.check()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n".into()),
        Ok(Err(error)) => {
            tracing::error!(error = %error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be written to; its error is in the log\n".into())
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n".into()),
    }
}
