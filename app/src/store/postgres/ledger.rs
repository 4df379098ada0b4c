//! The rows of what jobs have spent.

use jiff::Timestamp;
use jiff::civil::Date;
use patchwright_domain::job::JobId;
use sqlx::PgConnection;

use super::super::ledger::{self, Limits, Reserved, Scope, Spending};
use super::super::records::number;
use super::{LEDGER_LOCK, Lease, StoreError, jobs};

pub(super) async fn reserve(
    tx: &mut PgConnection,
    lease: &Lease,
    most: Spending,
    limits: &Limits,
    now: Timestamp,
) -> Result<Reserved, StoreError> {
    jobs::held(tx, lease).await?;
    let (spec, _) = jobs::job(tx, &lease.job).await?;
    // One after the other from here on: two that add up what was spent at once would both find room for themselves.
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LEDGER_LOCK).execute(&mut *tx).await?;
    for row in open(tx, &lease.job).await? {
        settle_row(tx, &lease.job, &row, row.reserved).await?;
    }
    let day = ledger::day(now);
    for (scope, limit) in limits.of(&spec) {
        if let Some(quantity) = limit.forbids(spending(tx, scope, day).await?, most) {
            return Ok(Reserved::Forbidden { scope, quantity });
        }
    }
    let most = Spending::default().and(most);
    let sql = "INSERT INTO spending (job, fence, day, repo, requested_by, reserved_tokens, reserved_cost_microusd) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (job, fence, day) DO UPDATE \
               SET reserved_tokens = excluded.reserved_tokens, reserved_cost_microusd = excluded.reserved_cost_microusd";
    let row = sqlx::query(sql).bind(lease.job.as_str()).bind(i64::from(lease.fence)).bind(day.to_string());
    let row = row.bind(number(spec.repo.id)?).bind(number(spec.requested_by.id)?);
    row.bind(number(most.tokens)?).bind(number(most.cost_microusd)?).execute(tx).await?;
    Ok(Reserved::Taken)
}

pub(super) async fn settle(tx: &mut PgConnection, lease: &Lease, used: Spending) -> Result<(), StoreError> {
    jobs::held(tx, lease).await?;
    let row = open(tx, &lease.job).await?.into_iter().find(|row| row.fence == i64::from(lease.fence));
    let row = row.ok_or_else(|| StoreError::Unknown { what: format!("reservation of job {}", lease.job) })?;
    settle_row(tx, &lease.job, &row, used).await
}

pub(super) async fn spending(tx: &mut PgConnection, scope: Scope, day: Date) -> Result<Spending, StoreError> {
    let (repo, user) = match scope {
        Scope::Repository(id) => (Some(number(id)?), None),
        Scope::User(id) => (None, Some(number(id)?)),
        Scope::Everything => (None, None),
    };
    let sql = "SELECT tokens, cost_microusd, coalesce(reserved_tokens, 0), coalesce(reserved_cost_microusd, 0) FROM spending \
               WHERE day = $1 AND ($2::bigint IS NULL OR repo = $2) AND ($3::bigint IS NULL OR requested_by = $3)";
    let rows = sqlx::query_as::<_, (i64, i64, i64, i64)>(sql).bind(day.to_string()).bind(repo).bind(user);
    // Summed here, where it cannot overflow.
    rows.fetch_all(tx).await?.into_iter().try_fold(Spending::default(), |sum, (tokens, cost, reserved, reserved_cost)| {
        Ok(sum.and(amounts(tokens, cost)?).and(amounts(reserved, reserved_cost)?))
    })
}

/// A row with a reservation that is not settled.
struct Open {
    fence: i64,
    day: String,
    spent: Spending,
    reserved: Spending,
}

async fn open(tx: &mut PgConnection, job: &JobId) -> Result<Vec<Open>, StoreError> {
    let sql = "SELECT fence, day, tokens, cost_microusd, reserved_tokens, reserved_cost_microusd FROM spending \
               WHERE job = $1 AND reserved_tokens IS NOT NULL";
    let rows = sqlx::query_as::<_, (i64, String, i64, i64, i64, i64)>(sql).bind(job.as_str()).fetch_all(tx).await?;
    rows.into_iter()
        .map(|(fence, day, tokens, cost, reserved, reserved_cost)| {
            Ok(Open { fence, day, spent: amounts(tokens, cost)?, reserved: amounts(reserved, reserved_cost)? })
        })
        .collect()
}

/// Puts what was used in place of what is reserved.
async fn settle_row(tx: &mut PgConnection, job: &JobId, row: &Open, used: Spending) -> Result<(), StoreError> {
    let sum = row.spent.and(used);
    let sql = "UPDATE spending SET tokens = $4, cost_microusd = $5, reserved_tokens = NULL, reserved_cost_microusd = NULL \
               WHERE job = $1 AND fence = $2 AND day = $3";
    let settled = sqlx::query(sql).bind(job.as_str()).bind(row.fence).bind(&row.day);
    settled.bind(number(sum.tokens)?).bind(number(sum.cost_microusd)?).execute(tx).await?;
    Ok(())
}

fn amounts(tokens: i64, cost_microusd: i64) -> Result<Spending, StoreError> {
    let amount = |number: i64| u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} was never spent")));
    Ok(Spending { tokens: amount(tokens)?, cost_microusd: amount(cost_microusd)? })
}
