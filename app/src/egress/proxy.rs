//! The proxy's side of one connection: `CONNECT` for TLS, whole addresses for plain HTTP, and no for everything else.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::egress::Shared;
use crate::egress::forward::{self, Answer};
use crate::egress::log::Exchange;
use crate::egress::name::HostName;
use crate::egress::rules::{self, Denial, Host};
use crate::egress::tunnel;

/// How many headers a request may have.
const HEADERS_MAX: usize = 64;
/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Serves one connection to its end; its place is free again when its tunnel, if it becomes one, is closed too.
pub(super) async fn serve(stream: UnixStream, shared: Arc<Shared>, place: OwnedSemaphorePermit) {
    let place = Arc::new(place);
    let service = {
        let shared = Arc::clone(&shared);
        service_fn(move |request| answer(request, Arc::clone(&shared), Arc::clone(&place)))
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.head)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served
        && (error.is_parse() || error.is_parse_too_large() || error.is_timeout())
    {
        let mut exchange = Exchange::new(&shared.journal, shared.clock.now(), "");
        exchange.denied(&Denial::malformed(format!("no request: {error}")));
    }
}

async fn answer(
    mut request: Request<Incoming>,
    shared: Arc<Shared>,
    place: Arc<OwnedSemaphorePermit>,
) -> Result<Response<Answer>, Infallible> {
    let asked = request.uri().authority().map_or("", |authority| authority.as_str()).to_owned();
    let mut exchange = Exchange::new(&shared.journal, shared.clock.now(), &asked);
    let is_tunnel = request.method() == Method::CONNECT;
    let (name, port, host) = match admit(&request, &shared) {
        Ok(admitted) => admitted,
        Err(denial) => return Ok(refusal(&asked, &denial, &mut exchange)),
    };
    exchange.allowed(name.as_str(), port);
    if !is_tunnel {
        let mut exchange = Some(exchange);
        let passed = forward::forward(&shared, request, &name, port, &host, &mut exchange).await;
        return Ok(match (passed, exchange) {
            (Ok(response), _) => response,
            (Err(denial), Some(mut exchange)) => refusal(&asked, &denial, &mut exchange),
            (Err(denial), None) => words(&asked, &denial),
        });
    }
    let outer = match shared.dialler.connect(&name, port, &host).await {
        Ok(outer) => outer,
        Err(denial) => return Ok(refusal(&asked, &denial, &mut exchange)),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let (tasks, stopped) = (shared.tasks.clone(), shared.stopped.clone());
    tasks.spawn(async move {
        let carried = carry(upgrade, outer, &shared, &name, exchange);
        // What is under way is broken off with the gate.
        let _ = stopped.run_until_cancelled(carried).await;
        drop(place);
    });
    Ok(Response::new(Full::default().map_err(|never| match never {}).boxed_unsync()))
}

async fn carry(upgrade: OnUpgrade, outer: tokio::net::TcpStream, shared: &Shared, name: &HostName, mut exchange: Exchange) {
    let Ok(inner) = upgrade.await else {
        return exchange.cut("it was closed before it became a tunnel");
    };
    let mut inner = TokioIo::new(inner);
    match tunnel::greeting(&mut inner, name, shared.limits.idle).await {
        Ok(hello) => tunnel::carry(inner, outer, &hello, &shared.meter, shared.limits.idle, &mut exchange).await,
        Err(denial) => exchange.denied(&denial),
    }
}

/// Whether a request may be passed on, and where to; nothing has been resolved yet.
fn admit(request: &Request<Incoming>, shared: &Shared) -> Result<(HostName, u16, Host), Denial> {
    let uri = request.uri();
    let Some(authority) = uri.authority() else {
        return Err(Denial::malformed("this is a proxy, and the request names no host"));
    };
    let port = match (request.method() == Method::CONNECT, uri.scheme_str()) {
        (true, None) if uri.path_and_query().is_none() => None,
        (false, Some("http")) => Some(80),
        (false, Some("https")) => return Err(Denial::malformed("https goes through a tunnel, by CONNECT")),
        (true | false, _) => return Err(Denial::malformed("the request is neither CONNECT nor for an http address")),
    };
    let (name, port) = rules::authority(authority.as_str(), port)?;
    same_host(request.headers(), &name, port, request.method() == Method::CONNECT)?;
    if !is_mere_offer(request.headers()) {
        return Err(Denial::forbidden("another protocol is asked for", "Only HTTP/1.1 is passed on; no key changes that."));
    }
    let host = shared.rules.allows(&name, port)?.clone();
    Ok((name, port, host))
}

/// Whether what is asked for beside HTTP/1.1 is at most the next version of the same, which many clients offer with every
/// request and which is left out of what is passed on.
fn is_mere_offer(headers: &HeaderMap) -> bool {
    headers.get_all(header::UPGRADE).into_iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

/// Whether the header `Host` says the same as the address, so that nobody behind us reads the request in another way.
fn same_host(headers: &HeaderMap, name: &HostName, port: u16, is_tunnel: bool) -> Result<(), Denial> {
    let mut given = headers.get_all(header::HOST).into_iter();
    let (first, second) = (given.next(), given.next());
    let value = match (first, second) {
        (Some(value), None) => value,
        // Older clients leave it out before a tunnel.
        (None, None) if is_tunnel => return Ok(()),
        (None, _) => return Err(Denial::malformed("the header Host is missing")),
        (Some(_), Some(_)) => return Err(Denial::malformed("there is more than one header Host")),
    };
    let default = if is_tunnel { port } else { 80 };
    let said = value.to_str().ok().and_then(|value| rules::authority(value, Some(default)).ok());
    if said.is_some_and(|(said, said_port)| said == *name && said_port == port) {
        return Ok(());
    }
    Err(Denial::malformed("the header Host says something else than the address"))
}

fn refusal(asked: &str, denial: &Denial, exchange: &mut Exchange) -> Response<Answer> {
    exchange.denied(denial);
    words(asked, denial)
}

/// What is told inside: which host, why, and what would allow it. The reason also stands beside the status, which is all
/// that many programs print.
fn words(asked: &str, denial: &Denial) -> Response<Answer> {
    let asked: String = asked.chars().take(300).flat_map(char::escape_debug).collect();
    let text = format!("patchwright: the setup may not reach `{asked}`: {}. {}\n", denial.reason, denial.remedy);
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = denial.status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    if denial.status == StatusCode::FORBIDDEN
        && let Ok(reason) = ReasonPhrase::try_from(format!("Forbidden by sandbox.egress: {}", denial.reason))
    {
        response.extensions_mut().insert(reason);
    }
    response
}
