//! From what was executed to a verdict.
//!
//! The verdict is a function of runs that the harness made in fresh trees, and of the difference itself. Nothing that a model
//! says enters. The [inquiry](inquiry) says which run is wanted next, and what all of them show.

use serde::{Deserialize, Serialize};

use crate::journal::Digest;
use crate::proof::findings::Finding;
use crate::results::table::{Movement, Table};

pub mod census;
pub mod difference;
mod doubt;
mod exit;
pub mod findings;
mod gates;
pub mod inquiry;
mod paths;
pub mod secrets;
pub mod test_files;

pub use doubt::Doubt;
pub use exit::{Colour, Exit, Limit};
pub use gates::{Size, forbidden, weakened_tests};
pub use inquiry::Stand;
pub use paths::is_test_path;

/// One command as the harness ran it in a fresh tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The command.
    pub command: String,
    /// How it ended.
    pub exit: Exit,
    /// How long it took.
    pub duration_ms: u64,
    /// All of its output that was kept.
    pub output: Digest,
    /// The last lines of it, for people and for the agent.
    pub excerpt: String,
    /// What its runner reported of each test, as the harness read it; none where the runner is not known or wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Digest>,
}

/// What the harness concludes, with what it saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Red without what the patch mends, green with it.
    Proven {
        /// The first run without it.
        base: Evidence,
        /// The first run with it.
        head: Evidence,
        /// All that was run, and what it shows test by test; journals from before it was written down have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<Box<Account>>,
    },
    /// There is no such proof.
    Unproven {
        /// Why not.
        doubt: Doubt,
        /// The run on the base, if there was one.
        base: Option<Evidence>,
        /// The run on the head, if there was one.
        head: Option<Evidence>,
        /// As above.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<Box<Account>>,
    },
}

impl Verdict {
    /// Whether it rests on the patch's own tests, without its code and with it, and not on the base's.
    pub fn is_by_own_tests(&self) -> bool {
        let (Self::Proven { base, .. } | Self::Unproven { base: Some(base), .. }) = self else { return false };
        let is_it = |run: &&Run| (run.output, run.exit, run.duration_ms) == (base.output, base.exit, base.duration_ms);
        let run = self.account().and_then(|account| account.runs.iter().find(is_it));
        run.is_some_and(|run| run.stand == Stand::Tests)
    }

    /// Whether what it rests on is that tests could not be built or loaded without the patch, and pass with it.
    pub fn is_by_build(&self) -> bool {
        let Some(Account { reproducers, table: Some(table), .. }) = self.account() else { return false };
        table.moved(Movement::New).any(|row| reproducers.contains(&row.test))
    }

    /// All that was run.
    pub fn account(&self) -> Option<&Account> {
        let (Self::Proven { account, .. } | Self::Unproven { account, .. }) = self;
        account.as_deref()
    }
}

/// Everything that was run for a verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The runs, in their order.
    pub runs: Vec<Run>,
    /// The tests that failed every time without what the patch mends and passed every time with it; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reproducers: Vec<String>,
    /// The base beside the patch, test by test; none where only exit codes can be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// Whether tests of the harness's own that must fail were reported as failing; none where they could not be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_runner_honest: Option<bool>,
    /// What stands in the patch itself against its proof.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Account {
    /// The sentence for people where tests of the harness's own that must fail show nothing of the runner.
    pub fn untried(&self) -> Option<&'static str> {
        let sentence = match &self.table {
            Some(_) => {
                "No test of the harness that must fail could be laid beside these, or none is reported even without the patch: whether the runner reports what it finds was not tried."
            }
            None => {
                "Tests of the harness that must fail need a report of each test: whether the runner reports what it finds was not tried."
            }
        };
        self.is_runner_honest.is_none().then_some(sentence)
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What of the patch was in the tree.
    pub stand: Stand,
    /// How it ended.
    pub exit: Exit,
    /// What that says of the repository's own tests.
    pub colour: Colour,
    /// How long it took.
    pub duration_ms: u64,
    /// All of its output that was kept.
    pub output: Digest,
    /// What was run; empty in journals from before it was written down.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
}

/// The digest of what a difference adds and takes away, whatever stands around it and however lines end: two attempts with
/// the same fingerprint are the same.
pub fn fingerprint(diff: &str) -> Digest {
    let counts = |line: &&str| (line.starts_with(['+', '-']) && !line[1..].trim().is_empty()) || line.starts_with("rename");
    let lines: Vec<&str> = diff.lines().filter(counts).map(str::trim_end).collect();
    Digest::of(lines.join("\n").as_bytes())
}

#[cfg(test)]
mod tests;
