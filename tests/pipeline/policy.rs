//! What a repository's policy file changes, and whose file it is that counts.

use patchwright::rehearsal::scene::Role;
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{ISSUE, MAINTAINER, READER, SAMPLE, Setup, does};

const PATH: &str = SAMPLE[0].0;

/// The sample under a policy that says this beside its test command.
fn under(policy: &str) -> Setup {
    let text = format!("commands:\n  test: sh tests/run.sh\n{policy}\n");
    Setup::default().file((PATH, Box::leak(text.into_boxed_str()), false))
}

#[tokio::test]
async fn no_patch_touches_a_protected_path() {
    let told = under("paths: {protected: ['*.sql', /mean.sh]}").ends(Outcome::BlockedByPolicy).await;
    let reason = "the patch changes `mean.sh`, which `paths.protected` of the policy file `.github/patchwright.yml` protects";
    assert!(told.contains(reason), "{told}");
}

#[tokio::test]
async fn a_patch_stays_within_the_allowed_paths() {
    let told = under("paths: {allowed: [/lib/, /tests/]}").ends(Outcome::BlockedByPolicy).await;
    let reason = "the patch changes `mean.sh`, which `paths.allowed` of the policy file `.github/patchwright.yml` does not name";
    assert!(told.contains(reason), "{told}");
    under("paths: {allowed: ['/*.sh'], protected: [/tests/]}").ends(Outcome::Proven).await;
}

/// What the gates forbid stays forbidden, whatever the policy names.
#[tokio::test]
async fn a_policy_allows_no_path_that_no_patch_may_touch() {
    let workflow = does("mkdir -p .github/workflows; echo 'on: push' > .github/workflows/own.yml");
    let setup = Setup { script: Setup::model(workflow).script, ..under("paths: {allowed: ['/.github/']}") };
    let told = setup.ends(Outcome::BlockedByPolicy).await;
    assert!(told.contains("workflows, actions, code owners"), "{told}");
}

#[tokio::test]
async fn a_policy_takes_of_the_operators_limits_and_adds_nothing() {
    let budget = async |policy: &str| {
        under(policy)
            .play(async |world| {
                world.fix_this().await;
                (world.job().await.budget, world.outcome().await)
            })
            .await
    };
    let (narrow, outcome) = budget("limits: {turns: 1, wall_clock_minutes: 5}").await;
    assert_eq!((narrow.turns, narrow.wall_clock_ms, outcome), (1, 300_000, Outcome::BudgetExhausted));
    let (wide, outcome) =
        budget("limits: {turns: 1000, wall_clock_minutes: 500, rounds: 90, max_cost_usd: 99}\nattempts: 50").await;
    assert_eq!((wide, outcome), (Setup::default().budget, Outcome::Proven));
}

#[tokio::test]
async fn a_command_needs_the_role_that_the_policy_gives_it() {
    under("triggers: {roles: {fix: maintain}}")
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            let said = world.said_on(ISSUE).await;
            assert!(said.len() == 1 && said[0].contains("takes the role `maintain` here, and you have `write`"), "{said:?}");
            world.github.set_role(world.repo, MAINTAINER, Role::Maintain).expect("the repository is there");
            assert_eq!(world.fix_this().await, Outcome::Proven);
        })
        .await;
}

#[tokio::test]
async fn a_run_is_started_only_from_where_the_policy_says() {
    under("triggers: {sources: [label]}")
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            let said = world.said_on(ISSUE).await;
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains("does not name `comment`, which is where this was asked"), "{said:?}");
            assert_eq!(world.model.requests().len(), 0);
        })
        .await;
}

/// Whoever opens a pull request writes its head's file; the default branch's alone says who may ask for what.
#[tokio::test]
async fn a_policy_in_a_pull_requests_head_gives_nobody_a_role() {
    let open = (PATH, "triggers: {minimum_role: triage, roles: {prove: triage}}\n", false);
    Setup::default()
        .play(async |world| {
            world.github.set_role(world.repo, READER, Role::Triage).expect("the repository is there");
            let (pull, _) = world.propose(&[MENDED, open]).await;
            world.ask(pull, READER, "@codex prove");
            world.work().await;
            let decisions = world.decisions().await;
            assert!(decisions.contains(": eve has the role triage here, and write is needed to start a run"), "{decisions}");
            assert_eq!(world.said_on(pull).await, Vec::<String>::new());
        })
        .await;
}

/// Nor does it say how its own tests are run, or in what.
#[tokio::test]
async fn a_policy_in_a_pull_requests_head_changes_nothing_of_its_proof() {
    let own = (PATH, "commands: {test: 'true'}\nsandbox: {isolation: kernel, hosts: [evil.test]}\nlimits: {turns: 1}\n", false);
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED, own]).await;
            world.prove(pull).await;
            let (_, run) = world.last_run().await;
            let plan = &run.prepared().expect("it was prepared").plan;
            assert_eq!(plan.test.as_deref(), Some("sh tests/run.sh"));
            assert!(plan.demands.is_empty() && plan.scope.is_everything(), "{plan:?}");
        })
        .await;
}
