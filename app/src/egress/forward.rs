//! Plain requests: passed on over HTTP, or over TLS with what the operator has the proxy add.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use reqwest::dns::{Addrs, Name, Resolve as ReqwestResolve, Resolving};
use reqwest::{Client, Proxy, Url};

use crate::egress::Shared;
use crate::egress::dial::Upstream;
use crate::egress::log::Exchange;
use crate::egress::meter::{Count, Direction, Meter};
use crate::egress::name::HostName;
use crate::egress::rules::{Denial, Host};
use crate::http_client;

/// Cargo's settings of an index, at the index's root.
const INDEX: &str = "/config.json";
/// The longest of them, in bytes.
const INDEX_BYTES_MAX: usize = 64 * 1024;
/// How many names a gate keeps the addresses of at a time.
const NAMES_MAX: usize = 256;
/// What belongs to one connection and not to the request.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// By these some servers take a request for another than it says to be, and one that reads for one that changes.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
];

/// What is answered: a response that is passed on, or words of our own.
pub(super) type Answer = UnsyncBoxBody<Bytes, io::Error>;

/// The clients of one gate, which connect to nothing but addresses that were checked.
pub(super) struct Clients {
    pinned: Pinned,
    direct: Client,
    upstream: Option<Client>,
}

/// The addresses that were checked, by name. The HTTP client asks here and nowhere else.
#[derive(Clone, Default)]
struct Pinned(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl Pinned {
    fn pin(&self, name: &HostName, addresses: Vec<SocketAddr>) {
        let mut pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pinned.len() >= NAMES_MAX {
            pinned.clear();
        }
        pinned.insert(name.as_str().to_owned(), addresses);
    }
}

impl ReqwestResolve for Pinned {
    fn resolve(&self, name: Name) -> Resolving {
        let pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = pinned.get(name.as_str()).cloned();
        Box::pin(async move {
            let found = found.ok_or_else(|| io::Error::other("the name was not checked"))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Clients {
    /// The clients; `ca` is a further authority that hosts may be certified by.
    pub(super) fn new(shared: &crate::egress::Settings) -> Result<Self, String> {
        let builder = || {
            let limits = &shared.limits;
            let mut builder = http_client::builder().no_proxy().http1_only();
            builder = builder.connect_timeout(limits.connect).read_timeout(limits.idle).referer(false);
            for certificate in &shared.certificates {
                builder = builder.add_root_certificate(certificate.clone());
            }
            builder
        };
        let wrong = |error: reqwest::Error| http_client::chain(&error);
        let pinned = Pinned::default();
        let direct = builder().dns_resolver(pinned.clone()).build().map_err(wrong)?;
        let upstream = match &shared.upstream {
            Some(upstream) => Some(builder().proxy(proxy(upstream).map_err(wrong)?).build().map_err(wrong)?),
            None => None,
        };
        Ok(Self { pinned, direct, upstream })
    }
}

fn proxy(upstream: &Upstream) -> reqwest::Result<Proxy> {
    use secrecy::ExposeSecret as _;
    let proxy = Proxy::all(format!("http://{}:{}", upstream.host, upstream.port))?;
    Ok(match &upstream.login {
        Some((user, password)) => proxy.basic_auth(user, password.expose_secret()),
        None => proxy,
    })
}

/// Passes a request on and returns the response, whose body writes the exchange down when it ends.
pub(super) async fn forward(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    name: &HostName,
    port: u16,
    host: &Host,
    exchange: &mut Option<Exchange>,
) -> Result<Response<Answer>, Denial> {
    let count = exchange.as_ref().map(|exchange| exchange.count.clone()).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if !path.starts_with('/') {
        return Err(Denial::malformed("the path does not begin with a slash"));
    }
    let (scheme, port) = match (host.upgrade_to_tls, port) {
        (true, 80) => ("https", 443),
        (true, port) => ("https", port),
        (false, port) => ("http", port),
    };
    let url = Url::parse(&format!("{scheme}://{name}:{port}{path}"))
        .ok()
        .filter(|url| url.host_str() == Some(name.as_str()))
        .ok_or_else(|| Denial::malformed("the address cannot be read"))?;
    let head_bytes = parts.method.as_str().len() + path.len() + size_of(&parts.headers);
    let client = match (shared.dialler.upstream(name), &shared.clients.upstream) {
        (Some(_), Some(client)) => client,
        (Some(_) | None, _) => {
            shared.clients.pinned.pin(name, shared.dialler.addresses(name, port, host).await?);
            &shared.clients.direct
        }
    };
    let mut headers = end_to_end(&parts.headers);
    headers.remove(header::HOST);
    let is_index = host.upgrade_to_tls && !host.grants.is_empty() && parts.uri.path().ends_with(INDEX);
    if is_index {
        // What is packed could not be read.
        headers.remove(header::ACCEPT_ENCODING);
    }
    // The path is the one that is sent: `..` is gone from it.
    if let Some(credential) = host.credential(&parts.method, url.path()) {
        let value = credential.header().map_err(|reason| Denial::unreachable(format!("the host's credential: {reason}")))?;
        headers.insert(header::AUTHORIZATION, value);
        METHOD_OVERRIDES.iter().for_each(|name| drop(headers.remove(name)));
    }
    let sent = client.request(parts.method, url).headers(headers);
    let sent = if body.is_end_stream() {
        sent
    } else {
        let counted =
            Counted { body, meter: Arc::clone(&shared.meter), direction: Direction::Up, count: count.clone(), exchange: None };
        sent.body(reqwest::Body::wrap(counted))
    };
    shared.meter.take(Direction::Up, head_bytes, &count)?;
    let response = sent.send().await.map_err(|error| {
        tracing::debug!(error = %http_client::chain(&error), "{name} cannot be asked");
        if shared.meter.is_used_up(Direction::Up) {
            return Direction::Up.used_up();
        }
        Denial::unreachable("the host does not answer, or not as HTTP has it")
    })?;
    let (mut parts, body) = Response::from(response).into_parts();
    shared.meter.take(Direction::Down, size_of(&parts.headers), &count)?;
    parts.headers = end_to_end(&parts.headers);
    parts.extensions.clear();
    if host.upgrade_to_tls {
        lead_back(&mut parts.headers, name);
    }
    let body = if is_index && parts.status == StatusCode::OK {
        let index = index_led_back(body, name).await?;
        parts.headers.insert(header::CONTENT_LENGTH, index.len().into());
        Either::Left(Full::new(index))
    } else {
        Either::Right(body)
    };
    let (meter, exchange) = (Arc::clone(&shared.meter), exchange.take());
    let counted = Counted { body, meter, direction: Direction::Down, count, exchange };
    Ok(Response::from_parts(parts, counted.boxed_unsync()))
}

fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// The headers that are the request's or the response's own.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let is_kept = |name: &HeaderName| !HOP_BY_HOP.contains(name) && !named.iter().any(|named| named == name.as_str());
    headers.iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A redirect to the host's own https goes through the proxy as plain again, where the credential is added.
fn lead_back(headers: &mut HeaderMap, name: &HostName) {
    let plain = |location: &HeaderValue| {
        let url = Url::parse(location.to_str().ok()?).ok()?;
        let is_own = url.scheme() == "https" && url.host_str() == Some(name.as_str());
        let rest = url.as_str().strip_prefix("https")?;
        is_own.then(|| HeaderValue::try_from(format!("http{rest}")).ok()).flatten()
    };
    if let Some(location) = headers.get(header::LOCATION).and_then(plain) {
        headers.insert(header::LOCATION, location);
    }
}

/// What cargo's index says of where its crates are: those of the host's own https come through the proxy as plain again.
async fn index_led_back(body: reqwest::Body, name: &HostName) -> Result<Bytes, Denial> {
    let read = Limited::new(body, INDEX_BYTES_MAX).collect().await;
    let bytes = read.map_err(|_| Denial::unreachable("the index's `config.json` is too long, or broke off"))?.to_bytes();
    let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(bytes) };
    let ends = ["/", ":", "\""];
    let led = ends
        .iter()
        .fold(text.to_owned(), |text, end| text.replace(&format!("\"https://{name}{end}"), &format!("\"http://{name}{end}")));
    Ok(Bytes::from(led))
}

/// A body whose bytes are counted as they pass, and which breaks off where the session has used up what it may.
struct Counted<B> {
    body: B,
    meter: Arc<Meter>,
    direction: Direction,
    count: Count,
    /// What is written down at the end of this body, if its end is the exchange's.
    exchange: Option<Exchange>,
}

impl<B> Counted<B> {
    fn cut(&mut self, reason: &str) -> io::Error {
        if let Some(exchange) = &mut self.exchange {
            exchange.cut(reason);
        }
        io::Error::other(reason.to_owned())
    }
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else { return Poll::Ready(None) };
        let data = match frame.map(Frame::into_data) {
            Ok(Ok(data)) => data,
            // Trailers are headers that come too late to be looked at.
            Ok(Err(_)) => return Poll::Ready(None),
            Err(error) => {
                tracing::debug!(error = %error, "a request of a setup broke off");
                return Poll::Ready(Some(Err(self.cut("it broke off"))));
            }
        };
        match self.meter.take(self.direction, data.len(), &self.count) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Err(denial) => Poll::Ready(Some(Err(self.cut(&denial.reason)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
