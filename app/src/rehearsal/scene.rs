//! What the rehearsed GitHub holds, as plain data: people, repositories, issues, pull requests, checks.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use jiff::Timestamp;
use serde_json::Value;

/// The number of a repository, as in `/repositories/ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryId(pub u64);

/// A file of a commit: its path, its bytes, and whether it may be executed.
pub type File<'a> = (&'a str, &'a [u8], bool);

/// What kind of account a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// A person.
    User,
    /// An organization.
    Organization,
    /// An App's own user, whose login ends in `[bot]`.
    Bot,
}

/// An account with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The account's number.
    pub id: u64,
    /// The name as in `@login`.
    pub login: String,
    /// What kind of account it is.
    pub account: Account,
}

/// What a user may do in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing: what everybody is who was given nothing.
    None,
    /// Read.
    Read,
    /// Read, and sort issues.
    Triage,
    /// Push.
    Write,
    /// Push, and keep house.
    Maintain,
    /// Everything.
    Admin,
    /// An organization's own role, which builds on one of GitHub's.
    Custom {
        /// What `role_name` says.
        name: String,
        /// What `permission` says: `read`, `write` or `admin`.
        permission: &'static str,
    },
}

impl Role {
    /// Gives the two words of the permission endpoint: the coarse `permission` and the exact `role_name`.
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Self::None => ("none", "none"),
            Self::Read => ("read", "read"),
            Self::Triage => ("read", "triage"),
            Self::Write => ("write", "write"),
            Self::Maintain => ("write", "maintain"),
            Self::Admin => ("admin", "admin"),
            Self::Custom { name, permission } => (permission, name),
        }
    }
}

/// Open or closed: an issue and a pull request alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Being worked on.
    Open,
    /// Done or given up.
    Closed,
}

impl State {
    /// The word of the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// A reaction, such as `eyes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Its number.
    pub id: u64,
    /// The login of who reacted.
    pub user: String,
    /// GitHub's word for the picture.
    pub content: String,
    /// When.
    pub created_at: Timestamp,
}

/// A comment on an issue or in the conversation of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its number.
    pub id: u64,
    /// The number of the issue or pull request it stands on.
    pub issue: u64,
    /// The login of who wrote it.
    pub user: String,
    /// What it says, in Markdown.
    pub body: String,
    /// Whether the App under rehearsal wrote it.
    pub via_app: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who reacted how.
    pub reactions: Vec<Reaction>,
}

/// A review of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Its number.
    pub id: u64,
    /// The login of who reviewed.
    pub user: String,
    /// What it says of the whole, in Markdown; it may be empty.
    pub body: String,
    /// `commented`, `approved` or `changes_requested`.
    pub state: &'static str,
    /// The commit that was looked at.
    pub commit: String,
    /// When it was given.
    pub submitted_at: Timestamp,
    /// What it says beside lines.
    pub comments: Vec<ReviewComment>,
}

/// What a review says beside a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewComment {
    /// Its number.
    pub id: u64,
    /// The file.
    pub path: String,
    /// The first line after the change, where it stands beside several.
    pub start_line: Option<u64>,
    /// The line after the change, from 1; the last of several.
    pub line: u64,
    /// The difference down to that line.
    pub hunk: String,
    /// What it says, in Markdown.
    pub body: String,
    /// The comment that it answers, if it is an answer.
    pub answers: Option<u64>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who reacted how.
    pub reactions: Vec<Reaction>,
}

/// What a pull request has beyond an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// The number by which `/pulls` knows it besides its issue number.
    pub id: u64,
    /// Whether it is a draft.
    pub draft: bool,
    /// The repository of the branch with the changes: the one that the pull request is in, or a fork of it.
    pub head_repo: RepositoryId,
    /// The branch with the changes.
    pub head: String,
    /// The last commit of `head`; it stays when the branch goes.
    pub head_sha: String,
    /// The branch to be changed.
    pub base: String,
    /// The commit of `base` at which it was opened or last moved.
    pub base_sha: String,
    /// Whether maintainers may push to it.
    pub maintainer_can_modify: bool,
    /// Whether GitHub has worked out if it can be merged; until asked once, it answers null.
    pub mergeability_known: bool,
    /// Its reviews, oldest first.
    pub reviews: Vec<Review>,
    /// The logins of those who were asked to review it.
    pub requested_reviewers: Vec<String>,
    /// The teams that were, by what their addresses call them.
    pub requested_teams: Vec<String>,
}

