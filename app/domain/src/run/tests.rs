use super::{Misfit, Run, Step};
use crate::effect::{Effect, PULL_REQUEST_PLACEHOLDER, Receipt, Subject};
use crate::event::IssueNumber;
use crate::job::{Budget, JobSpec, Usage};
use crate::journal::{Conclusion, Digest, Entry, EntryKind, Failure, Outcome};
use crate::proof::Doubt;
use crate::sample::{self, at, conclusion, proven, unproven};

mod adoption;
mod attempts;
mod deaths;
mod introduced;
mod on_pulls;
mod published;
mod replies;
mod triage;
mod walk;

fn claimed() -> EntryKind {
    EntryKind::Claimed { worker: "worker-1".into(), handed_back: false }
}

fn handed_back() -> EntryKind {
    EntryKind::Claimed { worker: "worker-2".into(), handed_back: true }
}

fn adopted() -> EntryKind {
    EntryKind::Adopted { adopted: sample::adopted() }
}

fn unmerged(outcome: Outcome) -> EntryKind {
    let conclusion = Conclusion::new(outcome, "It does not merge.", "Rebase it.");
    EntryKind::Unmerged { head: sample::adopted().proposal.commit, conclusion }
}

fn triaged() -> EntryKind {
    EntryKind::Triaged { triaged: Box::new(sample::triaged()) }
}

fn prepared() -> EntryKind {
    EntryKind::Prepared { prepared: Box::new(sample::prepared()) }
}

fn turn(usage: Usage) -> EntryKind {
    EntryKind::TurnTaken { usage, note: "ran a command".into() }
}

fn solved() -> EntryKind {
    EntryKind::Solved { proposal: sample::proposal() }
}

fn gave_up(outcome: Outcome) -> EntryKind {
    EntryKind::GaveUp { conclusion: conclusion(outcome), transcript: Digest::of(b"transcript"), answer: Digest::of(b"answer") }
}

fn answered() -> EntryKind {
    let digest = Digest::of(b"answer");
    EntryKind::Answered { answer: digest, closing: digest, transcript: digest }
}

fn verified(verdict: crate::proof::Verdict) -> EntryKind {
    EntryKind::Verified { verdict }
}

fn planned(outcome: Outcome, effects: &[Effect]) -> EntryKind {
    EntryKind::PublishPlanned { conclusion: conclusion(outcome), effects: effects.to_vec(), attestation: None }
}

fn cancel() -> EntryKind {
    EntryKind::CancelRequested { because: "issue #12 was closed by octocat".into() }
}

fn failure(outcome: Outcome) -> Failure {
    Failure { conclusion: conclusion(outcome), internal: "the chain of causes".into() }
}

fn failed(outcome: Outcome) -> EntryKind {
    EntryKind::Failed { failure: failure(outcome), effect: None }
}

fn refused(effect: &Effect) -> EntryKind {
    EntryKind::Failed { failure: failure(Outcome::Failed), effect: Some(effect.key(&sample::spec().id())) }
}

fn performed(effect: &Effect) -> EntryKind {
    let url = matches!(effect, Effect::EnsurePullRequest { .. }).then(|| "https://github.com/octo-org/calc/pull/13".into());
    EntryKind::Performed { key: effect.key(&sample::spec().id()), receipt: Receipt { url, ..Receipt::default() } }
}

fn completed(outcome: Outcome) -> EntryKind {
    EntryKind::Completed { outcome }
}

fn push() -> Effect {
    sample::pushed()
}

fn pull_request() -> Effect {
    Effect::EnsurePullRequest {
        branch: "codex/12-x".into(),
        base: "main".into(),
        title: "x".into(),
        body: "x".into(),
        draft: true,
    }
}

fn comment() -> Effect {
    Effect::EnsureComment { issue: IssueNumber(12), body: format!("See {PULL_REQUEST_PLACEHOLDER}.") }
}

fn reaction() -> Effect {
    Effect::React { subject: Subject::Comment(345) }
}

