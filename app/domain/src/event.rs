//! What happened, in our own words: who did what in which repository.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::Button;
use crate::job::JobId;
use crate::journal::CommitId;
use crate::policy::schedule::Schedule;

/// Text that somebody outside wrote. It has no `Display` and no `Deref`: only the brief, the report and the command
/// parser, all in this crate, may look inside, and each quotes or neutralises what it takes out.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untrusted(String);

impl Untrusted {
    /// Wraps text from outside.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether there is nothing but white space.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    pub(crate) fn raw(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Untrusted({} bytes)", self.0.len())
    }
}

/// A value from outside that does not have the form it must have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {problem}")]
pub struct Malformed {
    /// What was looked at.
    pub what: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// The name that GitHub gives a delivery (`X-GitHub-Delivery`); the same when it is delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(String);

/// The longest delivery id that is accepted, in bytes; GitHub sends 36.
pub const DELIVERY_ID_BYTES_MAX: usize = 100;

impl DeliveryId {
    /// Checks the form: 1 to 100 letters, digits, `-`, `_`, `.`, `:` or `/`.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn new(id: impl Into<String>) -> Result<Self, Malformed> {
        let id = id.into();
        let problem = if id.is_empty() {
            "nothing in it"
        } else if id.len() > DELIVERY_ID_BYTES_MAX {
            "more than 100 bytes"
        } else if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b)) {
            "characters that no delivery id has"
        } else {
            return Ok(Self(id));
        };
        Err(Malformed { what: "the delivery id", problem })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A webhook as it came in, before anybody has looked at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawDelivery {
    /// Its name.
    pub id: DeliveryId,
    /// What kind of event GitHub says it is (`X-GitHub-Event`).
    pub event: String,
    /// The exact bytes; the signature is over them.
    pub body: Vec<u8>,
    /// When it came.
    pub received_at: Timestamp,
}

/// An issue's number in its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IssueNumber(pub u64);

impl fmt::Display for IssueNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A repository, by the numbers and names that addresses are built from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RepoRef {
    /// GitHub's number; it survives renames.
    pub id: u64,
    /// The App's installation that gives access.
    pub installation: u64,
    owner: String,
    name: String,
    default_branch: String,
}

impl RepoRef {
    /// Checks the names, which become parts of addresses and paths.
    ///
    /// # Errors
    /// [`Malformed`] for an owner or name that GitHub would not give, or a branch that git would not take.
    pub fn new(id: u64, installation: u64, owner: &str, name: &str, default_branch: &str) -> Result<Self, Malformed> {
        if i64::try_from(id.max(installation)).is_err() {
            return Err(Malformed {
                what: "the repository's or installation's number",
                problem: "a size that GitHub does not give",
            });
        }
        check_slug("the repository's owner", owner)?;
        check_slug("the repository's name", name)?;
        check_branch(default_branch)?;
        Ok(Self { id, installation, owner: owner.into(), name: name.into(), default_branch: default_branch.into() })
    }

    /// The user or organisation.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The repository's name below its owner.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same repository, of which another branch is meant.
    ///
    /// # Errors
    /// [`Malformed`] for a branch that git would not take.
    pub fn on_branch(&self, branch: &str) -> Result<Self, Malformed> {
        check_branch(branch)?;
        Ok(Self { default_branch: branch.into(), ..self.clone() })
    }

    /// The branch that pull requests go to.
    pub fn default_branch(&self) -> &str {
        &self.default_branch
    }
}

impl fmt::Display for RepoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

fn check_slug(what: &'static str, slug: &str) -> Result<(), Malformed> {
    let well_formed = !slug.is_empty()
        && slug.len() <= 100
        && !matches!(slug, "." | "..")
        && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if well_formed { Ok(()) } else { Err(Malformed { what, problem: "a form that GitHub does not give" }) }
}

