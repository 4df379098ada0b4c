//! What asks without words, and what programs send.

use super::*;
use crate::event::DeliveryId;
use crate::sample::commit;

fn of_pull() -> Facts {
    let policy = with(Triggers { assignee: Some("our-bot".into()), ..Triggers::default() });
    Facts {
        policy,
        pull: Some(PullHead { head: commit('b'), branch: Some("mend".into()), is_own: false, target: to_main() }),
        ..facts()
    }
}

fn task(event: &Event, facts: &Facts) -> Task {
    match decide(event, &deployment(), facts) {
        Decision::Start { spec, .. } => spec.task,
        other => panic!("a start, not {other:?}"),
    }
}

fn on_pull(mode: Mode) -> Task {
    let (head, branch) = (commit('b'), Some("mend".to_owned()));
    Task::WorkOnPull { pull_request: ISSUE, head, branch, is_own: false, request: None, mode }
}

#[test]
fn a_label_and_an_assignment_are_a_fix_of_a_pull_request_as_well() {
    let (label, assignee) = ("codex".to_owned(), "our-bot".to_owned());
    let labeled = event(EventKind::IssueLabeled { issue: ISSUE, label, is_open: true, on_pull_request: true });
    let assigned = event(EventKind::IssueAssigned { issue: ISSUE, assignee, is_open: true, on_pull_request: true });
    for asked in [labeled, assigned] {
        assert_eq!(task(&asked, &of_pull()), on_pull(Mode::Fix));
        // Nobody has written, so that nobody is answered.
        let fork =
            Facts { pull: Some(PullHead { head: commit('b'), branch: None, is_own: false, target: to_main() }), ..of_pull() };
        check_ignored(&asked, &fork, "the pull request's branch is in another repository");
        check_ignored(&asked, &Facts { pull: None, ..of_pull() }, "GitHub names no commit of the pull request");
    }
}

#[test]
fn a_review_that_is_asked_of_us_is_a_review() {
    let asked =
        |reviewer: &str, is_open| event(EventKind::ReviewRequested { pull_request: ISSUE, reviewer: reviewer.into(), is_open });
    assert_eq!(task(&asked("Our-Bot", true), &of_pull()), on_pull(Mode::Review));
    check_ignored(&asked("octocat", true), &of_pull(), "the review was not asked of `our-bot`, which starts a run here");
    check_ignored(&asked("our-bot", true), &facts(), "the policy names no `triggers.assignee`");
    check_seen_at_a_glance(&asked("our-bot", false), "the issue is closed");
    check_seen_at_a_glance(&from_a_bot(asked("our-bot", true)), "a bot asked for the review");
    let reader = Facts { role: Role::Read, ..of_pull() };
    check_ignored(&asked("our-bot", true), &reader, "octocat has the role read here, and write is needed to start a run");
    let mut narrow = of_pull();
    narrow.policy.triggers.sources = [Source::Comment].into();
    check_ignored(&asked("our-bot", true), &narrow, "`triggers.sources` of the policy file does not name `review_request`");
    let mut above = of_pull();
    above.policy.triggers.roles.insert("review", Role::Maintain);
    check_ignored(&asked("our-bot", true), &above, "octocat has the role write here, and maintain is needed to start a run");
}

#[test]
fn a_program_sends_a_command_as_somebody_writes_it() {
    let sent = |command: &str, on_pull_request| {
        event(EventKind::Dispatched { issue: ISSUE, on_pull_request, command: Untrusted::new(command) })
    };
    let request = Some(Untrusted::new("the parser"));
    assert_eq!(task(&sent("fix the parser", false), &facts()), Task::FixIssue { issue: ISSUE, request });
    assert_eq!(task(&sent("review", true), &of_pull()), on_pull(Mode::Review));
    check_seen_at_a_glance(&sent("", false), "what was sent is no command");
    check_seen_at_a_glance(&sent("thanks!", false), "what was sent is no command");
    check_seen_at_a_glance(&from_a_bot(sent("fix", false)), "a bot sent the command");
    let unknown = "There is no command `plann`. `@codex plan` is nearest; `@codex help` says which there are.";
    check_refused(&sent("plann this", false), &facts(), unknown);
    let mut narrow = facts();
    narrow.policy.triggers.sources = [Source::Comment].into();
    let told =
        "`triggers.sources` of the policy file does not name `dispatch`, which is where this was asked: it names `comment`.";
    check_told(&sent("fix", false), &narrow, told);
}

/// Each time something is asked for anew it is a new wish, and told twice it is the same.
#[test]
fn what_is_asked_for_again_is_a_new_job() {
    let key = |asked: &Event| match decide(asked, &deployment(), &of_pull()) {
        Decision::Start { spec, .. } => spec.key.as_str().to_owned(),
        other => panic!("a start, not {other:?}"),
    };
    let review = event(EventKind::ReviewRequested { pull_request: ISSUE, reviewer: "our-bot".into(), is_open: true });
    let again = Event { at: sample::at(60), ..review.clone() };
    assert_ne!(key(&review), key(&again));
    let sent = event(EventKind::Dispatched { issue: ISSUE, on_pull_request: false, command: Untrusted::new("fix") });
    let next = Event { delivery: DeliveryId::new("another").expect("it is one"), ..sent.clone() };
    assert_ne!(key(&sent), key(&next));
    assert!(key(&sent).starts_with("99/issue/12/dispatch/") && key(&review).starts_with("99/issue/12/review-requested/"));
}
