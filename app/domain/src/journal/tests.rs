use super::{BrokenChain, CommitId, Conclusion, Digest, Entry, EntryKind, Failure, Outcome};
use crate::effect::{Annotation, Button, CheckName, Effect, Level, Receipt, Remark, Subject};
use crate::event::IssueNumber;
use crate::proof::{Doubt, Evidence, Exit};
use crate::sample::{self, at};

/// A journal as a store keeps it: the text of each entry and its digest.
struct Stored {
    lines: Vec<(String, Digest)>,
}

impl Stored {
    fn write(kinds: &[EntryKind]) -> Self {
        let mut previous = start();
        let write = |(seq, kind): (usize, &EntryKind)| {
            let (entry, text) = Entry::write(place(seq), at(0), previous, kind.clone());
            previous = entry.digest;
            (text, entry.digest)
        };
        Self { lines: kinds.iter().enumerate().map(write).collect() }
    }

    fn read(&self) -> Result<Vec<Entry>, BrokenChain> {
        let mut previous = start();
        let read = |(seq, (text, digest)): (usize, &(String, Digest))| {
            let entry = Entry::read(place(seq), at(0), previous, text, *digest)?;
            previous = entry.digest;
            Ok(entry)
        };
        self.lines.iter().enumerate().map(read).collect()
    }

    #[track_caller]
    fn check_broken_at(&self, seq: u32) {
        assert_eq!(
            self.read().expect_err("a broken chain").to_string(),
            format!("entry {seq} of the journal is not what was written")
        );
    }
}

fn start() -> Digest {
    Digest::of(b"specification")
}

fn place(seq: usize) -> u32 {
    u32::try_from(seq).expect("a short journal")
}

/// One entry of each kind, with all that it can hold.
fn one_of_each() -> Vec<EntryKind> {
    let key = sample::pushed().key(&sample::spec().id());
    let conclusion = sample::conclusion(Outcome::Proven);
    let failure = Failure { conclusion: sample::conclusion(Outcome::Failed), internal: "403".into() };
    let effects = vec![
        sample::pushed(),
        Effect::EnsurePullRequest { branch: "b".into(), base: "main".into(), title: "t".into(), body: "x".into(), draft: true },
        Effect::EnsureComment { issue: IssueNumber(12), body: "x".into() },
        Effect::SetCheck {
            name: CheckName::Patch,
            commit: sample::commit('b'),
            outcome: Outcome::Proven,
            title: "t".into(),
            summary: "x".into(),
            text: None,
            annotations: Vec::new(),
            buttons: Vec::new(),
        },
        Effect::EnsureReview {
            pull_request: IssueNumber(12),
            commit: sample::commit('b'),
            body: "x".into(),
            remarks: vec![Remark { path: "src/lib.rs".into(), first_line: 3, last_line: 4, body: "y".into() }],
            body_alone: "z".into(),
        },
        Effect::React { subject: Subject::Comment(345) },
        Effect::React { subject: Subject::Issue(IssueNumber(12)) },
        Effect::SetCheck {
            name: CheckName::Proof,
            commit: sample::commit('b'),
            outcome: Outcome::Unproven,
            title: "t".into(),
            summary: "x".into(),
            text: Some("y".into()),
            annotations: vec![Annotation {
                path: "src/lib.rs".into(),
                start_line: 3,
                end_line: 3,
                level: Level::Warning,
                title: "t".into(),
                message: "x".into(),
            }],
            buttons: vec![Button::Mend],
        },
    ];
    let digest = Digest::of(b"x");
    vec![
        EntryKind::Claimed { worker: "worker-1".into(), handed_back: true },
        EntryKind::Confined { walls: sample::walls() },
        EntryKind::Prepared { prepared: Box::new(sample::prepared()) },
        EntryKind::TurnTaken { usage: sample::usage(), note: "ran a command".into() },
        EntryKind::Solved { proposal: sample::proposal() },
        EntryKind::GaveUp { conclusion: conclusion.clone(), transcript: digest, answer: digest },
        EntryKind::Verified { verdict: sample::proven() },
        EntryKind::Verified { verdict: sample::unproven(Doubt::StillRed, 101) },
        EntryKind::PublishPlanned { conclusion, effects, attestation: None },
        EntryKind::Performed { key: key.clone(), receipt: Receipt::default() },
        EntryKind::CancelRequested { because: "octocat closed it".into() },
        EntryKind::Failed { failure, effect: Some(key) },
        EntryKind::Completed { outcome: Outcome::Proven },
        EntryKind::Adopted { adopted: sample::adopted() },
        EntryKind::Unmerged {
            head: sample::adopted().proposal.commit,
            conclusion: Conclusion::new(Outcome::NeedsInput, "Why.", "What."),
        },
        EntryKind::Triaged { triaged: Box::new(sample::triaged()) },
    ]
}

