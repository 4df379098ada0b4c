use std::collections::BTreeSet;

use super::wanted::{Limits, Policy, Source, Triggers};
use super::{Decision, Deployment, Facts, PullHead, Target, decide, glance};
use crate::event::{Actor, Event, EventKind, IssueNumber, Place, Role, Text, Untrusted};
use crate::job::{JobKey, Mode, Reply, Task};
use crate::policy::rates::{Rates, Recent};
use crate::sample;

mod again;
mod bots;
mod branches;
mod checks;
mod lane;
mod opening;
mod reviews;
mod roles;
mod schedule;
mod several;
mod sources;

const ISSUE: IssueNumber = IssueNumber(12);

fn deployment() -> Deployment {
    Deployment { app_id: 4711, mention: "@codex".into(), bots: BTreeSet::new(), budget: sample::BUDGET, rates: Rates::default() }
}

fn facts() -> Facts {
    Facts {
        policy: Policy::default(),
        unread: None,
        role: Role::Write,
        is_open: true,
        is_no_issue: false,
        open_jobs: Vec::new(),
        stoppable: Vec::new(),
        was_answered: false,
        recent: Recent::default(),
        check: None,
        pull: None,
        last: None,
        stopping: Vec::new(),
        n_by_bots: 0,
        n_mended: 0,
    }
}

/// The branch that most pull requests go to.
fn to_main() -> Target {
    Target { branch: "main".into(), is_named: true }
}

fn event(kind: EventKind) -> Event {
    let spec = sample::spec();
    Event {
        delivery: spec.delivery,
        repo: sample::repo(),
        actor: sample::octocat(),
        at: sample::at(0),
        kind,
        described: None,
        proposes: None,
    }
}

fn from_a_bot(event: Event) -> Event {
    Event { actor: Actor { is_bot: true, login: "renovate[bot]".into(), ..event.actor }, ..event }
}

/// A comment on the open issue.
#[derive(Clone)]
struct Comment {
    body: &'static str,
    on_pull_request: bool,
    via_app: Option<u64>,
}

const FIX: Comment = Comment { body: "@codex fix this", on_pull_request: false, via_app: None };

fn comment(comment: Comment) -> Event {
    let Comment { body, on_pull_request, via_app } = comment;
    event(EventKind::Written {
        issue: ISSUE,
        place: Place::Comment(345),
        text: Text { title: None, body: Untrusted::new(body) },
        before: None,
        on_pull_request,
        via_app,
        wants_changes: false,
    })
}

fn labeled(label: &str) -> Event {
    event(EventKind::IssueLabeled { issue: ISSUE, label: label.into(), is_open: true, on_pull_request: false })
}

fn closed() -> Event {
    event(EventKind::IssueClosed { issue: ISSUE })
}

fn key() -> JobKey {
    sample::spec().key
}

#[track_caller]
fn check_starts(event: &Event, facts: &Facts) {
    let decision = decide(event, &deployment(), facts);
    assert!(matches!(decision, Decision::Start { .. }), "{decision:?}");
    assert_eq!(glance(event, &deployment()), Ok(()));
}

/// The facts are needed to see that the event starts nothing.
#[track_caller]
fn check_ignored(event: &Event, facts: &Facts, because: &str) {
    assert_eq!(decide(event, &deployment(), facts), Decision::ignore(because));
    assert_eq!(glance(event, &deployment()), Ok(()));
}

/// Nothing comes of the event but an answer that says so, and for those who may give no commands not even that.
#[track_caller]
fn check_refused(event: &Event, facts: &Facts, told: &str) {
    check_told(event, facts, told);
    let stranger = Facts { role: Role::Read, ..facts.clone() };
    check_ignored(event, &stranger, "octocat has the role read here, and write is needed to start a run");
}

/// The event is answered with this.
#[track_caller]
fn check_told(event: &Event, facts: &Facts, told: &str) {
    let decision = decide(event, &deployment(), facts);
    let Decision::Start { spec, .. } = &decision else { panic!("an answer, not {decision:?}") };
    assert_eq!(spec.task, Task::Reply { issue: ISSUE, reply: Reply::Refused { because: told.into() } });
    assert_eq!(spec.budget.turns, 0);
}

