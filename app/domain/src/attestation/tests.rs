use super::*;
use crate::journal::{CommitId, Conclusion, EntryKind, Outcome};
use crate::proof::Colour;
use crate::proof::findings::{Finding, Gate};
use crate::results::table::Movement;
use crate::results::{Results, Status};
use crate::sample;

fn deployment() -> Deployment {
    Deployment {
        version: "1.2.3".into(),
        configuration: Digest::of(b"configuration"),
        models: vec!["small".into(), "large".into()],
        host: Some("models.example".into()),
    }
}

/// Red without the patch, green with it, and one test that says so.
fn proven() -> Verdict {
    let run = |stand, colour, code| Tested {
        stand,
        exit: Exit::Code(code),
        colour,
        duration_ms: 900,
        output: Digest::of(b"output"),
        command: "cargo test".into(),
    };
    let results = |adds| Results {
        tests: [("adds", adds), ("names", Status::Passed)].map(|(n, s)| (n.to_owned(), s)).into(),
        is_complete: true,
    };
    let account = Account {
        runs: vec![run(Stand::Base, Colour::Red, 101), run(Stand::Code, Colour::Green, 0)],
        reproducers: vec!["adds".into()],
        table: Some(Table::of(&[results(Status::Failed)], &[results(Status::Passed)])),
        is_runner_honest: Some(true),
        findings: Vec::new(),
    };
    match sample::proven() {
        Verdict::Proven { base, head, .. } => Verdict::Proven { base, head, account: Some(Box::new(account)) },
        unproven @ Verdict::Unproven { .. } => unproven,
    }
}

fn journal() -> Vec<Entry> {
    let spec = sample::spec();
    let kinds = vec![
        EntryKind::Claimed { worker: "w".into(), handed_back: false },
        EntryKind::Prepared { prepared: Box::new(sample::prepared()) },
        EntryKind::GaveUp {
            conclusion: Conclusion::new(Outcome::NoChange, "Nothing.", "Ask."),
            transcript: Digest::of(b"first"),
            answer: Digest::of(b""),
        },
        EntryKind::Solved { proposal: sample::proposal() },
        EntryKind::Verified { verdict: proven() },
    ];
    let mut previous = Digest::of(spec.key.as_str().as_bytes());
    let mut entries = Vec::new();
    for (seq, kind) in (0..).zip(kinds) {
        let (entry, _) = Entry::write(seq, sample::at(i64::from(seq)), previous, kind);
        previous = entry.digest;
        entries.push(entry);
    }
    entries
}

fn statement(verdict: &Verdict, is_of_run: bool) -> Statement {
    let (deployment, prepared, proposal, spec) = (deployment(), sample::prepared(), sample::proposal(), sample::spec());
    let facts = Facts {
        head: None,
        deployment: &deployment,
        commit: &proposal.commit,
        tree: &"c".repeat(40),
        diff: proposal.diff,
        changes: &proposal.changes,
        policy: Some(Digest::of(b"policy")),
        prepared: &prepared,
        verdict,
        judged_at: sample::at(60),
        walls: &[sample::walls()],
    };
    let (journal, usage) = (journal(), sample::usage());
    let history = History { spec: &spec, journal: &journal, usage: &usage, attempt: 2 };
    if is_of_run { Statement::of_run(&facts, &history) } else { Statement::of_patch(&facts) }
}

