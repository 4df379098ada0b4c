//! How a repository wants the pull requests that this App opens.

use patchwright_domain::job::{Drafts, Opening};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy_file::values::{Label, List, Reviewer};

/// How many labels and how many reviewers a pull request gets.
const NAMES_MAX: usize = 10;

/// How the pull requests are opened that come of it: those of issues, of repairs, and on top of others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullRequests {
    /// When one is opened as a draft.
    pub draft: Draft,
    /// Labels that are put on it. One that is not there yet is made by GitHub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<List<Label, 0, NAMES_MAX>>,
    /// Who is asked to review it: logins, and `team:NAME` for teams of the repository's organisation, for which the App needs to read
    /// its members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewers: Option<List<Reviewer, 0, NAMES_MAX>>,
}

/// When a pull request is opened as a draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Draft {
    /// Always.
    #[default]
    Always,
    /// Where the change is not proven; what is proven is ready for review.
    Unproven,
}

impl PullRequests {
    pub(super) fn into_opening(self) -> Opening {
        let drafts = match self.draft {
            Draft::Always => Drafts::Always,
            Draft::Unproven => Drafts::Unproven,
        };
        let reviewers = self.reviewers.map(|list| list.0).unwrap_or_default();
        Opening {
            drafts,
            labels: self.labels.map(|list| list.0.into_iter().map(String::from).collect()).unwrap_or_default(),
            reviewers: reviewers.iter().filter_map(Reviewer::login).collect(),
            teams: reviewers.iter().filter_map(Reviewer::team).collect(),
        }
    }
}
