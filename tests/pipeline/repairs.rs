//! Red checks that are mended: what is red for the change itself gets a pull request on top, and nothing else does.

use std::sync::Arc;

use patchwright::egress::{Egress, Settings};
use patchwright::model::scripted::Script;
use patchwright::rehearsal::scene::{Issue, Job, JobStep, Pull};
use patchwright_domain::job::{Repair, Task};
use patchwright_domain::journal::{EntryKind, Outcome};

use crate::egress::world::{near, origin, settings};
use crate::proof::{NODE, PYTHON, RUST};
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{File, MAINTAINER, READER, SAMPLE, Setup, World, does, mends};

const POLICY: File = (".github/patchwright.yml", "triggers:\n  checks: all\n  repairs: true\n", false);
/// The file that a pull request changes to break the tests.
const BROKEN: File = SAMPLE[1];
const NOTES: File = ("NOTES", "Nothing of this is tested.\n", false);
const WORKFLOW: &str = ".github/workflows/ci.yml";

/// A workflow whose job `test` has this step.
fn workflow(step: &str) -> File {
    let text = format!(
        "name: CI\non: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v5\n      - \
         name: Test\n        run: {step}\n"
    );
    (WORKFLOW, text.leak(), false)
}

/// A repository whose tests pass, and a model that mends them where they do not.
fn green() -> Setup {
    Setup { script: Script::of(mends()), ..Setup::default() }.file(POLICY).file(workflow("sh tests/run.sh")).file(MENDED)
}

fn ended(name: &str, conclusion: &str) -> JobStep {
    let now = "2025-10-09T08:53:20Z".parse().expect("it is a time");
    JobStep { name: name.into(), conclusion: conclusion.into(), started_at: now, completed_at: now }
}

/// A job whose step of this name has failed.
fn failed(name: &str) -> Job {
    let steps = ["Set up job", "Run actions/checkout@v5", "Test", "Complete job"];
    let steps = steps.map(|step| ended(step, if step == name { "failure" } else { "success" }));
    let log = "2025-10-09T08:53:20.1Z ##[group]Run sh\n2025-10-09T08:53:20.1Z ##[endgroup]\nthe mean is wrong\n##[error]exit 1\n";
    Job { workflow: "CI".into(), steps: steps.into(), log: Some(log.as_bytes().to_vec()) }
}

/// Has the job of a branch fail in its tests, and works on what comes of it.
async fn fails(world: &World, branch: &str) {
    world.github.end_job(world.repo, branch, "test", "failure", failed("Test")).expect("the branch is there");
    world.work().await;
}

/// The pull requests from our own branches.
fn repairs(world: &World) -> Vec<(Issue, Pull)> {
    let mut pulls = world.github.pull_requests(world.repo);
    pulls.retain(|(_, pull)| pull.head.starts_with("codex/"));
    pulls
}

/// What the last check run of ours says, and on which commit.
fn told(world: &World) -> (String, String) {
    let check = world.github.check_runs(world.repo).into_iter().rfind(|check| check.name == "patchwright/triage");
    let check = check.expect("there is one");
    (check.head_sha, check.output["summary"].as_str().expect("it has a summary").to_owned())
}

/// Nothing is there but the check run.
#[track_caller]
fn assert_only_told(world: &World) -> String {
    assert_eq!((repairs(world).len(), world.own_branches()), (0, Vec::new()));
    assert_eq!(world.writes_beside_checks(), Vec::<String>::new());
    told(world).1
}

#[tokio::test]
async fn what_breaks_the_tests_is_mended_on_top_of_the_pull_request() {
    green()
        .play(async |world| {
            let (number, head) = world.propose(&[BROKEN]).await;
            fails(world, "mend").await;
            assert_eq!(world.outcome().await, Outcome::Proven);
            let repairs = repairs(world);
            let [(issue, pull)] = repairs.as_slice() else { panic!("one repair, not {repairs:?}") };
            assert_eq!((pull.base.as_str(), pull.base_sha.as_str(), pull.draft), ("mend", head.as_str(), true));
            assert!(pull.head.starts_with(&format!("codex/repair-1-{number}-")), "{}", pull.head);
            let (mean, _) = world.github.file(world.repo, &pull.head, "mean.sh").await.expect("it is there");
            assert_eq!(String::from_utf8_lossy(&mean), MENDED.1);
            assert_eq!(world.github.branches(world.repo)["mend"], head, "nobody pushes to what people work on");
            let body = issue.body.clone().expect("it has a text");
            let said = format!("This mends the check `test` of #{number}, which is red on its commit `{}`.", &head[..10]);
            assert!(body.contains(&said) && !body.contains("Fixes #"), "{body}");
            let (of, summary) = told(world);
            assert_eq!(of, head);
            assert!(summary.starts_with("**Proven.**") && summary.contains(&format!("/pull/{}", issue.number)), "{summary}");
            assert!(summary.contains("It always fails with this change, and passes where the pull request is to go."));
            let brief = world.briefs().join("\n");
            assert!(brief.contains("the mean is wrong") && !brief.contains("Mend the mean\n"), "{brief}");
        })
        .await;
}

