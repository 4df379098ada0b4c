//! `patchwright jobs list` and `patchwright explain`, over a store that a server has left.

use std::time::Duration;

use jiff::Timestamp;
use patchwright::store::sqlite::SqliteStore;
use patchwright::store::{Lanes, Store};
use patchwright_domain::event::{Actor, DeliveryId, IssueNumber, RawDelivery, RepoRef, Role};
use patchwright_domain::job::{Budget, JobId, JobKey, JobSpec, Opening, Task};
use patchwright_domain::journal::{Conclusion, EntryKind, Failure, Outcome};
use patchwright_domain::policy::Decision;

use super::*;

/// A lease that holds for as long as anybody looks.
const LEASE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + seconds).expect("the time is in range")
}

fn spec(issue: u64, comment: u64) -> JobSpec {
    let (repo, issue) = (RepoRef::new(7, 1, "octo", "rocket", "main").expect("the names are fine"), IssueNumber(issue));
    JobSpec {
        key: JobKey::of_comment(&repo, issue, comment),
        repo,
        task: Task::FixIssue { issue, request: None },
        requested_by: Actor { id: 9, login: "ada\u{1b}[31m\u{202e}\nlovelace".into(), is_bot: false },
        role: Role::Write,
        needed: Role::Write,
        delivery: DeliveryId::new(format!("delivery-{comment}")).expect("the name is well-formed"),
        requested_at: at(i64::try_from(comment).expect("it is small")),
        budget: Budget { wall_clock_ms: 1, rounds: 1, attempts: 1, turns: 1, claims: 1, tokens: 1, cost_microusd: 1 },
        described: None,
        plan: None,
        opening: Opening::default(),
        schedule: None,
    }
}

async fn receive(store: &SqliteStore, name: &str, seconds: i64, decision: &Decision) {
    let id = DeliveryId::new(name).expect("the name is well-formed");
    let raw = RawDelivery { id: id.clone(), event: "issue_comment".into(), body: b"{}".to_vec(), received_at: at(seconds) };
    store.receive(&raw).await.expect("the store takes it");
    store.decide(&id, decision, at(seconds)).await.expect("it is there");
}

async fn begin(store: &SqliteStore, issue: u64, comment: u64) {
    let spec = Box::new(spec(issue, comment));
    let seconds = i64::try_from(comment).expect("it is small");
    receive(store, &format!("delivery-{comment}"), seconds, &Decision::Start { spec, because: "ada asked".into() }).await;
}

/// One job that failed, one that was handed back until long from now, one that is worked on, and one that waits for that.
async fn left(folder: &Path) {
    let store = SqliteStore::open(folder.join("store.db")).await.expect("the file can be made");
    let claim = async || {
        let claim = store.claim("one", at(10), LEASE, Lanes::default()).await.expect("the store answers");
        claim.expect("a job is free").lease
    };
    begin(&store, 1, 1).await;
    let lease = claim().await;
    let told = |outcome, cause: &str| Conclusion::new(outcome, cause, "An operator should look.");
    let refused = Failure { conclusion: told(Outcome::Failed, "The push was\nrefused."), internal: "HTTP 403".into() };
    for kind in [
        EntryKind::PublishPlanned { conclusion: told(Outcome::Proven, "It is proven."), effects: Vec::new(), attestation: None },
        EntryKind::Failed { failure: refused, effect: None },
        EntryKind::Completed { outcome: Outcome::Failed },
    ] {
        store.append(&lease, 0, kind, at(11)).await.expect("the lease holds");
    }
    begin(&store, 2, 2).await;
    store.release(claim().await, "2100-01-01T00:00:00Z".parse().expect("it is a time")).await.expect("the lease holds");
    begin(&store, 3, 3).await;
    claim().await;
    begin(&store, 3, 4).await;
    receive(&store, "given-up", 5, &Decision::give_up("its body cannot be read")).await;
    receive(&store, "of-nobody", 6, &Decision::ignore("the comment holds no command")).await;
}

async fn asked(folder: &Path, arguments: &[&str]) -> Ended {
    patchwright(folder, arguments, &[("PATCHWRIGHT__STORE__URL", "sqlite:store.db")]).await
}

