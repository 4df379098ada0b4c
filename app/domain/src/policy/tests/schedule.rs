//! What the policy file has done at certain times.

use std::num::NonZeroU32;

use super::*;
use crate::job::JobSpec;
use crate::policy::schedule::{Schedule, Tick};
use crate::sample::commit;

fn entry(command: &str) -> Schedule {
    Schedule { cron: "0 6 * * 1".into(), issue: ISSUE, on_pull_request: false, command: Untrusted::new(command) }
}

fn tick(schedule: &Schedule) -> Event {
    let tick = Tick { repo: sample::repo(), schedule: schedule.clone(), at: sample::at(0) };
    Tick::event(&tick.delivery(sample::at(60))).expect("it is one")
}

/// What is known where the policy says so, and nobody has a role.
fn saying(schedule: &Schedule) -> Facts {
    let policy = Policy { schedule: vec![entry("ask why?"), schedule.clone()], ..Policy::default() };
    Facts { policy, role: Role::None, ..facts() }
}

#[track_caller]
fn job(schedule: &Schedule, facts: &Facts) -> JobSpec {
    match decide(&tick(schedule), &deployment(), facts) {
        Decision::Start { spec, .. } => *spec,
        other => panic!("a start, not {other:?}"),
    }
}

#[test]
fn what_the_policy_file_says_is_begun_for_itself() {
    let fix = entry("fix the parser");
    let decision = decide(&tick(&fix), &deployment(), &saying(&fix));
    assert_eq!(decision.because(), "`fix` was asked for by the policy file, whose `schedule` has it at `0 6 * * 1`");
    let spec = job(&fix, &saying(&fix));
    assert_eq!(spec.task, Task::FixIssue { issue: ISSUE, request: Some(Untrusted::new("the parser")) });
    let Actor { login, is_bot, .. } = &spec.requested_by;
    assert_eq!((login.as_str(), *is_bot, spec.role, spec.needed), (".github/patchwright.yml", true, Role::None, Role::None));
    assert_eq!((spec.schedule, spec.requested_at), (Some(fix), sample::at(60)));
    let plan = entry("plan it");
    assert_eq!(job(&plan, &saying(&plan)).task, Task::Answer { issue: ISSUE, request: None, mode: Mode::Plan });
    let pull = PullHead { head: commit('b'), branch: Some("mend".into()), is_own: false, target: to_main() };
    let review = Schedule { on_pull_request: true, ..entry("review") };
    let of_pull = Facts { pull: Some(pull), ..saying(&review) };
    assert!(matches!(job(&review, &of_pull).task, Task::WorkOnPull { mode: Mode::Review, .. }));
    let prove = Schedule { on_pull_request: true, ..entry("prove") };
    let is_about_the_build = false;
    assert_eq!(job(&prove, &saying(&prove)).task, Task::ProvePullRequest { pull_request: ISSUE, is_about_the_build });
}

/// Neither roles nor sources are those of a file that says so itself.
#[test]
fn a_schedule_takes_no_role_no_source_and_no_number_of_a_bot() {
    let fix = entry("fix");
    let mut narrow = saying(&fix);
    narrow.policy.triggers = Triggers { minimum_role: Role::Admin, sources: [Source::Label].into(), ..Triggers::default() };
    let pull = PullHead { head: commit('b'), branch: Some("codex/12-it-job".into()), is_own: true, target: to_main() };
    for facts in [Facts { n_by_bots: 9, ..narrow.clone() }, Facts { pull: Some(pull), ..narrow }] {
        assert_eq!(job(&fix, &facts).needed, Role::None);
    }
}

#[test]
fn nothing_comes_of_a_tick_by_a_policy_that_says_so_no_more() {
    let fix = entry("fix");
    let because = "`schedule` of the policy file has no entry any more that says so at `0 6 * * 1`";
    for other in [
        entry("fix the parser"),
        Schedule { cron: "0 7 * * 1".into(), ..fix.clone() },
        Schedule { issue: IssueNumber(13), ..fix.clone() },
        Schedule { on_pull_request: true, ..fix.clone() },
    ] {
        check_ignored(&tick(&fix), &saying(&other), because);
    }
    check_ignored(&tick(&fix), &facts(), because);
    let unread = Facts { unread: Some("in line 3, column 1".into()), ..saying(&fix) };
    check_ignored(&tick(&fix), &unread, "the policy file cannot be read in line 3, column 1");
}

