//! What a red check is about, as a function of what was run again: nothing is guessed, and nothing is mended before it is known.
//!
//! First come those of which nothing of the repository has failed. Then the commands of the job are run again in fresh trees of the
//! commit, several times, and those of the commit that it is to go to. Only where it always fails, and not there, is it for the
//! change to mend.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::proof::{Colour, Evidence, Exit};
use crate::report::neutral::plain;

/// How often the commit and what it goes to are each run, at most.
pub const RUNS: usize = 3;
/// How many names of tests are kept of a verdict.
const TESTS_MAX: usize = 50;
/// How much of what somebody else has written is told in a reason, in characters.
const TOLD_CHARS_MAX: usize = 200;

/// How GitHub says that a job ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// GitHub's word for it.
    pub conclusion: Ended,
    /// The step that failed, by its name; none where none was reached, or GitHub does not say.
    pub failed_step: Option<String>,
    /// Whether GitHub has told of steps at all: where it has, one that failed is among them, or none was reached.
    pub has_steps: bool,
    /// What the log marks as errors, the last ones.
    pub errors: Vec<String>,
}

/// GitHub's words for the end of a check that is not green.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Something failed.
    #[default]
    Failure,
    /// It took too long.
    TimedOut,
    /// Somebody, or something, stopped it.
    Cancelled,
}

/// What was run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The commit whose check is red.
    Head,
    /// The commit that it is to go to.
    Base,
}

/// One run of the job's commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerun {
    /// Of which commit.
    pub side: Side,
    /// Whether it came to the step that failed; what it says is else that of the steps before.
    pub reached: bool,
    /// What that says.
    pub colour: Colour,
    /// How it ended, and what it printed.
    pub evidence: Evidence,
    /// The tests that failed in it, where they are known one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<BTreeSet<String>>,
}

impl Rerun {
    /// Whether it says nothing of the commit by itself.
    fn says_nothing(&self) -> bool {
        !self.reached || self.colour == Colour::None
    }

    /// Whether it failed as something does that cannot begin: for want of what the machine does not have, or of what the commit
    /// has broken. Only a base that passes tells these from each other.
    fn is_doubtful(&self) -> bool {
        let exit = self.evidence.exit;
        let has_failed = matches!(exit, Exit::Code(code) if code != 0) && !exit.is_missing_command();
        self.reached && self.colour == Colour::None && has_failed
    }
}

/// What a red check is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "triage", rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing of the repository has failed.
    Infrastructure {
        /// What has, in a sentence.
        because: String,
    },
    /// It cannot be seen here.
    Unreproducible {
        /// Why, in a sentence.
        because: String,
    },
    /// It does not always fail.
    Flaky {
        /// Of which commit that was seen.
        side: Side,
        /// How often it failed here.
        n_red: u32,
        /// How often it did not.
        n_green: u32,
    },
    /// What it is to go to fails in the same way.
    BaseRed {
        /// The tests that fail in both, where they are known.
        tests: Vec<String>,
    },
    /// It always fails, and what it is to go to does not fail like this.
    Red {
        /// The tests that always fail and do not there, where they are known.
        tests: Vec<String>,
        /// Whether what it is to go to was seen to pass.
        is_base_green: bool,
    },
}

impl Verdict {
    /// It in a sentence or two, in our words but for what is named in them.
    pub fn sentence(&self) -> String {
        match self {
            Self::Infrastructure { because } => format!("Nothing of the repository has failed. {because}"),
            Self::Unreproducible { because } => format!("It could not be seen here. {because}"),
            Self::Flaky { side: Side::Head, n_red: 0, n_green } => {
                format!("It is flaky: it failed on GitHub, and passed here in {n_green} of {n_green} runs.")
            }
            Self::Flaky { side: Side::Head, n_red, n_green } => {
                format!("It is flaky: it failed here in {n_red} of {} runs.", n_red + n_green)
            }
            Self::Flaky { side: Side::Base, n_red, n_green } => format!(
                "It always fails here, and where the pull request is to go it is flaky: there it failed in {n_red} of {} runs.",
                n_red + n_green
            ),
            Self::BaseRed { .. } => {
                "Run here, it fails where the pull request is to go as well, without its change: that is red, too, or both \
                 lack something that this machine does not have."
                    .into()
            }
            Self::Red { is_base_green: true, .. } => {
                "It always fails with this change, and passes where the pull request is to go.".into()
            }
            Self::Red { is_base_green: false, tests } if tests.is_empty() => {
                "It always fails with this change; what it is to go to gives no result to compare with.".into()
            }
            Self::Red { is_base_green: false, .. } => {
                "Tests always fail with this change that never failed where the pull request is to go.".into()
            }
        }
    }