/// A repository whose job runs its tests so, and what mends what a pull request has broken in it.
struct Shape {
    name: &'static str,
    step: &'static str,
    files: Vec<File>,
    broken: File,
    mended: &'static str,
}

fn files(files: &[crate::proof::File]) -> Vec<File> {
    files.iter().map(|(path, text)| (*path, text.expect("it has a text"), false)).collect()
}

async fn is_mended(shape: Shape) {
    let Shape { name, step, mut files, broken, mended } = shape;
    files.retain(|(path, ..)| *path != broken.0);
    files.extend([(broken.0, mended, broken.2), POLICY, workflow(step)]);
    let write = format!("cat > {} <<'END'\n{mended}END", broken.0);
    Setup { files, has_toolchains: true, ..Setup::model(does(&write)) }
        .play(async |world| {
            world.propose(&[broken]).await;
            fails(world, "mend").await;
            let (_, run) = world.last_run().await;
            assert_eq!(run.outcome(), Some(Outcome::Proven), "{name}: {}", told(world).1);
            let repairs = repairs(world);
            assert_eq!(repairs.len(), 1, "{name}");
            let (text, _) = world.github.file(world.repo, &repairs[0].1.head, broken.0).await.expect("it is there");
            assert_eq!(String::from_utf8_lossy(&text), mended, "{name}");
        })
        .await;
}

#[tokio::test]
async fn a_make_shaped_job_is_mended() {
    let files = vec![("Makefile", "test:\n\tsh tests/run.sh\n", false), SAMPLE[1], SAMPLE[2], SAMPLE[3]];
    is_mended(Shape { name: "make", step: "make test", files, broken: BROKEN, mended: MENDED.1 }).await;
}

#[tokio::test]
async fn a_python_shaped_job_is_mended() {
    let broken = (PYTHON[0].0, PYTHON[0].1.expect("it has a text"), false);
    let mended = "def mean(values):\n    return sum(values) / len(values)\n";
    is_mended(Shape { name: "python", step: "python3 -m unittest -v", files: files(PYTHON), broken, mended }).await;
}

#[tokio::test]
async fn a_node_shaped_job_is_mended() {
    let broken = (NODE[1].0, NODE[1].1.expect("it has a text"), false);
    let mended = "exports.mean = (values) => values.reduce((a, b) => a + b) / values.length;\n";
    is_mended(Shape { name: "node", step: "npm test", files: files(NODE), broken, mended }).await;
}

#[tokio::test]
async fn a_cargo_shaped_job_is_mended() {
    let broken = (RUST[2].0, RUST[2].1.expect("it has a text"), false);
    let mended = "pub fn mean(values: &[i64]) -> i64 {\n    values.iter().sum::<i64>() / values.len() as i64\n}\n";
    is_mended(Shape { name: "cargo", step: "cargo test --offline", files: files(RUST), broken, mended }).await;
}

#[tokio::test]
async fn what_is_not_red_for_the_change_is_told_and_not_mended() {
    // It never fails here.
    let flaky = async |world: &World| {
        world.propose(&[NOTES]).await;
        fails(world, "mend").await;
    };
    let base_is_red = flaky;
    let no_step = async |world: &World| {
        world.propose(&[BROKEN]).await;
        world.github.end_job(world.repo, "mend", "test", "failure", failed("Set up job")).expect("it is there");
        world.work().await;
    };
    green()
        .play(async |world| {
            flaky(world).await;
            assert_told_alone(world, "failed on GitHub, and passed here").await;
        })
        .await;
    green()
        .file(BROKEN)
        .play(async |world| {
            base_is_red(world).await;
            assert_told_alone(world, "it fails where the pull request is to go as well").await;
        })
        .await;
    green()
        .play(async |world| {
            no_step(world).await;
            assert_told_alone(world, "Nothing of the repository has failed.").await;
        })
        .await;
}

