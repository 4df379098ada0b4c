//! The rows of tests that were seen to end differently on the same commit.

use std::collections::BTreeSet;

use jiff::Timestamp;
use patchwright_domain::journal::Digest;
use sqlx::PgConnection;

use super::super::records::milliseconds;
use super::{FLAKY_TESTS_MAX, StoreError};

/// The tests come in one order everywhere, so that two who remember the same ones never wait for each other in a circle.
pub(super) async fn remember(
    tx: &mut PgConnection,
    repo: i64,
    tests: BTreeSet<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let digests: Vec<String> = tests.iter().map(|test| Digest::of(test.as_bytes()).to_string()).collect();
    let names: Vec<&[u8]> = tests.iter().map(|test| test.as_bytes()).collect();
    let sql = "INSERT INTO flaky_test (repo, digest, test, seen_at) \
               SELECT $1, digest, test, $4 FROM unnest($2::text[], $3::bytea[]) AS seen (digest, test) \
               ON CONFLICT (repo, digest) DO UPDATE SET seen_at = greatest(flaky_test.seen_at, excluded.seen_at)";
    let rows = sqlx::query(sql).bind(repo).bind(digests).bind(names).bind(milliseconds(now));
    rows.execute(&mut *tx).await?;
    let sql = "DELETE FROM flaky_test WHERE repo = $1 AND digest NOT IN \
               (SELECT digest FROM flaky_test WHERE repo = $1 ORDER BY seen_at DESC, test LIMIT $2)";
    sqlx::query(sql).bind(repo).bind(i64::from(FLAKY_TESTS_MAX)).execute(tx).await?;
    Ok(())
}

/// Those that were seen so since.
pub(super) async fn seen(tx: &mut PgConnection, repo: i64, since: i64) -> Result<BTreeSet<String>, StoreError> {
    let row = sqlx::query_scalar("SELECT test FROM flaky_test WHERE repo = $1 AND seen_at >= $2").bind(repo).bind(since);
    let names: Vec<Vec<u8>> = row.fetch_all(tx).await?;
    let name = |bytes| String::from_utf8(bytes).map_err(|e| StoreError::Corrupt(format!("a test's name: {e}")));
    names.into_iter().map(name).collect()
}
