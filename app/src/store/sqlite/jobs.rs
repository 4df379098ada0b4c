//! The rows of jobs and their journals.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use patchwright_domain::event::IssueNumber;
use patchwright_domain::job::{JobId, JobKey, JobSpec};
use patchwright_domain::journal::{Entry, EntryKind, Outcome};
use patchwright_domain::policy::rates::{COUNTED_MAX, Recent};
use rusqlite::Savepoint;

use super::super::chain::{self, End, Row};
use super::super::records::{
    at_work_beside, beside, gives_way, later, milliseconds, number, read_spec, read_state, recent_answers, recent_work,
    user_number,
};
use super::{Asking, Claim, JobState, Lanes, Lease, StoreError, optional};

/// Adds a job and says whether it is new.
pub(super) fn insert(tx: &Savepoint<'_>, spec: &JobSpec, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "INSERT INTO job (id, key, repo, installation, issue, place, requested_by, spec, created_at, run_after, gives_way) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10) \
               ON CONFLICT DO NOTHING";
    let text = serde_json::to_string(spec).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let (repo, installation) = (number(spec.repo.id)?, number(spec.repo.installation)?);
    let issue = spec.task.issue().map(|issue| number(issue.0)).transpose()?;
    let place = spec.task.place().map(|place| number(place.0)).transpose()?;
    let (id, requested_by) = (spec.id(), user_number(spec.requested_by.id));
    let (created_at, gives_way) = (milliseconds(now), gives_way(spec));
    let row = (id.as_str(), spec.key.as_str(), repo, installation, issue, place, requested_by, text, created_at, gives_way);
    Ok(tx.prepare_cached(sql)?.execute(row)? == 1)
}

pub(super) fn open(tx: &Savepoint<'_>, repo: u64, issue: IssueNumber) -> Result<Vec<JobKey>, StoreError> {
    let sql = "SELECT key FROM job WHERE outcome IS NULL AND repo = ?1 AND issue = ?2 ORDER BY created_at, rowid";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map((number(repo)?, number(issue.0)?), |row| row.get::<_, String>(0))?;
    rows.map(|key| Ok(JobKey::stored(key?))).collect()
}

/// Red checks are of an issue too, and nobody has asked for them: their keys name a commit.
pub(super) fn last_ended(tx: &Savepoint<'_>, repo: u64, issue: IssueNumber) -> Result<Option<JobKey>, StoreError> {
    let sql = "SELECT key FROM job WHERE outcome IS NOT NULL AND repo = ?1 AND issue = ?2 \
               AND substr(key, 1, length(?3)) = ?3 ORDER BY created_at DESC, rowid DESC LIMIT 1";
    let row = (number(repo)?, number(issue.0)?, format!("{repo}/issue/"));
    let key = optional(tx.prepare_cached(sql)?.query_row(row, |row| row.get::<_, String>(0)))?;
    Ok(key.map(JobKey::stored))
}

/// The last ones whose keys begin so behind the repository's number.
pub(super) fn last(tx: &Savepoint<'_>, repo: u64, issue: IssueNumber, kind: &str, n_max: u32) -> Result<Vec<JobKey>, StoreError> {
    let sql = "SELECT key FROM job WHERE repo = ?1 AND issue = ?2 AND substr(key, 1, length(?3)) = ?3 \
               ORDER BY created_at DESC, rowid DESC LIMIT ?4";
    let row = (number(repo)?, number(issue.0)?, format!("{repo}/{kind}/"), n_max);
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(row, |row| row.get::<_, String>(0))?;
    rows.map(|key| Ok(JobKey::stored(key?))).collect()
}

/// Counts within the newest of them, so that nobody counts for long.
pub(super) fn recent(tx: &Savepoint<'_>, asking: &Asking, since: Timestamp) -> Result<Recent, StoreError> {
    let Asking { repo, requested_by, place, is_work_counted } = *asking;
    let mut recent = Recent::default();
    let count = |sql: &str, of_whom: i64| -> Result<(u32, u32), StoreError> {
        let row = (number(repo)?, milliseconds(since), of_whom, COUNTED_MAX);
        Ok(tx.prepare_cached(sql)?.query_row(row, |row| Ok((row.get(0)?, row.get(1)?)))?)
    };
    if is_work_counted {
        (recent.by_user, recent.in_repository) = count(recent_work!(), user_number(requested_by))?;
    }
    (recent.answers_in_place, recent.answers) = count(recent_answers!(), number(place.0)?)?;
    Ok(recent)
}

