//! A host on loopback, plain and over TLS, that serves files, echoes what it is sent, and remembers every request.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Who certifies the host.
pub(crate) const AUTHORITY: &str = include_str!("../fixtures/egress/ca.pem.txt");
const CERTIFICATE: &str = include_str!("../fixtures/egress/server.pem.txt");
const KEY: &str = include_str!("../fixtures/egress/server.private.pem.txt");

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The files by path, which may say `{plain}` and `{tls}` for the ports, and what was asked.
#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    asked: Vec<Asked>,
    never: Arc<Notify>,
    n_connections: u64,
}

pub(crate) struct Origin {
    state: Arc<Mutex<State>>,
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    /// Told when `/never` is asked for.
    pub(crate) never: Arc<Notify>,
    servers: [JoinHandle<()>; 2],
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

impl Origin {
    pub(crate) async fn start() -> Origin {
        let state = Arc::<Mutex<State>>::default();
        let plain = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let tls = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let ports = [&plain, &tls].map(|listener| listener.local_addr().expect("it is bound").port());
        let servers = [
            tokio::spawn(serve(plain, None, Arc::clone(&state))),
            tokio::spawn(serve(tls, Some(acceptor()), Arc::clone(&state))),
        ];
        let never = Arc::clone(&state.lock().expect("no test panics in here").never);
        Origin { never, state, plain: ports[0], tls: ports[1], servers }
    }

    /// Puts a file at a path.
    pub(crate) fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.state.lock().expect("no test panics in here").files.insert(path.to_owned(), content.into());
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().expect("no test panics in here").asked.clone()
    }

    pub(crate) fn n_connections(&self) -> u64 {
        self.state.lock().expect("no test panics in here").n_connections
    }
}

fn acceptor() -> TlsAcceptor {
    // Another test may have installed it before.
    let _ = rustls_provider();
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("the fixture is a certificate")];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("the fixture is a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("key and certificate fit");
    TlsAcceptor::from(Arc::new(config))
}

fn rustls_provider() -> Result<(), Arc<tokio_rustls::rustls::crypto::CryptoProvider>> {
    tokio_rustls::rustls::crypto::ring::default_provider().install_default()
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        state.lock().expect("no test panics in here").n_connections += 1;
        let (state, acceptor) = (Arc::clone(&state), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => talk(stream, state).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        talk(stream, state).await;
                    }
                }
            }
        });
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    // That somebody hung up is what many of the tests are about.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let (line, headers) = (format!("{} {}", parts.method, parts.uri), parts.headers);
    if path == "/never" {
        {
            let mut state = state.lock().expect("no test panics in here");
            state.asked.push(Asked { line, headers, body: Bytes::new() });
            state.never.notify_one();
        }
        return std::future::pending().await;
    }
    let Ok(body) = body.collect().await else { return Ok(Response::new(Full::default())) };
    let body = body.to_bytes();
    let echo = format!("{line}\n{headers:?}\n{}", String::from_utf8_lossy(&body));
    let mut state = state.lock().expect("no test panics in here");
    let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    state.asked.push(Asked { line, headers, body });
    let mut response = Response::new(Full::default());
    if path.ends_with('/') {
        response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/html"));
    }
    match (state.files.get(&path), path.strip_prefix("/bytes/").and_then(|n| n.parse::<usize>().ok())) {
        (Some(content), _) => *response.body_mut() = Full::new(Bytes::from(content.clone())),
        (None, Some(n_bytes)) => *response.body_mut() = Full::new(Bytes::from(vec![b'x'; n_bytes])),
        (None, None) if path == "/redirect" => {
            let to = format!("https://{host}/file");
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(http::header::LOCATION, to.parse().expect("it is a header"));
        }
        (None, None) if path == "/echo" => *response.body_mut() = Full::new(Bytes::from(echo)),
        (None, None) => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}
