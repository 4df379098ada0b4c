//! Best of several attempts, chosen by what was executed.

use patchwright::model::scripted::{Script, Step};
use patchwright_domain::job::Budget;
use patchwright_domain::journal::{EntryKind, Outcome};

use crate::support::pipeline::{File, Setup, World, does, mends};

const POLICY: File = (".github/patchwright.yml", "commands:\n  test: sh tests/run.sh\nattempts: 2\n", false);

fn attempts(first: Vec<Step>, second: Vec<Step>) -> Setup {
    let budget = Budget { attempts: 3, rounds: 1, ..Setup::default().budget };
    Setup { second: Some(Script::of(second)), budget, ..Setup::model(first) }.file(POLICY)
}

async fn n_verdicts(world: &World) -> usize {
    world.journal().await.iter().filter(|entry| matches!(entry.kind, EntryKind::Verified { .. })).count()
}

#[tokio::test]
async fn the_second_attempt_begins_from_the_base_and_its_proof_counts() {
    attempts(does("echo '# a guess' >> mean.sh"), mends())
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let (text, _) = world.github.file(world.repo, &world.own_branches()[0], "mean.sh").await.expect("it is there");
            assert!(text.ends_with(b"echo $((sum / $#))\n"), "nothing of the first attempt is left");
            let body = world.pull_request_body().await;
            let (_, section) = body.split_once("### Attempts\n\n").expect("it tells of both");
            insta::assert_snapshot!(section.split("\n\n###").next().unwrap_or_default(), @r"
            This is attempt 2. It was chosen by what was executed, then by its size.

            | Attempt | Lines | Result |
            | ---: | ---: | --- |
            | 1 | +1 −0 | The tests fail with the patch, as they did before it. |
            | 2 | +1 −1 | Proven. |
            ");
        })
        .await;
}

#[tokio::test]
async fn the_first_proof_ends_the_attempts() {
    attempts(mends(), does("echo '# never' >> mean.sh"))
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            assert_eq!(n_verdicts(world).await, 1);
        })
        .await;
}

#[tokio::test]
async fn of_two_without_a_proof_the_smaller_counts() {
    attempts(does("printf '# a\\n# b\\n' >> mean.sh"), does("echo '# a' >> mean.sh"))
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Unproven);
            assert_eq!(n_verdicts(world).await, 2);
            let (text, _) = world.github.file(world.repo, &world.own_branches()[0], "mean.sh").await.expect("it is there");
            assert!(text.ends_with(b"# a\n"), "{}", String::from_utf8_lossy(&text));
        })
        .await;
}

#[tokio::test]
async fn the_same_attempt_again_is_not_tested_again() {
    attempts(does("echo '# a' >> mean.sh"), does("printf '# a  \\n' >> mean.sh"))
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Unproven);
            assert_eq!(n_verdicts(world).await, 1);
        })
        .await;
}