/// The event starts nothing, whatever the facts are.
#[track_caller]
fn check_seen_at_a_glance(event: &Event, because: &str) {
    assert_eq!(glance(event, &deployment()), Err(Box::new(Decision::ignore(because))));
    assert_eq!(decide(event, &deployment(), &facts()), Decision::ignore(because));
}

#[test]
fn a_command_of_somebody_who_may_push_starts_a_job() {
    let Decision::Start { spec, because } = decide(&comment(FIX), &deployment(), &facts()) else { panic!("a start") };
    assert_eq!(*spec, sample::spec());
    insta::assert_snapshot!(because, @"`fix` was asked for by octocat, who has the role write");
}

#[test]
fn the_words_behind_the_command_become_the_request() {
    let asked = Comment { body: "@codex fix the parser", ..FIX };
    let Decision::Start { spec, .. } = decide(&comment(asked), &deployment(), &facts()) else { panic!("a start") };
    assert_eq!(spec.task, Task::FixIssue { issue: ISSUE, request: Some(Untrusted::new("the parser")) });
}

#[test]
fn a_proof_is_a_job_without_a_model() {
    for on_pull_request in [true, false] {
        let asked = comment(Comment { body: "@codex prove", on_pull_request, ..FIX });
        let Decision::Start { spec, because } = decide(&asked, &deployment(), &facts()) else { panic!("a start") };
        assert_eq!((&spec.task, &spec.key), (&Task::ProvePullRequest { pull_request: ISSUE, is_about_the_build: false }, &key()));
        assert_eq!((spec.budget.turns, spec.budget.tokens, spec.budget.cost_microusd, spec.budget.attempts), (0, 0, 0, 1));
        assert_eq!(spec.budget.wall_clock_ms, sample::BUDGET.wall_clock_ms);
        assert_eq!(because, "`prove` was asked for by octocat, who has the role write");
        let stranger = Facts { role: Role::Read, ..facts() };
        check_ignored(&asked, &stranger, "octocat has the role read here, and write is needed to start a run");
    }
    let closed = Facts { is_open: false, ..facts() };
    let prove = Comment { body: "@codex prove", on_pull_request: true, ..FIX };
    check_refused(&comment(prove), &closed, "This is closed. Open it again, then ask again in a new comment.");
}

#[test]
fn the_label_starts_a_job() {
    let Decision::Start { spec, because } = decide(&labeled("codex"), &deployment(), &facts()) else { panic!("a start") };
    assert_eq!(spec.key, JobKey::of_label(&sample::repo(), ISSUE, "codex", sample::at(0)));
    assert_eq!(spec.task, Task::FixIssue { issue: ISSUE, request: None });
    insta::assert_snapshot!(because, @"the label was put on the issue by octocat, who has the role write");
    check_starts(&labeled("Codex"), &facts());
    check_ignored(&labeled("bug"), &facts(), "the label is not `codex`, which starts a run here");
}

#[test]
fn a_repository_may_name_another_label_and_role() {
    let mut facts = facts();
    facts.policy.triggers.label = "please: fix".into();
    check_starts(&labeled("please: fix"), &facts);
    check_ignored(&labeled("codex"), &facts, "the label is not `please: fix`, which starts a run here");
    facts.policy.triggers.minimum_role = Role::Maintain;
    check_ignored(&labeled("please: fix"), &facts, "octocat has the role write here, and maintain is needed to start a run");
}

#[test]
fn neither_bots_nor_this_app_start_a_job() {
    check_seen_at_a_glance(&from_a_bot(comment(FIX)), "a bot wrote the text");
    check_seen_at_a_glance(&from_a_bot(labeled("codex")), "a bot put the label on the issue");
    check_seen_at_a_glance(&comment(Comment { via_app: Some(4711), ..FIX }), "this App wrote the text itself");
    check_starts(&comment(Comment { via_app: Some(4712), ..FIX }), &facts());
    let marked = "@codex fix this\n<!-- patchwright:0123456789abcdef/progress -->";
    check_seen_at_a_glance(&comment(Comment { body: marked, ..FIX }), "the text carries this program's own marker");
}

