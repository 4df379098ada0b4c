//! What a run does to the outside world: fixed in the journal before the first of it is done, each harmless twice.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::brief::Request;
use crate::event::{CheckRef, IssueNumber};
use crate::job::{JobId, Repair, Task};
use crate::journal::{CommitId, Digest, Outcome, Proposal};
use crate::report::{self, Story};
use crate::run::Judged;

mod branches;
pub(crate) mod opened;

pub use branches::{branch, is_own_branch, n_repairs};

/// The text that stands for the pull request's address until it is known: an HTML comment, which nothing that others
/// wrote keeps when it is neutralised.
pub const PULL_REQUEST_PLACEHOLDER: &str = "<!-- pull-request -->";
/// The same for the review's.
pub const REVIEW_PLACEHOLDER: &str = "<!-- review -->";

/// Something to be done, such that doing it again finds it done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// The branch exists and points to the commit.
    PushBranch {
        /// Its name below `refs/heads/`.
        branch: String,
        /// Where it points.
        commit: CommitId,
        /// The pack that holds the commit.
        pack: Digest,
        /// Where it points before; none where it is made. One that points elsewhere is left alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<CommitId>,
    },
    /// There is one pull request from the branch.
    EnsurePullRequest {
        /// The branch with the change.
        branch: String,
        /// The branch that it should go to.
        base: String,
        /// One line.
        title: String,
        /// Markdown.
        body: String,
        /// Whether it is opened as a draft; journals from before there was a choice have none of it, and it was one.
        #[serde(default = "draft_of_old", skip_serializing_if = "Clone::clone")]
        draft: bool,
    },
    /// The pull request from the branch has these labels, and these are asked to review it.
    IntroducePull {
        /// The branch with the change.
        branch: String,
        /// Labels, by name.
        labels: Vec<String>,
        /// People, by login.
        reviewers: Vec<String>,
        /// Teams of the organisation, by what their addresses call them.
        teams: Vec<String>,
    },
    /// There is one comment on this topic, with this text.
    EnsureComment {
        /// Where.
        issue: IssueNumber,
        /// Markdown.
        body: String,
    },
    /// There is one review of the pull request, which neither approves nor refuses it.
    EnsureReview {
        /// Which.
        pull_request: IssueNumber,
        /// The commit that was looked at.
        commit: CommitId,
        /// What it says of the whole: Markdown.
        body: String,
        /// What it says beside lines.
        remarks: Vec<Remark>,
        /// What it says of the whole where the forge does not take what is said beside lines: all of it, in Markdown.
        body_alone: String,
    },
    /// The commit carries the check run.
    SetCheck {
        /// Which of ours.
        #[serde(default, skip_serializing_if = "CheckName::is_of_patch")]
        name: CheckName,
        /// The commit.
        commit: CommitId,
        /// What the run came to.
        outcome: Outcome,
        /// One line.
        title: String,
        /// Markdown.
        summary: String,
        /// Markdown that stands below the summary, folded away by the forge where it is long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// What is said beside lines of the commit; journals from before there were any have none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        annotations: Vec<Annotation>,
        /// What people may ask for beside it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        buttons: Vec<Button>,
    },
    /// There is one answer of ours to each of these comments beside lines.
    AnswerThreads {
        /// The pull request.
        pull_request: IssueNumber,
        /// The answers.
        answers: Vec<ThreadAnswer>,
    },
    /// The request carries our reaction.
    React {
        /// What to react to.
        subject: Subject,
    },
}

/// Something that a review says beside lines that the pull request shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// The file.
    pub path: String,
    /// The first line after the change, from 1.
    pub first_line: u32,
    /// The last line.
    pub last_line: u32,
    /// Markdown.
    pub body: String,
}

/// What is answered to a comment beside a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadAnswer {
    /// The comment, which heads what is said beside that line.
    pub comment: u64,
    /// Markdown.
    pub body: String,
}

/// A check run of ours, by what it is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// A patch that this program publishes.
    #[default]
    Patch,
    /// What somebody else has proposed, and has asked the proof of.
    Proof,
    /// What a red check of the commit is about.
    Triage,
    /// Whether the policy file can be read that a pull request changes.
    Policy,
}

impl CheckName {
    /// The name as it appears beside the commit; branch rules refer to it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patch => "patchwright",
            Self::Proof => "patchwright/proof",
            Self::Triage => "patchwright/triage",
            Self::Policy => "patchwright/policy",
        }
    }

    fn is_of_patch(&self) -> bool {
        *self == Self::Patch
    }
}

