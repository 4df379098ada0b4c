//! What is said of the policy file that a pull request changes: a check run on its commit, of which no job is.

use std::fmt::Write as _;

use super::neutral::{clip, fence, plain};
use super::{BODY_CHARS_MAX, SENTENCE_CHARS_MAX, TITLE_CHARS_MAX};
use crate::effect::{Annotation, CheckName, Effect, Level};
use crate::journal::{CommitId, Outcome};

/// What is wrong with a policy file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The line, from 1.
    pub line: u64,
    /// The character in the line, from 1.
    pub column: u64,
    /// What is wrong.
    pub what: String,
    /// What to do about it, if anybody knows.
    pub hint: Option<String>,
    /// The line, and below it a caret at the mistake.
    pub picture: Option<String>,
}

/// What it says counts on the default branch alone, and for what is fetched from there.
const COUNTS_LATER: &str = "What the file says counts once it is on the default branch; until then the one that is there does.";

/// The check run about the file at this path.
pub fn check(commit: &CommitId, path: &str, flaw: Option<&Flaw>) -> Effect {
    let Some(Flaw { line, column, what, hint, picture }) = flaw else {
        let title = "The policy file can be read".to_owned();
        return said(commit, Outcome::Answered, title, COUNTS_LATER.to_owned(), Vec::new());
    };
    let what = plain(what, SENTENCE_CHARS_MAX);
    let place = format!("Line {line}, column {column}");
    let title = clip(&format!("{place}: {what}"), TITLE_CHARS_MAX);
    let hint = hint.as_ref().map(|hint| plain(hint, SENTENCE_CHARS_MAX));
    let message = [Some(format!("Column {column}: {what}")), hint.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let shown = [Some(format!("{place}: {what}")), hint, picture.clone()].into_iter().flatten().collect::<Vec<_>>().join("\n");
    let mut summary = format!("The policy file cannot be read.\n\n{}", fence(&shown));
    let _ = write!(
        summary,
        "\n\nOn the default branch it would stop everything: where nobody knows what is wanted, nothing is begun. \
         `patchwright policy check {path}` says the same."
    );
    let line = u32::try_from(*line).unwrap_or(u32::MAX);
    let title_beside = "The policy file cannot be read".to_owned();
    let annotation = Annotation {
        path: path.to_owned(),
        start_line: line,
        end_line: line,
        level: Level::Failure,
        title: title_beside,
        message,
    };
    said(commit, Outcome::NeedsInput, title, summary, vec![annotation])
}

fn said(commit: &CommitId, outcome: Outcome, title: String, summary: String, annotations: Vec<Annotation>) -> Effect {
    Effect::SetCheck {
        name: CheckName::Policy,
        commit: commit.clone(),
        outcome,
        title,
        summary: clip(&summary, BODY_CHARS_MAX),
        text: None,
        annotations,
        buttons: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Flaw, check};
    use crate::effect::Effect;
    use crate::sample::commit;

    #[test]
    fn what_is_wrong_stands_beside_its_line_and_cannot_be_markdown() {
        let what = "there is no key `labe`l\n# @ada <!-- x -->` here".to_owned();
        let picture = Some("  labe: ```x\n  ^".to_owned());
        let flaw = Flaw { line: 3, column: 5, what, hint: Some("the nearest is `label`".into()), picture };
        let Effect::SetCheck { title, summary, annotations, .. } = check(&commit('b'), ".github/patchwright.yml", Some(&flaw))
        else {
            panic!("a check run")
        };
        let [annotation] = annotations.as_slice() else { panic!("one place") };
        let beside = format!("{}:{} {}", annotation.path, annotation.start_line, annotation.message);
        insta::assert_snapshot!(format!("{title}\n---\n{summary}\n---\n{beside}"), @r"
        Line 3, column 5: there is no key `labe`l # @ada ` here
        ---
        The policy file cannot be read.

        ````text
        Line 3, column 5: there is no key `labe`l # @ada ` here
        the nearest is `label`
          labe: ```x
          ^
        ````

        On the default branch it would stop everything: where nobody knows what is wanted, nothing is begun. `patchwright policy check .github/patchwright.yml` says the same.
        ---
        .github/patchwright.yml:3 Column 5: there is no key `labe`l # @ada ` here; the nearest is `label`
        ");
    }
}
