//! To which branches a pull request may go for anything to be begun on it.

use super::{Asked, Decision, PullHead, Target, trigger};
use crate::job::{JobKey, Task};
use crate::report::neutral::code;

impl Target {
    /// Why nothing is begun on a pull request that goes there, where the policy does not name it.
    pub(super) fn unnamed(&self) -> String {
        format!("`triggers.branches` of the policy file does not name {}, which the pull request is to go to", code(&self.branch))
    }
}

impl Asked<'_> {
    /// What follows where nothing is begun on pull requests to this one's branch; whoever wrote is told why. Where nobody knows which
    /// branch that is, it may be one on which nothing is.
    pub(super) fn refuse_branch(&self, key: &JobKey, way: &trigger::Way, task: &Task, is_of_pull: bool) -> Option<Decision> {
        let is_on_pull = is_of_pull || matches!(task, Task::ProvePullRequest { .. });
        let because = match &self.facts.pull {
            Some(PullHead { target, .. }) if target.is_named => return None,
            Some(PullHead { target, .. }) => target.unnamed(),
            None if !is_on_pull || self.facts.policy.triggers.branches.is_empty() => return None,
            None => {
                "`triggers.branches` of the policy file names branches, and no pull request is known here that goes to one".into()
            }
        };
        Some(match way.is_silent() {
            true => Decision::ignore(because),
            false => self.refuse(key.clone(), format!("{because}, so that nothing is begun."), &because),
        })
    }
}