/// A button beside a check run: whoever presses it asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Button {
    /// What is red is to be mended.
    Mend,
}

impl Button {
    /// All that there are.
    const ALL: [Self; 1] = [Self::Mend];

    /// What it is called at the forge; GitHub takes 20 characters.
    pub fn identifier(self) -> &'static str {
        match self {
            Self::Mend => "mend",
        }
    }

    /// The one that is called so.
    pub fn of(identifier: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|button| button.identifier() == identifier)
    }

    /// What stands on it; GitHub takes 20 characters.
    pub fn label(self) -> &'static str {
        match self {
            Self::Mend => "Mend it",
        }
    }

    /// What comes of it; GitHub takes 40 characters.
    pub fn description(self) -> &'static str {
        match self {
            Self::Mend => "A pull request on top that mends it",
        }
    }
}

/// A check run that says of a commit that something is done about it. [`Effect::SetCheck`] completes the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckUnderWay {
    /// Which of ours.
    pub name: CheckName,
    /// The commit.
    pub commit: CommitId,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
}

impl CheckUnderWay {
    /// Its key in the job: that of the effect by which it is completed.
    pub fn key(&self, job: &JobId) -> EffectKey {
        EffectKey::of(job, CHECK)
    }
}

/// Something that is said beside lines of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// The first line, from 1.
    pub start_line: u32,
    /// The last line.
    pub end_line: u32,
    /// How much it weighs.
    pub level: Level,
    /// One line, as plain text.
    pub title: String,
    /// What there is to say, as plain text.
    pub message: String,
}

/// How much an annotation weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Notice,
    /// A person should look.
    Warning,
    /// It keeps the commit from what it is for.
    Failure,
}

/// Something that a reaction can be put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "subject", content = "number", rename_all = "snake_case")]
pub enum Subject {
    /// An issue's or pull request's own text.
    Issue(IssueNumber),
    /// A comment on an issue.
    Comment(u64),
    /// A comment beside a line of a pull request.
    ReviewComment(u64),
}

impl Effect {
    /// The effect's name within its job; a job has at most one of each.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PushBranch { .. } => "branch",
            Self::EnsurePullRequest { .. } => "pull-request",
            Self::IntroducePull { .. } => "introduction",
            Self::EnsureComment { .. } => "progress",
            Self::EnsureReview { .. } => "review",
            Self::SetCheck { .. } => CHECK,
            Self::AnswerThreads { .. } => "threads",
            Self::React { .. } => "reaction",
        }
    }

    /// Its key in the job.
    pub fn key(&self, job: &JobId) -> EffectKey {
        EffectKey::of(job, self.name())
    }

    /// The names in it by which the forge goes. They are no texts: one that is changed means something else.
    pub fn names(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::PushBranch { branch, .. } => vec![("the branch to be pushed", branch)],
            Self::EnsurePullRequest { branch, base, .. } => {
                vec![("the branch to be pushed", branch), ("the branch that the change is to go to", base)]
            }
            Self::IntroducePull { branch, labels, reviewers, teams } => opened::names(branch, labels, reviewers, teams),
            Self::EnsureReview { remarks, .. } => {
                remarks.iter().map(|remark| ("a file that something is said of", remark.path.as_str())).collect()
            }
            Self::EnsureComment { .. } | Self::SetCheck { .. } | Self::AnswerThreads { .. } | Self::React { .. } => Vec::new(),
        }
    }

    /// Whether it brings the agent's work before people; such an effect needs a verdict, and the run fails without it.
    pub fn publishes(&self) -> bool {
        match self {
            Self::PushBranch { .. } | Self::EnsurePullRequest { .. } => true,
            Self::IntroducePull { .. }
            | Self::EnsureComment { .. }
            | Self::EnsureReview { .. }
            | Self::SetCheck { .. }
            | Self::AnswerThreads { .. }
            | Self::React { .. } => false,
        }
    }

    /// Puts the pull request's address where the texts have its placeholder.
    pub fn with_pull_request(mut self, url: &str) -> Self {
        for text in self.texts() {
            *text = text.replace(PULL_REQUEST_PLACEHOLDER, url);
        }
        self
    }

    /// Puts the review's address where the texts have its placeholder.
    pub fn with_review(mut self, url: &str) -> Self {
        for text in self.texts() {
            *text = text.replace(REVIEW_PLACEHOLDER, url);
        }
        self
    }

    /// Names the commit that is on the branch where the forge has made it of the one that was planned, and says in the pull
    /// request and in comments how it was published.
    pub fn with_published(mut self, planned: &CommitId, published: &Published) -> Self {
        if let Self::SetCheck { commit, .. } = &mut self
            && commit == planned
        {
            commit.clone_from(&published.commit);
        }
        let says_how = matches!(self, Self::EnsurePullRequest { .. } | Self::EnsureComment { .. });
        for text in self.texts().into_iter().filter(|text| text.contains(planned.as_str())) {
            *text = text.replace(planned.as_str(), published.commit.as_str());
            if says_how {
                *text = report::with_commit(text, planned, published);
            }
        }
        self
    }

    /// The texts in which something may be named that is known only once what is planned before is done.
    fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::EnsurePullRequest { body, .. } | Self::EnsureComment { body, .. } | Self::SetCheck { summary: body, .. } => {
                vec![body]
            }
            Self::AnswerThreads { answers, .. } => answers.iter_mut().map(|answer| &mut answer.body).collect(),
            Self::PushBranch { .. } | Self::IntroducePull { .. } | Self::EnsureReview { .. } | Self::React { .. } => Vec::new(),
        }
    }
}

