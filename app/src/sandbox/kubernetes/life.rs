//! One Pod from its making to its deletion.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{WatchEvent, WatchParams};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::sandbox::Refusal;
use crate::sandbox::kubernetes::cluster::{Cluster, shortened};

/// How long the cluster may take to delete a Pod behind us.
const DELETE_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause before a watch that has ended is begun again.
const WATCH_PAUSE: Duration = Duration::from_millis(500);
/// How long one watch is held, in seconds; the API has a limit of its own.
const WATCH_SECONDS: u32 = 240;

/// A Pod that is there. Dropping it deletes the Pod.
pub(super) struct Life {
    pub(super) cluster: Arc<Cluster>,
    pub(super) name: String,
}

impl Life {
    /// Makes a Pod and waits until all of its containers run.
    pub(super) async fn start(cluster: &Arc<Cluster>, pod: &Pod, time: Duration) -> Result<Life, Refusal> {
        let name = pod.metadata.name.clone().unwrap_or_default();
        // From here on there may be a Pod of this name, whatever is answered; it is deleted if it does not come to run.
        let life = Life { cluster: Arc::clone(cluster), name };
        cluster.create(pod).await?;
        match life.running(Instant::now() + time).await {
            Ok(()) => Ok(life),
            Err(why) => Err(life.complaint(why, time).await),
        }
    }

    /// Waits until the Pod runs; an error is what keeps it from that.
    async fn running(&self, until: Instant) -> Result<(), Stuck> {
        let mut seen = String::new();
        loop {
            let parameters = WatchParams::default().fields(&format!("metadata.name={}", self.name)).timeout(WATCH_SECONDS);
            let pods = self.cluster.pods();
            let watched = timeout_at(until, pods.watch(&parameters, "0")).await;
            let mut events = match watched {
                Err(_) => return Err(Stuck::TooLate(seen)),
                Ok(Ok(events)) => events.boxed(),
                Ok(Err(error)) => {
                    // Without a watch the Pod is looked at; where that fails too there is nothing to wait for.
                    let pod = self
                        .cluster
                        .pod(&self.name)
                        .await
                        .map_err(|refusal| Stuck::Broken(format!("{refusal}; {}", shortened(&error.to_string()))))?;
                    if is_running(&pod, &mut seen)? {
                        return Ok(());
                    }
                    futures_util::stream::empty().boxed()
                }
            };
            loop {
                match timeout_at(until, events.next()).await {
                    Err(_) => return Err(Stuck::TooLate(seen)),
                    Ok(Some(Ok(WatchEvent::Added(pod) | WatchEvent::Modified(pod)))) => {
                        if is_running(&pod, &mut seen)? {
                            return Ok(());
                        }
                    }
                    Ok(Some(Ok(WatchEvent::Deleted(_)))) => return Err(Stuck::Broken("somebody deleted it".to_owned())),
                    Ok(Some(Ok(WatchEvent::Bookmark(_)))) => {}
                    // It was held long enough, or its beginning is forgotten: another shows the Pod as it is now.
                    Ok(Some(Ok(WatchEvent::Error(_)) | Err(_)) | None) => break,
                }
            }
            let pause = Instant::now() + WATCH_PAUSE;
            if pause >= until {
                return Err(Stuck::TooLate(seen));
            }
            sleep_until(pause).await;
        }
    }

    async fn complaint(&self, stuck: Stuck, time: Duration) -> Refusal {
        let warnings = self.cluster.warnings(&self.name).await;
        let (why, mut remedy) = match stuck {
            Stuck::Broken(why) => (why, "look at the Pods of that namespace: `kubectl get events` says more".to_owned()),
            Stuck::Waiting { reason, message } => {
                let remedy = remedy(&reason);
                (format!("{reason}: {message}"), remedy)
            }
            Stuck::TooLate(seen) => {
                let seen = if seen.is_empty() { "nothing is known of it".to_owned() } else { seen };
                let remedy = "make room in the cluster, or raise `sandbox.kubernetes.start_timeout_seconds`".to_owned();
                (format!("it did not run within {} seconds: {seen}", time.as_secs()), remedy)
            }
        };
        let heard = warnings
            .iter()
            .filter(|warning| !why.contains(warning.as_str()))
            .fold(String::new(), |all, warning| format!("{all}; {warning}"));
        if heard.contains("RuntimeClass") || heard.contains("runtime handler") || heard.contains("no runtime for") {
            remedy = "install the runtime of `sandbox.kubernetes.runtime_class` on the nodes, or take that key out".to_owned();
        }
        Refusal { missing: format!("a running Pod `{}`: {why}{heard}", self.name), remedy }
    }

