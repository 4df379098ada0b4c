//! Runs that find out what a red check is about: nobody solves or proves, and a check run on the same commit tells of it.

use super::{Phase, Run, Step};
use crate::effect::{CheckName, Effect};
use crate::journal::{CommitId, Conclusion, Outcome, Triaged};
use crate::triage::Verdict;

impl Run {
    /// What the red check is about, once it is known.
    pub fn triaged(&self) -> Option<&Triaged> {
        self.triaged.as_ref()
    }

    pub(super) fn on_triaged(&mut self, triaged: &Triaged) -> bool {
        let is_due = matches!(self.phase, Phase::Preparing) && self.preparation() == Step::Triage && self.claims > 0;
        if !is_due {
            return false;
        }
        let conclusion = conclusion(&triaged.verdict);
        self.triaged = Some(triaged.clone());
        // What was asked is what it is about, whatever the answer.
        self.is_answered = true;
        self.advance(Phase::Planning { conclusion })
    }
}

/// Whether an effect does no more than to tell what the check of this commit is about.
pub(super) fn is_of_triage(effect: &Effect, head: &CommitId) -> bool {
    match effect {
        Effect::SetCheck { name, commit, .. } => *name == CheckName::Triage && commit == head,
        Effect::PushBranch { .. } | Effect::EnsurePullRequest { .. } | Effect::EnsureComment { .. } | Effect::React { .. } => {
            false
        }
    }
}

/// How a run ends that has found this out.
fn conclusion(verdict: &Verdict) -> Conclusion {
    let (cause, next_step) = (verdict.sentence(), verdict.next_step());
    Conclusion::new(Outcome::Answered, cause, next_step)
}