#[test]
fn what_is_no_command_is_seen_at_a_glance() {
    check_seen_at_a_glance(&comment(Comment { body: "thanks!", ..FIX }), "the text holds no command to @codex");
    check_seen_at_a_glance(&comment(Comment { body: "@codex thanks!", ..FIX }), "the text holds no command to @codex");
    let on_closed =
        event(EventKind::IssueLabeled { issue: ISSUE, label: "codex".into(), is_open: false, on_pull_request: false });
    check_seen_at_a_glance(&on_closed, "the issue is closed");
}

#[test]
fn a_delivery_that_comes_twice_has_one_key() {
    let again = |event: Event| match decide(&event, &deployment(), &facts()) {
        Decision::Start { spec, .. } => spec.key,
        other => panic!("a start, not {other:?}"),
    };
    assert_eq!(again(comment(FIX)), again(comment(FIX)));
    assert_eq!(again(labeled("codex")), again(labeled("codex")));
    let later = Event { at: sample::at(1), ..labeled("codex") };
    assert_ne!(again(labeled("codex")), again(later), "putting the label on again is a new wish");
}

#[test]
fn a_decision_is_stored_as_it_was_made() {
    for decision in [
        decide(&comment(FIX), &deployment(), &facts()),
        decide(&closed(), &deployment(), &Facts { open_jobs: vec![key()], stoppable: vec![key()], ..facts() }),
        decide(&comment(Comment { body: "no", ..FIX }), &deployment(), &facts()),
        decide(&comment(Comment { body: "@codex plan this", ..FIX }), &deployment(), &facts()),
        decide(&comment(Comment { body: "@codex help", ..FIX }), &deployment(), &facts()),
    ] {
        let text = serde_json::to_string(&decision).unwrap();
        assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision);
    }
    let text = serde_json::to_string(&decide(&comment(FIX), &deployment(), &facts())).unwrap();
    insta::assert_snapshot!(text, @r#"
    {"decision":"start","spec":{"key":"99/issue/12/comment/345","repo":{"id":99,"installation":7,"owner":"octo-org","name":"calc","default_branch":"main"},"task":{"task":"fix_issue","issue":12,"request":null},"requested_by":{"id":1,"login":"octocat","is_bot":false},"role":"write","needed":"write","delivery":"72d3162e-cc78-11e3-81ab-4c9367dc0958","requested_at":"2025-10-09T08:53:20Z","budget":{"wall_clock_ms":1800000,"rounds":2,"attempts":1,"turns":50,"claims":3,"tokens":1000000,"cost_microusd":5000000}},"because":"`fix` was asked for by octocat, who has the role write"}
    "#);
}

#[test]
fn an_issue_that_was_closed_meanwhile_starts_nothing() {
    let closed = Facts { is_open: false, ..facts() };
    check_refused(&comment(FIX), &closed, "This is closed. Open it again, then ask again in a new comment.");
    check_ignored(&labeled("codex"), &closed, "the issue is closed");
}

#[test]
fn whoever_may_give_commands_hears_why_nothing_comes_of_one() {
    let told = "There is no command `fxi`. `@codex fix` is nearest; `@codex help` says which there are.";
    check_refused(&comment(Comment { body: "@codex fxi this", ..FIX }), &facts(), told);
    let told = "This is closed. Open it again, then ask again in a new comment.";
    check_refused(&comment(FIX), &Facts { is_open: false, ..facts() }, told);
    let told = "Nothing is under way here that could still be stopped.";
    check_refused(&comment(Comment { body: "@codex stop", ..FIX }), &facts(), told);
    let fxi = decide(&comment(Comment { body: "@codex fxi this", ..FIX }), &deployment(), &facts());
    assert_eq!(fxi.because(), "there is no command `fxi`; octocat, who has the role write, is told so");
}

