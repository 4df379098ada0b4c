//! Jobs of GitHub Actions, and their logs.
//!
//! A log is somewhere else: GitHub's answer leads to it for a minute. That address is GitHub's own and no payload's; nothing that
//! is ours is sent there, and what comes from there is read to a limit and not decompressed.

use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use patchwright_domain::event::RepoRef;
use patchwright_domain::job_log::{LOG_BYTES_MAX, Span};
use patchwright_domain::triage::{Ended, Told};
use reqwest::Url;
use serde_json::Value;

use super::GitHub;
use super::client::Call;
use super::tokens::Grant;
use crate::forge::{CheckedJob, ForgeError};
use crate::http_client;

/// How many steps of a job are looked at.
const STEPS_MAX: usize = 1_000;
/// How much of a log is fetched, in bytes. Of one that is longer the end is not known, and it is left out.
const FETCHED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long fetching may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

impl GitHub {
    pub(super) async fn job(&self, repo: &RepoRef, id: u64) -> Result<Option<CheckedJob>, ForgeError> {
        let grant = Grant::new(repo, &[("actions", "read")]);
        let call = Call::get(format!("/actions/jobs/{id}"), "looking at the job of the check");
        let job = match self.client.call(&grant, &call).await {
            Ok(answer) => answer.body,
            // Not every check is a job, and not every installation lets us look at jobs.
            Err(ForgeError::Denied { what, reason, .. }) => {
                tracing::info!("{what}: {reason}; the check is looked into without its job");
                return Ok(None);
            }
            Err(error @ (ForgeError::Rejected { .. } | ForgeError::RateLimited { .. } | ForgeError::Unavailable(_))) => {
                return Err(error);
            }
        };
        let steps: Vec<&Value> = job["steps"].as_array().into_iter().flatten().take(STEPS_MAX).collect();
        let ended_in =
            |words: &[&str]| steps.iter().find(|step| step["conclusion"].as_str().is_some_and(|ended| words.contains(&ended)));
        // Where a job's time runs out, what is running then is stopped.
        let is_late = job["conclusion"] == "timed_out";
        let failed = ended_in(&["failure"]).or_else(|| ended_in(&["cancelled", "timed_out"]).filter(|_| is_late));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let time = |name: &str| failed.and_then(|step| step[name].as_str()?.parse().ok());
        let conclusion = match job["conclusion"].as_str() {
            Some("timed_out") => Ended::TimedOut,
            Some("cancelled") => Ended::Cancelled,
            Some(_) | None => Ended::Failure,
        };
        let failed_step = failed.and_then(|step| text(&step["name"]));
        Ok(Some(CheckedJob {
            told: Told { conclusion, failed_step, has_steps: !steps.is_empty(), errors: Vec::new() },
            workflow: text(&job["workflow_name"]),
            during: time("started_at").zip(time("completed_at")).map(|(from, to)| Span { from, to }),
            log: self.log(&grant, id).await?,
        }))
    }

    /// The end of a job's log; none where it is gone, or where what leads to it leads nowhere.
    async fn log(&self, grant: &Grant, id: u64) -> Result<Option<Vec<u8>>, ForgeError> {
        let call = Call::leading_on(format!("/actions/jobs/{id}/logs"), "asking for the job's log");
        let address = match self.client.call(grant, &call).await {
            Ok(answer) => answer.location,
            Err(ForgeError::Denied { .. } | ForgeError::Rejected { .. }) => None,
            Err(error @ (ForgeError::RateLimited { .. } | ForgeError::Unavailable(_))) => return Err(error),
        };
        let is_plain = self.web_url.starts_with("http:");
        let Some(address) = address.and_then(|address| trusted(&address, is_plain)) else { return Ok(None) };
        // What cannot be had of a log stops nothing: it is shown to people and decides little.
        match tokio::time::timeout(FETCH_TIMEOUT, fetched(&address)).await {
            Ok(Ok(log)) => Ok(log),
            Ok(Err(error)) => {
                tracing::warn!("the job's log is left out: {error}");
                Ok(None)
            }
            Err(_) => {
                tracing::warn!("the job's log is left out: it took more than {} s", FETCH_TIMEOUT.as_secs());
                Ok(None)
            }
        }
    }
}

/// An address that a log may be at: with TLS, but where GitHub itself is asked without, and nobody's name in it.
fn trusted(address: &str, is_plain: bool) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let is_scheme = url.scheme() == "https" || is_plain && url.scheme() == "http";
    (is_scheme && url.username().is_empty() && url.password().is_none()).then_some(url)
}

async fn fetched(address: &Url) -> Result<Option<Vec<u8>>, String> {
    let client = http_client::for_address(address.as_str(), None)?;
    let request = client.get(address.clone()).header(ACCEPT_ENCODING, "identity");
    // The address is a secret for as long as it holds.
    let told = |error: reqwest::Error| http_client::chain(&error.without_url());
    let mut response = request.send().await.map_err(told)?;
    if !response.status().is_success() {
        return Err(format!("its place answered {}", response.status().as_u16()));
    }
    if response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err("it is compressed, which nobody has asked for".into());
    }
    let (mut log, mut n_fetched) = (Vec::new(), 0_usize);
    while let Some(piece) = response.chunk().await.map_err(told)? {
        n_fetched += piece.len();
        if n_fetched > FETCHED_BYTES_MAX {
            return Err(format!("it is longer than {FETCHED_BYTES_MAX} bytes"));
        }
        log.extend_from_slice(&piece);
        if log.len() > 2 * LOG_BYTES_MAX {
            log.drain(..log.len() - LOG_BYTES_MAX);
        }
    }
    Ok(Some(log))
}

#[cfg(test)]
mod tests;
