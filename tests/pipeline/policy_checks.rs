//! The policy file that a pull request changes: whether it can be read is said on its commit, with the line.

use patchwright::rehearsal::fault::Fault;

use super::on_pulls::propose_from_fork;
use crate::support::pipeline::{File, MAINTAINER, Setup, World};

const PATH: &str = ".github/patchwright.yml";
const BROKEN: File = (PATH, "commands:\n  test: sh tests/run.sh\n  tset: cargo test\n", false);
const GOOD: File = (PATH, "commands:\n  test: sh tests/run.sh\n", false);

/// What the check runs on a commit say: name, conclusion, title, and the places beside its lines.
fn said(world: &World, commit: &str) -> Vec<(String, String, String, Vec<u64>)> {
    let runs = world.github.check_runs(world.repo).into_iter().filter(|run| run.head_sha == commit);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    runs.map(|run| {
        let lines = run.annotations.iter().filter_map(|one| one["start_line"].as_u64()).collect();
        (run.name, text(run.conclusion.as_deref()), text(run.output["title"].as_str()), lines)
    })
    .collect()
}

fn failure() -> Vec<(String, String, String, Vec<u64>)> {
    let title = "Line 3, column 3: there is no key `tset` here";
    vec![("patchwright/policy".into(), "failure".into(), title.into(), vec![3])]
}

#[tokio::test]
async fn a_pull_request_that_breaks_the_policy_file_is_told_where_and_that_it_is_mended() {
    Setup::default()
        .play(async |world| {
            let (number, head) = world.propose(&[BROKEN]).await;
            world.work().await;
            assert_eq!(said(world, &head), failure());
            let decisions = world.decisions().await;
            let done = "; the policy file of the pull request cannot be read, and its commit says so";
            assert!(decisions.lines().any(|line| line.starts_with("pull_request opened") && line.ends_with(done)), "{decisions}");
            let run = world.github.check_runs(world.repo).remove(0);
            insta::assert_snapshot!(run.output["summary"].as_str().unwrap_or_default(), @r"
            The policy file cannot be read.

            ```text
            Line 3, column 3: there is no key `tset` here
            did you mean `test`?
              tset: cargo test
              ^
            ```

            On the default branch it would stop everything: where nobody knows what is wanted, nothing is begun. `patchwright policy check .github/patchwright.yml` says the same.
            ");
            for delivery in world.github.deliveries() {
                world.github.redeliver(&delivery.guid).expect("it was sent");
            }
            world.decide().await;
            assert_eq!(said(world, &head), failure(), "told again it is the same");
            let mended = world.push("mend", &[GOOD]).await;
            world.decide().await;
            assert_eq!(said(world, &mended), [], "the file is as on the default branch");
            let other = world.push("mend", &[(PATH, "attempts: 1\ncommands: {test: sh tests/run.sh}\n", false)]).await;
            world.decide().await;
            let readable = ("patchwright/policy".into(), "success".into(), "The policy file can be read".into(), vec![]);
            assert_eq!(said(world, &other), [readable]);
            assert_eq!((world.jobs().await.len(), world.said_on(number).await.len()), (0, 0), "nobody works for it");
        })
        .await;
}

#[tokio::test]
async fn a_forks_policy_file_is_looked_at_as_well() {
    Setup::default()
        .play(async |world| {
            let (_, head) = propose_from_fork(world, &[BROKEN]).await;
            world.decide().await;
            assert_eq!(said(world, &head), failure());
        })
        .await;
}

/// Anybody may push to a fork as often as he likes.
#[tokio::test]
async fn a_pull_request_of_very_many_files_takes_few_looks() {
    let names: Vec<&str> = (0..400).map(|n| &*format!("many/{n}").leak()).collect();
    let mut files: Vec<File> = names.into_iter().map(|name| (name, "x\n", false)).collect();
    files.push(BROKEN);
    Setup::default()
        .play(async |world| {
            let (_, head) = propose_from_fork(world, &files).await;
            world.decide().await;
            assert_eq!(said(world, &head), failure(), "it stands in the front");
            let looks = world.github.exchanges().into_iter().filter(|one| one.path.contains("/files")).count();
            assert_eq!(looks, 3);
        })
        .await;
}

#[tokio::test]
async fn what_leaves_the_policy_file_alone_or_takes_it_away_is_told_nothing() {
    Setup::default()
        .play(async |world| {
            let (_, head) = world.propose(&[("NOTES", "x\n", false)]).await;
            world.decide().await;
            assert_eq!(said(world, &head), []);
            let asked = |path: &str| world.github.exchanges().iter().filter(|one| one.path.contains(path)).count();
            assert_eq!((asked("/files"), asked("/contents/")), (1, 0), "one look is enough");
        })
        .await;
}

/// What is said there is in nobody's way.
#[tokio::test]
async fn a_command_in_the_text_is_heard_whether_or_not_check_runs_can_be_set() {
    for refused in [false, true] {
        Setup::default()
            .play(async |world| {
                if refused {
                    world.github.fault(Fault::refuse(
                        "POST",
                        "/repos/*/check-runs",
                        403,
                        "Resource not accessible by integration",
                    ));
                }
                let head = world.push("mend", &[BROKEN]).await;
                let said_in = ("Mine", "@codex status");
                let opened = world.github.open_pull_request_from(world.repo, world.repo, MAINTAINER, said_in, ("mend", "main"));
                opened.await.expect("both branches are there");
                world.decide().await;
                assert_eq!(said(world, &head), if refused { vec![] } else { failure() });
                world.work().await;
                let told = world.said_on(2).await;
                assert!(told.len() == 1 && told[0].starts_with("Nothing is under way here."), "{told:?}");
            })
            .await;
    }
}

#[tokio::test]
async fn whatever_is_lost_there_is_one_check_run_and_it_comes() {
    for fault in [
        Fault::lose_answer("POST", "/repos/octo/rocket/check-runs"),
        Fault::disconnect("GET", "/repos/octo/rocket/pulls/2/files").times(9),
        Fault::disconnect("POST", "/repos/octo/rocket/check-runs").times(9),
    ] {
        Setup::default()
            .play(async |world| {
                world.github.fault(fault.clone());
                let (_, head) = world.propose(&[BROKEN]).await;
                for _ in 0..6 {
                    world.decide().await;
                    world.clock.pass(600);
                }
                world.decide().await;
                assert_eq!(said(world, &head), failure());
            })
            .await;
    }
}
