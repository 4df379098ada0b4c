//! What is to be done, for whom, and within which limits.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::event::{Actor, CheckRef, DeliveryId, Described, IssueNumber, RepoRef, Role, Untrusted};
use crate::journal::CommitId;
use crate::policy::schedule::Schedule;

mod budget;
mod opening;

pub use budget::{Allowance, Budget, Usage};
pub use opening::{Drafts, Opening};

/// What a job is about, so that two deliveries of one happening make one job: repository, object and command.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobKey(String);

impl JobKey {
    /// The key of a command in an issue comment: a comment starts at most one job.
    pub fn of_comment(repo: &RepoRef, issue: IssueNumber, comment_id: u64) -> Self {
        Self(format!("{}/issue/{issue}/comment/{comment_id}", repo.id))
    }

    /// The key of a command in what a review says of a pull request.
    pub fn of_review(repo: &RepoRef, pull_request: IssueNumber, review_id: u64) -> Self {
        Self(format!("{}/issue/{pull_request}/review/{review_id}", repo.id))
    }

    /// The review whose command or wish this is, if it is one's.
    pub fn review(&self) -> Option<u64> {
        let (_, review) = self.0.split_once("/review/")?;
        review.parse().ok()
    }

    /// The key of a command beside a line of a pull request.
    pub fn of_review_comment(repo: &RepoRef, pull_request: IssueNumber, comment_id: u64) -> Self {
        Self(format!("{}/issue/{pull_request}/review-comment/{comment_id}", repo.id))
    }

    /// What is said of the policy file that a commit of a pull request changes; no job is of it.
    pub fn of_policy(repo: &RepoRef, pull_request: IssueNumber, head: &CommitId) -> Self {
        Self(format!("{}/issue/{pull_request}/policy/{head}", repo.id))
    }

    /// The key of a command in an issue's own text.
    pub fn of_description(repo: &RepoRef, issue: IssueNumber) -> Self {
        Self(format!("{}/issue/{issue}/description", repo.id))
    }

    /// The key of what is said about this one, by what is said: an edit that mends a command is heard, and the same is said once.
    pub fn of_reply(&self, said: &str) -> Self {
        Self(format!("{}/reply/{}", self.0, hex::encode(&Sha256::digest(said.as_bytes())[..8])))
    }

    /// The key of a label put on an issue at a moment: putting it on again later is a new wish.
    pub fn of_label(repo: &RepoRef, issue: IssueNumber, label: &str, at: Timestamp) -> Self {
        Self(format!("{}/issue/{issue}/label/{label}/{}", repo.id, at.as_millisecond()))
    }

    /// The key of an issue that was assigned at a moment: doing it again later is a new wish.
    pub fn of_assignment(repo: &RepoRef, issue: IssueNumber, at: Timestamp) -> Self {
        Self(format!("{}/issue/{issue}/assigned/{}", repo.id, at.as_millisecond()))
    }

    /// The key of a review that somebody was asked for at a moment: asking again later is a new wish.
    pub fn of_review_request(repo: &RepoRef, pull_request: IssueNumber, at: Timestamp) -> Self {
        Self(format!("{}/issue/{pull_request}/review-requested/{}", repo.id, at.as_millisecond()))
    }

    /// The key of a command that a program has sent: each that it sends is a new wish.
    pub fn of_dispatch(repo: &RepoRef, issue: IssueNumber, delivery: &DeliveryId) -> Self {
        Self(format!("{}/issue/{issue}/dispatch/{}", repo.id, delivery.as_str()))
    }

    /// The key of what the policy file has done at a time, by the delivery that tells of that time.
    pub fn of_schedule(repo: &RepoRef, issue: IssueNumber, delivery: &DeliveryId) -> Self {
        Self(format!("{}/issue/{issue}/schedule/{}", repo.id, delivery.as_str()))
    }

    /// The key of a check that somebody asks for once more: who does it again later wants it again.
    pub fn of_asked_check(repo: &RepoRef, pull_request: IssueNumber, check: u64, delivery: &DeliveryId) -> Self {
        Self(format!("{}/issue/{pull_request}/check/{check}/{}", repo.id, delivery.as_str()))
    }

    /// The key of a check that is red on a commit, however that is told of. What the check is called is its repository's choice.
    pub fn of_check(repo: &RepoRef, head: &CommitId, name: &Untrusted, suite: Option<u64>) -> Self {
        let name = hex::encode(&Sha256::digest(name.raw().as_bytes())[..8]);
        Self(format!("{}/commit/{head}/check/{name}/{}", repo.id, suite.unwrap_or_default()))
    }

