//! Runs that prove what somebody else has changed: the change is fetched and not solved, and only the result is told. And those
//! that do nothing but tell something.

use super::triage::is_of_triage;
use super::{Phase, Run, Step, conclude};
use crate::effect::{Effect, opened};
use crate::job::Mode;
use crate::journal::{Adopted, CommitId, Conclusion, Outcome};

impl Run {
    /// The change that is proven, once it is fetched.
    pub fn adopted(&self) -> Option<&Adopted> {
        self.adopted.as_ref()
    }

    /// The commit that somebody else has proposed, once it is fetched, whether it goes into its branch or not.
    pub fn proposed(&self) -> Option<&CommitId> {
        self.adopted.as_ref().map(Adopted::proposed).or(self.unmerged.as_ref())
    }

    /// What is to be done before anything is solved or proven.
    pub(super) fn preparation(&self) -> Step {
        match self.adopts && self.adopted.is_none() {
            _ if self.triages.is_some() && self.triaged.is_none() => Step::Triage,
            _ if self.replies => Step::PlanPublish { conclusion: conclude::replied() },
            true => Step::Adopt,
            false => Step::Prepare,
        }
    }

    fn is_adoption_due(&self) -> bool {
        matches!(self.phase, Phase::Preparing) && self.preparation() == Step::Adopt && self.claims > 0
    }

    pub(super) fn on_unmerged(&mut self, head: &CommitId, conclusion: &Conclusion) -> bool {
        if !self.is_adoption_due() || conclusion.outcome.is_positive() {
            return false;
        }
        self.unmerged = Some(head.clone());
        self.advance(Phase::Planning { conclusion: conclusion.clone() })
    }

    pub(super) fn on_adopted(&mut self, adopted: &Adopted) -> bool {
        if !self.is_adoption_due() {
            return false;
        }
        self.adopted = Some(adopted.clone());
        self.advance(Phase::Preparing)
    }

    /// Whether this commit is what an adopted change is measured against.
    pub(super) fn is_base(&self, base: &CommitId) -> bool {
        if let Some((head, repairs_to)) = &self.triages {
            return repairs_to.is_some() && base == head;
        }
        if let Some((head, _)) = &self.works_on {
            return base == head;
        }
        if self.adopts { self.adopted.as_ref().is_some_and(|adopted| adopted.base == *base) } else { true }
    }

    /// An adopted change is proven as it is, or as it is once it is merged.
    pub(super) fn after_preparing(&self) -> Phase {
        match &self.adopted {
            Some(adopted) => Phase::Verifying { attempt: 1, round: 1, proposal: adopted.proposal.clone() },
            None => Phase::Solving { attempt: 1, round: 1, feedback: None },
        }
    }

    /// Whether these effects do no more than they may. Of a run that proves an adopted change they tell the end: nothing is pushed
    /// or opened, and a check run says this end of the commit that was proposed. A reply is a comment. What is introduced to people is
    /// what was opened before.
    pub(super) fn is_in_bounds(&self, conclusion: &Conclusion, effects: &[Effect]) -> bool {
        if !opened::are_opened_first(effects) {
            return false;
        }
        if let Some((head, repairs_to)) = &self.triages {
            let repairs_to = repairs_to.as_deref().filter(|_| conclusion.outcome == Outcome::Proven);
            let onto = repairs_to.filter(|_| self.is_own && self.is_sound());
            return effects.iter().all(|effect| is_of_triage(effect, head, repairs_to) || self.is_repair_of(effect, head, onto));
        }
        if let Some((head, branch)) = &self.works_on {
            let reviewed = Some(head).filter(|_| self.asked_for == Some(Mode::Review));
            return effects.iter().all(|effect| match effect {
                Effect::EnsureReview { commit, .. } => Some(commit) == reviewed,
                Effect::PushBranch { branch: onto, from: Some(from), .. } => {
                    self.is_own && branch.as_ref() == Some(onto) && from == head && self.is_sound()
                }
                Effect::AnswerThreads { .. } => self.is_own,
                effect => is_on_top(effect, branch.as_deref()),
            });
        }
        if self.replies {
            return effects.iter().all(|effect| matches!(effect, Effect::EnsureComment { .. }));
        }
        let head = self.proposed();
        let is_telling = |effect: &Effect| match effect {
            Effect::EnsureReview { .. } | Effect::AnswerThreads { .. } | Effect::PushBranch { from: Some(_), .. } => false,
            Effect::PushBranch { .. } | Effect::EnsurePullRequest { .. } | Effect::IntroducePull { .. } => !self.adopts,
            Effect::SetCheck { .. } if !self.adopts => true,
            Effect::SetCheck { commit, outcome, .. } => Some(commit) == head && *outcome == conclusion.outcome,
            Effect::EnsureComment { .. } | Effect::React { .. } => true,
        };
        effects.iter().all(is_telling)
    }

    /// Whether what is published may go where people rely on it.
    fn is_sound(&self) -> bool {
        self.judged().zip(self.prepared.as_ref()).is_some_and(|(judged, prepared)| judged.is_sound(&prepared.plan))
    }
}

/// Whether an effect puts nothing anywhere but on top of this branch, in one of its own.
pub(super) fn is_on_top(effect: &Effect, below: Option<&str>) -> bool {
    match effect {
        Effect::PushBranch { branch, from, .. } => from.is_none() && below.is_some_and(|below| branch != below),
        Effect::EnsurePullRequest { base, .. } => below == Some(base),
        Effect::IntroducePull { .. } => below.is_some(),
        Effect::EnsureReview { .. } | Effect::AnswerThreads { .. } => false,
        Effect::SetCheck { .. } | Effect::EnsureComment { .. } | Effect::React { .. } => true,
    }
}
