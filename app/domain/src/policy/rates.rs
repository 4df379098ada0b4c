//! How much may be asked for within an hour. What is over it is not put off: a queue of wishes would be done when nobody wants
//! them any more. It is said once, and few times in one place.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::event::{Actor, IssueNumber};
use crate::job::Task;

/// The time over which is counted.
pub const PERIOD: Duration = Duration::from_secs(60 * 60);
/// How many answers without work are given on one issue or pull request within that time, whoever asks.
pub const ANSWERS_MAX: u32 = 10;
/// How many jobs of a repository are looked at for that; more than this cannot be set as a limit.
pub const LOOKED_AT_MAX: u32 = 1_000;

/// How many jobs may be asked for within an hour; decisions that are made at the same moment may start a few more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// By one user in one repository.
    pub user: Option<NonZeroU32>,
    /// In one repository, by all users.
    pub repository: Option<NonZeroU32>,
}

/// A job that was asked for lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// GitHub's number of who did.
    pub requested_by: u64,
    /// The issue or pull request that it came from, if it came from one.
    pub place: Option<IssueNumber>,
    /// Whether it is an answer without work.
    pub is_reply: bool,
}

impl Recent {
    /// The job as it is counted.
    pub fn of(task: &Task, requested_by: &Actor) -> Self {
        Self { requested_by: requested_by.id, place: task.place(), is_reply: matches!(task, Task::Reply { .. }) }
    }
}

impl Rates {
    /// How many of a repository's newest jobs have to be looked at.
    pub fn looked_at(&self) -> u32 {
        let least = [self.user, self.repository].into_iter().flatten().map(NonZeroU32::get).max().unwrap_or(0);
        // Answers are counted among the jobs of the whole repository.
        least.saturating_add(ANSWERS_MAX).saturating_mul(4).min(LOOKED_AT_MAX)
    }

    /// Why no more work is begun for somebody, if he or his repository has asked for as much as they may.
    pub fn reached(&self, recent: &[Recent], actor: &Actor) -> Option<String> {
        let n_jobs = |of_whom: &dyn Fn(&Recent) -> bool| recent.iter().filter(|job| !job.is_reply && of_whom(job)).count();
        let is_reached =
            |limit: Option<NonZeroU32>, n: usize| limit.filter(|limit| u32::try_from(n).unwrap_or(u32::MAX) >= limit.get());
        if let Some(limit) = is_reached(self.user, n_jobs(&|job| job.requested_by == actor.id)) {
            return Some(format!(
                "{} jobs were asked for by one user within an hour, and this server starts no more",
                limit.get()
            ));
        }
        is_reached(self.repository, n_jobs(&|_| true)).map(|limit| {
            format!("{} jobs were asked for in this repository within an hour, and this server starts no more", limit.get())
        })
    }
}

/// Whether as many answers as are given in a place within an hour were given there.
pub(super) fn is_answered_enough(recent: &[Recent], place: IssueNumber) -> bool {
    let there = |job: &&Recent| job.is_reply && job.place == Some(place);
    recent.iter().filter(there).count() >= ANSWERS_MAX as usize
}
