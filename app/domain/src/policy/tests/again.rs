use super::*;
use crate::journal::{CommitId, Outcome};
use crate::policy::Last;

fn said(body: &'static str) -> Event {
    comment(Comment { body, ..FIX })
}

fn last(task: Task, outcome: Outcome) -> Facts {
    let key = JobKey::of_comment(&sample::repo(), ISSUE, 7);
    let requested_by = Actor { id: 2, login: "mona".into(), is_bot: false };
    let spec = Box::new(crate::job::JobSpec { key, task, requested_by, ..sample::spec() });
    Facts { last: Some(Last { spec, outcome, planned_by: None }), ..facts() }
}

fn words(text: &str) -> Option<Untrusted> {
    Some(Untrusted::new(text))
}

fn fix() -> Task {
    Task::FixIssue { issue: ISSUE, request: words("the divisor") }
}

fn plan() -> Task {
    Task::Answer { issue: ISSUE, request: words("the divisor"), mode: Mode::Plan }
}

fn started(event: &Event, facts: &Facts) -> crate::job::JobSpec {
    match decide(event, &deployment(), facts) {
        Decision::Start { spec, .. } => *spec,
        decision => panic!("a start, not {decision:?}"),
    }
}

#[test]
fn what_did_not_succeed_is_done_once_more_in_the_same_words() {
    for outcome in [Outcome::Failed, Outcome::NoChange, Outcome::Unproven, Outcome::Cancelled] {
        let spec = started(&said("@codex retry"), &last(fix(), outcome));
        assert_eq!((spec.task, spec.requested_by), (fix(), sample::octocat()));
    }
    for outcome in [Outcome::Proven, Outcome::Answered] {
        let told = "Job 0dc9df274e499571 was the last one here, and it succeeded: its comment says what came of it. Say in a new comment what else is wanted.";
        check_told(&said("@codex retry"), &last(fix(), outcome), told);
    }
    check_told(
        &said("@codex retry"),
        &facts(),
        "Nothing that was asked for here has ended, so that there is nothing to do once more.",
    );
}

#[test]
fn what_was_asked_of_a_pull_request_is_done_on_what_that_proposes_now() {
    let [then, now] = ["a", "b"].map(|digit| CommitId::parse(&digit.repeat(40)).unwrap());
    let of = |head| Task::WorkOnPull {
        pull_request: ISSUE,
        head,
        branch: Some("mine".into()),
        is_own: false,
        request: None,
        mode: Mode::Fix,
    };
    let pull = Some(PullHead { head: now.clone(), branch: Some("mine".into()), is_own: false, target: to_main() });
    let facts = Facts { pull, ..last(of(then), Outcome::Failed) };
    assert_eq!(started(&said("@codex retry"), &facts).task, of(now));
}

#[test]
fn a_plan_is_carried_out_with_the_words_that_it_was_asked_for_in() {
    let facts = last(plan(), Outcome::Answered);
    let spec = started(&said("@codex approve"), &facts);
    assert_eq!((&spec.task, &spec.plan), (&fix(), &Some(facts.last.unwrap().spec.id())));
    let spec = started(&said("@codex approve, but keep the sum"), &last(plan(), Outcome::Answered));
    assert_eq!(spec.task, Task::FixIssue { issue: ISSUE, request: words("the divisor\n\nbut keep the sum") });
    let again = Facts { last: Some(again_of(&spec, None)), ..facts_of_no_plan() };
    assert_eq!(started(&said("@codex retry"), &again).plan, spec.plan, "what is done once more has the plan, too");
}

fn facts_of_no_plan() -> Facts {
    last(fix(), Outcome::Unproven)
}

#[test]
fn only_a_plan_that_was_made_last_is_approved() {
    let told = "What was done last here made no plan that could be approved. `@codex plan` asks for one.";
    let question = Task::Answer { issue: ISSUE, request: None, mode: Mode::Ask };
    for facts in [facts(), facts_of_no_plan(), last(question, Outcome::Answered), last(plan(), Outcome::TimedOut)] {
        check_told(&said("@codex approve"), &facts, told);
    }
    let [then, now] = ["a", "b"].map(|digit| CommitId::parse(&digit.repeat(40)).unwrap());
    let task = Task::WorkOnPull { pull_request: ISSUE, head: then, branch: None, is_own: false, request: None, mode: Mode::Plan };
    let moved = Facts {
        pull: Some(PullHead { head: now, branch: None, is_own: false, target: to_main() }),
        ..last(task, Outcome::Answered)
    };
    let told = "The pull request has another last commit since the plan was made. `@codex plan` asks for a new one.";
    check_told(&said("@codex approve"), &moved, told);
}

#[test]
fn a_policy_may_want_a_second_person() {
    let mut facts = last(plan(), Outcome::Answered);
    facts.policy.triggers.second_person = true;
    assert_eq!(started(&said("@codex approve"), &facts).task, fix(), "mona has asked for the plan");
    if let Some(last) = &mut facts.last {
        last.spec.requested_by = Actor { login: "renamed".into(), ..sample::octocat() };
    }
    let told = "Who has asked for a plan does not approve it here: `triggers.second_person` in `.github/patchwright.yml` wants somebody else who may.";
    check_told(&said("@codex approve"), &facts, told);
}

