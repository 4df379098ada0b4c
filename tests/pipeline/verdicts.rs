//! What the harness says of a patch.

use patchwright::model::scripted::{Script, Step};
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{FIX, MAINTAINER, Setup, does, mends};

/// A script whose model does one thing in the first round and another where the harness found fault with it.
fn in_two_rounds(first: Vec<Step>, second: Vec<Step>) -> Setup {
    let script = Script { steps: first, for_tasks: vec![("What the harness found".into(), second)], ..Script::default() };
    Setup { script, ..Setup::default() }
}

/// Mends the sample, and does something else beside it.
fn mends_and(script: &str) -> Vec<Step> {
    vec![Step::ApplyPatch(FIX.into()), Step::Shell(script.into()), Step::Message("Mended, and more.".into())]
}

#[tokio::test]
async fn tests_that_pass_before_and_after_prove_nothing() {
    let setup = Setup::default().file(("tests/t_mean.sh", "true\n", false));
    insta::assert_snapshot!(setup.ends(Outcome::Unproven).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Unproven.** The tests passed before the patch and pass with it, so they do not show that it solves the issue.

        Pull request: https://github.test/octo/rocket/pull/2

        Next step: Review the patch by hand, or add a failing test for the issue and ask again.

        <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>

    draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
    check patchwright (neutral): Unproven: The tests passed before the patch and pass with it, so they do not show that it solves the issue.
    ");
}

#[tokio::test]
async fn tests_that_still_fail_after_all_rounds_make_a_draft_that_says_so() {
    in_two_rounds(does("echo '# a guess' >> mean.sh"), does("echo '# another' >> mean.sh"))
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Unproven);
            insta::assert_snapshot!(world.page().await, @r"
            mona: (eyes)
                @codex fix this

            patchwright[bot]:
                **Unproven.** The tests fail with the patch, as they did before it.

                Pull request: https://github.test/octo/rocket/pull/2

                Next step: Take the patch as a draft to go on from, or ask again with more detail.

                <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>

            draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
            check patchwright (neutral): Unproven: The tests fail with the patch, as they did before it.
            ");
            insta::assert_snapshot!(world.pull_request_body().await, @r"
            **Unproven.** The tests fail with the patch, as they did before it.

            Fixes #1

            `mona` (write) asked for a fix of #1.

            ### What changed and why

            Done as asked.

            <sub>These are the model's words; nobody has checked them. What follows was executed.</sub>

            | File | | Lines |
            |---|---|---|
            | `mean.sh` | changed | +2 −0 |

            ### Tests

            | `sh tests/run.sh` | Base `BASE` | With this patch |
            |---|---|---|
            | result | ❌ fail (exit code 1) | ❌ fail (exit code 1) |
            | time | T | T |

            Each ran in a fresh tree, without network, by the harness. Existing test files were put back to the base's before the run on the patch.

            To look at, though no proof hangs on it:

            - Whether code of this language asks if it is being tested, or reaches for the runner, was not looked for. `mean.sh`: `Shell`

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

            <details><summary>The end of the output on this patch</summary>

            ```text
            the mean of 2, 4 and 6 is not 4
            ```

            </details>

            ### Not verified

            - The tests fail with the patch, as they did before it. Take the patch as a draft to go on from, or ask again with more detail.
            - Only the command above was run, as a whole: its exit codes are compared, not single tests.
            - Nothing was checked that these tests do not check.

            ### Cost

            4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known.

            <sub>Job JOB. A person reviews and merges this; nothing here merges itself.</sub>
            ");
            let briefs = world.briefs();
            assert_eq!(briefs.len(), 2, "a task and what was found of it");
            insta::assert_snapshot!(briefs[1], @r"
            # What the harness found after your last round
            Your files are as you left them.
            BEGIN e57be3fec860 what was seen when the tests were run
            The tests fail with the patch, as they did before it. The command was `sh tests/run.sh` (exit code 1). The end of its output:
            the mean of 2, 4 and 6 is not 4
            END e57be3fec860
            ");
        })
        .await;
}

#[tokio::test]
async fn a_second_round_can_prove_what_the_first_did_not() {
    in_two_rounds(does("echo '# a guess' >> mean.sh"), mends())
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let (text, _) = world.github.file(world.repo, &world.own_branches()[0], "mean.sh").await.expect("it is there");
            assert!(text.ends_with(b"echo $((sum / $#))\n# a guess\n"), "the second round goes on from the first");
        })
        .await;
}

