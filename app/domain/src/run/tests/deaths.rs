//! Workers that die of a step: of planning, and of each effect.

use super::*;

/// So many workers in a row that die.
fn deaths(n: usize) -> Vec<EntryKind> {
    std::iter::repeat_n(claimed(), n).collect()
}

fn judged() -> Vec<EntryKind> {
    vec![claimed(), prepared(), solved(), verified(proven())]
}

fn publishing(effects: &[Effect]) -> Vec<EntryKind> {
    [judged(), vec![planned(Outcome::Proven, effects)]].concat()
}

/// The answer of a worker that is told to give something up, and its words.
fn given_up(kinds: &[EntryKind]) -> (EntryKind, String) {
    match run(&sample::spec(), kinds).next(at(60)) {
        Step::Fail { failure, effect } => {
            let cause = failure.conclusion.cause.clone();
            (EntryKind::Failed { failure, effect }, cause)
        }
        other => panic!("something to give up, not {other:?}"),
    }
}

#[test]
fn a_push_that_kills_its_workers_fails_and_is_told() {
    let publishing = publishing(&[push(), pull_request(), comment()]);
    check(&[&publishing[..], &deaths(2)].concat(), "perform branch");
    let dead = [publishing, deaths(3)].concat();
    check(&dead, "fail branch");
    let (failed, cause) = given_up(&dead);
    assert_eq!(cause, "The worker stopped 3 times in the middle of performing `branch`.");
    let failed = [dead, vec![failed]].concat();
    check(&failed, "plan failed");
    check(&[&failed[..], &deaths(2)].concat(), "plan failed");
    let told = [failed, vec![planned(Outcome::Failed, &[comment()])]].concat();
    check(&[&told[..], &deaths(2)].concat(), "perform progress");
    check(&[&told[..], &[performed(&comment())]].concat(), "complete failed");
    // The telling kills, too.
    let untold = [told, deaths(3)].concat();
    check(&untold, "fail progress");
    let (failed, _) = given_up(&untold);
    check(&[untold, vec![failed]].concat(), "complete failed");
}

#[test]
fn each_effect_may_kill_as_many_workers_as_another() {
    let mut kinds = publishing(&[push(), comment(), reaction()]);
    kinds.extend([deaths(2), vec![performed(&push())], deaths(2)].concat());
    check(&kinds, "perform progress");
    kinds.extend(deaths(1));
    let (failed, cause) = given_up(&kinds);
    assert_eq!(cause, "The worker stopped 3 times in the middle of performing `progress`.");
    kinds.push(failed);
    check(&kinds, "perform reaction");
    kinds.extend(deaths(2));
    check(&kinds, "perform reaction");
    kinds.extend(deaths(1));
    check(&kinds, "fail reaction");
    let (failed, _) = given_up(&kinds);
    kinds.push(failed);
    // What people can do without is noted, and the outcome stays.
    check(&kinds, "complete proven");
}

#[test]
fn planning_that_kills_its_workers_ends_the_run() {
    let planning = judged();
    check(&[&planning[..], &deaths(2)].concat(), "plan proven");
    // That alone is told.
    let dead = [planning, deaths(3)].concat();
    let Step::PlanPublish { conclusion } = run(&sample::spec(), &dead).next(at(60)) else { panic!("it is told") };
    assert_eq!(conclusion.outcome, Outcome::Failed);
    assert_eq!(conclusion.cause, "The worker stopped 3 times in the middle of planning what is to be told.");
    check(&[&dead[..], &[cancel()]].concat(), "plan failed");
    check(&[&dead[..], &[planned(Outcome::Failed, &[comment()])]].concat(), "perform progress");
    check(&[&dead[..], &deaths(2)].concat(), "plan failed");
    let dead = [dead, deaths(3)].concat();
    let (failed, cause) = given_up(&dead);
    assert_eq!(cause, "The worker stopped 6 times in the middle of planning what is to be told.");
    check(&[dead, vec![failed]].concat(), "complete failed");
    let gave_up = [vec![claimed(), prepared(), gave_up(Outcome::NoChange)], deaths(3)].concat();
    let (failed, _) = given_up(&gave_up);
    check(&[gave_up, vec![failed]].concat(), "complete no_change");
}

#[test]
fn planning_the_end_of_the_work_may_kill_as_many_as_the_work() {
    check(&deaths(6), "plan failed");
    check(&deaths(7), "fail");
    let (failed, cause) = given_up(&deaths(7));
    assert_eq!(cause, "The worker stopped 6 times in the middle of the same step.");
    check(&[deaths(7), vec![failed.clone()]].concat(), "plan failed");
    check(&[deaths(7), vec![failed], deaths(3)].concat(), "fail");
    // A run that was cancelled ends as cancelled.
    let cancelled = [vec![cancel()], deaths(7)].concat();
    let (failed, _) = given_up(&cancelled);
    let planned = [cancelled, vec![failed]].concat();
    check(&planned, "plan cancelled");
    let (failed, _) = given_up(&[&planned[..], &deaths(3)].concat());
    check(&[planned, deaths(3), vec![failed]].concat(), "complete cancelled");
}

#[test]
fn an_effect_that_was_handed_back_has_killed_nobody() {
    let mut kinds = publishing(&[push(), comment()]);
    kinds.extend(std::iter::repeat_n(handed_back(), 20));
    check(&kinds, "perform branch");
    kinds.extend(deaths(2));
    check(&kinds, "perform branch");
    kinds.extend([vec![handed_back()], deaths(1)].concat());
    check(&kinds, "fail branch");
}
