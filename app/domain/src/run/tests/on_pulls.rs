//! Runs that work on what a pull request proposes.

use super::*;
use crate::effect::REVIEW_PLACEHOLDER;
use crate::job::{JobSpec, Mode, Task};
use crate::journal::Prepared;
use crate::proof::findings::{Finding, Gate};
use crate::proof::{Account, Doubt, Verdict};

/// What is asked of a pull request whose branch this is.
fn spec(branch: Option<&str>) -> JobSpec {
    let (head, branch) = (sample::commit('b'), branch.map(str::to_owned));
    let task = Task::WorkOnPull { pull_request: IssueNumber(12), head, branch, is_own: false, request: None, mode: Mode::Fix };
    JobSpec { task, ..sample::spec() }
}

/// What is prepared from the commit that the pull request proposes.
fn prepared_there() -> EntryKind {
    let EntryKind::Prepared { prepared } = prepared() else { panic!("it is prepared") };
    EntryKind::Prepared {
        prepared: Box::new(Prepared { base: sample::commit('b'), rules: Some(sample::commit('a')), ..*prepared }),
    }
}

fn opened(base: &str) -> Effect {
    Effect::EnsurePullRequest { branch: "codex/12-x".into(), base: base.into(), title: "t".into(), body: "x".into(), draft: true }
}

#[test]
fn work_on_a_pull_request_begins_at_its_commit_and_goes_to_its_branch_alone() {
    let fits = |spec: &JobSpec, before: &[EntryKind], last: EntryKind| run(spec, before).apply(&journal(&[last])[0]).is_ok();
    let here = spec(Some("mend"));
    assert!(fits(&here, &[claimed()], prepared_there()));
    assert!(!fits(&here, &[claimed()], prepared()), "another commit is not meant");
    let judged = [claimed(), prepared_there(), solved(), verified(proven())];
    assert_eq!(run(&here, &judged).ruled_by(), Some(&sample::commit('a')), "it does not rule itself");
    let goes = |spec: &JobSpec, effect: Effect| fits(spec, &judged, planned(Outcome::Proven, &[effect]));
    assert!(goes(&here, opened("mend")) && goes(&here, push()) && goes(&here, comment()));
    assert!(!goes(&here, opened("main")), "the pull request is what is worked on");
    let Effect::PushBranch { commit, pack, .. } = push() else { panic!("a push") };
    assert!(!goes(&here, Effect::PushBranch { branch: "mend".into(), commit, pack, from: None }), "people work on that branch");
    let elsewhere = spec(None);
    assert!(goes(&elsewhere, comment()) && !goes(&elsewhere, push()) && !goes(&elsewhere, opened("mend")));
}

