//! A Kubernetes cluster for tests: its API as far as the executor uses it, and Pods whose programs really run.
//!
//! Every object that comes in, and every Pod that goes out, is checked against Kubernetes' published schemas, in which no
//! unknown field is allowed. What no cluster was asked is what a real one would say: the texts of its errors are those of
//! its own source and documentation, and nothing more is known of them here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::kubelet::Kubelet;

mod exec;
pub(crate) mod kubelet;
pub(crate) mod schemas;

/// What goes wrong, and how.
#[derive(Default)]
pub(crate) struct Faults {
    /// Answers to requests that make a Pod, the first one first: status, reason and message.
    pub(crate) refusals: VecDeque<(u16, &'static str, &'static str)>,
    /// The status that a Pod has instead of running.
    pub(crate) stuck: Option<Value>,
    /// What is told about every Pod.
    pub(crate) events: Vec<Value>,
    /// What the account may not do, as `verb resource`.
    pub(crate) denied: Vec<&'static str>,
    /// No request is ever answered.
    pub(crate) is_silent: bool,
    /// Pods reach what this machine reaches.
    pub(crate) is_network_open: bool,
    /// After so many bytes of output a connection to a program is cut, once.
    pub(crate) cut_after: Option<usize>,
    /// So many programs in the container of the commands are killed before they say anything.
    pub(crate) n_killed: u32,
    /// What a program in the container of the files says, instead of being started.
    pub(crate) says: Option<Vec<u8>>,
    /// What a relay says, instead of being started.
    pub(crate) relay_says: Option<&'static str>,
    /// Watches end at once.
    pub(crate) is_watch_short: bool,
}

/// One Pod.
struct Kept {
    object: Value,
    kubelet: Option<Kubelet>,
}

/// The cluster.
pub(crate) struct Double {
    pods: Mutex<BTreeMap<String, Kept>>,
    /// Changes with every Pod.
    version: watch::Sender<u64>,
    pub(crate) faults: Mutex<Faults>,
    /// Each request, as `METHOD path`.
    pub(crate) asked: Mutex<Vec<String>>,
    /// Each Pod, as it was made.
    pub(crate) made: Mutex<Vec<Value>>,
    /// What was not as the schemas say.
    pub(crate) wrong: Mutex<Vec<String>>,
    pub(crate) address: String,
    /// Changes whenever the connections to relays are cut.
    relay_cuts: watch::Sender<u64>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Double {
    /// Starts a cluster on loopback.
    pub(crate) async fn start(faults: Faults) -> Arc<Double> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let double = Arc::new(Double {
            pods: Mutex::default(),
            version: watch::Sender::new(1),
            faults: Mutex::new(faults),
            asked: Mutex::default(),
            made: Mutex::default(),
            wrong: Mutex::default(),
            address,
            relay_cuts: watch::Sender::new(0),
        });
        let pods = "/api/v1/namespaces/{namespace}/pods";
        let router = Router::new()
            .route(pods, get(list).post(create))
            .route(&format!("{pods}/{{name}}"), get(look).delete(delete))
            .route(&format!("{pods}/{{name}}/exec"), get(exec::exec))
            .route("/api/v1/namespaces/{namespace}/events", get(events))
            .route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", post(review))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&double), note))
            .with_state(Arc::clone(&double));
        tokio::spawn(async move { axum::serve(listener, router).await });
        double
    }

    /// The names of the Pods that are there.
    pub(crate) fn pods(&self) -> Vec<String> {
        locked(&self.pods).keys().cloned().collect()
    }

    /// Puts a Pod there that nobody made now.
    pub(crate) fn put(&self, object: Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        locked(&self.pods).insert(name, Kept { object, kubelet: None });
    }

    /// Waits until no Pod is left.
    pub(crate) async fn empty(&self) {
        let mut changes = self.version.subscribe();
        changes.wait_for(|_| self.pods().is_empty()).await.unwrap();
    }