#[test]
fn a_journal_is_read_as_it_was_written() {
    let entries = Stored::write(&one_of_each()).read().unwrap();
    let kinds: Vec<EntryKind> = entries.into_iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, one_of_each());
}

#[test]
fn a_changed_entry_breaks_the_chain() {
    let mut stored = Stored::write(&one_of_each());
    stored.lines[3].0 = stored.lines[3].0.replace("\"turns\":7", "\"turns\":1");
    stored.check_broken_at(3);
}

#[test]
fn a_changed_entry_with_a_fitting_digest_breaks_the_chain_behind_it() {
    let mut stored = Stored::write(&one_of_each());
    let previous = stored.lines[1].1;
    let (entry, text) = Entry::write(2, at(0), previous, EntryKind::CancelRequested { because: "never said".into() });
    stored.lines[2] = (text, entry.digest);
    stored.check_broken_at(3);
}

#[test]
fn dropped_swapped_and_doubled_entries_break_the_chain() {
    let mut dropped = Stored::write(&one_of_each());
    dropped.lines.remove(4);
    dropped.check_broken_at(4);
    let mut beheaded = Stored::write(&one_of_each());
    beheaded.lines.remove(0);
    beheaded.check_broken_at(0);
    let mut swapped = Stored::write(&one_of_each());
    swapped.lines.swap(5, 6);
    swapped.check_broken_at(5);
    let mut doubled = Stored::write(&one_of_each());
    let line = doubled.lines[3].clone();
    doubled.lines.insert(3, line);
    doubled.check_broken_at(4);
}

#[test]
fn place_and_time_belong_to_the_chain() {
    let (entry, text) = Entry::write(3, at(0), start(), EntryKind::Completed { outcome: Outcome::Failed });
    assert!(Entry::read(3, at(0), start(), &text, entry.digest).is_ok());
    assert!(Entry::read(4, at(0), start(), &text, entry.digest).is_err());
    assert!(Entry::read(3, at(1), start(), &text, entry.digest).is_err());
    assert!(Entry::read(3, at(0), Digest::of(b"another job"), &text, entry.digest).is_err());
}

/// What another version of the program stored.
fn foreign(text: &str) -> Result<Entry, BrokenChain> {
    let digest = super::link(0, at(0), start(), text);
    Entry::read(0, at(0), start(), text, digest)
}

#[test]
fn the_digest_is_over_the_stored_text() {
    let spaced = r#"{ "outcome": "failed", "entry": "completed" }"#;
    assert_eq!(foreign(spaced).unwrap().kind, EntryKind::Completed { outcome: Outcome::Failed });
    let with_a_later_field = r#"{"entry":"completed","outcome":"failed","since_version_9":true}"#;
    assert_eq!(foreign(with_a_later_field).unwrap().kind, EntryKind::Completed { outcome: Outcome::Failed });
}

