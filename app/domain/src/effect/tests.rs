use super::{Effect, PULL_REQUEST_PLACEHOLDER, Subject, branch, plan, title_of};
use crate::brief::Request;
use crate::event::{IssueNumber, Untrusted};
use crate::job::{JobSpec, Usage};
use crate::journal::{Conclusion, Outcome};
use crate::proof::{Doubt, Verdict};
use crate::report::Story;
use crate::run::Judged;
use crate::sample::{self, local_spec, proven, spec, unproven};

mod opened;

#[track_caller]
fn check_branch(title: &str, expected: &str) {
    assert_eq!(branch(&spec(), title), format!("codex/12-{expected}-{}", spec().id().short()));
    assert_eq!(branch(&local_spec(), title), format!("codex/{expected}-{}", spec().id().short()));
}

#[test]
fn a_branch_is_named_after_the_title() {
    check_branch("Sum of two numbers", "sum-of-two-numbers");
    check_branch("  fix: the_sum (again!)  ", "fix-the-sum-again");
    check_branch("A title that is much longer than a branch name should be", "a-title-that-is-much-longer-than-a");
}

#[test]
fn a_branch_is_safe_whatever_the_title_is() {
    check_branch("", "change");
    check_branch("日本語 🚀", "change");
    check_branch("Größe", "gr-e");
    check_branch("..", "change");
    check_branch("../../refs/heads/main", "refs-heads-main");
    check_branch(";rm -rf /", "rm-rf");
    check_branch("$(id)`id`\n--upload-pack=x", "id-id-upload-pack-x");
    check_branch("a.lock", "a-lock");
    check_branch("@{-1}~^:?*[\\", "1");
    check_branch(&"x".repeat(300), "change");
    check_branch(&"ab ".repeat(300), "ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab-ab");
}

fn request(title: &str, body: &str) -> Request {
    Request::new(Untrusted::new(title), Untrusted::new(body), Untrusted::new("octocat"))
}

#[test]
fn a_request_is_called_by_its_title_or_its_first_line() {
    assert_eq!(title_of(&request("The sum", "body")), "The sum");
    assert_eq!(title_of(&request(" ", "\n\n first\nsecond")), "first");
    assert_eq!(title_of(&request("", "")), "");
    assert_eq!(title_of(&request("one\ntwo", "")), "one");
}

/// The names of the effects that are planned for this end.
fn planned(spec: &JobSpec, outcome: Outcome, verdict: Option<Verdict>) -> Vec<Effect> {
    let judged = verdict.map(|verdict| Judged { proposal: sample::proposal(), verdict, attempt: 1, tokens: 0 });
    let conclusion = Conclusion::new(outcome, "It came to this.", "Go on.");
    plan(&Story {
        spec,
        conclusion: &conclusion,
        walls: &[sample::walls()],
        adopted: None,
        proposed: None,
        triaged: None,
        log: "",
        prepared: Some(&sample::prepared()),
        judged: judged.as_ref(),
        finished: &[],
        title: "Sum of two numbers",
        answer: "I fixed it.",
        reviewed: None,
        branch: None,
        usage: &Usage::default(),
        is_priced: false,
        model: "scripted",
        moved_to: None,
        host: "github.com",
        attestation: None,
        threads: &[],
        under_way: &[],
    })
}

#[track_caller]
fn check(outcome: Outcome, verdict: Option<Verdict>, in_issue: &[&str], locally: &[&str]) {
    for (spec, expected) in [(spec(), in_issue), (local_spec(), locally)] {
        let names: Vec<&str> = planned(&spec, outcome, verdict.clone()).iter().map(Effect::name).collect();
        assert_eq!(names, expected, "{outcome}");
    }
}

const ALL: [&str; 4] = ["branch", "pull-request", "check", "progress"];

#[test]
fn a_judged_proposal_is_published_and_told() {
    check(Outcome::Proven, Some(proven()), &ALL, &["branch"]);
    for outcome in [Outcome::Unproven, Outcome::TimedOut, Outcome::BudgetExhausted] {
        check(outcome, Some(unproven(Doubt::StillRed, 1)), &ALL, &["branch"]);
    }
}

#[test]
fn without_a_verdict_there_is_only_the_telling() {
    for outcome in [Outcome::Proven, Outcome::Unproven, Outcome::TimedOut, Outcome::BudgetExhausted, Outcome::NoChange] {
        check(outcome, None, &["progress"], &[]);
    }
}

#[test]
fn what_was_stopped_or_forbidden_is_not_published() {
    for outcome in [
        Outcome::Answered,
        Outcome::NoChange,
        Outcome::NeedsInput,
        Outcome::EnvironmentFailed,
        Outcome::BlockedByPolicy,
        Outcome::Superseded,
        Outcome::Cancelled,
        Outcome::Failed,
    ] {
        check(outcome, Some(proven()), &["progress"], &[]);
    }
}

