//! The ledger's words: what jobs spend of the limits that they share, and on whose account.
//!
//! The limits are an operator's and hold for one UTC day. A request is reserved before it is sent; what is reserved counts
//! as spent until it is settled. It knows no model and no prices: tokens and cost are numbers here.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use patchwright_domain::job::JobSpec;

/// The most that is counted at once, and in one claim of a job and day; whoever spends more has spent this much.
const COUNTED_MAX: u64 = 1 << 53;

/// Tokens and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// Input and output tokens together.
    pub tokens: u64,
    /// Cost, in millionths of a US dollar.
    pub cost_microusd: u64,
}

impl Spending {
    /// Both spendings together, up to what a ledger counts.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens).min(COUNTED_MAX),
            cost_microusd: self.cost_microusd.saturating_add(other.cost_microusd).min(COUNTED_MAX),
        }
    }
}

/// Whose spending is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All jobs in the repository of this number.
    Repository(u64),
    /// All jobs that the user of this number asked for.
    User(u64),
    /// All jobs.
    Everything,
}

/// What may be spent at most in one scope and UTC day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Input and output tokens together; `None` for as many as anybody wants.
    pub tokens: Option<u64>,
    /// Cost, in millionths of a US dollar; `None` for as much as anybody wants.
    pub cost_microusd: Option<u64>,
}

impl Limit {
    /// What of it forbids to spend `most` on top of `spent`, if anything does; tokens are looked at first.
    pub(super) fn forbids(&self, spent: Spending, most: Spending) -> Option<Quantity> {
        let is_over = |limit: Option<u64>, spent: u64, most: u64| limit.is_some_and(|limit| spent.saturating_add(most) > limit);
        if is_over(self.tokens, spent.tokens, most.tokens) {
            Some(Quantity::Tokens)
        } else if is_over(self.cost_microusd, spent.cost_microusd, most.cost_microusd) {
            Some(Quantity::Cost)
        } else {
            None
        }
    }

    fn is_given(&self) -> bool {
        self.tokens.is_some() || self.cost_microusd.is_some()
    }
}

/// The limits of one UTC day; by default there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// For each repository.
    pub repository: Limit,
    /// For each user.
    pub user: Limit,
    /// For everything together.
    pub everything: Limit,
}

impl Limits {
    /// The limits that are given, each with the scope in which it holds for a job, narrowest first.
    pub(super) fn of(&self, spec: &JobSpec) -> impl Iterator<Item = (Scope, Limit)> {
        let scopes = [
            (Scope::Repository(spec.repo.id), self.repository),
            (Scope::User(spec.requested_by.id), self.user),
            (Scope::Everything, self.everything),
        ];
        scopes.into_iter().filter(|(_, limit)| limit.is_given())
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Input and output tokens together.
    Tokens,
    /// Cost.
    Cost,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// It is taken off every scope of the job, and counts there until it is settled.
    Taken,
    /// It is taken off none: it could pass a limit.
    Forbidden {
        /// Whose limit.
        scope: Scope,
        /// Of what.
        quantity: Quantity,
    },
}

/// The UTC day of a moment.
pub fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}