/// Follows git-check-ref-format for the part below `refs/heads/`.
fn check_branch(branch: &str) -> Result<(), Malformed> {
    let well_formed = !branch.is_empty()
        && branch.len() <= 244
        && !branch.starts_with('-')
        && !branch.contains("..")
        && !branch.contains("@{")
        && branch != "@"
        && !branch.ends_with('.')
        && branch.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
        && !branch.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c));
    if well_formed { Ok(()) } else { Err(Malformed { what: "the default branch", problem: "a form that git does not take" }) }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// GitHub's number; it survives renames.
    pub id: u64,
    /// The name to show and to ask the permission of.
    pub login: String,
    /// Whether GitHub says that it is a bot.
    pub is_bot: bool,
}

/// What somebody may do in a repository, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Nothing, or not known.
    None,
    /// May read.
    Read,
    /// May sort issues.
    Triage,
    /// May push.
    Write,
    /// May manage without the dangerous parts.
    Maintain,
    /// May do all.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        })
    }
}

/// Something that happened and that the policy may care for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The delivery that told us.
    pub delivery: DeliveryId,
    /// Where.
    pub repo: RepoRef,
    /// Who.
    pub actor: Actor,
    /// When, by GitHub's clock where the payload says so.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// What the issue said then, where the delivery tells it.
    pub described: Option<Described>,
    /// The commit that a pull request proposes, where the delivery tells of one that nobody has told of before.
    pub proposes: Option<CommitId>,
}

/// The things that can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Somebody has written something on an issue, or has changed what was written there.
    Written {
        /// The issue.
        issue: IssueNumber,
        /// Where on it.
        place: Place,
        /// What stands there now.
        text: Text,
        /// What stood there before, if it was changed.
        before: Option<Text>,
        /// Whether the issue is a pull request's conversation.
        on_pull_request: bool,
        /// The App through which it was written, if any.
        via_app: Option<u64>,
        /// Whether it is a review by which somebody wants changes of a pull request from a branch that is called as ours are.
        wants_changes: bool,
    },
    /// A label was put on an issue.
    IssueLabeled {
        /// The issue.
        issue: IssueNumber,
        /// The label's name.
        label: String,
        /// Whether the issue is open.
        is_open: bool,
        /// Whether the issue is a pull request's conversation.
        on_pull_request: bool,
    },
    /// An issue was assigned to somebody.
    IssueAssigned {
        /// The issue.
        issue: IssueNumber,
        /// The login of who is to do it now.
        assignee: String,
        /// Whether the issue is open.
        is_open: bool,
        /// Whether the issue is a pull request's conversation.
        on_pull_request: bool,
    },
    /// Somebody was asked to review a pull request.
    ReviewRequested {
        /// The pull request.
        pull_request: IssueNumber,
        /// The login of who is to review it.
        reviewer: String,
        /// Whether the pull request is open.
        is_open: bool,
    },
    /// A program of the repository's has sent a command, by a `repository_dispatch` or among the inputs of a `workflow_dispatch`.
    Dispatched {
        /// The issue that it is about.
        issue: IssueNumber,
        /// Whether that is said to be a pull request.
        on_pull_request: bool,
        /// The command, without the mention.
        command: Untrusted,
    },
    /// It is time for what the policy file has done at certain times.
    Scheduled {
        /// What it said when this was handed in.
        schedule: Schedule,
    },
    /// Somebody has pushed to a pull request, or opened it again.
    Pushed {
        /// The pull request.
        pull_request: IssueNumber,
    },
    /// An issue or pull request was closed.
    IssueClosed {
        /// The issue.
        issue: IssueNumber,
    },
    /// A check of a commit has ended, and not well. It may be told of several times, and more or less exactly.
    CheckFailed {
        /// The commit.
        head: CommitId,
        /// Which check, where that is told.
        check: Option<CheckRef>,
        /// The App whose check it is, where that is told.
        app: Option<u64>,
    },
    /// Somebody has asked for a check once more that a job has set.
    CheckAsked {
        /// GitHub's number of the check.
        check: u64,
        /// The App whose check it is, where that is told.
        app: Option<u64>,
        /// The job that has set it, by what it is called at the forge; nobody else can know it yet.
        job: JobId,
        /// A pull request whose last commit it is of, where one is told; those of forks are not.
        pull_request: Option<IssueNumber>,
        /// The button beside it that was pressed; it is asked for once more where there is none.
        button: Option<Button>,
        /// What is asked for, once that was looked for.
        wanted: Option<OfCheck>,
    },
}

