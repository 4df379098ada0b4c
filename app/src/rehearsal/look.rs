//! Looking at the rehearsed GitHub: what tests and the demonstration may read.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Rehearsal, git,
    scene::{Attempt, CheckRun, Comment, Delivery, Exchange, Issue, Pull, Reaction, RepositoryId},
};

impl Rehearsal {
    /// Lists the webhooks, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.with(|world| world.deliveries.clone())
    }

    /// Lists the attempts to deliver webhooks that have ended, oldest first.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.shared.with(|world| world.attempts.clone())
    }

    /// Lists what the API was asked and answered, oldest first; at most the last 10 000.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.with(|world| world.exchanges.iter().cloned().collect())
    }

    /// The number of the account of this name.
    pub fn account(&self, login: &str) -> Option<u64> {
        self.shared.with(|world| world.user(login).map(|user| user.id))
    }

    /// Reads an issue or pull request.
    pub fn issue(&self, repo: RepositoryId, number: u64) -> Option<Issue> {
        self.shared.with(|world| world.issue(repo, number).cloned())
    }

    /// Lists the comments of an issue or pull request, oldest first.
    pub fn comments(&self, repo: RepositoryId, issue: u64) -> Vec<Comment> {
        self.issue(repo, issue).map(|issue| issue.comments).unwrap_or_default()
    }

    /// Lists the reactions to a comment.
    pub fn reactions(&self, repo: RepositoryId, comment: u64) -> Vec<Reaction> {
        self.shared.with(|world| world.comment(repo, comment).map(|(_, comment)| comment.reactions.clone())).unwrap_or_default()
    }

    /// Lists the pull requests with what they have as issues, oldest first.
    pub fn pull_requests(&self, repo: RepositoryId) -> Vec<(Issue, Pull)> {
        let issues = self.shared.with(|world| world.repository(repo).map(|repo| repo.issues.clone())).unwrap_or_default();
        issues.into_values().filter_map(|issue| issue.pull.clone().map(|pull| (issue, pull))).collect()
    }

    /// Lists the check runs, oldest first.
    pub fn check_runs(&self, repo: RepositoryId) -> Vec<CheckRun> {
        self.shared.with(|world| world.repository(repo).map(|repo| repo.checks.clone())).unwrap_or_default()
    }

    /// Lists the branches with their last commits.
    pub fn branches(&self, repo: RepositoryId) -> BTreeMap<String, String> {
        self.shared.with(|world| world.repository(repo).map(|repo| repo.heads.clone())).unwrap_or_default()
    }

    /// Lists everything that points to something, hidden names as well, by its whole name.
    pub fn references(&self, repo: RepositoryId) -> BTreeMap<String, String> {
        let found = self.shared.with(|world| world.repository(repo).and_then(|repo| git::data::references(&repo.path).ok()));
        found.unwrap_or_default()
    }

    /// Reads a file at a branch or commit, and whether it is executable.
    pub async fn file(&self, repo: RepositoryId, reference: &str, path: &str) -> Option<(Vec<u8>, bool)> {
        let bare = self.shared.with(|world| world.repository(repo).map(|repo| repo.path.clone()))?;
        let (reference, path) = (reference.to_owned(), path.to_owned());
        let read = move || match git::content(&bare, &reference, &path)? {
            git::Content::File(_, bytes) => Some((bytes, git::is_executable(&bare, &reference, &path)?)),
            git::Content::Directory(_) => None,
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    /// Where the bare repository is on disk.
    pub fn repository_path(&self, repo: RepositoryId) -> Option<PathBuf> {
        self.shared.with(|world| world.repository(repo).map(|repo| repo.path.clone()))
    }
}
