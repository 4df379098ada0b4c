//! The job, the request and the evidence that this crate's tests are about.

use jiff::Timestamp;

use crate::demands::Isolation;
use crate::ecosystem::Plan;
use crate::effect::{CheckName, Effect};
use crate::event::{Actor, CheckRef, DeliveryId, IssueNumber, RepoRef, Role, Untrusted};
use crate::job::{Budget, JobKey, JobSpec, Mode, Opening, Repair, Task, Usage};
use crate::journal::{Adopted, Change, ChangeKind, CommitId, Conclusion, Digest, Outcome, Prepared, Proposal, Triaged};
use crate::proof::{Doubt, Evidence, Exit, Limit, Verdict};
use crate::triage::{self, Rerun, Side};
use crate::walls::{Enforcement, KeptLimit, Walls};

/// The limits of [`spec`].
pub(crate) const BUDGET: Budget = Budget {
    wall_clock_ms: 1_800_000,
    rounds: 2,
    attempts: 1,
    turns: 50,
    claims: 3,
    tokens: 1_000_000,
    cost_microusd: 5_000_000,
};

/// A moment, counted in seconds from the first claim.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + second).expect("a moment of our time")
}

/// The repository of the samples.
pub(crate) fn repo() -> RepoRef {
    RepoRef::new(99, 7, "octo-org", "calc", "main").expect("plain names")
}

/// Somebody who asks.
pub(crate) fn octocat() -> Actor {
    Actor { id: 1, login: "octocat".into(), is_bot: false }
}

/// A fix of issue 12, asked for in a comment.
pub(crate) fn spec() -> JobSpec {
    JobSpec {
        key: JobKey::of_comment(&repo(), IssueNumber(12), 345),
        repo: repo(),
        task: Task::FixIssue { issue: IssueNumber(12), request: None },
        requested_by: octocat(),
        role: Role::Write,
        needed: Role::Write,
        delivery: DeliveryId::new("72d3162e-cc78-11e3-81ab-4c9367dc0958").expect("a plain id"),
        requested_at: at(0),
        budget: BUDGET,
        described: None,
        plan: None,
        opening: Opening::default(),
        schedule: None,
    }
}

/// A task of the command line.
pub(crate) fn local_spec() -> JobSpec {
    JobSpec { task: Task::Local { request: Untrusted::new("make it right"), leaves_branch: true, mode: Mode::Fix }, ..spec() }
}

/// The commit that consists of one digit.
pub(crate) fn commit(digit: char) -> CommitId {
    CommitId::parse(&digit.to_string().repeat(40)).expect("a hexadecimal digit")
}

/// A run of `cargo test` that ended with this code.
pub(crate) fn ran(code: i32, excerpt: &str) -> Evidence {
    let output = Digest::of(excerpt.as_bytes());
    Evidence {
        command: "cargo test".into(),
        exit: Exit::Code(code),
        duration_ms: 1_234,
        output,
        excerpt: excerpt.into(),
        results: None,
    }
}

/// A run of `cargo test` that ended like this.
pub(crate) fn ended(exit: Exit) -> Evidence {
    let said = if exit == Exit::Code(0) { "test result: ok. 1 passed; 0 failed" } else { "" };
    Evidence { exit, ..ran(0, said) }
}

/// How the sample repository is tested.
pub(crate) fn plan() -> Plan {
    Plan {
        source: "cargo".into(),
        setup: None,
        test: Some("cargo test".into()),
        runner: Some(crate::ecosystem::runner::Runner::Cargo),
        checks: Vec::new(),
        decided_by: vec!["Cargo.toml".into()],
        droppings: vec!["target".into()],
        demands: crate::demands::Demands::default(),
        scope: crate::scope::Scope::default(),
    }
}

/// A base whose tests fail.
pub(crate) fn prepared() -> Prepared {
    let baseline = Some(ran(101, "test adds ... FAILED"));
    Prepared {
        rules: None,
        base: commit('a'),
        plan: plan(),
        baseline,
        request: Digest::of(b"request"),
        reach: None,
        notes: Vec::new(),
    }
}

/// What a run on an ordinary machine is confined by.
pub(crate) fn walls() -> Walls {
    let kept = |limit, most, kept| KeptLimit { limit, most, kept };
    Walls {
        executor: "local".into(),
        isolation: Isolation::Namespaces,
        layers: vec!["user namespace".into(), "seccomp".into()],
        limits: vec![
            kept(Limit::Memory, 4 << 30, Enforcement::Polled),
            kept(Limit::Cpu, 14_400, Enforcement::Exact),
            kept(Limit::Processes, 1_024, Enforcement::Exact),
        ],
    }
}

