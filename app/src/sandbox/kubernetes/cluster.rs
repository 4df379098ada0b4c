//! The cluster's API as far as it is used: each request has a time limit, and each error says what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{AttachParams, DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::time::timeout;

use crate::sandbox::Refusal;
use crate::sandbox::kubernetes::connection::Connection;

/// How often a request that was turned away for now is made again, and the first pause before that; it doubles.
const RETRIES_MAX: u32 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How much of a stream waits for being read or sent, in bytes.
const STREAM_BYTES_MAX: usize = 256 * 1024;
/// How much of an error's text is told, in characters.
const MESSAGE_CHARS_MAX: usize = 600;
/// The most events that are asked for, and told of one Pod.
const EVENTS_MAX: u32 = 50;
const EVENTS_TOLD_MAX: usize = 3;

/// What the server may have to do in the namespace, by group, resource and verb; `manifests/kubernetes.yaml` allows it.
pub(super) const RIGHTS: [(&str, &str, &str, &str); 8] = [
    ("", "pods", "", "create"),
    ("", "pods", "", "get"),
    ("", "pods", "", "list"),
    ("", "pods", "", "watch"),
    ("", "pods", "", "delete"),
    ("", "pods", "exec", "create"),
    ("", "pods", "exec", "get"),
    ("", "events", "", "list"),
];

/// What to do where nothing more is known.
const LOG: &str = "look into the log of the cluster's API";

/// Which cluster.
#[derive(Clone, Debug)]
pub struct Access {
    /// A kubeconfig file; without one the usual places, and then the account of the Pod that this process is in.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it.
    pub context: Option<String>,
    /// An address without TLS and without credentials, as of a double; it outranks both.
    pub address: Option<String>,
    /// How long one request may take.
    pub request_timeout: Duration,
}

impl Default for Access {
    fn default() -> Access {
        Access { kubeconfig: None, context: None, address: None, request_timeout: Duration::from_secs(30) }
    }
}

/// The API, in one namespace.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    namespace: String,
    request_timeout: Duration,
    /// Where its API is, for messages.
    pub(super) address: String,
}

