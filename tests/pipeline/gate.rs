//! What the agent is told when it says that it is done and something is missing, while it can still mend it.

use patchwright::model::scripted::{Script, Step};
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{FIX, Setup, mends};

const POLICY: (&str, &str, bool) =
    (".github/patchwright.yml", "commands:\n  test: sh tests/run.sh\n  lint: \"! grep -rn TODO mean.sh\"\n", false);

fn done() -> Step {
    Step::Message("Done.".into())
}

/// An agent that does this first and says that it is done, and then what it is told to.
fn told(first: &str, complaint: &str, then: Vec<Step>) -> Setup {
    let steps = vec![Step::ApplyPatch(FIX.into()), Step::Shell(first.into()), done()];
    let script = Script { for_tasks: vec![(complaint.into(), then)], ..Script::of(steps) };
    Setup { script, ..Setup::default() }
}

/// Plays it: the complaint is heard in the same conversation, and the work is proven in one round.
async fn check(setup: Setup, expected: &str) {
    let expected = expected.to_owned();
    setup
        .play(async move |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let briefs = world.briefs();
            assert_eq!(briefs.len(), 2, "{briefs:?}");
            let nonce = briefs[1].split("BEGIN ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("NONCE");
            assert_eq!(briefs[1].replace(nonce, "NONCE"), expected);
        })
        .await;
}

#[tokio::test]
async fn a_change_that_may_not_be_published_is_taken_back() {
    let setup = told(
        "mkdir -p .github/workflows; echo x > .github/workflows/own.yml",
        "Take that part back",
        vec![Step::Shell("rm -r .github/workflows".into()), done()],
    );
    check(
        setup,
        "Your change cannot be published: the patch changes `.github/workflows/own.yml`; workflows, actions, code owners and the \
         settings of update bots are not for an agent to change. Take that part back.",
    )
    .await;
}

#[tokio::test]
async fn a_link_that_leaves_the_tree_is_taken_back() {
    let setup = told("ln -s ../../../../etc/passwd leak", "Take that part back", vec![Step::Shell("rm leak".into()), done()]);
    check(setup, "Your change cannot be published: `leak` is a link that leaves the tree. Take that part back.").await;
}

#[tokio::test]
async fn a_deleted_test_comes_back() {
    let setup = told("rm tests/t_mean.sh", "deletes tests", vec![Step::Shell("git checkout -q -- tests".into()), done()]);
    check(
        setup,
        "Your change deletes tests: tests/t_mean.sh.\nTake that back unless the task asks for it; mend the code instead.",
    )
    .await;
}

#[tokio::test]
async fn broken_syntax_is_mended() {
    let setup = told("printf 'if true; then\\n' > more.sh", "syntax", vec![Step::Shell("rm more.sh".into()), done()]);
    let setup = Setup { ..setup };
    setup
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let briefs = world.briefs();
            assert!(
                briefs[1].starts_with("The syntax of what you changed is broken:\n") && briefs[1].contains("more.sh"),
                "{briefs:?}"
            );
        })
        .await;
}

#[tokio::test]
async fn a_check_of_the_repositorys_policy_is_passed() {
    let setup = told("echo '# TODO' >> mean.sh", "The check", vec![Step::Shell("sed -i /TODO/d mean.sh".into()), done()]);
    check(
        setup.file(POLICY),
        "The check `! grep -rn TODO mean.sh` fails (exit code 1).\nBEGIN NONCE the end of its output\n5:# TODO\nEND NONCE\n",
    )
    .await;
}

#[tokio::test]
async fn nothing_at_all_is_told_once() {
    let script = Script { for_tasks: vec![("No file is changed".into(), mends())], ..Script::of([done()]) };
    Setup { script, ..Setup::default() }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            assert!(world.briefs()[1].starts_with("No file is changed. If the task can be done, do it."), "{:?}", world.briefs());
        })
        .await;
}

#[tokio::test]
async fn an_agent_that_insists_on_deleting_a_test_has_proven_nothing() {
    let steps = vec![Step::ApplyPatch(FIX.into()), Step::Shell("rm tests/t_mean.sh".into()), done()];
    let told = Setup::model(steps).ends(Outcome::Unproven).await;
    // The base's tests are put back and pass, but what would be merged does not have them.
    assert!(told.contains("they are named below"), "{told}");
}
