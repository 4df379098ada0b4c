//! What stands beside the lines of a commit: the findings, each where it was found.

use super::neutral::plain;
use crate::effect::{Annotation, Level};
use crate::proof::Verdict;
use crate::proof::findings::{Finding, Gate, Weight};

/// How long a message may be, in characters; GitHub takes 64 KB.
const MESSAGE_CHARS_MAX: usize = 1_000;
/// The line of a finding that is about a whole file: an annotation has to stand somewhere.
const FIRST_LINE: u32 = 1;

/// One annotation for each finding of a verdict that has a place, in their order. What runners report of a test has none in a
/// file, so that failing tests have none.
pub fn annotations(verdict: &Verdict) -> Vec<Annotation> {
    let findings = verdict.account().map(|account| account.findings.as_slice()).unwrap_or_default();
    // What was not looked for is said beside the result; no line is to blame for it.
    let has_a_place = |finding: &&Finding| !finding.path.is_empty() && finding.gate != Gate::NotLookedFor;
    findings.iter().filter(has_a_place).map(annotation).collect()
}

/// The forge shows titles and messages as plain text: no Markdown, no mentions.
fn annotation(Finding { gate, path, line, told }: &Finding) -> Annotation {
    let line = line.unwrap_or(FIRST_LINE).max(FIRST_LINE);
    let told = plain(told, MESSAGE_CHARS_MAX);
    let title = gate.sentence().to_owned();
    // An annotation without a message is refused, and the whole check run with it.
    let message = if told.is_empty() { title.clone() } else { told };
    Annotation { path: path.clone(), start_line: line, end_line: line, level: level(*gate), title, message }
}

fn level(gate: Gate) -> Level {
    match gate.weight() {
        Weight::Told => Level::Notice,
        Weight::WantsTheBasesTests | Weight::ForbidsProof => Level::Warning,
        Weight::ForbidsPublishing => Level::Failure,
    }
}

#[cfg(test)]
mod tests;
