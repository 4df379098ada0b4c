//! The ledger of the store in memory.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use patchwright_domain::job::{JobId, JobSpec};

use crate::store::ledger::{self, Limits, Reserved, Scope, Spending};

/// What all jobs have spent.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    rows: Vec<Row>,
}

/// One claim of a job on one day.
#[derive(Debug)]
struct Row {
    job: JobId,
    fence: u32,
    day: Date,
    repo: u64,
    user: u64,
    spent: Spending,
    reserved: Option<Spending>,
}

impl Row {
    fn is_in(&self, scope: Scope) -> bool {
        match scope {
            Scope::Repository(id) => self.repo == id,
            Scope::User(id) => self.user == id,
            Scope::Everything => true,
        }
    }

    /// Puts what was used in place of what is reserved.
    fn settle(&mut self, used: Spending) {
        self.spent = self.spent.and(used);
        self.reserved = None;
    }
}

impl Ledger {
    pub(super) fn forget(&mut self, jobs: &BTreeSet<JobId>) {
        self.rows.retain(|row| !jobs.contains(&row.job));
    }

    pub(super) fn reserve(&mut self, spec: &JobSpec, fence: u32, most: Spending, limits: &Limits, now: Timestamp) -> Reserved {
        let (job, day) = (spec.id(), ledger::day(now));
        for row in self.rows.iter_mut().filter(|row| row.job == job) {
            if let Some(abandoned) = row.reserved {
                row.settle(abandoned);
            }
        }
        for (scope, limit) in limits.of(spec) {
            if let Some(quantity) = limit.forbids(self.spending(scope, day), most) {
                return Reserved::Forbidden { scope, quantity };
            }
        }
        let reserved = Some(Spending::default().and(most));
        if let Some(row) = self.rows.iter_mut().find(|row| row.job == job && row.fence == fence && row.day == day) {
            row.reserved = reserved;
        } else {
            let (repo, user) = (spec.repo.id, spec.requested_by.id);
            self.rows.push(Row { job, fence, day, repo, user, spent: Spending::default(), reserved });
        }
        Reserved::Taken
    }

    /// Whether there was something to settle.
    pub(super) fn settle(&mut self, job: &JobId, fence: u32, used: Spending) -> bool {
        let mut rows = self.rows.iter_mut();
        let open = rows.find(|row| row.job == *job && row.fence == fence && row.reserved.is_some());
        let is_open = open.is_some();
        if let Some(row) = open {
            row.settle(used);
        }
        is_open
    }

    pub(super) fn spending(&self, scope: Scope, day: Date) -> Spending {
        let rows = self.rows.iter().filter(|row| row.day == day && row.is_in(scope));
        rows.fold(Spending::default(), |sum, row| sum.and(row.spent).and(row.reserved.unwrap_or_default()))
    }
}
