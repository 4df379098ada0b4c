//! A server that can be asked and not written to: its disk is full, or it is a copy of another one.

use jiff::Timestamp;
use patchwright::store::postgres::address::Address;
use patchwright::store::postgres::schema::Schema;
use patchwright::store::postgres::{PostgresStore, Settings};
use patchwright::store::{FULL, Store as _};
use patchwright_domain::event::RawDelivery;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{delivery, open};
use crate::support::mounts;
use crate::support::postgres::{PASSWORD, cluster, on_disk};

/// How large the disk is: a new cluster takes most of it.
const DISK: &str = "80m";
/// The most of it that others write, in lines of a million letters and in further files of a page.
const LINES: usize = 80;
const PAGES_MAX: usize = 64;

/// What others write on the server's disk, until there is no room.
async fn fill(connection: &mut PgConnection, folder: &str) {
    let mut copy = async |size: usize, lines: usize, name: &str| {
        let sql = format!("COPY (SELECT repeat('x', {size}) FROM generate_series(1, {lines})) TO '{folder}/data/{name}'");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.map(drop)
    };
    let full = copy(1_000_000, LINES, "other").await.expect_err("it does not fit");
    assert!(full.to_string().contains("No space left"), "{full}");
    // What was left over, since it was less than a write of many bytes.
    for page in 0..PAGES_MAX {
        if copy(4_000, 1, &format!("page-{page}")).await.is_err() {
            return;
        }
    }
    panic!("there is still room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_on_a_full_disk_is_not_ready_and_is_again_when_there_is_room() {
    if cluster().await.is_none() {
        return;
    }
    let Some(unshared) = mounts::of_root() else { return };
    let server = on_disk(unshared, DISK).await;
    let address = Address::parse(&server.url("postgres"), Some(&PASSWORD.into())).expect("it is one");
    let settings = Settings { address, migrate: true, schema: Schema::default() };
    let store = PostgresStore::open(settings, Timestamp::UNIX_EPOCH).await.expect("there is room");
    store.check().await.expect("there is room");

    let mut connection = PgConnection::connect_with(&server.options("postgres")).await.expect("it runs");
    let folder = server.folder.display().to_string();
    fill(&mut connection, &folder).await;
    // It does not get smaller, and is more than a page that is there has room for.
    let mut rng = fastrand::Rng::with_seed(7);
    let body = std::iter::repeat_with(|| rng.u8(..)).take(100_000).collect();
    let large = RawDelivery { body, ..delivery("large", 1) };
    let refused = store.receive(&large).await.expect_err("there is no room");
    assert_eq!(refused.told(), FULL, "{refused}");
    assert_eq!(refused.to_string().matches("not available").count(), 1, "{refused}");
    store.undecided(Timestamp::UNIX_EPOCH, 1).await.expect("it can be asked");
    let refused = store.check().await.expect_err("there is no room");
    assert_eq!(refused.told(), FULL, "{refused}");

    let empty = format!("COPY (SELECT 1 WHERE false) TO '{folder}/data/other'");
    sqlx::raw_sql(AssertSqlSafe(empty)).execute(&mut connection).await.expect("that takes no room");
    store.check().await.expect("there is room");
    store.receive(&large).await.expect("there is room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_is_not_ready() {
    let Some(cluster) = cluster().await else { return };
    let database = cluster.database().await;
    database.tamper(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name)).await;
    let store = open(&database).await;
    let refused = store.check().await.expect_err("it can be asked, and not written to");
    assert!(refused.to_string().ends_with("in a read-only transaction (25006)"), "{refused}");
    let refused = store.receive(&delivery("a", 1)).await.expect_err("it takes no writes");
    assert_eq!(refused.to_string().matches("not available").count(), 1, "{refused}");
}
