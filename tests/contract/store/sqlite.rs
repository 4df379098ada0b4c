//! What only a store on disk promises: it survives, it notices tampering, and it knows its schema.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use patchwright::store::ledger::{self, Limits, Reserved, Scope, Spending};
use patchwright::store::listing::Wanted;
use patchwright::store::sqlite::SqliteStore;
use patchwright::store::{Decided, JobState, Lanes, StoreError, Waiting};
use patchwright_domain::event::RawDelivery;
use patchwright_domain::policy::Decision;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use super::{Shared, assert_chained, at, begin, claim, claimed, delivery, fresh, id, note, spec, start, told};

/// How long another thread may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Disk {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let file = folder.path().join("store.db");
        Self { _folder: folder, file }
    }

    async fn open(&self) -> Shared {
        Arc::new(SqliteStore::open(self.file.clone()).await.expect("the file can be opened"))
    }
}

fn tamper(file: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(file).expect("the file is a database");
    connection.execute_batch(sql).expect("the statement is well-formed");
}

#[track_caller]
fn assert_corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Corrupt(_))), "{result:?}");
}

#[tokio::test]
async fn what_was_answered_survives_the_process() {
    let disk = Disk::new();
    let store = disk.open().await;
    begin(&store, 1, 0).await;
    store.receive(&delivery("waits", 1)).await.expect("the store takes it");
    store.postpone(&id("waits"), at(5)).await.expect("it is there");
    let first = claimed(&store, "one", 1).await;
    store.append(&first.lease, 1, note("looks"), at(2)).await.expect("the lease holds");
    let artifact = store.put_artifact(b"bytes".to_vec(), at(1)).await.expect("the store takes it");
    drop(store);

    let store = disk.open().await;
    assert_eq!(
        store.undecided(at(5), 9).await.expect("the store answers"),
        [Waiting { delivery: delivery("waits", 1), n_postponed: 1 }]
    );
    assert_eq!(store.postpone(&id("waits"), at(6)).await.expect("it is there"), 2);
    assert_eq!(store.decision(&id("delivery-1")).await.expect("it is there"), Some(start(1)));
    assert_eq!(store.job(&spec(1).id()).await.expect("it is there"), (spec(1), JobState::Running));
    assert_eq!(store.artifact(&artifact).await.expect("it is there"), b"bytes");
    assert!(claim(&store, "two", 60).await.is_none(), "the lease outlives the process");
    store.append(&first.lease, 2, note("edits"), at(3)).await.expect("the lease holds");
    let second = claimed(&store, "two", 61).await;
    assert_eq!(told(&second.journal), "one claims, looks, edits, two claims after a death");
    assert_chained(&spec(1), &second.journal);
}

#[tokio::test]
async fn two_processes_share_one_file() {
    let disk = Disk::new();
    let (one, other) = (disk.open().await, disk.open().await);
    begin(&one, 1, 0).await;
    other.receive(&delivery("again", 1)).await.expect("the store takes it");
    let decided = other.decide(&id("again"), &start(1), at(1)).await.expect("it is there");
    assert_eq!(decided, Decided::Duplicate { job: spec(1).id() });
    let _claim = claimed(&other, "other", 1).await;
    assert!(claim(&one, "one", 1).await.is_none());
}

#[tokio::test]
async fn a_tampered_journal_is_noticed() {
    let change_text = "UPDATE entry SET kind = replace(kind, 'looks', 'Looks') WHERE seq = 1";
    let change_time = "UPDATE entry SET at = at + 1 WHERE seq = 0";
    let change_digest = "UPDATE entry SET digest = 'none' WHERE seq = 1";
    let change_request = "UPDATE job SET spec = replace(spec, 'ada', 'eve')";
    let leave_out = "DELETE FROM entry WHERE seq = 1";
    for sql in [change_text, change_time, change_digest, change_request, leave_out] {
        let disk = Disk::new();
        let store = disk.open().await;
        begin(&store, 1, 0).await;
        let claim = claimed(&store, "one", 1).await;
        store.append(&claim.lease, 1, note("looks"), at(2)).await.expect("the lease holds");
        store.append(&claim.lease, 2, note("edits"), at(3)).await.expect("the lease holds");
        tamper(&disk.file, sql);
        assert_corrupt(store.journal(&spec(1).id(), 0).await);
        assert_corrupt(store.append(&claim.lease, 0, note("goes on"), at(4)).await);
        assert_corrupt(store.claim("two", at(100), super::LEASE, Lanes::default()).await.map(|_| sql));
    }
}