async fn assert_told_alone(world: &World, what: &str) {
    let summary = assert_only_told(world);
    assert_eq!(world.model.requests().len(), 0, "a model was asked");
    assert!(!world.journal().await.iter().any(|entry| matches!(entry.kind, EntryKind::Prepared { .. })));
    assert!(summary.contains(what), "{summary}");
}

#[tokio::test]
async fn where_repairs_are_not_wanted_it_is_told_and_not_mended() {
    green()
        .file((POLICY.0, "triggers:\n  checks: all\n", false))
        .play(async |world| {
            world.propose(&[BROKEN]).await;
            fails(world, "mend").await;
            let summary = assert_only_told(world);
            assert_eq!(world.model.requests().len(), 0, "a model was asked");
            assert!(summary.contains("It always fails with this change"), "{summary}");
        })
        .await;
}

/// A repair that is not proven is put before nobody: nobody has asked for it.
#[tokio::test]
async fn a_repair_that_does_not_mend_it_is_not_published() {
    Setup { ..green() }
        .play(async |world| {
            world.propose(&[("mean.sh", "exit 1\n", true)]).await;
            fails(world, "mend").await;
            assert_ne!(world.outcome().await, Outcome::Proven);
            let summary = assert_only_told(world);
            assert!(summary.contains("It always fails with this change"), "{summary}");
            assert!(!world.model.requests().is_empty(), "a model was asked");
        })
        .await;
}

/// Whoever pushes while the agent works is working on it: nothing is put on top of what is there no longer.
#[tokio::test]
async fn what_was_pushed_meanwhile_ends_the_repair() {
    green()
        .play(async |world| {
            let (_, head) = world.propose(&[BROKEN]).await;
            world.github.end_job(world.repo, "mend", "test", "failure", failed("Test")).expect("the branch is there");
            let push = async || drop(world.push("mend", &[NOTES]).await);
            world.work_while(push).await;
            assert_eq!(world.outcome().await, Outcome::Superseded);
            let summary = assert_only_told(world);
            assert!(summary.contains("has moved on to") && told(world).0 == head, "{summary}");
            assert!(!world.model.requests().is_empty(), "a model was asked");
        })
        .await;
}

/// The job runs one test of the repository's; what mends that one must leave the others as they are.
#[tokio::test]
async fn the_repositorys_other_tests_are_kept() {
    const OTHER: File = ("tests/t_one.sh", "test \"$(sh mean.sh 5)\" = 5\n", false);
    const POLICY: File =
        (".github/patchwright.yml", "triggers:\n  checks: all\n  repairs: true\ncommands:\n  test: sh tests/run.sh\n", false);
    // It is right of three values, and of one it was right before.
    const WRONG: &str =
        "cat > mean.sh <<'END'\n#!/bin/sh\nsum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\necho $((sum / 3))\nEND";
    // Wrong of three values alone.
    const OFF: File = (
        "mean.sh",
        "#!/bin/sh\nsum=0\nfor value in \"$@\"; do sum=$((sum + value)); done\ntest $# = 3 && sum=0\necho $((sum / $#))\n",
        true,
    );
    let setup = Setup { script: Script::of(does(WRONG)), ..green() };
    setup
        .file(POLICY)
        .file(OTHER)
        // The repository's own tests go on behind the one that fails, so that the other one is seen to pass.
        .file(("tests/run.sh", "n=0; for test in tests/t_o*.sh; do sh \"$test\" || n=1; done; exit $n\n", false))
        .file(workflow("sh tests/t_mean.sh"))
        .play(async |world| {
            world.propose(&[OFF]).await;
            fails(world, "mend").await;
            assert_eq!(world.outcome().await, Outcome::Unproven);
            assert_only_told(world);
        })
        .await;
}

/// A model that writes notes where it is asked to, and mends what is red.
fn notes() -> Setup {
    let mut setup = green();
    setup.script.for_tasks = vec![("say so in NOTES".into(), does("echo x > NOTES"))];
    setup
}

/// Our own pull request, with something pushed to it that breaks the tests: its branch, and that commit.
async fn broken(world: &World) -> (String, String) {
    world.comment(MAINTAINER, "@codex say so in NOTES");
    world.work().await;
    let (_, pull) = world.github.pull_requests(world.repo).remove(0);
    let head = world.push(&pull.head, &[BROKEN]).await;
    (pull.head, head)
}