    /// What people can do about it, in a sentence.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Infrastructure { .. } => "Run the job again.",
            Self::Unreproducible { .. } => "Look at the job's log.",
            Self::Flaky { .. } => "Run the job again, and mend what does not always end alike.",
            Self::BaseRed { .. } => "Mend it where the pull request is to go.",
            Self::Red { .. } => "Mend it in this pull request.",
        }
    }

    /// Whether there is something to be mended by a change of this commit.
    pub fn is_for_repair(&self) -> bool {
        match self {
            Self::Red { .. } => true,
            Self::Infrastructure { .. } | Self::Unreproducible { .. } | Self::Flaky { .. } | Self::BaseRed { .. } => false,
        }
    }
}

/// What is known before anything is run.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// What GitHub says.
    pub told: &'a Told,
    /// Why there is nothing that could be run, if that is so.
    pub obstacle: Option<&'a str>,
    /// What is different here, a sentence each.
    pub differences: &'a [String],
    /// Whether there is a commit that it is to go to.
    pub has_base: bool,
    /// Whether the step that failed is one that the workflow's file names: then it is none that the runner has added.
    pub is_own_step: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run it once more, of this commit.
    Run(Side),
    /// It is known.
    Judged(Verdict),
}

impl Inquiry<'_> {
    /// What is wanted behind these runs. The same runs always give the same answer, and each run brings the end nearer.
    pub fn next(&self, runs: &[Rerun]) -> Next {
        if let Some(because) = self.infrastructure() {
            return Next::Judged(Verdict::Infrastructure { because });
        }
        if self.told.conclusion == Ended::TimedOut && self.told.failed_step.is_none() {
            let because = "The job's time ran out, and GitHub does not say in which step.".to_owned();
            return Next::Judged(Verdict::Unreproducible { because });
        }
        if let Some(obstacle) = self.obstacle {
            return Next::Judged(Verdict::Unreproducible { because: obstacle.to_owned() });
        }
        let of = |side: Side| runs.iter().filter(|run| run.side == side).collect::<Vec<&Rerun>>();
        let (head, base) = (of(Side::Head), of(Side::Base));
        if let Some(odd) = head.iter().find(|run| run.says_nothing() && !run.is_doubtful()) {
            return Next::Judged(Verdict::Unreproducible { because: no_result(odd) });
        }
        if head.len() < RUNS {
            return Next::Run(Side::Head);
        }
        match counts(&head) {
            (0, _) if !self.differences.is_empty() => {
                let because = format!("It passes here each time, and here is different: {}", self.differences.join(" "));
                return Next::Judged(Verdict::Unreproducible { because });
            }
            (n_red, n_green @ 1..) => return Next::Judged(Verdict::Flaky { side: Side::Head, n_red, n_green }),
            (_, 0) => {}
        }
        let is_base_unknown = !self.has_base || base.iter().any(|run| run.says_nothing());
        if let (Some(doubtful), true) = (head.iter().find(|run| run.is_doubtful()), is_base_unknown) {
            return Next::Judged(Verdict::Unreproducible { because: no_result(doubtful) });
        }
        if is_base_unknown {
            return Next::Judged(Verdict::Red { tests: shown(&always(&head).unwrap_or_default()), is_base_green: false });
        }
        if base.len() < RUNS {
            return Next::Run(Side::Base);
        }
        Next::Judged(compared(&head, &base))
    }

    /// Why nothing of the repository has failed, if that is so.
    fn infrastructure(&self) -> Option<String> {
        let Told { conclusion, failed_step, has_steps, errors } = self.told;
        match conclusion {
            Ended::Cancelled => return Some("The job was cancelled.".into()),
            Ended::TimedOut | Ended::Failure => {}
        }
        if let Some(error) = errors.iter().find(|error| RUNNER_DIED.iter().any(|words| error.contains(words))) {
            return Some(format!("The job's machine failed: {}", plain(error, TOLD_CHARS_MAX)));
        }
        match failed_step.as_deref() {
            None if *has_steps && *conclusion == Ended::Failure => {
                Some("No step of the job has failed, so that none was reached or its machine failed.".into())
            }
            Some(step) if !self.is_own_step && (RUNNER_STEPS.contains(&step) || is_around(step)) => Some(format!(
                "What failed is `{}`, which runs nothing of the repository.",
                plain(step, TOLD_CHARS_MAX).replace('`', "'")
            )),
            Some(_) | None => None,
        }
    }
}

