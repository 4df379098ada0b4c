//! What is answered below each remark of a review that called us: the model's words about it, and where what it changed is.

use std::collections::BTreeMap;

use super::Story;
use super::neutral::markdown;
use crate::effect::{self, Effect, PULL_REQUEST_PLACEHOLDER, ThreadAnswer};
use crate::journal::Outcome;
use crate::run::Judged;

/// How much of what the model says of a remark is shown, in characters.
const WORDS_CHARS_MAX: usize = 1_500;

/// What a remark is called, from 1 in the order in which the model is told of them.
pub fn name(n: usize) -> String {
    format!("R{n}")
}

/// The answers, where a review has called us and something came of it. Where nothing was changed, what the model says nothing of stays
/// as it is.
pub(crate) fn effect(story: &Story<'_>, published: Option<&Judged>) -> Option<Effect> {
    let (pull_request, _) = story.spec.task.issue().zip(story.spec.task.goes_onto())?;
    let place = match published {
        Some(judged) if effect::onto(story, judged).is_some() => format!("Commit {}.", judged.proposal.commit),
        Some(_) => format!("In {PULL_REQUEST_PLACEHOLDER}."),
        None if matches!(story.conclusion.outcome, Outcome::NoChange | Outcome::NeedsInput) => "No file was changed.".to_owned(),
        None => return None,
    };
    let mut said = said(story.answer);
    let answers = story.threads.iter().enumerate().filter_map(|(n, comment)| {
        let words = said.remove(&(n + 1)).map(|words| markdown(&words, story.host, WORDS_CHARS_MAX));
        let words = words.filter(|words| !words.trim().is_empty());
        let told = match words {
            Some(words) => format!("{words}\n\n<sub>{place} These are the model's words; nobody has checked them."),
            None if published.is_some() => format!("The agent says nothing of this by itself.\n\n<sub>{place}"),
            None => return None,
        };
        Some(ThreadAnswer { comment: *comment, body: format!("{told} Job {}.</sub>", story.spec.id()) })
    });
    let answers: Vec<ThreadAnswer> = answers.collect();
    (!answers.is_empty()).then_some(Effect::AnswerThreads { pull_request, answers })
}

/// What the model's last words say of each remark: from a line that begins with its name and a colon to the next or to an empty one.
fn said(answer: &str) -> BTreeMap<usize, String> {
    let mut said: BTreeMap<usize, String> = BTreeMap::new();
    let mut of = None;
    for line in answer.lines() {
        if let Some((n, words)) = begun(line) {
            of = Some(n);
            let all = said.entry(n).or_default();
            if !all.is_empty() {
                all.push('\n');
            }
            all.push_str(words);
        } else if line.trim().is_empty() {
            of = None;
        } else if let Some(words) = of.and_then(|n| said.get_mut(&n)) {
            words.push('\n');
            words.push_str(line);
        }
    }
    said
}

/// The remark that a line is about, and what it says, whatever stands around the name as Markdown.
fn begun(line: &str) -> Option<(usize, &str)> {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || "-*+_`•".contains(c));
    let (name, words) = line.strip_prefix('R')?.split_once(':')?;
    let n = name.trim_end_matches(['*', '_', '`']).parse().ok()?;
    Some((n, words.trim_start_matches(['*', '_', '`']).trim()))
}

#[cfg(test)]
mod tests {
    use super::{begun, said};

    #[test]
    fn the_name_of_a_remark_stands_as_markdown_lets_it() {
        for line in ["R2: done", "- R2: done", "* **R2:** done", "  `R2`: done", "**R2**: done"] {
            assert_eq!(begun(line), Some((2, "done")), "{line}");
        }
        for line in ["R: done", "Rx2: done", "R2 done", "See R2: done", "R2.1: done", "", "R99999999999999999999: done"] {
            assert_eq!(begun(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_said_of_a_remark_goes_to_the_next_or_to_an_empty_line() {
        let said = said("I mended it.\nR1: renamed\nin both files\n- R2: kept,\n\nIt is all there.\nR1: and tested\n");
        let said: Vec<_> = said.iter().map(|(n, words)| (*n, words.as_str())).collect();
        assert_eq!(said, [(1, "renamed\nin both files\nand tested"), (2, "kept,")]);
    }
}
