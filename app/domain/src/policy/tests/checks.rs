use super::super::RedCheck;
use super::super::wanted::{Checks, Triggers};
use super::*;
use crate::event::{CheckRef, OfCheck};
use crate::job::{Budget, JobId, Repair};

fn named(name: &str) -> CheckRef {
    CheckRef { id: 77, name: Untrusted::new(name) }
}

/// A red check, told with its name or without.
fn red(check: Option<CheckRef>, app: Option<u64>) -> Event {
    event(EventKind::CheckFailed { head: sample::commit('b'), check, app })
}

fn wanted(checks: Checks, check: RedCheck) -> Facts {
    let policy = Policy { triggers: Triggers { checks, ..Policy::default().triggers }, ..Policy::default() };
    Facts { policy, role: Role::None, check: Some(check), ..facts() }
}

fn of_us() -> RedCheck {
    RedCheck {
        check: named("test (3.12)"),
        pull_request: ISSUE,
        suite: Some(5),
        branch: "mend".into(),
        target: to_main(),
        is_own: true,
        n_triaged: 0,
    }
}

fn of_others() -> RedCheck {
    RedCheck { is_own: false, ..of_us() }
}

#[test]
fn however_a_red_check_is_told_of_it_makes_one_job() {
    let all = wanted(Checks::All, of_others());
    let told = [red(Some(named("test (3.12)")), Some(15_368)), red(None, Some(15_368)), red(None, None)];
    let specs: Vec<_> = told
        .iter()
        .map(|event| match decide(event, &deployment(), &all) {
            Decision::Start { spec, because } => (spec, because),
            other => panic!("a start, not {other:?}"),
        })
        .collect();
    assert!(specs.iter().all(|(spec, _)| spec.key == specs[0].0.key && spec.task == specs[0].0.task));
    let (spec, because) = &specs[0];
    assert_eq!(because, "a check of #12 is red, and `triggers.checks` has it looked into");
    let (check, repair) = (named("test (3.12)"), Repair::Unwanted);
    let task = Task::TriageCheck { pull_request: ISSUE, head: sample::commit('b'), check, repair };
    assert_eq!((&spec.task, spec.budget.turns, spec.budget.tokens), (&task, 0, 0));
    assert_eq!(
        (spec.requested_by.login.as_str(), spec.requested_by.is_bot, spec.role),
        ("github-actions[bot]", true, Role::None)
    );
    let (lint, of_another_file) = (RedCheck { check: named("lint"), ..of_others() }, RedCheck { suite: Some(6), ..of_others() });
    for other in [lint, of_another_file] {
        let Decision::Start { spec: other, .. } = decide(&told[1], &deployment(), &wanted(Checks::All, other)) else {
            panic!("a start")
        };
        assert_ne!(other.key, spec.key, "another check is another job");
    }
}

#[test]
fn nothing_is_looked_into_unasked() {
    let off = wanted(Checks::Off, of_us());
    check_ignored(&red(None, None), &off, "red checks are not looked into here: `triggers.checks` is off");
    assert_eq!(Policy::default().triggers.checks, Checks::Off);
}

#[test]
fn own_pull_requests_are_told_from_others() {
    assert!(matches!(decide(&red(None, None), &deployment(), &wanted(Checks::Own, of_us())), Decision::Start { .. }));
    let others = wanted(Checks::Own, of_others());
    check_ignored(&red(None, None), &others, "the pull request is somebody else's, and `triggers.checks` is own");
}

#[test]
fn a_commit_is_not_looked_into_without_end() {
    let at_most = |n_triaged| wanted(Checks::All, RedCheck { n_triaged, ..of_us() });
    assert!(matches!(decide(&red(None, None), &deployment(), &at_most(2)), Decision::Start { .. }));
    check_ignored(&red(None, None), &at_most(3), "3 checks of this commit were looked into already");
}

fn of_check(name: &str) -> JobKey {
    JobKey::of_check(&sample::repo(), &sample::commit('a'), &Untrusted::new(name), Some(5))
}

/// What is told while another one is looked into is not lost: the jobs of a pull request wait for each other.
#[test]
fn a_red_check_waits_for_others_up_to_a_limit() {
    let open = |open_jobs| Facts { open_jobs, ..wanted(Checks::All, of_us()) };
    let start = |facts: &Facts| match decide(&red(None, None), &deployment(), facts) {
        Decision::Start { spec, .. } => spec.key,
        other => panic!("a start, not {other:?}"),
    };
    let own = start(&open(vec![key(), of_check("a"), of_check("b")]));
    check_ignored(&red(None, None), &open(vec![own]), "the same check is being looked into already");
    let many = ["a", "b", "c", "d", "e"].map(of_check).to_vec();
    check_ignored(&red(None, None), &open(many), "5 red checks of #12 are being looked into already");
}

