//! The branch that a pull request goes to, held against those that the policy names.

use patchwright::forge::Forge as _;
use patchwright_domain::event::{CheckRef, Event, EventKind, IssueNumber, OfCheck, Place, Text, Untrusted};
use patchwright_domain::journal::CommitId;
use patchwright_domain::policy::Target;

use super::Scene;
use crate::support::github::APP_ID;

impl Scene {
    /// A pull request from `mine` to this branch, under a policy that says this.
    async fn going_to(&self, base: &str, policy: &str) -> (u64, CommitId) {
        let (github, repo) = (&self.stage.github, self.stage.repo);
        let push = async |branch: &str, file: (&str, &[u8], bool)| {
            github.push_commit(repo, branch, "ada", &[file], "Change").await.expect("git takes it")
        };
        push("main", (".github/patchwright.yml", policy.as_bytes(), false)).await;
        push(base, ("there", b"1", false)).await;
        let head = push("mine", ("n", b"2", false)).await;
        let number = github.open_pull_request(repo, "ada", "Mine", "mine", base).await.expect("both branches are there");
        (number, CommitId::parse(&head).expect("forty digits"))
    }

    async fn target_for(&self, kind: EventKind) -> Option<Target> {
        let facts = self.forge.facts(&Event { kind, ..self.event("ada") }).await.expect("GitHub answers");
        facts.pull.map(|pull| pull.target).or(facts.check.map(|check| check.target))
    }

    /// The check run of a pull request's proof, asked for once more.
    fn pressed(&self, pull_request: u64) -> EventKind {
        let wanted = OfCheck::Prove { pull_request: IssueNumber(pull_request), is_about_the_build: false };
        let (app, job, wanted) = (Some(APP_ID), self.spec().id(), Some(wanted));
        EventKind::CheckAsked { check: 7, app, job, pull_request: None, button: None, wanted }
    }
}

fn written(issue: u64) -> EventKind {
    EventKind::Written {
        issue: IssueNumber(issue),
        place: Place::Comment(7),
        text: Text { title: None, body: Untrusted::new("@codex fix this") },
        before: None,
        on_pull_request: true,
        via_app: None,
        wants_changes: false,
    }
}

#[tokio::test]
async fn a_pull_request_is_told_with_the_branch_that_it_goes_to() {
    for (policy, base, is_named) in [
        ("triggers: {}\n", "release/1", true),
        ("triggers: {branches: [main]}\n", "release/1", false),
        ("triggers: {branches: [main, release/*]}\n", "release/1", true),
        ("triggers: {branches: [main]}\n", "eve/main", false),
        ("triggers: {branches: ['**/main']}\n", "eve/main", true),
        ("triggers: {branches: [", "release/1", true),
    ] {
        let scene = Scene::set().await;
        let (number, head) = scene.going_to(base, policy).await;
        let target = Some(Target { branch: base.into(), is_named });
        assert_eq!(scene.target_for(written(number)).await, target, "{policy} {base}");
        assert_eq!(scene.target_for(scene.pressed(number)).await, target, "{policy} {base}");
        let (check, red) = (CheckRef { id: 1, name: Untrusted::new("test") }, policy.replace('{', "{checks: all, "));
        if policy.ends_with("}\n") {
            let file = [(".github/patchwright.yml", red.as_bytes(), false)];
            scene.stage.github.push_commit(scene.stage.repo, "main", "ada", &file, "Policy").await.expect("git takes it");
            scene.stage.github.report_check(scene.stage.repo, "mine", "test", "failure", "").expect("it is there");
            let failed = EventKind::CheckFailed { head, app: None, check: Some(check) };
            assert_eq!(scene.target_for(failed).await, target, "{red} {base}");
        }
        scene.end().await;
    }
}
