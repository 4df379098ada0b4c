//! The rows of jobs and their journals.
//!
//! Whoever writes to a journal holds the job's row, so that its entries follow each other without a gap.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use patchwright_domain::event::IssueNumber;
use patchwright_domain::job::{JobId, JobKey, JobSpec};
use patchwright_domain::journal::{Entry, EntryKind, Outcome};
use patchwright_domain::policy::rates::{COUNTED_MAX, Recent};
use sqlx::PgConnection;

use super::super::chain::{self, End, Row};
use super::super::listing::Beside;
use super::super::records::{
    at_work_beside, beside, gives_way, later, milliseconds, number, read_spec, read_state, recent_answers, recent_work,
    user_number,
};
use super::{Asking, Claim, INSTALLATION_LOCK, JobState, Lanes, Lease, REPOSITORY_LOCK, StoreError, wake};

/// Adds a job and says whether it is new.
pub(super) async fn insert(tx: &mut PgConnection, spec: &JobSpec, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "INSERT INTO job (id, key, repo, installation, issue, place, requested_by, spec, created_at, run_after, gives_way) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10) ON CONFLICT DO NOTHING";
    let text = serde_json::to_string(spec).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let issue = spec.task.issue().map(|issue| number(issue.0)).transpose()?;
    let place = spec.task.place().map(|place| number(place.0)).transpose()?;
    let row = sqlx::query(sql).bind(spec.id().as_str().to_owned()).bind(spec.key.as_str()).bind(number(spec.repo.id)?);
    let row = row
        .bind(number(spec.repo.installation)?)
        .bind(issue)
        .bind(place)
        .bind(user_number(spec.requested_by.id))
        .bind(text)
        .bind(milliseconds(now));
    let inserted = row.bind(gives_way(spec)).execute(tx).await?;
    Ok(inserted.rows_affected() == 1)
}

/// Counts within the newest of them, so that nobody counts for long.
pub(super) async fn recent(tx: &mut PgConnection, asking: Asking, since: Timestamp) -> Result<Recent, StoreError> {
    let Asking { repo, requested_by, place, is_work_counted } = asking;
    let mut recent = Recent::default();
    if is_work_counted {
        (recent.by_user, recent.in_repository) = counts(tx, recent_work!(), repo, since, user_number(requested_by)).await?;
    }
    (recent.answers_in_place, recent.answers) = counts(tx, recent_answers!(), repo, since, number(place.0)?).await?;
    Ok(recent)
}

async fn counts(
    tx: &mut PgConnection,
    sql: &'static str,
    repo: u64,
    since: Timestamp,
    of_whom: i64,
) -> Result<(u32, u32), StoreError> {
    let row = sqlx::query_as::<_, (i64, i64)>(sql).bind(number(repo)?).bind(milliseconds(since));
    let (of_these, all) = row.bind(of_whom).bind(i64::from(COUNTED_MAX)).fetch_one(tx).await?;
    Ok((small(of_these)?, small(all)?))
}

/// A number that this program keeps in 32 bits.
pub(super) fn small(value: i64) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is more than is counted")))
}

pub(super) async fn open(tx: &mut PgConnection, repo: u64, issue: IssueNumber) -> Result<Vec<JobKey>, StoreError> {
    let sql = "SELECT key FROM job WHERE outcome IS NULL AND repo = $1 AND issue = $2 ORDER BY created_at, number";
    let keys: Vec<String> = sqlx::query_scalar(sql).bind(number(repo)?).bind(number(issue.0)?).fetch_all(tx).await?;
    Ok(keys.into_iter().map(JobKey::stored).collect())
}

/// Red checks are of an issue too, and nobody has asked for them: their keys name a commit.
pub(super) async fn last_ended(tx: &mut PgConnection, repo: u64, issue: IssueNumber) -> Result<Option<JobKey>, StoreError> {
    let sql = "SELECT key FROM job WHERE outcome IS NOT NULL AND repo = $1 AND issue = $2 AND starts_with(key, $3) \
               ORDER BY created_at DESC, number DESC LIMIT 1";
    let of_issues = format!("{repo}/issue/");
    let key: Option<String> =
        sqlx::query_scalar(sql).bind(number(repo)?).bind(number(issue.0)?).bind(of_issues).fetch_optional(tx).await?;
    Ok(key.map(JobKey::stored))
}

