//! Where processes keep what they must not forget: looked at, listened to and tampered with from outside.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde_json::Value;
use sqlx::postgres::PgListener;
use tokio::io::unix::AsyncFd;

use super::process::PATIENCE;
use crate::support::postgres::Database;

/// Of all journals their entries in order, each with its job.
const ENTRIES_OF_FILE: &str = "SELECT json_group_array(json_object('job', job, 'entry', json(kind))) \
                               FROM (SELECT * FROM entry ORDER BY job, seq)";
const ENTRIES_OF_DATABASE: &str = "SELECT coalesce(json_agg(json_build_object('job', job, 'entry', kind::json) ORDER BY job, seq), \
                                   '[]'::json)::text FROM entry";
const OVER: &str = "SELECT CAST(count(*) AS TEXT) FROM job WHERE outcome IS NOT NULL";
/// What was put off or handed back is due.
const DUE: [&str; 2] = [
    "UPDATE job SET run_after = created_at WHERE lease_until IS NULL AND outcome IS NULL AND run_after > created_at",
    "UPDATE delivery SET decide_after = received_at WHERE decision IS NULL AND decide_after > received_at",
];
/// Has PostgreSQL tell of jobs that are handed back and renewed, beside the entries.
const TELL_OF_JOBS: &str = "DROP TRIGGER IF EXISTS tell_too ON job; \
                            CREATE TRIGGER tell_too AFTER UPDATE ON job EXECUTE FUNCTION tell_entry()";

/// One job's name and the entries of its journal.
pub(crate) type Journal = (String, Vec<Value>);

/// A store as it lies there.
pub(crate) enum Storage<'c> {
    /// SQLite's file, of one process.
    File(PathBuf),
    /// PostgreSQL's database, of any number.
    Database(Database<'c>),
}

impl Storage<'_> {
    /// What is read of the store now; nothing where it has no schema yet.
    pub(crate) async fn journals(&self) -> Vec<Journal> {
        let text = match self {
            Self::File(file) => read(file).unwrap_or_else(|_| "[]".to_owned()),
            Self::Database(database) => database.text(ENTRIES_OF_DATABASE).await,
        };
        let rows: Vec<Value> = serde_json::from_str(&text).expect("it is JSON");
        let mut journals: Vec<Journal> = Vec::new();
        for row in rows {
            let job = row["job"].as_str().expect("it is a name");
            match journals.last_mut() {
                Some((last, entries)) if last == job => entries.push(row["entry"].clone()),
                _ => journals.push((job.to_owned(), vec![row["entry"].clone()])),
            }
        }
        journals
    }

    /// How many jobs have ended.
    pub(crate) async fn n_over(&self) -> usize {
        let text = match self {
            Self::File(file) => open(file).and_then(|store| store.query_row(OVER, (), |row| row.get(0))).expect("it is there"),
            Self::Database(database) => database.text(OVER).await,
        };
        text.parse().expect("it is a number")
    }

    /// Ends the leases of a process that is no more, for nobody waits for a minute until they end.
    pub(crate) async fn bury(&self, process: u32) {
        let sql = format!(
            "UPDATE job SET lease_until = 0 WHERE lease_until IS NOT NULL AND (SELECT kind FROM entry WHERE entry.job = job.id \
             AND kind LIKE '%\"entry\":\"claimed\"%' ORDER BY seq DESC LIMIT 1) LIKE '%-{process}-_\"%'"
        );
        self.tamper(&sql).await;
    }

    /// Lets nothing wait for its time.
    pub(crate) async fn hurry(&self) {
        for sql in DUE {
            self.tamper(sql).await;
        }
    }

    /// Changes rows, and has whoever waits for a job look where any are changed. With a file they look by themselves.
    async fn tamper(&self, sql: &str) {
        match self {
            Self::File(file) => drop(open(file).and_then(|store| store.execute(sql, ())).expect("it is well formed")),
            Self::Database(database) => {
                let tell = format!("WITH changed AS ({sql} RETURNING 1) SELECT pg_notify('patchwright_job', '') FROM changed");
                database.tamper(&tell).await;
            }
        }
    }

    /// Hears of whatever is written from now on. Its schema must be there.
    pub(crate) async fn listen(&self) -> Ear {
        match self {
            Self::File(file) => {
                let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("the kernel has it");
                let folder = file.parent().expect("it is in a folder");
                inotify::add_watch(&watch, folder, WatchFlags::MODIFY).expect("the folder is there");
                #[expect(deprecated, reason = "what replaces it is unsafe, and the descriptor is its own here")]
                let watch = AsyncFd::new(watch);
                Ear::File(watch.expect("it can be waited for"))
            }
            Self::Database(database) => {
                let listener = database.told_of("entry").await;
                database.tamper(TELL_OF_JOBS).await;
                Ear::Database(Box::new(listener))
            }
        }
    }
}

fn open(file: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let store = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    store.busy_timeout(PATIENCE)?;
    Ok(store)
}

fn read(file: &Path) -> rusqlite::Result<String> {
    open(file)?.query_row(ENTRIES_OF_FILE, (), |row| row.get(0))
}

/// What hears of writes.
pub(crate) enum Ear {
    File(AsyncFd<OwnedFd>),
    Database(Box<PgListener>),
}

impl Ear {
    /// Waits until something was written since the last time.
    pub(crate) async fn hears(&mut self) {
        match self {
            Self::File(watch) => {
                let mut ready = watch.readable().await.expect("it can be waited for");
                let mut room = [MaybeUninit::uninit(); 4096];
                // All that was told by now is one thing.
                while rustix::io::read(ready.get_inner(), &mut room).is_ok_and(|(told, _)| !told.is_empty()) {}
                ready.clear_ready();
            }
            Self::Database(listener) => {
                listener.recv().await.expect("the database is there");
            }
        }
    }
}
