//! What is particular to PostgreSQL: several processes, what they hear of each other, tampered rows.

use std::sync::Arc;

use patchwright::store::Decided;

use super::{Shared, assert_chained, at, begin, claim, claimed, delivery, id, note, spec, start, told};
use crate::support::postgres::{Database, cluster};

async fn open(database: &Database<'_>) -> Shared {
    Arc::new(database.open().await)
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
    super::assert_lost(one.append(&first.lease, 1, note("from the grave"), at(62)).await);
}