#[test]
fn branch_pull_request_and_check_belong_together() {
    let effects = planned(&spec(), Outcome::Proven, Some(proven()));
    let [
        Effect::PushBranch { branch: pushed, commit, pack, from: None },
        Effect::EnsurePullRequest { branch, base, title, .. },
        check,
        comment,
    ] = &effects[..]
    else {
        panic!("four effects, not {effects:?}")
    };
    assert_eq!((pushed, title.as_str(), base.as_str()), (branch, "Sum of two numbers", "main"));
    assert_eq!((commit, *pack), (&sample::proposal().commit, sample::proposal().pack));
    assert!(matches!(check, Effect::SetCheck { commit: checked, outcome: Outcome::Proven, .. } if checked == commit));
    assert!(matches!(comment, Effect::EnsureComment { issue: IssueNumber(12), .. }));
}

#[test]
fn only_branches_and_pull_requests_publish() {
    let mut effects = planned(&spec(), Outcome::Proven, Some(proven()));
    effects.push(Effect::React { subject: Subject::Issue(IssueNumber(12)) });
    let publishing: Vec<&str> = effects.iter().filter(|effect| effect.publishes()).map(Effect::name).collect();
    assert_eq!(publishing, ["branch", "pull-request"]);
}

#[test]
fn the_pull_requests_address_is_put_where_it_was_left_open() {
    let url = "https://github.com/octo-org/calc/pull/13";
    for effect in planned(&spec(), Outcome::Proven, Some(proven())) {
        let before = format!("{effect:?}");
        let after = format!("{:?}", effect.clone().with_pull_request(url));
        let expects_it = matches!(effect, Effect::EnsureComment { .. } | Effect::SetCheck { .. });
        assert_eq!(before.contains(PULL_REQUEST_PLACEHOLDER), expects_it, "{before}");
        assert_eq!(after.contains(url), expects_it, "{after}");
        assert!(!after.contains(PULL_REQUEST_PLACEHOLDER), "{after}");
    }
}

#[test]
fn an_effect_is_found_again_by_its_key() {
    let comment = Effect::EnsureComment { issue: IssueNumber(12), body: "x".into() };
    let key = comment.key(&spec().id());
    let other_text = Effect::EnsureComment { issue: IssueNumber(12), body: "y".into() };
    assert_eq!(key, other_text.key(&spec().id()));
    assert_eq!(key.as_str(), format!("{}/progress", spec().id()));
    insta::assert_snapshot!(key.marker(), @"<!-- patchwright:42832cb716e3f588/progress -->");
}

/// What is planned for the end of a proof of somebody else's pull request.
fn told(outcome: Outcome, verdict: Option<Verdict>, is_fetched: bool) -> Vec<Effect> {
    let judged = verdict.map(|verdict| Judged { proposal: sample::proposal(), verdict, attempt: 1, tokens: 0 });
    let (conclusion, adopted) = (Conclusion::new(outcome, "It came to this.", "Go on."), sample::adopted());
    plan(&Story {
        spec: &sample::prove_spec(),
        conclusion: &conclusion,
        walls: &[sample::walls()],
        adopted: is_fetched.then_some(&adopted),
        proposed: is_fetched.then_some(adopted.proposed()),
        triaged: None,
        log: "",
        prepared: Some(&sample::prepared()),
        judged: judged.as_ref(),
        finished: &[],
        title: "Sum of two numbers",
        answer: "",
        reviewed: None,
        branch: None,
        usage: &Usage::default(),
        is_priced: false,
        model: "scripted",
        moved_to: None,
        host: "github.com",
        attestation: None,
        threads: &[],
        under_way: &[],
    })
}

#[test]
fn the_proof_of_a_pull_request_is_told_and_nothing_is_published() {
    for (outcome, verdict) in [
        (Outcome::Proven, Some(proven())),
        (Outcome::Unproven, Some(unproven(Doubt::StillRed, 1))),
        (Outcome::Cancelled, Some(proven())),
        (Outcome::EnvironmentFailed, None),
        (Outcome::TimedOut, None),
    ] {
        let effects = told(outcome, verdict, true);
        let [Effect::SetCheck { name, commit, outcome: shown, .. }, Effect::EnsureComment { issue, body }] = &effects[..] else {
            panic!("two effects, not {effects:?}")
        };
        assert_eq!((name.as_str(), commit, *shown), ("patchwright/proof", &sample::commit('b'), outcome));
        assert_eq!(*issue, IssueNumber(12));
        assert!(body.starts_with(&format!("**{}.** It came to this.\n", crate::report::heading(outcome))), "{body}");
        assert!(!format!("{effects:?}").contains(PULL_REQUEST_PLACEHOLDER));
        assert_eq!(body.contains("### Tests"), matches!(outcome, Outcome::Proven | Outcome::Unproven), "{body}");
    }
}

#[test]
fn what_was_not_fetched_has_no_check_run() {
    let effects = told(Outcome::NeedsInput, None, false);
    assert_eq!(effects.iter().map(Effect::name).collect::<Vec<_>>(), ["progress"]);
}
