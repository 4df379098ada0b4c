//! Runs that are driven again from their records. Every other test of the pipeline replays its runs too, at its end.

use patchwright::model::scripted::{Fault, Script, Step};
use patchwright_domain::job::Budget;
use patchwright_domain::journal::Outcome;

use crate::support::pipeline::{FIX, Setup, mends};

#[tokio::test]
async fn a_run_comes_to_the_same_tree_again() {
    Setup::default()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let solves = world.replayer().replay(&world.job().await.id()).await.expect("it can be replayed");
            let [solve] = solves.as_slice() else { panic!("{solves:?}") };
            assert_eq!((solve.turns, &solve.divergence), (4, &None));
            assert!(solve.tree.is_some() && solve.tree == solve.recorded_tree, "{solve:?}");
        })
        .await;
}

#[tokio::test]
async fn faults_of_the_model_and_a_context_that_was_full_are_played_again_too() {
    let busy = Fault::Status { code: 503, headers: Vec::new(), body: String::new() };
    let many = (0..12).map(|n| Step::Shell(format!("echo {n}; head -c 9000 /dev/zero | tr '\\0' x")));
    let for_tasks = vec![
        ("Write a summary".into(), vec![Step::Message("mean.sh divides by one too few.".into())]),
        ("Your own summary".into(), mends()),
    ];
    let script = Script { for_tasks, ..Script::of(many) }.with_faults([Fault::CutAfter(400), busy]);
    let budget = Budget { turns: 40, ..Setup::default().budget };
    Setup { script, budget, context_tokens: 30_000, ..Setup::default() }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            assert!(world.briefs().iter().any(|told| told.contains("mean.sh divides by one too few.")), "the context was full");
            let solves = world.replayer().replay(&world.job().await.id()).await.expect("it can be replayed");
            assert_eq!(solves[0].divergence, None);
        })
        .await;
}

#[tokio::test]
async fn the_first_difference_is_named() {
    let model = vec![Step::Shell("date +%s%N > stamp".into()), Step::ApplyPatch(FIX.into()), Step::Message("Done.".into())];
    Setup { is_replayed: false, ..Setup::model(model) }
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let job = world.job().await.id();
            let solves = world.replayer().replay(&job).await.expect("it can be replayed");
            let divergence = solves[0].divergence.as_ref().expect("time has passed");
            assert_eq!((divergence.turn, divergence.what.as_str()), (3, "the files that were left differ"));
            assert_ne!(solves[0].tree, solves[0].recorded_tree);
        })
        .await;
}