#[test]
fn an_approval_takes_the_role_for_it_and_for_a_fix() {
    let with = |roles: &[(&'static str, Role)], role| {
        let mut facts = Facts { role, ..last(plan(), Outcome::Answered) };
        facts.policy.triggers.roles = roles.iter().copied().collect();
        facts
    };
    let high = [("fix", Role::Maintain), ("approve", Role::Triage)];
    let told = "This takes the role `maintain` here, and you have `write`: `triggers` in `.github/patchwright.yml` says so. Somebody with that role can ask for it in a new comment.";
    check_told(&said("@codex approve"), &with(&high, Role::Write), told);
    check_told(&said("@codex approve"), &with(&[("approve", Role::Maintain)], Role::Write), told);
    let spec = started(&said("@codex approve"), &with(&[("approve", Role::Maintain)], Role::Admin));
    assert_eq!((&spec.task, spec.needed), (&fix(), Role::Maintain));
    check_ignored(
        &said("@codex retry"),
        &Facts { role: Role::Read, ..last(fix(), Outcome::Failed) },
        "octocat has the role read here, and write is needed to start a run",
    );
}

#[test]
fn nothing_goes_on_beside_what_is_under_way() {
    let told = "Job 538db742fcb50de3 is still under way here. Ask again in a new comment when its result is here, or after `@codex stop`; `@codex status` says how far it is.";
    for body in ["@codex retry", "@codex approve"] {
        let facts = Facts { open_jobs: vec![JobKey::of_comment(&sample::repo(), ISSUE, 1)], ..last(plan(), Outcome::Answered) };
        check_told(&said(body), &facts, told);
        check_ignored(&said(body), &Facts { open_jobs: vec![key()], ..facts }, "the same request has already started a job");
    }
}

/// The end of a job that has carried out a plan, without success.
fn again_of(spec: &crate::job::JobSpec, planned_by: Option<u64>) -> Last {
    Last { spec: Box::new(spec.clone()), outcome: Outcome::Failed, planned_by }
}

/// Whoever has a plan carried out once more approves it once more.
#[test]
fn a_plan_is_carried_out_once_more_as_it_may_be_approved() {
    let [then, now] = ["a", "b"].map(|digit| CommitId::parse(&digit.repeat(40)).unwrap());
    let at =
        |head: &CommitId| Some(PullHead { head: head.clone(), branch: Some("mine".into()), is_own: false, target: to_main() });
    let task = Task::WorkOnPull {
        pull_request: ISSUE,
        head: then.clone(),
        branch: None,
        is_own: false,
        request: None,
        mode: Mode::Plan,
    };
    let approved = started(
        &comment(Comment { body: "@codex approve", on_pull_request: true, ..FIX }),
        &Facts { pull: at(&then), ..last(task, Outcome::Answered) },
    );
    let retry = comment(Comment { body: "@codex retry", on_pull_request: true, ..FIX });
    let facts = |head, planned_by| Facts { pull: at(head), last: Some(again_of(&approved, planned_by)), ..facts() };
    assert_eq!(started(&retry, &facts(&then, None)).plan, approved.plan);
    let told = "The pull request has another last commit since the plan was made. `@codex plan` asks for a new one.";
    check_told(&retry, &facts(&now, None), told);
    let told = "Who has asked for a plan does not approve it here: `triggers.second_person` in `.github/patchwright.yml` wants somebody else who may.";
    for (planned_by, may) in [(Some(2), true), (Some(sample::octocat().id), false), (None, false)] {
        let mut facts = facts(&then, planned_by);
        facts.policy.triggers.second_person = true;
        match may {
            true => assert_eq!(started(&retry, &facts).plan, approved.plan),
            false => check_told(&retry, &facts, told),
        }
    }
}

/// What was done last is not known yet, and what was done before it is not meant.
#[test]
fn nothing_goes_on_from_what_is_being_stopped() {
    let key = JobKey::of_comment(&sample::repo(), ISSUE, 1);
    let told = "Job 538db742fcb50de3 is being stopped. Ask again in a new comment when its own says that it is over.";
    for body in ["@codex retry", "@codex approve"] {
        check_told(&said(body), &Facts { stopping: vec![key.clone()], ..last(plan(), Outcome::Answered) }, told);
    }
    let open = Facts { open_jobs: vec![key.clone()], stoppable: vec![key], ..last(fix(), Outcome::Failed) };
    let decision = decide(&said("@codex stop\n@codex retry"), &deployment(), &open);
    let [Decision::Cancel { .. }, Decision::Start { spec, .. }] = decision.parts() else {
        panic!("two things, not {decision:?}")
    };
    assert_eq!(spec.task, Task::Reply { issue: ISSUE, reply: Reply::Refused { because: told.into() } });
}

/// An approval that is told late is none of what was asked for and done since.
#[test]
fn what_was_asked_for_later_is_not_what_was_meant() {
    let told = "Job 0dc9df274e499571 was asked for and done since this was written. Look at it, and ask again.";
    for body in ["@codex retry", "@codex approve"] {
        let mut facts = last(plan(), Outcome::Answered);
        if let Some(last) = &mut facts.last {
            last.spec.requested_at = sample::at(1);
        }
        check_told(&said(body), &facts, told);
    }
}
