//! The schema is brought up to date in steps, and programs of two versions go on side by side.

use std::sync::Arc;

use jiff::Timestamp;
use patchwright::store::postgres::schema::{Kind, Migration, Schema};
use patchwright::store::postgres::{PostgresStore, Refused, Settings, migrate, state};

use super::super::{at, begin, claimed, completed, note, spec, told};
use super::{Shared, open};
use crate::support::postgres::{Database, NEXT, cluster, later};

/// What a later version takes away, once nobody needs it.
const CONTRACTION: Migration = Migration {
    number: 901,
    name: "how a job came back is told elsewhere",
    kind: Kind::Contracts,
    sql: "ALTER TABLE job DROP COLUMN handed_back",
};

fn settings(database: &Database<'_>, schema: Schema, migrate: bool) -> Settings {
    Settings { address: database.address(), migrate, schema }
}

async fn started(settings: Settings) -> Result<PostgresStore, Refused> {
    PostgresStore::open(settings, Timestamp::UNIX_EPOCH).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_brought_up_to_date_where_that_is_wanted() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.empty_database().await;
    let refused = started(settings(&database, Schema::default(), false)).await.map(|_| ()).expect_err("it has no tables");
    insta::assert_snapshot!(refused, @"the database's schema is older than this program: it lacks step 1 (first); run `patchwright migrate` with a role that may change the schema, or set `store.migrate = true`");
    let store: Shared = Arc::new(started(settings(&database, Schema::default(), true)).await.expect("it makes them"));
    begin(&store, 1, 0).await;
    assert_eq!(told(&claimed(&store, "one", 1).await.journal), "one claims");
}

/// Of programs that start at once on an empty database each finds it up to date, whoever was first.
#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_database_can_be_opened_by_several_at_once() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.empty_database().await;
    let starting = (0..8).map(|_| started(settings(&database, later(), true)));
    for store in futures_util::future::join_all(starting).await {
        store.expect("the database can be used");
    }
    assert_eq!(database.text("SELECT string_agg(number::text, ' ' ORDER BY number) FROM schema_migration").await, "1 2 3 900");
}

/// A rolling restart: the later version expands the schema under a server that works, and a job goes from hand to hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_on_while_a_later_version_starts_beside_it() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let old = open(&database).await;
    begin(&old, 1, 0).await;
    let first = claimed(&old, "old", 1).await;
    let new: Shared = Arc::new(started(settings(&database, later(), true)).await.expect("it expands the schema"));
    old.append(&first.lease, 1, note("goes on"), at(2)).await.expect("the lease holds");
    begin(&old, 2, 3).await;
    old.release(first.lease, at(3)).await.expect("the lease holds");
    let second = claimed(&new, "new", 4).await;
    assert_eq!(told(&second.journal), "old claims, goes on, new claims");
    // The old version is started once more.
    let old = open(&database).await;
    new.append(&second.lease, 3, completed(), at(5)).await.expect("the lease holds");
    assert_eq!(claimed(&old, "old", 6).await.spec, spec(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_contracts_is_applied_by_hand_alone_and_refuses_older_programs() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let mut contracted = later();
    contracted.migrations.push(CONTRACTION);
    started(settings(&database, contracted.clone(), true)).await.expect("it starts without the contraction");
    let pending = |state: patchwright::store::postgres::schema::State| -> Vec<u32> {
        state.pending.iter().map(|migration| migration.number).collect()
    };
    assert_eq!(pending(state(&database.address(), &contracted).await.expect("it can be read")), [901]);
    open(&database).await;

    let applied = migrate(&database.address(), &contracted, at(0)).await.expect("it can be applied");
    assert_eq!(applied.iter().map(|migration| migration.number).collect::<Vec<_>>(), [901]);
    assert_eq!(pending(state(&database.address(), &contracted).await.expect("it can be read")), [0u32; 0]);
    for migrate in [true, false] {
        let refused = started(settings(&database, Schema::default(), migrate)).await.map(|_| ()).expect_err("it is too old");
        insta::allow_duplicates! { insta::assert_snapshot!(refused, @"the database was brought up to date by a newer version of this program, in a way that this one cannot work with: step 901 (how a job came back is told elsewhere); run that version, or restore a backup from before"); }
    }
}

/// All steps or none: one that fails leaves the database as it was, and says which it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_changes_nothing() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    let mut schema = later();
    let broken = Migration { number: 902, name: "broken", sql: "ALTER TABLE nowhere ADD COLUMN x TEXT", ..NEXT };
    schema.migrations.push(broken);
    let refused = started(settings(&database, schema, true)).await.map(|_| ()).expect_err("it cannot be applied");
    insta::assert_snapshot!(refused, @"step 902 (broken) cannot be applied, and nothing was changed: relation \"nowhere\" does not exist (42P01); see the server's log, and try again with `patchwright migrate`");
    assert_eq!(database.text("SELECT string_agg(number::text, ' ' ORDER BY number) FROM schema_migration").await, "1 2 3");
    open(&database).await;
}
