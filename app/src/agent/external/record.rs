//! The record of an external agent's run, as JSON lines: what it asked its model, and what it did.
//!
//! The kinds are none of the built-in agent's, which passes these lines over.

use std::sync::{Arc, Mutex, PoisonError};

use patchwright_domain::job::{Mode, Usage};
use serde::Serialize;

/// How large a record may grow, in bytes.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    /// What was started.
    ExternalAgent { agent: String, model: String, mode: Mode },
    /// What the agent was told.
    Prompted { text: String },
    /// The end of a request to the model.
    ModelRequest { turn: u32, path: String, body: String },
    /// The end of its response.
    ModelResponse { turn: u32, failure: Option<String>, body: String, usage: Usage },
    /// What the agent says that it did.
    Done { note: String },
    /// What the harness found missing.
    GateChecked { missing: Option<String> },
    /// The end.
    ExternalEnded { ending: String, usage: Usage, answer: String },
    /// Lines are missing from here on, because the record was too large.
    RecordCut { bytes_max: usize },
}

/// The lines so far; copies are the same record.
#[derive(Clone, Default)]
pub(super) struct Record(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Record {
    /// Adds a line, or the note that lines are missing from here on.
    pub(super) fn line(&self, line: &Line) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_cut {
            return;
        }
        let start = lines.bytes.len();
        serde_json::to_writer(&mut lines.bytes, line).expect("a line holds only what JSON can hold");
        if lines.bytes.len() > BYTES_MAX {
            lines.is_cut = true;
            lines.bytes.truncate(start);
            serde_json::to_writer(&mut lines.bytes, &Line::RecordCut { bytes_max: BYTES_MAX }).expect("a number is JSON");
        }
        lines.bytes.push(b'\n');
    }

    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes)
    }
}
