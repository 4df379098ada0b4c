//! How a run ends: from a verdict, or from a limit that it has run into.

use jiff::Timestamp;

use super::Run;
use crate::job::Mode;
use crate::journal::{Conclusion, Outcome};
use crate::proof::{Evidence, Verdict};

impl Run {
    /// The reason, if there is one, to end before publishing has begun.
    pub(super) fn interruption(&self, now: Timestamp) -> Option<Conclusion> {
        if let Some(cancelled) = self.cancellation() {
            return Some(cancelled);
        }
        if let Some(failed) = self.worn_out() {
            return Some(failed);
        }
        if self.elapsed_ms(now) >= self.budget.wall_clock_ms {
            let cause = format!("The time limit of {} ran out.", minutes(self.budget.wall_clock_ms));
            let next_step = "Ask again with a narrower task, or raise `limits.wall_clock_minutes`.";
            return Some(Conclusion::new(Outcome::TimedOut, cause, next_step));
        }
        let limit = self.is_solving().then(|| self.allowance(now).exhausted())??;
        Some(out_of_budget(limit))
    }

    /// Whether somebody has asked that it stops.
    pub fn is_to_stop(&self) -> bool {
        self.cancelled_by.is_some()
    }

    /// The end of a run that somebody has asked to stop.
    pub(super) fn cancellation(&self) -> Option<Conclusion> {
        let because = self.cancelled_by.as_ref()?;
        let next_step = "Ask again when the work is wanted after all.";
        Some(Conclusion::new(Outcome::Cancelled, format!("The run was cancelled: {because}."), next_step))
    }

    fn is_solving(&self) -> bool {
        matches!(self.phase, super::Phase::Solving { .. })
    }
}

/// The end of a run whose agent has used up a limit.
pub(super) fn out_of_budget(limit: &str) -> Conclusion {
    let next_step = "Ask again with a narrower task, or raise the limit in the server's `[limits]`.";
    Conclusion::new(Outcome::BudgetExhausted, format!("The run's {limit}."), next_step)
}

/// The end of a run that was to change nothing.
pub(super) fn answered(asked_for: Option<Mode>) -> Conclusion {
    const ANSWERED: &str = "The agent answered; no file was changed.";
    let (cause, next_step) = match asked_for {
        Some(Mode::Plan) => (ANSWERED, "Read the plan; `approve` has it carried out."),
        Some(Mode::Review) => {
            let cause = "The agent has reviewed the pull request; no file was changed.";
            (cause, "Read the review; what it finds is the model's opinion.")
        }
        Some(Mode::Fix | Mode::Ask) | None => (ANSWERED, "Read the answer."),
    };
    Conclusion::new(Outcome::Answered, cause, next_step)
}

/// The end of a run that was to say something.
pub(super) fn replied() -> Conclusion {
    Conclusion::new(Outcome::Answered, "What was asked for is told.", "Read the comment.")
}

fn minutes(milliseconds: u64) -> String {
    match milliseconds.div_ceil(60_000) {
        1 => "1 minute".into(),
        n => format!("{n} minutes"),
    }
}

/// The end of a run whose last proposal got this verdict.
pub(super) fn of_verdict(verdict: &Verdict) -> Conclusion {
    match verdict {
        Verdict::Proven { .. } if verdict.is_by_build() => Conclusion::new(
            Outcome::Proven,
            "The tests could not be built or loaded on the base and pass with the patch, each that the base's files name; the harness ran both.",
            "Review the pull request.",
        ),
        Verdict::Proven { .. } if verdict.is_by_own_tests() => Conclusion::new(
            Outcome::Proven,
            "Tests that the patch brings fail on the base without its code and pass with it; the harness ran both.",
            "Review the pull request, its tests above all.",
        ),
        Verdict::Proven { .. } => Conclusion::new(
            Outcome::Proven,
            "The tests failed on the base and pass with the patch; the harness ran both.",
            "Review the pull request.",
        ),
        Verdict::Unproven { doubt, .. } => Conclusion::new(Outcome::Unproven, doubt.sentence(), doubt.next_step()),
    }
}

/// What the agent should hear of a verdict that another round may mend.
pub(super) fn feedback(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Unproven { doubt, head: Some(Evidence { command, exit, excerpt, .. }), .. } if doubt.is_worth_a_round() => {
            Some(format!("{} The command was `{command}` ({exit}). The end of its output:\n{excerpt}", doubt.sentence()))
        }
        Verdict::Unproven { .. } | Verdict::Proven { .. } => None,
    }
}