/// Takes a job. What is wrong with its rows is told in the inner result, for the taking is kept all the same: a job that
/// cannot be read must not come first at every claim.
pub(super) fn claim(
    tx: &Savepoint<'_>,
    worker: String,
    now: Timestamp,
    lease: Duration,
    lanes: Lanes,
) -> Result<Result<Option<Claim>, StoreError>, StoreError> {
    let free = concat!(
        "SELECT id, spec, fence + 1, handed_back FROM job WHERE outcome IS NULL AND run_after <= ?1 ",
        "AND (lease_until IS NULL OR lease_until <= ?1) AND NOT EXISTS (SELECT 1 ",
        beside!("repo", "issue"),
        ") AND (?2 IS NULL OR ?2 > (SELECT count(*) ",
        at_work_beside!("repo", "?1"),
        ")) AND (?3 IS NULL OR ?3 > (SELECT count(*) ",
        at_work_beside!("installation", "?1"),
        ")) ORDER BY run_after + gives_way, created_at, rowid LIMIT 1"
    );
    let limits = (lanes.repository.map(NonZeroU32::get), lanes.installation.map(NonZeroU32::get));
    let row = tx.prepare_cached(free)?.query_row((milliseconds(now), limits.0, limits.1), |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, u32>(2)?, row.get::<_, bool>(3)?))
    });
    let Some((id, text, fence, handed_back)) = optional(row)? else { return Ok(Ok(None)) };
    let take = "UPDATE job SET lease_until = ?2, fence = ?3, handed_back = 0 WHERE id = ?1";
    tx.prepare_cached(take)?.execute((&id, later(now, lease), fence))?;
    let (job, spec, mut journal, end) = match sound(tx, &id, &text) {
        Ok(sound) => sound,
        Err(error @ (StoreError::Corrupt(_) | StoreError::Unknown { .. })) => {
            let aside = "UPDATE job SET lease_until = NULL, run_after = ?2 WHERE id = ?1";
            tx.prepare_cached(aside)?.execute((&id, later(now, lease)))?;
            return Ok(Err(error));
        }
        Err(error @ (StoreError::Unavailable(_) | StoreError::LeaseLost { .. })) => return Err(error),
    };
    journal.push(add(tx, &job, end, EntryKind::Claimed { worker, handed_back }, now)?);
    Ok(Ok(Some(Claim { lease: Lease { job, fence }, spec, journal })))
}

/// A job's name, specification and journal, and where that ends, if they hold together.
fn sound(tx: &Savepoint<'_>, id: &str, text: &str) -> Result<(JobId, JobSpec, Vec<Entry>, End), StoreError> {
    let spec = read_spec(text)?;
    let job = spec.id();
    if job.as_str() != id {
        return Err(StoreError::Corrupt(format!("job {id} has the specification of job {job}")));
    }
    let (journal, end) = End::before_all(text).read(&job, rows(tx, &job, 0)?)?;
    Ok((job, spec, journal, end))
}

pub(super) fn renew(tx: &Savepoint<'_>, job: &JobId, fence: u32, until: i64) -> Result<(), StoreError> {
    let sql = "UPDATE job SET lease_until = max(lease_until, ?3) \
               WHERE id = ?1 AND fence = ?2 AND outcome IS NULL AND lease_until IS NOT NULL";
    let updated = tx.prepare_cached(sql)?.execute((job.as_str(), fence, until))?;
    of_one(job, updated)
}

fn of_one(job: &JobId, n_rows: usize) -> Result<(), StoreError> {
    if n_rows == 1 { Ok(()) } else { Err(StoreError::LeaseLost { job: job.clone() }) }
}

/// Refuses who has lost the lease.
pub(super) fn held(tx: &Savepoint<'_>, job: &JobId, fence: u32) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM job WHERE id = ?1 AND fence = ?2 AND outcome IS NULL AND lease_until IS NOT NULL";
    let held = optional(tx.prepare_cached(sql)?.query_row((job.as_str(), fence), |_| Ok(())))?;
    held.ok_or_else(|| StoreError::LeaseLost { job: job.clone() })
}

pub(super) fn append(
    tx: &Savepoint<'_>,
    job: &JobId,
    fence: u32,
    seen: u32,
    kind: EntryKind,
    now: Timestamp,
) -> Result<Vec<Entry>, StoreError> {
    if let EntryKind::Completed { outcome } = &kind {
        complete(tx, job, fence, *outcome, now)?;
    } else {
        held(tx, job, fence)?;
    }
    let (mut entries, end) = since(tx, job, seen)?;
    entries.push(add(tx, job, end, kind, now)?);
    Ok(entries)
}

