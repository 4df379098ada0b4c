//! Runs that find out what a red check is about. A check run on the same commit tells of it; where it is to be mended, and the commit's
//! own change is what fails, the run goes on as any other, from that commit, and only a proven repair is published.

use super::adoption::is_on_top;
use super::{Phase, Run, Step};
use crate::effect::{CheckName, Effect};
use crate::journal::{CommitId, Conclusion, Outcome, Triaged};
use crate::triage::Verdict;

impl Run {
    /// What the red check is about, once it is known.
    pub fn triaged(&self) -> Option<&Triaged> {
        self.triaged.as_ref()
    }

    /// The commit whose files say how this run works: a change that is mended on its own branch does not say that.
    pub fn ruled_by(&self) -> Option<&CommitId> {
        let prepared = self.prepared.as_ref()?;
        Some(prepared.rules.as_ref().unwrap_or(&prepared.base))
    }

    /// Whether an effect puts the repair onto this branch of ours, from this commit, or tells of it beside its own.
    pub(super) fn is_repair_of(&self, effect: &Effect, head: &CommitId, onto: Option<&str>) -> bool {
        match effect {
            Effect::PushBranch { branch, from: Some(from), .. } => onto == Some(branch) && from == head,
            Effect::SetCheck { name: CheckName::Patch, commit, .. } => {
                onto.is_some() && self.judged().is_some_and(|judged| judged.proposal.commit == *commit)
            }
            Effect::PushBranch { from: None, .. }
            | Effect::SetCheck { .. }
            | Effect::EnsurePullRequest { .. }
            | Effect::IntroducePull { .. }
            | Effect::EnsureComment { .. }
            | Effect::EnsureReview { .. }
            | Effect::AnswerThreads { .. }
            | Effect::React { .. } => false,
        }
    }

    pub(super) fn on_triaged(&mut self, triaged: &Triaged) -> bool {
        let is_due = matches!(self.phase, Phase::Preparing) && self.preparation() == Step::Triage && self.claims > 0;
        if !is_due {
            return false;
        }
        let is_wanted = self.triages.as_ref().is_some_and(|(_, repairs_to)| repairs_to.is_some());
        let is_repaired = is_wanted && triaged.verdict.is_for_repair() && triaged.command.is_some();
        let conclusion = conclusion(&triaged.verdict);
        self.triaged = Some(triaged.clone());
        // What was asked is what it is about, whatever the answer.
        self.is_answered = !is_repaired;
        self.advance(if is_repaired { Phase::Preparing } else { Phase::Planning { conclusion } })
    }
}

/// Whether an effect does no more than to tell what the check of this commit is about, or to put its repair on top of this branch.
pub(super) fn is_of_triage(effect: &Effect, head: &CommitId, repairs_to: Option<&str>) -> bool {
    match effect {
        Effect::SetCheck { name, commit, .. } => *name == CheckName::Triage && commit == head,
        Effect::PushBranch { .. } | Effect::EnsurePullRequest { .. } | Effect::IntroducePull { .. } => {
            is_on_top(effect, repairs_to)
        }
        Effect::EnsureComment { .. } | Effect::EnsureReview { .. } | Effect::AnswerThreads { .. } | Effect::React { .. } => false,
    }
}

/// How a run ends that has found this out.
fn conclusion(verdict: &Verdict) -> Conclusion {
    let (cause, next_step) = (verdict.sentence(), verdict.next_step());
    Conclusion::new(Outcome::Answered, cause, next_step)
}
