//! The record of a solve, as JSON lines.

use serde_json::{Value, json};

/// How large a transcript may grow, in bytes.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The lines so far.
#[derive(Default)]
pub(super) struct Transcript {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Transcript {
    /// Adds a line, or the note that lines are missing from here on.
    pub(super) fn line(&mut self, value: &Value) {
        if self.is_cut {
            return;
        }
        let mut line = value.to_string();
        if self.bytes.len() + line.len() > BYTES_MAX {
            self.is_cut = true;
            line = json!({ "kind": "cut", "bytes_max": BYTES_MAX }).to_string();
        }
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
