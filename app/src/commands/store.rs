//! The store that a configuration names: opened for a server, or only looked at.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use jiff::SignedDuration;
use patchwright::clock::{Clock as _, SystemClock};
use patchwright::config::{self, Config};
use patchwright::store::memory::MemoryStore;
use patchwright::store::postgres::address::Address;
use patchwright::store::postgres::schema::{Kind, Schema};
use patchwright::store::postgres::{self, PostgresStore, Settings};
use patchwright::store::sqlite::SqliteStore;
use patchwright::store::{Store, StoreError};

use super::Failure;

/// How far this machine's clock may go from the database's. Leases are held against the clocks of several machines: a worker
/// whose clock goes before the others' by more than a lease is old would take their jobs from them.
const OFFSET_MAX: SignedDuration = SignedDuration::from_secs(10);

/// Where a store is.
pub(super) enum Place<'a> {
    Memory,
    File(&'a Path),
    Database(Address),
}

/// Reads `store.url`.
pub(super) fn place(config: &config::Store) -> Result<Place<'_>, Failure> {
    let password = config.password.as_ref();
    match config.url.split_once(':') {
        Some(("memory", _)) => Ok(Place::Memory),
        Some(("sqlite", path)) if !path.is_empty() => Ok(Place::File(Path::new(path.trim_start_matches("//")))),
        Some(("postgres" | "postgresql", _)) => {
            let address = Address::parse(&config.url, password);
            address.map(Place::Database).map_err(|reason| Failure::usage(anyhow!("`store.url`: {reason}")))
        }
        // It is not repeated here, for there may be a password in it.
        Some(_) | None => Err(Failure::usage(anyhow!("`store.url` is `sqlite:PATH`, `postgres://..` or `memory:`"))),
    }
}

/// The store for somebody who works with it, brought up to date as the configuration says.
pub(super) async fn open(config: &config::Store) -> Result<Arc<dyn Store>, Failure> {
    match place(config)? {
        Place::Memory => Ok(Arc::new(MemoryStore::default())),
        Place::File(path) => sqlite(path).await,
        Place::Database(address) => database(address, config.migrate).await,
    }
}

/// The store of a server as it is, to look at: one that is not there is not made, and one that is is not brought up to date.
pub(super) async fn kept(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    match place(&config.store)? {
        Place::File(path) if !path.exists() => {
            let path = path.display();
            Err(Failure::usage(anyhow!("there is no database `{path}`; name the server's configuration with `--config`")))
        }
        Place::File(path) => opened(SqliteStore::open_to_read(path.to_owned()).await),
        Place::Database(address) => database(address, false).await,
        Place::Memory => open(&config.store).await,
    }
}

/// What `doctor` says of the store. A schema is brought up to date by who works with it, not by who looks.
pub(super) async fn diagnosis(config: &config::Store) -> Result<String, Failure> {
    let Place::Database(address) = place(config)? else {
        open(config).await?.check().await.map_err(|error| Failure::environment(error.into()))?;
        return Ok(config.url.clone());
    };
    let (schema, told) = (Schema::default(), address.to_string());
    let state = postgres::state(&address, &schema).await.map_err(|refused| Failure::environment(refused.into()))?;
    let n_missing = state.pending.iter().filter(|migration| migration.kind == Kind::Expands).count();
    if n_missing > 0 && config.migrate {
        return Ok(format!("{told}; its schema lacks {n_missing} steps, which the next start applies"));
    }
    database(address, false).await?.check().await.map_err(|error| Failure::environment(error.into()))?;
    Ok(told)
}

async fn sqlite(path: &Path) -> Result<Arc<dyn Store>, Failure> {
    opened(SqliteStore::open(path.to_owned()).await)
}

fn opened(store: Result<SqliteStore, StoreError>) -> Result<Arc<dyn Store>, Failure> {
    store.map(|store| Arc::new(store) as Arc<dyn Store>).map_err(|error| Failure::environment(error.into()))
}

async fn database(address: Address, migrate: bool) -> Result<Arc<dyn Store>, Failure> {
    let settings = Settings { address, migrate, schema: Schema::default() };
    let store = PostgresStore::open(settings, SystemClock.now()).await.map_err(|refused| Failure::environment(refused.into()))?;
    let offset = store.offset(|| SystemClock.now()).await.context("asking the database for the time");
    let offset = offset.map_err(Failure::environment)?;
    if offset.abs() > OFFSET_MAX {
        let direction = if offset.is_positive() { "before" } else { "after" };
        return Err(Failure::environment(anyhow!(
            "this machine's clock is {} s {direction} the database's, and {} s are taken: set both by the same time servers \
             (chrony, systemd-timesyncd), for several machines hold leases against each other's clocks",
            offset.abs().as_secs(),
            OFFSET_MAX.as_secs()
        )));
    }
    Ok(Arc::new(store))
}
