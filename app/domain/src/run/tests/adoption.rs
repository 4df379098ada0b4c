//! Runs that prove what somebody else has changed.

use super::*;
use crate::journal::Prepared;

/// The journal of a proof up to its verdict.
fn judged(verdict: crate::proof::Verdict) -> Vec<EntryKind> {
    vec![claimed(), adopted(), confined(sample::walls()), prepared(), verified(verdict)]
}

#[test]
fn a_proof_asks_no_agent() {
    let journal = judged(unproven(Doubt::StillRed, 101));
    let steps: Vec<String> = (1..=journal.len()).map(|n| step(&run(&sample::prove_spec(), &journal[..n]))).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    adopt
    prepare
    prepare
    verify
    plan unproven
    ");
}

/// The limits of a job that has agents do not count for what is there already.
#[test]
fn a_verdict_on_somebody_elses_change_is_the_last_one() {
    let generous = Budget { rounds: 9, attempts: 9, ..sample::BUDGET };
    let spec = JobSpec { budget: generous, ..sample::prove_spec() };
    assert_eq!(step(&run(&spec, &judged(unproven(Doubt::StillRed, 101)))), "plan unproven");
}

#[track_caller]
fn check_misfit(spec: &JobSpec, before: &[EntryKind], last: EntryKind) {
    let mut run = run(spec, before);
    assert!(run.apply(&journal(std::slice::from_ref(&last))[0]).is_err(), "{last:?} fits");
}

#[test]
fn a_change_is_adopted_once_and_only_where_it_is_somebody_elses() {
    check_misfit(&sample::spec(), &[claimed()], adopted());
    check_misfit(&sample::prove_spec(), &[], adopted());
    check_misfit(&sample::prove_spec(), &[claimed(), adopted()], adopted());
    check_misfit(&sample::prove_spec(), &[claimed()], prepared());
    let other = Prepared { base: sample::commit('c'), ..sample::prepared() };
    check_misfit(&sample::prove_spec(), &[claimed(), adopted()], EntryKind::Prepared { prepared: Box::new(other) });
    check_misfit(&sample::prove_spec(), &[claimed(), adopted(), prepared()], solved());
}

#[test]
fn a_proof_publishes_nothing_and_tells_only_of_its_commit() {
    let spec = sample::prove_spec();
    let proven = judged(proven());
    check_misfit(&spec, &proven, planned(Outcome::Proven, &[push(), comment()]));
    check_misfit(&spec, &proven, planned(Outcome::Proven, &[pull_request()]));
    let mut of_another = sample::checked(Outcome::Proven);
    if let Effect::SetCheck { commit, .. } = &mut of_another {
        *commit = sample::commit('c');
    }
    check_misfit(&spec, &proven, planned(Outcome::Proven, &[of_another]));
    let unproven = judged(unproven(Doubt::StillRed, 101));
    check_misfit(&spec, &unproven, planned(Outcome::Unproven, &[sample::checked(Outcome::Proven)]));
    check_misfit(&spec, &[claimed()], planned(Outcome::Failed, &[sample::checked(Outcome::Failed)]));
}