#[test]
fn a_text_that_is_no_entry_is_told_as_such() {
    let error = foreign(r#"{"entry":"exploded"}"#).expect_err("no such entry").to_string();
    assert!(error.starts_with("entry 0 of the journal cannot be read: unknown variant `exploded`"), "{error}");
    assert!(foreign("").is_err());
    assert!(foreign(r#"{"entry":"completed","outcome":"splendid"}"#).is_err());
}

#[test]
fn the_stored_format_stays() {
    let lines: Vec<String> = Stored::write(&one_of_each()).lines.into_iter().map(|(text, _)| text).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"entry":"claimed","worker":"worker-1","handed_back":true}
    {"entry":"confined","walls":{"executor":"local","isolation":"namespaces","layers":["user namespace","seccomp"],"limits":[{"limit":"memory","most":4294967296,"kept":"polled"},{"limit":"cpu","most":14400,"kept":"exact"},{"limit":"processes","most":1024,"kept":"exact"}]}}
    {"entry":"prepared","prepared":{"base":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","plan":{"source":"cargo","setup":null,"test":"cargo test","runner":"cargo","decided_by":["Cargo.toml"],"droppings":["target"]},"baseline":{"command":"cargo test","exit":{"exit":"code","value":101},"duration_ms":1234,"output":"06f274c49a448e487a26c9362f06e7df0c886e90953ca23d2e16ceca75debe53","excerpt":"test adds ... FAILED"},"request":"1f58b9145b24d108d7ac38887338b3ea3229833b9c1e418250343f907bfd1047"}}
    {"entry":"turn_taken","usage":{"turns":7,"input_tokens":12000,"cached_tokens":9000,"output_tokens":800,"cost_microusd":123456},"note":"ran a command"}
    {"entry":"solved","proposal":{"commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","pack":"4862f447f2c7f272fa2f4aaf89dadb3b1ac09105bd5864f8d1a0c9452bb0a226","diff":"df087996d45b03e7eb8c133c0298fd98d35113fca26aaba58612fef3cc212cad","answer":"0db52f4076c082518412afd3dd3576e2cb0c63703fd7fed5e23ade60efef31d9","transcript":"54e6289e14c7b0e7ad9acc2dfc4c1e3d027d0eef7f5c4c3fe7c292761d0e06a6","changes":[{"path":"src/lib.rs","kind":"modified","lines_added":3,"lines_removed":1}]}}
    {"entry":"gave_up","conclusion":{"outcome":"proven","cause":"It came to this.","next_step":"Go on."},"transcript":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","answer":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}
    {"entry":"verified","verdict":{"verdict":"proven","base":{"command":"cargo test","exit":{"exit":"code","value":101},"duration_ms":1234,"output":"06f274c49a448e487a26c9362f06e7df0c886e90953ca23d2e16ceca75debe53","excerpt":"test adds ... FAILED"},"head":{"command":"cargo test","exit":{"exit":"code","value":0},"duration_ms":1234,"output":"98b1fad6cf91177a26a993f542f7b32f31490adfc59e0b9fba2d3d1158f72179","excerpt":"test result: ok."}}}
    {"entry":"verified","verdict":{"verdict":"unproven","doubt":"still_red","base":{"command":"cargo test","exit":{"exit":"code","value":101},"duration_ms":1234,"output":"06f274c49a448e487a26c9362f06e7df0c886e90953ca23d2e16ceca75debe53","excerpt":"test adds ... FAILED"},"head":{"command":"cargo test","exit":{"exit":"code","value":101},"duration_ms":1234,"output":"b94ec9c47bec294d3d594f4b4a9e818b69b3d127264a10dd1020606fa80e19f1","excerpt":"left: 5, right: 4"}}}
    {"entry":"publish_planned","conclusion":{"outcome":"proven","cause":"It came to this.","next_step":"Go on."},"effects":[{"effect":"push_branch","branch":"codex/12-x","commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","pack":"4862f447f2c7f272fa2f4aaf89dadb3b1ac09105bd5864f8d1a0c9452bb0a226"},{"effect":"ensure_pull_request","branch":"b","base":"main","title":"t","body":"x"},{"effect":"ensure_comment","issue":12,"body":"x"},{"effect":"set_check","commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","outcome":"proven","title":"t","summary":"x"},{"effect":"ensure_review","pull_request":12,"commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","body":"x","remarks":[{"path":"src/lib.rs","first_line":3,"last_line":4,"body":"y"}],"body_alone":"z"},{"effect":"react","subject":{"subject":"comment","number":345}},{"effect":"react","subject":{"subject":"issue","number":12}},{"effect":"set_check","name":"proof","commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","outcome":"unproven","title":"t","summary":"x","text":"y","annotations":[{"path":"src/lib.rs","start_line":3,"end_line":3,"level":"warning","title":"t","message":"x"}],"buttons":["mend"]}]}
    {"entry":"performed","key":"42832cb716e3f588/branch","receipt":{"url":null}}
    {"entry":"cancel_requested","because":"octocat closed it"}
    {"entry":"failed","failure":{"conclusion":{"outcome":"failed","cause":"It came to this.","next_step":"Go on."},"internal":"403"},"effect":"42832cb716e3f588/branch"}
    {"entry":"completed","outcome":"proven"}
    {"entry":"adopted","adopted":{"branch":"main","base":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","proposal":{"commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","pack":"4862f447f2c7f272fa2f4aaf89dadb3b1ac09105bd5864f8d1a0c9452bb0a226","diff":"df087996d45b03e7eb8c133c0298fd98d35113fca26aaba58612fef3cc212cad","answer":"0db52f4076c082518412afd3dd3576e2cb0c63703fd7fed5e23ade60efef31d9","transcript":"54e6289e14c7b0e7ad9acc2dfc4c1e3d027d0eef7f5c4c3fe7c292761d0e06a6","changes":[{"path":"src/lib.rs","kind":"modified","lines_added":3,"lines_removed":1}]}}}
    {"entry":"unmerged","head":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","conclusion":{"outcome":"needs_input","cause":"Why.","next_step":"What."}}
    {"entry":"triaged","triaged":{"head":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","base":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","command":"pytest -q","differences":["The job asks for python 3.12; what this machine has of it is used."],"log":"836ff184e7b41b1e13cb5fd89fa1de98dbbab99e9d2918913ff43b86a5c7c213","runs":[{"side":"head","reached":true,"colour":"red","evidence":{"command":"cargo test","exit":{"exit":"code","value":1},"duration_ms":1234,"output":"91bd58c83335b24dadd9f8ebb7aa193b272dd033949486fca9499c4e0bb7d1ab","excerpt":"1 failed"}},{"side":"base","reached":true,"colour":"green","evidence":{"command":"cargo test","exit":{"exit":"code","value":0},"duration_ms":1234,"output":"c170a0864a6f10c7f15ff52e35b6a315716aea7e6c95ad3856f9349f05cd28be","excerpt":"1 passed"}}],"verdict":{"triage":"red","tests":["tests/test_a.py::adds|@octocat"],"is_base_green":true}}}
    "#);
}

#[test]
fn every_end_of_a_command_can_be_stored() {
    let exits = [Exit::Code(-1), Exit::Signal(9), Exit::TimedOut];
    let lines: Vec<String> = exits.iter().map(|exit| serde_json::to_string(exit).unwrap()).collect();
    assert_eq!(lines, [r#"{"exit":"code","value":-1}"#, r#"{"exit":"signal","value":9}"#, r#"{"exit":"timed_out"}"#]);
    for exit in exits {
        let evidence = sample::ended(exit);
        let text = serde_json::to_string(&evidence).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    }
}

#[test]
fn the_first_digest_of_a_journal_stays() {
    let (entry, _) = Entry::write(0, at(0), start(), EntryKind::Completed { outcome: Outcome::Failed });
    insta::assert_snapshot!(entry.digest, @"138e1ebb7e3b05826cc113001f04042b685d0cd824de006527fd16292635f131");
}

#[test]
fn a_commit_is_forty_digits_and_a_digest_sixty_four() {
    for text in ["", "main", "abc", &"A".repeat(40), &"g".repeat(40), &"a".repeat(41), &"a".repeat(39)] {
        assert_eq!(CommitId::parse(text), None, "{text}");
        assert!(serde_json::from_str::<CommitId>(&format!("\"{text}\"")).is_err(), "{text}");
    }
    assert_eq!(CommitId::parse(&"a".repeat(40)).map(|commit| commit.short().to_owned()), Some("a".repeat(10)));
    for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)] {
        assert_eq!(Digest::parse(text), None, "{text}");
        assert!(serde_json::from_str::<Digest>(&format!("\"{text}\"")).is_err(), "{text}");
    }
    let digest = Digest::of(b"x");
    assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
}

#[test]
fn an_outcome_has_one_name_everywhere() {
    let outcomes = [
        Outcome::Proven,
        Outcome::Unproven,
        Outcome::Answered,
        Outcome::NoChange,
        Outcome::NeedsInput,
        Outcome::BudgetExhausted,
        Outcome::TimedOut,
        Outcome::EnvironmentFailed,
        Outcome::BlockedByPolicy,
        Outcome::Superseded,
        Outcome::Cancelled,
        Outcome::Failed,
    ];
    for outcome in outcomes {
        assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{outcome}\""));
    }
    let positive: Vec<&str> = outcomes.iter().filter(|outcome| outcome.is_positive()).map(|outcome| outcome.as_str()).collect();
    assert_eq!(positive, ["proven", "unproven", "answered"]);
}
