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
/// More workers than may die of one step.
const DEATHS_MAX: usize = 7;

/// What an observer knows who has read the journal and knows nothing of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    /// Whether it is somebody else's change that is proven.
    adopts: bool,
    is_claimed: bool,
    is_adopted: bool,
    /// Whether it is known which commit it is about.
    is_fetched: bool,
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
            EntryKind::Adopted { .. } => {
                assert!(self.adopts && !self.is_adopted && self.planned.is_empty(), "{kind:?} out of its turn");
                self.is_adopted = true;
                self.is_fetched = true;
            }
            EntryKind::Unmerged { conclusion, .. } => {
                assert!(self.adopts && !self.is_fetched && self.planned.is_empty(), "{kind:?} out of its turn");
                assert!(!conclusion.outcome.is_positive(), "{kind:?} is no good end");
                self.is_fetched = true;
            }
            EntryKind::Solved { .. } | EntryKind::TurnTaken { .. } if self.adopts => panic!("{kind:?} without an agent"),
            EntryKind::Solved { .. } => self.n_solved += 1,
            EntryKind::Verified { verdict } => {
                assert!(self.is_adopted || !self.adopts, "a verdict on what was not fetched");
                self.has_verdict = true;
                self.has_proof = matches!(verdict, Verdict::Proven { .. });
            }
            EntryKind::Answered { .. } | EntryKind::Triaged { .. } => self.has_answer = true,
            EntryKind::PublishPlanned { conclusion, effects, .. } => {
                assert!(self.has_answer || conclusion.outcome != Outcome::Answered, "an answer is told that was not given");
                assert!(self.has_verdict || !effects.iter().any(Effect::publishes), "publishing is planned without a verdict");
                assert!(self.has_proof || conclusion.outcome != Outcome::Proven, "a proof is told that was not made");
                let is_proof_told = |effect: &Effect| matches!(effect, Effect::SetCheck { outcome: Outcome::Proven, .. });
                assert!(self.has_proof || !self.adopts || !effects.iter().any(is_proof_told), "a check run tells of no proof");
                let has_check = effects.iter().any(|effect| matches!(effect, Effect::SetCheck { .. }));
                assert!(!self.adopts || self.is_fetched || !has_check, "a check run is set on what nobody has fetched");
                assert!(!self.adopts || !effects.iter().any(Effect::publishes), "somebody else's change is published");
                self.planned = effects.iter().map(|effect| effect.key(&sample::spec().id())).collect();
            }
            EntryKind::Performed { key, .. } => {
                let is_told = [push(), pull_request()].iter().all(|effect| effect.key(&sample::spec().id()) != *key);
                assert!(self.planned.remove(key), "{key} was not planned, or is done already");
                assert!(is_told || (self.has_verdict && !self.adopts), "{key} is published without a verdict");
                self.done.insert(key.clone());
            }
            EntryKind::Failed { effect: Some(key), .. } => assert!(self.planned.remove(key), "{key} was not planned"),
            EntryKind::Completed { outcome } => {
                let is_published = self.adopts || self.done.contains(&push().key(&sample::spec().id()));
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

fn alphabet(spec: &JobSpec) -> Vec<Entry> {
    let of_proofs = [
        planned(Outcome::Proven, &[sample::checked(Outcome::Proven), comment()]),
        planned(Outcome::Unproven, &[sample::checked(Outcome::Proven), comment()]),
        planned(Outcome::Failed, &[sample::checked(Outcome::Failed)]),
        performed(&sample::checked(Outcome::Proven)),
        refused(&sample::checked(Outcome::Proven)),
    ];
    let kinds = [
        claimed(),
        handed_back(),
        confined(sample::walls()),
        adopted(),
        unmerged(Outcome::NeedsInput),
        unmerged(Outcome::Proven),
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
    let of_proofs = of_proofs.into_iter().filter(|_| spec.task.adopts());
    kinds.into_iter().chain(of_proofs).map(entry).collect()
}

/// An entry that is always written at the same moment, so that equal runs are found to be equal.
fn entry(kind: EntryKind) -> Entry {
    Entry::write(0, at(0), Digest::of(b""), kind).0
}

/// What the worker may write when it is told to do this step.
fn answers(spec: &JobSpec, run: &Run, step: Step) -> Vec<EntryKind> {
    match step {
        Step::Adopt => vec![adopted(), unmerged(Outcome::NeedsInput), failed(Outcome::NeedsInput)],
        Step::Triage => vec![triaged(), failed(Outcome::EnvironmentFailed)],
        Step::Prepare => vec![prepared(), failed(Outcome::EnvironmentFailed)],
        Step::Solve { .. } => {
            vec![solved(), answered(), gave_up(Outcome::NoChange), turn(sample::usage()), failed(Outcome::EnvironmentFailed)]
        }
        Step::Verify => vec![verified(unproven(Doubt::StillRed, 101)), verified(proven()), failed(Outcome::BlockedByPolicy)],
        Step::PlanPublish { conclusion } => {
            let effects = effect::plan(&Story {
                spec,
                conclusion: &conclusion,
                walls: run.walls(),
                adopted: run.adopted(),
                proposed: run.proposed(),
                triaged: run.triaged(),
                log: "",
                prepared: run.prepared(),
                judged: run.judged(),
                finished: run.finished(),
                title: "x",
                answer: "x",
                reviewed: None,
                branch: run.branch(),
                usage: run.usage(),
                is_priced: false,
                model: "scripted",
                moved_to: None,
                host: "github.com",
                attestation: None,
                threads: &[],
                under_way: &[],
            });
            vec![EntryKind::PublishPlanned { conclusion, effects, attestation: None }, failed(Outcome::Failed)]
        }
        Step::Perform { effect } => vec![performed(&effect), refused(&effect)],
        Step::Fail { failure, effect } => vec![EntryKind::Failed { failure, effect }],
        Step::Complete { outcome } => vec![completed(outcome)],
        Step::Rest => Vec::new(),
    }
}

/// Asserts that each answer to the next step fits, and that the first ones lead to the end.
fn assert_that_it_goes_on(spec: &JobSpec, run: &Run) {
    let mut run = run.clone();
    for _ in 0..STEPS_MAX {
        let mut answers = answers(spec, &run, run.next(at(60))).into_iter();
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

/// Asserts that a run ends whose workers die of everything but writing an entry, and how often they may.
fn assert_that_deaths_end_it(spec: &JobSpec, run: &Run) {
    let mut run = run.clone();
    let mut n_deaths = 0;
    for _ in 0..STEPS_MAX * DEATHS_MAX {
        let step = run.next(at(60));
        let kind = match step {
            Step::Rest => return,
            Step::Fail { .. } | Step::Complete { .. } => answers(spec, &run, step).pop().expect("there is one answer"),
            Step::Adopt
            | Step::Triage
            | Step::Prepare
            | Step::Solve { .. }
            | Step::Verify
            | Step::PlanPublish { .. }
            | Step::Perform { .. } => {
                n_deaths += 1;
                claimed()
            }
        };
        assert_eq!(run.apply(&entry(kind.clone())), Ok(()), "{kind:?} does not go on with {run:?}");
    }
    panic!("{n_deaths} workers have died, and there is no end: {run:?}");
}

/// Walks every journal of a job, and says how many there were and how many of them came to the end.
fn walk(spec: &JobSpec, n_entries: usize) -> (u64, u64) {
    let alphabet = alphabet(spec);
    let (fresh, unseen) = (Run::new(spec), Seen { adopts: spec.task.adopts(), ..Seen::default() });
    let mut level = BTreeMap::from([((format!("{fresh:?}"), unseen), (fresh, 1_u64))]);
    let (mut n_journals, mut n_completed) = (0, 0);
    for _ in 0..n_entries {
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
        for ((_, seen), (run, _)) in &next_level {
            if seen.is_claimed {
                assert_that_it_goes_on(spec, run);
                assert_that_deaths_end_it(spec, run);
            }
        }
        level = next_level;
    }
    (n_journals, n_completed)
}

#[track_caller]
#[expect(clippy::print_stdout, reason = "shown with --nocapture")]
fn check(spec: &JobSpec, n_entries: usize, journals_min: u64, completed_min: u64) {
    let (n_journals, n_completed) = walk(spec, n_entries);
    let report = format!("{n_journals} journals of up to {n_entries} entries were walked, {n_completed} of them to the end");
    println!("{report}");
    assert!(n_journals > journals_min && n_completed > completed_min, "{report}");
}

#[test]
fn every_short_journal_keeps_the_promises() {
    check(&sample::spec(), ENTRIES_MAX, 1_000_000, 100_000);
}

#[test]
fn every_short_journal_of_a_pull_request_that_is_proven_keeps_the_promises() {
    check(&sample::prove_spec(), ENTRIES_MAX, 1_000_000, 100_000);
}
