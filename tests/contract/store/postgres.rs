//! What is particular to PostgreSQL: several processes, what they hear of each other, tampered rows, connections that end.

use std::sync::Arc;
use std::time::Duration;

use patchwright::store::ledger::{Limit, Limits, Reserved, Spending};
use patchwright::store::postgres::PostgresStore;
use patchwright::store::{Decided, JobState, Lanes, Store as _, StoreError};
use patchwright_domain::event::{IssueNumber, RawDelivery};
use patchwright_domain::policy::Decision;
use tokio::time::timeout;

use super::{
    Shared, assert_chained, assert_lost, at, begin, begin_of, claim, claimed, delivery, fresh, id, note, spec, spec_of, start,
    told,
};
use crate::support::postgres::{Database, cluster};

mod crowd;
mod disk;
mod refusals;
mod schema;

/// More than enough for anything that has happened to be noticed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn open(database: &Database<'_>) -> Shared {
    Arc::new(database.open().await)
}

#[track_caller]
fn assert_corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Corrupt(_))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_one_database() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let (one, other) = (open(&database).await, open(&database).await);
    begin(&one, 1, 0).await;
    other.receive(&delivery("again", 1)).await.expect("the store takes it");
    let decided = other.decide(&id("again"), &start(1), at(1)).await.expect("it is there");
    assert_eq!(decided, Decided::Duplicate { job: spec(1).id() });
    let first = claimed(&other, "other", 1).await;
    assert!(claim(&one, "one", 1).await.is_none());
    drop(other);
    let second = claimed(&one, "one", 61).await;
    assert_eq!(told(&second.journal), "other claims, one claims after a death");
    assert_chained(&spec(1), &second.journal);
    assert_lost(one.append(&first.lease, 1, note("from the grave"), at(62)).await);
    assert_eq!(one.job(&spec(1).id()).await.expect("it is there").1, JobState::Running);
}

/// How a table of deliveries was read: by the index of those that were given up, and from its beginning to its end.
const READ: &str = "SELECT concat((SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'delivery_given_up'), ' by index, ', \
                    seq_scan, ' whole') FROM pg_stat_user_tables WHERE relname = 'delivery'";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_found_by_its_index() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let many = "INSERT INTO delivery (id, event, body, received_at, decide_after, decision) SELECT n::text, 'ping', '', n, n, \
                '{\"decision\":\"ignore\",\"because\":\"nobody asked\",\"is_given_up\":' || (n % 1000 = 0)::text || '}' \
                FROM generate_series(1, 5000) AS n; ANALYZE delivery";
    database.tamper(many).await;
    let before = database.text(READ).await;
    let store = open(&database).await;
    assert_eq!(store.given_up(9).await.expect("the store answers").len(), 5);
    // The server counts what a connection has read when that is over.
    drop(store);
    let counted = async {
        loop {
            let read = database.text(READ).await;
            if read != before {
                return read;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, counted).await.expect("it is counted"), "1 by index, 0 whole");
}

/// Waits until this process is told that there is a job.
async fn hears(store: &PostgresStore) {
    timeout(PATIENCE, store.signals().jobs.notified()).await.expect("it is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_hears_of_jobs_that_another_process_makes_and_hands_back() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let (server, worker) = (open(&database).await, database.open().await);
    begin(&server, 1, 0).await;
    hears(&worker).await;
    let first = claimed(&server, "one", 1).await;
    server.release(first.lease, at(1)).await.expect("the lease holds");
    hears(&worker).await;
}

/// The database is started again, or a router forgets the connection: it is made anew, and whoever waited looks again.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_end_are_made_anew() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let (server, worker) = (open(&database).await, database.open().await);
    worker.check().await.expect("the store can be written to");
    cluster.cut(&database.name).await;
    hears(&worker).await;
    worker.check().await.expect("the store can be written to again");
    begin(&server, 1, 0).await;
    hears(&worker).await;
    worker.claim("one", at(1), super::LEASE, Lanes::default()).await.expect("the store answers").expect("a job is free");
}

/// A claim comes upon an issue whose older job somebody else is taking at this moment: it waits for the end of that, and then
/// leaves the issue alone.
#[tokio::test(flavor = "multi_thread")]
async fn two_claims_at_the_same_moment_never_share_an_issue() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let store = open(&database).await;
    for comment in [1, 2] {
        begin_of(&store, IssueNumber(3), comment, 0).await;
    }
    let job = spec_of(IssueNumber(3), 1).id();
    let taking = database.begin(&format!("UPDATE job SET lease_until = 1, fence = 1 WHERE id = '{job}'")).await;
    let claiming = tokio::spawn(async move { claim(&store, "two", 1).await });
    timeout(PATIENCE, database.until_so_many_wait(1)).await.expect("it waits");
    taking.commit().await;
    let claim = claiming.await.expect("it does not panic").expect("the lease of the other job has run out");
    assert_eq!(*claim.lease.job(), job, "the one that was begun comes first");
}

