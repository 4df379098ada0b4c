//! What was asked of a gate, request by request: bounded, and with nothing of what was said.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::egress::meter::Count;
use crate::egress::rules::Denial;

/// How many requests are kept; the rest is counted.
pub const ENTRIES_MAX: usize = 2_000;
/// How much of a host's name is kept: whoever is inside may have written a book there.
const HOST_CHARS_MAX: usize = 255;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was passed on.
    Allowed,
    /// Nothing was passed on.
    Denied,
    /// It was passed on and then broken off.
    Cut,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When it came.
    pub at: Timestamp,
    /// The host as it was asked for, with what a terminal would act on made visible; empty where none could be read.
    pub host: String,
    /// The port, where one could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why it was denied or cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the operator can do about it, where it was denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Bytes that left the sandbox with it.
    pub bytes_up: u64,
    /// Bytes that came in.
    pub bytes_down: u64,
    /// From its arrival to its end.
    pub duration_ms: u64,
}

impl Entry {
    fn sentences(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or("it was not passed on");
        let remedy = self.remedy.as_deref().unwrap_or_default();
        format!("`{}`: {reason}. {remedy}", self.host).trim_end().to_owned()
    }
}

/// All that was asked of one gate, in the order in which it ended.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The first of them.
    pub entries: Vec<Entry>,
    /// How many more there were.
    pub n_omitted: u64,
}

impl Log {
    /// One JSON object a line; the last one says how many are missing, if any are.
    pub fn to_json_lines(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            text.push_str(&serde_json::to_string(entry).expect("an entry holds only text and numbers"));
            text.push('\n');
        }
        if self.n_omitted > 0 {
            text.push_str(&format!("{{\"omitted\":{}}}\n", self.n_omitted));
        }
        text
    }

    /// The hosts of which something was denied, each once, with why and what can be done about it, in sentences.
    pub fn denied(&self) -> Vec<String> {
        let denied = self.entries.iter().filter(|entry| entry.verdict == Verdict::Denied && !entry.host.is_empty());
        let mut entries: Vec<&Entry> = denied.collect();
        entries.sort_by_key(|entry| &entry.host);
        entries.dedup_by_key(|entry| &entry.host);
        entries.into_iter().map(Entry::sentences).collect()
    }
}

/// A log that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Arc<Mutex<Log>>);

impl Journal {
    pub(super) fn push(&self, entry: Entry) {
        tracing::debug!(host = %entry.host, verdict = ?entry.verdict, reason = entry.reason, "a request of a setup");
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.entries.len() < ENTRIES_MAX {
            log.entries.push(entry);
        } else {
            log.n_omitted += 1;
        }
    }

    pub(super) fn take(&self) -> Log {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request that is under way; it is written down when this is dropped.
#[derive(Debug)]
pub(super) struct Exchange {
    journal: Journal,
    at: Timestamp,
    started: Instant,
    host: String,
    port: Option<u16>,
    verdict: Verdict,
    reason: Option<String>,
    remedy: Option<String>,
    pub(super) count: Count,
}

impl Exchange {
    pub(super) fn new(journal: &Journal, at: Timestamp, host: &str) -> Self {
        let host = host.chars().take(HOST_CHARS_MAX).flat_map(char::escape_debug).collect();
        let (journal, started) = (journal.clone(), Instant::now());
        let (verdict, count) = (Verdict::Denied, Count::default());
        Self { journal, at, started, host, port: None, verdict, reason: None, remedy: None, count }
    }

    /// It is about to be passed on.
    pub(super) fn allowed(&mut self, name: &str, port: u16) {
        self.verdict = Verdict::Allowed;
        name.clone_into(&mut self.host);
        self.port = Some(port);
    }

    /// It is refused, or could not be passed on, or not to its end.
    pub(super) fn denied(&mut self, denial: &Denial) {
        self.verdict = if self.count.up() == 0 { Verdict::Denied } else { Verdict::Cut };
        self.reason = Some(denial.reason.clone());
        self.remedy = Some(denial.remedy.clone());
    }

    /// It was broken off.
    pub(super) fn cut(&mut self, reason: &str) {
        self.verdict = Verdict::Cut;
        self.reason = Some(reason.to_owned());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.journal.push(Entry {
            at: self.at,
            host: std::mem::take(&mut self.host),
            port: self.port,
            verdict: self.verdict,
            reason: self.reason.take(),
            remedy: self.remedy.take(),
            bytes_up: self.count.up(),
            bytes_down: self.count.down(),
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
}
