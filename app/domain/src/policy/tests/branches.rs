//! Pull requests to branches that the policy does not name.

use super::*;
use crate::event::{CheckRef, OfCheck};
use crate::job::JobId;
use crate::policy::RedCheck;
use crate::policy::wanted::Checks;

/// A policy that names branches, and a pull request to one that it names, or not.
fn going(is_named: bool) -> Facts {
    let target = Target { branch: "old/`1`".into(), is_named };
    let pull = PullHead { head: sample::commit('b'), branch: Some("mend".into()), is_own: false, target };
    Facts { pull: Some(pull), ..naming() }
}

/// A policy that names branches, where no pull request is known.
fn naming() -> Facts {
    let triggers = Triggers { branches: vec!["main".into()], assignee: Some("robot".into()), ..Triggers::default() };
    Facts { policy: Policy { triggers, ..Policy::default() }, ..facts() }
}

fn on_pull(body: &'static str) -> Event {
    comment(Comment { body, on_pull_request: true, ..FIX })
}

/// The short answer that is given, if it is one.
fn told(decision: &Decision) -> Option<&str> {
    let Decision::Start { spec, .. } = decision else { return None };
    let Task::Reply { reply: Reply::Refused { because }, .. } = &spec.task else { return None };
    Some(because)
}

#[test]
fn work_on_a_pull_request_to_another_branch_is_refused_with_one_answer() {
    for body in ["@codex fix this", "@codex ask why", "@codex plan", "@codex review", "@codex prove", "@codex make it so"] {
        let refused = decide(&on_pull(body), &deployment(), &going(false));
        let answer = "`triggers.branches` of the policy file does not name `` old/`1` ``, which the pull request is to go to, so that \
                      nothing is begun.";
        assert_eq!(told(&refused), Some(answer), "{body}");
        let begun = decide(&on_pull(body), &deployment(), &going(true));
        assert!(matches!(&begun, Decision::Start { spec, .. } if spec.task.issue() == Some(ISSUE)), "{body}: {begun:?}");
    }
    let stranger = decide(&on_pull("@codex fix this"), &deployment(), &Facts { role: Role::Read, ..going(false) });
    assert!(matches!(&stranger, Decision::Ignore { because, .. } if because.contains("has the role read")), "{stranger:?}");
}

#[test]
fn stop_status_and_help_are_heard_everywhere() {
    for body in ["@codex status", "@codex help"] {
        let heard = decide(&on_pull(body), &deployment(), &going(false));
        assert!(matches!(&heard, Decision::Start { .. }) && told(&heard).is_none(), "{body}: {heard:?}");
    }
    let key = sample::spec().key;
    let stopping = Facts { open_jobs: vec![key.clone()], stoppable: vec![key.clone()], ..going(false) };
    let stopped = decide(&on_pull("@codex stop"), &deployment(), &stopping);
    assert!(matches!(&stopped, Decision::Cancel { keys, .. } if *keys == [key]), "{stopped:?}");
}

#[track_caller]
fn assert_ignored(kind: EventKind) {
    let ignored = decide(&event(kind.clone()), &deployment(), &going(false));
    let reason = "`triggers.branches` of the policy file does not name `` old/`1` ``, which the pull request is to go to";
    assert_eq!(ignored, Decision::ignore(reason), "{kind:?}");
    let begun = decide(&event(kind.clone()), &deployment(), &going(true));
    assert!(matches!(begun, Decision::Start { .. }), "{kind:?}: {begun:?}");
}

#[test]
fn what_nobody_has_written_is_ignored_with_the_reason() {
    let (is_open, on_pull_request) = (true, true);
    assert_ignored(EventKind::IssueLabeled { issue: ISSUE, label: "codex".into(), is_open, on_pull_request });
    assert_ignored(EventKind::IssueAssigned { issue: ISSUE, assignee: "robot".into(), is_open, on_pull_request });
    assert_ignored(EventKind::ReviewRequested { pull_request: ISSUE, reviewer: "robot".into(), is_open });
    let check = CheckRef { id: 7, name: Untrusted::new("test") };
    for wanted in [
        OfCheck::Prove { pull_request: ISSUE, is_about_the_build: false },
        OfCheck::Mend { pull_request: ISSUE, head: sample::commit('b'), check },
    ] {
        let job = JobId::of(&sample::spec().key);
        let (app, button, pull_request) = (Some(4711), None, None);
        assert_ignored(EventKind::CheckAsked { check: 7, app, job, pull_request, button, wanted: Some(wanted) });
    }
}

#[test]
fn a_red_check_of_a_pull_request_to_another_branch_is_left_alone() {
    let (check, head) = (CheckRef { id: 7, name: Untrusted::new("test") }, sample::commit('b'));
    let failed = EventKind::CheckFailed { head: head.clone(), app: Some(15_368), check: Some(check.clone()) };
    let red = |is_named| {
        let (branch, target) = ("mend".into(), Target { branch: "old".into(), is_named });
        let check =
            RedCheck { check: check.clone(), suite: None, pull_request: ISSUE, branch, target, is_own: false, n_triaged: 0 };
        let triggers = Triggers { checks: Checks::All, branches: vec!["main".into()], ..Triggers::default() };
        let facts = Facts { policy: Policy { triggers, ..Policy::default() }, check: Some(check), role: Role::None, ..facts() };
        decide(&event(failed.clone()), &deployment(), &facts)
    };
    let reason = "`triggers.branches` of the policy file does not name `old`, which the pull request is to go to";
    assert_eq!(red(false), Decision::ignore(reason));
    assert!(matches!(red(true), Decision::Start { .. }));
}

/// A program may say of a pull request that it is an issue.
#[test]
fn where_no_pull_request_is_known_none_is_proven_and_issues_are_as_ever() {
    let sent = |command: &str| {
        let command = Untrusted::new(command);
        decide(&event(EventKind::Dispatched { issue: ISSUE, on_pull_request: false, command }), &deployment(), &naming())
    };
    assert!(told(&sent("prove")).is_some_and(|told| told.contains("no pull request is known here")), "{:?}", sent("prove"));
    assert!(matches!(sent("fix"), Decision::Start { spec, .. } if matches!(spec.task, Task::FixIssue { .. })));
}