fn draft_of_old() -> bool {
    true
}

/// What the effect is called that sets a check run.
const CHECK: &str = "check";

/// The name of an effect, the same however often it is tried: job and effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(String);

impl EffectKey {
    fn of(job: &JobId, name: &str) -> Self {
        Self(format!("{job}/{name}"))
    }

    /// The job whose effect has this name, if it may be one's.
    pub fn job_of(text: &str) -> Option<JobId> {
        text.split_once('/').and_then(|(job, _)| JobId::parse(job))
    }

    /// The key as text, which goes into check runs' `external_id` and, as [`marker`](Self::marker), into comments.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hidden line by which a comment is found again, and by which a text is known as ours.
    pub fn marker(&self) -> String {
        format!("{MARKER_START}{} -->", self.0)
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How each of our hidden markers begins; a text that has it was written by us.
pub const MARKER_START: &str = "<!-- patchwright:";

/// What came of an effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Where people can look at it.
    pub url: Option<String>,
    /// Of a branch, what is on it. None where the forge was not asked to sign, and in journals from before it could be: it is the
    /// commit that was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
}

/// A commit on its branch, as it was read there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Its name on the branch: where the forge has made it, another one than that of the proposal, of the same files on the same base.
    pub commit: CommitId,
    /// Whether the forge said, when it was read back, that its signature is verified.
    pub is_verified: bool,
    /// Why it is not, where that is known; from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a request is called: its title, or the first line of its text. To be made plain before it is shown.
pub fn title_of(request: &Request) -> String {
    let title = if request.title.is_blank() { &request.body } else { &request.title };
    title.raw().trim_start().lines().next().unwrap_or_default().to_owned()
}

/// Everything that is to be done about the end of a run, in order.
///
/// A proposal is published only with its verdict, and not where the run was stopped or forbidden.
pub fn plan(story: &Story<'_>) -> Vec<Effect> {
    match &story.spec.task {
        Task::ProvePullRequest { pull_request, .. } => return telling(story, *pull_request),
        Task::Reply { issue, reply } => {
            return vec![Effect::EnsureComment { issue: *issue, body: report::replies::comment(story, reply) }];
        }
        Task::TriageCheck { head, check, repair, .. } => return triaging(story, head, check, repair),
        Task::FixIssue { .. } | Task::Answer { .. } | Task::WorkOnPull { .. } | Task::Local { .. } => {}
    }
    if let Some(reviewed) = story.reviewed {
        return report::reviewed::effects(story, reviewed);
    }
    let is_for_people = match story.conclusion.outcome {
        Outcome::Proven | Outcome::Unproven | Outcome::TimedOut | Outcome::BudgetExhausted => true,
        Outcome::Answered
        | Outcome::NoChange
        | Outcome::NeedsInput
        | Outcome::EnvironmentFailed
        | Outcome::BlockedByPolicy
        | Outcome::Superseded
        | Outcome::Cancelled
        | Outcome::Failed => false,
    };
    let judged = story.judged.filter(|_| is_for_people);
    if let Some((judged, issue)) = judged.zip(story.spec.task.issue())
        && let Some((from, branch)) = onto(story, judged)
    {
        let Proposal { commit, pack, .. } = &judged.proposal;
        let (branch, from) = (branch.to_owned(), Some(from.clone()));
        let push = Effect::PushBranch { branch, commit: commit.clone(), pack: *pack, from };
        let told = Effect::EnsureComment { issue, body: report::onto(story, judged) };
        let threads = report::threads::effect(story, Some(judged));
        return [push, check_of_patch(story, judged)].into_iter().chain(threads).chain([told]).collect();
    }
    let mut effects = Vec::new();
    let leaves_branch = !matches!(story.spec.task, Task::Local { leaves_branch: false, .. });
    if let Some(judged) = judged.filter(|_| leaves_branch) {
        let branch = branch(story.spec, story.title);
        let commit = judged.proposal.commit.clone();
        let pack = judged.proposal.pack;
        effects.push(Effect::PushBranch { branch: branch.clone(), commit: commit.clone(), pack, from: None });
        if story.spec.task.issue().is_some() {
            let below = story.spec.task.works_on().and_then(|(_, branch)| branch);
            let base = below.unwrap_or_else(|| story.spec.repo.default_branch()).to_owned();
            effects.extend(opened::effects(story, judged, branch, base));
            effects.push(check_of_patch(story, judged));
        }
    }
    effects.extend(report::threads::effect(story, judged));
    if let Some(issue) = story.spec.task.issue() {
        effects.push(Effect::EnsureComment { issue, body: report::farewell(story, judged.is_some()) });
    }
    effects
}

/// The last commit of our own pull request and its branch, where a patch goes onto that: nobody has pushed there meanwhile, and
/// it is sound. All else goes on top, where people see what it is before they take it.
pub(crate) fn onto<'a>(story: &Story<'a>, judged: &Judged) -> Option<(&'a CommitId, &'a str)> {
    story.spec.task.goes_onto().filter(|_| story.moved_to.is_none() && story.is_sound(judged))
}