/// Nobody has written, so that nobody is answered.
#[test]
fn where_nothing_comes_of_a_tick_nobody_is_told() {
    let (fix, by_pull) = (entry("fix"), Schedule { on_pull_request: true, ..entry("fix") });
    check_ignored(&tick(&fix), &Facts { is_open: false, ..saying(&fix) }, "the issue is closed");
    let open_jobs = vec![key()];
    let because = "a job of issue #12 is still open; one at a time";
    check_ignored(&tick(&fix), &Facts { open_jobs, ..saying(&fix) }, because);
    check_ignored(&tick(&by_pull), &saying(&by_pull), "GitHub names no commit of the pull request");
    let open_jobs = vec![job(&fix, &saying(&fix)).key];
    check_ignored(&tick(&fix), &Facts { open_jobs, ..saying(&fix) }, "the same request has already started a job");
    let limited = Deployment { rates: Rates { user: None, repository: NonZeroU32::new(3) }, ..deployment() };
    let recent = Recent { in_repository: 3, ..Recent::default() };
    let decision = decide(&tick(&fix), &limited, &Facts { recent, ..saying(&fix) });
    assert!(
        matches!(&decision, Decision::Ignore { because, .. } if because.starts_with("3 jobs were asked for in this repository"))
    );
}

#[test]
fn a_pull_request_that_the_file_calls_an_issue_is_not_worked_on() {
    let fix = entry("fix");
    let facts = Facts { is_no_issue: true, ..saying(&fix) };
    check_ignored(&tick(&fix), &facts, "what was named as an issue is a pull request");
}

#[test]
fn a_command_that_begins_no_work_is_seen_at_a_glance() {
    let begun = "nothing is begun by that; write `fix`, `ask`, `plan`, `review`, `prove`, or words of your own";
    let of_pulls = "`review` and `prove` are of pull requests: say `pull_request: true`";
    for (command, because) in [
        ("stop", begun),
        ("retry", begun),
        ("approve", begun),
        ("help", begun),
        ("plann it", begun),
        ("review", of_pulls),
        ("prove", of_pulls),
        ("thanks!", "that is no command"),
        ("fix\n@codex ask why?", "these are several commands; give each an entry"),
    ] {
        check_seen_at_a_glance(&tick(&entry(command)), because);
    }
}

#[test]
fn a_tick_has_one_name_whoever_hands_it_in() {
    let tick = Tick { repo: sample::repo(), schedule: entry("fix"), at: sample::at(0) };
    let renamed = crate::event::RepoRef::new(99, 7, "octo-org", "abacus", "trunk").expect("plain names");
    let again = Tick { repo: renamed, ..tick.clone() };
    assert_eq!((tick.id(), tick.id().as_str().len()), (again.id(), 49));
    assert_eq!(tick.delivery(sample::at(0)).id, tick.delivery(sample::at(90)).id);
    let elsewhere = crate::event::RepoRef::new(98, 7, "octo-org", "calc", "main").expect("plain names");
    for other in [
        Tick { at: sample::at(60), ..tick.clone() },
        Tick { schedule: entry("fix it all"), ..tick.clone() },
        Tick { schedule: Schedule { cron: "0 7 * * 1".into(), ..entry("fix") }, ..tick.clone() },
        Tick { repo: elsewhere, ..tick.clone() },
    ] {
        assert_ne!(tick.id(), other.id());
        let swapped = crate::event::RawDelivery { id: tick.id(), ..other.delivery(sample::at(0)) };
        assert!(Tick::event(&swapped).is_err_and(|because| because == "the delivery is called as none of its schedule is"));
    }
}