/// Our own pull request is not what people work on, as long as they do not: what is sound goes onto its branch.
#[test]
fn what_is_sound_goes_onto_the_branch_of_our_own_pull_request_from_its_commit() {
    let mut own = spec(Some("codex/12-x"));
    if let Task::WorkOnPull { is_own, .. } = &mut own.task {
        *is_own = true;
    }
    let moves = |branch: &str, from: char| {
        let Effect::PushBranch { commit, pack, .. } = push() else { panic!("a push") };
        Effect::PushBranch { branch: branch.into(), commit, pack, from: Some(sample::commit(from)) }
    };
    let goes = |spec: &JobSpec, verdict: Verdict, effect: Effect| {
        let outcome = if matches!(verdict, Verdict::Proven { .. }) { Outcome::Proven } else { Outcome::Unproven };
        let judged = [claimed(), prepared_there(), solved(), verified(verdict)];
        run(spec, &judged).apply(&journal(&[planned(outcome, &[effect])])[0]).is_ok()
    };
    let green = |findings: &[Gate]| {
        let Verdict::Unproven { doubt, base, head, .. } = sample::unproven(Doubt::GreenBefore, 0) else { panic!("it is") };
        let found = |gate: &Gate| Finding { gate: *gate, path: "x".into(), line: None, told: "x".into() };
        let account = Account { findings: findings.iter().map(found).collect(), ..Account::default() };
        Verdict::Unproven { doubt, base, head, account: Some(Box::new(account)) }
    };
    assert!(goes(&own, proven(), moves("codex/12-x", 'b')) && goes(&own, green(&[]), moves("codex/12-x", 'b')));
    assert!(goes(&own, green(&[Gate::ModeChanged]), moves("codex/12-x", 'b')), "people are told of that");
    assert!(!goes(&own, green(&[Gate::TestWeakened]), moves("codex/12-x", 'b')), "the tests say less than before");
    assert!(!goes(&own, sample::unproven(Doubt::StillRed, 101), moves("codex/12-x", 'b')), "they fail");
    assert!(!goes(&own, sample::unproven(Doubt::NoTestCommand, 0), moves("codex/12-x", 'b')), "nothing was run");
    assert!(!goes(&own, proven(), moves("main", 'b')), "another branch is nobody's to move");
    assert!(!goes(&own, proven(), moves("codex/12-x", 'a')), "from there something would be lost");
    assert!(!goes(&spec(Some("codex/12-x")), proven(), moves("codex/12-x", 'b')), "it is not our own");
    assert!(!goes(&sample::spec(), proven(), moves("codex/12-x", 'b')), "an issue has no branch");
}

/// A run that reviews what the pull request proposes.
fn reviewing() -> JobSpec {
    let mut spec = spec(None);
    if let Task::WorkOnPull { mode, .. } = &mut spec.task {
        *mode = Mode::Review;
    }
    spec
}

fn review(commit: char) -> Effect {
    let (pull_request, commit, body) = (IssueNumber(12), sample::commit(commit), "x".to_owned());
    Effect::EnsureReview { pull_request, commit, body_alone: body.clone(), body, remarks: Vec::new() }
}

#[test]
fn a_review_is_of_a_run_that_reviews_and_of_its_commit() {
    let of_pull = [claimed(), prepared_there(), answered()];
    let fits = |spec: &JobSpec, before: &[EntryKind], effect: Effect| {
        run(spec, before).apply(&journal(&[planned(Outcome::Answered, &[effect])])[0]).is_ok()
    };
    assert!(fits(&reviewing(), &of_pull, review('b')) && fits(&reviewing(), &of_pull, comment()));
    assert!(!fits(&reviewing(), &of_pull, review('a')), "another commit was not looked at");
    assert!(!fits(&reviewing(), &of_pull, push()) && !fits(&reviewing(), &of_pull, opened("mend")));
    assert!(!fits(&spec(None), &of_pull, review('b')), "nobody has asked for one");
    assert!(!fits(&sample::spec(), &[claimed(), prepared(), answered()], review('a')), "an issue proposes nothing");
}

#[test]
fn the_comment_leads_to_the_review_or_says_that_there_is_none() {
    let leads = Effect::EnsureComment { issue: IssueNumber(12), body: format!("Review: {REVIEW_PLACEHOLDER}") };
    let before = [claimed(), prepared_there(), answered(), planned(Outcome::Answered, &[review('b'), leads])];
    let said = |last: EntryKind| {
        let mut run = run(&reviewing(), &before);
        run.apply(&journal(&[last])[0]).expect("it fits");
        let Step::Perform { effect: Effect::EnsureComment { body, .. } } = run.next(at(60)) else {
            panic!("the comment is next")
        };
        body
    };
    let url = "https://github.com/octo-org/calc/pull/12#pullrequestreview-3";
    let receipt = Receipt { url: Some(url.into()), published: None };
    let made = EntryKind::Performed { key: review('b').key(&sample::spec().id()), receipt };
    assert_eq!(said(made), format!("Review: {url}"));
    assert_eq!(said(refused(&review('b'))), "Review: GitHub did not take it.");
}
