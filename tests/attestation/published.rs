//! What a run of the server attests, and where people find it.

use patchwright::attestation::check::{self, Signature};
use patchwright::model::scripted::Script;
use patchwright::workspace::Checkout;
use patchwright_domain::job::JobId;
use patchwright_domain::journal::{Digest, EntryKind, Outcome};

use super::attestor;
use crate::support::pipeline::pull::MENDED;
use crate::support::pipeline::{MAINTAINER, Setup, World, does};

fn signing() -> Setup {
    let folder = tempfile::tempdir().expect("a folder");
    Setup { attestor: Some(attestor(&folder.path().join("key.pem"))), ..Setup::default() }
}

/// The line that a person copies out of the details of the check run.
fn copied(text: &str) -> &str {
    text.lines().find(|line| line.starts_with('{')).expect("it is there")
}

/// What `patchwright jobs` says of a world's store: exit code, standard output, standard error.
fn jobs(world: &World, database: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("sqlite:{}", world.folder.path().join(database).display());
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_patchwright"))
        .arg("jobs")
        .args(arguments)
        .env("PATCHWRIGHT__STORE__URL", url)
        .current_dir(world.folder.path())
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

#[tokio::test]
async fn a_pull_request_names_what_its_check_run_holds() {
    signing()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let checks = world.github.check_runs(world.repo);
            let details = checks[0].output["text"].as_str().expect("it has details");
            let envelope = copied(details);
            let digest = Digest::of(envelope.as_bytes());
            assert!(details.contains(&format!("`sha256:{digest}`")), "{details}");
            let body = world.github.pull_requests(world.repo)[0].0.body.clone().expect("it has a text");
            assert!(body.contains(&format!("### Attestation\n\nWhat was executed is signed: `sha256:{digest}`")), "{body}");
            assert_eq!(world.tools.store.artifact(&digest).await.expect("it is kept"), envelope.as_bytes());

            let key = world.tools.attestor.as_ref().expect("it signs").key.public();
            let found = check::check(envelope.as_bytes(), Some(&key), None).expect("no checkout is looked at");
            assert_eq!(found.signature, Signature::Holds);
            let statement = found.statement.expect("it holds");
            let (journal, spec, run) = (world.journal().await, world.job().await, world.run().await);
            let judged = run.judged().expect("it was judged");
            assert_eq!(statement.commit(), Some(&judged.proposal.commit));
            let predicate = statement.predicate;
            let trigger = predicate.trigger.expect("somebody asked");
            assert_eq!((trigger.sender.as_str(), trigger.delivery, trigger.role), (MAINTAINER, spec.delivery.clone(), spec.role));
            let place = journal.iter().position(|entry| matches!(entry.kind, EntryKind::PublishPlanned { .. })).expect("planned");
            let before = &journal[place - 1];
            let told = predicate.journal.expect("it has a journal");
            assert_eq!((told.head, told.n_entries, told.job), (before.digest, before.seq + 1, JobId::of(&spec.key)));
            let EntryKind::PublishPlanned { attestation, .. } = &journal[place].kind else { unreachable!() };
            assert_eq!(*attestation, Some(digest), "the journal knows the artifact");
            assert_eq!(predicate.transcripts, [judged.proposal.transcript]);
            assert_eq!(predicate.request, run.prepared().map(|prepared| prepared.request));
            assert_eq!(predicate.model.map(|model| model.name).as_deref(), Some("scripted"));
            assert_eq!(predicate.spent.map(|spent| spent.usage), Some(*run.usage()));
            for ran in &predicate.runs {
                assert_eq!(ran.command.as_deref(), Some("sh tests/run.sh"));
                world.tools.store.artifact(&ran.log).await.expect("every log is kept");
            }
        })
        .await;
}

#[tokio::test]
async fn the_store_s_owner_can_bring_an_envelope_out() {
    signing()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let job = world.job().await.id();
            let ask = |job: &str, database: &str| jobs(world, database, &["attestation", job]);
            let details = world.github.check_runs(world.repo)[0].output["text"].as_str().expect("it has details").to_owned();
            let (code, printed, _) = ask(job.as_str(), "patchwright.db");
            assert_eq!((code, printed.trim_end()), (Some(0), copied(&details)));
            let (code, _, told) = ask("0123456789abcdef", "patchwright.db");
            assert_eq!(code, Some(2));
            insta::assert_snapshot!(told, @"error: the store knows no job `0123456789abcdef`; is `--config` that of the server that worked on it?");
            let (code, _, told) = ask(job.as_str(), "other.db");
            assert!(code == Some(2) && told.contains("there is no database"), "{told}");
            assert!(!world.folder.path().join("other.db").exists(), "it is not made by being asked");
        })
        .await;
}

#[tokio::test]
async fn the_store_s_owner_can_bring_out_what_the_proof_has_printed() {
    signing()
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Proven);
            let job = world.job().await.id();
            let ask = |arguments: &[&str]| jobs(world, "patchwright.db", &[&["logs", job.as_str()], arguments].concat());
            let run = world.run().await;
            let account = run.judged().and_then(|judged| judged.verdict.account()).expect("it was judged");
            let (code, all, _) = ask(&[]);
            assert_eq!(code, Some(0));
            for ran in &account.runs {
                assert!(all.contains(&format!("{}, {} ms, sha256:{}", ran.exit, ran.duration_ms, ran.output)), "{all}");
            }
            let base = run.prepared().expect("it was prepared").base.clone();
            let (_, first, _) = ask(&["--command", "1"]);
            let expected = format!("1. sh tests/run.sh\n   in the base, {base}\n   exit code 1, ");
            assert!(first.starts_with(&expected) && first.contains("the mean of 2, 4 and 6 is not 4"), "{first}");
            assert!(!first.contains("\n2. "), "{first}");

            // The file has what the digest is of.
            let (code, _, _) = ask(&["--command", "1", "--output", "log"]);
            let written = std::fs::read(world.folder.path().join("log")).expect("it is written");
            assert_eq!((code, Digest::of(&written)), (Some(0), account.runs[0].output));
            let (code, _, told) = ask(&["--command", "99"]);
            let n_ran = account.runs.len();
            assert!(code == Some(2) && told.contains(&format!("has the commands 1 to {n_ran};")), "{told}");
        })
        .await;
}

