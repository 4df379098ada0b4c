//! Runs that find out what a red check is about.

use super::*;
use crate::effect::CheckName;

#[track_caller]
fn check_misfit(before: &[EntryKind], last: EntryKind) {
    let mut run = run(&sample::triage_spec(), before);
    assert!(run.apply(&journal(std::slice::from_ref(&last))[0]).is_err(), "{last:?} fits");
}

#[test]
fn a_red_check_is_looked_into_and_told_of() {
    let told = sample::triage_told();
    let kinds = [
        claimed(),
        triaged(),
        planned(Outcome::Answered, std::slice::from_ref(&told)),
        performed(&told),
        completed(Outcome::Answered),
    ];
    let steps: Vec<String> = (0..=kinds.len()).map(|n| step(&run(&sample::triage_spec(), &kinds[..n]))).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    triage
    triage
    plan answered
    perform check
    complete answered
    rest
    ");
}

#[test]
fn nothing_else_is_done_about_it() {
    for other in [prepared(), adopted(), solved(), verified(proven()), unmerged(Outcome::NeedsInput)] {
        check_misfit(&[claimed()], other);
    }
    check_misfit(&[claimed(), triaged()], triaged());
    check_misfit(&[], triaged());
    for effect in [push(), pull_request(), comment(), reaction(), sample::checked(Outcome::Answered)] {
        check_misfit(&[claimed(), triaged()], planned(Outcome::Answered, &[effect]));
    }
    let Effect::SetCheck { title, summary, .. } = sample::triage_told() else { panic!("a check run") };
    let elsewhere = Effect::SetCheck {
        name: CheckName::Triage,
        commit: sample::commit('c'),
        outcome: Outcome::Answered,
        title,
        summary,
        text: None,
        annotations: Vec::new(),
    };
    check_misfit(&[claimed(), triaged()], planned(Outcome::Answered, &[elsewhere]));
    check_misfit(&[claimed()], planned(Outcome::Answered, &[sample::triage_told()]));
    assert!(run(&sample::spec(), &[claimed()]).apply(&journal(&[triaged()])[0]).is_err(), "nobody has asked that of another job");
}

#[test]
fn what_keeps_it_from_being_known_is_told_as_well() {
    let told = sample::triage_told();
    let kinds = [claimed(), failed(Outcome::Superseded), planned(Outcome::Superseded, std::slice::from_ref(&told))];
    assert_eq!(step(&run(&sample::triage_spec(), &kinds)), "perform check");
}
