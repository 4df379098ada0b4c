//! What becomes of a run whose workers die: it ends, however much of it they die of.
//!
//! Of the work no more than `claims` may die, and as many again of planning how that is told; of planning what is told of a verdict
//! no more than `claims` either, and as many again of planning to tell of that alone; of each effect, no more than `claims`. What
//! they die of is then written down as failed, and the run goes on with what is left.

use jiff::Timestamp;

use super::{Phase, Run, Step};
use crate::journal::{Conclusion, Failure, Outcome};

/// What workers die of between the end of the work and its effects, in the words of people.
const PLANNING: &str = "planning what is to be told";

impl Run {
    /// The end of a run whose work has killed too many workers.
    pub(super) fn worn_out(&self) -> Option<Conclusion> {
        (self.claims > self.budget.claims).then(|| self.died_in("the same step"))
    }

    /// The end of a run of whose verdict nothing can be told but that: looking at the patch once more has killed too many workers.
    pub(super) fn worn_out_by_planning(&self) -> Option<Conclusion> {
        let is_worn_out = self.judged().is_some() && self.claims > self.budget.claims;
        is_worn_out.then(|| self.died_in(PLANNING))
    }

    /// What is not tried once more, if workers have died of it too often since the run got on: the telling of an end, or an effect.
    pub(super) fn fatal(&self, now: Timestamp) -> Option<Step> {
        let claims_max = match self.phase {
            Phase::Preparing | Phase::Solving { .. } | Phase::Verifying { .. } => self.budget.claims.saturating_mul(2),
            Phase::Planning { .. } if self.judged().is_some() => self.budget.claims.saturating_mul(2),
            Phase::Planning { .. } | Phase::Publishing { .. } => self.budget.claims,
            // All that is left is an entry.
            Phase::Ending { .. } | Phase::Completed { .. } => return None,
        };
        if self.claims <= claims_max {
            return None;
        }
        let (conclusion, effect) = match &self.phase {
            // By then there is a reason to end, and of writing down what it comes to the next worker has died as well.
            Phase::Preparing | Phase::Solving { .. } | Phase::Verifying { .. } => (self.interruption(now)?, None),
            Phase::Planning { .. } => (self.died_in(PLANNING), None),
            Phase::Publishing { remaining, .. } => {
                let effect = remaining.first()?;
                (self.died_in(&format!("performing `{}`", effect.name())), Some(effect.key(&self.job)))
            }
            Phase::Ending { .. } | Phase::Completed { .. } => return None,
        };
        let internal = format!("{} claims ended with neither progress nor the job handed back", self.n_deaths());
        Some(Step::Fail { failure: Failure { conclusion, internal }, effect })
    }

    fn died_in(&self, what: &str) -> Conclusion {
        let cause = format!("The worker stopped {} times in the middle of {what}.", self.n_deaths());
        let next_step = "An operator should look at the server's log for the cause, then ask again.";
        Conclusion::new(Outcome::Failed, cause, next_step)
    }

    /// How many workers have died since the run got on. The one that has the job now is alive.
    fn n_deaths(&self) -> u32 {
        self.claims.saturating_sub(1)
    }
}
