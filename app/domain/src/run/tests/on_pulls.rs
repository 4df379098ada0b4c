//! Runs that work on what a pull request proposes.

use super::*;
use crate::effect::REVIEW_PLACEHOLDER;
use crate::job::{JobSpec, Mode, Task};
use crate::journal::Prepared;

/// What is asked of a pull request whose branch this is.
fn spec(branch: Option<&str>) -> JobSpec {
    let (head, branch) = (sample::commit('b'), branch.map(str::to_owned));
    let task = Task::WorkOnPull { pull_request: IssueNumber(12), head, branch, request: None, mode: Mode::Fix };
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
    Effect::EnsurePullRequest { branch: "codex/12-x".into(), base: base.into(), title: "t".into(), body: "x".into() }
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
    assert!(!goes(&here, Effect::PushBranch { branch: "mend".into(), commit, pack }), "people work on that branch");
    let elsewhere = spec(None);
    assert!(goes(&elsewhere, comment()) && !goes(&elsewhere, push()) && !goes(&elsewhere, opened("mend")));
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
