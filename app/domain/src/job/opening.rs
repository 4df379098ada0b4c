//! How a repository wants the pull requests that this App opens.

use serde::{Deserialize, Serialize};

use crate::journal::Outcome;

/// How a pull request is opened, as the policy said when the job was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opening {
    /// When it is a draft.
    #[serde(skip_serializing_if = "Drafts::is_always")]
    pub drafts: Drafts,
    /// The labels that are put on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Who is asked to review it, by login.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reviewers: Vec<String>,
    /// The teams of the repository's organisation that are, by what their addresses call them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
}

/// When a pull request is opened as a draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drafts {
    /// Always: a person says when it is ready.
    #[default]
    Always,
    /// Where the change is not proven.
    Unproven,
}

impl Drafts {
    fn is_always(&self) -> bool {
        *self == Self::Always
    }
}

impl Opening {
    /// Whether nothing was said, so that what is opened is a draft, and nothing more is done about it.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether what came to this end is opened as a draft.
    pub fn is_draft(&self, outcome: Outcome) -> bool {
        match self.drafts {
            Drafts::Always => true,
            Drafts::Unproven => outcome != Outcome::Proven,
        }
    }

    /// Whether there is more to do than to open it.
    pub fn introduces(&self) -> bool {
        !(self.labels.is_empty() && self.reviewers.is_empty() && self.teams.is_empty())
    }
}