/// Two processes look at what was spent before either has reserved anything; each finds room, and there is room for one.
#[tokio::test(flavor = "multi_thread")]
async fn two_reservations_at_the_same_moment_never_pass_a_limit() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let limits = Limits { everything: Limit { tokens: Some(100), cost_microusd: None }, ..Limits::default() };
    let most = Spending { tokens: 60, cost_microusd: 0 };
    let mut reserving = tokio::task::JoinSet::new();
    // It lets them look and keeps them from writing.
    let held = database.begin("LOCK TABLE spending IN SHARE MODE").await;
    for comment in [1, 2] {
        let store = open(&database).await;
        begin(&store, comment, 0).await;
        let lease = claimed(&store, "one", 1).await.lease;
        reserving.spawn(async move { store.reserve(&lease, most, &limits, at(2)).await.expect("the lease holds") });
    }
    timeout(PATIENCE, database.until_so_many_wait(2)).await.expect("they wait");
    held.commit().await;
    let reserved = reserving.join_all().await;
    assert_eq!(reserved.iter().filter(|reserved| **reserved == Reserved::Taken).count(), 1, "{reserved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_journal_is_noticed() {
    let Some(cluster) = cluster().await else { return };
    let change_text = "UPDATE entry SET kind = replace(kind, 'looks', 'Looks') WHERE seq = 1";
    let change_time = "UPDATE entry SET at = at + 1 WHERE seq = 0";
    let change_digest = "UPDATE entry SET digest = 'none' WHERE seq = 1";
    let change_request = "UPDATE job SET spec = replace(spec, 'ada', 'eve')";
    let leave_out = "DELETE FROM entry WHERE seq = 1";
    for sql in [change_text, change_time, change_digest, change_request, leave_out] {
        let database = cluster.database().await;
        let store = open(&database).await;
        begin(&store, 1, 0).await;
        let claim = claimed(&store, "one", 1).await;
        store.append(&claim.lease, 1, note("looks"), at(2)).await.expect("the lease holds");
        store.append(&claim.lease, 2, note("edits"), at(3)).await.expect("the lease holds");
        database.tamper(sql).await;
        assert_corrupt(store.journal(&spec(1).id(), 0).await);
        assert_corrupt(store.append(&claim.lease, 0, note("goes on"), at(4)).await);
        assert_corrupt(store.claim("two", at(100), super::LEASE, Lanes::default()).await.map(|_| sql));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tampered_rows_are_noticed_and_keep_nobody_from_the_others() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let store = open(&database).await;
    begin(&store, 1, 0).await;
    let artifact = store.put_artifact(b"bytes".to_vec(), at(1)).await.expect("the store takes it");
    let first = claimed(&store, "one", 1).await;
    store.release(first.lease, at(1)).await.expect("the lease holds");
    begin(&store, 2, 2).await;
    database
        .tamper("UPDATE artifact SET bytes = '\\x00'; UPDATE delivery SET decision = '{}'; UPDATE entry SET at = at + 1")
        .await;
    assert_corrupt(store.artifact(&artifact).await);
    assert_corrupt(store.decision(&id("delivery-1")).await);
    assert_corrupt(
        store.claim("two", at(3), super::LEASE, Lanes::default()).await.map(|claim| claim.map(|claim| claim.spec.key)),
    );
    assert_eq!(claimed(&store, "two", 3).await.spec, spec(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_kept_small_and_one_that_cannot_be_read_does_not_block_the_others() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let store = open(&database).await;
    let body = r#"{"url":"https://api.github.example/repos/ada/engine/issues/1/comments"},"#.repeat(1000).into_bytes();
    let long = RawDelivery { body, ..delivery("long", 1) };
    store.receive(&long).await.expect("the store takes it");
    let kept: usize = database.text("SELECT length(body)::text FROM delivery").await.parse().expect("it is a number");
    assert!(kept * 10 < long.body.len(), "{kept} of {} bytes", long.body.len());
    for name in ["broken", "odd"] {
        store.receive(&RawDelivery { body: vec![b' '; 1000], ..delivery(name, 1) }).await.expect("the store takes it");
    }
    let broken = "UPDATE delivery SET body = '\\x28b52f' WHERE id = 'broken'; UPDATE delivery SET encoding = 9 WHERE id = 'odd'";
    database.tamper(broken).await;
    assert_eq!(store.undecided(at(2), 9).await.expect("the store answers"), [fresh(long)]);
    for name in ["broken", "odd"] {
        match store.decision(&id(name)).await.expect("it is there") {
            Some(Decision::Ignore { because, is_given_up: true }) => {
                assert!(because.contains("body cannot be read"), "{because}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_write_promises_nothing() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let store = open(&database).await;
    store.check().await.expect("the store can be written to");
    // As a standby does, or a primary that was demoted.
    database.tamper(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name)).await;
    cluster.cut(&database.name).await;
    let received = store.receive(&delivery("b", 0)).await;
    assert!(matches!(received, Err(StoreError::Unavailable(_))), "{received:?}");
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
}

/// A commit that was answered is on disk, whatever the role's or the database's defaults are; here they are the cluster's.
#[tokio::test(flavor = "multi_thread")]
async fn commits_are_awaited_although_the_server_does_not_by_default() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let store = open(&database).await;
    database
        .tamper(
            "CREATE TABLE seen (was TEXT);
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit') || ' ' || current_setting('statement_timeout')
            || ' ' || current_setting('transaction_isolation')); RETURN NEW; END $$;
         CREATE TRIGGER look AFTER INSERT ON delivery EXECUTE FUNCTION look()",
        )
        .await;
    store.receive(&delivery("a", 0)).await.expect("the store takes it");
    assert_eq!(database.text("SELECT string_agg(was, ', ') FROM seen").await, "on 30s read committed");
}
