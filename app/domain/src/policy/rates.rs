//! How much may be asked for within an hour. What is over it is not put off: a queue of wishes would be done when nobody wants
//! them any more. It is said once, and few times in one place.

use std::num::NonZeroU32;
use std::time::Duration;

/// The time over which is counted.
pub const PERIOD: Duration = Duration::from_secs(60 * 60);
/// How many answers without work are given on one issue or pull request within that time, whoever asks.
pub const ANSWERS_MAX: u32 = 10;
/// The same, in one repository.
pub const ANSWERS_OF_REPOSITORY_MAX: u32 = 100;
/// The largest limit that can be set; no more are counted.
pub const COUNTED_MAX: u32 = 1_000;

/// How many jobs may be asked for within an hour; decisions that are made at the same moment may start a few more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// By one user in one repository.
    pub user: Option<NonZeroU32>,
    /// In one repository, by all users.
    pub repository: Option<NonZeroU32>,
}

/// How many jobs were asked for in a repository since a moment, each counted up to [`COUNTED_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// Work that the user has asked for.
    pub by_user: u32,
    /// Work that anybody has asked for.
    pub in_repository: u32,
    /// Answers without work in the place.
    pub answers_in_place: u32,
    /// Answers without work anywhere.
    pub answers: u32,
}

impl Rates {
    /// Whether there is a limit of work, for which that has to be counted.
    pub fn are_limited(&self) -> bool {
        self.user.is_some() || self.repository.is_some()
    }

    /// Why no more work is begun for somebody, if he or his repository has asked for as much as they may.
    pub fn reached(&self, recent: &Recent) -> Option<String> {
        let reached = |limit: Option<NonZeroU32>, n: u32| limit.map(NonZeroU32::get).filter(|limit| n >= *limit);
        if let Some(limit) = reached(self.user, recent.by_user) {
            return Some(format!("{limit} jobs were asked for by one user within an hour, and this server starts no more"));
        }
        reached(self.repository, recent.in_repository)
            .map(|limit| format!("{limit} jobs were asked for in this repository within an hour, and this server starts no more"))
    }
}

/// Whether as many answers as are given within an hour were given in a place, or in its repository.
pub(super) fn are_answered_enough(recent: &Recent) -> bool {
    recent.answers_in_place >= ANSWERS_MAX || recent.answers >= ANSWERS_OF_REPOSITORY_MAX
}