/// Ends a job, unless its lease is lost.
fn complete(tx: &Savepoint<'_>, job: &JobId, fence: u32, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE job SET outcome = ?3, ended_at = ?4, lease_until = NULL \
               WHERE id = ?1 AND fence = ?2 AND outcome IS NULL AND lease_until IS NOT NULL";
    let updated = tx.prepare_cached(sql)?.execute((job.as_str(), fence, outcome.as_str(), milliseconds(now)))?;
    of_one(job, updated)
}

pub(super) fn request_cancel(tx: &Savepoint<'_>, id: &JobId, because: String, now: Timestamp) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached("SELECT spec, outcome IS NOT NULL FROM job WHERE id = ?1")?;
    let row = statement.query_row([id.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)));
    let (spec, is_done) = optional(row)?.ok_or_else(|| StoreError::Unknown { what: format!("job {id}") })?;
    if is_done {
        return Ok(());
    }
    // One that was put off ends now.
    let at_once = "UPDATE job SET run_after = min(run_after, ?2) WHERE id = ?1 AND lease_until IS NULL";
    tx.prepare_cached(at_once)?.execute((id.as_str(), milliseconds(now)))?;
    let end = end(tx, id, &spec)?;
    add(tx, id, end, EntryKind::CancelRequested { because }, now).map(drop)
}

pub(super) fn release(tx: &Savepoint<'_>, job: &JobId, fence: u32, not_before: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE job SET lease_until = NULL, run_after = ?3, handed_back = 1 \
               WHERE id = ?1 AND fence = ?2 AND outcome IS NULL AND lease_until IS NOT NULL";
    let updated = tx.prepare_cached(sql)?.execute((job.as_str(), fence, milliseconds(not_before)))?;
    of_one(job, updated)
}

pub(super) fn job(tx: &Savepoint<'_>, job: &JobId) -> Result<(JobSpec, JobState), StoreError> {
    let mut statement = tx.prepare_cached("SELECT spec, outcome, lease_until IS NOT NULL FROM job WHERE id = ?1")?;
    let row = statement.query_row([job.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, bool>(2)?))
    });
    let (text, outcome, is_leased) = optional(row)?.ok_or_else(|| StoreError::Unknown { what: format!("job {job}") })?;
    let state = read_state(outcome.as_deref(), is_leased)?;
    Ok((read_spec(&text)?, state))
}

pub(super) fn journal(tx: &Savepoint<'_>, job: &JobId, seen: u32) -> Result<Vec<Entry>, StoreError> {
    Ok(since(tx, job, seen)?.0)
}

/// The entries from `seen` on, and where they end.
fn since(tx: &Savepoint<'_>, job: &JobId, seen: u32) -> Result<(Vec<Entry>, End), StoreError> {
    if let Some(known) = seen.checked_sub(1) {
        return chain::read_on(job, known, rows(tx, job, known)?);
    }
    let mut statement = tx.prepare_cached("SELECT spec FROM job WHERE id = ?1")?;
    let text: Option<String> = optional(statement.query_row([job.as_str()], |row| row.get(0)))?;
    let text = text.ok_or_else(|| StoreError::Unknown { what: format!("job {job}") })?;
    End::before_all(&text).read(job, rows(tx, job, 0)?)
}

fn rows(tx: &Savepoint<'_>, job: &JobId, first: u32) -> Result<Vec<Row>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT seq, at, kind, digest FROM entry WHERE job = ?1 AND seq >= ?2 ORDER BY seq")?;
    let rows = statement.query_map((job.as_str(), first), |row| {
        Ok(Row { seq: row.get(0)?, at: row.get(1)?, kind: row.get(2)?, digest: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Where a journal ends.
fn end(tx: &Savepoint<'_>, job: &JobId, spec: &str) -> Result<End, StoreError> {
    let mut statement = tx.prepare_cached("SELECT seq, digest FROM entry WHERE job = ?1 ORDER BY seq DESC LIMIT 1")?;
    let last = statement.query_row([job.as_str()], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?)));
    match optional(last)? {
        Some((seq, digest)) => End::behind(seq, &digest),
        None => Ok(End::before_all(spec)),
    }
}

/// Adds an entry at the end.
fn add(tx: &Savepoint<'_>, job: &JobId, end: End, kind: EntryKind, now: Timestamp) -> Result<Entry, StoreError> {
    let (entry, row) = end.write(now, kind);
    let sql = "INSERT INTO entry (job, seq, at, kind, digest) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.prepare_cached(sql)?.execute((job.as_str(), row.seq, row.at, row.kind, row.digest))?;
    Ok(entry)
}
