//! Every short journal: all sequences of representative entries, as far as they fit.
//!
//! Journals that lead to the same run and the same observations are walked on as one and counted as many.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::effect::{self, EffectKey};
use crate::proof::Verdict;
use crate::report::Story;

/// Long enough for two rounds, a refused push, and the end.
const ENTRIES_MAX: usize = 11;
/// More steps than any run needs from anywhere to its end.
const STEPS_MAX: usize = 12;

/// What an observer knows who has read the journal and knows nothing of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    is_claimed: bool,
    n_solved: u32,
    has_verdict: bool,
    has_proof: bool,
    has_answer: bool,
    planned: BTreeSet<EffectKey>,
    done: BTreeSet<EffectKey>,
    is_completed: bool,
}

impl Seen {
    /// Asserts what must hold when an entry fits, and notes it.
    fn observe(&mut self, kind: &EntryKind) {
        assert!(!self.is_completed, "{kind:?} after the end");
        assert!(
            self.is_claimed || matches!(kind, EntryKind::Claimed { .. } | EntryKind::CancelRequested { .. }),
            "{kind:?} unclaimed"
        );
        match kind {
            EntryKind::Claimed { .. } => self.is_claimed = true,
            EntryKind::Solved { .. } => self.n_solved += 1,
            EntryKind::Verified { verdict } => {
                self.has_verdict = true;
                self.has_proof = matches!(verdict, Verdict::Proven { .. });
            }
            EntryKind::Answered { .. } => self.has_answer = true,
            EntryKind::PublishPlanned { conclusion, effects, .. } => {
                assert!(self.has_answer || conclusion.outcome != Outcome::Answered, "an answer is told that was not given");
                assert!(self.has_verdict || !effects.iter().any(Effect::publishes), "publishing is planned without a verdict");
                assert!(self.has_proof || conclusion.outcome != Outcome::Proven, "a proof is told that was not made");
                self.planned = effects.iter().map(|effect| effect.key(&sample::spec().id())).collect();
            }
            EntryKind::Performed { key, .. } => {
                let is_told = [push(), pull_request()].iter().all(|effect| effect.key(&sample::spec().id()) != *key);
                assert!(self.planned.remove(key), "{key} was not planned, or is done already");
                assert!(is_told || self.has_verdict, "{key} is published without a verdict");
                self.done.insert(key.clone());
            }
            EntryKind::Failed { effect: Some(key), .. } => assert!(self.planned.remove(key), "{key} was not planned"),
            EntryKind::Completed { outcome } => {
                let is_published = self.done.contains(&push().key(&sample::spec().id()));
                assert!(*outcome != Outcome::Proven || (self.has_proof && is_published), "an end as proven without proof");
                self.is_completed = true;
            }
            EntryKind::Confined { .. }
            | EntryKind::Prepared { .. }
            | EntryKind::TurnTaken { .. }
            | EntryKind::GaveUp { .. }
            | EntryKind::CancelRequested { .. }
            | EntryKind::Failed { effect: None, .. } => {}
        }
        assert!(self.n_solved <= sample::BUDGET.rounds, "more rounds than the budget has");
    }
}

fn alphabet() -> Vec<Entry> {
    let kinds = [
        claimed(),
        handed_back(),
        confined(sample::walls()),
        prepared(),
        turn(sample::usage()),
        solved(),
        answered(),
        gave_up(Outcome::NoChange),
        gave_up(Outcome::Proven),
        verified(proven()),
        verified(unproven(Doubt::StillRed, 101)),
        verified(unproven(Doubt::GreenBefore, 0)),
        planned(Outcome::Proven, &[push(), comment()]),
        planned(Outcome::Unproven, &[push(), pull_request()]),
        planned(Outcome::Answered, &[comment()]),
        planned(Outcome::Failed, &[comment()]),
        performed(&push()),
        performed(&pull_request()),
        performed(&comment()),
        cancel(),
        failed(Outcome::Failed),
        failed(Outcome::Proven),
        refused(&push()),
        refused(&pull_request()),
        refused(&comment()),
        completed(Outcome::Proven),
        completed(Outcome::Unproven),
        completed(Outcome::NoChange),
        completed(Outcome::Answered),
        completed(Outcome::Failed),
    ];
    kinds.into_iter().map(entry).collect()
}