/// What GitHub's runner says where it, and not the job, has failed.
const RUNNER_DIED: [&str; 5] = [
    "The runner has received a shutdown signal",
    "The hosted runner lost communication with the server",
    "The self-hosted runner lost communication with the server",
    "The hosted runner encountered an error while running your job",
    "The job was not acquired by Runner",
];
/// Steps that the runner adds to each job.
const RUNNER_STEPS: [&str; 3] = ["Set up job", "Initialize containers", "Complete job"];

/// Whether a step is what an action does to clean up, or how the files are fetched.
fn is_around(step: &str) -> bool {
    step.starts_with("Post ") || step.starts_with("Run actions/checkout") || step == "Checkout"
}

fn no_result(run: &Rerun) -> String {
    let Evidence { exit, excerpt, .. } = &run.evidence;
    let what = if run.reached {
        "What failed there gives no result here"
    } else {
        "A step before the one that failed does not work here"
    };
    let last = plain(excerpt.lines().last().unwrap_or_default(), TOLD_CHARS_MAX);
    let last = if last.is_empty() { String::new() } else { format!(" Its last line is: {last}") };
    format!("{what}: {exit}.{last}")
}

fn counts(runs: &[&Rerun]) -> (u32, u32) {
    let n_green = runs.iter().filter(|run| run.colour == Colour::Green).count();
    let n = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    (n(runs.len() - n_green), n(n_green))
}

/// The tests that failed in every one of these; none where one of them does not say.
fn always(runs: &[&Rerun]) -> Option<BTreeSet<String>> {
    let mut runs = runs.iter().map(|run| run.failed.clone());
    let first = runs.next()??;
    runs.try_fold(first, |always, failed| Some(always.intersection(&failed?).cloned().collect()))
}

/// The tests that failed in any of these; none where one of them does not say.
fn ever(runs: &[&Rerun]) -> Option<BTreeSet<String>> {
    runs.iter().try_fold(BTreeSet::new(), |ever, run| Some(ever.union(run.failed.as_ref()?).cloned().collect()))
}

fn compared(head: &[&Rerun], base: &[&Rerun]) -> Verdict {
    let (n_red, n_green) = counts(base);
    let new = match (always(head), ever(base)) {
        (Some(head), Some(base)) if n_red > 0 => head.difference(&base).cloned().collect(),
        (Some(head), _) if n_red == 0 => head,
        (Some(_) | None, _) => BTreeSet::new(),
    };
    match (n_red, n_green) {
        (0, _) => Verdict::Red { tests: shown(&new), is_base_green: true },
        // A test that never fails there is new, whatever else does.
        _ if !new.is_empty() => Verdict::Red { tests: shown(&new), is_base_green: false },
        (_, 0) => Verdict::BaseRed { tests: shown(&always(head).unwrap_or_default()) },
        (n_red, n_green) => Verdict::Flaky { side: Side::Base, n_red, n_green },
    }
}

fn shown(tests: &BTreeSet<String>) -> Vec<String> {
    tests.iter().take(TESTS_MAX).cloned().collect()
}

#[cfg(test)]
mod tests;
