//! A steady load of signed webhooks, which does not wait for answers, and sends again what was not accepted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::payloads::Payload;
use super::report::milliseconds;

/// How many deliveries may be under way, those included that are sent again; the next one waits, and is counted as late.
const UNDER_WAY_MAX: usize = 2_000;
/// How often one is sent until it is accepted, and the pause before it is sent again.
const TRIES_MAX: u32 = 240;
const PAUSE: Duration = Duration::from_millis(500);
/// How long an answer may take, as at GitHub.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What became of what was sent.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) n_sent: AtomicU64,
    /// Answers of 503: come again.
    pub(crate) n_refused: AtomicU64,
    /// Requests without an answer, as where the server was killed.
    pub(crate) n_unanswered: AtomicU64,
    /// How many had to wait until they were sent at all.
    pub(crate) n_late: AtomicU64,
    accepted: Mutex<Accepted>,
}

#[derive(Default)]
struct Accepted {
    names: Vec<String>,
    /// From when each was due until it was accepted.
    waits: Vec<Duration>,
    /// What was never accepted, and why.
    given_up: Vec<String>,
}

impl Tally {
    pub(crate) fn n_accepted(&self) -> usize {
        self.with(|accepted| accepted.names.len())
    }

    pub(crate) fn accepted(&self) -> Vec<String> {
        self.with(|accepted| accepted.names.clone())
    }

    pub(crate) fn given_up(&self) -> Vec<String> {
        self.with(|accepted| accepted.given_up.clone())
    }

    /// How long so large a part of them waited at most.
    pub(crate) fn wait_ms(&self, quantile: f64) -> f64 {
        let mut waits = self.with(|accepted| accepted.waits.clone());
        waits.sort_unstable();
        let index = (waits.len() as f64 * quantile) as usize;
        waits.get(index.min(waits.len().saturating_sub(1))).copied().map_or(0.0, milliseconds)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Accepted) -> T) -> T {
        act(&mut self.accepted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is sent where.
pub(crate) struct Load {
    pub(crate) url: String,
    pub(crate) per_second: u32,
    pub(crate) lasts: Duration,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) tally: Arc<Tally>,
}

impl Load {
    /// Sends until the time is over, and returns once all of it is accepted or given up.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build().context("making a client")?;
        let total = (f64::from(self.per_second) * self.lasts.as_secs_f64()).round() as u64;
        let (load, room, begun) = (Arc::new(self), Arc::new(Semaphore::new(UNDER_WAY_MAX)), Instant::now());
        let mut under_way = JoinSet::new();
        for number in 0..total {
            let due = begun + Duration::from_secs_f64(number as f64 / f64::from(load.per_second));
            tokio::time::sleep_until(due).await;
            if room.available_permits() == 0 {
                load.tally.n_late.fetch_add(1, Ordering::Relaxed);
            }
            let place = Arc::clone(&room).acquire_owned().await.context("nobody closes it")?;
            let (load, client) = (Arc::clone(&load), client.clone());
            under_way.spawn(async move {
                load.deliver(&client, number, due).await;
                drop(place);
            });
            while let Some(done) = under_way.try_join_next() {
                done.context("sending a delivery")?;
            }
        }
        while let Some(done) = under_way.join_next().await {
            done.context("sending a delivery")?;
        }
        Ok(())
    }

    /// Sends one under the same name until it is accepted.
    async fn deliver(&self, client: &reqwest::Client, number: u64, due: Instant) {
        let payload = &self.payloads[number as usize % self.payloads.len()];
        // GitHub's names are not in order either.
        let name = format!("{:08x}-7266-11ee-8e69-{number:012x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32);
        self.tally.n_sent.fetch_add(1, Ordering::Relaxed);
        let mut last = String::new();
        for _ in 0..TRIES_MAX {
            let request = client.post(&self.url).header("content-type", "application/json").header("x-github-delivery", &name);
            let request = request.header("x-github-event", payload.event).header("x-hub-signature-256", &payload.signature);
            match request.body(payload.body.clone()).send().await.map(|answer| answer.status().as_u16()) {
                Ok(202) => {
                    let wait = due.elapsed();
                    return self.tally.with(|accepted| {
                        accepted.names.push(name);
                        accepted.waits.push(wait);
                    });
                }
                Ok(503) => {
                    self.tally.n_refused.fetch_add(1, Ordering::Relaxed);
                    "it was answered with 503".clone_into(&mut last);
                }
                Ok(status) => {
                    last = format!("it was answered with {status}");
                    break;
                }
                Err(error) => {
                    self.tally.n_unanswered.fetch_add(1, Ordering::Relaxed);
                    last = error.to_string();
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.tally.with(|accepted| accepted.given_up.push(format!("{name}: {last}")));
    }
}
