//! Answers that are asked for again only in case they have changed.
//!
//! GitHub says with an answer what it is to be called (`ETag`). Asked again under that name it answers 304, which counts
//! towards no limit, and what is kept here is the answer. Only GitHub decides that: nothing is taken from here unasked, and
//! what was answered to one grant is never given to another.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::tokens::Key;

/// How much is kept; what was not asked for longest goes first.
const ANSWERS_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The longest answer that is kept.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// What an answer takes beside its text, roughly.
const OVERHEAD_BYTES: usize = 256;

/// An answer and its name.
pub(super) struct Kept {
    pub(super) etag: HeaderValue,
    pub(super) body: Bytes,
    pub(super) has_next_page: bool,
}

/// The answers that are kept, each for its grant and path.
pub(super) struct Answers {
    kept: Cache<(Key, String), Arc<Kept>>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self::of(ANSWERS_BYTES_MAX)
    }

    fn of(bytes_max: u64) -> Self {
        let weigh = |(_, path): &(Key, String), kept: &Arc<Kept>| weight(path, kept);
        let kept = Cache::builder().max_capacity(bytes_max).eviction_policy(EvictionPolicy::lru());
        Self { kept: kept.weigher(weigh).build() }
    }

    pub(super) async fn find(&self, key: &Key, path: &str) -> Option<Arc<Kept>> {
        self.kept.get(&(key.clone(), path.to_owned())).await
    }

    /// Keeps a copy: what comes from a connection is a part of what was read there at once, and would keep all of that.
    pub(super) async fn keep(&self, key: &Key, path: &str, answer: &Kept) {
        let Ok(etag) = HeaderValue::from_bytes(answer.etag.as_bytes()) else { return };
        if answer.body.len() <= ANSWER_BYTES_MAX {
            let copy = Kept { etag, body: Bytes::copy_from_slice(&answer.body), ..*answer };
            self.kept.insert((key.clone(), path.to_owned()), Arc::new(copy)).await;
        }
    }
}

fn weight(path: &str, kept: &Kept) -> u32 {
    u32::try_from(path.len() + kept.etag.len() + kept.body.len() + OVERHEAD_BYTES).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