    /// Sets a Pod's status.
    pub(crate) fn set_status(&self, name: &str, status: Value) {
        if let Some(kept) = locked(&self.pods).get_mut(name) {
            kept.object["status"] = status;
        }
        self.version.send_modify(|version| *version += 1);
    }

    /// Ends the commands' container of a Pod as a node does for the memory that it took; the other one goes on.
    pub(crate) fn end_for_memory(&self, name: &str) {
        let ended = locked(&self.pods).get_mut(name).and_then(|kept| {
            let mut status = kept.object["status"].clone();
            status["containerStatuses"][0]["state"] = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
            Some((status, kept.kubelet.as_mut()?.take("commands")?))
        });
        let (status, running) = ended.unwrap();
        self.set_status(name, status);
        drop(running);
    }

    /// Cuts the connections to the relays that run now, which do not notice.
    pub(crate) fn cut_relays(&self) {
        self.relay_cuts.send_modify(|n_cuts| *n_cuts += 1);
    }

    /// The programs that run in a container of a Pod beside its first process: their ids and command lines.
    pub(crate) fn programs(&self, name: &str, container: &str) -> Vec<(u32, String)> {
        let pods = locked(&self.pods);
        pods.get(name).and_then(|kept| Some(kept.kubelet.as_ref()?.programs(container))).unwrap_or_default()
    }

    fn checked(&self, kind: &str, object: &Value) {
        locked(&self.wrong).extend(schemas::errors(kind, object));
    }
}

/// Fails if anything was said to the cluster that it would not take.
#[track_caller]
pub(crate) fn check_objects(double: &Double) {
    let wrong = locked(&double.wrong);
    assert!(wrong.is_empty(), "not as the schemas say:\n{}", wrong.join("\n"));
}

async fn note(State(double): State<Arc<Double>>, request: Request, next: axum::middleware::Next) -> Response {
    locked(&double.asked).push(format!("{} {}", request.method(), request.uri().path()));
    if locked(&double.faults).is_silent {
        std::future::pending::<()>().await;
    }
    next.run(request).await
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code });
    let code = StatusCode::from_u16(code).unwrap();
    (code, axum::Json(status)).into_response()
}

async fn create(State(double): State<Arc<Double>>, Path(namespace): Path<String>, body: Bytes) -> Response {
    let object: Value = serde_json::from_slice(&body).unwrap();
    double.checked("io.k8s.api.core.v1.Pod", &object);
    locked(&double.made).push(object.clone());
    if let Some((code, reason, message)) = locked(&double.faults).refusals.pop_front() {
        return status(code, reason, message);
    }
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(object["metadata"]["namespace"], namespace.as_str());
    let mut object = object;
    let (stuck, is_open) = {
        let faults = locked(&double.faults);
        (faults.stuck.clone(), faults.is_network_open)
    };
    let is_stuck = stuck.is_some();
    object["status"] = stuck.unwrap_or_else(|| json!({ "phase": "Pending" }));
    locked(&double.pods).insert(name.clone(), Kept { object: object.clone(), kubelet: None });
    double.version.send_modify(|version| *version += 1);
    if !is_stuck {
        let (double, object) = (Arc::clone(&double), object.clone());
        let address = double.address.trim_start_matches("http://").to_owned();
        tokio::task::spawn_blocking(move || {
            let started = Kubelet::start(&object, &address, is_open);
            let status = kubelet::status(&object, started.as_ref().err());
            if let Some(kept) = locked(&double.pods).get_mut(&name) {
                kept.kubelet = started.ok();
            }
            double.set_status(&name, status);
        });
    }
    (StatusCode::CREATED, axum::Json(object)).into_response()
}

async fn look(State(double): State<Arc<Double>>, Path((_, name)): Path<(String, String)>) -> Response {
    let found = locked(&double.pods).get(&name).map(|kept| kept.object.clone());
    match found {
        Some(object) => {
            double.checked("io.k8s.api.core.v1.Pod", &object);
            axum::Json(object).into_response()
        }
        None => status(404, "NotFound", &format!("pods \"{name}\" not found")),
    }
}

