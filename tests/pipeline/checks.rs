//! Red checks of pull requests: their jobs are run again as their workflow files say, and a check run tells what they are about.

use std::sync::Arc;

use patchwright::egress::{Egress, Settings};
use patchwright::rehearsal::scene::{CheckRun, Job, JobStep};
use patchwright_domain::job::Task;
use patchwright_domain::journal::{EntryKind, Outcome};
use patchwright_domain::proof::Colour;
use patchwright_domain::triage::{Side, Verdict};

use crate::egress::world::{near, origin, settings};
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::settings::OPERATORS_SECRET;
use crate::support::pipeline::{File, MAINTAINER, READER, SAMPLE, Setup, World};

const POLICY: File = (".github/patchwright.yml", "triggers:\n  checks: all\n", false);
const WORKFLOW: File = (
    ".github/workflows/ci.yml",
    "name: CI
on: push
env:
  LIST: 2 4 6
jobs:
  test:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        shell: [sh, bash]
    steps:
      - uses: actions/checkout@v5
      - name: Prepare
        run: test -f mean.sh
      - name: Test
        run: |
          ${{ matrix.shell }} tests/run.sh
          echo tested $LIST
",
    false,
);
/// The file that a pull request changes to break the tests: it is as it was before it was mended.
const BROKEN: File = SAMPLE[1];
const NOTES: File = ("NOTES", "Nothing of this is tested.\n", false);

/// A repository whose tests pass, with a workflow.
fn green() -> Setup {
    Setup::default().file(POLICY).file(WORKFLOW).file(MENDED)
}

/// The same whose tests fail.
fn red() -> Setup {
    Setup::default().file(POLICY).file(WORKFLOW)
}

fn step(name: &str, conclusion: &str) -> JobStep {
    let now = "2025-10-09T08:53:20Z".parse().expect("it is a time");
    JobStep { name: name.into(), conclusion: conclusion.into(), started_at: now, completed_at: now }
}

/// A job whose step of this name has failed.
fn failed(name: &str) -> Job {
    let names = ["Set up job", "Run actions/checkout@v5", "Prepare", "Test", "Complete job"];
    let steps = names.map(|step| (step, if step == name { "failure" } else { "success" }));
    let log = format!(
        "2025-10-09T08:53:20.1Z ##[group]Run sh\n2025-10-09T08:53:20.1Z ##[endgroup]\nnot ok {OPERATORS_SECRET}\n##[error]exit 1\n"
    );
    Job {
        workflow: "CI".into(),
        steps: steps.map(|(name, conclusion)| step(name, conclusion)).into(),
        log: Some(log.into_bytes()),
    }
}

/// Has a job of the branch `mend` fail in its tests, and works on what comes of it.
async fn fails(world: &World) {
    world.github.end_job(world.repo, "mend", "test (sh)", "failure", failed("Test")).expect("the branch is there");
    world.work().await;
}

/// What was found out, by the only job.
async fn verdict(world: &World) -> (Verdict, usize, usize) {
    let journal = world.journal().await;
    let triaged = journal.iter().find_map(|entry| match &entry.kind {
        EntryKind::Triaged { triaged } => Some((**triaged).clone()),
        _ => None,
    });
    let triaged = triaged.expect("it was looked into");
    let n = |side: Side| triaged.runs.iter().filter(|run| run.side == side).count();
    (triaged.verdict.clone(), n(Side::Head), n(Side::Base))
}

/// The check runs of ours.
fn told(world: &World) -> Vec<CheckRun> {
    let mut checks = world.github.check_runs(world.repo);
    checks.retain(|check| check.name.starts_with("patchwright"));
    checks
}

/// One check run of ours on this commit, which stops nothing, and nothing else.
#[track_caller]
fn assert_only_told(world: &World, head: &str) -> String {
    let told = told(world);
    assert_eq!(told.len(), 1, "one check run");
    let check = &told[0];
    assert_eq!((check.name.as_str(), check.head_sha.as_str()), ("patchwright/triage", head));
    assert_eq!(check.conclusion.as_deref(), Some("neutral"));
    assert_eq!(world.writes_beside_checks(), Vec::<String>::new());
    assert_eq!(world.model.requests().len(), 0, "a model was asked");
    check.output["summary"].as_str().expect("it has one").to_owned()
}

