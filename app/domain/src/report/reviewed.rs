//! What is told of a review that was asked for: one review of the pull request, beside its lines where it shows them, and the comment.
//!
//! All of it is the model's opinion, and says so. The review neither approves nor refuses: that is for people.

use std::fmt::Write as _;

use super::neutral::{self, clip, code};
use super::{BODY_CHARS_MAX, Story, cost, headline, sentence};
use crate::effect::{Effect, REVIEW_PLACEHOLDER, Remark};
use crate::review::{Beside, Reviewed};
use crate::turn::Finding;

/// How much of the model's summary and of a finding is shown, in characters.
const SUMMARY_CHARS_MAX: usize = 6_000;
const FINDING_CHARS_MAX: usize = 4_000;

/// The review, and the comment that names what it found.
pub fn effects(story: &Story<'_>, reviewed: &Reviewed) -> Vec<Effect> {
    let (Some(pull_request), Some(commit)) = (story.spec.task.issue(), story.spec.task.reviews()) else { return Vec::new() };
    let placed = reviewed.placed();
    let remarks: Vec<Remark> = placed.iter().filter_map(|(finding, beside)| remark(story, finding, (*beside)?)).collect();
    let elsewhere: Vec<&Finding> = placed.iter().filter(|(_, beside)| beside.is_none()).map(|(finding, _)| *finding).collect();
    let all: Vec<&Finding> = placed.iter().map(|(finding, _)| *finding).collect();
    let (body, body_alone) = (body(story, reviewed, &elsewhere, remarks.len()), body(story, reviewed, &all, 0));
    vec![
        Effect::EnsureReview { pull_request, commit: commit.clone(), body, remarks, body_alone },
        Effect::EnsureComment { issue: pull_request, body: comment(story, &all) },
    ]
}

fn remark(story: &Story<'_>, finding: &Finding, beside: Beside) -> Option<Remark> {
    let Beside { first_line, last_line, is_whole } = beside;
    let mut body = told(story, finding);
    if let Some(lines) = finding.suggestion.as_deref().filter(|_| is_whole).and_then(neutral::suggestion) {
        let _ = write!(body, "\n\n{lines}");
    }
    let _ = write!(body, "\n\n<sub>{}</sub>", sure(finding));
    Some(Remark { path: finding.path.clone(), first_line, last_line, body })
}

/// The text of the whole, with the findings that stand beside no lines.
fn body(story: &Story<'_>, reviewed: &Reviewed, findings: &[&Finding], n_beside: usize) -> String {
    let n_findings = reviewed.closing.findings.len();
    let of = story.spec.task.reviews().map(|commit| code(commit.short())).unwrap_or_default();
    let mut text = match (n_findings, n_beside) {
        (0, _) => format!("Nothing was found in {of}."),
        (1, 0) => format!("**1 finding** in {of}:"),
        (n, 0) => format!("**{n} findings** in {of}:"),
        (1, _) => format!("**1 finding** in {of}, beside its lines."),
        (n, beside) if n == beside => format!("**{n} findings** in {of}, each beside its lines."),
        (n, 1) => format!("**{n} findings** in {of}: 1 beside its lines, and here the others."),
        (n, beside) => format!("**{n} findings** in {of}: {beside} beside their lines, and here the others."),
    };
    let words = neutral::markdown(&reviewed.closing.text, story.host, SUMMARY_CHARS_MAX);
    if !words.trim().is_empty() {
        let _ = write!(text, "\n\n> {}", words.trim().replace('\n', "\n> "));
    }
    if let (Some(number), Some(now)) = (story.spec.task.issue(), story.moved_to) {
        let _ = write!(text, "\n\n#{number} has moved on to {} since then.", code(now.short()));
    }
    for finding in findings {
        let _ = write!(text, "\n\n{}\n\n{} {}", told(story, finding), place(finding), sure(finding));
    }
    let who = code(&story.spec.requested_by.login);
    let _ = write!(
        text,
        "\n\n<sub>For {who}, who asked. This is the opinion of {}, which nobody has checked: no test was run on it by the harness. \
         Job {}.</sub>",
        code(story.model),
        story.spec.id()
    );
    clip(&text, BODY_CHARS_MAX)
}

/// What is wrong, in the model's words.
fn told(story: &Story<'_>, finding: &Finding) -> String {
    let words = neutral::markdown(&finding.body, story.host, FINDING_CHARS_MAX);
    format!("**P{}:** {}\n\n{}", finding.priority, sentence(&finding.title, story.host), words.trim())
}

fn sure(finding: &Finding) -> String {
    format!("{} % sure, says the model.", finding.confidence_percent)
}

fn place(finding: &Finding) -> String {
    let Finding { path, first_line, last_line, .. } = finding;
    if first_line == last_line {
        code(&format!("{path}:{first_line}"))
    } else {
        code(&format!("{path}:{first_line}-{last_line}"))
    }
}

/// The comment: how it ended, and what was found, by its titles.
fn comment(story: &Story<'_>, findings: &[&Finding]) -> String {
    let mut body = headline(story);
    let _ = write!(body, "\n\nReview: {REVIEW_PLACEHOLDER}\n");
    if findings.is_empty() {
        let _ = write!(body, "\nThe model found nothing.");
    }
    for finding in findings {
        let _ = write!(body, "\n- P{}: {} {}", finding.priority, place(finding), sentence(&finding.title, story.host));
    }
    let _ = write!(body, "\n\nNext step: {}", sentence(&story.conclusion.next_step, story.host));
    let _ = write!(body, "\n\n<sub>{} Job {}.</sub>", cost(story), story.spec.id());
    clip(&body, BODY_CHARS_MAX)
}
