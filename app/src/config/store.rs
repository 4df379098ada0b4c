//! What is set of the store.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Where deliveries, jobs and journals are kept.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite:PATH`, or `memory:` for a store that forgets everything at the end, or, for several processes and machines,
    /// `postgres://USER@HOST:PORT/DATABASE` with PostgreSQL 13 or newer: over a network its certificate must hold
    /// (`?sslrootcert=FILE` names the authority) unless `?sslmode=require` or `?sslmode=disable` says otherwise.
    pub url: String,
    /// The password of PostgreSQL's user. Where it is not set, libpq's variables and password file are asked (`PGPASSWORD`,
    /// `PGPASSFILE`). It may not stand in the address.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
    /// Whether `serve` and `work` bring PostgreSQL's schema up to date at the start, by steps beside which servers of the version
    /// before go on. Where the role may not change the schema, run `patchwright migrate` with one that may.
    pub migrate: bool,
    /// For how many days jobs that are over are kept, with their journals, logs and attestations, and the deliveries that they came
    /// from: at least 7, or 0 for ever. What jobs have spent goes with them.
    pub kept_days: u64,
}

/// GitHub sends a delivery again for three days, and a job that is forgotten would be begun again by it.
const KEPT_DAYS_MIN: u64 = 7;

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite:patchwright.db".into(), password: None, migrate: true, kept_days: 90 }
    }
}

impl Store {
    /// For how long is kept what has ended; for ever without.
    pub fn kept_for(&self) -> Option<Duration> {
        (self.kept_days > 0).then(|| Duration::from_secs(self.kept_days.saturating_mul(24 * 60 * 60)))
    }

    /// What cannot be meant so.
    pub(super) fn check(&self) -> Result<(), String> {
        if (1..KEPT_DAYS_MIN).contains(&self.kept_days) {
            return Err(format!(
                "`store.kept_days` must be at least {KEPT_DAYS_MIN}, or 0 for ever: GitHub sends deliveries again for days"
            ));
        }
        Ok(())
    }
}