/// What one on a machine that is thrown away may be confined by.
pub(crate) fn no_walls() -> Walls {
    let limits = vec![KeptLimit { limit: Limit::Memory, most: 4 << 30, kept: Enforcement::Missing }];
    Walls { executor: "none".into(), isolation: Isolation::None, layers: Vec::new(), limits }
}

/// One changed file.
pub(crate) fn changed(path: &str, kind: ChangeKind) -> Change {
    Change { path: path.into(), kind, lines_added: 3, lines_removed: 1 }
}

/// A change of the one source file.
pub(crate) fn proposal() -> Proposal {
    Proposal {
        commit: commit('b'),
        pack: Digest::of(b"pack"),
        diff: Digest::of(b"diff"),
        answer: Digest::of(b"answer"),
        transcript: Digest::of(b"transcript"),
        changes: vec![changed("src/lib.rs", ChangeKind::Modified)],
        fingerprint: None,
    }
}

/// The [`proposal`] as somebody else's.
pub(crate) fn adopted() -> Adopted {
    Adopted { branch: "main".into(), base: commit('a'), head: None, tree: None, proposal: proposal() }
}

/// A proof of pull request 12, asked for in a comment.
pub(crate) fn prove_spec() -> JobSpec {
    JobSpec {
        task: Task::ProvePullRequest { pull_request: IssueNumber(12), is_about_the_build: false },
        budget: BUDGET.without_model(),
        ..spec()
    }
}

/// The red check of pull request 12 looked into.
pub(crate) fn triage_spec() -> JobSpec {
    let check = CheckRef { id: 77, name: Untrusted::new("test (3.12)") };
    let task = Task::TriageCheck { pull_request: IssueNumber(12), head: commit('b'), check, repair: Repair::Unwanted };
    JobSpec { task, budget: BUDGET.without_model(), ..spec() }
}

/// The same, to be mended on the branch `mend`.
pub(crate) fn repair_spec() -> JobSpec {
    let mut spec = triage_spec();
    if let Task::TriageCheck { repair, .. } = &mut spec.task {
        *repair = Repair::Wanted { branch: "mend".into(), is_own: false };
    }
    JobSpec { budget: BUDGET, ..spec }
}

/// It fails here as well, and not without the change.
pub(crate) fn triaged() -> Triaged {
    let run = |side, evidence: Evidence| Rerun { side, reached: true, colour: evidence.exit.colour(), evidence, failed: None };
    let runs = [run(Side::Head, ran(1, "1 failed")), run(Side::Base, ran(0, "1 passed"))];
    Triaged {
        head: commit('b'),
        base: commit('a'),
        command: Some("pytest -q".into()),
        setup: None,
        differences: vec!["The job asks for python 3.12; what this machine has of it is used.".into()],
        log: Some(Digest::of(b"log")),
        runs: runs.into(),
        verdict: triage::Verdict::Red { tests: vec!["tests/test_a.py::adds|@octocat".into()], is_base_green: true },
    }
}

/// The check run that says what a red check of [`commit`] `b` is about.
pub(crate) fn triage_told() -> Effect {
    let (title, summary) = ("t".into(), "x".into());
    let (name, outcome) = (CheckName::Triage, Outcome::Answered);
    Effect::SetCheck {
        name,
        commit: commit('b'),
        outcome,
        title,
        summary,
        text: None,
        annotations: Vec::new(),
        buttons: Vec::new(),
    }
}

/// The check run on the [`proposal`], where it is somebody else's.
pub(crate) fn checked(outcome: Outcome) -> Effect {
    let (title, summary) = ("t".into(), "x".into());
    let name = CheckName::Proof;
    Effect::SetCheck {
        name,
        commit: commit('b'),
        outcome,
        title,
        summary,
        text: None,
        annotations: Vec::new(),
        buttons: Vec::new(),
    }
}

/// Red on base, green on head.
pub(crate) fn proven() -> Verdict {
    Verdict::Proven { base: ran(101, "test adds ... FAILED"), head: ran(0, "test result: ok."), account: None }
}

/// Red on base; the head ended with this code.
pub(crate) fn unproven(doubt: Doubt, head: i32) -> Verdict {
    let (base, head) = (Some(ran(101, "test adds ... FAILED")), Some(ran(head, "left: 5, right: 4")));
    Verdict::Unproven { doubt, base, head, account: None }
}

/// An end with short texts.
pub(crate) fn conclusion(outcome: Outcome) -> Conclusion {
    Conclusion::new(outcome, "It came to this.", "Go on.")
}

/// Some model calls.
pub(crate) fn usage() -> Usage {
    Usage { turns: 7, input_tokens: 12_000, cached_tokens: 9_000, output_tokens: 800, cost_microusd: 123_456 }
}

/// The push of the [`proposal`].
pub(crate) fn pushed() -> Effect {
    Effect::PushBranch { branch: "codex/12-x".into(), commit: commit('b'), pack: Digest::of(b"pack"), from: None }
}
