//! A scripted model that speaks the true wire formats over HTTP on loopback, for the tests and the demo.
//!
//! Which step is next follows from the request alone, so that retries and concurrent jobs need no state; only the
//! faults are a queue.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use axum::serve::ListenerExt as _;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod answer;
mod chat;
mod messages;
mod responses;

use answer::{Answer, Format, Past};

/// How many requests are kept; later ones are answered and not kept.
const REQUESTS_KEPT_MAX: usize = 10_000;
/// The largest request that is read, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the model does in one reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Calls the shell tool with this script.
    Shell(String),
    /// Calls the patch tool, as plain text where it is offered so and as JSON otherwise.
    ApplyPatch(String),
    /// Says this, and is done.
    Message(String),
    /// Calls a function with these arguments, whether they make sense or not.
    Call {
        /// The tool's name.
        name: String,
        /// The arguments, as text.
        arguments: String,
    },
    /// Replies with nothing.
    Empty,
    /// Says "I was about to" and begins a call, but reaches its limit of tokens within it.
    Cut,
    /// Refuses to go on, in these words.
    Refuse(String),
    /// Thinks first.
    Reasoned {
        /// What is shown of the thought.
        summary: String,
        /// What it does then.
        then: Box<Step>,
    },
}

/// What goes wrong instead of a reply, or beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status.
    Status {
        /// The HTTP status.
        code: u16,
        /// Header names and values.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Breaks the connection after so many bytes of the reply.
    CutAfter(usize),
    /// Ends the stream in good order after so many bytes of the reply.
    EndAfter(usize),
    /// Begins the reply and then sends nothing until the client gives up.
    Hang,
    /// Sends unknown events, comments and text that is no JSON before the reply.
    Garbage,
    /// Sends these events' data instead of the reply; a string is sent as it is.
    Events(Vec<Value>),
}

/// What the model does, reply by reply.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The first reply, the second, and so on; behind the last the model says that it is done.
    pub steps: Vec<Step>,
    /// Steps for conversations with a text in the last message of the user, or else in the first; the first that fits
    /// is taken.
    pub for_tasks: Vec<(String, Vec<Step>)>,
    /// Used up one by one before any step.
    pub faults: Vec<Fault>,
}

impl Script {
    /// A script without faults.
    pub fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }

    /// The same script with faults in front.
    pub fn with_faults(self, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { faults: faults.into_iter().collect(), ..self }
    }

    /// The step that a conversation asks for: the number of tool results behind the last user message.
    fn step(&self, past: &[Past]) -> Step {
        let steps_for = |said: &str| self.for_tasks.iter().find(|(text, _)| said.contains(text.as_str()));
        let mut users = past.iter().filter_map(|past| match past {
            Past::User(text) => Some(text),
            Past::Result | Past::Other => None,
        });
        let (first, last) = (users.next(), users.next_back());
        let task = last.and_then(|text| steps_for(text)).or_else(|| first.and_then(|text| steps_for(text)));
        let steps = task.map_or(&self.steps, |(_, steps)| steps);
        let behind = past.iter().rev().take_while(|past| !matches!(past, Past::User(_)));
        let n_results = behind.filter(|past| matches!(past, Past::Result)).count();
        steps.get(n_results).cloned().unwrap_or_else(|| Step::Message("Done.".to_owned()))
    }
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// When it was whole.
    pub received_at: std::time::Instant,
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null if it was no JSON.
    pub body: Value,
    /// The body's bytes.
    pub bytes: Bytes,
}

/// A request that nobody has asked for yet: reading it twice would make every reply slower.
struct Kept {
    received_at: std::time::Instant,
    path: String,
    headers: HeaderMap,
    bytes: Bytes,
}

impl Kept {
    fn recorded(&self) -> Recorded {
        let body = serde_json::from_slice(&self.bytes).unwrap_or(Value::Null);
        let received_at = self.received_at;
        Recorded { received_at, path: self.path.clone(), headers: self.headers.clone(), body, bytes: self.bytes.clone() }
    }
}

struct Shared {
    script: Script,
    faults: Mutex<VecDeque<Fault>>,
    requests: Mutex<Vec<Kept>>,
    n_connections: AtomicUsize,
    stopped: CancellationToken,
}

/// A scripted model that is listening.
pub struct ScriptedModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<std::io::Result<()>>,
}

