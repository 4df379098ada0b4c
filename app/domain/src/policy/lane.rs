//! One piece of work at a time in one place, and one for each request.

use super::{Asked, Decision};
use crate::job::{JobId, JobKey};

impl Asked<'_> {
    /// What follows where the same text has had its answer.
    pub(super) fn already(&self, key: &JobKey) -> Option<Decision> {
        if self.facts.was_answered {
            let because = "the text had been answered before it was edited";
            let told = "This was answered before it was edited. Write a new comment to ask for more.".into();
            return Some(self.refuse(key.of_reply(because), told, because));
        }
        let is_same = self.facts.open_jobs.contains(key);
        is_same.then(|| Decision::ignore("the same request has already started a job"))
    }

    /// What follows where something is under way in this place: one at a time.
    pub(super) fn beside(&self, key: &JobKey, is_silent: bool) -> Option<Decision> {
        // What nobody has asked for is in nobody's way: work that is asked for comes behind it.
        let open = self.facts.open_jobs.iter().find(|key| !key.is_of_check())?;
        let because = format!("a job of {} is still open; one at a time", self.subject());
        if is_silent {
            return Some(Decision::ignore(because));
        }
        let (job, mention) = (JobId::of(open), &self.deployment.mention);
        let told = format!(
            "Job {job} is still under way here. Ask again in a new comment when its result is here, or after \
             `{mention} stop`; `{mention} status` says how far it is."
        );
        Some(self.refuse(key.clone(), told, &because))
    }
}
