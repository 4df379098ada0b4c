//! Red checks, which nobody has asked about: whether they are looked into, and mended.

use super::{Asked, Decision, Facts, PullHead, RedCheck, Work};
use crate::effect::{is_own_branch, n_repairs};
use crate::job::{JobKey, Repair, Task};
use crate::journal::CommitId;
use crate::policy::wanted::Checks;

/// How many checks of one commit are looked into.
const CHECKS_OF_COMMIT_MAX: u32 = 3;
/// How many red checks of a pull request may be under way or wait.
const OPEN_CHECKS_MAX: usize = 5;
/// How many repairs may stand on each other: what is still red then is for a person.
const REPAIRS_OF_CHAIN_MAX: u32 = 2;
/// How many of the red checks of a pull request that were looked into last are asked whether they were mended on its own branch. Of a
/// commit no more than three are looked into, so that the repairs of one chain are all among them.
pub const CHECKED_LAST_MAX: u32 = 12;
const ENOUGH_REPAIRS: &str = "Repairs stand on each other here already, so that a person has to look.";

impl Asked<'_> {
    /// Whether a red check is looked into: nobody has asked for it, so that the policy alone says.
    pub(super) fn triage(&self, head: &CommitId) -> Decision {
        let Facts { policy, check, open_jobs, .. } = self.facts;
        let checks = policy.triggers.checks;
        if checks == Checks::Off {
            return Decision::ignore("red checks are not looked into here: `triggers.checks` is off");
        }
        let Some(RedCheck { check, suite, pull_request, branch, target, is_own, n_triaged }) = check else {
            let because = "no check of GitHub Actions is red now on the last commit of an open pull request from a branch of this \
                           repository";
            return Decision::ignore(because);
        };
        if checks == Checks::Own && !is_own {
            return Decision::ignore("the pull request is somebody else's, and `triggers.checks` is own");
        }
        if !target.is_named {
            return Decision::ignore(target.unnamed());
        }
        if *n_triaged >= CHECKS_OF_COMMIT_MAX {
            return Decision::ignore(format!("{CHECKS_OF_COMMIT_MAX} checks of this commit were looked into already"));
        }
        // They wait for each other; those of a commit that is no longer the last one end as soon as they begin.
        let n_open = open_jobs.iter().filter(|key| key.is_of_check()).count();
        if n_open >= OPEN_CHECKS_MAX {
            return Decision::ignore(format!("{n_open} red checks of #{pull_request} are being looked into already"));
        }
        let key = JobKey::of_check(&self.event.repo, head, &check.name, *suite);
        if open_jobs.contains(&key) {
            return Decision::ignore("the same check is being looked into already");
        }
        if let Some(reached) = self.deployment.rates.reached(&self.facts.recent) {
            return Decision::ignore(reached);
        }
        let is_first = *n_triaged == 0 && !open_jobs.iter().any(|key| key.is_of_check_of(head));
        let repair = self.repair(branch, *is_own && is_own_branch(branch), is_first);
        let task = Task::TriageCheck { pull_request: *pull_request, head: head.clone(), check: check.clone(), repair };
        self.start(
            Work::unasked(key, task),
            format!("a check of #{pull_request} is red, and `triggers.checks` has it looked into"),
        )
    }

    /// The repair of a check that was looked into and is red for the change, on top of the commit that it was looked into for.
    ///
    /// # Errors
    /// Why there is none, for the one who asked and for the record.
    pub(super) fn on_red(&self, task: Task) -> Result<Task, (String, &'static str)> {
        let Task::TriageCheck { pull_request, head, check, .. } = task else { return Ok(task) };
        match &self.facts.pull {
            Some(PullHead { head: now, .. }) if *now != head => {
                let told = format!("#{pull_request} has moved on to {} since its check was looked into.", now.short());
                Err((told, "the pull request has another last commit now"))
            }
            Some(PullHead { branch: Some(branch), is_own, .. }) if *is_own || n_repairs(branch) < REPAIRS_OF_CHAIN_MAX => {
                let repair = Repair::Wanted { branch: branch.clone(), is_own: *is_own };
                Ok(Task::TriageCheck { pull_request, head, check, repair })
            }
            Some(PullHead { branch: Some(_), .. }) => Err((ENOUGH_REPAIRS.into(), "enough repairs stand on each other already")),
            Some(PullHead { branch: None, .. }) | None => {
                let told = "The branch of this pull request is in another repository, to which nothing goes from here.";
                Err((told.into(), "the pull request's branch is in another repository"))
            }
        }
    }

    /// Whether a red check is mended as well, where the commit's change is what fails. Of a commit it is the first check alone: others
    /// are most often red for the same reason.
    fn repair(&self, branch: &str, is_own: bool, is_first: bool) -> Repair {
        let n_before = n_repairs(branch).saturating_add(self.facts.n_mended);
        if !self.facts.policy.triggers.repairs {
            Repair::Unwanted
        } else if n_before >= REPAIRS_OF_CHAIN_MAX {
            let because =
                format!("It is not repaired: {n_before} repairs stand on each other already, so that a person has to look.");
            Repair::Withheld { because }
        } else if !is_first {
            Repair::Withheld { because: "It is not repaired: of each commit only the first check that is looked into is.".into() }
        } else {
            Repair::Wanted { branch: branch.to_owned(), is_own }
        }
    }
}
