//! Moving what is committed from the write-ahead log into the database, beside the writer and not in its commits.
//!
//! SQLite itself does it in whatever commit makes the log long, and all who wait for that commit wait for it, too. Here a
//! connection of its own does it shortly after each commit. It never waits for the writer, nor the writer for it.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;

use super::{BUSY_TIMEOUT, StoreError};

/// How long it waits after a commit, in which others may follow.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest log, in pages of 4 KiB, behind which the writer does it itself: a log is begun anew only when all of it was
/// moved, which may not come to pass while commit follows commit.
const LOG_PAGES_MAX: u32 = 16 * 1024;

/// Told of every commit. It ends when this is dropped.
pub(super) struct Checkpoints(SyncSender<()>);

impl Checkpoints {
    /// Starts it for the file that a writer has open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where there can be no second connection or no thread.
    pub(super) fn start(path: &Path, writer: &Connection) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?;
        let (commits, committed) = sync_channel(1);
        let thread = std::thread::Builder::new().name("sqlite-checkpoint".into()).spawn(move || run(&connection, &committed));
        thread.map_err(|e| StoreError::Unavailable(format!("no thread for checkpoints: {e}")))?;
        Ok(Self(commits))
    }

    /// Says that there is something to move; one word of it is enough.
    pub(super) fn committed(&self) {
        let _ = self.0.try_send(());
    }
}

fn run(connection: &Connection, committed: &Receiver<()>) {
    while committed.recv().is_ok() {
        std::thread::sleep(PAUSE);
        // What cannot be moved now is moved the next time, or by the writer.
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!(error = %error, "the store's write-ahead log cannot be moved into its database");
        }
    }
}