#[tokio::test]
async fn a_change_that_breaks_the_tests_is_told_so_once() {
    green()
        .play(async |world| {
            let (pull, head) = world.propose(&[BROKEN]).await;
            fails(world).await;
            assert_eq!(world.run().await.outcome(), Some(Outcome::Answered));
            let (verdict, n_head, n_base) = verdict(world).await;
            assert_eq!((verdict, n_head, n_base), (Verdict::Red { tests: Vec::new(), is_base_green: true }, 3, 3));
            let summary = assert_only_told(world, &head);
            let job = world.job().await;
            assert!(matches!(&job.task, Task::TriageCheck { pull_request, .. } if pull_request.0 == pull));
            let summary = world.stable(&summary.replace(&head[..10], "HEAD")).await;
            insta::assert_snapshot!(summary, @r#"
            **Answered.** It always fails with this change, and passes where the pull request is to go.

            This is about the check `test (sh)` of the commit `HEAD`.

            Its job was run again here, in fresh trees:

            ```text
            export CI='true' GITHUB_ENV=/dev/null GITHUB_PATH=/dev/null GITHUB_OUTPUT=/dev/null GITHUB_STEP_SUMMARY=/dev/null
            export LIST='2 4 6'
            bash -e -c 'sh tests/run.sh
            echo tested $LIST'
            ```

            | Tree | Runs |
            | --- | --- |
            | with the change, `HEAD` | ❌ ❌ ❌ |
            | without it, `MAIN` | ✅ ✅ ✅ |

            Sandbox: `namespaces`, by the executor `local`; LIMITS.

            Next step: Mend it in this pull request.

            <sub>No model was asked and nothing was changed. This check run is neutral whatever it says. Job JOB.</sub>
            "#);
            let text = told(world)[0].output["text"].as_str().expect("there is a log").to_owned();
            assert!(text.contains("not ok Griz…"), "{text}");
        })
        .await;
}

#[tokio::test]
async fn a_base_that_is_red_itself_is_told_from_the_change() {
    red()
        .play(async |world| {
            let (_, head) = world.propose(&[NOTES]).await;
            fails(world).await;
            assert_eq!(verdict(world).await, (Verdict::BaseRed { tests: Vec::new() }, 3, 3));
            let summary = assert_only_told(world, &head);
            assert!(summary.contains("it fails where the pull request is to go as well"), "{summary}");
        })
        .await;
}

#[tokio::test]
async fn what_does_not_fail_again_is_flaky() {
    green()
        .play(async |world| {
            let (_, head) = world.propose(&[NOTES]).await;
            fails(world).await;
            assert_eq!(verdict(world).await, (Verdict::Flaky { side: Side::Head, n_red: 0, n_green: 3 }, 3, 0));
            assert_only_told(world, &head);
        })
        .await;
}

#[tokio::test]
async fn where_no_step_of_the_repository_failed_nothing_is_run() {
    for (conclusion, step, is_known) in [("failure", "Set up job", true), ("failure", "none", true), ("timed_out", "none", false)]
    {
        green()
            .play(async |world| {
                let (_, head) = world.propose(&[BROKEN]).await;
                world.github.end_job(world.repo, "mend", "test (sh)", conclusion, failed(step)).expect("it is there");
                world.work().await;
                let (verdict, n_head, n_base) = verdict(world).await;
                // A loop without end in the repository's own code ends so, too.
                let is_of_the_machine = matches!(verdict, Verdict::Infrastructure { .. });
                assert_eq!(is_of_the_machine, is_known, "{conclusion} {step}: {verdict:?}");
                assert_eq!((n_head, n_base), (0, 0));
                assert_only_told(world, &head);
            })
            .await;
    }
}

#[tokio::test]
async fn what_cannot_be_run_here_is_said_with_its_reason() {
    let secret = "jobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - name: Test\n        env:\n          KEY: ${{ secrets.KEY }}\n        run: sh tests/run.sh\n";
    let missing = "jobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - name: Test\n        run: no-such-program\n";
    let before =
        "jobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: exit 3\n      - name: Test\n        run: true\n";
    for (text, because) in [
        (secret, "The step `Test` cannot be run here: it needs the secret `secrets.key`, and there are none here."),
        (missing, "What failed there gives no result here: exit code 127."),
        (before, "A step before the one that failed does not work here: exit code 3."),
        ("jobs: {", "No job in a workflow file is called `test`."),
    ] {
        let workflow = (".github/workflows/ci.yml", text, false);
        Setup::default()
            .file(POLICY)
            .file(workflow)
            .play(async |world| {
                let (_, head) = world.propose(&[NOTES]).await;
                let job = Job { workflow: ".github/workflows/ci.yml".into(), ..failed("Test") };
                world.github.end_job(world.repo, "mend", "test", "failure", job).expect("it is there");
                world.work().await;
                let (verdict, ..) = verdict(world).await;
                let Verdict::Unreproducible { because: told } = &verdict else { panic!("{verdict:?}") };
                assert!(told.starts_with(because), "{told}");
                assert_only_told(world, &head);
            })
            .await;
    }
}

#[tokio::test]
async fn the_commits_own_workflow_says_what_is_run_and_it_is_confined() {
    let reads = "jobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - name: Test\n        run: |\n          env\n          cat /proc/1/environ /etc/shadow\n          false\n";
    green()
        .play(async |world| {
            let (_, head) = world.propose(&[(".github/workflows/ci.yml", reads, false)]).await;
            let job = Job { workflow: ".github/workflows/ci.yml".into(), ..failed("Test") };
            world.github.end_job(world.repo, "mend", "test", "failure", job).expect("it is there");
            world.work().await;
            let journal = world.journal().await;
            let walls = journal.iter().any(|entry| matches!(entry.kind, EntryKind::Confined { .. }));
            let run = journal.iter().find_map(|entry| match &entry.kind {
                EntryKind::Triaged { triaged } => triaged.runs.first().cloned(),
                _ => None,
            });
            let run = run.expect("it was run");
            assert!(walls && run.colour == Colour::Red, "{run:?}");
            let output = world.tools.store.artifact(&run.evidence.output).await.expect("it is kept");
            let output = String::from_utf8_lossy(&output);
            assert!(output.contains("PATH=") && !output.contains("root:"), "{output}");
            assert_only_told(world, &head);
        })
        .await;
}

/// A setup may reach out, and a pull request must not say what is done there.
#[tokio::test]
async fn a_workflow_that_the_pull_request_changes_has_no_setup() {
    let changed = WORKFLOW.1.replace("run: test -f mean.sh", "run: test -f mean.sh && echo changed");
    green()
        .play(async |world| {
            let files = [(WORKFLOW.0, changed.as_bytes(), false), (BROKEN.0, BROKEN.1.as_bytes(), true)];
            let pushed = world.github.push_commit(world.repo, "mend", MAINTAINER, &files, "Change").await;
            let head = pushed.expect("git takes the files");
            let opened = world.github.open_pull_request(world.repo, MAINTAINER, "Change", "mend", "main").await;
            opened.expect("both branches are there");
            fails(world).await;
            let summary = assert_only_told(world, &head);
            assert!(
                summary.contains("changes .github/workflows/ci.yml") || summary.contains("changes `.github/workflows/ci.yml`")
            );
            let journal = world.journal().await;
            let command = journal.iter().find_map(|entry| match &entry.kind {
                EntryKind::Triaged { triaged } => triaged.command.clone(),
                _ => None,
            });
            assert!(command.is_some_and(|command| command.contains("echo changed")), "it is part of what was tested");
        })
        .await;
}

/// Nothing was started, for this reason.
#[track_caller]
fn assert_nothing(world: &World, decisions: &str, because: &str) {
    assert_reason(decisions, because);
    assert_eq!((told(world).len(), world.writes()), (0, Vec::<String>::new()));
}

#[track_caller]
fn assert_reason(decisions: &str, because: &str) {
    assert!(decisions.contains(&format!("check_run completed by github-actions[bot]: {because}")), "{decisions}");
}

#[tokio::test]
async fn nothing_is_looked_into_where_the_base_does_not_want_it() {
    Setup::default()
        .file(WORKFLOW)
        .file(MENDED)
        .play(async |world| {
            world.propose(&[BROKEN, POLICY]).await;
            fails(world).await;
            let decisions = world.decisions().await;
            assert_reason(&decisions, "red checks are not looked into here: `triggers.checks` is off");
            let names: Vec<String> = told(world).into_iter().map(|run| run.name).collect();
            assert_eq!(
                (names, world.jobs().await.len()),
                (vec!["patchwright/policy".to_owned()], 0),
                "the file itself can be read"
            );
        })
        .await;
}

#[tokio::test]
async fn somebody_elses_pull_request_is_not_our_own() {
    green()
        .file((".github/patchwright.yml", "triggers:\n  checks: own\n", false))
        .play(async |world| {
            world.propose(&[BROKEN]).await;
            fails(world).await;
            let decisions = world.decisions().await;
            assert_nothing(world, &decisions, "the pull request is somebody else's, and `triggers.checks` is own");
        })
        .await;
}

#[tokio::test]
async fn a_fork_is_left_out() {
    green()
        .play(async |world| {
            let fork = world.github.fork(world.repo, READER).await.expect("the repository is there");
            let files: Vec<_> = [BROKEN].iter().map(|(path, text, executable)| (*path, text.as_bytes(), *executable)).collect();
            world.github.push_commit(fork, "mend", READER, &files, "Break").await.expect("git takes it");
            let opened = world.github.open_pull_request_from(fork, world.repo, READER, ("Break", ""), ("mend", "main")).await;
            opened.expect("both branches are there");
            let head = world.github.branches(fork)["mend"].clone();
            world.github.end_job(world.repo, &head, "test (sh)", "failure", failed("Test")).expect("it is there");
            world.work().await;
            let decisions = world.decisions().await;
            assert_nothing(world, &decisions, "no check of GitHub Actions is red now on the last commit of an open pull request from a branch of this repository");
        })
        .await;
}

#[tokio::test]
async fn what_has_moved_on_is_not_told_of_as_if_it_had_not() {
    green()
        .play(async |world| {
            let (_, head) = world.propose(&[BROKEN]).await;
            world.github.end_job(world.repo, "mend", "test (sh)", "failure", failed("Test")).expect("it is there");
            world.decide().await;
            world.push("mend", &[NOTES]).await;
            world.work().await;
            assert_eq!(world.outcome().await, Outcome::Superseded);
            let summary = assert_only_told(world, &head);
            assert!(summary.contains("has moved on to"), "{summary}");
        })
        .await;
}

#[tokio::test]
async fn a_pull_request_that_does_not_merge_is_told_so_and_stopped_by_nothing() {
    green()
        .play(async |world| {
            let (_, head) = world.propose(&[BROKEN]).await;
            world.push("main", &[("mean.sh", "echo 4\n", true)]).await;
            fails(world).await;
            assert_eq!(world.outcome().await, Outcome::NeedsInput);
            let summary = assert_only_told(world, &head);
            assert!(summary.contains("does not merge into"), "{summary}");
        })
        .await;
}

#[tokio::test]
async fn a_second_check_waits_for_nobody_and_a_commit_has_an_end() {
    green()
        .play(async |world| {
            let (_, head) = world.propose(&[BROKEN]).await;
            for name in ["test (sh)", "test (bash)", "lint", "docs"] {
                world.github.end_job(world.repo, "mend", name, "failure", failed("Test")).expect("the branch is there");
                world.work().await;
            }
            let told = told(world);
            assert_eq!(told.len(), 3, "three of a commit");
            assert!(told.iter().all(|check| check.head_sha == head && check.conclusion.as_deref() == Some("neutral")));
            let decisions = world.decisions().await;
            assert!(decisions.contains("3 checks of this commit were looked into already"), "{decisions}");
        })
        .await;
}

/// What nobody has asked for keeps nobody waiting: neither another check nor what somebody asks for.
#[tokio::test]
async fn what_is_red_meanwhile_waits_and_what_is_asked_for_meanwhile_is_begun() {
    green()
        .play(async |world| {
            let (pull, head) = world.propose(&[BROKEN]).await;
            for name in ["test (sh)", "test (bash)"] {
                world.github.end_job(world.repo, "mend", name, "failure", failed("Test")).expect("the branch is there");
                world.decide().await;
            }
            world.github.comment(world.repo, pull, MAINTAINER, "@codex prove").expect("it is there");
            world.decide().await;
            let tasks: Vec<_> = world.jobs().await.into_iter().map(|job| job.task.command()).collect();
            assert_eq!(tasks, ["triage", "triage", "prove"]);
            world.work().await;
            let told = told(world);
            let n = |name: &str| told.iter().filter(|check| check.name == name && check.head_sha == head).count();
            assert_eq!((n("patchwright/triage"), n("patchwright/proof")), (2, 1));
        })
        .await;
}

/// Why a job that passes here each time is not called flaky: what ran here is not what ran there.
async fn assert_different(world: &World, why: &str) {
    let (verdict, ..) = verdict(world).await;
    let Verdict::Unreproducible { because } = &verdict else { panic!("{verdict:?}") };
    assert!(because.contains("It passes here each time") && because.contains(why), "{because}");
}

#[tokio::test]
async fn what_passes_merged_into_a_branch_that_has_moved_on_is_not_called_flaky() {
    green()
        .play(async |world| {
            world.propose(&[NOTES]).await;
            world.push("main", &[("OTHER", "Somebody's.\n", false)]).await;
            fails(world).await;
            assert_different(world, "What is run is the commit merged into where it is to go, as that is now").await;
        })
        .await;
}

#[tokio::test]
async fn what_passes_behind_another_setup_than_its_own_is_not_called_flaky() {
    green()
        .file((POLICY.0, "triggers:\n  checks: all\ncommands:\n  setup: echo ready\n", false))
        .play(async |world| {
            world.propose(&[NOTES]).await;
            fails(world).await;
            assert_different(world, "In the place of the job's steps before it, the repository's setup is run: `echo ready`.")
                .await;
        })
        .await;
}

/// A setup that may reach out is done before anything of the change is there, and fetches what is named without it.
#[tokio::test]
async fn a_change_of_what_setups_fetch_is_not_blamed_for_what_they_have_not_fetched() {
    for (for_patches, is_known) in [(false, false), (true, true)] {
        let (origin, names) = origin().await;
        let settings = Settings { for_patches, ..settings(&names, vec![near("registry.test", &origin)]) };
        Setup { egress: Some(Arc::new(Egress::new(settings))), ..green() }
            .play(async |world| {
                world.propose(&[BROKEN, ("requirements.txt", "left-pad\n", false)]).await;
                fails(world).await;
                let (verdict, n_head, _) = verdict(world).await;
                let told = "It could not be seen here. The pull request changes `requirements.txt`, and setups fetch here what is \
                            named without the change.";
                assert_eq!((verdict.sentence() == told, n_head > 0), (!is_known, is_known), "{verdict:?}");
            })
            .await;
    }
}

#[tokio::test]
async fn an_old_red_check_starts_nothing() {
    green()
        .play(async |world| {
            world.github.hold_webhooks();
            world.propose(&[BROKEN]).await;
            world.github.end_job(world.repo, "mend", "test (sh)", "failure", failed("Test")).expect("it is there");
            world.push("mend", &[NOTES]).await;
            world.github.release_webhooks(patchwright::rehearsal::Order::AsHappened);
            world.work().await;
            let decisions = world.decisions().await;
            let because = "no check of GitHub Actions is red now on the last commit of an open pull request";
            assert_nothing(world, &decisions, because);
        })
        .await;
}

#[tokio::test]
async fn a_job_that_we_may_not_look_at_is_run_whole() {
    green()
        .play(async |world| {
            let (_, head) = world.propose(&[BROKEN]).await;
            world.github.report_check(world.repo, "mend", "test (bash)", "failure", "").expect("the branch is there");
            world.work().await;
            let (verdict, n_head, n_base) = verdict(world).await;
            assert_eq!((verdict, n_head, n_base), (Verdict::Red { tests: Vec::new(), is_base_green: true }, 3, 3));
            assert_only_told(world, &head);
        })
        .await;
}
