//! Runs that find out what a red check is about.

use super::*;
use crate::effect::CheckName;
use crate::journal::{Prepared, Triaged};

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
        buttons: Vec::new(),
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

/// What a repair may publish: a branch on top of the one whose check is red, and what is told.
fn repaired() -> [Effect; 3] {
    let (branch, base) = ("codex/repair-1-12-x".to_owned(), "mend".to_owned());
    let Effect::PushBranch { commit, pack, .. } = push() else { panic!("a push") };
    let push = Effect::PushBranch { branch: branch.clone(), commit, pack, from: None };
    [push, Effect::EnsurePullRequest { branch, base, title: "t".into(), body: "x".into(), draft: true }, sample::triage_told()]
}

/// What is prepared from the commit whose check is red.
fn prepared_there() -> EntryKind {
    let EntryKind::Prepared { prepared } = prepared() else { panic!("it is prepared") };
    EntryKind::Prepared { prepared: Box::new(Prepared { base: sample::commit('b'), ..*prepared }) }
}

#[test]
fn what_is_red_for_the_change_itself_is_mended_where_that_is_wanted() {
    let [pushed, opened, told] = repaired();
    let kinds = [
        claimed(),
        triaged(),
        prepared_there(),
        solved(),
        verified(proven()),
        planned(Outcome::Proven, &repaired()),
        performed(&pushed),
        performed(&opened),
        performed(&told),
        completed(Outcome::Proven),
    ];
    let steps: Vec<String> = (0..=kinds.len()).map(|n| step(&run(&sample::repair_spec(), &kinds[..n]))).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    triage
    triage
    prepare
    solve 1
    verify
    plan proven
    perform branch
    perform pull-request
    perform check
    complete proven
    rest
    ");
}

#[track_caller]
fn check_misfit_of_repair(before: &[EntryKind], last: EntryKind) {
    let mut run = run(&sample::repair_spec(), before);
    assert!(run.apply(&journal(std::slice::from_ref(&last))[0]).is_err(), "{last:?} fits");
}

#[test]
fn a_repair_begins_at_the_red_commit_and_publishes_what_is_proven_to_its_branch_alone() {
    check_misfit_of_repair(&[claimed()], prepared_there());
    check_misfit_of_repair(&[claimed(), triaged()], prepared());
    let solved_to = |verdict| [claimed(), triaged(), prepared_there(), solved(), verified(verdict)];
    let is_proven = solved_to(proven());
    let [_, _, told] = repaired();
    for effect in [pull_request(), comment(), reaction(), sample::checked(Outcome::Proven)] {
        check_misfit_of_repair(&is_proven, planned(Outcome::Proven, &[effect]));
    }
    let Effect::PushBranch { commit, pack, .. } = push() else { panic!("a push") };
    let onto_itself = Effect::PushBranch { branch: "mend".into(), commit, pack, from: None };
    check_misfit_of_repair(&is_proven, planned(Outcome::Proven, &[onto_itself]));
    check_misfit_of_repair(&is_proven, planned(Outcome::Superseded, &repaired()));
    let mut superseded = run(&sample::repair_spec(), &is_proven);
    let only_told = planned(Outcome::Superseded, std::slice::from_ref(&told));
    superseded.apply(&journal(std::slice::from_ref(&only_told))[0]).expect("that is told");
    let unproven = solved_to(sample::unproven(crate::proof::Doubt::Suspect, 1));
    check_misfit_of_repair(&unproven, planned(Outcome::Unproven, &repaired()));
}

/// Onto a branch of ours a proven repair goes from the red commit, and nothing else goes there.
#[test]
fn a_repair_goes_onto_a_branch_of_our_own_from_the_red_commit() {
    let mut own = sample::repair_spec();
    let crate::job::Task::TriageCheck { repair, .. } = &mut own.task else { panic!("a triage") };
    *repair = crate::job::Repair::Wanted { branch: "mend".into(), is_own: true };
    let Effect::PushBranch { commit, pack, .. } = push() else { panic!("a push") };
    let onto = |branch: &str, from| {
        let from = Some(sample::commit(from));
        Effect::PushBranch { branch: branch.into(), commit: commit.clone(), pack, from }
    };
    let is_taken = |spec: &crate::job::JobSpec, verdict, outcome, effect: Effect| {
        let before = [claimed(), triaged(), prepared_there(), solved(), verified(verdict)];
        let last = planned(outcome, std::slice::from_ref(&effect));
        run(spec, &before).apply(&journal(std::slice::from_ref(&last))[0]).is_ok()
    };
    let told = |commit: &crate::journal::CommitId| match sample::checked(Outcome::Proven) {
        Effect::SetCheck { outcome, title, summary, text, annotations, buttons, .. } => {
            let (name, commit) = (CheckName::Patch, commit.clone());
            Effect::SetCheck { name, commit, outcome, title, summary, text, annotations, buttons }
        }
        other => panic!("a check run, not {other:?}"),
    };
    let doubted = || sample::unproven(crate::proof::Doubt::Suspect, 1);
    for (spec, verdict, outcome, effect, wanted) in [
        (&own, proven(), Outcome::Proven, onto("mend", 'b'), true),
        (&own, proven(), Outcome::Proven, told(&commit), true),
        (&own, proven(), Outcome::Proven, told(&sample::commit('c')), false),
        (&own, proven(), Outcome::Proven, sample::checked(Outcome::Proven), false),
        (&own, proven(), Outcome::Proven, onto("mend", 'c'), false),
        (&own, proven(), Outcome::Proven, onto("main", 'b'), false),
        (&own, proven(), Outcome::Superseded, onto("mend", 'b'), false),
        (&own, doubted(), Outcome::Unproven, onto("mend", 'b'), false),
        (&sample::repair_spec(), proven(), Outcome::Proven, onto("mend", 'b'), false),
        (&sample::repair_spec(), proven(), Outcome::Proven, told(&commit), false),
    ] {
        assert_eq!(is_taken(spec, verdict, outcome, effect.clone()), wanted, "{outcome:?} {effect:?}");
    }
}

#[test]
fn what_is_not_red_for_the_change_itself_is_not_mended() {
    use crate::triage::{Side, Verdict};
    let verdicts = [
        Verdict::Flaky { side: Side::Head, n_red: 1, n_green: 2 },
        Verdict::BaseRed { tests: Vec::new() },
        Verdict::Infrastructure { because: "The job was cancelled.".into() },
        Verdict::Unreproducible { because: "Its log is gone.".into() },
    ];
    for verdict in verdicts {
        let triaged = EntryKind::Triaged { triaged: Box::new(Triaged { verdict, ..sample::triaged() }) };
        let kinds = [claimed(), triaged];
        assert_eq!(step(&run(&sample::repair_spec(), &kinds)), "plan answered");
        check_misfit_of_repair(&kinds, prepared_there());
    }
    let without_command = Triaged { command: None, ..sample::triaged() };
    let kinds = [claimed(), EntryKind::Triaged { triaged: Box::new(without_command) }];
    assert_eq!(step(&run(&sample::repair_spec(), &kinds)), "plan answered");
}