#[test]
fn a_statement_says_all_that_is_known_of_a_run() {
    let statement = statement(&proven(), true);
    assert_eq!(statement.check(), Ok(()));
    let told = serde_json::to_string_pretty(&statement).expect("it is JSON");
    insta::assert_snapshot!(told, @r#"
    {
      "_type": "https://in-toto.io/Statement/v1",
      "subject": [
        {
          "name": "commit",
          "digest": {
            "gitCommit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
          }
        },
        {
          "name": "tree",
          "digest": {
            "gitTree": "cccccccccccccccccccccccccccccccccccccccc"
          }
        }
      ],
      "predicateType": "https://patchwright.dev/attestation/proof/v1",
      "predicate": {
        "program": {
          "name": "patchwright",
          "version": "1.2.3"
        },
        "judged_at": "2025-10-09T08:54:20Z",
        "verdict": "proven",
        "base": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "patch": {
          "diff": "df087996d45b03e7eb8c133c0298fd98d35113fca26aaba58612fef3cc212cad",
          "changes": [
            {
              "path": "src/lib.rs",
              "kind": "modified",
              "lines_added": 3,
              "lines_removed": 1
            }
          ]
        },
        "trigger": {
          "repository": "octo-org/calc",
          "issue": 12,
          "delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
          "sender": "octocat",
          "sender_id": 1,
          "role": "write",
          "at": "2025-10-09T08:53:20Z"
        },
        "request": "1f58b9145b24d108d7ac38887338b3ea3229833b9c1e418250343f907bfd1047",
        "configuration": "b7d64a9221007dfd5390f7df6cd5b8f3ea4f82faa1237141e35ebf161f5511a1",
        "policy": "823412d1eacb67956220e532959f0104603057c88704863ca38e7cd188fda812",
        "plan": {
          "source": "cargo",
          "setup": null,
          "test": "cargo test",
          "runner": "cargo",
          "decided_by": [
            "Cargo.toml"
          ],
          "droppings": [
            "target"
          ]
        },
        "plan_digest": "80639ee14741f7aadf32137c47af27e2300db113a5da61fb09ef11778b94c8d7",
        "walls": [
          {
            "executor": "local",
            "isolation": "namespaces",
            "layers": [
              "user namespace",
              "seccomp"
            ],
            "limits": [
              {
                "limit": "memory",
                "most": 4294967296,
                "kept": "polled"
              },
              {
                "limit": "cpu",
                "most": 14400,
                "kept": "exact"
              },
              {
                "limit": "processes",
                "most": 1024,
                "kept": "exact"
              }
            ]
          }
        ],
        "model": {
          "name": "large",
          "host": "models.example"
        },
        "transcripts": [
          "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
          "54e6289e14c7b0e7ad9acc2dfc4c1e3d027d0eef7f5c4c3fe7c292761d0e06a6"
        ],
        "runs": [
          {
            "command": "cargo test",
            "stand": "base",
            "exit": {
              "exit": "code",
              "value": 101
            },
            "colour": "red",
            "duration_ms": 900,
            "log": "e0ee8bb50685e05fa0f47ed04203ae953fdfd055f5bd2892ea186504254f8c3a"
          },
          {
            "command": "cargo test",
            "stand": "code",
            "exit": {
              "exit": "code",
              "value": 0
            },
            "colour": "green",
            "duration_ms": 900,
            "log": "e0ee8bb50685e05fa0f47ed04203ae953fdfd055f5bd2892ea186504254f8c3a"
          }
        ],
        "reproducers": [
          "adds"
        ],
        "table": {
          "rows": [
            {
              "test": "adds",
              "base": "failed",
              "head": "passed",
              "movement": "mended"
            }
          ],
          "counts": {
            "mended": 1,
            "unchanged": 1
          }
        },
        "is_runner_honest": true,
        "spent": {
          "usage": {
            "turns": 7,
            "input_tokens": 12000,
            "cached_tokens": 9000,
            "output_tokens": 800,
            "cost_microusd": 123456
          },
          "budget": {
            "wall_clock_ms": 1800000,
            "rounds": 2,
            "attempts": 1,
            "turns": 50,
            "claims": 3,
            "tokens": 1000000,
            "cost_microusd": 5000000
          }
        },
        "journal": {
          "job": "42832cb716e3f588",
          "n_entries": 5,
          "head": "1bbe0c0b753aeafab287c3fcab6a9ee5e8edab409f5d5182154649e9343a59a6"
        }
      }
    }
    "#);
}

#[test]
fn what_is_not_known_is_absent() {
    let told = serde_json::to_value(statement(&proven(), false)).expect("it is JSON");
    let predicate = told["predicate"].as_object().expect("an object");
    for absent in ["trigger", "request", "model", "transcripts", "spent", "journal", "reach", "doubt", "findings"] {
        assert!(!predicate.contains_key(absent), "{absent}");
    }
}

#[test]
fn a_journal_of_before_tells_the_two_runs_that_it_has() {
    let statement = statement(&sample::proven(), true);
    let runs: Vec<_> = statement.predicate.runs.iter().map(|ran| (ran.stand, ran.exit, ran.colour)).collect();
    assert_eq!(runs, [(Stand::Base, Exit::Code(101), Colour::Red), (Stand::Head, Exit::Code(0), Colour::Green)]);
    assert_eq!(statement.check(), Ok(()));
}

#[test]
fn a_task_of_the_command_line_has_no_trigger() {
    assert_eq!(trigger(&sample::local_spec()), None);
    assert_eq!(trigger(&sample::spec()).map(|trigger| trigger.sender), Some("octocat".into()));
}

fn table(statement: &mut Statement) -> &mut Table {
    statement.predicate.table.as_mut().expect("it has a table")
}

/// Changes a statement that holds, and names the field that must be found.
#[track_caller]
fn check(change: impl FnOnce(&mut Statement), field: &str) {
    let mut statement = statement(&proven(), true);
    change(&mut statement);
    let found = statement.check().map_err(|fault| fault.field);
    assert_eq!(found, Err(field.to_owned()));
}

#[test]
fn the_first_field_that_does_not_follow_from_the_others_is_named() {
    check(|s| s.kind.push('0'), "_type");
    check(|s| s.predicate_type.push('0'), "predicateType");
    check(|s| s.subject.truncate(1), "subject");
    check(|s| s.subject.swap(0, 1), "subject[0].digest");
    check(|s| s.subject[1].name.push('x'), "subject[1].name");
    check(|s| s.subject[1].digest = SubjectDigest::GitTree("C".repeat(40)), "subject[1].digest.gitTree");
    check(|s| s.predicate.plan.test = Some("true".into()), "predicate.plan_digest");
    check(|s| s.predicate.plan_digest = Digest::of(b""), "predicate.plan_digest");
    check(|s| s.predicate.runs[0].exit = Exit::Code(0), "predicate.runs[0].colour");
    check(|s| s.predicate.runs[1].exit = Exit::TimedOut, "predicate.runs[1].colour");
    check(|s| s.predicate.runs.truncate(1), "predicate.verdict");
    check(|s| s.predicate.doubt = Some(Doubt::Flaky), "predicate.verdict");
    check(|s| s.predicate.is_runner_honest = Some(false), "predicate.verdict");
    check(|s| s.predicate.reproducers.clear(), "predicate.verdict");
    check(|s| s.predicate.reproducers.push("names".into()), "predicate.reproducers[1]");
    check(|s| s.predicate.verdict = Ruling::Unproven, "predicate.doubt");
    check(|s| table(s).rows[0].movement = Movement::Broken, "predicate.table.rows[0].movement");
    check(|s| table(s).counts.clear(), "predicate.table.counts.mended");
    check(|s| s.predicate.findings.push(found(Gate::Artefact)), "predicate.verdict");
}

fn found(gate: Gate) -> Finding {
    Finding { gate, path: "x".into(), line: None, told: "x".into() }
}

/// A proof stands beside what is only told, and one by the base's tests beside weaker tests of the patch.
#[test]
fn what_forbids_no_proof_is_signed_with_it() {
    for (gate, stand, holds) in [
        (Gate::ModeChanged, Stand::Code, true),
        (Gate::ModeChanged, Stand::Head, true),
        (Gate::TestWeakened, Stand::Code, true),
        (Gate::TestWeakened, Stand::Head, false),
        (Gate::TestSkipped, Stand::Code, false),
    ] {
        let mut statement = statement(&proven(), true);
        statement.predicate.findings.push(found(gate));
        statement.predicate.runs[1].stand = stand;
        assert_eq!(statement.check().is_ok(), holds, "{gate:?} {stand:?}");
    }
}

#[test]
fn the_model_is_that_of_the_attempt_and_absent_where_none_was_asked() {
    let name = |usage: Usage, attempt| {
        let (deployment, prepared, spec, verdict) = (deployment(), sample::prepared(), sample::spec(), proven());
        let facts = Facts {
            head: None,
            deployment: &deployment,
            commit: &CommitId::parse(&"b".repeat(40)).expect("it is one"),
            tree: &"c".repeat(40),
            diff: Digest::of(b""),
            changes: &[],
            policy: None,
            prepared: &prepared,
            verdict: &verdict,
            judged_at: sample::at(0),
            walls: &[],
        };
        let statement = Statement::of_run(&facts, &History { spec: &spec, journal: &[], usage: &usage, attempt });
        statement.predicate.model.map(|model| model.name)
    };
    assert_eq!(name(sample::usage(), 1).as_deref(), Some("small"));
    assert_eq!(name(sample::usage(), 2).as_deref(), Some("large"));
    assert_eq!(name(sample::usage(), 3).as_deref(), Some("small"));
    assert_eq!(name(Usage::default(), 1), None);
}
