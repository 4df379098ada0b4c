//! Two trees beside each other, test by test, each as it was seen in all of its runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Results, Status};

/// How many rows a [`Table`] keeps of those that moved; the rest is counted.
pub const ROWS_MAX: usize = 200;

/// How a test ended in all runs on the same tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It ran and held, every time.
    Passed,
    /// It was skipped, every time.
    Skipped,
    /// It ran and did not hold, every time.
    Failed,
    /// It could not be run, or not always; where it could, it failed.
    Errored,
    /// It did not end the same way every time, on the same tree.
    Flaky,
}

impl Seen {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passes",
            Self::Skipped => "is skipped",
            Self::Failed => "fails",
            Self::Errored => "cannot run",
            Self::Flaky => "now this, now that",
        }
    }

    fn of(status: Status) -> Self {
        match status {
            Status::Passed => Self::Passed,
            Status::Skipped => Self::Skipped,
            Status::Failed => Self::Failed,
            Status::Errored => Self::Errored,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, another) if one == another => one,
            (Self::Failed | Self::Errored, Self::Failed | Self::Errored) => Self::Errored,
            _ => Self::Flaky,
        }
    }
}

/// How a test differs between two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    /// It failed and passes.
    Mended,
    /// It passed and does not any more.
    Broken,
    /// It passed or failed, and is not there or is skipped now.
    Gone,
    /// It did not end the same way every time on one of the trees.
    Flaky,
    /// It was not there, or was skipped or could not be run, and runs now.
    New,
    /// It ended alike.
    Unchanged,
}

impl Movement {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mended => "mended",
            Self::Broken => "broken",
            Self::Gone => "gone",
            Self::Flaky => "flaky",
            Self::New => "new",
            Self::Unchanged => "unchanged",
        }
    }
}

/// One test on both trees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its name, as the runner says it.
    pub test: String,
    /// What was seen on the base; `None` where it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Seen>,
    /// What was seen on the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Seen>,
    /// What that makes of it.
    pub movement: Movement,
}

impl Row {
    /// Whether the movement is what the two sides make of it.
    pub fn follows(&self) -> bool {
        self.movement == movement(self.base, self.head)
    }
}

/// All tests of two trees: those that moved by name, the others by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// What moved, the most telling first.
    pub rows: Vec<Row>,
    /// How many rows there were, by movement.
    pub counts: BTreeMap<Movement, usize>,
}

impl Table {
    /// Compares the runs on the base with the runs on the head.
    pub fn of(base: &[Results], head: &[Results]) -> Self {
        let (base, mut head) = (across(base), across(head));
        let mut rows: Vec<Row> = base.into_iter().map(|(test, seen)| row(test, Some(seen), head.remove(test))).collect();
        rows.extend(head.into_iter().map(|(test, seen)| row(test, None, Some(seen))));
        let mut counts = BTreeMap::new();
        for row in &rows {
            *counts.entry(row.movement).or_default() += 1;
        }
        rows.retain(|row| row.movement != Movement::Unchanged);
        rows.sort_by(|a, b| (a.movement, &a.test).cmp(&(b.movement, &b.test)));
        rows.truncate(ROWS_MAX);
        Self { rows, counts }
    }

    /// How many tests moved like this.
    pub fn count(&self, movement: Movement) -> usize {
        self.counts.get(&movement).copied().unwrap_or_default()
    }

    /// The tests that moved like this, as far as they are kept.
    pub fn moved(&self, movement: Movement) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.movement == movement)
    }
}

/// The tests that did not end alike in all of these runs on one tree.
pub fn flaky(runs: &[Results]) -> Vec<String> {
    across(runs).into_iter().filter(|(_, seen)| *seen == Seen::Flaky).map(|(test, _)| test.to_owned()).collect()
}

/// Every test of these runs. One that some runs do not have is flaky.
fn across(runs: &[Results]) -> BTreeMap<&str, Seen> {
    let mut all: BTreeMap<&str, (Seen, usize)> = BTreeMap::new();
    for (name, status) in runs.iter().flat_map(|run| &run.tests) {
        let seen = Seen::of(*status);
        all.entry(name).and_modify(|(known, n_runs)| (*known, *n_runs) = (known.and(seen), *n_runs + 1)).or_insert((seen, 1));
    }
    let always = |(name, (seen, n_runs))| (name, if n_runs == runs.len() { seen } else { Seen::Flaky });
    all.into_iter().map(always).collect()
}

fn row(test: &str, base: Option<Seen>, head: Option<Seen>) -> Row {
    Row { test: test.to_owned(), base, head, movement: movement(base, head) }
}

fn movement(base: Option<Seen>, head: Option<Seen>) -> Movement {
    use Seen::{Errored, Failed, Flaky, Passed, Skipped};
    match (base, head) {
        (Some(Flaky), _) | (_, Some(Flaky)) => Movement::Flaky,
        (Some(Failed), Some(Passed)) => Movement::Mended,
        (Some(Passed), Some(Failed | Errored)) => Movement::Broken,
        (Some(Passed | Failed), None | Some(Skipped)) => Movement::Gone,
        (None | Some(Skipped | Errored), Some(Passed | Failed)) | (None, Some(_)) => Movement::New,
        (Some(Passed), Some(Passed)) | (Some(Failed | Errored), Some(Failed | Errored)) => Movement::Unchanged,
        (Some(Skipped | Errored), None | Some(Skipped | Errored)) | (None, None) => Movement::Unchanged,
    }
}

#[cfg(test)]
mod tests;
