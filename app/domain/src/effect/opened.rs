//! The pull requests that are opened: as drafts or ready for review, and with what the policy wants about them.

use super::Effect;
use crate::report::{self, Story};
use crate::run::Judged;

/// What there is to be done for a pull request from one branch to another: it is opened as the policy of the job has it, and only then
/// shown to those whom it names.
pub(super) fn effects(story: &Story<'_>, judged: &Judged, branch: String, base: String) -> Vec<Effect> {
    let opening = &story.spec.opening;
    let (title, body) = (report::title(story), report::pull_request(story, judged));
    let draft = opening.is_draft(story.conclusion.outcome);
    let introduction = opening.introduces().then(|| Effect::IntroducePull {
        branch: branch.clone(),
        labels: opening.labels.clone(),
        reviewers: opening.reviewers.clone(),
        teams: opening.teams.clone(),
    });
    let opened = Effect::EnsurePullRequest { branch, base, title, body, draft };
    [opened].into_iter().chain(introduction).collect()
}

/// The names in an introduction by which the forge goes.
pub(super) fn names<'e>(
    branch: &'e str,
    labels: &'e [String],
    reviewers: &'e [String],
    teams: &'e [String],
) -> Vec<(&'static str, &'e str)> {
    let each = |what: &'static str, names: &'e [String]| names.iter().map(move |name| (what, name.as_str()));
    let branch = [("the branch to be pushed", branch)].into_iter();
    let people = each("somebody who is to review it", reviewers).chain(each("a team that is to review it", teams));
    branch.chain(each("a label of the pull request", labels)).chain(people).collect()
}

/// Whether each pull request that is introduced is one that was opened before, and by the same plan.
pub(crate) fn are_opened_first(effects: &[Effect]) -> bool {
    let is_opened = |before: &[Effect], branch: &str| {
        before.iter().any(|effect| matches!(effect, Effect::EnsurePullRequest { branch: opened, .. } if opened == branch))
    };
    effects.iter().enumerate().all(|(at, effect)| match effect {
        Effect::IntroducePull { branch, .. } => is_opened(&effects[..at], branch),
        Effect::PushBranch { .. }
        | Effect::EnsurePullRequest { .. }
        | Effect::EnsureComment { .. }
        | Effect::EnsureReview { .. }
        | Effect::SetCheck { .. }
        | Effect::AnswerThreads { .. }
        | Effect::React { .. } => true,
    })
}