/// The last ones whose keys begin so behind the repository's number.
pub(super) async fn last(
    tx: &mut PgConnection,
    repo: u64,
    issue: IssueNumber,
    kind: &str,
    n_max: u32,
) -> Result<Vec<JobKey>, StoreError> {
    let sql = "SELECT key FROM job WHERE repo = $1 AND issue = $2 AND starts_with(key, $3) \
               ORDER BY created_at DESC, number DESC LIMIT $4";
    let begin = format!("{repo}/{kind}/");
    let last = sqlx::query_scalar(sql).bind(number(repo)?).bind(number(issue.0)?).bind(begin).bind(i64::from(n_max));
    let keys: Vec<String> = last.fetch_all(tx).await?;
    Ok(keys.into_iter().map(JobKey::stored).collect())
}

/// What came of looking for a job.
pub(super) enum Taken {
    /// One was taken, or none is free.
    Claim(Option<Box<Claim>>),
    /// One was taken whose rows are wrong. The taking is kept, for a job that cannot be read must not come first at every claim.
    Unsound(StoreError),
    /// Somebody else took another job of the same issue meanwhile, or the last place in a lane; look again.
    Overtaken,
}

/// Takes a job that no other worker is about to take; one that turns out to be too many is for the caller to take back. Two may
/// take jobs of one issue at the same moment; the index lets one of them. Two that take jobs of one lane do so in turn.
pub(super) async fn claim(
    tx: &mut PgConnection,
    worker: &str,
    now: Timestamp,
    lease: Duration,
    lanes: Lanes,
) -> Result<Taken, StoreError> {
    let take = concat!(
        "WITH free AS (SELECT id, handed_back FROM job WHERE outcome IS NULL AND run_after <= $1 ",
        "AND (lease_until IS NULL OR lease_until <= $1) AND NOT EXISTS (SELECT 1 ",
        beside!("repo", "issue"),
        ") AND ($2::bigint IS NULL OR $2 > (SELECT count(*) ",
        at_work_beside!("repo", "$1"),
        ")) AND ($3::bigint IS NULL OR $3 > (SELECT count(*) ",
        at_work_beside!("installation", "$1"),
        ")) ORDER BY run_after + gives_way, created_at, number LIMIT 1 FOR UPDATE SKIP LOCKED) ",
        "UPDATE job SET lease_until = $4, fence = fence + 1, handed_back = FALSE FROM free WHERE job.id = free.id ",
        "RETURNING job.id, spec, fence, free.handed_back"
    );
    let row = sqlx::query_as::<_, (String, String, i64, bool)>(take).bind(milliseconds(now));
    let row = row.bind(limit(lanes.repository)).bind(limit(lanes.installation)).bind(later(now, lease));
    let (id, text, fence, handed_back) = match row.fetch_optional(&mut *tx).await {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Ok(Taken::Overtaken),
        taken => match taken? {
            Some(taken) => taken,
            None => return Ok(Taken::Claim(None)),
        },
    };
    if lanes != Lanes::default() && is_full(tx, &id, lanes, now).await? {
        return Ok(Taken::Overtaken);
    }
    let fence = small(fence)?;
    let (job, spec, mut journal, end) = match sound(tx, &id, &text).await {
        Ok(sound) => sound,
        Err(error @ (StoreError::Corrupt(_) | StoreError::Unknown { .. })) => {
            let aside = "UPDATE job SET lease_until = NULL, run_after = $2 WHERE id = $1";
            sqlx::query(aside).bind(&id).bind(later(now, lease)).execute(tx).await?;
            return Ok(Taken::Unsound(error));
        }
        Err(error @ (StoreError::Unavailable(_) | StoreError::LeaseLost { .. })) => return Err(error),
    };
    journal.push(add(tx, &job, end, EntryKind::Claimed { worker: worker.to_owned(), handed_back }, now).await?);
    Ok(Taken::Claim(Some(Box::new(Claim { lease: Lease { job, fence }, spec, journal }))))
}

fn limit(lane: Option<NonZeroU32>) -> Option<i64> {
    lane.map(|lane| i64::from(lane.get()))
}