#[tokio::test]
async fn tests_that_the_patch_breaks_are_a_regression() {
    let setup = Setup::default().file(("tests/t_mean.sh", "test \"$(sh mean.sh 7 7)\" = 14\n", false));
    insta::assert_snapshot!(setup.ends(Outcome::Unproven).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Unproven.** The tests passed before the patch and fail with it.

        Pull request: https://github.test/octo/rocket/pull/2

        Next step: Take the patch as a draft to go on from, or ask again with more detail.

        <sub>8 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>

    draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
    check patchwright (neutral): Unproven: The tests passed before the patch and fail with it.
    ");
}

#[tokio::test]
async fn an_agent_that_changes_nothing_is_quoted() {
    let setup = Setup::model([Step::Message("I see nothing wrong. Ask @octocat, or see https://evil.test/x. Fixes #7".into())]);
    insta::assert_snapshot!(setup.ends(Outcome::NoChange).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **No change.** The agent changed no file.

        The model's last words:

        > I see nothing wrong. Ask `@octocat,` or see `https://evil.test/x.` Fixes `#7`

        Next step: Read its last words, add what is missing to the issue, and ask again.

        <sub>2 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>
    ");
}

#[tokio::test]
async fn without_a_known_test_command_a_patch_is_unproven() {
    let setup = Setup::default().without(".github/patchwright.yml");
    insta::assert_snapshot!(setup.ends(Outcome::Unproven).await, @r#"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Unproven.** No test command is known for this repository, so nothing was executed to check the patch.

        Pull request: https://github.test/octo/rocket/pull/2

        Next step: Name the test command in `.github/patchwright.yml`: `commands: { test: "…" }`.

        <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>

    draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
    check patchwright (neutral): Unproven: No test command is known for this repository, so nothing was executed to check the patch.
    "#);
}

#[tokio::test]
async fn a_base_that_moved_meanwhile_is_mentioned() {
    Setup::default()
        .play(async |world| {
            let push = async || {
                let files: [(&str, &[u8], bool); 1] = [("README.md", b"# Means\n", false)];
                world.github.push_commit(world.repo, "main", MAINTAINER, &files, "Explain").await.expect("git takes it");
            };
            assert_eq!(world.fix_this_while(push).await, Outcome::Proven);
            let body = world.pull_request_body().await;
            let line = body.lines().find(|line| line.contains("has moved on")).expect("the text says so");
            insta::assert_snapshot!(line, @"- `main` has moved on to `MAIN` since the base `BASE` was fixed; the result holds for the base.");
        })
        .await;
}

#[tokio::test]
async fn deleting_the_failing_test_proves_nothing() {
    let setup = in_two_rounds(does("rm tests/t_mean.sh"), does("true"));
    insta::assert_snapshot!(setup.ends(Outcome::Unproven).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Unproven.** The tests fail with the patch, as they did before it.

        Pull request: https://github.test/octo/rocket/pull/2

        Next step: Take the patch as a draft to go on from, or ask again with more detail.

        <sub>8 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>

    draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
    check patchwright (neutral): Unproven: The tests fail with the patch, as they did before it.
    ");
}

#[tokio::test]
async fn weakening_the_failing_test_proves_nothing() {
    let setup = in_two_rounds(does("echo true > tests/t_mean.sh"), does("true"));
    insta::assert_snapshot!(setup.ends(Outcome::Unproven).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Unproven.** The tests fail with the patch, as they did before it.

        Pull request: https://github.test/octo/rocket/pull/2

        Next step: Take the patch as a draft to go on from, or ask again with more detail.

        <sub>4 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>

    draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
    check patchwright (neutral): Unproven: The tests fail with the patch, as they did before it.
    ");
}

#[tokio::test]
async fn a_patch_that_changes_how_tests_are_run_is_unproven() {
    let setup = Setup::model(mends_and("echo true > tests/run.sh"));
    insta::assert_snapshot!(setup.ends(Outcome::Unproven).await, @r"
    mona: (eyes)
        @codex fix this

    patchwright[bot]:
        **Unproven.** The patch changes a file that decides how the tests are run, so their passing says nothing about it.

        Pull request: https://github.test/octo/rocket/pull/2

        Next step: Review that change by hand before anything else.

        <sub>3 of 20 model calls of `scripted`; N tokens in (0 cached), N out; no prices are configured, so the cost is not known. Job JOB.</sub>

    draft pull request #2 of codex/1-the-mean-of-a-list-is-wrong-job to main: The mean of a list is wrong
    check patchwright (neutral): Unproven: The patch changes a file that decides how the tests are run, so their passing says nothing about it.
    ");
}

#[tokio::test]
async fn modes_links_deletions_and_binary_files_survive() {
    let script = "chmod +x tests/t_mean.sh; ln -s mean.sh average.sh; printf '\\000\\377' > blob; rm notes.md; mkdir empty";
    Setup::model(mends_and(script))
        .file(("notes.md", "notes\n", false))
        .play(async |world| {
            // What is not text is not proven, and is published as it is.
            assert_eq!(world.fix_this().await, Outcome::Unproven);
            let tree = world.tree(&world.own_branches()[0]).await;
            let lines: Vec<String> =
                tree.lines().map(|line| format!("{}{}", &line[..7], line.rsplit('\t').next().unwrap_or_default())).collect();
            insta::assert_snapshot!(lines.join("\n"), @r"
            100644 .github/patchwright.yml
            120000 average.sh
            100644 blob
            100755 mean.sh
            100644 tests/run.sh
            100755 tests/t_mean.sh
            ");
        })
        .await;
}