    /// Whether a red check of this commit is looked into.
    pub fn is_of_check_of(&self, head: &CommitId) -> bool {
        self.is_of_check() && self.0.split('/').nth(2) == Some(head.as_str())
    }

    /// Whether a red check is looked into, for which nobody has asked.
    pub fn is_of_check(&self) -> bool {
        self.0.split('/').nth(1) == Some("commit")
    }

    /// The key of a task given on the command line.
    pub fn of_command_line(base: &str, task: &str, at: Timestamp) -> Self {
        let digest = Sha256::digest(task.as_bytes());
        Self(format!("local/{base}/{}/{}", hex::encode(&digest[..8]), at.as_millisecond()))
    }

    /// A key that was one when it was stored, whatever program did that.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The key as text, for a database column.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A job's name: sixteen hexadecimal digits that follow from its key, so that no crash can name it twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// Derives the name from the key.
    pub fn of(key: &JobKey) -> Self {
        Self(hex::encode(&Sha256::digest(key.0.as_bytes())[..8]))
    }

    /// Reads sixteen hexadecimal digits.
    pub fn parse(hexadecimal: &str) -> Option<Self> {
        let well_formed = hexadecimal.len() == 16 && hexadecimal.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        well_formed.then(|| Self(hexadecimal.to_owned()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for branch names and headings.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of work a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Change the code so that the issue is solved.
    FixIssue {
        /// The issue.
        issue: IssueNumber,
        /// What was written behind the command, if anything.
        request: Option<Untrusted>,
    },
    /// Answer a question about an issue, or plan what would solve it; nothing is changed.
    Answer {
        /// The issue.
        issue: IssueNumber,
        /// What was written behind the command, if anything.
        request: Option<Untrusted>,
        /// Which of the two.
        mode: Mode,
    },
    /// Say something for which neither the repository nor a model is needed.
    Reply {
        /// The issue or pull request.
        issue: IssueNumber,
        /// What is said.
        reply: Reply,
    },
    /// Run the proof on what somebody has proposed in a pull request, without a model.
    ProvePullRequest {
        /// The pull request; until it is looked at, this may be an issue as well.
        pull_request: IssueNumber,
        /// Whether it is to mend what does not build or load, so that such a failure of the base counts as one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_about_the_build: bool,
    },
    /// Find out what a red check of a pull request is about, by running its job again, without a model.
    TriageCheck {
        /// The pull request.
        pull_request: IssueNumber,
        /// Its last commit, whose check is red.
        head: CommitId,
        /// The check.
        check: CheckRef,
        /// What is done where the commit's own change is what fails.
        #[serde(default, skip_serializing_if = "Repair::is_unwanted")]
        repair: Repair,
    },
    /// Do what was asked on a pull request, on what it proposes.
    WorkOnPull {
        /// The pull request.
        pull_request: IssueNumber,
        /// Its last commit when it was asked: what is pushed later is not meant.
        head: CommitId,
        /// Its branch, where that is one of the same repository: what is made goes there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        /// Whether it is our own, so that what is made goes onto its branch and not on top of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_own: bool,
        /// What was asked, if it is not the pull request itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Untrusted>,
        /// How it is worked on.
        mode: Mode,
    },
    /// Do what was asked on the command line, on a local checkout.
    Local {
        /// The operator's own words.
        request: Untrusted,
        /// Whether the work is left as a branch in the checkout.
        leaves_branch: bool,
        /// How it is worked on.
        #[serde(default)]
        mode: Mode,
    },
}

/// What is done about a red check that is red for the commit's own change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "repair", rename_all = "snake_case")]
pub enum Repair {
    /// It is told of.
    #[default]
    Unwanted,
    /// An agent mends it, in a pull request of its own that goes to the branch of the red one, or on that branch itself.
    Wanted {
        /// That branch, which is one of the same repository.
        branch: String,
        /// Whether it is the branch of a pull request that this App has opened, so that the repair goes onto it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_own: bool,
    },
    /// It is wanted, and only told of.
    Withheld {
        /// Why, in a sentence of ours.
        because: String,
    },
}

impl Repair {
    fn is_unwanted(&self) -> bool {
        *self == Self::Unwanted
    }

    /// The branch that a repair goes to, where one is to be made.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Wanted { branch, .. } => Some(branch),
            Self::Unwanted | Self::Withheld { .. } => None,
        }
    }
}

/// Something short that is said to somebody who may give commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Which commands there are.
    Help {
        /// How we are called, with its `@`.
        mention: String,
    },
    /// What is under way there when it is written.
    Status,
    /// Why nothing comes of a command.
    Refused {
        /// In our own words: a sentence or two.
        because: String,
    },
}