/// Whether there is no place for a job in its lanes, once whoever took one there before has it. Until the transaction is over
/// nobody else takes one.
async fn is_full(tx: &mut PgConnection, id: &str, lanes: Lanes, now: Timestamp) -> Result<bool, StoreError> {
    let alone = "SELECT pg_advisory_xact_lock($2, hashint8(repo)), pg_advisory_xact_lock($3, hashint8(installation)) \
                 FROM job WHERE id = $1";
    sqlx::query(alone).bind(id).bind(REPOSITORY_LOCK).bind(INSTALLATION_LOCK).execute(&mut *tx).await?;
    let n_beside = concat!(
        "SELECT (SELECT count(*) ",
        at_work_beside!("repo", "$2"),
        "), (SELECT count(*) ",
        at_work_beside!("installation", "$2"),
        ") FROM job WHERE id = $1"
    );
    let (of_repository, of_installation) =
        sqlx::query_as::<_, (i64, i64)>(n_beside).bind(id).bind(milliseconds(now)).fetch_one(tx).await?;
    let count = |n_jobs| u32::try_from(n_jobs).unwrap_or(u32::MAX);
    // That of its issue was asked about when it was picked.
    let beside = Beside { of_issue: None, n_of_repository: count(of_repository), n_of_installation: count(of_installation) };
    Ok(beside.hindrance(lanes).is_some())
}

/// A job's name, specification and journal, and where that ends, if they hold together.
async fn sound(tx: &mut PgConnection, id: &str, text: &str) -> Result<(JobId, JobSpec, Vec<Entry>, End), StoreError> {
    let spec = read_spec(text)?;
    let job = spec.id();
    if job.as_str() != id {
        return Err(StoreError::Corrupt(format!("job {id} has the specification of job {job}")));
    }
    let (journal, end) = End::before_all(text).read(&job, rows(tx, &job, 0).await?)?;
    Ok((job, spec, journal, end))
}

pub(super) async fn renew(tx: &mut PgConnection, lease: &Lease, until: i64) -> Result<(), StoreError> {
    let sql = "UPDATE job SET lease_until = greatest(lease_until, $3) \
               WHERE id = $1 AND fence = $2 AND outcome IS NULL AND lease_until IS NOT NULL";
    let row = sqlx::query(sql).bind(lease.job.as_str()).bind(i64::from(lease.fence)).bind(until);
    of_one(lease, row.execute(tx).await?.rows_affected())
}

fn of_one(lease: &Lease, n_rows: u64) -> Result<(), StoreError> {
    if n_rows == 1 { Ok(()) } else { Err(StoreError::LeaseLost { job: lease.job.clone() }) }
}

/// Refuses who has lost the lease, and keeps everybody else from taking it until the transaction is over.
pub(super) async fn held(tx: &mut PgConnection, lease: &Lease) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM job WHERE id = $1 AND fence = $2 AND outcome IS NULL AND lease_until IS NOT NULL FOR UPDATE";
    let row = sqlx::query(sql).bind(lease.job.as_str()).bind(i64::from(lease.fence));
    of_one(lease, u64::from(row.fetch_optional(tx).await?.is_some()))
}

pub(super) async fn append(
    tx: &mut PgConnection,
    lease: &Lease,
    seen: u32,
    kind: EntryKind,
    now: Timestamp,
) -> Result<Vec<Entry>, StoreError> {
    if let EntryKind::Completed { outcome } = &kind {
        complete(tx, lease, *outcome, now).await?;
    } else {
        held(tx, lease).await?;
    }
    let (mut entries, end) = since(tx, &lease.job, seen).await?;
    entries.push(add(tx, &lease.job, end, kind, now).await?);
    Ok(entries)
}

/// Ends a job, unless its lease is lost.
async fn complete(tx: &mut PgConnection, lease: &Lease, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE job SET outcome = $3, ended_at = $4, lease_until = NULL \
               WHERE id = $1 AND fence = $2 AND outcome IS NULL AND lease_until IS NOT NULL";
    let row = sqlx::query(sql).bind(lease.job.as_str()).bind(i64::from(lease.fence));
    let row = row.bind(outcome.as_str()).bind(milliseconds(now));
    of_one(lease, row.execute(tx).await?.rows_affected())
}