#[tokio::test]
async fn an_unproven_patch_is_attested_as_such() {
    let setup = Setup { script: Script::of(does("echo '# a guess' >> mean.sh")), ..signing() };
    setup
        .play(async |world| {
            assert_eq!(world.fix_this().await, Outcome::Unproven);
            let checks = world.github.check_runs(world.repo);
            let envelope = copied(checks[0].output["text"].as_str().expect("it has details")).to_owned();
            let key = world.tools.attestor.as_ref().expect("it signs").key.public();
            let found = check::check(envelope.as_bytes(), Some(&key), None).expect("no checkout is looked at");
            let predicate = found.statement.expect("it holds").predicate;
            assert_eq!((predicate.verdict.to_string().as_str(), predicate.doubt.is_some()), ("unproven", true));
        })
        .await;
}

/// It holds against git although the commit's parent is not what it was measured against.
#[tokio::test]
async fn the_proof_of_somebody_elses_pull_request_is_attested() {
    signing()
        .play(async |world| {
            world.push("mend", &[("README", "First a note.\n", false)]).await;
            let (pull, head) = world.propose(&[MENDED]).await;
            world.prove(pull).await;
            let details = world.github.check_runs(world.repo)[0].output["text"].as_str().expect("it has details").to_owned();
            let envelope = copied(&details);
            let key = world.tools.attestor.as_ref().expect("it signs").key.public();
            let checkout = Checkout::open(&world.github.repository_path(world.repo).expect("it is there")).expect("it is git's");
            let found = check::check(envelope.as_bytes(), Some(&key), Some(&checkout)).expect("it can be read");
            assert_eq!(found.signature, Signature::Holds);
            let statement = found.statement.expect("it holds");
            assert_eq!(statement.commit().map(|commit| commit.as_str()), Some(head.as_str()));
            let predicate = statement.predicate;
            assert_eq!(predicate.trigger.map(|trigger| (trigger.issue, trigger.sender)), Some((pull, MAINTAINER.into())));
            assert_eq!((predicate.model, predicate.transcripts.len()), (None, 0), "no model had a part in it");
            assert_eq!(predicate.patch.changes.len(), 2);
            let said = world.said_on(pull).await.join("\n");
            assert!(said.contains("### Attestation"), "{said}");
        })
        .await;
}

#[tokio::test]
async fn the_server_tells_its_public_key_and_nothing_else() {
    signing()
        .play(async |world| {
            let client = reqwest::Client::builder().no_proxy().build().expect("the client needs nothing");
            let answer = client.get(format!("{}/attestation/key", world.url)).send().await.expect("it answers");
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["content-type"], "application/x-pem-file");
            let key = world.tools.attestor.as_ref().expect("it signs").key.public();
            assert_eq!(answer.text().await.expect("it is text"), key.to_pem());
        })
        .await;
    Setup::default()
        .play(async |world| {
            assert_eq!(world.get("/attestation/key").await.status, 404);
        })
        .await;
}

/// Nobody has the merge that was proven, and everybody who has both commits can make it again.
#[tokio::test]
async fn a_proof_of_a_merge_is_checked_where_both_commits_are() {
    signing()
        .play(async |world| {
            let (pull, head) = world.propose(&[MENDED]).await;
            let tip = world.push("main", &[("README", "More.\n", false)]).await;
            world.prove(pull).await;
            let details = world.github.check_runs(world.repo)[0].output["text"].as_str().expect("it has details").to_owned();
            let key = world.tools.attestor.as_ref().expect("it signs").key.public();
            let there = world.github.repository_path(world.repo).expect("it is there");
            let n_objects = || n_files(&there.join("objects"));
            let before = n_objects();
            let checkout = Checkout::open(&there).expect("it is git's");
            let found = check::check(copied(&details).as_bytes(), Some(&key), Some(&checkout)).expect("it can be read");
            let predicate = found.statement.expect("it holds").predicate;
            assert_eq!((predicate.head.as_ref().map(|head| head.as_str()), predicate.base.as_str()), (Some(&*head), &*tip));
            assert_eq!(n_objects(), before, "nothing is written into a checkout");

            let empty = tempfile::tempdir().expect("a folder");
            git2::Repository::init_bare(empty.path()).expect("the folder is empty");
            let elsewhere = Checkout::open(empty.path()).expect("it is git's");
            let found = check::check(copied(&details).as_bytes(), Some(&key), Some(&elsewhere)).expect("it can be read");
            assert_eq!(found.statement.expect_err("it has neither").field, "predicate.head");
        })
        .await;
}

/// How many files are below a folder.
fn n_files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("it is there").flatten();
    entries.map(|entry| if entry.path().is_dir() { n_files(&entry.path()) } else { 1 }).sum()
}
