//! The rows of what jobs have spent.

use jiff::Timestamp;
use jiff::civil::Date;
use patchwright_domain::job::JobId;
use rusqlite::{Row, Savepoint};

use super::super::ledger::{self, Limits, Reserved, Scope, Spending};
use super::super::records::number;
use super::{StoreError, jobs};

pub(super) fn reserve(
    tx: &Savepoint<'_>,
    job: &JobId,
    fence: u32,
    most: Spending,
    limits: &Limits,
    now: Timestamp,
) -> Result<Reserved, StoreError> {
    jobs::held(tx, job, fence)?;
    let (spec, _) = jobs::job(tx, job)?;
    for row in open(tx, job)? {
        settle_row(tx, job, &row, row.reserved)?;
    }
    let day = ledger::day(now);
    for (scope, limit) in limits.of(&spec) {
        if let Some(quantity) = limit.forbids(spending(tx, scope, day)?, most) {
            return Ok(Reserved::Forbidden { scope, quantity });
        }
    }
    let most = Spending::default().and(most);
    let sql = "INSERT INTO spending (job, fence, day, repo, user, reserved_tokens, reserved_cost_microusd) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE \
               SET reserved_tokens = excluded.reserved_tokens, reserved_cost_microusd = excluded.reserved_cost_microusd";
    let (repo, user) = (number(spec.repo.id)?, number(spec.requested_by.id)?);
    let (tokens, cost) = (number(most.tokens)?, number(most.cost_microusd)?);
    tx.prepare_cached(sql)?.execute((job.as_str(), fence, day.to_string(), repo, user, tokens, cost))?;
    Ok(Reserved::Taken)
}

pub(super) fn settle(tx: &Savepoint<'_>, job: &JobId, fence: u32, used: Spending) -> Result<(), StoreError> {
    jobs::held(tx, job, fence)?;
    let row = open(tx, job)?.into_iter().find(|row| row.fence == fence);
    let row = row.ok_or_else(|| StoreError::Unknown { what: format!("reservation of job {job}") })?;
    settle_row(tx, job, &row, used)
}

pub(super) fn spending(tx: &Savepoint<'_>, scope: Scope, day: Date) -> Result<Spending, StoreError> {
    let (repo, user) = match scope {
        Scope::Repository(id) => (Some(number(id)?), None),
        Scope::User(id) => (None, Some(number(id)?)),
        Scope::Everything => (None, None),
    };
    let sql = "SELECT tokens, cost_microusd, coalesce(reserved_tokens, 0), coalesce(reserved_cost_microusd, 0) FROM spending \
               WHERE day = ?1 AND (?2 IS NULL OR repo = ?2) AND (?3 IS NULL OR user = ?3)";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map((day.to_string(), repo, user), |row| {
        let spent = amounts(row, 0)?;
        Ok(spent.and(amounts(row, 2)?))
    })?;
    // Summed here, where it cannot overflow.
    rows.into_iter().try_fold(Spending::default(), |sum, row| Ok(sum.and(row?)))
}

/// A row with a reservation that is not settled.
struct Open {
    fence: u32,
    day: String,
    spent: Spending,
    reserved: Spending,
}

fn open(tx: &Savepoint<'_>, job: &JobId) -> Result<Vec<Open>, StoreError> {
    let sql = "SELECT fence, day, tokens, cost_microusd, reserved_tokens, reserved_cost_microusd FROM spending \
               WHERE job = ?1 AND reserved_tokens IS NOT NULL";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([job.as_str()], |row| {
        Ok(Open { fence: row.get(0)?, day: row.get(1)?, spent: amounts(row, 2)?, reserved: amounts(row, 4)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts what was used in place of what is reserved.
fn settle_row(tx: &Savepoint<'_>, job: &JobId, row: &Open, used: Spending) -> Result<(), StoreError> {
    let sum = row.spent.and(used);
    let sql = "UPDATE spending SET tokens = ?4, cost_microusd = ?5, reserved_tokens = NULL, reserved_cost_microusd = NULL \
               WHERE job = ?1 AND fence = ?2 AND day = ?3";
    let (tokens, cost) = (number(sum.tokens)?, number(sum.cost_microusd)?);
    tx.prepare_cached(sql)?.execute((job.as_str(), row.fence, &row.day, tokens, cost))?;
    Ok(())
}

/// The spending in two columns that follow each other.
fn amounts(row: &Row<'_>, first: usize) -> rusqlite::Result<Spending> {
    let amount = |index: usize| {
        let number: i64 = row.get(index)?;
        u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, number))
    };
    Ok(Spending { tokens: amount(first)?, cost_microusd: amount(first + 1)? })
}