/// How an agent works on a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Make the problem visible, then change the files until it is gone.
    #[default]
    Fix,
    /// Answer a question, with the places in the files that the answer rests on.
    Ask,
    /// Say how the task would be done.
    Plan,
    /// Say what is wrong with the code.
    Review,
}

impl Mode {
    /// Its name in journals, on the command line and in headings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fix => "fix",
            Self::Ask => "ask",
            Self::Plan => "plan",
            Self::Review => "review",
        }
    }

    /// Whether files may be changed. Where they may not, the sandbox keeps them as they are.
    pub fn edits(self) -> bool {
        match self {
            Self::Fix => true,
            Self::Ask | Self::Plan | Self::Review => false,
        }
    }
}

impl Task {
    /// The issue or pull request that is worked on, if there is one: on each one task after the other. A reply is no work, and
    /// waits for none.
    pub fn issue(&self) -> Option<IssueNumber> {
        match self {
            Self::FixIssue { issue, .. }
            | Self::Answer { issue, .. }
            | Self::ProvePullRequest { pull_request: issue, .. }
            | Self::TriageCheck { pull_request: issue, .. }
            | Self::WorkOnPull { pull_request: issue, .. } => Some(*issue),
            Self::Reply { .. } | Self::Local { .. } => None,
        }
    }

    /// The issue or pull request that the task came from, if it came from one.
    pub fn place(&self) -> Option<IssueNumber> {
        match self {
            Self::Reply { issue, .. } => Some(*issue),
            Self::FixIssue { .. }
            | Self::Answer { .. }
            | Self::ProvePullRequest { .. }
            | Self::TriageCheck { .. }
            | Self::WorkOnPull { .. }
            | Self::Local { .. } => self.issue(),
        }
    }

    /// What was written behind the command, if anything.
    pub fn request(&self) -> Option<&Untrusted> {
        match self {
            Self::FixIssue { request, .. } | Self::Answer { request, .. } | Self::WorkOnPull { request, .. } => request.as_ref(),
            Self::Local { request, .. } => Some(request),
            Self::ProvePullRequest { .. } | Self::TriageCheck { .. } | Self::Reply { .. } => None,
        }
    }

