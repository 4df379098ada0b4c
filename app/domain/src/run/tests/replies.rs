//! Runs that say something and do nothing else.

use super::*;
use crate::job::{Reply, Task};

fn spec() -> JobSpec {
    let task = Task::Reply { issue: IssueNumber(12), reply: Reply::Status };
    JobSpec { task, budget: sample::BUDGET.without_model(), ..sample::spec() }
}

#[track_caller]
fn check_misfit(before: &[EntryKind], last: EntryKind) {
    let mut run = run(&spec(), before);
    assert!(run.apply(&journal(std::slice::from_ref(&last))[0]).is_err(), "{last:?} fits");
}

#[test]
fn a_reply_is_planned_at_once() {
    let kinds = [claimed(), planned(Outcome::Answered, &[comment()]), performed(&comment()), completed(Outcome::Answered)];
    let steps: Vec<String> = (0..=kinds.len()).map(|n| step(&run(&spec(), &kinds[..n]))).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    plan answered
    plan answered
    perform progress
    complete answered
    rest
    ");
}

#[test]
fn a_reply_is_a_comment_and_no_work() {
    check_misfit(&[claimed()], prepared());
    check_misfit(&[claimed()], adopted());
    check_misfit(&[claimed()], solved());
    for effect in [push(), pull_request(), reaction()] {
        check_misfit(&[claimed()], planned(Outcome::Answered, &[effect]));
    }
    check_misfit(&[claimed()], planned(Outcome::Proven, &[comment()]));
}
