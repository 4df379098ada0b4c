//! Pods whose server is gone: how the living are told from the dead.

use std::fs;

use k8s_openapi::api::core::v1::Pod;

use crate::sandbox::Refusal;
use crate::sandbox::kubernetes::cluster::Cluster;
use crate::sandbox::kubernetes::pod::{EXPIRES, WORKER, selector};

/// Who makes Pods: the machine, its start, the process and the process's start.
pub(super) fn worker() -> String {
    let pid = std::process::id().to_string();
    [host(), boot(), pid.clone(), started(&pid).unwrap_or_default()].join("/")
}

/// Deletes the Pods of this installation whose server is gone or whose time is over, and says how many there were.
pub(super) async fn remove(cluster: &Cluster, instance: &str, now: i64) -> Result<usize, Refusal> {
    let mut n_removed = 0;
    for pod in cluster.listed(&selector(instance)).await? {
        let Some(name) = &pod.metadata.name else { continue };
        if pod.metadata.deletion_timestamp.is_none() && is_left_behind(&pod, now) {
            cluster.delete(name).await?;
            n_removed += 1;
        }
    }
    Ok(n_removed)
}

/// A server on another machine may be alive; its Pods are its own until they are over.
fn is_left_behind(pod: &Pod, now: i64) -> bool {
    let is_over = matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Failed" | "Succeeded"));
    let annotation = |name: &str| pod.metadata.annotations.as_ref().and_then(|all| all.get(name)).map(String::as_str);
    // Nobody knows of one that does not say how long.
    let is_expired = annotation(EXPIRES).and_then(|text| text.parse::<i64>().ok()).is_none_or(|expires| expires <= now);
    is_over || is_expired || annotation(WORKER).is_none_or(is_gone)
}

fn is_gone(worker: &str) -> bool {
    let parts: Vec<&str> = worker.split('/').collect();
    let [on, since, pid, start] = parts[..] else { return true };
    if on != host() {
        return false;
    }
    since != boot() || started(pid).as_deref() != Some(start)
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().replace('/', "_")
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// When a process was started, in the kernel's ticks; `None` for one that is not there.
fn started(pid: &str) -> Option<String> {
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may have spaces and parentheses of its own.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests;
