//! What a job may use, and what jobs may use together.

use std::num::NonZeroU32;
use std::time::Duration;

use patchwright_domain::job::Budget;
use patchwright_domain::policy::rates::Rates;
use patchwright_domain::proof::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::Lanes;
use crate::store::ledger::{self, Quantity, Scope};

/// What a job may use, and what jobs may use together in a day.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Minutes from the first claim to the end of the last proof.
    pub wall_clock_minutes: u64,
    /// Model calls.
    pub turns: u32,
    /// How often the agent may try again after its patch failed the tests.
    pub rounds: u32,
    /// How often a repository's policy may have the work begun anew from the base; the best attempt counts.
    pub attempts: u32,
    /// What the model may cost, in US dollars; kept where prices are configured.
    pub max_cost_usd: f64,
    /// Tokens read and written.
    pub max_tokens: u64,
    /// Minutes for one run of the setup or test command.
    pub test_minutes: u64,
    /// Whether a patch whose job has run out of time before anything was run with it becomes a draft pull request that says so. Without,
    /// only what was run is put before people.
    pub untested_drafts: bool,
    /// How often each tree that a proof rests on is tested, from 1 to 10: a test that does not always end the same way on the
    /// same tree shows nothing.
    pub proof_runs: u64,
    /// Files that an agent's patch may change.
    pub patch_files: u64,
    /// Lines that an agent's patch may add and take away, together.
    pub patch_lines: u64,
    /// How many workers may die of a job before it is given up.
    pub claims: u32,
    /// How many jobs of one repository may be worked on at the same time, by all workers; no limit where it is not set. Those of
    /// one issue or pull request are always worked on one after the other.
    pub repository_jobs: Option<NonZeroU32>,
    /// How many jobs of one installation of the App may be worked on at the same time, by all workers; no limit where it is not
    /// set.
    pub installation_jobs: Option<NonZeroU32>,
    /// How many jobs one user may ask for in one repository within an hour, at most 1,000; 0 for no limit. What is over it is
    /// answered, and not done.
    pub user_jobs_per_hour: u32,
    /// How many jobs all users may ask for in one repository within an hour, at most 1,000; 0 for no limit.
    pub repository_jobs_per_hour: u32,
    /// Tokens that all jobs of one repository may read and write in a UTC day; no limit where it is not set.
    pub repository_tokens_per_day: Option<u64>,
    /// US dollars that all jobs of one repository may cost in a UTC day; kept where prices are configured.
    pub repository_usd_per_day: Option<f64>,
    /// Tokens that all jobs that one user asked for may read and write in a UTC day; no limit where it is not set.
    pub user_tokens_per_day: Option<u64>,
    /// US dollars that all jobs that one user asked for may cost in a UTC day; kept where prices are configured.
    pub user_usd_per_day: Option<f64>,
    /// Tokens that all jobs together may read and write in a UTC day; no limit where it is not set.
    pub tokens_per_day: Option<u64>,
    /// US dollars that all jobs together may cost in a UTC day; kept where prices are configured.
    pub usd_per_day: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_clock_minutes: 60,
            turns: 100,
            rounds: 3,
            attempts: 3,
            max_cost_usd: 5.0,
            max_tokens: 20_000_000,
            test_minutes: 20,
            untested_drafts: false,
            proof_runs: 3,
            patch_files: 100,
            patch_lines: 10_000,
            claims: 3,
            repository_jobs: None,
            installation_jobs: None,
            user_jobs_per_hour: 30,
            repository_jobs_per_hour: 100,
            repository_tokens_per_day: None,
            repository_usd_per_day: None,
            user_tokens_per_day: None,
            user_usd_per_day: None,
            tokens_per_day: None,
            usd_per_day: None,
        }
    }
}

impl Limits {
    /// The budget of a job under these limits.
    pub fn budget(&self) -> Budget {
        Budget {
            wall_clock_ms: self.wall_clock_minutes.saturating_mul(60_000),
            rounds: self.rounds,
            attempts: self.attempts,
            turns: self.turns,
            claims: self.claims,
            tokens: self.max_tokens,
            cost_microusd: microusd(self.max_cost_usd),
        }
    }

    /// How large an agent's patch may be under these limits.
    pub fn patch_size(&self) -> Size {
        Size { files_max: usize::try_from(self.patch_files).unwrap_or(usize::MAX), lines_max: self.patch_lines }
    }

    /// How many jobs may be worked on at the same time under these limits.
    pub fn lanes(&self) -> Lanes {
        Lanes { repository: self.repository_jobs, installation: self.installation_jobs }
    }

    /// How many jobs may be asked for within an hour under these limits.
    pub fn rates(&self) -> Rates {
        Rates { user: NonZeroU32::new(self.user_jobs_per_hour), repository: NonZeroU32::new(self.repository_jobs_per_hour) }
    }

    /// What jobs may use together in a day under these limits.
    pub fn of_day(&self) -> ledger::Limits {
        let limit = |tokens, usd: Option<f64>| ledger::Limit { tokens, cost_microusd: usd.map(microusd) };
        ledger::Limits {
            repository: limit(self.repository_tokens_per_day, self.repository_usd_per_day),
            user: limit(self.user_tokens_per_day, self.user_usd_per_day),
            everything: limit(self.tokens_per_day, self.usd_per_day),
        }
    }

    /// The key of a limit of a day.
    pub fn key_of_day(scope: Scope, quantity: Quantity) -> &'static str {
        match (scope, quantity) {
            (Scope::Repository(_), Quantity::Tokens) => "limits.repository_tokens_per_day",
            (Scope::Repository(_), Quantity::Cost) => "limits.repository_usd_per_day",
            (Scope::User(_), Quantity::Tokens) => "limits.user_tokens_per_day",
            (Scope::User(_), Quantity::Cost) => "limits.user_usd_per_day",
            (Scope::Everything, Quantity::Tokens) => "limits.tokens_per_day",
            (Scope::Everything, Quantity::Cost) => "limits.usd_per_day",
        }
    }

    /// The keys that hold dollars, with what they are set to.
    pub(super) fn dollars(&self) -> [(&'static str, Option<f64>); 4] {
        [
            ("limits.max_cost_usd", Some(self.max_cost_usd)),
            ("limits.repository_usd_per_day", self.repository_usd_per_day),
            ("limits.user_usd_per_day", self.user_usd_per_day),
            ("limits.usd_per_day", self.usd_per_day),
        ]
    }

    /// The keys that hold dollars and are set: without prices none of them can be kept.
    pub fn dollar_keys(&self) -> impl Iterator<Item = &'static str> {
        self.dollars().into_iter().filter(|(_, dollars)| dollars.is_some()).map(|(key, _)| key)
    }

    /// The time for one run of the setup or test command.
    pub fn test_timeout(&self) -> Duration {
        Duration::from_secs(self.test_minutes.saturating_mul(60))
    }
}

/// Dollars as millionths of one; what is below nothing is nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
pub fn microusd(dollars: f64) -> u64 {
    (dollars * 1_000_000.0).round() as u64
}
