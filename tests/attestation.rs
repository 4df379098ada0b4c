//! Attestations: made, signed, read by somebody who trusts nobody, and put to every change that can be made to them.

use std::path::Path;

use jiff::Timestamp;
use patchwright::attestation::Attestor;
use patchwright::attestation::check::{self, Found};
use patchwright::attestation::key::{Key, PublicKey};
use patchwright_domain::attestation::{Deployment, Facts, Statement};
use patchwright_domain::demands::Demands;
use patchwright_domain::ecosystem::Plan;
use patchwright_domain::journal::{Change, ChangeKind, CommitId, Digest, Prepared};
use patchwright_domain::proof::{Account, Colour, Evidence, Exit, Run, Stand, Verdict};
use patchwright_domain::results::table::Table;
use patchwright_domain::results::{Results, Status};
use tempfile::TempDir;

mod changes;
mod command;
mod keys;
mod published;

/// A folder with a key of its own.
fn signer() -> (TempDir, Attestor) {
    let folder = tempfile::tempdir().expect("a folder");
    let attestor = attestor(&folder.path().join("key.pem"));
    (folder, attestor)
}

pub(crate) fn attestor(file: &Path) -> Attestor {
    let deployment = Deployment {
        version: "1.2.3".into(),
        configuration: Digest::of(b"configuration"),
        models: vec!["scripted".into()],
        host: Some("models.example".into()),
    };
    Attestor { key: Key::ensure(file).expect("it can be made"), deployment }
}

fn evidence(code: i32) -> Evidence {
    Evidence {
        command: "cargo test".into(),
        exit: Exit::Code(code),
        duration_ms: 900,
        output: Digest::of(b"output"),
        excerpt: "excerpt".into(),
        results: None,
    }
}

/// Red without the patch and green with it, test by test.
fn proven() -> Verdict {
    let run = |stand, colour, code| {
        let Evidence { command, exit, duration_ms, output, .. } = evidence(code);
        Run { stand, exit, colour, duration_ms, output, command }
    };
    let results = |status| Results { tests: [("adds".to_owned(), status)].into(), is_complete: true };
    let account = Account {
        runs: vec![run(Stand::Base, Colour::Red, 101), run(Stand::Code, Colour::Green, 0)],
        reproducers: vec!["adds".into()],
        table: Some(Table::of(&[results(Status::Failed)], &[results(Status::Passed)])),
        is_runner_honest: Some(true),
        findings: Vec::new(),
    };
    Verdict::Proven { base: evidence(101), head: evidence(0), account: Some(Box::new(account)) }
}

/// How a repository of Rust is tested that says nothing else.
pub(crate) fn plan() -> Plan {
    Plan {
        source: "cargo".into(),
        setup: None,
        test: Some("cargo test".into()),
        runner: None,
        checks: Vec::new(),
        decided_by: Vec::new(),
        droppings: Vec::new(),
        demands: Demands::default(),
        scope: patchwright_domain::scope::Scope::default(),
    }
}

fn statement(attestor: &Attestor) -> Statement {
    let commit = |digit: &str| CommitId::parse(&digit.repeat(40)).expect("forty digits");
    let prepared = Prepared {
        rules: None,
        base: commit("a"),
        plan: plan(),
        baseline: None,
        request: Digest::of(b""),
        reach: None,
        notes: Vec::new(),
    };
    let changes = [Change { path: "src/lib.rs".into(), kind: ChangeKind::Modified, lines_added: 1, lines_removed: 1 }];
    Statement::of_patch(&Facts {
        head: None,
        deployment: &attestor.deployment,
        commit: &commit("b"),
        tree: &"c".repeat(40),
        diff: Digest::of(b"diff"),
        changes: &changes,
        policy: None,
        prepared: &prepared,
        verdict: &proven(),
        judged_at: Timestamp::from_second(1_760_000_000).expect("a moment of our time"),
        walls: &[],
    })
}

fn checked(envelope: &[u8], key: &PublicKey) -> Found {
    check::check(envelope, Some(key), None).expect("no checkout is looked at")
}

/// The first field that does not hold; none where all of it does.
fn fault(envelope: &[u8], key: &PublicKey) -> Option<String> {
    checked(envelope, key).statement.err().map(|fault| fault.field)
}
