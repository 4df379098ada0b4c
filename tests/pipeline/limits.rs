//! Limits and rules: what ends a run that works as it should.

use patchwright::model::scripted::Step;
use patchwright_domain::job::Budget;
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{Setup, does, mends};

fn budget() -> Budget {
    Setup::default().budget
}

#[tokio::test]
async fn a_run_whose_turns_are_used_up_says_so() {
    let setup = Setup {
        budget: Budget { turns: 2, ..budget() },
        ..Setup::model([Step::Shell("true".into()), Step::Shell("true".into())])
    };
    insta::assert_snapshot!(setup.ends(Outcome::BudgetExhausted).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Budget exhausted.** The budget's limit of model calls is reached.

        Next step: Ask again with a narrower task, or raise the limit in the server's `[limits]`.

        <sub>2 of 2 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_run_whose_tokens_are_used_up_says_so() {
    let setup = Setup { budget: Budget { tokens: 6_000, ..budget() }, ..Setup::model(does("true")) };
    insta::assert_snapshot!(setup.ends(Outcome::BudgetExhausted).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Budget exhausted.** The budget's limit of tokens is reached.

        Next step: Ask again with a narrower task, or raise the limit in the server's `[limits]`.

        <sub>3 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_run_whose_time_is_up_says_so() {
    Setup::model(mends())
        .play(async |world| {
            assert_eq!(world.fix_this_while(async || world.clock.pass(601)).await, Outcome::TimedOut);
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Timed out.** The time limit of 10 minutes ran out.

                The model's last words:

                > It divided by one too few. Now it divides by the number of values.

                Next step: Ask again with a narrower task, or raise `limits.wall_clock_minutes`.

                <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn a_policy_file_that_cannot_be_read_is_named_with_its_line() {
    let setup = Setup::default().file((".github/patchwright.yml", "commands:\n  tset: sh tests/run.sh\n", false));
    insta::assert_snapshot!(setup.ends(Outcome::BlockedByPolicy).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Blocked by policy.** The policy file `.github/patchwright.yml` cannot be read: line 2 column 3: unknown field `tset`, expected one of setup, test, format, lint.

        Next step: Mend the file on the default branch, then ask again.

        <sub>No model has answered. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_patch_to_the_workflows_is_refused() {
    let setup = Setup::model(does("mkdir -p .github/workflows; echo 'on: push' > .github/workflows/own.yml"));
    insta::assert_snapshot!(setup.ends(Outcome::BlockedByPolicy).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Blocked by policy.** Nothing was published: the patch changes `.github/workflows/own.yml`; workflows, actions, code owners and the settings of update bots are not for an agent to change.

        The model's last words:

        > Done as asked.

        Next step: Make this change by hand, or ask for one that does not need it.

        <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_link_that_leaves_the_tree_is_refused() {
    let setup = Setup::model(does("ln -s ../../../../etc/passwd leak"));
    insta::assert_snapshot!(setup.ends(Outcome::BlockedByPolicy).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Blocked by policy.** Nothing was published: the change is refused: `leak` is a link that leaves the tree.

        The model's last words:

        > Done as asked.

        Next step: Make this change by hand, or ask for one that does not need it.

        <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn a_repository_may_name_its_own_label_and_role() {
    let policy = "triggers:\n  label: mend-me\n  minimum_role: admin\ncommands:\n  test: sh tests/run.sh\n";
    Setup::default()
        .file((".github/patchwright.yml", policy, false))
        .play(async |world| {
            world.comment("mona", "@codex fix this");
            world.decide().await;
            insta::assert_snapshot!(world.reason().await, @"mona has the role write here, and admin is needed to start a run");
            world.github.set_role(world.repo, "ada", patchwright::rehearsal::scene::Role::Admin).expect("it is there");
            world.github.label(world.repo, 1, "ada", "mend-me").expect("the issue is there");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
        })
        .await;
}
