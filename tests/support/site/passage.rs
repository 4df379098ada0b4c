//! The way of one process to GitHub and to the model: every request is noticed on it, and can be held for ever.
//!
//! A process that is killed leaves requests behind that are still under way, and whoever takes its job over relies on their
//! having arrived by then. So its passage is closed behind it: what has come through is carried out to its end, and what is
//! held or was never read is lost, which is all that a network does.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::{HeaderName, StatusCode, header};
use patchwright::http_client;
use patchwright_domain::job::JobId;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The most bytes of a request, a pack among them.
const REQUEST_BYTES_MAX: usize = 64 << 20;
/// Where the model is behind a passage; everything else is GitHub's.
const MODEL: &str = "/model";
/// What is said of one connection, and goes no further.
const OF_THE_CONNECTION: [HeaderName; 4] = [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING];

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// It is there, and nothing has come of it.
    Arrived,
    /// It is carried out, and its answer is not sent yet.
    CarriedOut,
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Crossing {
    /// Which passage it goes through, by its number.
    pub(crate) passage: usize,
    pub(crate) method: String,
    /// Without what stands behind a question mark.
    pub(crate) path: String,
    body: Bytes,
}

impl Crossing {
    /// What it is about, the same for every process that makes it. Only what changes something has a name: the pushes, what is
    /// written by the API, and each turn of the model.
    pub(crate) fn write(&self) -> Option<String> {
        let is_read = self.method == "GET" || self.path.ends_with("/access_tokens") || self.path.ends_with("git-upload-pack");
        if is_read {
            return None;
        }
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        if self.path.starts_with(MODEL) {
            return Some(format!("turn with {} items", body["input"].as_array().map_or(0, Vec::len)));
        }
        if self.path.contains(".git/") {
            return Some("push".to_owned());
        }
        // Issues, comments and jobs have other numbers in each run.
        let is_number = |part: &&str| part.parse::<u64>().is_ok() || JobId::parse(part).is_some();
        let place: Vec<_> = self.path.split('/').skip(6).filter(|part| !is_number(part)).collect();
        let stage = body["body"].as_str().filter(|_| place.contains(&"comments")).map(stage).unwrap_or_default();
        Some(format!("{} {}{stage}", self.method, place.join("/")))
    }
}

/// What a comment says of a job: the step that it is at, or the end.
fn stage(comment: &str) -> String {
    let step = comment.lines().find(|line| line.ends_with("← now")).and_then(|line| line.split([']', ':']).nth(1));
    format!(" ({})", step.unwrap_or(" the end").trim_start())
}

/// Who is asked at each moment of each request whether it is held there.
pub(crate) type Guard = Arc<dyn Fn(&Crossing, Moment) -> bool + Send + Sync>;

/// Where a passage leads to.
#[derive(Clone)]
pub(crate) struct Beyond {
    pub(crate) github: String,
    /// With the model's version of the API at its end.
    pub(crate) model: String,
    pub(crate) guard: Guard,
}

/// A passage that is open.
pub(crate) struct Passage {
    pub(crate) number: usize,
    /// Its address, without a slash at the end.
    pub(crate) url: String,
    toll: Arc<Toll>,
    server: JoinHandle<std::io::Result<()>>,
}

struct Toll {
    number: usize,
    beyond: Beyond,
    client: reqwest::Client,
    under_way: TaskTracker,
    closed: CancellationToken,
}

impl Passage {
    pub(crate) async fn open(number: usize, beyond: Beyond) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let client = http_client::for_address(&beyond.github, None).expect("the address is one");
        let closed = CancellationToken::new();
        let toll = Arc::new(Toll { number, beyond, client, under_way: TaskTracker::new(), closed: closed.clone() });
        let router = Router::new().fallback(cross).with_state(Arc::clone(&toll));
        let serving = axum::serve(listener, router).with_graceful_shutdown(closed.cancelled_owned());
        Self { number, url, toll, server: tokio::spawn(async move { serving.await }) }
    }

    /// Where the model is, for a process that comes this way.
    pub(crate) fn model_url(&self) -> String {
        format!("{}{MODEL}", self.url)
    }

    /// Lets nothing through any more, once whoever came this way is gone, and waits for what is through already.
    pub(crate) async fn close(self) {
        self.toll.closed.cancel();
        self.server.await.expect("it does not panic").expect("it ends well");
        self.toll.under_way.close();
        self.toll.under_way.wait().await;
    }
}

/// Goes on with a request even where nobody is there any more to hear its answer.
async fn cross(State(toll): State<Arc<Toll>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else { return broken() };
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let crossing = Crossing { passage: toll.number, method, path, body };
    let tracked = Arc::clone(&toll);
    let answered = tracked.under_way.spawn(async move {
        if toll.holds(&crossing, Moment::Arrived).await {
            return broken();
        }
        let answer = toll.forward(&parts, crossing.body.clone()).await;
        toll.holds(&crossing, Moment::CarriedOut).await;
        answer
    });
    answered.await.expect("it does not panic")
}

impl Toll {
    /// Whether it was held here; then it is until the passage is closed.
    async fn holds(&self, crossing: &Crossing, moment: Moment) -> bool {
        let is_held = (self.beyond.guard)(crossing, moment);
        if is_held {
            self.closed.cancelled().await;
        }
        is_held
    }

    async fn forward(&self, parts: &http::request::Parts, body: Bytes) -> Response {
        let place = parts.uri.path_and_query().map_or("/", |place| place.as_str());
        let url = match place.strip_prefix(MODEL) {
            Some(place) => format!("{}{place}", self.beyond.model),
            None => format!("{}{place}", self.beyond.github),
        };
        let mut headers = parts.headers.clone();
        OF_THE_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
        let answered = self.client.request(parts.method.clone(), url).headers(headers).body(body).send().await;
        let Ok(answer) = answered else { return broken() };
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        OF_THE_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
        let Ok(body) = answer.bytes().await else { return broken() };
        (status, headers, body).into_response()
    }
}

/// An answer whose body fails at once, upon which the server breaks the connection.
fn broken() -> Response {
    let failing = stream::once(async { Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset)) });
    (StatusCode::OK, Body::from_stream(failing)).into_response()
}