/// What is said of a patch beside its commit.
fn check_of_patch(story: &Story<'_>, judged: &Judged) -> Effect {
    let (title, summary) = report::check(story, judged);
    Effect::SetCheck {
        name: CheckName::Patch,
        commit: judged.proposal.commit.clone(),
        outcome: story.conclusion.outcome,
        title,
        summary,
        text: report::check_details(story, &judged.verdict),
        annotations: report::annotations(&judged.verdict),
        buttons: Vec::new(),
    }
}

/// The end of a run that looks into a red check: what it is about, and the repair on top of it where there is one that is proven.
/// Nobody has asked for it, so that nothing less is put before people.
fn triaging(story: &Story<'_>, head: &CommitId, check: &CheckRef, repair: &Repair) -> Vec<Effect> {
    let is_proven = story.conclusion.outcome == Outcome::Proven;
    let mut effects = Vec::new();
    if let (Some(base), Some(judged), true) = (repair.branch(), story.judged, is_proven) {
        let Proposal { commit, pack, .. } = &judged.proposal;
        let push = |branch: &str, from| Effect::PushBranch { branch: branch.into(), commit: commit.clone(), pack: *pack, from };
        if let Some((from, branch)) = onto(story, judged) {
            effects.extend([push(branch, Some(from.clone())), check_of_patch(story, judged)]);
        } else {
            let branch = branches::of_repair(story.spec, base);
            effects.push(push(&branch, None));
            effects.extend(opened::effects(story, judged, branch, base.to_owned()));
        }
    }
    effects.push(report::triaged::check(story, head, check));
    effects
}

/// The end of a run that proves somebody else's pull request: a check run on the commit, where one was fetched, and a comment.
fn telling(story: &Story<'_>, pull_request: IssueNumber) -> Vec<Effect> {
    let outcome = story.conclusion.outcome;
    let is_judged = matches!(outcome, Outcome::Proven | Outcome::Unproven);
    let verdict = story.judged.filter(|_| is_judged).map(|judged| &judged.verdict);
    let mut effects = Vec::new();
    if let Some(commit) = story.proposed {
        let (title, summary) = report::adopted::check(story, verdict);
        effects.push(Effect::SetCheck {
            name: CheckName::Proof,
            commit: commit.clone(),
            outcome,
            title,
            summary,
            text: verdict.and_then(|verdict| report::check_details(story, verdict)),
            annotations: verdict.map(report::annotations).unwrap_or_default(),
            buttons: Vec::new(),
        });
    }
    effects.push(Effect::EnsureComment { issue: pull_request, body: report::adopted::comment(story, verdict) });
    effects
}

#[cfg(test)]
mod tests;
