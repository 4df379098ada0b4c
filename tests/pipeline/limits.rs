//! Limits and rules: what ends a run that works as it should.

use patchwright::model::scripted::Step;
use patchwright::store::ledger::{self, Limit, Limits, Scope};
use patchwright_domain::job::Budget;
use patchwright_domain::journal::Outcome;
use patchwright_domain::run::Run;

use crate::attestation::attestor;
use crate::support::pipeline::clock::PassingClock;
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{ISSUE, MAINTAINER, Setup, World, does, mends};

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
async fn a_patch_that_is_too_large_is_refused() {
    let setup = Setup::model(does("for n in $(seq 101); do echo $n > more_$n; done"));
    let told = setup.ends(Outcome::BlockedByPolicy).await;
    assert!(told.contains("the patch changes 101 files, and `limits.patch_files` allows 100"), "{told}");
}

/// Looking through takes time that a larger patch takes more of. What stands in this one would be the reason otherwise.
#[tokio::test]
async fn a_patch_that_is_too_large_is_not_looked_through() {
    let setup = Setup::model(does("mkdir .github; for n in $(seq 101); do echo $n > .github/more_$n; done"));
    let told = setup.ends(Outcome::BlockedByPolicy).await;
    assert!(told.contains("the patch changes 101 files") && !told.contains(".github"), "{told}");
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

/// A server whose operator wants what there was no time to test.
fn hurried(setup: Setup) -> Setup {
    Setup { publishes_untested: true, ..setup }
}

#[tokio::test]
async fn what_there_was_no_time_to_test_is_a_draft_that_says_so_where_the_operator_wants_it() {
    let folder = tempfile::tempdir().expect("there is room");
    let attestor = Some(attestor(&folder.path().join("key.pem")));
    hurried(Setup { attestor, ..Setup::model(mends()) })
        .play(async |world| {
            assert_eq!(world.fix_this_for(601).await, Outcome::Unproven);
            let pulls = world.github.pull_requests(world.repo);
            assert!(pulls.len() == 1 && pulls[0].1.draft, "one draft");
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Unproven.** The time ran out before the patch was tested: no result of its tests was seen, and nobody has looked for what speaks against it.

                Pull request: https://github.test/octo/rocket/pull/2

                Next step: Read it and run its tests, or ask again with a narrower task; an operator may raise `limits.wall_clock_minutes`.

                <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>

            draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
            check patchwright (neutral): Unproven: The time ran out before the patch was tested: no result of its tests was seen, and nobody has looked for what…
            ");
            insta::assert_snapshot!(world.pull_request_body().await, @r"
            **Unproven.** The time ran out before the patch was tested: no result of its tests was seen, and nobody has looked for what speaks against it.

            Fixes #1

            `mona` (write) asked for a fix of #1.

            ### What changed and why

            It divided by one too few. Now it divides by the number of values.

            <sub>These are the model's words; nobody has checked them. What follows was executed.</sub>

            | File | | Lines |
            |---|---|---|
            | `mean.sh` | changed | +1 −1 |

            ### Tests

            | `sh tests/run.sh` | Base `BASE` | With this patch |
            |---|---|---|
            | result | ❌ fail (exit code 1) | not run |
            | time | T | T |

            **No result of this patch was seen.**

            The base ran in a fresh tree, without network, by the harness.

            Sandbox: `namespaces`, by the executor `local`; LIMITS.

            <details><summary>How to reproduce</summary>

            ```text
            git checkout BASE
            sh tests/run.sh
            git checkout HEAD
            sh tests/run.sh
            ```

            </details>

            <details><summary>The end of the output on base</summary>

            ```text
            the mean of 2, 4 and 6 is not 4
            ```

            </details>

            ### Not verified

            - The time ran out before the patch was tested: no result of its tests was seen, and nobody has looked for what speaks against it. Read it and run its tests, or ask again with a narrower task; an operator may raise `limits.wall_clock_minutes`.

            ### Cost

            4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known.

            <sub>Job JOB. A person reviews and merges this; nothing here merges itself.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn what_may_not_be_published_is_not_for_want_of_time_either() {
    let script = "mkdir -p .github/workflows; echo 'on: push' > .github/workflows/ci.yml";
    hurried(Setup::model(does(script)))
        .play(async |world| {
            assert_eq!(world.fix_this_for(601).await, Outcome::BlockedByPolicy);
            assert_eq!((world.own_branches().len(), world.github.pull_requests(world.repo).len()), (0, 0));
        })
        .await;
}

/// What was run counts more than what was not.
#[tokio::test]
async fn a_round_that_was_tested_goes_before_one_that_was_not() {
    let mut setup = hurried(Setup::model(does("echo >> mean.sh")));
    setup.script.for_tasks = vec![("The command was".into(), mends())];
    setup
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.decide().await;
            let clock = PassingClock::of(&world.clock);
            let passing = async {
                world.reach_the_agent().await;
                world.let_the_agent_go_on();
                world.reach_the_agent().await;
                clock.pass_in_steps(601).await;
                world.let_the_agent_go_on();
            };
            let worker = world.worker_by(&clock, world.tools.settings.progress_spacing);
            let (worked, ()) = tokio::join!(worker.drain(), passing);
            worked.expect("the store can be asked");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::TimedOut);
            let body = world.pull_request_body().await;
            assert!(
                !body.contains("No result of this patch was seen") && body.contains("The tests fail with the patch"),
                "{body}"
            );
        })
        .await;
}

#[tokio::test]
async fn a_run_whose_time_is_up_says_so() {
    Setup::model(mends())
        .play(async |world| {
            assert_eq!(world.fix_this_for(601).await, Outcome::TimedOut);
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
async fn under_a_policy_file_that_cannot_be_read_nothing_is_begun() {
    let file = (".github/patchwright.yml", "triggers:\n  minimum_rol: admin\n", false);
    Setup::default()
        .file(file)
        .play(async |world| {
            world.comment(MAINTAINER, "@codex fix this");
            world.work().await;
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                `.github/patchwright.yml` of the default branch cannot be read in line 2, column 3, so that nothing is begun. Mend it, then ask again in a new comment; `patchwright policy check` says what is wrong.

                <sub>For `mona`. Job JOB.</sub>
            ");
            assert_eq!(world.model.requests().len(), 0, "a model was asked");
            world.github.label(world.repo, ISSUE, MAINTAINER, "codex").expect("the issue is there");
            world.work().await;
            assert_eq!(world.reason().await, "the policy file cannot be read in line 2, column 3");
        })
        .await;
}

/// The one on the default branch is good, and that of the branch that a pull request is to go to is none.
#[tokio::test]
async fn a_policy_file_of_another_branch_that_cannot_be_read_is_named_with_its_line() {
    let broken = (".github/patchwright.yml", "commands:\n  tset: sh tests/run.sh\n", false);
    Setup::default()
        .play(async |world| {
            world.push("next", &[broken]).await;
            let (repo, files) = (world.repo, [(MENDED.0, MENDED.1.as_bytes(), MENDED.2), (broken.0, broken.1.as_bytes(), false)]);
            world.github.push_commit(repo, "mend", MAINTAINER, &files, "Mend").await.expect("git takes it");
            let opened = world.github.open_pull_request(repo, MAINTAINER, "Mend", "mend", "next").await;
            let pull = opened.expect("both branches are there");
            world.prove(pull).await;
            let said = world.said_on(pull).await.join("\n");
            let told = "**Blocked by policy.** The policy file `.github/patchwright.yml` cannot be read: line 2 column 3: there is no key \
                        `tset` here; did you mean `test`?";
            assert!(said.contains(told), "{said}");
        })
        .await;
}

#[tokio::test]
async fn a_repository_that_demands_stronger_walls_is_not_worked_on() {
    let setup = Setup::default().file((".github/patchwright.yml", "sandbox:\n  isolation: kernel\n", false));
    insta::assert_snapshot!(setup.ends(Outcome::EnvironmentFailed).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Environment failed.** The sandbox cannot be made: walls as strong as the repository's policy demands: `kernel`, and this machine gives `namespaces`.

        Next step: Set `sandbox.executor` to `container` and `sandbox.container.runtime` to `runsc` (gVisor); or lower what is demanded. `patchwright doctor` says what each level takes.

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
            insta::assert_snapshot!(world.reason().await, @"mona has the role write here, and admin is needed to start a run; mona, who has the role write, is told so");
            world.github.set_role(world.repo, "ada", patchwright::rehearsal::scene::Role::Admin).expect("it is there");
            world.github.label(world.repo, 1, "ada", "mend-me").expect("the issue is there");
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Proven);
        })
        .await;
}

/// A model that calls the shell for ever, and as many turns as it wants.
fn endless(limits_of_day: Limits) -> Setup {
    let calls = (0..1_000).map(|number| Step::Shell(format!("echo {number}")));
    Setup { limits_of_day, budget: Budget { turns: 900, ..budget() }, ..Setup::model(calls) }
}

/// Tokens for few replies of a model that may write 32 000 tokens in each.
const FEW_TOKENS: u64 = 150_000;

/// What the journals say that all jobs used, in tokens.
async fn recorded(world: &World) -> u64 {
    let mut tokens = 0;
    for spec in world.jobs().await {
        let journal = world.tools.store.journal(&spec.id(), 0).await.expect("the journal holds together");
        tokens += Run::fold(&spec, &journal).expect("the journal folds").usage().tokens();
    }
    tokens
}

/// Lets time pass until early in a day, so that no midnight comes where a test does not want one.
fn wait_for_morning(world: &World) {
    let now = world.tools.clock.now();
    let morning = ledger::day(now).tomorrow().expect("there is another day").at(1, 0, 0, 0);
    let morning = morning.to_zoned(jiff::tz::TimeZone::UTC).expect("UTC has no gaps").timestamp();
    world.clock.pass(morning.as_second() - now.as_second());
}

async fn spent(world: &World, scope: Scope) -> u64 {
    let day = ledger::day(world.tools.clock.now());
    world.tools.store.spending(scope, day).await.expect("the store answers").tokens
}

/// Three jobs of one repository at once, each far below its own budget: together they stay below the repository's limit.
#[tokio::test]
async fn jobs_that_ignore_limits_never_pass_their_repositorys_limit_together() {
    let repository = Limit { tokens: Some(FEW_TOKENS), cost_microusd: None };
    endless(Limits { repository, ..Limits::default() })
        .play(async |world| {
            wait_for_morning(world);
            let issues = [ISSUE, world.open_issue("The median is wrong"), world.open_issue("The mode is wrong")];
            for issue in issues {
                world.github.comment(world.repo, issue, MAINTAINER, "@codex fix this").expect("the issue is there");
            }
            world.decide().await;
            let (one, two, three) = (world.worker(), world.worker(), world.worker());
            let worked = tokio::join!(one.drain(), two.drain(), three.drain());
            let n_jobs = [worked.0, worked.1, worked.2].map(|n_jobs| n_jobs.expect("the store can be asked"));
            assert_eq!(n_jobs.iter().sum::<u32>(), 3);

            let spent = spent(world, Scope::Repository(world.repo.0)).await;
            assert!((FEW_TOKENS / 2..=FEW_TOKENS).contains(&spent), "{spent} tokens");
            assert_eq!(spent, recorded(world).await, "the ledger is the sum of what the journals say");
            for issue in issues {
                let comments = world.github.comments(world.repo, issue);
                let words = &comments.last().expect("the bot has answered").body;
                assert!(words.contains("**Budget exhausted.**"), "{words}");
                assert!(words.contains("limits.repository_tokens_per_day"), "{words}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_days_limit_is_told_with_its_key_and_holds_until_midnight() {
    let everything = Limit { tokens: Some(FEW_TOKENS), cost_microusd: None };
    endless(Limits { everything, ..Limits::default() })
        .play(async |world| {
            wait_for_morning(world);
            assert_eq!(world.fix_this().await, Outcome::BudgetExhausted);
            let n_requests = world.model.requests().len();
            let words = world.last_words().await;
            // Behind it stands how many requests there was room for, which follows from the length of the prompt.
            insta::assert_snapshot!(words.lines().take(3).collect::<Vec<_>>().join("\n"), @r"
            **Budget exhausted.** The daily token limit for all jobs together leaves no room for another request (`limits.tokens_per_day`); the day ends at midnight UTC.

            Next step: Ask again with a narrower task, or raise the limit in the server's `[limits]`.
            ");
            let issue = world.open_issue("The median is wrong");
            let ask_again = async || {
                let before = world.model.requests().len();
                world.github.comment(world.repo, issue, MAINTAINER, "@codex fix this").expect("the issue is there");
                world.work().await;
                world.model.requests().len() - before
            };
            // A shorter conversation may find room for a request that the longer one did not.
            assert!(ask_again().await <= 1 && n_requests > 2, "{n_requests}");
            assert!(spent(world, Scope::Everything).await <= FEW_TOKENS);
            world.clock.pass(24 * 60 * 60);
            assert!(ask_again().await > 2, "a new day has begun");
            assert!(spent(world, Scope::Everything).await <= FEW_TOKENS);
        })
        .await;
}