pub(super) async fn request_cancel(tx: &mut PgConnection, id: &JobId, because: &str, now: Timestamp) -> Result<(), StoreError> {
    let sql = "SELECT spec, outcome IS NOT NULL FROM job WHERE id = $1 FOR UPDATE";
    let row = sqlx::query_as::<_, (String, bool)>(sql).bind(id.as_str()).fetch_optional(&mut *tx).await?;
    let (spec, is_done) = row.ok_or_else(|| unknown(id))?;
    if is_done {
        return Ok(());
    }
    // One that was put off ends now.
    let at_once = "UPDATE job SET run_after = least(run_after, $2) WHERE id = $1 AND lease_until IS NULL";
    sqlx::query(at_once).bind(id.as_str()).bind(milliseconds(now)).execute(&mut *tx).await?;
    let end = end(tx, id, &spec).await?;
    add(tx, id, end, EntryKind::CancelRequested { because: because.to_owned() }, now).await.map(drop)
}

pub(super) async fn release(tx: &mut PgConnection, lease: &Lease, not_before: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE job SET lease_until = NULL, run_after = $3, handed_back = TRUE \
               WHERE id = $1 AND fence = $2 AND outcome IS NULL AND lease_until IS NOT NULL";
    let row = sqlx::query(sql).bind(lease.job.as_str()).bind(i64::from(lease.fence)).bind(milliseconds(not_before));
    of_one(lease, row.execute(&mut *tx).await?.rows_affected())?;
    Ok(wake::tell(tx).await?)
}

pub(super) async fn job(tx: &mut PgConnection, job: &JobId) -> Result<(JobSpec, JobState), StoreError> {
    let sql = "SELECT spec, outcome, lease_until IS NOT NULL FROM job WHERE id = $1";
    let row = sqlx::query_as::<_, (String, Option<String>, bool)>(sql).bind(job.as_str()).fetch_optional(tx).await?;
    let (text, outcome, is_leased) = row.ok_or_else(|| unknown(job))?;
    let state = read_state(outcome.as_deref(), is_leased)?;
    Ok((read_spec(&text)?, state))
}

pub(super) async fn journal(tx: &mut PgConnection, job: &JobId, seen: u32) -> Result<Vec<Entry>, StoreError> {
    Ok(since(tx, job, seen).await?.0)
}

/// The entries from `seen` on, and where they end.
async fn since(tx: &mut PgConnection, job: &JobId, seen: u32) -> Result<(Vec<Entry>, End), StoreError> {
    if let Some(known) = seen.checked_sub(1) {
        return chain::read_on(job, known, rows(tx, job, known).await?);
    }
    let row = sqlx::query_scalar("SELECT spec FROM job WHERE id = $1").bind(job.as_str());
    let text: Option<String> = row.fetch_optional(&mut *tx).await?;
    End::before_all(&text.ok_or_else(|| unknown(job))?).read(job, rows(tx, job, 0).await?)
}

async fn rows(tx: &mut PgConnection, job: &JobId, first: u32) -> Result<Vec<Row>, StoreError> {
    let sql = "SELECT seq, at, kind, digest FROM entry WHERE job = $1 AND seq >= $2 ORDER BY seq";
    let rows = sqlx::query_as::<_, (i64, i64, String, String)>(sql).bind(job.as_str()).bind(i64::from(first));
    let rows = rows.fetch_all(tx).await?.into_iter();
    rows.map(|(seq, at, kind, digest)| Ok(Row { seq: small(seq)?, at, kind, digest })).collect()
}

/// Where a journal ends, whose job's row is held.
async fn end(tx: &mut PgConnection, job: &JobId, spec: &str) -> Result<End, StoreError> {
    let sql = "SELECT seq, digest FROM entry WHERE job = $1 ORDER BY seq DESC LIMIT 1";
    match sqlx::query_as::<_, (i64, String)>(sql).bind(job.as_str()).fetch_optional(tx).await? {
        Some((seq, digest)) => End::behind(small(seq)?, &digest),
        None => Ok(End::before_all(spec)),
    }
}

/// Adds an entry at the end.
async fn add(tx: &mut PgConnection, job: &JobId, end: End, kind: EntryKind, now: Timestamp) -> Result<Entry, StoreError> {
    let (entry, row) = end.write(now, kind);
    let sql = "INSERT INTO entry (job, seq, at, kind, digest) VALUES ($1, $2, $3, $4, $5)";
    let row = sqlx::query(sql).bind(job.as_str()).bind(i64::from(row.seq)).bind(row.at).bind(row.kind).bind(row.digest);
    row.execute(tx).await?;
    Ok(entry)
}

fn unknown(job: &JobId) -> StoreError {
    StoreError::Unknown { what: format!("job {job}") }
}
