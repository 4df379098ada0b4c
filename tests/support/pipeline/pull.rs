//! Pull requests that people open, and what the bot says on them.

use patchwright::rehearsal::scene::{Issue, Pull};
use patchwright_domain::journal::{Entry, Outcome};
use patchwright_domain::run::Run;

use super::look::without_marker;
use super::{File, MAINTAINER, World};

/// The sample's bug mended.
pub(crate) const MENDED: File =
    ("mean.sh", "#!/bin/sh\nsum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\necho $((sum / $#))\n", true);

impl World {
    /// Pushes files to a branch as the maintainer, and gives the commit.
    pub(crate) async fn push(&self, branch: &str, files: &[File]) -> String {
        let files: Vec<_> = files.iter().map(|(path, text, executable)| (*path, text.as_bytes(), *executable)).collect();
        self.github.push_commit(self.repo, branch, MAINTAINER, &files, "Mend").await.expect("git takes the files")
    }

    /// Opens a pull request with these files on a branch of the repository; gives its number and its commit.
    pub(crate) async fn propose(&self, files: &[File]) -> (u64, String) {
        let head = self.push("mend", files).await;
        let pull = self.github.open_pull_request(self.repo, MAINTAINER, "Mend the mean", "mend", "main").await;
        (pull.expect("both branches are there"), head)
    }

    /// The commit that a branch is at.
    pub(crate) fn at(&self, branch: &str) -> String {
        self.github.branches(self.repo)[branch].clone()
    }

    /// The commit that a commit stands on.
    pub(crate) async fn below(&self, commit: &str) -> String {
        self.git(&["rev-parse", &format!("{commit}^")]).await.trim().to_owned()
    }

    /// The pull requests that go to a branch.
    pub(crate) fn pulls_to(&self, branch: &str) -> Vec<(Issue, Pull)> {
        let mut pulls = self.github.pull_requests(self.repo);
        pulls.retain(|(_, pull)| pull.base == branch);
        pulls
    }

    /// Comments on a pull request or an issue.
    pub(crate) fn ask(&self, number: u64, user: &str, text: &str) {
        self.github.comment(self.repo, number, user, text).expect("it is there");
    }

    /// Has the maintainer ask for a proof, and works on it to its end.
    pub(crate) async fn prove(&self, number: u64) {
        self.ask(number, MAINTAINER, "@codex prove");
        self.work().await;
    }

    /// What the bot says on a pull request or an issue, one comment for each job.
    pub(crate) async fn said_on(&self, number: u64) -> Vec<String> {
        let comments = self.github.comments(self.repo, number);
        let mut said = Vec::new();
        for comment in comments.iter().filter(|comment| comment.via_app) {
            said.push(self.stable(without_marker(&comment.body)).await);
        }
        said
    }

    /// The journal of the last job, and what it comes to.
    pub(crate) async fn last_run(&self) -> (Vec<Entry>, Run) {
        let spec = self.jobs().await.pop().expect("there is a job");
        let journal = self.tools.store.journal(&spec.id(), 0).await.expect("the journal holds together");
        let run = Run::fold(&spec, &journal).expect("the journal folds");
        (journal, run)
    }

    /// How the last job ended.
    pub(crate) async fn last_outcome(&self) -> Option<Outcome> {
        self.last_run().await.1.outcome()
    }
}
