//! What the harness itself knows of a conversation: facts, kept outside of it, so that a model whose history was cut need
//! not find them out again.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

/// How many notes are kept; older ones are counted.
const NOTES_MAX: usize = 60;
/// How many files are named.
const FILES_SHOWN_MAX: usize = 60;
/// How long the plan may be, in bytes.
const PLAN_BYTES_MAX: usize = 4_000;

/// Plan, files changed, and what was done with what result.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    plan: String,
    changed: BTreeSet<String>,
    notes: VecDeque<String>,
    n_dropped: usize,
}

impl Ledger {
    /// Puts the model's plan in the place of the one before.
    pub(super) fn plan(&mut self, plan: &str) {
        crate::brief::beginning(plan.trim(), PLAN_BYTES_MAX).clone_into(&mut self.plan);
    }

    /// Notes that files were changed by an edit.
    pub(super) fn changed(&mut self, paths: impl IntoIterator<Item = String>) {
        self.changed.extend(paths);
    }

    /// Notes what was done; the same thing again moves to the end.
    pub(super) fn note(&mut self, note: &str) {
        self.notes.retain(|kept| kept != note);
        self.notes.push_back(note.to_owned());
        if self.notes.len() > NOTES_MAX {
            self.notes.pop_front();
            self.n_dropped += 1;
        }
    }

    /// The facts for the model.
    pub(super) fn told(&self) -> String {
        let mut told = String::from("# What the harness has recorded\n");
        if !self.plan.is_empty() {
            let _ = writeln!(told, "Your plan:\n{}\n", self.plan);
        }
        match self.changed.len() {
            0 => told.push_str("No file was edited with the edit tool so far.\n"),
            n => {
                let shown: Vec<&str> = self.changed.iter().take(FILES_SHOWN_MAX).map(String::as_str).collect();
                let more = n - shown.len();
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                let _ = writeln!(told, "Files edited so far: {}{more}.", shown.join(", "));
            }
        }
        if !self.notes.is_empty() {
            told.push_str("What was done so far, oldest first:\n");
            if self.n_dropped > 0 {
                let _ = writeln!(told, "- ({} older steps)", self.n_dropped);
            }
            for note in &self.notes {
                let _ = writeln!(told, "- {note}");
            }
        }
        told
    }
}
