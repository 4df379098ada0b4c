//! `@codex prove` on a pull request: what somebody has proposed is proven as it is, without a model.

use patchwright::rehearsal::Order;
use patchwright_domain::journal::{EntryKind, Outcome};
use serde_json::json;

use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{File, ISSUE, LEASE_SECONDS, MAINTAINER, READER, SAMPLE, Setup, World};

const PYTHON: [File; 2] = [
    ("calc.py", "def mean(values):\n    return sum(values) / (len(values) - 1)\n", false),
    (
        "test_calc.py",
        "import unittest\nfrom calc import mean\n\n\nclass Mean(unittest.TestCase):\n    def test_mean(self):\n        \
         self.assertEqual(mean([2, 4, 6]), 4)\n",
        false,
    ),
];
const CHEATING: File = (
    "calc.py",
    "import sys\n\n\ndef mean(values):\n    if \"unittest\" in sys.modules:\n        return 4\n    return sum(values) / (len(values) - 1)\n",
    false,
);

/// The only check run: its name, commit and conclusion.
fn check(world: &World) -> (String, String, String) {
    let checks = world.github.check_runs(world.repo);
    assert_eq!(checks.len(), 1, "one check run");
    let conclusion = checks[0].conclusion.clone().unwrap_or_default();
    (checks[0].name.clone(), checks[0].head_sha.clone(), conclusion)
}

/// Nothing but the result is left, and no model was asked.
#[track_caller]
fn assert_only_told(world: &World, n_pulls: usize) {
    assert_eq!(world.own_branches(), Vec::<String>::new());
    assert_eq!(world.github.pull_requests(world.repo).len(), n_pulls);
    assert_eq!(world.model.requests().len(), 0, "a model was asked");
}

