//! Best of several attempts.

use super::*;
use crate::journal::Proposal;
use crate::proof::Verdict;

const THREE: Budget = Budget { attempts: 3, rounds: 1, ..sample::BUDGET };

/// A proposal that adds so many lines, known by them.
fn proposal(n_lines: u32) -> Proposal {
    let mut proposal = sample::proposal();
    proposal.changes.truncate(1);
    proposal.changes[0].lines_added = n_lines;
    proposal.changes[0].lines_removed = 0;
    proposal.fingerprint = Some(Digest::of(&n_lines.to_be_bytes()));
    proposal
}

fn solved(n_lines: u32) -> EntryKind {
    EntryKind::Solved { proposal: proposal(n_lines) }
}

fn red() -> Verdict {
    unproven(Doubt::StillRed, 101)
}

fn green() -> Verdict {
    unproven(Doubt::GreenBefore, 0)
}

/// Folds a journal under three attempts, and says what is next and how large the best proposal is.
#[track_caller]
fn check(kinds: &[EntryKind], expected: &str, best: Option<u32>) {
    let kinds = [&[claimed(), prepared()], kinds].concat();
    let run = run(&JobSpec { budget: THREE, ..sample::spec() }, &kinds);
    assert_eq!(step(&run), expected);
    assert_eq!(run.judged().map(|judged| judged.proposal.changes[0].lines_added), best);
}

#[test]
fn the_first_proof_ends_the_attempts() {
    check(&[solved(9), verified(proven())], "plan proven", Some(9));
    check(&[solved(1), verified(red()), solved(9), verified(proven())], "plan proven", Some(9));
}

#[test]
fn attempts_go_on_without_a_proof_and_the_best_counts() {
    check(&[solved(5), verified(red())], "solve 1 of attempt 2", Some(5));
    let two = [solved(5), verified(red()), solved(7), verified(green())];
    check(&two, "solve 1 of attempt 3", Some(7));
    check(&[&two[..], &[solved(6), verified(green())]].concat(), "plan unproven", Some(6));
    check(&[&two[..], &[solved(6), verified(red())]].concat(), "plan unproven", Some(7));
    check(&[&two[..], &[gave_up(Outcome::NoChange)]].concat(), "plan unproven", Some(7));
}

#[test]
fn the_cheaper_of_equals_counts() {
    let first = [turn(sample::usage()), turn(sample::usage()), solved(5), verified(green())];
    let second =
        [turn(sample::usage()), EntryKind::Solved { proposal: Proposal { fingerprint: None, ..proposal(5) } }, verified(green())];
    let kinds = [&[claimed(), prepared()], &first[..], &second].concat();
    let run = run(&JobSpec { budget: THREE, ..sample::spec() }, &kinds);
    assert_eq!(run.judged().map(|judged| judged.attempt), Some(2));
    assert_eq!(run.finished().len(), 2, "the other stays as evidence");
}

#[test]
fn the_same_proposal_again_is_not_proven_again() {
    check(&[solved(5), verified(red()), solved(5)], "solve 1 of attempt 3", Some(5));
    check(&[solved(5), verified(red()), solved(5), solved(5)], "plan unproven", Some(5));
}

#[test]
fn a_second_round_that_repeats_another_attempt_leaves_its_first_round_as_evidence() {
    let budget = Budget { attempts: 3, rounds: 2, ..sample::BUDGET };
    let kinds = [claimed(), prepared(), solved(5), verified(green()), solved(6), verified(red()), solved(5)];
    let run = run(&JobSpec { budget, ..sample::spec() }, &kinds);
    assert_eq!(step(&run), "solve 1 of attempt 3");
    assert_eq!((run.current(), run.finished().len()), (None, 2), "the third attempt begins from the base");
}

#[test]
fn the_words_of_the_attempt_that_counts_are_told() {
    let said =
        |n_lines: u32, words: &[u8]| EntryKind::Solved { proposal: Proposal { answer: Digest::of(words), ..proposal(n_lines) } };
    let kinds = [
        claimed(),
        prepared(),
        said(1, b"best"),
        verified(green()),
        said(9, b"worse"),
        verified(red()),
        gave_up(Outcome::NoChange),
    ];
    let run = run(&JobSpec { budget: THREE, ..sample::spec() }, &kinds);
    assert_eq!(run.answer(Outcome::Unproven), Some(Digest::of(b"best")));
}

#[test]
fn nothing_at_all_ends_with_the_last_reason() {
    let nothing = gave_up(Outcome::NoChange);
    check(&[nothing.clone(), nothing.clone()], "solve 1 of attempt 3", None);
    check(&[nothing.clone(), nothing.clone(), nothing], "plan no_change", None);
    check(&[gave_up(Outcome::EnvironmentFailed)], "plan environment_failed", None);
}

#[test]
fn rounds_belong_to_their_attempt() {
    let budget = Budget { attempts: 2, ..sample::BUDGET };
    let mut kinds = vec![claimed(), prepared()];
    for (kind, expected) in [
        (solved(1), "verify"),
        (verified(red()), "solve 2 with feedback"),
        (solved(2), "verify"),
        (verified(red()), "solve 1 of attempt 2"),
        (solved(3), "verify"),
        (verified(red()), "solve 2 with feedback"),
        (gave_up(Outcome::NoChange), "plan unproven"),
    ] {
        kinds.push(kind);
        check_within(budget, &kinds, expected);
    }
}

#[test]
fn a_spent_budget_begins_no_attempt() {
    let budget = Budget { tokens: sample::usage().tokens(), ..THREE };
    check_within(budget, &[claimed(), prepared(), turn(sample::usage()), solved(5), verified(red())], "plan unproven");
}

#[test]
fn an_answer_ends_the_run_as_one() {
    super::check(&[claimed(), prepared(), answered()], "plan answered");
    let told = [claimed(), prepared(), answered(), planned(Outcome::Answered, &[])];
    super::check(&told, "complete answered");
}