/// An issue; with [`Issue::pull`], a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The number by which the API knows it.
    pub id: u64,
    /// The number within its repository.
    pub number: u64,
    /// The login of who opened it.
    pub user: String,
    /// Its title.
    pub title: String,
    /// Its body in Markdown, if any.
    pub body: Option<String>,
    /// Its labels by name.
    pub labels: Vec<String>,
    /// The logins of those that it is assigned to.
    pub assignees: Vec<String>,
    /// Open or closed.
    pub state: State,
    /// Whether the conversation is locked.
    pub locked: bool,
    /// Whether the App under rehearsal opened it.
    pub via_app: bool,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was closed, if it is.
    pub closed_at: Option<Timestamp>,
    /// Its comments, oldest first.
    pub comments: Vec<Comment>,
    /// Who reacted how to it.
    pub reactions: Vec<Reaction>,
    /// What makes it a pull request.
    pub pull: Option<Pull>,
}

/// Which App a check run belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checker {
    /// The App under rehearsal.
    OurApp,
    /// GitHub Actions.
    Actions,
}

/// A check run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRun {
    /// Its number.
    pub id: u64,
    /// Whose it is.
    pub checker: Checker,
    /// Its name.
    pub name: String,
    /// The commit it judges.
    pub head_sha: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// `success`, `failure` and the like, once completed.
    pub conclusion: Option<String>,
    /// The owner's own name for it; empty unless given.
    pub external_id: String,
    /// Where its details are.
    pub details_url: Option<String>,
    /// `title`, `summary`, `text` as they were sent.
    pub output: Value,
    /// The annotations, over all requests.
    pub annotations: Vec<Value>,
    /// The buttons.
    pub actions: Vec<Value>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// The job that it is of, where it is one of GitHub Actions.
    pub job: Option<Job>,
}

/// A job of GitHub Actions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// What its workflow is called.
    pub workflow: String,
    /// Its steps.
    pub steps: Vec<JobStep>,
    /// Its log, as long as it is kept.
    pub log: Option<Vec<u8>>,
}

/// A step of a job that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStep {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub conclusion: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
}

/// A repository; its commits are in the bare repository at `path`.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Its number.
    pub id: RepositoryId,
    /// The login of its owner.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// The branch that pull requests go to.
    pub default_branch: String,
    /// The repository that it was forked from, if it was.
    pub fork_of: Option<RepositoryId>,
    /// Where the bare repository is.
    pub path: PathBuf,
    /// The branches and their last commits, as last seen.
    pub heads: BTreeMap<String, String>,
    /// Whether it can only be read.
    pub is_archived: bool,
    /// When a branch of it was last made, moved or removed.
    pub pushed_at: Timestamp,
    /// Whether it has issues.
    pub has_issues: bool,
    /// The branches that refuse a push.
    pub protected: BTreeSet<String>,
    /// Roles by lower-case login.
    pub roles: BTreeMap<String, Role>,
    /// The teams that have a role, by what their addresses call them.
    pub teams: BTreeSet<String>,
    /// Issues and pull requests by number.
    pub issues: BTreeMap<u64, Issue>,
    /// Check runs, oldest first.
    pub checks: Vec<CheckRun>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Repository {
    /// `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// The App's installation in one account; it covers that account's repositories.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Its number.
    pub id: u64,
    /// The login of the account.
    pub account: String,
    /// What was granted: name to `read`, `write` or `admin`.
    pub permissions: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was suspended, if it is.
    pub suspended_at: Option<Timestamp>,
}

/// One webhook that was sent, or would have been.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `X-GitHub-Delivery`; the same when it is sent again.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: &'static str,
    /// The body.
    pub payload: Value,
    /// The installation that it is about, if it is about one.
    pub installation: Option<u64>,
    /// The repository that it is about, if it is about one.
    pub repository: Option<u64>,
    /// How often it was sent.
    pub n_attempts: u32,
    /// The last answer's status; none while unanswered, and when nobody was heard to answer.
    pub status: Option<u16>,
}

/// One time that a webhook was sent.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its number.
    pub id: u64,
    /// The delivery's name.
    pub guid: String,
    /// When it ended.
    pub at: Timestamp,
    /// Whether the delivery had been sent before.
    pub is_redelivery: bool,
    /// The answer's status; none when nobody was heard to answer.
    pub status: Option<u16>,
}

/// One request to the REST API and what was answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The method of the operation; that of the request if it is none.
    pub method: String,
    /// The path within the API.
    pub path: String,
    /// The operation's path as GitHub's API description writes it, if it is one that is served.
    pub template: Option<&'static str>,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// The body, or null.
    pub request: Value,
    /// The answer's status; 0 if the connection broke.
    pub status: u16,
    /// The answer's body, or null.
    pub response: Value,
    /// Whether a fault answered in GitHub's place.
    pub faulty: bool,
}
