//! What operators look at.

use super::{Delivery, Job, JobState, Tables};
use crate::store::listing::{GivenUp, Listed, Standing, Wanted};
use jiff::Timestamp;
use patchwright_domain::policy::Decision;

impl Job {
    pub(super) fn state(&self) -> JobState {
        match (self.outcome, self.lease_until) {
            (Some(outcome), _) => JobState::Done(outcome),
            (None, Some(_)) => JobState::Running,
            (None, None) => JobState::Ready,
        }
    }

    fn is_wanted(&self, wanted: &Wanted) -> bool {
        wanted.job.as_ref().is_none_or(|job| self.id == *job)
            && wanted.standing.is_none_or(|standing| standing == Standing::from(self.state()))
            && wanted.outcome.is_none_or(|outcome| self.outcome == Some(outcome))
            && wanted.repository.as_ref().is_none_or(|name| name.is_of(&self.spec.repo))
            && wanted.since.is_none_or(|since| self.created_at >= since)
    }
}

impl Tables {
    pub(super) fn list(&self, wanted: &Wanted, count: usize, now: Timestamp) -> Vec<Listed> {
        let mut jobs: Vec<(usize, &Job)> = self.jobs.iter().enumerate().filter(|(_, job)| job.is_wanted(wanted)).collect();
        jobs.sort_by_key(|(place, job)| std::cmp::Reverse((job.created_at, *place)));
        let listed = |(_, job): (usize, &Job)| Listed {
            id: job.id.to_string(),
            job: Ok((job.spec.clone(), job.state())),
            made_at: job.created_at,
            free_at: job.run_after,
            leased_until: job.lease_until,
            ended_at: job.outcome.and_then(|_| job.journal.last()).map(|entry| entry.at),
            n_claims: job.fence,
            beside: self.beside(job, now),
        };
        jobs.into_iter().take(count).map(listed).collect()
    }

    pub(super) fn given_up(&self, count: usize) -> Vec<GivenUp> {
        let given_up = |delivery: &Delivery| match &delivery.decision {
            Some(Decision::Ignore { because, is_given_up: true }) => Some(GivenUp {
                id: delivery.raw.id.clone(),
                event: delivery.raw.event.clone(),
                received_at: delivery.raw.received_at,
                because: because.clone(),
            }),
            Some(Decision::Ignore { .. } | Decision::Start { .. } | Decision::Cancel { .. } | Decision::Several { .. })
            | None => None,
        };
        let mut found: Vec<(usize, GivenUp)> =
            self.deliveries.iter().enumerate().filter_map(|(place, delivery)| Some((place, given_up(delivery)?))).collect();
        found.sort_by_key(|(place, given_up)| std::cmp::Reverse((given_up.received_at, *place)));
        found.into_iter().take(count).map(|(_, given_up)| given_up).collect()
    }
}