/// Nobody has asked for it, so that nobody who asks for something is sent away for it.
#[test]
fn a_red_check_is_in_nobodys_way() {
    let busy = Facts { open_jobs: vec![of_check("a")], ..facts() };
    let Decision::Start { spec, .. } = decide(&comment(FIX), &deployment(), &busy) else { panic!("a start") };
    assert!(matches!(spec.task, Task::FixIssue { .. }), "{spec:?}");
    let label_like_one = JobKey::of_label(&sample::repo(), ISSUE, "commit/x/check/y", sample::at(0));
    check_refused_while(&label_like_one);
}

#[track_caller]
fn check_refused_while(open: &JobKey) {
    let busy = Facts { open_jobs: vec![open.clone()], ..facts() };
    let Decision::Start { spec, .. } = decide(&comment(FIX), &deployment(), &busy) else { panic!("an answer") };
    assert!(matches!(spec.task, Task::Reply { .. }), "{spec:?}");
}

#[test]
fn our_own_checks_start_nothing() {
    check_seen_at_a_glance(&red(Some(named("patchwright")), Some(4711)), "the check is this App's own");
}

#[test]
fn what_is_over_starts_nothing() {
    let because =
        "no check of GitHub Actions is red now on the last commit of an open pull request from a branch of this repository";
    let over = Facts { check: None, ..wanted(Checks::All, of_us()) };
    check_ignored(&red(None, None), &over, because);
}

/// What is done about a red check where repairs are wanted.
#[track_caller]
fn repair_of(check: RedCheck, open_jobs: Vec<JobKey>) -> (Repair, Budget) {
    let mut facts = Facts { open_jobs, ..wanted(Checks::All, check) };
    facts.policy.triggers.repairs = true;
    let Decision::Start { spec, .. } = decide(&red(None, None), &deployment(), &facts) else { panic!("a start") };
    let Task::TriageCheck { repair, .. } = spec.task else { panic!("a triage") };
    (repair, spec.budget)
}

fn of_branch(branch: &str) -> RedCheck {
    RedCheck { branch: branch.into(), ..of_others() }
}

#[test]
fn a_repair_goes_to_the_branch_of_the_pull_request_and_may_ask_a_model() {
    let (repair, budget) = repair_of(of_branch("feature/x"), Vec::new());
    assert_eq!((repair, budget), (Repair::Wanted { branch: "feature/x".into(), is_own: false }, deployment().budget));
}

#[test]
fn repairs_do_not_stand_on_each_other_without_end() {
    let wanted = |branch: &str| repair_of(of_branch(branch), Vec::new()).0.branch().is_some();
    assert!(wanted("codex/repair-1-12-0123456"));
    for branch in ["codex/repair-2-12-0123456", "codex/repair-3-12-0123456"] {
        assert!(!wanted(branch), "{branch}");
    }
    let (repair, budget) = repair_of(of_branch("codex/repair-2-12-0123456"), Vec::new());
    let because = "It is not repaired: 2 repairs stand on each other already, so that a person has to look.";
    assert_eq!((repair, budget.turns), (Repair::Withheld { because: because.into() }, 0));
}

#[test]
fn what_this_app_has_opened_is_mended_on_its_own_branch() {
    let repaired = |branch: &str, is_own| repair_of(RedCheck { is_own, ..of_branch(branch) }, Vec::new()).0;
    let wanted = |branch: &str, is_own| Repair::Wanted { branch: branch.into(), is_own };
    assert_eq!(repaired("codex/12-mend-0123456", true), wanted("codex/12-mend-0123456", true));
    assert_eq!(repaired("codex/12-mend-0123456", false), wanted("codex/12-mend-0123456", false), "somebody else's");
    assert_eq!(repaired("mend", true), wanted("mend", false), "it is called as people call theirs");
}

#[test]
fn a_branch_of_our_own_is_not_mended_without_end() {
    let own = RedCheck { is_own: true, ..of_branch("codex/12-mend-0123456") };
    let on_top = RedCheck { is_own: true, ..of_branch("codex/repair-1-12-0123456") };
    let is_wanted = |check: &RedCheck, n_mended| {
        let mut facts = Facts { n_mended, ..wanted(Checks::Own, check.clone()) };
        facts.policy.triggers.repairs = true;
        let Decision::Start { spec, .. } = decide(&red(None, None), &deployment(), &facts) else { panic!("a start") };
        spec.task.goes_onto().is_some()
    };
    assert_eq!([0, 1, 2, 3].map(|n_mended| is_wanted(&own, n_mended)), [true, true, false, false]);
    assert_eq!([0, 1].map(|n_mended| is_wanted(&on_top, n_mended)), [true, false], "it is the second one already");
}

