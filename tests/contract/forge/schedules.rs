//! What GitHub's repositories have done at certain times.

use std::collections::BTreeSet;
use std::time::Duration;

use patchwright::forge::{Forge as _, ForgeError, Schedules, Unknown};
use patchwright::rehearsal::fault::Fault;
use patchwright_domain::policy::schedule::Schedule;

use super::{IssueNumber, Scene, Untrusted};

const POLICY: &str = "/repos/octo/rocket/contents/.github/patchwright.yml";

fn entry(command: &str) -> Schedule {
    Schedule { cron: "0 9 * * *".into(), issue: IssueNumber(1), on_pull_request: false, command: Untrusted::new(command) }
}

impl Scene {
    async fn put_policy(&self, branch: &str, text: &str) {
        let files = [(".github/patchwright.yml", text.as_bytes(), false)];
        self.stage.github.push_commit(self.stage.repo, branch, "ada", &files, "Policy").await.expect("git takes it");
    }

    async fn schedules(&self) -> Schedules {
        self.forge.schedules().await.expect("GitHub answers")
    }

    /// How often the policy file was asked for.
    fn n_read(&self) -> usize {
        self.asked("GET", "/contents/{path}").len()
    }
}

fn fixing(command: &str) -> String {
    format!("schedule: [{{cron: 0 9 * * *, issue: 1, command: {command}}}]\n")
}

#[tokio::test]
async fn the_default_branchs_policy_says_what_is_scheduled() {
    let scene = Scene::set().await;
    assert_eq!(scene.schedules().await, Schedules::default(), "there is no file");
    scene.put_policy("elsewhere", &fixing("fix")).await;
    assert_eq!(scene.schedules().await, Schedules::default(), "another branch does not count");
    scene.put_policy("main", &fixing("fix the tests")).await;
    let of = vec![(scene.repo.clone(), vec![entry("fix the tests")])];
    assert_eq!(scene.schedules().await, Schedules { of, unknown: BTreeSet::new() });
    assert_eq!(scene.forge.schedule_of(&scene.repo).await.expect("GitHub answers"), [entry("fix the tests")]);
    scene.put_policy("main", "schedule: [{cron: each monday}]\n").await;
    assert_eq!(scene.schedules().await, Schedules::default(), "it cannot be understood");
    assert_eq!(scene.forge.schedule_of(&scene.repo).await.expect("GitHub answers"), []);
    scene.end().await;
}

#[tokio::test]
async fn a_policy_file_is_read_again_once_somebody_has_pushed() {
    let scene = Scene::set().await;
    scene.put_policy("main", &fixing("fix")).await;
    assert_eq!(scene.schedules().await.of.len(), 1);
    // Somebody may have pushed in the same second, after the list was made.
    scene.put_policy("main", &fixing("fix it all")).await;
    assert_eq!(scene.schedules().await.of[0].1, [entry("fix it all")]);
    assert_eq!(scene.n_read(), 2);
    scene.stage.pass(60);
    for _ in 0..3 {
        assert_eq!(scene.schedules().await.of[0].1, [entry("fix it all")]);
    }
    assert_eq!(scene.n_read(), 3, "it was settled when it was read the last time");
    scene.put_policy("main", &fixing("ask why?")).await;
    assert_eq!(scene.schedules().await.of[0].1, [entry("ask why?")]);
    scene.end().await;
}

#[tokio::test]
async fn nothing_is_scheduled_where_nothing_can_be_done() {
    let scene = Scene::set().await;
    let schedules = async || scene.schedules().await.of.len();
    scene.put_policy("main", &fixing("fix")).await;
    assert_eq!(schedules().await, 1);
    scene.stage.github.suspend("octo").expect("it is installed there");
    assert_eq!(schedules().await, 0);
    scene.stage.github.unsuspend("octo").expect("it is installed there");
    assert_eq!(schedules().await, 1);
    scene.stage.github.archive_repository(scene.stage.repo).expect("it is there");
    assert_eq!(schedules().await, 0);
    scene.end().await;
}

/// The token that lists them shows no content.
#[tokio::test]
async fn repositories_are_listed_with_a_token_that_reaches_nothing_in_them() {
    let scene = Scene::set().await;
    scene.put_policy("main", &fixing("fix")).await;
    scene.schedules().await;
    let asked = scene.asked("POST", "/access_tokens");
    let wanted: Vec<_> = asked.iter().map(|exchange| exchange.request.clone()).collect();
    assert_eq!(
        wanted,
        [
            serde_json::json!({"permissions": {"metadata": "read"}}),
            serde_json::json!({"repository_ids": [scene.repo.id], "permissions": {"contents": "read"}}),
        ]
    );
    scene.end().await;
}

/// What is known of others and from before is not given up for it.
#[tokio::test]
async fn what_cannot_be_read_now_is_told_apart_from_what_is_not_there() {
    let scene = Scene::set().await;
    scene.put_policy("main", &fixing("fix")).await;
    let hold = Duration::from_secs(3_600);
    let limit = |path| Fault::rate_limit("GET", path, 429, u32::try_from(hold.as_secs()).expect("it is short"));
    scene.stage.github.fault(limit(POLICY));
    let unknown = BTreeSet::from([Unknown::Repository(scene.repo.id)]);
    assert_eq!(scene.schedules().await, Schedules { of: Vec::new(), unknown });
    // The account is left alone for that time.
    let unknown = BTreeSet::from([Unknown::Installation(scene.repo.installation)]);
    assert_eq!(scene.schedules().await, Schedules { of: Vec::new(), unknown });
    scene.stage.pass(3_601);
    assert_eq!(scene.schedules().await.of.len(), 1);
    scene.stage.github.fault(limit("/app/installations"));
    let refused = scene.forge.schedules().await;
    assert!(matches!(refused, Err(ForgeError::RateLimited { .. })), "{refused:?}");
    scene.end().await;
}