#[tokio::test]
async fn tampered_rows_are_noticed() {
    let disk = Disk::new();
    let store = disk.open().await;
    begin(&store, 1, 0).await;
    let artifact = store.put_artifact(b"bytes".to_vec(), at(1)).await.expect("the store takes it");
    tamper(&disk.file, "UPDATE artifact SET bytes = x'00'; UPDATE delivery SET decision = '{}'; UPDATE job SET outcome = 'won'");
    assert_corrupt(store.artifact(&artifact).await);
    assert_corrupt(store.decision(&id("delivery-1")).await);
    assert_corrupt(store.job(&spec(1).id()).await);
}

/// One job that cannot be read does not keep the workers from all others.
#[tokio::test]
async fn a_corrupt_job_does_not_block_the_others() {
    let disk = Disk::new();
    let store = disk.open().await;
    begin(&store, 1, 0).await;
    let first = claimed(&store, "one", 1).await;
    store.release(first.lease, at(1)).await.expect("the lease holds");
    begin(&store, 2, 2).await;
    tamper(&disk.file, "UPDATE entry SET at = at + 1");
    assert_corrupt(
        store.claim("two", at(3), super::LEASE, Lanes::default()).await.map(|claim| claim.map(|claim| claim.spec.key)),
    );
    assert_eq!(claimed(&store, "two", 3).await.spec, spec(2));
}

fn counted(file: &Path, sql: &str) -> usize {
    let connection = rusqlite::Connection::open(file).expect("the file is a database");
    let number: i64 = connection.query_row(sql, [], |row| row.get(0)).expect("the statement is well-formed");
    usize::try_from(number).expect("it is none below zero")
}

