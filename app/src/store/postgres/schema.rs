//! The schema, in steps: what was applied to a database, what is missing, and which programs can work with it.
//!
//! A step *expands* where a program that does not know it can go on beside one that does: a new table, a column with a default.
//! It *contracts* where it cannot: what is no longer used is taken away. So a new version expands when it starts, old ones go
//! on until they are replaced, and only then somebody contracts. A program works with a database to which all its expanding
//! steps were applied, and none that contracts which it does not know.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::super::records::milliseconds;
use super::{MIGRATION_LOCK, Refused, refusal};

/// How long a step may wait for a table that others use; they wait behind it, so it is short.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '5s'";
/// How long one program may wait for another one's steps, and how long all steps may take.
const TURN_TIMEOUT: &str = "SET LOCAL lock_timeout = '60s'";
const STEPS_TIMEOUT: &str = "SET LOCAL statement_timeout = '600s'";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    number     BIGINT PRIMARY KEY,
    name       TEXT NOT NULL,
    contracts  BOOLEAN NOT NULL,
    applied_at BIGINT NOT NULL
)";

/// Whether older programs can go on beside a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They can.
    Expands,
    /// They cannot.
    Contracts,
}

impl Kind {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expands => "expands",
            Self::Contracts => "contracts",
        }
    }
}

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place, counted from 1.
    pub number: u32,
    /// What it is about.
    pub name: &'static str,
    /// Whether older programs can go on beside it.
    pub kind: Kind,
    /// What is done.
    pub sql: &'static str,
}

/// The steps that a program knows, oldest first.
#[derive(Clone, Debug)]
pub struct Schema {
    /// They.
    pub migrations: Vec<Migration>,
}

impl Default for Schema {
    fn default() -> Self {
        let expands = |number, name, sql| Migration { number, name, kind: Kind::Expands, sql };
        Self {
            migrations: vec![
                expands(1, "first", include_str!("../../../migrations/postgres/0001_first.sql")),
                expands(2, "given up", include_str!("../../../migrations/postgres/0002_given_up.sql")),
                expands(3, "rates", include_str!("../../../migrations/postgres/0003_rates.sql")),
            ],
        }
    }
}

/// A step that was applied to a database, as it is written there.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its place.
    pub number: u32,
    /// What it is about.
    pub name: String,
    /// Whether older programs can go on beside it.
    pub kind: Kind,
}

/// How far a database is.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What was applied, oldest first.
    pub applied: Vec<Applied>,
    /// What this program knows and was not applied.
    pub pending: Vec<Migration>,
}

impl Schema {
    /// How far a database is; it is only looked at.
    ///
    /// # Errors
    /// [`Refused`] where the database does not answer.
    pub(super) async fn state(&self, connection: &mut PgConnection) -> Result<State, Refused> {
        let is_there: bool = sqlx::query_scalar("SELECT to_regclass('schema_migration') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await
            .map_err(reading)?;
        let rows: Vec<(i64, String, bool)> = if is_there {
            let sql = "SELECT number, name, contracts FROM schema_migration ORDER BY number";
            sqlx::query_as(sql).fetch_all(connection).await.map_err(reading)?
        } else {
            Vec::new()
        };
        let applied: Vec<Applied> = rows
            .into_iter()
            .map(|(number, name, contracts)| {
                let kind = if contracts { Kind::Contracts } else { Kind::Expands };
                Applied { number: u32::try_from(number).unwrap_or(u32::MAX), name, kind }
            })
            .collect();
        let is_pending = |migration: &&Migration| !applied.iter().any(|applied| applied.number == migration.number);
        let pending = self.migrations.iter().filter(is_pending).copied().collect();
        Ok(State { applied, pending })
    }

    /// Whether this program can work with a database in this state.
    ///
    /// # Errors
    /// [`Refused`] with what to do.
    pub(super) fn check(&self, state: &State) -> Result<(), Refused> {
        self.refuse_newer(state)?;
        match state.pending.iter().find(|migration| migration.kind == Kind::Expands) {
            None => Ok(()),
            Some(missing) => Err(Refused {
                problem: format!(
                    "the database's schema is older than this program: it lacks step {} ({})",
                    missing.number, missing.name
                ),
                remedy: "run `patchwright migrate` with a role that may change the schema, or set `store.migrate = true`".into(),
            }),
        }
    }

    fn refuse_newer(&self, state: &State) -> Result<(), Refused> {
        let is_unknown = |applied: &&Applied| !self.migrations.iter().any(|known| known.number == applied.number);
        let mut contracted = state.applied.iter().filter(|applied| applied.kind == Kind::Contracts);
        match contracted.find(is_unknown) {
            None => Ok(()),
            Some(newer) => Err(Refused {
                problem: format!(
                    "the database was brought up to date by a newer version of this program, in a way that this one cannot work \
                     with: step {} ({})",
                    newer.number, newer.name
                ),
                remedy: "run that version, or restore a backup from before".into(),
            }),
        }
    }

    /// Applies what is missing, all of it or nothing, and says what that was; of programs that do so at once the later ones
    /// find it done.
    ///
    /// # Errors
    /// [`Refused`] with what to do.
    pub(super) async fn apply(
        &self,
        connection: &mut PgConnection,
        wanted: impl Fn(Kind) -> bool,
        now: Timestamp,
    ) -> Result<Vec<Migration>, Refused> {
        let mut tx = connection.begin().await.map_err(reading)?;
        for setting in [TURN_TIMEOUT, STEPS_TIMEOUT] {
            sqlx::query(setting).execute(&mut *tx).await.map_err(reading)?;
        }
        let turn = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *tx).await;
        turn.map_err(|error| Refused {
            problem: format!("another program is changing the schema, for a minute now: {}", refusal::told(&error)),
            remedy: "wait for it to end, or end it, and try again".into(),
        })?;
        let state = self.state(&mut tx).await?;
        self.refuse_newer(&state)?;
        let missing: Vec<Migration> = state.pending.into_iter().filter(|migration| wanted(migration.kind)).collect();
        if missing.is_empty() {
            return Ok(missing);
        }
        for sql in [LOCK_TIMEOUT, TABLE] {
            sqlx::query(sql).execute(&mut *tx).await.map_err(|error| refusal::of_step("the list of steps", &error))?;
        }
        for migration in &missing {
            let done = step(&mut tx, migration, now).await;
            done.map_err(|error| refusal::of_step(&format!("step {} ({})", migration.number, migration.name), &error))?;
        }
        tx.commit().await.map_err(|error| refusal::of_step("the schema", &error))?;
        Ok(missing)
    }
}

async fn step(tx: &mut PgConnection, migration: &Migration, now: Timestamp) -> Result<(), sqlx::Error> {
    // Text of this program, of several statements.
    sqlx::raw_sql(AssertSqlSafe(migration.sql)).execute(&mut *tx).await?;
    let sql = "INSERT INTO schema_migration (number, name, contracts, applied_at) VALUES ($1, $2, $3, $4)";
    let row = sqlx::query(sql).bind(i64::from(migration.number)).bind(migration.name);
    row.bind(migration.kind == Kind::Contracts).bind(milliseconds(now)).execute(tx).await?;
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn reading(error: sqlx::Error) -> Refused {
    Refused {
        problem: format!("the schema cannot be looked at: {}", refusal::told(&error)),
        remedy: "see that the role may connect and read; `patchwright migrate` makes the tables".into(),
    }
}