impl Cluster {
    pub(super) async fn connect(access: &Access, namespace: &str) -> Result<Cluster, Refusal> {
        let unknown = |error: String| Refusal {
            missing: format!("access to a Kubernetes cluster: {error}"),
            remedy: "name a kubeconfig file in `sandbox.kubernetes.kubeconfig`, or run the server in the cluster with a service \
                     account; `kubectl auth whoami` shows whether the file works"
                .to_owned(),
        };
        // Another call may have installed it before; either way it is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = KubeConfigOptions { context: access.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match (&access.address, &access.kubeconfig) {
            (Some(address), _) => Config::new(address.parse().map_err(|error| unknown(format!("{address}: {error}")))?),
            (None, Some(file)) => {
                let read = Kubeconfig::read_from(file).map_err(|error| unknown(error.to_string()))?;
                Config::from_custom_kubeconfig(read, &options).await.map_err(|error| unknown(error.to_string()))?
            }
            (None, None) if access.context.is_some() => {
                Config::from_kubeconfig(&options).await.map_err(|error| unknown(error.to_string()))?
            }
            (None, None) => Config::infer().await.map_err(|error| unknown(error.to_string()))?,
        };
        // Its own would wait for up to a thousand seconds.
        config.default_retry = false;
        let address = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| unknown(error.to_string()))?;
        Ok(Cluster { client, namespace: namespace.to_owned(), request_timeout: access.request_timeout, address })
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) async fn create(&self, pod: &Pod) -> Result<Pod, Refusal> {
        let (pods, parameters) = (self.pods(), PostParams::default());
        self.ask("making a Pod", || pods.create(&parameters, pod)).await
    }

    pub(super) async fn pod(&self, name: &str) -> Result<Pod, Refusal> {
        let pods = self.pods();
        self.ask("looking at a Pod", || pods.get(name)).await
    }

    pub(super) async fn listed(&self, selector: &str) -> Result<Vec<Pod>, Refusal> {
        const PODS_MAX: u32 = 500;
        let (pods, parameters) = (self.pods(), ListParams::default().labels(selector).limit(PODS_MAX));
        self.ask("listing Pods", || pods.list(&parameters)).await.map(|found| found.items)
    }

    /// Deletes a Pod; one that is not there is no error.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Refusal> {
        let (pods, parameters) = (self.pods(), DeleteParams::default());
        let deleted = self.repeated(|| pods.delete(name, &parameters)).await;
        match deleted {
            Err(Asked::Api(kube::Error::Api(status))) if status.code == 404 => Ok(()),
            deleted => deleted.map(drop).map_err(|error| self.refusal("deleting a Pod", &error)),
        }
    }

    /// What the cluster warns of about a Pod, the newest last.
    pub(super) async fn warnings(&self, name: &str) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let parameters = ListParams::default().fields(&format!("involvedObject.name={name}")).limit(EVENTS_MAX);
        // Without the right to read them, or without an answer, there is less to tell and nothing else is different.
        let Ok(found) = self.repeated(|| events.list(&parameters)).await else { return Vec::new() };
        let warned = found.items.into_iter().filter(|event| event.type_.as_deref() == Some("Warning"));
        let mut told: Vec<String> = Vec::new();
        for event in warned {
            let text = format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default());
            let text = shortened(&text);
            told.retain(|before| *before != text);
            told.push(text);
        }
        told.split_off(told.len().saturating_sub(EVENTS_TOLD_MAX))
    }

    /// The rights that this process does not have, as `verb resource`.
    pub(super) async fn rights_missing(&self) -> Result<Vec<String>, Refusal> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let mut missing = Vec::new();
        for (group, resource, subresource, verb) in RIGHTS {
            let wanted = ResourceAttributes {
                group: Some(group.to_owned()),
                namespace: Some(self.namespace.clone()),
                resource: Some(resource.to_owned()),
                subresource: (!subresource.is_empty()).then(|| subresource.to_owned()),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            };
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(wanted), ..SelfSubjectAccessReviewSpec::default() },
                ..SelfSubjectAccessReview::default()
            };
            let parameters = PostParams::default();
            let answered = self.ask("asking what this server may do", || reviews.create(&parameters, &review)).await?;
            if !answered.status.is_some_and(|status| status.allowed) {
                let below = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
                missing.push(format!("{verb} {resource}{below}"));
            }
        }
        Ok(missing)
    }

    /// Starts a program in a container and connects to its standard input and output.
    pub(super) async fn execute(&self, pod: &str, container: &str, command: Vec<String>) -> Result<Connection, Refusal> {
        let parameters = AttachParams::default()
            .container(container)
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .max_stdin_buf_size(STREAM_BYTES_MAX)
            .max_stdout_buf_size(STREAM_BYTES_MAX)
            .max_stderr_buf_size(STREAM_BYTES_MAX);
        let pods = self.pods();
        let context = format!("starting a program in container `{container}` of a Pod");
        self.ask(&context, || pods.exec(pod, command.clone(), &parameters)).await.and_then(|process| {
            Connection::new(process).map_err(|error| Refusal { missing: format!("{context}: {error}"), remedy: LOG.to_owned() })
        })
    }

    async fn ask<T, F: Future<Output = kube::Result<T>>>(&self, context: &str, request: impl Fn() -> F) -> Result<T, Refusal> {
        self.repeated(request).await.map_err(|error| self.refusal(context, &error))
    }

    /// Makes a request, and again where the server said that it has not been looked at.
    async fn repeated<T, F: Future<Output = kube::Result<T>>>(&self, request: impl Fn() -> F) -> Result<T, Asked> {
        let mut pause = RETRY_PAUSE;
        for _ in 0..RETRIES_MAX {
            match timeout(self.request_timeout, request()).await {
                Ok(Err(kube::Error::Api(status))) if matches!(status.code, 429 | 503) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Ok(Err(error)) => return Err(Asked::Api(error)),
                Ok(Ok(answer)) => return Ok(answer),
                Err(_) => return Err(Asked::TimedOut),
            }
        }
        match timeout(self.request_timeout, request()).await {
            Ok(answer) => answer.map_err(Asked::Api),
            Err(_) => Err(Asked::TimedOut),
        }
    }

    fn refusal(&self, context: &str, error: &Asked) -> Refusal {
        let (why, remedy) = match error {
            Asked::TimedOut => (
                format!("no answer within {} seconds", self.request_timeout.as_secs()),
                format!("look whether {} can be reached from this machine and is not overloaded", self.address),
            ),
            Asked::Api(kube::Error::Api(status)) => {
                (format!("{} ({})", shortened(&status.message), status.code), self.remedy(status.code, &status.message))
            }
            Asked::Api(error) => {
                let mut why = error.to_string();
                let mut source = std::error::Error::source(error);
                while let Some(cause) = source {
                    if !why.contains(&cause.to_string()) {
                        why = format!("{why}: {cause}");
                    }
                    source = cause.source();
                }
                let remedy = format!("look whether {} can be reached from this machine, and its certificate", self.address);
                (shortened(&why), remedy)
            }
        };
        Refusal { missing: format!("{context} in namespace `{}`: {why}", self.namespace), remedy }
    }

    /// What is to be done about an answer of the API, by what its admission is known to say.
    fn remedy(&self, code: u16, message: &str) -> String {
        let namespace = &self.namespace;
        let says = |words: &str| message.to_ascii_lowercase().contains(words);
        if says("exceeded quota") {
            format!("raise the ResourceQuota of namespace `{namespace}`, or lower `sandbox.limits` and `sandbox.kubernetes.cpus`")
        } else if says("violates podsecurity") {
            format!(
                "the Pods keep the level `restricted`; look for what changes them on the way (admission webhooks, LimitRanges), \
                 and label namespace `{namespace}` as `manifests/kubernetes.yaml` does"
            )
        } else if says("runtimeclass") {
            "install that RuntimeClass (`kubectl get runtimeclass` lists them), or correct `sandbox.kubernetes.runtime_class`"
                .to_owned()
        } else if code == 404 && says("namespaces") {
            format!("make the namespace: `kubectl apply -f manifests/kubernetes.yaml`, where it is called `{namespace}`")
        } else if code == 403 {
            "give the server's account the Role of `manifests/kubernetes.yaml`: `kubectl apply -f manifests/kubernetes.yaml`"
                .to_owned()
        } else if code == 401 {
            "renew the credentials of the kubeconfig or of the server's service account".to_owned()
        } else if code == 409 {
            "run `patchwright doctor` again; if it stays, give each server another `sandbox.kubernetes.instance`".to_owned()
        } else if matches!(code, 429 | 500..=599) {
            "the cluster's API is overloaded or broken: look into its log; what was asked for is tried again later".to_owned()
        } else {
            LOG.to_owned()
        }
    }
}

/// Why there is no answer.
enum Asked {
    Api(kube::Error),
    TimedOut,
}

pub(super) fn shortened(text: &str) -> String {
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    match line.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
