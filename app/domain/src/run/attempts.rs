//! Attempts: each begins anew from the base, and what counts at the end is the best of them, by what was executed.

use std::cmp::Reverse;

use super::{Judged, Phase, Run, conclude};
use crate::journal::{Conclusion, Outcome, Proposal};
use crate::proof::{Doubt, Verdict};

impl Run {
    /// The proposal that counts, with its verdict: proven before unproven, without regressions before with, then the
    /// smaller one, then the cheaper one, then the earlier one.
    pub fn judged(&self) -> Option<&Judged> {
        // `max_by_key` takes the last of equals.
        self.finished.iter().chain(&self.current).rev().max_by_key(|judged| rank(judged))
    }

    /// The proposals of the attempts that are over, each with its verdict, the oldest first.
    pub fn finished(&self) -> &[Judged] {
        &self.finished
    }

    /// The last proposal of the attempt that is under way, with its verdict: what the next round goes on from.
    pub fn current(&self) -> Option<&Judged> {
        self.current.as_ref()
    }

    /// Takes in a verdict: another round, another attempt, or the end.
    pub(super) fn judge(&mut self, attempt: u32, round: u32, proposal: Proposal, verdict: Verdict) -> Phase {
        let feedback = conclude::feedback(&verdict).filter(|_| round < self.budget.rounds && !self.adopts);
        let tokens = self.usage.tokens().saturating_sub(self.tokens_before_attempt);
        let judged = Judged { proposal, verdict, attempt, tokens };
        if let Some(feedback) = feedback {
            self.current = Some(judged);
            return Phase::Solving { attempt, round: round + 1, feedback: Some(feedback) };
        }
        let conclusion = conclude::of_verdict(&judged.verdict);
        self.current = None;
        self.finished.push(judged);
        self.after_attempt(attempt, conclusion)
    }

    /// Takes in that an attempt came to nothing.
    pub(super) fn give_up(&mut self, attempt: u32, conclusion: Conclusion) -> Phase {
        if self.budget.attempts <= 1 {
            return Phase::Planning { conclusion };
        }
        match conclusion.outcome {
            Outcome::NoChange | Outcome::BlockedByPolicy | Outcome::BudgetExhausted => self.after_attempt(attempt, conclusion),
            // What keeps one attempt from working keeps them all.
            Outcome::Proven
            | Outcome::Unproven
            | Outcome::Answered
            | Outcome::NeedsInput
            | Outcome::TimedOut
            | Outcome::EnvironmentFailed
            | Outcome::Superseded
            | Outcome::Cancelled
            | Outcome::Failed => Phase::Planning { conclusion },
        }
    }

    /// An attempt that proposes what another has proposed needs no proof of its own.
    pub(super) fn is_known(&self, proposal: &Proposal) -> bool {
        proposal.fingerprint.is_some() && self.finished.iter().any(|known| known.proposal.fingerprint == proposal.fingerprint)
    }

    /// The next attempt, where there is one and nothing is proven yet; else the end, by the best.
    pub(super) fn after_attempt(&mut self, attempt: u32, conclusion: Conclusion) -> Phase {
        // What an earlier round of it has left counts as well.
        self.finished.extend(self.current.take());
        let is_proven = self.finished.iter().any(|judged| matches!(judged.verdict, Verdict::Proven { .. }));
        let has_budget = self.budget.less(&self.usage, 0).exhausted().is_none();
        if !is_proven && has_budget && attempt < self.budget.attempts && !self.adopts {
            self.tokens_before_attempt = self.usage.tokens();
            return Phase::Solving { attempt: attempt + 1, round: 1, feedback: None };
        }
        let best = self.judged().map(|judged| conclude::of_verdict(&judged.verdict));
        Phase::Planning { conclusion: best.unwrap_or(conclusion) }
    }
}

/// The larger, the better.
fn rank(judged: &Judged) -> impl Ord + use<> {
    let by_execution = match &judged.verdict {
        Verdict::Proven { .. } => 3,
        Verdict::Unproven {
            doubt:
                Doubt::GreenBefore
                | Doubt::TestCommandTouched
                | Doubt::TestsTouched
                | Doubt::Suspect
                | Doubt::Unwatched
                | Doubt::DoesNotBuild,
            ..
        } => 2,
        Verdict::Unproven { doubt: Doubt::NoTestCommand | Doubt::Inconclusive | Doubt::StillRed | Doubt::Flaky, .. } => 1,
        Verdict::Unproven {
            doubt: Doubt::Regression | Doubt::OwnTestsFail | Doubt::TestsWeakened | Doubt::RunnerDeceives | Doubt::OutOfTime,
            ..
        } => 0,
    };
    let n_lines: u64 = judged.proposal.changes.iter().map(|c| u64::from(c.lines_added) + u64::from(c.lines_removed)).sum();
    (by_execution, Reverse(n_lines), Reverse(judged.tokens))
}
