//! `patchwright migrate`: brings a database's schema up to date, or says how far it is.

use std::process::ExitCode;

use patchwright::clock::{Clock as _, SystemClock};
use patchwright::store::postgres;
use patchwright::store::postgres::schema::{Migration, Schema};
use serde_json::{Value, json};

use super::store::Place;
use super::{ConfigArguments, Failure, NEGATIVE, store, terminal};

/// What is migrated.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Change nothing, and say which steps are missing; exit code 1 if there are any
    #[arg(long)]
    list: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) const HELP: &str = "\
A step that expands is one beside which servers of the version before go on: `serve` and `work` apply such steps themselves, \
unless `store.migrate` is false. A step that contracts is applied by this command alone, once no server of the version before \
runs any more.";

pub(super) async fn migrate(arguments: Arguments) -> Result<ExitCode, Failure> {
    terminal::log("warn");
    let config = arguments.config.load()?;
    let address = match store::place(&config.store)? {
        Place::Database(address) => address,
        // One program has it to itself, so that it is brought up to date whenever it is opened.
        Place::File(_) | Place::Memory => {
            if !arguments.list {
                store::open(&config.store).await?;
            }
            tell(arguments.json, &json!({ "applied": [], "pending": [] }), "this store is up to date whenever it is opened");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (schema, refused) = (Schema::default(), |refused: postgres::Refused| Failure::environment(refused.into()));
    if arguments.list {
        let pending = postgres::state(&address, &schema).await.map_err(refused)?.pending;
        tell(arguments.json, &json!({ "applied": [], "pending": objects(&pending) }), &lines(&pending, "is missing"));
        return Ok(if pending.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NEGATIVE) });
    }
    let applied = postgres::migrate(&address, &schema, SystemClock.now()).await.map_err(refused)?;
    tell(arguments.json, &json!({ "applied": objects(&applied), "pending": [] }), &lines(&applied, "is applied"));
    Ok(ExitCode::SUCCESS)
}

fn tell(is_json: bool, object: &Value, text: &str) {
    if is_json { terminal::say(object) } else { terminal::say(text) }
}

fn objects(migrations: &[Migration]) -> Vec<Value> {
    let object =
        |migration: &Migration| json!({ "number": migration.number, "name": migration.name, "kind": migration.kind.as_str() });
    migrations.iter().map(object).collect()
}

fn lines(migrations: &[Migration], what: &str) -> String {
    if migrations.is_empty() {
        return "the schema is up to date".into();
    }
    let line = |migration: &Migration| {
        format!("step {} ({}), which {}, {what}", migration.number, migration.name, migration.kind.as_str())
    };
    migrations.iter().map(line).collect::<Vec<_>>().join("\n")
}