async fn delete(State(double): State<Arc<Double>>, Path((_, name)): Path<(String, String)>, body: Bytes) -> Response {
    if !body.is_empty() {
        double.checked("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", &serde_json::from_slice(&body).unwrap());
    }
    let gone = locked(&double.pods).remove(&name);
    let answer = match gone {
        Some(Kept { object, kubelet }) => {
            tokio::task::spawn_blocking(move || drop(kubelet)).await.unwrap();
            axum::Json(object).into_response()
        }
        None => status(404, "NotFound", &format!("pods \"{name}\" not found")),
    };
    double.version.send_modify(|version| *version += 1);
    answer
}

async fn list(
    State(double): State<Arc<Double>>,
    Path(_): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    if query.get("watch").is_some_and(|watch| watch == "true") {
        return watch_one(&double, &query["fieldSelector"]);
    }
    let selector = query.get("labelSelector").cloned().unwrap_or_default();
    let is_selected = |object: &Value| {
        selector
            .split(',')
            .filter_map(|term| term.split_once('='))
            .all(|(name, value)| object["metadata"]["labels"][name] == value)
    };
    let items: Vec<Value> =
        locked(&double.pods).values().map(|kept| kept.object.clone()).filter(|object| is_selected(object)).collect();
    let found = json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items });
    double.checked("io.k8s.api.core.v1.PodList", &found);
    axum::Json(found).into_response()
}

/// Lines of events about one Pod, each time it has changed.
fn watch_one(double: &Arc<Double>, selector: &str) -> Response {
    let name = selector.strip_prefix("metadata.name=").unwrap().to_owned();
    let is_short = locked(&double.faults).is_watch_short;
    let start = (Arc::clone(double), double.version.subscribe(), None::<Value>);
    let lines = futures_util::stream::unfold(start, move |(double, mut changes, last)| {
        let name = name.clone();
        async move {
            loop {
                changes.borrow_and_update();
                let object = locked(&double.pods).get(&name).map(|kept| kept.object.clone());
                let kind = match (&object, &last) {
                    (Some(now), Some(before)) if now == before => None,
                    (Some(_), Some(_)) => Some("MODIFIED"),
                    (Some(_), None) => Some("ADDED"),
                    (None, _) => return None,
                };
                if let (Some(kind), Some(object)) = (kind, object) {
                    let line = format!("{}\n", json!({ "type": kind, "object": object }));
                    return Some((Ok::<_, std::io::Error>(line), (double, changes, Some(object))));
                }
                if is_short || changes.changed().await.is_err() {
                    return None;
                }
            }
        }
    });
    Body::from_stream(lines).into_response()
}

async fn events(State(double): State<Arc<Double>>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    assert!(query["fieldSelector"].starts_with("involvedObject.name="));
    let items = locked(&double.faults).events.clone();
    let found = json!({ "kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": items });
    double.checked("io.k8s.api.core.v1.EventList", &found);
    axum::Json(found).into_response()
}

async fn review(State(double): State<Arc<Double>>, body: Bytes) -> Response {
    let mut object: Value = serde_json::from_slice(&body).unwrap();
    double.checked("io.k8s.api.authorization.v1.SelfSubjectAccessReview", &object);
    let wanted = &object["spec"]["resourceAttributes"];
    let text = |name: &str| wanted[name].as_str().unwrap_or_default().to_owned();
    let below = if text("subresource").is_empty() { String::new() } else { format!("/{}", text("subresource")) };
    let right = format!("{} {}{below}", text("verb"), text("resource"));
    let is_denied = locked(&double.faults).denied.iter().any(|denied| *denied == right);
    object["status"] = json!({ "allowed": !is_denied });
    (StatusCode::CREATED, axum::Json(object)).into_response()
}