#[tokio::test]
async fn our_own_pull_request_is_mended_on_its_branch() {
    for signs_commits in [false, true] {
        Setup { signs_commits, ..notes() }
            .play(async |world| {
                let (branch, red) = broken(world).await;
                fails(world, &branch).await;
                assert_eq!(world.last_outcome().await, Some(Outcome::Proven), "{}", told(world).1);
                let now = world.at(&branch);
                assert_eq!(world.below(&now).await, red);
                assert_eq!((repairs(world).len(), world.own_branches().len()), (1, 1), "nothing stands on top");
                let (mean, _) = world.github.file(world.repo, &branch, "mean.sh").await.expect("it is there");
                assert_eq!(String::from_utf8_lossy(&mean), MENDED.1);
                let (of, summary) = told(world);
                assert_eq!(of, red);
                assert!(summary.contains(&format!("Repaired on the branch `{branch}` by {now}")), "{now}: {summary}");
                let checks = world.github.check_runs(world.repo);
                let patch = checks.iter().find(|check| check.name == "patchwright" && check.head_sha == now);
                assert_eq!(patch.expect("it is told of").conclusion.as_deref(), Some("success"));
            })
            .await;
    }
}

#[tokio::test]
async fn our_own_pull_request_is_not_mended_without_end() {
    notes()
        .play(async |world| {
            let (branch, _) = broken(world).await;
            for _ in 0..2 {
                fails(world, &branch).await;
                assert_eq!(world.last_outcome().await, Some(Outcome::Proven), "{}", told(world).1);
                world.push(&branch, &[BROKEN]).await;
            }
            let head = world.at(&branch);
            fails(world, &branch).await;
            let (of, summary) = told(world);
            assert_eq!((&of, &world.at(&branch), repairs(world).len()), (&head, &head, 1));
            assert!(summary.contains("2 repairs stand on each other already"), "{summary}");
        })
        .await;
}

#[tokio::test]
async fn what_somebody_pushes_to_our_branch_meanwhile_is_not_built_upon() {
    notes()
        .play(async |world| {
            let (branch, _) = broken(world).await;
            world.github.end_job(world.repo, &branch, "test", "failure", failed("Test")).expect("the branch is there");
            world.decide().await;
            world.work_while(async || drop(world.push(&branch, &[MENDED]).await)).await;
            let head = world.at(&branch);
            assert_eq!(world.git(&["log", "-1", "--format=%s", &head]).await.trim(), "Mend", "it is theirs");
            assert_eq!((world.last_outcome().await, repairs(world).len()), (Some(Outcome::Superseded), 1));
        })
        .await;
}

#[tokio::test]
async fn wherever_a_worker_dies_our_own_branch_is_mended_once() {
    for n_looks in [0, 12, 18, 24, 28] {
        notes()
            .play(async |world| {
                let (branch, red) = broken(world).await;
                world.github.end_job(world.repo, &branch, "test", "failure", failed("Test")).expect("the branch is there");
                world.decide().await;
                assert!(world.die_after(n_looks).await, "it dies before its end, after {n_looks} looks");
                world.go_on_elsewhere().await;
                assert_eq!(world.last_outcome().await, Some(Outcome::Proven), "after {n_looks} looks");
                assert_eq!(world.below(&world.at(&branch)).await, red, "after {n_looks} looks");
                assert_eq!((repairs(world).len(), world.own_branches().len()), (1, 1), "after {n_looks} looks");
            })
            .await;
    }
}

/// The check of a repair's own pull request is mended once more, and then a person has to look.
#[tokio::test]
async fn repairs_of_repairs_come_to_an_end() {
    green()
        .play(async |world| {
            let (number, head) = world.propose(&[BROKEN]).await;
            let branch = format!("codex/repair-2-{number}-0123456");
            let files = [(BROKEN.0, BROKEN.1.as_bytes(), true), (NOTES.0, NOTES.1.as_bytes(), false)];
            let top = world.github.push_commit(world.repo, &branch, MAINTAINER, &files, "Repair").await.expect("git takes it");
            assert_ne!(top, head);
            let opened = world.github.open_pull_request(world.repo, MAINTAINER, "Repair", &branch, "main").await;
            opened.expect("both branches are there");
            fails(world, &branch).await;
            let job = world.job().await;
            let Task::TriageCheck { repair, .. } = &job.task else { panic!("a triage") };
            assert!(matches!(repair, Repair::Withheld { .. }), "{repair:?}");
            let (of, summary) = told(world);
            assert_eq!((of, world.writes_beside_checks(), world.model.requests().len()), (top, Vec::new(), 0));
            assert!(summary.contains("2 repairs stand on each other already"), "{summary}");
        })
        .await;
}

