//! What is opened is shown to people, and only that.

use super::*;
use crate::job::{JobSpec, Mode, Task};
use crate::journal::Prepared;

fn introduction(branch: &str) -> Effect {
    let (labels, reviewers) = (vec!["robot".to_owned()], vec!["ada".to_owned()]);
    Effect::IntroducePull { branch: branch.into(), labels, reviewers, teams: Vec::new() }
}

fn fits(spec: &JobSpec, before: &[EntryKind], outcome: Outcome, effects: &[Effect]) -> bool {
    run(spec, before).apply(&journal(&[planned(outcome, effects)])[0]).is_ok()
}

fn judged() -> [EntryKind; 4] {
    [claimed(), prepared(), solved(), verified(proven())]
}

#[test]
fn a_refused_introduction_is_noted_and_the_rest_stands() {
    let effects = [push(), pull_request(), introduction("codex/12-x"), comment()];
    let mut kinds = judged().to_vec();
    kinds.extend([planned(Outcome::Proven, &effects), performed(&push()), performed(&pull_request()), refused(&effects[2])]);
    assert_eq!(step(&run(&sample::spec(), &kinds)), "perform progress");
    kinds.push(performed(&comment()));
    let run = run(&sample::spec(), &kinds);
    assert_eq!((step(&run), run.notices().len()), ("complete proven".into(), 1));
    assert_eq!(run.pull_request(), Some("https://github.com/octo-org/calc/pull/13"));
}

#[test]
fn only_what_the_same_plan_has_opened_is_introduced() {
    let spec = sample::spec();
    let goes = |effects: &[Effect]| fits(&spec, &judged(), Outcome::Proven, effects);
    assert!(goes(&[push(), pull_request(), introduction("codex/12-x")]));
    assert!(!goes(&[introduction("codex/12-x")]), "somebody else may have opened it");
    assert!(!goes(&[push(), introduction("codex/12-x"), pull_request()]), "it is not there yet");
    assert!(!goes(&[push(), pull_request(), introduction("main")]), "that is another one");
    for early in 1..4 {
        let effects = [introduction("codex/12-x"), comment()];
        assert!(!fits(&spec, &judged()[..early], Outcome::Failed, &effects), "without a verdict nothing is opened");
    }
}

#[test]
fn where_nothing_may_be_opened_nothing_is_introduced() {
    let opened = [push(), pull_request(), introduction("codex/12-x")];
    let adopted = [claimed(), adopted(), prepared(), verified(proven())];
    assert!(!fits(&sample::prove_spec(), &adopted, Outcome::Proven, &opened[2..]));
    assert!(!fits(&sample::prove_spec(), &adopted, Outcome::Proven, &opened));
    let there = |below: Option<&str>| {
        let (head, branch) = (sample::commit('b'), below.map(str::to_owned));
        let task =
            Task::WorkOnPull { pull_request: IssueNumber(12), head, branch, is_own: false, request: None, mode: Mode::Fix };
        JobSpec { task, ..sample::spec() }
    };
    let base = Prepared { base: sample::commit('b'), ..sample::prepared() };
    let judged = [claimed(), EntryKind::Prepared { prepared: Box::new(base) }, solved(), verified(proven())];
    let on_top = |base: &str| {
        let mut effects = opened.clone();
        if let Effect::EnsurePullRequest { base: to, .. } = &mut effects[1] {
            *to = base.into();
        }
        effects
    };
    assert!(fits(&there(Some("mend")), &judged, Outcome::Proven, &on_top("mend")));
    assert!(!fits(&there(Some("mend")), &judged, Outcome::Proven, &on_top("main")));
    assert!(!fits(&there(None), &judged, Outcome::Proven, &on_top("mend")), "nothing goes into a fork");
}

#[test]
fn a_repair_is_introduced_where_it_is_proven() {
    let base = Prepared { base: sample::commit('b'), ..sample::prepared() };
    let (branch, to) = ("codex/repair-1-12-x".to_owned(), "mend".to_owned());
    let Effect::PushBranch { commit, pack, .. } = push() else { panic!("a push") };
    let push = Effect::PushBranch { branch: branch.clone(), commit, pack, from: None };
    let opened =
        Effect::EnsurePullRequest { branch: branch.clone(), base: to, title: "t".into(), body: "x".into(), draft: false };
    let effects = [push, opened, introduction(&branch), sample::triage_told()];
    let kinds =
        |verdict| [claimed(), triaged(), EntryKind::Prepared { prepared: Box::new(base.clone()) }, solved(), verified(verdict)];
    assert!(fits(&sample::repair_spec(), &kinds(proven()), Outcome::Proven, &effects));
    assert!(!fits(&sample::repair_spec(), &kinds(unproven(Doubt::StillRed, 1)), Outcome::Unproven, &effects));
}
