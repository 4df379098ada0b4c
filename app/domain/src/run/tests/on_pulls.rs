//! Runs that work on what a pull request proposes.

use super::*;
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