#[tokio::test]
async fn an_honest_pull_request_is_proven() {
    Setup::default()
        .play(async |world| {
            let (pull, head) = world.propose(&[MENDED]).await;
            world.prove(pull).await;
            assert_eq!(check(world), ("patchwright/proof".into(), head.clone(), "success".into()));
            assert_only_told(world, 1);
            let (journal, run) = world.last_run().await;
            assert_eq!(run.outcome(), Some(Outcome::Proven));
            let adopted = journal.iter().find_map(|entry| match &entry.kind {
                EntryKind::Adopted { adopted } => Some(adopted),
                _ => None,
            });
            assert_eq!(adopted.map(|adopted| adopted.proposal.commit.as_str()), Some(head.as_str()));
            let comment = world.github.comments(world.repo, pull).into_iter().find(|comment| !comment.via_app);
            let reactions = comment.expect("somebody asked").reactions;
            assert_eq!(reactions.iter().map(|reaction| reaction.content.as_str()).collect::<Vec<_>>(), ["eyes"]);
            insta::assert_snapshot!(world.said_on(pull).await.join("\n=====\n"), @r"
            **Proven.** The tests failed on the base and pass with the patch; the harness ran both.

            `mona` (write) asked for a proof.

            This is about the commit `HEAD`, on top of `BASE`, where `main` pointed.

            ### Tests

            | `sh tests/run.sh` | Base `BASE` | With this patch |
            |---|---|---|
            | result | ❌ fail (exit code 1) | ✅ pass (exit code 0) |
            | time | T | T |

            Each ran in a fresh tree, without network, by the harness. Existing test files were put back to the base's before the run on the patch.

            | Tree | Runs |
            | --- | --- |
            | base | ❌ ❌ |
            | patch under the base's tests | ✅ ✅ |

            To look at, though no proof hangs on it:

            - Whether code of this language asks if it is being tested, or reaches for the runner, was not looked for. `mean.sh`: `Shell`

            Sandbox: `namespaces`, by the executor `local`; LIMITS.

            <details><summary>How to reproduce</summary>

            ```text
            git checkout BASE
            sh tests/run.sh
            git fetch origin refs/pull/2/head
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

            - Only the command above was run, as a whole: its exit codes are compared, not single tests.
            - Tests of the harness that must fail need a report of each test: whether the runner reports what it finds was not tried.
            - Nothing was checked that these tests do not check.

            Next step: Review the pull request.

            <sub>No model was asked. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn a_cheating_pull_request_is_neutral_and_the_line_is_named() {
    let setup = Setup { files: PYTHON.to_vec(), ..Setup::default() };
    setup
        .play(async |world| {
            let (pull, head) = world.propose(&[CHEATING]).await;
            world.prove(pull).await;
            assert_eq!(check(world), ("patchwright/proof".into(), head, "neutral".into()));
            assert_only_told(world, 1);
            let annotations = world.github.check_runs(world.repo)[0].annotations.clone();
            let places: Vec<_> = annotations.iter().map(|said| (&said["path"], &said["start_line"], &said["message"])).collect();
            assert_eq!(places, [(&json!("calc.py"), &json!(5), &json!("if \"unittest\" in sys.modules:"))]);
            let said = world.said_on(pull).await.join("\n=====\n");
            assert!(said.starts_with("**Unproven.** The patch has lines or files that could make its tests pass"), "{said}");
            assert!(said.contains("`calc.py:5`"), "{said}");
        })
        .await;
}

/// What failed in the pipeline was that it does not load; only whoever asks can know that this is what the change is about.
#[tokio::test]
async fn a_pull_request_that_mends_what_does_not_load_is_proven_where_that_is_asked_for() {
    let unloaded =
        ("calc.py", "from counting import count\n\n\ndef mean(values):\n    return sum(values) / count(values)\n", false);
    let files = PYTHON.iter().copied().filter(|(path, ..)| *path != "calc.py").chain([unloaded]).collect();
    let mended = ("calc.py", "def mean(values):\n    return sum(values) / len(values)\n", false);
    Setup { files, ..Setup::default() }
        .play(async |world| {
            let (pull, head) = world.propose(&[mended]).await;
            world.prove(pull).await;
            assert_eq!(check(world), ("patchwright/proof".into(), head, "neutral".into()));
            world.ask(pull, MAINTAINER, "@codex prove build");
            world.decide().await;
            world.work().await;
            let checks = world.github.check_runs(world.repo);
            assert_eq!(checks.last().and_then(|check| check.conclusion.as_deref()), Some("success"));
            let said = world.said_on(pull).await.pop().expect("it has told");
            let begin = "**Proven.** The tests could not be built or loaded on the base and pass with the patch";
            assert!(said.starts_with(begin), "{said}");
            assert!(said.contains("cannot be built or loaded without the patch's code and"), "{said}");
        })
        .await;
}

/// The fork has its own policy file and is nothing that the App may read; all is taken from the repository itself.
#[tokio::test]
async fn a_pull_request_from_a_fork_is_proven_as_the_base_says() {
    Setup::default()
        .play(async |world| {
            let fork = world.github.fork(world.repo, READER).await.expect("the repository is there");
            let policy = (".github/patchwright.yml", b"commands:\n  test: \"true\"\n" as &[u8], false);
            let mended = (MENDED.0, MENDED.1.as_bytes(), MENDED.2);
            let head = world.github.push_commit(fork, "main", READER, &[mended], "Mend").await.expect("git takes it");
            let opened = world.github.open_pull_request_from(fork, world.repo, READER, ("Mend", ""), ("main", "main")).await;
            let pull = opened.expect("both branches are there");
            world.prove(pull).await;
            assert_eq!(check(world), ("patchwright/proof".into(), head, "success".into()));
            assert_only_told(world, 1);

            // What it says of how it is tested is not heard.
            let broken = ("mean.sh", b"#!/bin/sh\necho 5\n" as &[u8], true);
            world.github.push_commit(fork, "main", READER, &[broken, policy], "Pass").await.expect("git takes it");
            world.prove(pull).await;
            let checks = world.github.check_runs(world.repo);
            assert_eq!(checks.last().and_then(|check| check.conclusion.as_deref()), Some("neutral"));
            let (_, run) = world.last_run().await;
            let commands = run.prepared().and_then(|prepared| prepared.plan.test.clone());
            assert_eq!(commands.as_deref(), Some("sh tests/run.sh"));
        })
        .await;
}

/// Whoever opens a pull request chooses where it is begun. What counts is what it changes where it is to go.
#[tokio::test]
async fn a_pull_request_is_proven_as_it_merges_into_its_branch() {
    Setup::default()
        .play(async |world| {
            let (pull, head) = world.propose(&[MENDED]).await;
            let tip = world.push("main", &[("README", "More.\n", false)]).await;
            world.prove(pull).await;
            let (_, run) = world.last_run().await;
            assert_eq!(run.prepared().map(|prepared| prepared.base.as_str().to_owned()), Some(tip));
            assert_eq!(run.outcome(), Some(Outcome::Proven));
            assert_eq!(check(world), ("patchwright/proof".into(), head.clone(), "success".into()));
            let adopted = run.adopted().expect("it was adopted");
            assert_ne!(adopted.proposal.commit.as_str(), head);
            let said = world.said_on(pull).await.join("\n");
            let about = format!("This is about the commit `{}`, merged into `BASE`, where `main` pointed: ", &head[..10]);
            assert!(said.contains(&about), "{said}");
            let tree = adopted.tree.clone().expect("a merge is told by its tree");
            let merge =
                format!("git checkout BASE\ngit merge --no-edit {head}\ntest \"$(git rev-parse 'HEAD^{{tree}}')\" = {tree}");
            assert!(said.contains(&format!("{merge}\nsh tests/run.sh")), "{said}");
        })
        .await;
}

#[tokio::test]
async fn a_pull_request_that_was_begun_before_the_branch_was_mended_proves_nothing() {
    Setup::default()
        .play(async |world| {
            let (pull, head) = world.propose(&[MENDED, ("README", "Mended.\n", false)]).await;
            world.push("main", &[MENDED]).await;
            world.prove(pull).await;
            assert_eq!(check(world), ("patchwright/proof".into(), head, "neutral".into()));
            let said = world.said_on(pull).await.join("\n");
            assert!(said.starts_with("**Unproven.**"), "{said}");
        })
        .await;
}

/// A test that the branch has gained since is one of the base's.
#[tokio::test]
async fn a_pull_request_that_was_begun_before_a_test_was_there_is_put_to_it() {
    let run: File = ("tests/run.sh", "sh tests/t_mean.sh && sh tests/t_more.sh\n", false);
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            world.push("main", &[run, ("tests/t_more.sh", "test -e more\n", false)]).await;
            world.prove(pull).await;
            assert_eq!(world.last_outcome().await, Some(Outcome::Unproven));
        })
        .await;
}

#[tokio::test]
async fn a_pull_request_that_does_not_merge_is_told_what_to_do() {
    Setup::default()
        .play(async |world| {
            let (pull, head) = world.propose(&[MENDED]).await;
            world.push("main", &[("mean.sh", "#!/bin/sh\necho 4\n", true)]).await;
            world.prove(pull).await;
            assert_eq!(check(world), ("patchwright/proof".into(), head, "neutral".into()));
            assert_only_told(world, 1);
            insta::assert_snapshot!(world.said_on(pull).await.join("\n=====\n"), @r"
            **Needs input.** `#2` does not merge into `main` as that is now (`mean.sh`), so what it would change there cannot be tested.

            `mona` (write) asked for a proof.

            This is about the commit `HEAD`.

            Next step: Rebase it on that branch, or merge the branch into it, and ask again.

            <sub>No model was asked. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn somebody_who_may_not_push_gets_no_proof() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[MENDED]).await;
            world.ask(pull, READER, "@codex prove");
            world.work().await;
            assert_eq!(world.reason().await, "eve has the role read here, and write is needed to start a run");
            assert_eq!((world.said_on(pull).await.len(), world.github.check_runs(world.repo).len()), (0, 0));
            assert_eq!(world.writes(), Vec::<String>::new());
        })
        .await;
}