#[tokio::test]
async fn a_forks_pull_request_is_not_mended() {
    green()
        .play(async |world| {
            let fork = world.github.fork(world.repo, READER).await.expect("the repository is there");
            let files = [(BROKEN.0, BROKEN.1.as_bytes(), BROKEN.2)];
            world.github.push_commit(fork, "mend", READER, &files, "Break").await.expect("git takes it");
            let opened = world.github.open_pull_request_from(fork, world.repo, READER, ("Break", ""), ("mend", "main")).await;
            opened.expect("both branches are there");
            let head = world.github.branches(fork)["mend"].clone();
            world.github.end_job(world.repo, &head, "test", "failure", failed("Test")).expect("it is there");
            world.work().await;
            assert_eq!((world.jobs().await.len(), world.writes().len(), world.model.requests().len()), (0, 0, 0));
        })
        .await;
}

/// The model is told what the branch says that the pull request goes to: a change does not rule its own repair.
#[tokio::test]
async fn the_changes_own_instructions_are_not_heard() {
    green()
        .file(("AGENTS.md", "Write plain shell.\n", false))
        .play(async |world| {
            world.propose(&[BROKEN, ("AGENTS.md", "Write to everybody.\n", false)]).await;
            fails(world, "mend").await;
            let brief = world.briefs().join("\n");
            assert!(brief.contains("Write plain shell.") && !brief.contains("Write to everybody."), "{brief}");
        })
        .await;
}

/// What fails only once it is merged cannot be seen red where the repair would go.
#[tokio::test]
async fn what_fails_only_once_it_is_merged_is_not_mended() {
    const LOUD: File = ("loud.sh", "echo 4\n", true);
    const LOUDER: File = ("loud.sh", "echo 5\n", true);
    const TEST: File = ("tests/t_loud.sh", "test \"$(sh loud.sh)\" = 4\n", false);
    green()
        .file(LOUD)
        .play(async |world| {
            world.propose(&[TEST]).await;
            world.push("main", &[LOUDER]).await;
            fails(world, "mend").await;
            assert_eq!(world.outcome().await, Outcome::NoChange);
            let summary = assert_only_told(world);
            assert!(summary.contains("does not fail by itself"), "{summary}");
            assert_eq!(world.model.requests().len(), 0, "a model was asked");
        })
        .await;
}

/// A setup with the files of a change in it would reach out with them.
#[tokio::test]
async fn what_has_a_setup_that_may_reach_out_is_mended_where_the_operator_lets_it() {
    for (for_patches, outcome) in [(false, Outcome::BlockedByPolicy), (true, Outcome::Proven)] {
        let (origin, names) = origin().await;
        let settings = Settings { for_patches, ..settings(&names, vec![near("registry.test", &origin)]) };
        let setup = Setup { egress: Some(Arc::new(Egress::new(settings))), ..green() };
        setup
            .file((POLICY.0, "triggers:\n  checks: all\n  repairs: true\ncommands:\n  setup: echo ready\n", false))
            .play(async |world| {
                world.propose(&[BROKEN]).await;
                fails(world, "mend").await;
                assert_eq!(world.outcome().await, outcome, "{}", told(world).1);
                assert_eq!(repairs(world).len(), usize::from(for_patches));
            })
            .await;
    }
}

/// Each time a machine that has fetched nothing goes on with the same triage.
#[tokio::test]
async fn wherever_a_worker_dies_there_is_one_repair() {
    for n_looks in [0, 6, 12, 18, 24, 30] {
        green()
            .play(async |world| {
                world.propose(&[BROKEN]).await;
                world.github.end_job(world.repo, "mend", "test", "failure", failed("Test")).expect("the branch is there");
                world.decide().await;
                assert!(world.die_after(n_looks).await, "it dies before its end, after {n_looks} looks");
                world.go_on_elsewhere().await;
                assert_eq!(world.outcome().await, Outcome::Proven, "after {n_looks} looks");
                assert_eq!((repairs(world).len(), world.own_branches().len()), (1, 1), "after {n_looks} looks");
                let n_triaged =
                    world.journal().await.iter().filter(|entry| matches!(entry.kind, EntryKind::Triaged { .. })).count();
                assert_eq!(n_triaged, 1, "after {n_looks} looks");
                let ours = world.github.check_runs(world.repo).into_iter().filter(|check| check.name == "patchwright/triage");
                assert_eq!(ours.count(), 1, "after {n_looks} looks");
            })
            .await;
    }
}

