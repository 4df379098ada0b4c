//! What is told of a red check: a check run beside it, on the same commit.

use std::fmt::Write as _;

use super::neutral::{clip, code, fence, plain};
use super::{
    BODY_CHARS_MAX, COMMAND_CHARS_MAX, DETAILS_BYTES_MAX, SENTENCE_CHARS_MAX, Story, TITLE_CHARS_MAX, headline, sentence,
};
use crate::effect::{self, Button, CheckName, Effect, PULL_REQUEST_PLACEHOLDER};
use crate::event::{CheckRef, IssueNumber};
use crate::job::{Repair, Task};
use crate::journal::{CommitId, Outcome, Triaged};
use crate::proof::Colour;
use crate::triage::{Rerun, Side, Verdict};

/// How many names of tests are listed, and how much of each is shown, in characters.
const TESTS_LISTED_MAX: usize = 20;
const TEST_CHARS_MAX: usize = 200;

/// The check run.
pub fn check(story: &Story<'_>, head: &CommitId, check: &CheckRef) -> Effect {
    let of = plain(check.name.raw(), TITLE_CHARS_MAX / 2);
    let title = format!("{of}: {}", plain(&story.conclusion.cause, TITLE_CHARS_MAX));
    let mut summary = headline(story);
    if let Some(triaged) = story.triaged.filter(|_| story.conclusion.outcome != Outcome::Answered) {
        let _ = write!(summary, "\n\n{}", sentence(&triaged.verdict.sentence(), story.host));
    }
    if let Some(judged) = story.judged.filter(|_| story.conclusion.outcome == Outcome::Proven) {
        let _ = match effect::onto(story, judged) {
            Some((_, branch)) => write!(summary, "\n\nRepaired on the branch {} by {}", code(branch), judged.proposal.commit),
            None => write!(summary, "\n\nPull request with the repair: {PULL_REQUEST_PLACEHOLDER}"),
        };
    }
    let _ = write!(summary, "\n\nThis is about the check {} of the commit {}.", code(check.name.raw()), code(head.short()));
    if let Some(triaged) = story.triaged {
        runs(&mut summary, story, triaged);
    }
    let _ = write!(summary, "\n\nNext step: {}", sentence(&story.conclusion.next_step, story.host));
    if let Task::TriageCheck { repair: Repair::Withheld { because }, .. } = &story.spec.task
        && story.triaged.is_some_and(|triaged| triaged.verdict.is_for_repair())
    {
        let _ = write!(summary, "\n\n{}", sentence(because, story.host));
    }
    let cost = match story.usage.turns {
        0 => "No model was asked and nothing was changed.".to_owned(),
        _ => super::cost(story),
    };
    let job = story.spec.id();
    let _ = write!(summary, "\n\n<sub>{cost} This check run is neutral whatever it says. Job {job}.</sub>");
    let text = (!story.log.is_empty()).then(|| details(story.log));
    Effect::SetCheck {
        name: CheckName::Triage,
        commit: head.clone(),
        outcome: story.conclusion.outcome,
        title: clip(&title, TITLE_CHARS_MAX),
        summary: clip(&summary, BODY_CHARS_MAX),
        text,
        annotations: Vec::new(),
        buttons: story.triaged.filter(|triaged| is_for_mending(story, triaged)).map(|_| Button::Mend).into_iter().collect(),
    }
}

/// Whether people may ask that it is mended: it can be, and nobody has tried.
fn is_for_mending(story: &Story<'_>, triaged: &Triaged) -> bool {
    triaged.verdict.is_for_repair() && triaged.command.is_some() && story.conclusion.outcome == Outcome::Answered
}

/// Where a repair goes, in the text of its pull request.
pub(super) fn on_top(body: &mut String, pull_request: IssueNumber, head: &CommitId, check: &CheckRef) {
    let (check, head) = (code(check.name.raw()), code(head.short()));
    let _ = write!(
        body,
        "\n\nThis mends the check {check} of #{pull_request}, which is red on its commit {head}. It goes to the branch of that pull \
         request: merging it changes that one, and nothing else."
    );
}

fn details(log: &str) -> String {
    let told = format!("The end of what failed on GitHub, from the job's log:\n\n{}", fence(log));
    if told.len() <= DETAILS_BYTES_MAX { told } else { "The job's log is too long to be shown.".into() }
}

fn runs(body: &mut String, story: &Story<'_>, triaged: &Triaged) {
    if let Some(command) = &triaged.command {
        let _ = write!(body, "\n\nIts job was run again here, in fresh trees:\n\n{}", fence(&clip(command, COMMAND_CHARS_MAX)));
    }
    if !triaged.runs.is_empty() {
        let _ = write!(body, "\n\n| Tree | Runs |\n| --- | --- |");
        for (side, name) in [(Side::Head, "with the change"), (Side::Base, "without it")] {
            let commit = match side {
                Side::Head => &triaged.head,
                Side::Base => &triaged.base,
            };
            let marks: Vec<&str> = triaged.runs.iter().filter(|run| run.side == side).map(mark).collect();
            if !marks.is_empty() {
                let _ = write!(body, "\n| {name}, {} | {} |", code(commit.short()), marks.join(" "));
            }
        }
    }
    let tests = match &triaged.verdict {
        Verdict::Red { tests, .. } | Verdict::BaseRed { tests } => tests.as_slice(),
        Verdict::Infrastructure { .. } | Verdict::Unreproducible { .. } | Verdict::Flaky { .. } => &[],
    };
    if !tests.is_empty() {
        let _ = write!(body, "\n\nThe tests that always fail:\n");
        for test in tests.iter().take(TESTS_LISTED_MAX) {
            let _ = write!(body, "\n- {}", code(&clip(test, TEST_CHARS_MAX)));
        }
        if let Some(n_more) = tests.len().checked_sub(TESTS_LISTED_MAX).filter(|n| *n > 0) {
            let _ = write!(body, "\n- and {n_more} more");
        }
    }
    if !triaged.differences.is_empty() {
        let _ = write!(body, "\n\nWhat is different here from where the check ran:\n");
        for difference in &triaged.differences {
            let _ = write!(body, "\n- {}", sentence(&clip(difference, SENTENCE_CHARS_MAX), story.host));
        }
    }
    if let Some(walls) = story.walls.last() {
        let _ = write!(body, "\n\nSandbox: {}.", walls.line());
    }
}

fn mark(run: &Rerun) -> &'static str {
    match run.colour {
        _ if !run.reached => "not reached",
        Colour::Green => "✅",
        Colour::Red => "❌",
        Colour::None => "no result",
    }
}

#[cfg(test)]
mod tests;