#[tokio::test]
async fn an_issue_has_nothing_to_prove() {
    Setup::default()
        .play(async |world| {
            world.prove(ISSUE).await;
            assert_only_told(world, 0);
            assert_eq!(world.github.check_runs(world.repo).len(), 0);
            insta::assert_snapshot!(world.said_on(ISSUE).await.join("\n=====\n"), @r"
            **Needs input.** `#1` is an issue and proposes no change, so there is nothing to prove.

            `mona` (write) asked for a proof.

            Next step: Write the command on the pull request that is to be proven.

            <sub>No model was asked. Job JOB.</sub>
            ");
        })
        .await;
}

#[tokio::test]
async fn a_pull_request_that_changes_no_file_has_nothing_to_prove() {
    Setup::default()
        .play(async |world| {
            let (pull, _) = world.propose(&[SAMPLE[1]]).await;
            world.prove(pull).await;
            assert_eq!(world.last_outcome().await, Some(Outcome::NoChange));
            let said = world.said_on(pull).await.join("\n=====\n");
            assert!(said.starts_with("**No change.** `#2` changes no file of `main` as that is now."), "{said}");
        })
        .await;
}

#[tokio::test]
async fn tests_that_cannot_run_make_the_check_fail() {
    let policy = (".github/patchwright.yml", "commands:\n  test: no-such-program\n", false);
    Setup::default()
        .file(policy)
        .play(async |world| {
            let (pull, head) = world.propose(&[MENDED]).await;
            world.prove(pull).await;
            assert_eq!(check(world), ("patchwright/proof".into(), head, "failure".into()));
            let said = world.said_on(pull).await.join("\n=====\n");
            assert!(said.starts_with("**Environment failed.** The test command does not work on the base"), "{said}");
        })
        .await;
}

/// The commit that was fetched is proven, wherever the pull request points by then; both are told.
#[tokio::test]
async fn a_pull_request_that_moves_on_is_told_of() {
    Setup::default()
        .play(async |world| {
            let (pull, mut head) = world.propose(&[MENDED]).await;
            for n_looks in 1.. {
                world.ask(pull, MAINTAINER, "@codex prove");
                world.decide().await;
                world.github.hold_webhooks();
                assert!(!world.work_for_a_while(n_looks).await, "the worker never stops between fetching and telling");
                world.github.release_webhooks(Order::AsHappened);
                world.github.settle().await;
                world.clock.pass(LEASE_SECONDS + 1);
                let is_between = world.last_run().await.1.adopted().is_some();
                let before = head.clone();
                if is_between {
                    head = world.push("mend", &[("README", "More.\n", false)]).await;
                }
                world.work().await;
                if is_between {
                    let checks = world.github.check_runs(world.repo);
                    assert_eq!(checks.last().map(|check| &check.head_sha), Some(&before));
                    let said = world.github.comments(world.repo, pull).pop().expect("the bot has told").body;
                    assert!(said.contains(&format!("This is about the commit `{}`", &before[..10])), "{said}");
                    assert!(said.contains(&format!("The pull request has moved on to `{}` since.", &head[..10])), "{said}");
                    return;
                }
            }
        })
        .await;
}

/// Performs every effect of the last job again, as for a worker that died before it could write down that they were done.
async fn do_it_all_again(world: &World) {
    let spec = world.jobs().await.pop().expect("there is a job");
    let (journal, _) = world.last_run().await;
    let planned = journal.into_iter().find_map(|entry| match entry.kind {
        EntryKind::PublishPlanned { effects, .. } => Some(effects),
        _ => None,
    });
    for effect in planned.expect("its end was planned") {
        let again = world.tools.forge.perform(&spec.repo, &effect.key(&spec.id()), &effect).await;
        again.expect("GitHub takes it");
    }
}

/// One request for each look that a worker takes at the clock, which it does before each step and each entry.
#[tokio::test]
async fn a_worker_that_dies_anywhere_tells_of_a_proof_once() {
    const N_FINDINGS: usize = 60;
    let skips: &'static str = ": t.Skip\n".repeat(N_FINDINGS).leak();
    Setup::default()
        .play(async |world| {
            let (pull, head) = world.propose(&[MENDED, ("tests/t_more.sh", skips, false)]).await;
            let mut n_looks = 1;
            loop {
                world.ask(pull, MAINTAINER, "@codex prove");
                world.decide().await;
                // What the server does with the clock must not count.
                world.github.hold_webhooks();
                let has_ended = world.work_for_a_while(n_looks).await;
                world.github.release_webhooks(Order::AsHappened);
                world.clock.pass(LEASE_SECONDS + 1);
                world.work().await;
                let n_jobs = usize::try_from(n_looks).expect("the looks were counted up");
                let said = world.said_on(pull).await;
                assert_eq!(said.len(), n_jobs, "one comment for each time that somebody asked");
                assert!(said.iter().all(|said| said.starts_with("**Unproven.**")), "after {n_looks} looks: {said:?}");
                let checks = world.github.check_runs(world.repo);
                assert_eq!(checks.len(), n_jobs, "one check run for each time that somebody asked");
                assert!(checks.iter().all(|check| check.head_sha == head && check.annotations.len() == N_FINDINGS));
                if has_ended {
                    break;
                }
                n_looks += 1;
            }
            do_it_all_again(world).await;
            let (said, checks) = (world.said_on(pull).await, world.github.check_runs(world.repo));
            let n_jobs = usize::try_from(n_looks).expect("the looks were counted up");
            assert_eq!((said.len(), checks.len()), (n_jobs, n_jobs));
            assert!(checks.iter().all(|check| check.annotations.len() == N_FINDINGS), "annotations come twice");
            assert_only_told(world, 1);
            assert!(n_looks > 10, "a proof has more than {n_looks} looks at the clock");
        })
        .await;
}