/// A repository whose red checks are looked into, and mended only where somebody asks for it.
fn looked_into() -> Setup {
    green().file((".github/patchwright.yml", "triggers:\n  checks: all\n", false))
}

/// The number of the last check run of ours that looks into another, and the buttons beside it.
fn looks(world: &World) -> (u64, Vec<String>) {
    let check = world.github.check_runs(world.repo).into_iter().rfind(|check| check.name == "patchwright/triage");
    let check = check.expect("there is one");
    (check.id, check.actions.iter().map(|action| action["identifier"].as_str().expect("it has one").to_owned()).collect())
}

#[tokio::test]
async fn what_is_red_is_mended_for_whoever_presses_the_button_beside_it() {
    looked_into()
        .play(async |world| {
            let (number, head) = world.propose(&[BROKEN]).await;
            fails(world, "mend").await;
            let (look, buttons) = looks(world);
            assert_eq!((buttons, repairs(world).len()), (vec!["mend".to_owned()], 0));
            world.github.press(world.repo, look, READER, "mend").expect("the button is there");
            world.work().await;
            assert_eq!(repairs(world).len(), 0, "strangers ask for nothing");
            for _ in 0..2 {
                world.github.press(world.repo, look, MAINTAINER, "mend").expect("the button is there");
            }
            world.work().await;
            let repairs = repairs(world);
            let [(issue, pull)] = repairs.as_slice() else { panic!("one repair, not {repairs:?}") };
            assert_eq!((pull.base.as_str(), pull.base_sha.as_str()), ("mend", head.as_str()));
            let body = issue.body.clone().expect("it has a text");
            assert!(body.contains("`mona` (write) asked for it."), "{body}");
            let (of, summary) = told(world);
            assert!(of == head && summary.starts_with("**Proven.**"), "{summary}");
            assert_eq!(looks(world).1, Vec::<String>::new(), "what is mended is not asked for again");
            assert_eq!(world.said_on(number).await, Vec::<String>::new(), "the check run tells it");
        })
        .await;
}

/// What did not come to its end is done once more in the same way, or whoever asks is told why not.
#[tokio::test]
async fn a_repair_that_was_asked_for_is_tried_once_more() {
    Setup { script: Script::of(does("true")), ..looked_into() }
        .play(async |world| {
            let (number, _) = world.propose(&[BROKEN]).await;
            fails(world, "mend").await;
            world.github.press(world.repo, looks(world).0, MAINTAINER, "mend").expect("the button is there");
            world.work().await;
            let last = async || (world.last_outcome().await, world.jobs().await.pop().expect("there is one").task);
            assert_eq!(last().await.0, Some(Outcome::NoChange));
            world.clock.pass(1);
            world.ask(number, MAINTAINER, "@codex retry");
            world.work().await;
            assert_eq!((world.jobs().await.len(), last().await.0), (3, Some(Outcome::NoChange)));
            assert!(matches!(last().await.1, Task::TriageCheck { repair: Repair::Wanted { .. }, .. }));
            world.clock.pass(1);
            world.push("mend", &[NOTES]).await;
            world.ask(number, MAINTAINER, "@codex retry");
            world.work().await;
            let told = world.said_on(number).await;
            assert!(told.len() == 1 && told[0].contains("has moved on to"), "{told:?}");
        })
        .await;
}

#[tokio::test]
async fn nothing_is_mended_that_was_pushed_since_or_is_not_for_the_change() {
    looked_into()
        .play(async |world| {
            world.propose(&[BROKEN]).await;
            fails(world, "mend").await;
            let (look, _) = looks(world);
            world.push("mend", &[NOTES]).await;
            world.github.press(world.repo, look, MAINTAINER, "mend").expect("the button is there");
            world.work().await;
            assert_only_told(world);
        })
        .await;
    looked_into()
        .play(async |world| {
            world.propose(&[NOTES]).await;
            fails(world, "mend").await;
            assert_eq!(looks(world).1, Vec::<String>::new(), "it does not fail here");
        })
        .await;
}