impl ScriptedModel {
    /// Starts to listen on a free port of the loopback interface.
    ///
    /// # Errors
    /// What the system says if there is no such port.
    pub async fn start(script: Script) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let faults = Mutex::new(script.faults.iter().cloned().collect());
        let shared = Arc::new(Shared {
            script,
            faults,
            requests: Mutex::default(),
            n_connections: AtomicUsize::new(0),
            stopped: CancellationToken::new(),
        });
        let counting = Arc::clone(&shared);
        let listener = listener.tap_io(move |stream| {
            counting.n_connections.fetch_add(1, Ordering::Relaxed);
            // Without it the answer only comes later.
            let _ = stream.set_nodelay(true);
        });
        let router = Router::new()
            .route("/v1/responses", of_format(Format::Responses))
            .route("/v1/chat/completions", of_format(Format::Chat))
            .route("/v1/messages", of_format(Format::Messages))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(Arc::clone(&shared));
        let stopped = shared.stopped.clone().cancelled_owned();
        let server = tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
        Ok(Self { address, shared, server })
    }

    /// Where the API begins, for a client's settings.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Kept::recorded).collect()
    }

    /// How many connections were made so far.
    pub fn n_connections(&self) -> usize {
        self.shared.n_connections.load(Ordering::Relaxed)
    }

    /// Puts another fault behind those that are left.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    /// Stops to listen, breaks off what hangs, and returns when the port is closed.
    pub async fn shutdown(self) {
        self.shared.stopped.cancel();
        // The server ends only with its connections, and a client may keep one: the port is what must be free.
        let abort = self.server.abort_handle();
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.server).await.is_err() {
            abort.abort();
        }
    }
}

/// How long a client is given to close its connections.
const SHUTDOWN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

fn of_format(format: Format) -> MethodRouter<Arc<Shared>> {
    post(move |State(shared): State<Arc<Shared>>, headers: HeaderMap, uri: http::Uri, bytes: Bytes| async move {
        respond(&shared, format, headers, &uri, bytes)
    })
}

fn respond(shared: &Shared, format: Format, headers: HeaderMap, uri: &http::Uri, bytes: Bytes) -> Response {
    let fault = shared.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let past = format.past(&body, &headers);
    let (request_bytes, number) =
        (bytes.len(), shared.keep(Kept { received_at: std::time::Instant::now(), path: uri.path().to_owned(), headers, bytes }));
    let past = match past {
        Ok(past) => past,
        Err(problem) => {
            let error = json!({ "error": { "message": problem, "type": "invalid_request_error" } });
            return refusal(400, &[], &error.to_string());
        }
    };
    let reply = || format.reply(&Answer::of(&shared.script.step(&past), number, request_bytes), &body);
    match fault {
        None => stream(Body::from(reply())),
        Some(Fault::Status { code, headers, body }) => refusal(code, &headers, &body),
        Some(Fault::CutAfter(n_bytes)) => stream(cut(&reply(), n_bytes)),
        Some(Fault::EndAfter(n_bytes)) => stream(Body::from(reply().into_bytes()[..n_bytes.min(reply().len())].to_vec())),
        Some(Fault::Hang) => stream(hanging(&reply(), shared.stopped.clone())),
        Some(Fault::Garbage) => stream(Body::from(format!("{}{}", format.garbage(), reply()))),
        Some(Fault::Events(list)) => stream(Body::from(list.iter().map(answer::framed).collect::<String>())),
    }
}

impl Shared {
    /// Keeps a request, and says the how manieth it is.
    fn keep(&self, request: Kept) -> usize {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() < REQUESTS_KEPT_MAX {
            requests.push(request);
        }
        requests.len()
    }
}

fn refusal(code: u16, headers: &[(String, String)], body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn stream(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

/// A body that breaks the connection, so that the client cannot take it for whole.
fn cut(reply: &str, n_bytes: usize) -> Body {
    let head = Bytes::copy_from_slice(&reply.as_bytes()[..n_bytes.min(reply.len())]);
    let broken = futures_util::stream::once(async {
        // The server writes what it has when the body has nothing for it; without this the head would not leave.
        tokio::task::yield_now().await;
        Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut by the script"))
    });
    Body::from_stream(futures_util::stream::iter([Ok(head)]).chain(broken))
}

/// A body that sends its first event and then nothing.
fn hanging(reply: &str, stopped: CancellationToken) -> Body {
    let first = reply.split_inclusive("\n\n").next().unwrap_or_default();
    let head = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(first.as_bytes()))]);
    let rest = futures_util::stream::once(async move {
        stopped.cancelled().await;
        Err(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "stopped"))
    });
    Body::from_stream(head.chain(rest))
}