/// What is asked on a pull request is about what it proposes; what is made goes to its branch, where that is one of the repository.
#[test]
fn on_a_pull_request_work_is_about_what_it_proposes() {
    let asked = |body| comment(Comment { body, on_pull_request: true, ..FIX });
    let head = sample::commit('b');
    let proposes = |branch: Option<&str>| Facts {
        pull: Some(PullHead { head: head.clone(), branch: branch.map(str::to_owned), is_own: false, target: to_main() }),
        ..facts()
    };
    for (body, request, mode) in [
        ("@codex fix this", None, Mode::Fix),
        ("@codex mend it all", Some("mend it all"), Mode::Fix),
        ("@codex ask why", Some("why"), Mode::Ask),
        ("@codex plan this", None, Mode::Plan),
    ] {
        for branch in [Some("mend"), None] {
            let decision = decide(&asked(body), &deployment(), &proposes(branch));
            if mode == Mode::Fix && branch.is_none() {
                assert!(decision.because().starts_with("the pull request's branch is in another repository"), "{decision:?}");
                continue;
            }
            let Decision::Start { spec, .. } = decision else { panic!("{body} starts a job") };
            let (request, branch) = (request.map(Untrusted::new), branch.map(str::to_owned));
            assert_eq!(
                spec.task,
                Task::WorkOnPull { pull_request: ISSUE, head: head.clone(), branch, is_own: false, request, mode }
            );
            assert_eq!(spec.budget.turns, sample::BUDGET.turns);
        }
    }
    let told = "GitHub names no commit of this pull request. Ask again in a new comment once it does.";
    check_refused(&asked("@codex fix this"), &facts(), told);
}

#[test]
fn questions_and_plans_are_jobs_that_change_nothing() {
    let task = |body| match decide(&comment(Comment { body, ..FIX }), &deployment(), &facts()) {
        Decision::Start { spec, .. } => (spec.task, spec.budget.turns),
        other => panic!("a start, not {other:?}"),
    };
    let request = Some(Untrusted::new("why is it 6?"));
    let turns = sample::BUDGET.turns;
    assert_eq!(task("@codex ask why is it 6?"), (Task::Answer { issue: ISSUE, request, mode: Mode::Ask }, turns));
    assert_eq!(task("@codex plan this"), (Task::Answer { issue: ISSUE, request: None, mode: Mode::Plan }, turns));
    let request = Some(Untrusted::new("could you make it fast?"));
    assert_eq!(task("@codex could you make it fast?"), (Task::FixIssue { issue: ISSUE, request }, turns));
}

#[test]
fn what_takes_no_work_is_said_whatever_is_under_way() {
    let busy = Facts { open_jobs: vec![JobKey::of_comment(&sample::repo(), ISSUE, 1)], is_open: false, ..facts() };
    for (body, reply) in [("@codex status", Reply::Status), ("@codex help", Reply::Help { mention: "@codex".into() })] {
        let asked = comment(Comment { body, ..FIX });
        let Decision::Start { spec, .. } = decide(&asked, &deployment(), &busy) else { panic!("a start") };
        assert_eq!((spec.task, spec.budget.tokens), (Task::Reply { issue: ISSUE, reply }, 0));
        check_ignored(
            &asked,
            &Facts { role: Role::Read, ..busy.clone() },
            "octocat has the role read here, and write is needed to start a run",
        );
    }
}

#[test]
fn an_edit_counts_where_it_adds_the_command() {
    let edited = |before: &str, now: &str| {
        let kind = EventKind::Written {
            issue: ISSUE,
            place: Place::Description,
            text: Text { title: None, body: Untrusted::new(now) },
            before: Some(Text { title: None, body: Untrusted::new(before) }),
            on_pull_request: false,
            via_app: None,
            wants_changes: false,
        };
        event(kind)
    };
    let added = edited("It is 6.", "It is 6.\n\n@codex fix this");
    check_starts(&added, &facts());
    let Decision::Start { spec, .. } = decide(&added, &deployment(), &facts()) else { panic!("a start") };
    assert_eq!(spec.key, JobKey::of_description(&sample::repo(), ISSUE));
    check_starts(&edited("`@codex fix this`", "@codex fix this"), &facts());
    check_seen_at_a_glance(&edited("@codex fix this", "Well. @codex fix it!"), "the edit left the command as it was");
    check_seen_at_a_glance(&edited("@codex fix this", "no"), "the text holds no command to @codex");
}

