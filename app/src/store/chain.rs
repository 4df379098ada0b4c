//! Journals in rows, the same in every database: each entry is chained to the one before, the first to the job's specification.

use jiff::Timestamp;
use patchwright_domain::job::JobId;
use patchwright_domain::journal::{Digest, Entry, EntryKind};

use super::StoreError;
use super::records::{milliseconds, read_digest, timestamp};

/// An entry as it is kept.
pub(super) struct Row {
    pub(super) seq: u32,
    pub(super) at: i64,
    pub(super) kind: String,
    pub(super) digest: String,
}

/// Where a journal ends, or what is known of it: what the next entry is chained to.
pub(super) struct End {
    seq: u32,
    link: Digest,
}

impl End {
    /// Nothing is written yet.
    pub(super) fn before_all(spec: &str) -> Self {
        Self { seq: 0, link: Digest::of(spec.as_bytes()) }
    }

    /// This entry is the last.
    pub(super) fn behind(seq: u32, digest: &str) -> Result<Self, StoreError> {
        Ok(Self { seq: seq.saturating_add(1), link: read_digest(digest)? })
    }

    /// The entry that comes next, and its row.
    pub(super) fn write(self, now: Timestamp, kind: EntryKind) -> (Entry, Row) {
        let (entry, text) = Entry::write(self.seq, now, self.link, kind);
        let row = Row { seq: entry.seq, at: milliseconds(now), kind: text, digest: entry.digest.to_string() };
        (entry, row)
    }

    /// Reads the rows that follow, and says where they end.
    pub(super) fn read(mut self, job: &JobId, rows: impl IntoIterator<Item = Row>) -> Result<(Vec<Entry>, Self), StoreError> {
        let mut entries = Vec::new();
        for row in rows {
            let entry = Entry::read(row.seq, timestamp(row.at)?, self.link, &row.kind, read_digest(&row.digest)?)
                .map_err(|e| StoreError::Corrupt(format!("job {job}: {e}")))?;
            self = Self { seq: row.seq.saturating_add(1), link: entry.digest };
            entries.push(entry);
        }
        Ok((entries, self))
    }
}

/// Reads rows of which the first is the entry `known`, which its reader has.
pub(super) fn read_on(job: &JobId, known: u32, rows: Vec<Row>) -> Result<(Vec<Entry>, End), StoreError> {
    let mut rows = rows.into_iter();
    let first = rows.next().filter(|row| row.seq == known);
    let first = first.ok_or_else(|| StoreError::Unknown { what: format!("entry {known} of job {job}") })?;
    End::behind(known, &first.digest)?.read(job, rows)
}
