//! How the pull request is to be opened that comes of a job, as the policy says when it is decided.

use super::*;
use crate::job::{Drafts, JobSpec, Opening};

fn opening() -> Opening {
    Opening { drafts: Drafts::Unproven, labels: vec!["robot".into()], reviewers: vec!["ada".into()], teams: vec!["core".into()] }
}

/// The job that this text starts under a policy that says so.
fn started(body: &'static str, pull: Option<PullHead>) -> JobSpec {
    let on_pull_request = pull.is_some();
    let facts = Facts { policy: Policy { opening: opening(), ..Policy::default() }, pull, ..facts() };
    match decide(&comment(Comment { body, on_pull_request, ..FIX }), &deployment(), &facts) {
        Decision::Start { spec, .. } => *spec,
        other => panic!("a job, not {other:?}"),
    }
}

#[test]
fn a_job_carries_what_the_policy_said_when_it_was_decided() {
    assert_eq!(started("@codex fix this", None).opening, opening());
    let pull = PullHead { head: sample::commit('b'), branch: Some("mend".into()), is_own: false, target: to_main() };
    assert_eq!(started("@codex fix this", Some(pull.clone())).opening, opening());
    for (body, pull) in [
        ("@codex ask why", None),
        ("@codex plan", None),
        ("@codex help", None),
        ("@codex prove", Some(pull.clone())),
        ("@codex review", Some(pull)),
    ] {
        assert_eq!(started(body, pull).opening, Opening::default(), "{body} opens nothing");
    }
}