#[tokio::test]
async fn jobs_are_listed_with_the_reason_and_what_they_wait_for() {
    let folder = folder();
    left(folder.path()).await;
    let all = asked(folder.path(), &["jobs", "list"]).await;
    assert_eq!(all.code, Some(0), "{}", all.err);
    insta::assert_snapshot!(all.out, @r"
    7c1eca7f5166d105  waiting  octo/rocket#3  by ada lovelace  asked 2025-10-09 08:53:24Z, claimed 0 times
        It waits for job 8e55ee0f98ef469b, which is of the same issue.
    8e55ee0f98ef469b  running  octo/rocket#3  by ada lovelace  asked 2025-10-09 08:53:23Z, claimed once
    486ea255ea2e68d3  waiting  octo/rocket#2  by ada lovelace  asked 2025-10-09 08:53:22Z, claimed once
        It was handed back, and waits until 2100-01-01 00:00:00Z.
    9c05318c637f6d1a  failed  octo/rocket#1  by ada lovelace  asked 2025-10-09 08:53:21Z, ended 2025-10-09 08:53:31Z, claimed once
        The push was refused. An operator should look.
    ");
    let failed = asked(folder.path(), &["jobs", "list", "--outcome", "failed", "--repo", "Octo/Rocket", "--json"]).await.json();
    assert_eq!(failed["jobs"].as_array().map(Vec::len), Some(1), "{failed}");
    assert_eq!(failed["jobs"][0]["job"], spec(1, 1).id().as_str());
    assert_eq!((&failed["jobs"][0]["outcome"], &failed["jobs"][0]["n_claims"]), (&"failed".into(), &1.into()));
    assert_eq!(failed["jobs"][0]["cause"], "The push was\nrefused.");
    let none = asked(folder.path(), &["jobs", "list", "--state", "waiting", "--since", "7d"]).await;
    assert_eq!((none.code, none.out.as_str(), none.err.as_str()), (Some(0), "", "There is no such job.\n"));
    for wrong in [["--outcome", "lost"], ["--state", "gone"], ["--repo", "octo"], ["--since", "soon"], ["--limit", "0"]] {
        assert_eq!(asked(folder.path(), &[&["jobs", "list"][..], &wrong].concat()).await.code, Some(2), "{wrong:?}");
    }
}

/// A lease that has run out takes no place from anybody, as it takes none at a claim.
#[tokio::test]
async fn a_job_is_not_said_to_wait_for_a_place_that_is_free() {
    let folder = folder();
    let store = SqliteStore::open(folder.path().join("store.db")).await.expect("the file can be made");
    begin(&store, 1, 1).await;
    let claim = store.claim("one", at(10), Duration::from_secs(60), Lanes::default()).await.expect("the store answers");
    claim.expect("a job is free");
    begin(&store, 2, 2).await;
    drop(store);
    let limited = ("PATCHWRIGHT__LIMITS__REPOSITORY_JOBS", "1");
    let list = async || {
        let variables = [("PATCHWRIGHT__STORE__URL", "sqlite:store.db"), limited];
        patchwright(folder.path(), &["jobs", "list", "--json"], &variables).await.json()
    };
    let told = list().await;
    assert_eq!(told["jobs"][0]["waits_for"], "It waits for a worker.");
    assert_eq!(told["jobs"][1]["waits_for"], "Its worker is gone, and it waits for another one.");
    // One that is worked on takes the only place, from the one whose worker is gone, too.
    let store = SqliteStore::open(folder.path().join("store.db")).await.expect("the file is there");
    begin(&store, 3, 3).await;
    store.claim("two", at(5), LEASE, Lanes::default()).await.expect("the store answers").expect("a job is free");
    drop(store);
    let told = list().await;
    let full = "It waits for a place among the 1 of its repository (`limits.repository_jobs`).";
    let waits: Vec<_> = (0..3).map(|place| told["jobs"][place]["waits_for"].clone()).collect();
    assert_eq!(waits, [full.into(), serde_json::Value::Null, format!("Its worker is gone. {full}").into()]);
}

#[tokio::test]
async fn what_became_of_a_delivery_is_explained() {
    let folder = folder();
    left(folder.path()).await;
    let mut told = String::new();
    let job: JobId = spec(1, 1).id();
    for arguments in [
        &["explain"][..],
        &["explain", "given-up"],
        &["explain", "of-nobody"],
        &["explain", "delivery-4"],
        &["explain", job.as_str()],
    ] {
        let ended = asked(folder.path(), arguments).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        told += &format!("{}:\n{}\n", arguments.join(" "), ended.out);
    }
    insta::assert_snapshot!(told, @r"
    explain:
    given-up  issue_comment  came 2025-10-09 08:53:25Z
        its body cannot be read

    explain given-up:
    delivery given-up came 2025-10-09 08:53:25Z
        It was given up: its body cannot be read

    explain of-nobody:
    delivery of-nobody came 2025-10-09 08:53:26Z
        Nothing came of it: the comment holds no command

    explain delivery-4:
    delivery delivery-4 came 2025-10-09 08:53:24Z
        It started job 7c1eca7f5166d105: ada asked
    7c1eca7f5166d105  waiting  octo/rocket#3  by ada lovelace  asked 2025-10-09 08:53:24Z, claimed 0 times
        It waits for job 8e55ee0f98ef469b, which is of the same issue.

    explain 9c05318c637f6d1a:
    9c05318c637f6d1a  failed  octo/rocket#1  by ada lovelace  asked 2025-10-09 08:53:21Z, ended 2025-10-09 08:53:31Z, claimed once
        The push was refused. An operator should look.
        Delivery delivery-1 asked for it, which came 2025-10-09 08:53:21Z.
        It is for ada lovelace (number 9), who had the role write; it takes write.
    ");
    let list = asked(folder.path(), &["explain", "--json"]).await.json();
    assert_eq!(list["given_up"][0]["because"], "its body cannot be read");
    let unknown = asked(folder.path(), &["explain", "0123456789abcdef"]).await;
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("knows no delivery and no job"), "{}", unknown.err);
}