/// What is asked for beside a check that a job has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfCheck {
    /// The proof once more.
    Prove {
        /// Of this pull request.
        pull_request: IssueNumber,
        /// Whether it was to mend what does not build or load.
        is_about_the_build: bool,
    },
    /// That a red check is mended which was looked into.
    Mend {
        /// The pull request.
        pull_request: IssueNumber,
        /// Its commit that was looked at.
        head: CommitId,
        /// The check.
        check: CheckRef,
    },
}

impl OfCheck {
    /// The pull request that it is about.
    pub fn pull_request(&self) -> IssueNumber {
        match self {
            Self::Prove { pull_request, .. } | Self::Mend { pull_request, .. } => *pull_request,
        }
    }
}

/// A check of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRef {
    /// GitHub's number of it; that of the job as well, where it is one of GitHub Actions.
    pub id: u64,
    /// What it is called.
    pub name: Untrusted,
}

/// What somebody has written on an issue. Nothing in a title, which is shown as it is, opens or closes anything in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// An issue's title; a comment has none.
    pub title: Option<Untrusted>,
    /// Markdown.
    pub body: Untrusted,
}

/// What an issue said at a moment: its title and text, as far as anybody is told of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    title: Untrusted,
    body: Untrusted,
}

/// How much of an issue's text is told, in characters.
pub const DESCRIBED_CHARS_MAX: usize = 20_000;

impl Described {
    /// Keeps what is told of a title and a text.
    pub fn new(title: &str, body: &str) -> Self {
        let kept = |text: &str| Untrusted::new(text.chars().take(DESCRIBED_CHARS_MAX).collect::<String>());
        Self { title: kept(title), body: kept(body) }
    }

    /// Takes the title and the text out.
    pub fn into_parts(self) -> (Untrusted, Untrusted) {
        (self.title, self.body)
    }
}

/// Where somebody has written on an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its own title and text.
    Description,
    /// In a comment, by GitHub's number of it.
    Comment(u64),
    /// In what a review says of a pull request as a whole, by GitHub's number of it.
    Review(u64),
    /// Beside a line of a pull request.
    ReviewComment {
        /// GitHub's number of it.
        comment: u64,
        /// GitHub's number of the review that it is part of, where it tells; an answer in a thread is one by itself.
        review: Option<u64>,
    },
}

impl EventKind {
    /// The issue that the event is about, where it tells.
    pub fn issue(&self) -> Option<IssueNumber> {
        match self {
            Self::Written { issue, .. }
            | Self::IssueLabeled { issue, .. }
            | Self::IssueAssigned { issue, .. }
            | Self::ReviewRequested { pull_request: issue, .. }
            | Self::Dispatched { issue, .. }
            | Self::Pushed { pull_request: issue }
            | Self::IssueClosed { issue } => Some(*issue),
            Self::Scheduled { schedule } => Some(schedule.issue),
            Self::CheckAsked { wanted, .. } => wanted.as_ref().map(OfCheck::pull_request),
            Self::CheckFailed { .. } => None,
        }
    }

    /// Whether it is about what a pull request proposes.
    pub fn is_of_pull(&self) -> bool {
        match self {
            Self::Written { on_pull_request, .. }
            | Self::IssueLabeled { on_pull_request, .. }
            | Self::IssueAssigned { on_pull_request, .. }
            | Self::Dispatched { on_pull_request, .. } => *on_pull_request,
            Self::Scheduled { schedule } => schedule.on_pull_request,
            Self::ReviewRequested { .. } | Self::Pushed { .. } => true,
            Self::CheckAsked { wanted, .. } => wanted.is_some(),
            Self::IssueClosed { .. } | Self::CheckFailed { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests;