    /// The command that asks for it, or what it is called where none does.
    pub fn command(&self) -> &'static str {
        match self {
            Self::ProvePullRequest { .. } => "prove",
            Self::TriageCheck { .. } => "triage",
            Self::Reply { .. } => "reply",
            Self::FixIssue { .. } | Self::Answer { .. } | Self::WorkOnPull { .. } | Self::Local { .. } => self.mode().as_str(),
        }
    }

    /// The command that asks for it, where somebody does: what mends a red check is a fix.
    pub fn asked_by(&self) -> &'static str {
        match self {
            Self::TriageCheck { .. } => Mode::Fix.as_str(),
            Self::FixIssue { .. }
            | Self::Answer { .. }
            | Self::ProvePullRequest { .. }
            | Self::WorkOnPull { .. }
            | Self::Reply { .. }
            | Self::Local { .. } => self.command(),
        }
    }

    /// Of a red check that is looked into, its commit, and the branch that a repair goes to, where it is to be mended as well.
    pub fn triages(&self) -> Option<(&CommitId, Option<&str>)> {
        match self {
            Self::TriageCheck { head, repair, .. } => Some((head, repair.branch())),
            Self::FixIssue { .. }
            | Self::Answer { .. }
            | Self::ProvePullRequest { .. }
            | Self::WorkOnPull { .. }
            | Self::Reply { .. }
            | Self::Local { .. } => None,
        }
    }

    /// Of a pull request that is worked on, its commit, and its branch where that may be gone to.
    pub fn works_on(&self) -> Option<(&CommitId, Option<&str>)> {
        match self {
            Self::WorkOnPull { head, branch, .. } => Some((head, branch.as_deref())),
            Self::FixIssue { .. }
            | Self::Answer { .. }
            | Self::ProvePullRequest { .. }
            | Self::TriageCheck { .. }
            | Self::Reply { .. }
            | Self::Local { .. } => None,
        }
    }

    /// Of a pull request of ours that is changed, its commit, and the branch that what is made goes onto.
    pub fn goes_onto(&self) -> Option<(&CommitId, &str)> {
        match self {
            Self::WorkOnPull { head, branch: Some(branch), is_own: true, mode: Mode::Fix, .. }
            | Self::TriageCheck { head, repair: Repair::Wanted { branch, is_own: true }, .. } => Some((head, branch)),
            Self::WorkOnPull { .. }
            | Self::FixIssue { .. }
            | Self::Answer { .. }
            | Self::ProvePullRequest { .. }
            | Self::TriageCheck { .. }
            | Self::Reply { .. }
            | Self::Local { .. } => None,
        }
    }

    /// Of a pull request that is reviewed, its commit.
    pub fn reviews(&self) -> Option<&CommitId> {
        self.works_on().filter(|_| self.mode() == Mode::Review).map(|(head, _)| head)
    }

    /// How it is worked on.
    pub fn mode(&self) -> Mode {
        match self {
            Self::FixIssue { .. } | Self::ProvePullRequest { .. } | Self::TriageCheck { .. } => Mode::Fix,
            Self::Reply { .. } => Mode::Ask,
            Self::Answer { mode, .. } | Self::WorkOnPull { mode, .. } | Self::Local { mode, .. } => *mode,
        }
    }

    /// Whether a base that does not build or load counts as one whose tests fail.
    pub fn is_about_the_build(&self) -> bool {
        match self {
            Self::ProvePullRequest { is_about_the_build, .. } => *is_about_the_build,
            Self::FixIssue { .. }
            | Self::Answer { .. }
            | Self::TriageCheck { .. }
            | Self::WorkOnPull { .. }
            | Self::Reply { .. }
            | Self::Local { .. } => false,
        }
    }

    /// Whether the change is there already, made by somebody else: no agent works, and nothing is published but the result.
    pub fn adopts(&self) -> bool {
        match self {
            Self::ProvePullRequest { .. } => true,
            Self::FixIssue { .. }
            | Self::Answer { .. }
            | Self::TriageCheck { .. }
            | Self::WorkOnPull { .. }
            | Self::Reply { .. }
            | Self::Local { .. } => false,
        }
    }

    /// Whether a pull request may come of it.
    pub fn may_open(&self) -> bool {
        self.asks_a_model() && self.mode().edits()
    }

    /// Whether a model works on it.
    pub fn asks_a_model(&self) -> bool {
        match self {
            Self::FixIssue { .. } | Self::Answer { .. } | Self::WorkOnPull { .. } | Self::Local { .. } => true,
            Self::TriageCheck { repair, .. } => repair.branch().is_some(),
            Self::ProvePullRequest { .. } | Self::Reply { .. } => false,
        }
    }
}

/// A job as it was decided; it never changes afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// What makes it one of a kind.
    pub key: JobKey,
    /// The repository.
    pub repo: RepoRef,
    /// The work.
    pub task: Task,
    /// Who asked for it.
    pub requested_by: Actor,
    /// What that person was allowed to do in the repository at that time.
    pub role: Role,
    /// The least role that it took; `None` where nobody has asked for it. It is asked for again before anything comes of the work.
    #[serde(default = "needed_of_old")]
    pub needed: Role,
    /// The delivery that asked for it.
    pub delivery: DeliveryId,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// The limits.
    pub budget: Budget,
    /// What its issue said when it was asked for, where that is known: what is written later is nobody's request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Described>,
    /// The job that made the plan which is to be carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<JobId>,
    /// How the pull request is opened that may come of it.
    #[serde(default, skip_serializing_if = "Opening::is_plain")]
    pub opening: Opening,
    /// The entry of the policy file that asked for it, if nobody else did: that has to stand there still before anything comes of the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

/// Of jobs that were stored without it: more than any policy lets do without.
fn needed_of_old() -> Role {
    Role::Write
}

/// For how long what a program asked for lets others go first; so it comes late, and still comes where people never stop asking.
const GIVES_WAY: SignedDuration = SignedDuration::from_mins(15);
/// Replies go before all that has waited for less than this: they take a moment, and whoever asks how things are is waiting.
const GOES_BEFORE: SignedDuration = SignedDuration::from_hours(-24);

impl JobSpec {
    /// The job's name.
    pub fn id(&self) -> JobId {
        JobId::of(&self.key)
    }

    /// For how long it lets jobs go first that came after it: people wait for an answer, programs do not. One that goes before jobs
    /// that came before it gives way for less than no time.
    pub fn gives_way(&self) -> SignedDuration {
        if matches!(self.task, Task::Reply { .. }) {
            GOES_BEFORE
        } else if self.requested_by.is_bot {
            GIVES_WAY
        } else {
            SignedDuration::ZERO
        }
    }
}

#[cfg(test)]
mod tests;