/// GitHub's payloads shrink to a tenth; what an earlier version of this program stored is read as it is.
#[tokio::test]
async fn bodies_are_kept_small_and_those_of_earlier_programs_are_read() {
    let disk = Disk::new();
    let store = disk.open().await;
    let body = r#"{"url":"https://api.github.example/repos/ada/engine/issues/1/comments"},"#.repeat(1000).into_bytes();
    let long = RawDelivery { body, ..delivery("long", 1) };
    store.receive(&long).await.expect("the store takes it");
    let kept = counted(&disk.file, "SELECT length(body) FROM delivery");
    assert!(kept * 10 < long.body.len(), "{kept} of {} bytes", long.body.len());
    let earlier = "INSERT INTO delivery (id, event, body, received_at, decide_after)
                   SELECT 'earlier', event, CAST('{}' AS BLOB), received_at + 1, decide_after FROM delivery";
    tamper(&disk.file, earlier);
    let waiting = store.undecided(at(9), 9).await.expect("the store answers");
    assert_eq!((waiting.len(), &waiting[0].delivery, waiting[1].delivery.body.as_slice()), (2, &long, &b"{}"[..]));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_does_not_block_the_others() {
    let disk = Disk::new();
    let store = disk.open().await;
    for name in ["broken", "odd", "whole"] {
        store.receive(&RawDelivery { body: vec![b' '; 1000], ..delivery(name, 1) }).await.expect("the store takes it");
    }
    tamper(
        &disk.file,
        "UPDATE delivery SET body = x'28b52f' WHERE id = 'broken'; UPDATE delivery SET encoding = 9 WHERE id = 'odd'",
    );
    let waiting = store.undecided(at(2), 9).await.expect("the store answers");
    assert_eq!(waiting.iter().map(|waiting| waiting.delivery.id.as_str()).collect::<Vec<_>>(), ["whole"]);
    for name in ["broken", "odd"] {
        match store.decision(&id(name)).await.expect("it is there") {
            Some(Decision::Ignore { because, is_given_up: true }) => {
                assert!(because.contains("body cannot be read"), "{because}")
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The writer alone would let it grow to 64 MiB first, and then have a commit wait for it.
#[tokio::test]
async fn the_log_is_moved_into_the_database_beside_the_writer() {
    let disk = Disk::new();
    let store = disk.open().await;
    let written = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).expect("files can be watched");
    inotify::add_watch(&written, &disk.file, inotify::WatchFlags::MODIFY).expect("the file is there");
    let artifact =
        store.put_artifact((0..200_000_u32).flat_map(u32::to_le_bytes).collect(), at(1)).await.expect("the store takes it");
    let patience = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    while std::fs::metadata(&disk.file).expect("it is there").len() < 800_000 {
        let n_ready = poll(&mut [PollFd::new(&written, PollFlags::IN)], Some(&patience)).expect("it can be waited for");
        assert_eq!(n_ready, 1, "the log is not moved");
        while rustix::io::read(&written, &mut [0; 4096]).is_ok() {}
    }
    assert_eq!(store.artifact(&artifact).await.expect("it is there").len(), 800_000);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let disk = Disk::new();
    drop(disk.open().await);
    tamper(&disk.file, "PRAGMA user_version = 999");
    let refused = SqliteStore::open(disk.file.clone()).await.map(|_| ());
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("newer version")), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_is_none_is_told() {
    let disk = Disk::new();
    std::fs::write(&disk.file, "not a database, and long enough to be seen as such: ".repeat(40)).expect("the folder is there");
    for path in [disk.file.clone(), disk.file.join("below")] {
        let refused = SqliteStore::open(path).await.map(|_| ());
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
}

/// The schema of the first release.
const FIRST: &str = include_str!("../../../app/migrations/0001_first.sql");

/// A database of the first release is brought up to date with everything that is in it.
#[tokio::test]
async fn an_old_database_gets_a_ledger_and_keeps_its_rows() {
    let disk = Disk::new();
    tamper(&disk.file, &format!("{FIRST}\nPRAGMA user_version = 1"));
    let spec_text = serde_json::to_string(&spec(1)).expect("a specification is JSON");
    let connection = rusqlite::Connection::open(&disk.file).expect("the file is a database");
    let sql = "INSERT INTO job (id, key, repo, issue, spec, created_at, run_after) VALUES (?1, ?2, 7, 3, ?3, 1, 1)";
    connection.execute(sql, (spec(1).id().as_str(), spec(1).key.as_str(), spec_text)).expect("the row is sound");
    let sql = "INSERT INTO delivery (id, event, body, received_at, decide_after) VALUES ('a', 'issues', x'61', ?1, ?1)";
    connection.execute(sql, [at(0).as_millisecond()]).expect("the row is sound");
    drop(connection);

    for seconds in [1, 100] {
        let store = disk.open().await;
        assert_eq!(store.undecided(at(5), 9).await.expect("the store answers"), [fresh(delivery("a", 0))]);
        let claim = claimed(&store, "one", seconds).await;
        assert_eq!(claim.spec, spec(1));
        let most = Spending { tokens: 70, cost_microusd: 1 };
        let reserved = store.reserve(&claim.lease, most, &Limits::default(), at(seconds)).await.expect("the lease holds");
        assert_eq!(reserved, Reserved::Taken);
    }
    let spent = disk.open().await.spending(Scope::Repository(7), ledger::day(at(0))).await.expect("the store answers");
    assert_eq!(spent, Spending { tokens: 140, cost_microusd: 2 }, "it outlives the process");
}

/// Two programs that start at once on a fresh file: neither trips over the other's schema.
#[tokio::test]
async fn a_fresh_file_can_be_opened_by_several_at_once() {
    let disk = Disk::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let file = disk.file.clone();
        tasks.spawn(async move { SqliteStore::open(file).await.map(|_| ()) });
    }
    for opened in tasks.join_all().await {
        opened.expect("the file can be opened");
    }
}

#[tokio::test]
async fn a_store_that_cannot_write_promises_nothing() {
    let disk = Disk::new();
    let store = disk.open().await;
    store.receive(&delivery("a", 0)).await.expect("the store takes it");
    tamper(&disk.file, "ALTER TABLE delivery RENAME TO gone");
    let received = store.receive(&delivery("b", 0)).await;
    assert!(matches!(received, Err(StoreError::Unavailable(_))), "{received:?}");
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    tamper(&disk.file, "ALTER TABLE gone RENAME TO delivery");
    store.check().await.expect("the store can be written to again");
    store.decide(&id("a"), &Decision::ignore("nothing"), at(1)).await.expect("it is there");
}

/// What the log of what is written grows by, as long as nobody lets it begin anew.
#[tokio::test]
async fn bytes_that_are_kept_again_are_not_written_again() {
    let disk = Disk::new();
    let store = disk.open().await;
    let bytes: Vec<u8> = (0..1_u32 << 20).flat_map(u32::to_le_bytes).collect();
    let reader = rusqlite::Connection::open(&disk.file).expect("the file is a database");
    reader.execute_batch("BEGIN; SELECT count(*) FROM artifact").expect("the statement is well-formed");
    let log = || std::fs::metadata(disk.file.with_extension("db-wal")).expect("it is there").len();
    let mut grown = Vec::new();
    for seconds in [1, 2] {
        let before = log();
        store.put_artifact(bytes.clone(), at(seconds)).await.expect("the store takes it");
        grown.push(log() - before);
    }
    assert!(grown[0] > 4 << 20 && grown[1] < 64 << 10, "{grown:?}");
    let seen = reader.query_row("SELECT count(*) FROM artifact", [], |row| row.get::<_, i64>(0));
    assert_eq!(seen.expect("it can be read"), 0, "what was read is of before, so the log was not begun anew");
    assert_eq!(counted(&disk.file, &format!("SELECT count(*) FROM artifact WHERE kept_at = {}", at(2).as_millisecond())), 1);
}

/// Who looks for what went wrong sees it all the more.
#[tokio::test]
async fn a_job_that_cannot_be_read_is_in_the_list() {
    let disk = Disk::new();
    let store = disk.open().await;
    begin(&store, 1, 0).await;
    begin(&store, 2, 1).await;
    tamper(&disk.file, &format!("UPDATE job SET spec = 'nothing' WHERE id = '{}'", spec(1).id()));
    let listed = store.jobs(&Wanted::default(), 9, at(9)).await.expect("the store answers");
    assert_eq!(listed.iter().map(|listed| listed.job.is_ok()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(listed[1].id, spec(1).id().as_str());
}

/// A look that writes nothing succeeds on a disk on which nothing can be written.
#[tokio::test]
async fn the_look_whether_it_can_be_written_to_writes() {
    let disk = Disk::new();
    let store = disk.open().await;
    let reader = rusqlite::Connection::open(&disk.file).expect("the file is a database");
    reader.execute_batch("BEGIN; SELECT count(*) FROM artifact").expect("the statement is well-formed");
    let log = || std::fs::metadata(disk.file.with_extension("db-wal")).expect("it is there").len();
    let before = log();
    store.check().await.expect("it can be written to");
    assert!(log() > before, "{before} bytes");
}

#[tokio::test]
async fn who_only_looks_keeps_no_writer_waiting_and_is_kept_waiting_by_none() {
    let disk = Disk::new();
    let store = disk.open().await;
    begin(&store, 1, 0).await;
    let looking: Shared = Arc::new(SqliteStore::open_to_read(disk.file.clone()).await.expect("it is there"));
    let writer = rusqlite::Connection::open(&disk.file).expect("the file is a database");
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE job SET handed_back = 0").expect("nobody else writes");
    let found = looking.jobs(&Wanted::default(), 10, at(9)).await.expect("nobody is in its way");
    assert_eq!(found.len(), 1);
    writer.execute_batch("ROLLBACK").expect("it has begun");
    let refused = looking.receive(&delivery("d", 1)).await.expect_err("it only looks");
    assert!(refused.to_string().contains("readonly"), "{refused}");
}

#[tokio::test]
async fn who_only_looks_at_an_older_file_leaves_it_as_it_is() {
    let disk = Disk::new();
    drop(disk.open().await);
    tamper(&disk.file, "PRAGMA user_version = 4");
    let refused = SqliteStore::open_to_read(disk.file.clone()).await.expect_err("another program wrote it");
    assert!(refused.to_string().contains("another version of this program"), "{refused}");
    let version: u32 = rusqlite::Connection::open(&disk.file)
        .and_then(|file| file.pragma_query_value(None, "user_version", |row| row.get(0)))
        .expect("the file is a database");
    assert_eq!(version, 4);
}