#[test]
fn of_a_commit_one_check_is_repaired() {
    let head_key = |commit| JobKey::of_check(&sample::repo(), &sample::commit(commit), &Untrusted::new("lint"), Some(5));
    let is_wanted = |check: RedCheck, open_jobs| repair_of(check, open_jobs).0.branch().is_some();
    assert!(is_wanted(of_others(), vec![head_key('c')]), "that is about another commit");
    assert!(!is_wanted(of_others(), vec![head_key('b')]));
    assert!(!is_wanted(RedCheck { n_triaged: 1, ..of_others() }, Vec::new()));
}

#[test]
fn as_many_are_looked_into_as_may_be_asked_for() {
    let mut many = wanted(Checks::All, of_others());
    many.recent = Recent { by_user: 30, ..Recent::default() };
    let limited = Deployment { rates: Rates { user: std::num::NonZeroU32::new(30), repository: None }, ..deployment() };
    let Decision::Ignore { because, .. } = decide(&red(None, None), &limited, &many) else { panic!("nothing is started") };
    assert_eq!(because, "30 jobs were asked for by one user within an hour, and this server starts no more");
    many.recent.by_user = 29;
    assert!(matches!(decide(&red(None, None), &limited, &many), Decision::Start { .. }));
}

fn asked(app: u64, wanted: Option<OfCheck>) -> Event {
    let job = JobId::parse("0123456789abcdef").unwrap();
    event(EventKind::CheckAsked { check: 5, app: Some(app), job, pull_request: None, button: None, wanted })
}

#[test]
fn a_check_is_asked_for_once_more_by_people_and_where_it_is_a_proof() {
    let proof = || Some(OfCheck::Prove { pull_request: ISSUE, is_about_the_build: true });
    let Decision::Start { spec, .. } = decide(&asked(4711, proof()), &deployment(), &facts()) else { panic!("a start") };
    assert_eq!(spec.task, Task::ProvePullRequest { pull_request: ISSUE, is_about_the_build: true });
    check_seen_at_a_glance(&asked(4712, proof()), "the check is another App's");
    check_seen_at_a_glance(&asked(4711, None), "the check is no proof, or no pull request of it is known");
    check_seen_at_a_glance(&from_a_bot(asked(4711, proof())), "a bot asked for the check");
    let stranger = Facts { role: Role::Read, ..facts() };
    check_ignored(&asked(4711, proof()), &stranger, "octocat has the role read here, and write is needed to start a run");
    check_ignored(&asked(4711, proof()), &Facts { is_open: false, ..facts() }, "the issue is closed");
}

/// Whoever presses the button asks for a fix of what was looked into, and of nothing that came later.
#[test]
fn what_was_looked_into_is_mended_for_whoever_asks() {
    let head = sample::commit('b');
    let check = || CheckRef { id: 77, name: Untrusted::new("test") };
    let mend = asked(4711, Some(OfCheck::Mend { pull_request: ISSUE, head: head.clone(), check: check() }));
    let on = |at, branch: Option<&str>| {
        let pull =
            Some(PullHead { head: sample::commit(at), branch: branch.map(str::to_owned), is_own: false, target: to_main() });
        Facts { pull, ..facts() }
    };
    let Decision::Start { spec, .. } = decide(&mend, &deployment(), &on('b', Some("mend"))) else { panic!("a start") };
    let repair = Repair::Wanted { branch: "mend".into(), is_own: false };
    assert_eq!(spec.task, Task::TriageCheck { pull_request: ISSUE, head, check: check(), repair });
    assert_eq!((spec.requested_by.login.as_str(), spec.needed), ("octocat", Role::Write));
    assert!(spec.budget.turns > 0 && !spec.key.is_of_check(), "somebody has asked for it");
    check_ignored(&mend, &on('c', Some("mend")), "the pull request has another last commit now");
    check_ignored(&mend, &on('b', None), "the pull request's branch is in another repository");
    check_ignored(&mend, &on('b', Some("codex/repair-2-12-42832cb")), "enough repairs stand on each other already");
    let mut own = on('b', Some("codex/repair-2-12-42832cb"));
    own.pull.as_mut().unwrap().is_own = true;
    let Decision::Start { spec, .. } = decide(&mend, &deployment(), &own) else { panic!("a start") };
    assert!(spec.task.goes_onto().is_some(), "it stands on nothing new");
    let mut above = on('b', Some("mend"));
    above.policy.triggers.roles.insert("fix", Role::Maintain);
    check_ignored(&mend, &above, "octocat has the role write here, and maintain is needed to start a run");
    check_seen_at_a_glance(&from_a_bot(mend), "a bot asked for the check");
}
