//! An effect that kills whoever performs it: it is tried no more than a few times, and what can still be told is told.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Staff, replace};
use crate::support::site::passage::{Crossing, Moment};
use crate::support::site::process::PATIENCE;
use crate::support::site::{Site, is_over, told};

/// How many workers may die of one step.
const CLAIMS: usize = 2;

/// Has one fix asked for, and kills the only process whenever it is about to do one of these. Gives the place, when the job has
/// ended, and how often that was.
async fn play(poisonous: &'static [&'static str]) -> (Site<'static>, u64, usize) {
    let mut site = Staff::OnSqlite(1).site().await.expect("a file can be anywhere");
    site.set("PATCHWRIGHT__LIMITS__CLAIMS", &CLAIMS.to_string());
    let (held, mut holds) = mpsc::unbounded_channel();
    site.watch(Arc::new(move |crossing: &Crossing, moment| {
        let is_deadly = moment == Moment::Arrived && crossing.write().is_some_and(|write| poisonous.contains(&write.as_str()));
        is_deadly && held.send(()).is_ok()
    }));
    let mut crew = Staff::OnSqlite(1).begin(&site).await;
    let mut ear = site.storage.listen().await;
    let issue = site.ask(site.repos[0]);
    let mut n_kills = 0;
    loop {
        let journals = site.storage.journals().await;
        if journals.len() == 1 && journals.iter().all(is_over) {
            break;
        }
        let happened = async {
            tokio::select! {
                _ = holds.recv() => true,
                () = ear.hears() => false,
            }
        };
        let Ok(is_held) = timeout(PATIENCE, happened).await else { panic!("nothing happens any more: {}", told(&journals)) };
        if is_held {
            n_kills += 1;
            assert!(n_kills <= CLAIMS * poisonous.len(), "it is tried for ever: {}", told(&journals));
            replace(&site, &mut crew, 0).await;
        }
    }
    for process in crew {
        process.ends().await;
    }
    (site, issue, n_kills)
}

/// The outcome of the only job.
async fn outcome(site: &Site<'_>) -> String {
    let (_, entries) = site.storage.journals().await.pop().expect("there is one job");
    entries.last().expect("it was worked on")["outcome"].as_str().expect("it has ended").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_kills_whoever_does_it_is_given_up_and_told() {
    let (site, issue, n_kills) = play(&["push"]).await;
    assert_eq!((n_kills, outcome(&site).await.as_str()), (CLAIMS, "failed"));
    let repo = site.repos[0];
    assert!(site.github.branches(repo).into_keys().all(|branch| !branch.starts_with("codex/")), "nothing was pushed");
    let ours: Vec<_> = site.github.comments(repo, issue).into_iter().filter(|comment| comment.via_app).collect();
    assert_eq!(ours.len(), 1, "{ours:#?}");
    let cause = "The worker stopped 2 times in the middle of performing `branch`.";
    assert!(ours[0].body.contains(cause), "{}", ours[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_of_which_even_the_telling_kills() {
    let (site, _, n_kills) = play(&["push", "PATCH issues/comments (the end)"]).await;
    assert_eq!((n_kills, outcome(&site).await.as_str()), (2 * CLAIMS, "failed"));
}