    /// Deletes the Pod; it is on its way out when this returns.
    pub(super) async fn end(mut self) {
        let name = std::mem::take(&mut self.name);
        delete(&self.cluster, &name).await;
    }
}

impl Drop for Life {
    /// The cluster deletes it behind us, within its time; what is left over then has an end of its own.
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        if let (false, Ok(runtime)) = (name.is_empty(), tokio::runtime::Handle::try_current()) {
            let cluster = Arc::clone(&self.cluster);
            runtime.spawn(async move { delete(&cluster, &name).await });
        }
    }
}

async fn delete(cluster: &Cluster, name: &str) {
    match tokio::time::timeout(DELETE_TIMEOUT, cluster.delete(name)).await {
        Ok(Ok(())) => {}
        Ok(Err(refusal)) => tracing::warn!(pod = name, "Pod {name} is left to its deadline: {refusal}; {}", refusal.remedy),
        Err(_) => tracing::warn!(pod = name, "Pod {name} is left to its deadline: the cluster does not answer"),
    }
}

/// Why a Pod does not run.
enum Stuck {
    /// A container waits for something that will not come by itself.
    Waiting { reason: String, message: String },
    /// It is over, or cannot be seen.
    Broken(String),
    /// It may still come; what was seen of it last.
    TooLate(String),
}

/// What containers wait for in vain.
const HOPELESS: [&str; 7] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];

/// Whether all containers run. What keeps the Pod from that for now is written to `seen`.
fn is_running(pod: &Pod, seen: &mut String) -> Result<bool, Stuck> {
    let Some(status) = &pod.status else { return Ok(false) };
    let all = [&status.init_container_statuses, &status.container_statuses];
    let containers: Vec<&ContainerStatus> = all.into_iter().flatten().flatten().collect();
    for container in &containers {
        let Some(waiting) = container.state.as_ref().and_then(|state| state.waiting.as_ref()) else { continue };
        let reason = waiting.reason.clone().unwrap_or_default();
        let message = shortened(waiting.message.as_deref().unwrap_or_default());
        if HOPELESS.contains(&reason.as_str()) {
            return Err(Stuck::Waiting { reason: format!("{reason} of container `{}`", container.name), message });
        }
        *seen = format!("container `{}` waits: {reason} {message}", container.name).trim().to_owned();
    }
    if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        let ended = containers.iter().find_map(|container| {
            let ended = container.state.as_ref()?.terminated.as_ref()?;
            let message = ended.message.as_deref().or(ended.reason.as_deref()).unwrap_or_default();
            Some(format!("container `{}` ended with code {}: {}", container.name, ended.exit_code, shortened(message)))
        });
        let reason = status.message.as_deref().or(status.reason.as_deref()).map(shortened);
        return Err(Stuck::Broken(reason.or(ended).unwrap_or_else(|| "it ended".to_owned())));
    }
    for condition in status.conditions.iter().flatten() {
        if condition.type_ == "PodScheduled" && condition.status == "False" {
            *seen = format!(
                "{}: {}",
                condition.reason.as_deref().unwrap_or_default(),
                shortened(condition.message.as_deref().unwrap_or_default())
            );
        }
    }
    let n_wanted = pod.spec.as_ref().map_or(0, |spec| spec.containers.len());
    let n_running = status
        .container_statuses
        .iter()
        .flatten()
        .filter(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()));
    Ok(n_wanted > 0 && n_running.count() == n_wanted)
}

fn remedy(reason: &str) -> String {
    if reason.contains("Image") {
        "correct `sandbox.kubernetes.image` or `launcher_image`, or name the registry's secret in \
         `sandbox.kubernetes.image_pull_secrets`"
            .to_owned()
    } else {
        "the image must have `/bin/sh` and run as any user with a root that is read only; `kubectl describe pod` says more"
            .to_owned()
    }
}
