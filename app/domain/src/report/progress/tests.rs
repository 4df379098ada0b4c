use super::{Stage, Standing, check, comment};
use crate::effect::CheckName;
use crate::job::{Budget, JobSpec, Task, Usage};
use crate::journal::{Digest, Entry, EntryKind};
use crate::run::Run;
use crate::sample::{self, at, spec};

/// What is told at these stages of a run that has come so far.
fn told(standing: Standing<'_>, stages: &[Stage]) -> String {
    let told: Vec<String> = stages.iter().map(|stage| comment(&Standing { stage: *stage, ..standing })).collect();
    told.join("\n\n=====\n\n")
}

fn standing<'a>(spec: &'a JobSpec, usage: &'a Usage) -> Standing<'a> {
    Standing { spec, stage: Stage::Preparing, walls: &[], usage, elapsed_ms: 0, is_priced: false }
}

#[test]
fn progress_is_told_at_each_stage() {
    let solving = |attempt, round| Stage::Solving { attempt, round };
    let stages = [Stage::Preparing, solving(1, 1), solving(1, 2), Stage::Verifying];
    let walls = [sample::walls()];
    insta::assert_snapshot!(told(Standing { walls: &walls, ..standing(&spec(), &Usage::default()) }, &stages), @r"
    On it, for `octocat`.

    - [ ] Prepare: fetch the base and run its tests ← now
    - [ ] Solve: work on the code in a sandbox
    - [ ] Prove: run the tests on the result
    - [ ] Publish: open a pull request

    So far: less than 1 of 30 minutes, 0 of 50 model calls, 0 of 1000000 tokens.

    <sub>Job 42832cb716e3f588.</sub>

    =====

    On it, for `octocat`.

    - [x] Prepare: fetch the base and run its tests
    - [ ] Solve: work on the code in a sandbox ← now
    - [ ] Prove: run the tests on the result
    - [ ] Publish: open a pull request

    So far: less than 1 of 30 minutes, 0 of 50 model calls, 0 of 1000000 tokens.

    <sub>Job 42832cb716e3f588.</sub>

    =====

    On it, for `octocat`.

    - [x] Prepare: fetch the base and run its tests
    - [ ] Solve: work on the code in a sandbox ← now
    - [ ] Prove: run the tests on the result
    - [ ] Publish: open a pull request

    Round 2 of 2: the tests did not pass yet.

    So far: less than 1 of 30 minutes, 0 of 50 model calls, 0 of 1000000 tokens.

    <sub>Job 42832cb716e3f588.</sub>

    =====

    On it, for `octocat`.

    - [x] Prepare: fetch the base and run its tests
    - [x] Solve: work on the code in a sandbox
    - [ ] Prove: run the tests on the result ← now
    - [ ] Publish: open a pull request

    So far: less than 1 of 30 minutes, 0 of 50 model calls, 0 of 1000000 tokens.

    <sub>Job 42832cb716e3f588.</sub>
    ");
}

#[test]
fn what_is_used_is_told_of_what_may_be() {
    let usage = Usage { turns: 7, input_tokens: 1_000, cached_tokens: 900, output_tokens: 234, cost_microusd: 123_400 };
    let last = |standing: Standing<'_>| comment(&standing).lines().rev().nth(2).unwrap_or_default().to_owned();
    let so_far = |elapsed_ms, is_priced| last(Standing { elapsed_ms, is_priced, ..standing(&spec(), &usage) });
    let short = JobSpec { budget: Budget { wall_clock_ms: 60_000, ..sample::BUDGET }, ..spec() };
    let told = [
        so_far(59_999, false),
        so_far(60_000, true),
        so_far(1_799_999, true),
        last(standing(&short, &usage)),
        last(standing(&sample::prove_spec(), &usage)),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    So far: less than 1 of 30 minutes, 7 of 50 model calls, 1234 of 1000000 tokens.
    So far: 1 of 30 minutes, 7 of 50 model calls, 1234 of 1000000 tokens, $0.13 of $5.00.
    So far: 29 of 30 minutes, 7 of 50 model calls, 1234 of 1000000 tokens, $0.13 of $5.00.
    So far: less than 1 of 1 minute, 7 of 50 model calls, 1234 of 1000000 tokens.
    So far: less than 1 of 30 minutes.
    ");
}

#[test]
fn what_is_done_again_says_why() {
    let spec = JobSpec { budget: Budget { attempts: 3, ..sample::BUDGET }, ..spec() };
    let why = |attempt, round| {
        let stage = Stage::Solving { attempt, round };
        let told = comment(&Standing { stage, ..standing(&spec, &Usage::default()) });
        told.lines().filter(|line| line.starts_with("Attempt") || line.starts_with("Round")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(why(1, 1), "");
    insta::assert_snapshot!([why(1, 2), why(2, 1), why(2, 2)].join("\n"), @r"
    Round 2 of 2: the tests did not pass yet.
    Attempt 2 of 3: begun anew from the base.
    Attempt 2 of 3, round 2 of 2: the tests did not pass yet.
    ");
}

#[test]
fn the_name_of_who_asked_is_shown_as_it_is_and_does_nothing() {
    let mut spec = spec();
    spec.requested_by.login = "`a` <img src=x> @everyone\n# b".into();
    let told = comment(&standing(&spec, &Usage::default()));
    assert_eq!(told.lines().next(), Some("On it, for `` `a` <img src=x> @everyone # b ``."), "{told}");
}

#[test]
fn an_answer_has_two_steps() {
    let task = Task::Answer { issue: crate::event::IssueNumber(12), request: None, mode: crate::job::Mode::Ask };
    insta::assert_snapshot!(told(standing(&JobSpec { task, ..spec() }, &Usage::default()), &[Stage::Solving { attempt: 1, round: 1 }]), @r"
    On it, for `octocat`.

    - [x] Prepare: fetch the base
    - [ ] Answer: look into the code, of which nothing can be changed ← now

    So far: less than 1 of 30 minutes, 0 of 50 model calls, 0 of 1000000 tokens.

    <sub>Job 42832cb716e3f588.</sub>
    ");
}

#[test]
fn a_check_run_is_begun_on_somebody_elses_commit_once_that_is_known() {
    let claimed = EntryKind::Claimed { worker: "worker-1".into(), handed_back: false };
    let adopted = EntryKind::Adopted { adopted: sample::adopted() };
    let begun = |spec: &JobSpec, kinds: &[&EntryKind]| {
        let mut run = Run::new(spec);
        for (seq, kind) in (0..).zip(kinds) {
            run.apply(&Entry::write(seq, at(1), Digest::of(b""), (*kind).clone()).0).unwrap();
        }
        check(spec, &run)
    };
    let proof = sample::prove_spec();
    assert_eq!(begun(&proof, &[&claimed]), None);
    let told = begun(&proof, &[&claimed, &adopted]).unwrap();
    assert_eq!((told.name, &told.commit), (CheckName::Proof, sample::adopted().proposed()));
    assert_eq!(told.key(&proof.id()), sample::checked(crate::journal::Outcome::Proven).key(&proof.id()));
    let told = begun(&sample::triage_spec(), &[&claimed]).unwrap();
    assert_eq!((told.name, told.commit), (CheckName::Triage, sample::commit('b')));
    assert_eq!(begun(&spec(), &[&claimed]), None, "a commit of our own has one when it is there");
}
