//! What a run does to the outside world: fixed in the journal before the first of it is done, each harmless twice.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::IssueNumber;
use crate::job::JobId;
use crate::journal::{CommitId, Digest, Outcome};

/// The text that stands for the pull request's address until it is known.
pub const PULL_REQUEST_PLACEHOLDER: &str = "{pull-request}";

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
    },
    /// There is one draft pull request from the branch.
    EnsurePullRequest {
        /// The branch with the change.
        branch: String,
        /// The branch that it should go to.
        base: String,
        /// One line.
        title: String,
        /// Markdown.
        body: String,
    },
    /// There is one comment on this topic, with this text.
    EnsureComment {
        /// Where.
        issue: IssueNumber,
        /// Markdown.
        body: String,
    },
    /// The commit carries the check run.
    SetCheck {
        /// The commit.
        commit: CommitId,
        /// What the run came to.
        outcome: Outcome,
        /// One line.
        title: String,
        /// Markdown.
        summary: String,
    },
    /// The request carries our reaction.
    React {
        /// What to react to.
        subject: Subject,
    },
}

/// Something that a reaction can be put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "subject", content = "number", rename_all = "snake_case")]
pub enum Subject {
    /// An issue's or pull request's own text.
    Issue(IssueNumber),
    /// A comment on an issue.
    Comment(u64),
}

impl Effect {
    /// The effect's name within its job; a job has at most one of each.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PushBranch { .. } => "branch",
            Self::EnsurePullRequest { .. } => "pull-request",
            Self::EnsureComment { .. } => "progress",
            Self::SetCheck { .. } => "check",
            Self::React { .. } => "reaction",
        }
    }

    /// Its key in the job.
    pub fn key(&self, job: &JobId) -> EffectKey {
        EffectKey(format!("{job}/{}", self.name()))
    }

    /// Whether it brings the agent's work before people; such an effect needs a verdict, and the run fails without it.
    pub fn publishes(&self) -> bool {
        match self {
            Self::PushBranch { .. } | Self::EnsurePullRequest { .. } => true,
            Self::EnsureComment { .. } | Self::SetCheck { .. } | Self::React { .. } => false,
        }
    }

    /// Puts the pull request's address where the text has its placeholder.
    pub fn with_pull_request(mut self, url: &str) -> Self {
        if let Self::EnsureComment { body, .. } | Self::SetCheck { summary: body, .. } = &mut self {
            *body = body.replace(PULL_REQUEST_PLACEHOLDER, url);
        }
        self
    }
}

/// The name of an effect, the same however often it is tried: job and effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(String);

impl EffectKey {
    /// The key as text, which goes into check runs' `external_id` and, as [`marker`](Self::marker), into comments.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hidden line by which a comment or pull request is found again.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Where people can look at it.
    pub url: Option<String>,
}