/// It may say that only maintainers start runs, or from where.
#[test]
fn where_the_policy_cannot_be_read_nothing_is_begun() {
    let unread = Facts { unread: Some("in line 2, column 3".into()), open_jobs: vec![key()], stoppable: vec![key()], ..facts() };
    let told = "`.github/patchwright.yml` of the default branch cannot be read in line 2, column 3, so that nothing is begun. Mend \
                it, then ask again in a new comment; `patchwright policy check` says what is wrong.";
    for body in ["@codex fix this", "@codex ask why?", "@codex prove", "@codex hlep"] {
        check_refused(&comment(Comment { body, ..FIX }), &unread, told);
    }
    check_ignored(&labeled("codex"), &unread, "the policy file cannot be read in line 2, column 3");
    let stopped = decide(&comment(Comment { body: "@codex stop", ..FIX }), &deployment(), &unread);
    assert!(matches!(stopped, Decision::Cancel { .. }), "{stopped:?}");
    assert!(matches!(decide(&closed(), &deployment(), &unread), Decision::Cancel { .. }));
}

/// GitHub numbers each kind of text by itself.
#[test]
fn texts_of_different_kinds_with_one_number_are_different_requests() {
    let key = |place| {
        let EventKind::Written { text, .. } = comment(FIX).kind else { panic!("it is written") };
        let (before, via_app) = (None, None);
        let asked = event(EventKind::Written {
            issue: ISSUE,
            place,
            text,
            before,
            on_pull_request: false,
            via_app,
            wants_changes: false,
        });
        match decide(&asked, &deployment(), &facts()) {
            Decision::Start { spec, .. } => spec.key.as_str().to_owned(),
            other => panic!("a start, not {other:?}"),
        }
    };
    let keys = [Place::Description, Place::Comment(345), Place::Review(345), Place::ReviewComment { comment: 345, review: None }]
        .map(key);
    // What stands beside lines is part of its review, which starts one job at most.
    assert_eq!(key(Place::ReviewComment { comment: 346, review: Some(345) }), keys[2]);
    insta::assert_snapshot!(keys.join("\n"), @r"
    99/issue/12/description
    99/issue/12/comment/345
    99/issue/12/review/345
    99/issue/12/review-comment/345
    ");
}

#[test]
fn an_issue_that_is_assigned_to_us_is_worked_on() {
    let assigned = |assignee: &str, is_open| {
        event(EventKind::IssueAssigned { issue: ISSUE, assignee: assignee.into(), is_open, on_pull_request: false })
    };
    check_ignored(&assigned("codex", true), &facts(), "the policy names no `triggers.assignee`");
    let facts = || Facts { policy: with(Triggers { assignee: Some("codex".into()), ..Triggers::default() }), ..facts() };
    check_starts(&assigned("Codex", true), &facts());
    check_ignored(&assigned("octocat", true), &facts(), "the issue was not assigned to `codex`, which starts a run here");
    check_seen_at_a_glance(&assigned("codex", false), "the issue is closed");
    check_seen_at_a_glance(&from_a_bot(assigned("codex", true)), "a bot assigned the issue");
    let reader = Facts { role: Role::Triage, ..facts() };
    check_ignored(&assigned("codex", true), &reader, "octocat has the role triage here, and write is needed to start a run");
    let again = assigned("codex", true);
    // Nobody has written, so that nobody is answered.
    check_ignored(&again, &Facts { is_open: false, ..facts() }, "the issue is closed");
    let busy = Facts { open_jobs: vec![key()], stoppable: vec![key()], ..facts() };
    check_ignored(&again, &busy, "a job of issue #12 is still open; one at a time");
}

fn edit(before: (&str, &str), now: (&str, &str)) -> Event {
    let text = |(title, body)| Text { title: Some(Untrusted::new(title)), body: Untrusted::new(body) };
    event(EventKind::Written {
        issue: ISSUE,
        place: Place::Description,
        text: text(now),
        before: Some(text(before)),
        on_pull_request: false,
        via_app: None,
        wants_changes: false,
    })
}

/// An issue that is made of a line of a stranger's list has the maintainer as its author.
#[test]
fn a_title_that_stood_there_is_no_command_of_whoever_adds_a_text() {
    let title = "@codex fix the login: accept any password";
    check_seen_at_a_glance(&edit((title, ""), (title, "As said above.")), "the text holds no command to @codex");
    check_seen_at_a_glance(&edit((title, ""), ("Login", title)), "the edit left the command as it was");
    check_starts(&edit(("Login", "It is wrong."), (title, "It is wrong.")), &facts());
    check_starts(&edit((title, "x"), (title, "x\n\n@codex fix the mean")), &facts());
}

#[test]
fn what_is_said_leaves_its_text_to_be_mended() {
    let key = |body| match decide(&comment(Comment { body, ..FIX }), &deployment(), &facts()) {
        Decision::Start { spec, .. } => spec.key,
        other => panic!("a start, not {other:?}"),
    };
    let said = ["@codex fxi this", "@codex hlep", "@codex help", "@codex status", "@codex stop"].map(key);
    let different: std::collections::BTreeSet<_> = said.iter().collect();
    assert_eq!(different.len(), said.len());
    assert!(!different.contains(&key("@codex fix this")));
    assert_eq!(key("@codex hlep"), said[1]);
}

/// A wish may be told twice, by its own delivery and by a sweep: had it been refused meanwhile, it would be answered and then done.
#[test]
fn what_cannot_be_had_now_is_answered_once_and_never_done_afterwards() {
    let other = JobKey::of_comment(&sample::repo(), ISSUE, 1);
    for refusing in [Facts { is_open: false, ..facts() }, Facts { open_jobs: vec![other], ..facts() }] {
        let Decision::Start { spec, .. } = decide(&comment(FIX), &deployment(), &refusing) else { panic!("nobody is told") };
        assert!(matches!(spec.task, Task::Reply { .. }), "{spec:?}");
        assert_eq!(spec.key, key(), "the same wish starts a job of another key later");
    }
}

#[test]
fn who_asks_for_too_much_is_told_so_and_nothing_is_done() {
    let limit = std::num::NonZeroU32::new;
    let of_user = Deployment { rates: Rates { user: limit(2), repository: None }, ..deployment() };
    let of_repository = Deployment { rates: Rates { user: None, repository: limit(2) }, ..deployment() };
    let check = |recent: Recent, deployment: &Deployment, reached: Option<&str>| {
        let facts = Facts { recent, ..facts() };
        let Decision::Start { spec, .. } = decide(&comment(FIX), deployment, &facts) else { panic!("nobody is told") };
        let told = match spec.task {
            Task::Reply { reply: Reply::Refused { because }, .. } => Some(because),
            _ => None,
        };
        assert_eq!(told.as_deref(), reached);
        assert_eq!(spec.key, key());
        let by_label = decide(&labeled("codex"), deployment, &facts);
        assert_eq!(matches!(by_label, Decision::Ignore { .. }), reached.is_some(), "{by_label:?}");
    };
    let recent = |by_user, in_repository| Recent { by_user, in_repository, ..Recent::default() };
    let too_many =
        "2 jobs were asked for by one user within an hour, and this server starts no more. Ask again later, in a new comment.";
    check(recent(2, 2), &of_user, Some(too_many));
    check(recent(1, 9), &of_user, None);
    let too_many = "2 jobs were asked for in this repository within an hour, and this server starts no more. Ask again later, in a \
                    new comment.";
    check(recent(1, 2), &of_repository, Some(too_many));
    check(recent(1, 1), &of_repository, None);
    check(recent(1_000, 1_000), &deployment(), None);
}

#[test]
fn few_answers_are_given_in_one_place_whoever_asks() {
    let facts =
        |answers_in_place, answers| Facts { recent: Recent { answers_in_place, answers, ..Recent::default() }, ..facts() };
    for body in ["@codex help", "@codex status", "@codex fxi", "@codex stop"] {
        let asks = comment(Comment { body, ..FIX });
        let because = "10 answers were given on #12 within an hour, 11 in the repository, and no more are";
        check_ignored(&asks, &facts(10, 11), because);
        let because = "0 answers were given on #12 within an hour, 100 in the repository, and no more are";
        check_ignored(&asks, &facts(0, 100), because);
        check_starts(&asks, &facts(9, 99));
    }
    check_starts(&comment(FIX), &facts(10, 100));
}

#[test]
fn tasks_are_stored_in_these_words() {
    let task = |body| match decide(&comment(Comment { body, ..FIX }), &deployment(), &facts()) {
        Decision::Start { spec, .. } => serde_json::to_string(&spec.task).unwrap(),
        other => panic!("a start, not {other:?}"),
    };
    let told = ["@codex ask why?", "@codex status", "@codex help", "@codex fxi it"].map(task).join("\n");
    insta::assert_snapshot!(told, @r#"
    {"task":"answer","issue":12,"request":"why?","mode":"ask"}
    {"task":"reply","issue":12,"reply":{"reply":"status"}}
    {"task":"reply","issue":12,"reply":{"reply":"help","mention":"@codex"}}
    {"task":"reply","issue":12,"reply":{"reply":"refused","because":"There is no command `fxi`. `@codex fix` is nearest; `@codex help` says which there are."}}
    "#);
}

fn with(triggers: Triggers) -> Policy {
    Policy { triggers, ..Policy::default() }
}

#[test]
fn a_run_is_started_only_from_where_the_policy_says() {
    let only = |source| with(Triggers { sources: [source].into_iter().collect(), ..Triggers::default() });
    let by_label = Facts { policy: only(Source::Label), ..facts() };
    check_starts(&labeled("codex"), &by_label);
    check_refused(
        &comment(FIX),
        &by_label,
        "`triggers.sources` of the policy file does not name `comment`, which is where this was asked: it names `label`.",
    );
    let by_comment = Facts { policy: only(Source::Comment), ..facts() };
    check_starts(&comment(FIX), &by_comment);
    check_ignored(&labeled("codex"), &by_comment, "`triggers.sources` of the policy file does not name `label`");
    // Nobody has to look for the right place to stop something, or to be told of it.
    check_starts(&comment(Comment { body: "@codex status", ..FIX }), &by_label);
    let busy = Facts { open_jobs: vec![key()], stoppable: vec![key()], ..by_label };
    let stopped = decide(&comment(Comment { body: "@codex stop", ..FIX }), &deployment(), &busy);
    assert!(matches!(stopped, Decision::Cancel { .. }), "{stopped:?}");
}

#[test]
fn a_policy_narrows_the_operators_budget_and_never_widens_it() {
    let budget = |limits| {
        let facts = Facts { policy: Policy { limits, attempts: u32::MAX, ..Policy::default() }, ..facts() };
        let Decision::Start { spec, .. } = decide(&comment(FIX), &deployment(), &facts) else { panic!("a start") };
        spec.budget
    };
    let most = |n| Limits {
        wall_clock_ms: Some(n),
        rounds: Some(u32::try_from(n).unwrap_or(u32::MAX)),
        turns: Some(u32::try_from(n).unwrap_or(u32::MAX)),
        tokens: Some(n),
        cost_microusd: Some(n),
    };
    assert_eq!(budget(most(u64::MAX)), sample::BUDGET);
    assert_eq!(budget(Limits::default()), sample::BUDGET);
    let least = budget(most(1));
    let found = (least.wall_clock_ms, least.rounds, least.turns, least.tokens, least.cost_microusd);
    assert_eq!((found, least.claims), ((1, 1, 1, 1, 1), sample::BUDGET.claims));
}