/// An entry that is always written at the same moment, so that equal runs are found to be equal.
fn entry(kind: EntryKind) -> Entry {
    Entry::write(0, at(0), Digest::of(b""), kind).0
}

/// What the worker may write when it is told to do this step.
fn answers(run: &Run, step: Step) -> Vec<EntryKind> {
    match step {
        Step::Prepare => vec![prepared(), failed(Outcome::EnvironmentFailed)],
        Step::Solve { .. } => {
            vec![solved(), answered(), gave_up(Outcome::NoChange), turn(sample::usage()), failed(Outcome::EnvironmentFailed)]
        }
        Step::Verify => vec![verified(unproven(Doubt::StillRed, 101)), verified(proven()), failed(Outcome::BlockedByPolicy)],
        Step::PlanPublish { conclusion } => {
            let effects = effect::plan(&Story {
                spec: &sample::spec(),
                conclusion: &conclusion,
                walls: run.walls(),
                prepared: run.prepared(),
                judged: run.judged(),
                finished: run.finished(),
                title: "x",
                answer: "x",
                branch: run.branch(),
                usage: run.usage(),
                is_priced: false,
                model: "scripted",
                moved_to: None,
                host: "github.com",
                attestation: None,
            });
            vec![EntryKind::PublishPlanned { conclusion, effects, attestation: None }, failed(Outcome::Failed)]
        }
        Step::Perform { effect } => vec![performed(&effect), refused(&effect)],
        Step::Complete { outcome } => vec![completed(outcome)],
        Step::Rest => Vec::new(),
    }
}

/// Asserts that each answer to the next step fits, and that the first ones lead to the end.
fn assert_that_it_goes_on(run: &Run) {
    let mut run = run.clone();
    for _ in 0..STEPS_MAX {
        let mut answers = answers(&run, run.next(at(60))).into_iter();
        let Some(first) = answers.next() else { return };
        for other in answers {
            let fits = run.clone().apply(&entry(other.clone()));
            assert_eq!(fits, Ok(()), "{other:?} does not answer the step of {run:?}");
        }
        let before = format!("{run:?}");
        assert_eq!(run.apply(&entry(first.clone())), Ok(()), "{first:?} does not answer the step of {before}");
    }
    panic!("after {STEPS_MAX} steps there is no end: {run:?}");
}

#[test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture")]
fn every_short_journal_keeps_the_promises() {
    let alphabet = alphabet();
    let fresh = Run::new(&sample::spec());
    let mut level = BTreeMap::from([((format!("{fresh:?}"), Seen::default()), (fresh, 1_u64))]);
    let (mut n_journals, mut n_completed) = (0, 0);
    for _ in 0..ENTRIES_MAX {
        let mut next_level = BTreeMap::new();
        for ((before, seen), (run, n_same)) in &level {
            for entry in &alphabet {
                let mut run = run.clone();
                if run.apply(entry).is_err() {
                    assert_eq!(format!("{run:?}"), *before, "a misfit changed the run");
                    continue;
                }
                let mut seen = seen.clone();
                seen.observe(&entry.kind);
                assert_eq!(run.next(at(60)) == Step::Rest, seen.is_completed, "{run:?}");
                n_journals += n_same;
                n_completed += if seen.is_completed { *n_same } else { 0 };
                let (_, n_known) = next_level.entry((format!("{run:?}"), seen)).or_insert((run, 0));
                *n_known += n_same;
            }
        }
        next_level.iter().filter(|((_, seen), _)| seen.is_claimed).for_each(|(_, (run, _))| assert_that_it_goes_on(run));
        level = next_level;
    }
    let report = format!("{n_journals} journals of up to {ENTRIES_MAX} entries were walked, {n_completed} of them to the end");
    println!("{report}");
    assert!(n_journals > 1_000_000 && n_completed > 100_000, "{report}");
}