/// The entries of a journal, a second apart.
fn journal(kinds: &[EntryKind]) -> Vec<Entry> {
    let mut previous = Digest::of(b"specification");
    let write = |(seq, kind): (usize, &EntryKind)| {
        let seq = u32::try_from(seq).expect("a short journal");
        let (entry, _) = Entry::write(seq, at(i64::from(seq)), previous, kind.clone());
        previous = entry.digest;
        entry
    };
    kinds.iter().enumerate().map(write).collect()
}

#[track_caller]
fn run(spec: &JobSpec, kinds: &[EntryKind]) -> Run {
    Run::fold(spec, &journal(kinds)).expect("the journal fits")
}

/// The next step, a minute after the first claim, in a few words.
fn step(run: &Run) -> String {
    match run.next(at(60)) {
        Step::Adopt => "adopt".into(),
        Step::Triage => "triage".into(),
        Step::Prepare => "prepare".into(),
        Step::Solve { attempt: 1, round, feedback: None } => format!("solve {round}"),
        Step::Solve { attempt, round, feedback: None } => format!("solve {round} of attempt {attempt}"),
        Step::Solve { round, feedback: Some(_), .. } => format!("solve {round} with feedback"),
        Step::Verify => "verify".into(),
        Step::PlanPublish { conclusion } => format!("plan {}", conclusion.outcome),
        Step::Perform { effect } => format!("perform {}", effect.name()),
        Step::Fail { effect: None, .. } => "fail".into(),
        Step::Fail { effect: Some(key), .. } => format!("fail {}", key.as_str().rsplit('/').next().unwrap_or_default()),
        Step::Complete { outcome } => format!("complete {outcome}"),
        Step::Rest => "rest".into(),
    }
}

#[track_caller]
fn check(kinds: &[EntryKind], expected: &str) {
    assert_eq!(step(&run(&sample::spec(), kinds)), expected);
}

#[track_caller]
fn check_within(budget: Budget, kinds: &[EntryKind], expected: &str) {
    assert_eq!(step(&run(&JobSpec { budget, ..sample::spec() }, kinds)), expected);
}

#[track_caller]
fn check_misfit(kinds: &[EntryKind], expected: Misfit) {
    assert_eq!(Run::fold(&sample::spec(), &journal(kinds)).expect_err("a misfit"), expected);
}

#[test]
fn a_job_goes_from_its_claim_to_its_end() {
    let effects = [push(), pull_request(), comment()];
    let entries = [
        (claimed(), "prepare"),
        (prepared(), "solve 1"),
        (turn(sample::usage()), "solve 1"),
        (solved(), "verify"),
        (verified(proven()), "plan proven"),
        (planned(Outcome::Proven, &effects), "perform branch"),
        (performed(&push()), "perform pull-request"),
        (performed(&pull_request()), "perform progress"),
        (performed(&comment()), "complete proven"),
        (completed(Outcome::Proven), "rest"),
    ];
    let kinds: Vec<EntryKind> = entries.iter().map(|(kind, _)| kind.clone()).collect();
    for (n, (_, expected)) in entries.iter().enumerate() {
        check(&kinds[..=n], expected);
    }
    assert_eq!(run(&sample::spec(), &kinds).outcome(), Some(Outcome::Proven));
}

#[test]
fn a_run_shows_what_it_has_come_to() {
    let spec = sample::spec();
    let run = run(&spec, &[claimed(), prepared(), turn(sample::usage()), turn(sample::usage()), solved()]);
    assert_eq!(run.usage().turns, 14);
    assert_eq!(run.started_at(), Some(at(0)));
    assert_eq!(run.proposal(), Some(&sample::proposal()));
    assert_eq!(run.answer(Outcome::NoChange), Some(Digest::of(b"answer")));
    assert_eq!(run.prepared(), Some(&sample::prepared()));
    assert_eq!((run.judged(), run.conclusion(), run.outcome()), (None, None, None));
}

