//! What is told of somebody else's pull request that was proven: a comment on it, and a check run on its commit.

use std::fmt::Write as _;

use super::neutral::{clip, code, plain};
use super::progress::Stage;
use super::{BODY_CHARS_MAX, Story, TITLE_CHARS_MAX, asked, attested, evidence, heading, headline, sentence};
use crate::proof::Verdict;

/// What is done, for the comment that is kept up to date.
pub(super) const STEPS: [&str; 3] = [
    "Prepare: fetch the pull request and run the tests of its base",
    "Prove: run the tests with what it changes",
    "Tell: set the check run and write the result here",
];

/// Which of the steps a stage is.
pub(super) fn place(stage: Stage) -> usize {
    match stage {
        Stage::Preparing => 0,
        Stage::Solving { .. } | Stage::Verifying => 1,
    }
}

/// The comment at the end; its first line says how it ended.
pub fn comment(story: &Story<'_>, verdict: Option<&Verdict>) -> String {
    let mut body = headline(story);
    asked(&mut body, story);
    subject(&mut body, story);
    if let Some(verdict) = verdict {
        body.push('\n');
        evidence::tests(&mut body, story, verdict);
        evidence::not_verified(&mut body, story, verdict);
    }
    if let Some(sealed) = story.attestation {
        let _ = write!(body, "\n\n### Attestation\n\n{}", attested(sealed));
    }
    let _ = write!(body, "\n\nNext step: {}", sentence(&story.conclusion.next_step, story.host));
    let _ = write!(body, "\n\n<sub>No model was asked. Job {}.</sub>", story.spec.id());
    clip(&body, BODY_CHARS_MAX)
}

/// The check run's title and summary.
pub fn check(story: &Story<'_>, verdict: Option<&Verdict>) -> (String, String) {
    let title = format!("{}: {}", heading(story.conclusion.outcome), plain(&story.conclusion.cause, TITLE_CHARS_MAX));
    let mut summary = headline(story);
    subject(&mut summary, story);
    if let Some(verdict) = verdict {
        summary.push('\n');
        evidence::tests(&mut summary, story, verdict);
    }
    (clip(&title, TITLE_CHARS_MAX), clip(&summary, BODY_CHARS_MAX))
}

/// Which commit was looked at, against which, and whether the pull request still points there.
fn subject(body: &mut String, story: &Story<'_>) {
    let Some(adopted) = story.adopted else {
        if let Some(head) = story.proposed {
            let _ = write!(body, "\n\nThis is about the commit {}.", code(head.short()));
            moved(body, story);
        }
        return;
    };
    let (head, base, branch) = (code(adopted.proposed().short()), code(adopted.base.short()), code(&adopted.branch));
    let merged = if adopted.head.is_some() {
        format!("merged into {base}, where {branch} pointed: what {branch} has gained since it was begun counts.")
    } else {
        format!("on top of {base}, where {branch} pointed.")
    };
    let _ = write!(body, "\n\nThis is about the commit {head}, {merged}");
    moved(body, story);
}

/// Whether the pull request points elsewhere by now.
fn moved(body: &mut String, story: &Story<'_>) {
    if let Some(now) = story.moved_to {
        let now = code(now.short());
        let _ = write!(
            body,
            "\n\n**The pull request has moved on to {now} since.** Nothing here is about that commit; ask again to have it proven."
        );
    }
}

#[cfg(test)]
mod tests;
