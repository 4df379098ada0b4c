//! What goes wrong meanwhile, at moments and in ways that a seed decides.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use patchwright::model::scripted;
use patchwright::rehearsal::fault::Fault;

use super::site::Site;

/// The pause between two faults, at least and at most.
const PAUSE_MS: std::ops::Range<u64> = 300..3_000;
/// How long a limit lasts, at most.
const LIMITED_SECONDS_MAX: u32 = 3;
/// How many requests in a row a fault strikes, at most.
const TIMES_MAX: u32 = 3;
/// What a fault is for: anything, as is the fetching of facts, or one of the things that a job does.
const PATHS: [&str; 5] = ["*", "/repos/*/pulls*", "/repos/*/check-runs*", "/repos/*/comments*", "*.git/*"];
/// How much of a reply comes before it breaks off, at most.
const CUT_BYTES_MAX: usize = 600;

/// Has something go wrong now and then until it is dropped, and counts.
pub(crate) async fn strike(site: &Site, random: &mut fastrand::Rng, n_struck: &AtomicUsize) {
    loop {
        tokio::time::sleep(Duration::from_millis(random.u64(PAUSE_MS))).await;
        one(site, random);
        n_struck.fetch_add(1, Ordering::Relaxed);
    }
}

fn one(site: &Site, random: &mut fastrand::Rng) {
    let method = ["GET", "POST", "PATCH"][random.usize(..3)];
    let path = PATHS[random.usize(..PATHS.len())];
    let times = random.u32(1..=TIMES_MAX);
    match random.u8(..10) {
        0 | 1 => site.github.fault(Fault::refuse(method, path, 502, "Server Error").times(times)),
        2 | 3 => site.github.fault(Fault::lose_answer("POST", path).times(times)),
        4 | 5 => site.github.fault(Fault::disconnect(method, path).times(times)),
        6 => {
            let status = if random.bool() { 403 } else { 429 };
            site.github.fault(Fault::rate_limit(method, "/repo*", status, random.u32(1..=LIMITED_SECONDS_MAX)));
        }
        7 => site.github.miss_answers(times),
        8 => {
            let headers = vec![("retry-after".to_owned(), "1".to_owned())];
            let code = if random.bool() { 429 } else { 503 };
            site.model.add_fault(scripted::Fault::Status { code, headers, body: "{}".into() });
        }
        _ => {
            let n_bytes = random.usize(..CUT_BYTES_MAX);
            let cut = if random.bool() { scripted::Fault::CutAfter(n_bytes) } else { scripted::Fault::EndAfter(n_bytes) };
            site.model.add_fault(if random.bool() { cut } else { scripted::Fault::Garbage });
        }
    }
}