#[test]
fn the_pull_requests_address_goes_into_the_later_effects() {
    let effects = [push(), pull_request(), comment()];
    let mut kinds = vec![claimed(), prepared(), solved(), verified(proven()), planned(Outcome::Proven, &effects)];
    kinds.extend([performed(&push()), performed(&pull_request())]);
    let run = run(&sample::spec(), &kinds);
    let body = "See https://github.com/octo-org/calc/pull/13.".into();
    assert_eq!(run.next(at(60)), Step::Perform { effect: Effect::EnsureComment { issue: IssueNumber(12), body } });
}

#[test]
fn a_red_suite_is_repaired_once_with_feedback() {
    let red = || verified(unproven(Doubt::StillRed, 101));
    let first = [claimed(), prepared(), solved(), red()];
    check(&first, "solve 2 with feedback");
    check(&[&first[..], &[solved()]].concat(), "verify");
    check(&[&first[..], &[solved(), red()]].concat(), "plan unproven");
    check(&[&first[..], &[solved(), verified(proven())]].concat(), "plan proven");
    check(&[claimed(), prepared(), solved(), verified(unproven(Doubt::Regression, 1))], "solve 2 with feedback");
    check_within(Budget { rounds: 1, ..sample::BUDGET }, &first, "plan unproven");
    let Step::Solve { feedback: Some(feedback), .. } = run(&sample::spec(), &first).next(at(60)) else {
        panic!("a second round")
    };
    insta::assert_snapshot!(feedback, @r"
    The tests fail with the patch, as they did before it. The command was `cargo test` (exit code 101). The end of its output:
    left: 5, right: 4
    ");
}

#[test]
fn a_doubt_that_no_work_can_mend_ends_the_run() {
    for doubt in [Doubt::NoTestCommand, Doubt::GreenBefore, Doubt::Inconclusive, Doubt::TestCommandTouched] {
        check(&[claimed(), prepared(), solved(), verified(unproven(doubt, 0))], "plan unproven");
    }
}

#[test]
fn the_deadline_ends_the_work_but_not_the_telling() {
    let budget = Budget { wall_clock_ms: 60_000, ..sample::BUDGET };
    let later = Budget { wall_clock_ms: 60_001, ..sample::BUDGET };
    check_within(budget, &[claimed()], "plan timed_out");
    check_within(later, &[claimed()], "prepare");
    check_within(budget, &[claimed(), prepared()], "plan timed_out");
    check_within(budget, &[claimed(), prepared(), solved()], "plan timed_out");
    let judged = [claimed(), prepared(), solved(), verified(proven())];
    check_within(budget, &judged, "plan proven");
    let publishing = [&judged[..], &[planned(Outcome::Proven, &[push(), comment()])]].concat();
    check_within(budget, &publishing, "perform branch");
}

#[test]
fn a_clock_that_went_back_ends_nothing() {
    let run = run(&sample::spec(), &[claimed()]);
    assert_eq!(run.next(at(-9_999)), Step::Prepare);
    assert_eq!(run.allowance(at(-9_999)).wall_clock_ms, sample::BUDGET.wall_clock_ms);
}

#[test]
fn a_cancel_is_heard_until_publishing_begins() {
    check(&[claimed(), cancel()], "plan cancelled");
    check(&[cancel(), claimed()], "plan cancelled");
    check(&[claimed(), prepared(), cancel()], "plan cancelled");
    check(&[claimed(), prepared(), solved(), cancel()], "plan cancelled");
    let judged = [claimed(), prepared(), solved(), verified(proven())];
    check(&[&judged[..], &[cancel()]].concat(), "plan cancelled");
    let publishing = [&judged[..], &[planned(Outcome::Proven, &[push(), comment()]), cancel()]].concat();
    check(&publishing, "perform branch");
    check(&[&publishing[..], &[performed(&push())]].concat(), "perform progress");
    check(&[&publishing[..], &[performed(&push()), performed(&comment())]].concat(), "complete proven");
}

#[test]
fn a_cancel_of_a_completed_run_changes_nothing() {
    let kinds = [claimed(), planned(Outcome::Failed, &[]), completed(Outcome::Failed)];
    let mut run = run(&sample::spec(), &kinds);
    let before = format!("{run:?}");
    let (entry, _) = Entry::write(3, at(3), Digest::of(b""), cancel());
    assert_eq!(run.apply(&entry), Err(Misfit { seq: 3, phase: "completed" }));
    assert_eq!(format!("{run:?}"), before);
}

#[test]
fn a_used_up_budget_ends_the_solving_alone() {
    let used = Usage { turns: 10, input_tokens: 600, cached_tokens: 500, output_tokens: 400, cost_microusd: 300 };
    let solving = [claimed(), prepared(), turn(used)];
    check(&solving, "solve 1");
    for budget in [
        Budget { turns: 10, ..sample::BUDGET },
        Budget { tokens: 1_000, ..sample::BUDGET },
        Budget { cost_microusd: 300, ..sample::BUDGET },
    ] {
        check_within(budget, &solving, "plan budget_exhausted");
        check_within(budget, &[&solving[..], &[solved()]].concat(), "verify");
        let second = [&solving[..], &[solved(), verified(unproven(Doubt::StillRed, 1))]].concat();
        check_within(budget, &second, "plan budget_exhausted");
    }
    for budget in [
        Budget { turns: 11, ..sample::BUDGET },
        Budget { tokens: 1_001, ..sample::BUDGET },
        Budget { cost_microusd: 301, ..sample::BUDGET },
    ] {
        check_within(budget, &solving, "solve 1");
    }
}

#[test]
fn workers_that_die_of_the_same_step_end_the_run() {
    let three = [claimed(), claimed(), claimed()];
    check(&three, "prepare");
    check(&[&three[..], &[claimed()]].concat(), "plan failed");
    check(&[&three[..], &[prepared(), claimed(), claimed()]].concat(), "solve 1");
    check(&[&three[..], &[prepared(), claimed(), claimed(), claimed()]].concat(), "plan failed");
    check(&[&three[..], &[prepared(), claimed(), turn(sample::usage()), claimed(), claimed()]].concat(), "plan failed");
}

#[test]
fn a_job_that_was_handed_back_does_not_count_as_a_death() {
    let mut kinds = vec![handed_back()];
    kinds.extend(std::iter::repeat_n(handed_back(), 20));
    check(&kinds, "prepare");
    kinds.extend([claimed(), claimed()]);
    check(&kinds, "prepare");
    kinds.extend([handed_back(), claimed()]);
    check(&kinds, "plan failed");
}

#[test]
fn each_interruption_says_its_cause() {
    let said = |budget: Budget, kinds: &[EntryKind]| match run(&JobSpec { budget, ..sample::spec() }, kinds).next(at(60)) {
        Step::PlanPublish { conclusion } => format!("{} {}", conclusion.cause, conclusion.next_step),
        other => panic!("an end, not {other:?}"),
    };
    let all = [
        said(sample::BUDGET, &[claimed(), cancel()]),
        said(sample::BUDGET, &[claimed(), claimed(), claimed(), claimed()]),
        said(Budget { wall_clock_ms: 1, ..sample::BUDGET }, &[claimed()]),
        said(Budget { turns: 7, ..sample::BUDGET }, &[claimed(), prepared(), turn(sample::usage())]),
        said(Budget { tokens: 9, ..sample::BUDGET }, &[claimed(), prepared(), turn(sample::usage())]),
        said(Budget { cost_microusd: 9, ..sample::BUDGET }, &[claimed(), prepared(), turn(sample::usage())]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    The run was cancelled: issue #12 was closed by octocat. Ask again when the work is wanted after all.
    The worker stopped 3 times in the middle of the same step. An operator should look at the server's log for the cause, then ask again.
    The time limit of 1 minute ran out. Ask again with a narrower task, or raise `limits.wall_clock_minutes`.
    The run's limit of model calls is reached. Ask again with a narrower task, or raise the limit in the server's `[limits]`.
    The run's limit of tokens is reached. Ask again with a narrower task, or raise the limit in the server's `[limits]`.
    The run's limit of cost is reached. Ask again with a narrower task, or raise the limit in the server's `[limits]`.
    ");
}

#[test]
fn an_agent_that_gives_up_and_a_step_that_fails_are_told() {
    check(&[claimed(), prepared(), gave_up(Outcome::NoChange)], "plan no_change");
    check(&[claimed(), failed(Outcome::EnvironmentFailed)], "plan environment_failed");
    check(&[claimed(), prepared(), failed(Outcome::Failed)], "plan failed");
    check(&[claimed(), prepared(), solved(), failed(Outcome::EnvironmentFailed)], "plan environment_failed");
    let nothing_told = [claimed(), prepared(), gave_up(Outcome::NoChange), failed(Outcome::Failed)];
    check(&nothing_told, "complete no_change");
    check_misfit(&[failed(Outcome::Failed)], Misfit { seq: 0, phase: "preparing" });
    check_misfit(&[claimed(), prepared(), gave_up(Outcome::Proven)], Misfit { seq: 2, phase: "solving" });
    check_misfit(&[claimed(), failed(Outcome::Proven)], Misfit { seq: 1, phase: "preparing" });
}

#[test]
fn a_proof_that_could_not_be_published_is_no_good_end() {
    check(&[claimed(), prepared(), solved(), verified(proven()), failed(Outcome::Failed)], "complete failed");
}

#[test]
fn a_refused_push_leaves_only_the_telling() {
    let full = planned(Outcome::Proven, &[push(), pull_request(), comment()]);
    let refusal = [claimed(), prepared(), solved(), verified(proven()), full.clone(), refused(&push())];
    check(&refusal, "plan failed");
    check(&[&refusal[..], &[cancel()]].concat(), "plan failed");
    check_misfit(&[&refusal[..], &[full]].concat(), Misfit { seq: 6, phase: "planning" });
    let told = [&refusal[..], &[planned(Outcome::Failed, &[comment()])]].concat();
    check(&told, "perform progress");
    check(&[&told[..], &[performed(&comment())]].concat(), "complete failed");
}

#[test]
fn a_refused_comment_is_noted_and_the_outcome_stays() {
    let effects = planned(Outcome::Proven, &[push(), comment(), reaction()]);
    let mut kinds = vec![claimed(), prepared(), solved(), verified(proven()), effects, performed(&push()), refused(&comment())];
    check(&kinds, "perform reaction");
    kinds.push(refused(&reaction()));
    let run = run(&sample::spec(), &kinds);
    assert_eq!(step(&run), "complete proven");
    assert_eq!(run.notices(), ["It came to this.", "It came to this."]);
}

#[test]
fn nothing_is_published_without_a_verdict() {
    for early in [vec![claimed()], vec![claimed(), prepared()], vec![claimed(), prepared(), solved()]] {
        let seq = u32::try_from(early.len()).unwrap();
        let phase = ["", "preparing", "solving", "verifying"][early.len()];
        for effects in [&[push()][..], &[pull_request()], &[comment(), push()]] {
            check_misfit(&[&early[..], &[planned(Outcome::Unproven, effects)]].concat(), Misfit { seq, phase });
        }
        check_misfit(&[&early[..], &[planned(Outcome::Proven, &[])]].concat(), Misfit { seq, phase });
        check(&[&early[..], &[planned(Outcome::Failed, &[comment()])]].concat(), "perform progress");
    }
}

fn confined(walls: crate::walls::Walls) -> EntryKind {
    EntryKind::Confined { walls }
}

#[test]
fn the_walls_are_written_down_before_code_runs_and_again_where_they_differ() {
    let kinds = [claimed(), confined(sample::walls()), prepared(), confined(sample::no_walls()), solved()];
    assert_eq!(run(&sample::spec(), &kinds).walls(), [sample::walls(), sample::no_walls()]);
    let walls = || confined(sample::walls());
    check_misfit(&[walls()], Misfit { seq: 0, phase: "preparing" });
    check_misfit(&[claimed(), walls(), walls()], Misfit { seq: 2, phase: "preparing" });
    check_misfit(&[claimed(), planned(Outcome::Failed, &[]), walls()], Misfit { seq: 2, phase: "publishing" });
}

#[test]
fn a_journal_from_before_walls_were_written_down_folds() {
    assert_eq!(run(&sample::spec(), &[claimed(), prepared(), solved()]).walls(), []);
}
