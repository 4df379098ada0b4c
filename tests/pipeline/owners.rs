//! Owners rename, give away, archive, lock and shut out while a job is open: it goes on, or ends with what would help.

use patchwright::rehearsal::scene::Issue;
use patchwright_domain::journal::{EntryKind, Outcome};

use crate::support::pipeline::{ISSUE, MAINTAINER, Setup, World};

/// When something is done to the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The job is there, and nobody has begun.
    Before,
    /// The agent is about to solve.
    Meanwhile,
}

/// Has the maintainer ask for a fix, does something then, and says how the job ended and what would have helped.
async fn play(when: When, act: impl Fn(&World)) -> Ended {
    Setup::default()
        .play(async |world| {
            let outcome = match when {
                When::Before => {
                    world.comment(MAINTAINER, "@codex fix this");
                    world.decide().await;
                    act(world);
                    world.work().await;
                    let outcome = world.outcome().await;
                    assert!(outcome == Outcome::Proven || world.model.requests().is_empty(), "the model is asked in vain");
                    outcome
                }
                When::Meanwhile => world.fix_this_while(async || act(world)).await,
            };
            let journal = world.journal().await;
            let remedies = journal.into_iter().filter_map(|entry| match entry.kind {
                EntryKind::Failed { failure, .. } => Some(failure.conclusion.next_step),
                _ => None,
            });
            let comments = world.github.comments(world.repo, ISSUE).into_iter().filter(|comment| comment.via_app).count();
            let pulls: Vec<Issue> = world.github.pull_requests(world.repo).into_iter().map(|(issue, _)| issue).collect();
            Ended { outcome, remedies: remedies.collect(), n_comments: comments, n_pull_requests: pulls.len() }
        })
        .await
}

#[derive(Debug)]
struct Ended {
    outcome: Outcome,
    remedies: Vec<String>,
    n_comments: usize,
    n_pull_requests: usize,
}

impl Ended {
    /// Fails unless the job ended so, telling this, with so many comments and pull requests.
    #[track_caller]
    fn assert(&self, outcome: Outcome, remedy: &str, n_comments: usize, n_pull_requests: usize) {
        assert_eq!((self.outcome, self.n_comments, self.n_pull_requests), (outcome, n_comments, n_pull_requests), "{self:?}");
        assert!(!self.remedies.is_empty() && self.remedies.iter().all(|told| told.contains(remedy)), "{self:?}");
    }
}

#[tokio::test]
async fn a_repository_that_is_renamed_is_followed() {
    for when in [When::Before, When::Meanwhile] {
        Setup::default()
            .play(async |world| {
                let rename = || world.github.rename_repository(world.repo, "spaceship").expect("the repository is there");
                if when == When::Before {
                    world.comment(MAINTAINER, "@codex fix this");
                    world.decide().await;
                    rename();
                    world.work().await;
                } else {
                    world.fix_this_while(async || rename()).await;
                }
                assert_eq!(world.outcome().await, Outcome::Proven, "{when:?}");
                assert!(world.last_words().await.contains("/octo/spaceship/pull/2"), "{when:?}");
                assert_eq!((world.github.pull_requests(world.repo).len(), world.github.check_runs(world.repo).len()), (1, 1));
                let strayed = world.github.exchanges().into_iter().filter(|exchange| matches!(exchange.status, 301 | 307));
                assert!(strayed.count() <= 2, "the new name is remembered");
            })
            .await;
    }
}

#[tokio::test]
async fn a_repository_that_the_app_does_not_reach_any_more_ends_the_job() {
    let transfer = |world: &World| world.github.transfer_repository(world.repo, "acme").expect("the repository is there");
    let remedy = "if it was transferred, install the App on the account that has it now";
    play(When::Before, transfer).await.assert(Outcome::Failed, remedy, 0, 0);
    play(When::Meanwhile, transfer).await.assert(Outcome::Failed, remedy, 1, 0);
}

#[tokio::test]
async fn an_app_that_is_uninstalled_ends_the_job() {
    let uninstall = |world: &World| world.github.uninstall("octo").expect("the App is installed");
    play(When::Before, uninstall).await.assert(Outcome::Failed, "Install the App on this account", 0, 0);
    play(When::Meanwhile, uninstall).await.assert(Outcome::Failed, "Install the App on this account", 1, 0);
}

#[tokio::test]
async fn an_installation_that_is_suspended_ends_the_job() {
    let suspend = |world: &World| world.github.suspend("octo").expect("the App is installed");
    play(When::Before, suspend).await.assert(Outcome::Failed, "Lift the App's suspension", 0, 0);
    play(When::Meanwhile, suspend).await.assert(Outcome::Failed, "Lift the App's suspension", 1, 0);
}

#[tokio::test]
async fn an_archived_repository_ends_the_job() {
    let archive = |world: &World| world.github.archive_repository(world.repo).expect("the repository is there");
    play(When::Before, archive).await.assert(Outcome::Failed, "Unarchive the repository", 0, 0);
    play(When::Meanwhile, archive).await.assert(Outcome::Failed, "Unarchive the repository", 1, 0);
}

#[tokio::test]
async fn issues_that_are_disabled_end_the_job_or_leave_the_pull_request() {
    let disable = |world: &World| world.github.disable_issues(world.repo).expect("the repository is there");
    play(When::Before, disable).await.assert(Outcome::Failed, "Enable issues", 0, 0);
    play(When::Meanwhile, disable).await.assert(Outcome::Proven, "Enable issues", 1, 1);
}

#[tokio::test]
async fn a_permission_that_is_taken_away_is_named() {
    let revoke = |world: &World| world.github.revoke("octo", "pull_requests").expect("the App is installed");
    play(When::Meanwhile, revoke).await.assert(Outcome::Failed, "Grant the App the permissions", 1, 0);
    // Here a token that had it is in use still.
    let revoke = |world: &World| world.github.revoke("octo", "issues").expect("the App is installed");
    play(When::Meanwhile, revoke).await.assert(Outcome::Proven, "Grant the App `issues=", 1, 1);
}

#[tokio::test]
async fn a_conversation_that_is_locked_leaves_the_pull_request() {
    let lock = |world: &World| world.github.lock_issue(world.repo, ISSUE).expect("the issue is there");
    play(When::Before, lock).await.assert(Outcome::Proven, "Unlock the conversation", 0, 1);
    // The comment that is there already may still be edited.
    let ended = play(When::Meanwhile, lock).await;
    assert_eq!((ended.outcome, ended.n_comments, ended.n_pull_requests), (Outcome::Proven, 1, 1), "{ended:?}");
}
