//! Why a database lets us not in, in words, with the next step.

use sqlx::error::DatabaseError;

use super::address::Address;
use super::{CONNECT_TIMEOUT, Refused};

const PASSWORD: &str = "`store.password` (or PATCHWRIGHT__STORE__PASSWORD)";
const REACH: &str = "see that it runs, that it listens there, and that `store.url` names the right host and port";

pub(super) fn of(error: &sqlx::Error, address: &Address) -> Refused {
    match error {
        sqlx::Error::Io(cause) => refused(format!("PostgreSQL cannot be reached for {address}: {cause}"), REACH),
        sqlx::Error::PoolTimedOut => of_silence(address),
        sqlx::Error::Tls(cause) => refused(
            format!("there is no TLS that holds with {address}: {cause}"),
            "give the server a certificate for this host's name and name its authority with `sslrootcert=FILE` in `store.url`; \
             `sslmode=require` takes any certificate, `sslmode=disable` none, both for networks of your own",
        ),
        sqlx::Error::Configuration(cause) => refused(format!("`store.url` cannot be used: {cause}"), "mend it"),
        sqlx::Error::Database(cause) => of_database(cause.as_ref(), address),
        error => refused(format!("{address} does not work: {}", told(error)), "see the server's log"),
    }
}

pub(super) fn of_silence(address: &Address) -> Refused {
    refused(format!("PostgreSQL does not answer for {address} within {} s", CONNECT_TIMEOUT.as_secs()), REACH)
}

pub(super) fn of_version(version: u32, address: &Address) -> Refused {
    refused(
        format!(
            "{address} is kept by PostgreSQL {}.{}, and 13 is the oldest that is supported",
            version / 10_000,
            version % 10_000
        ),
        "upgrade it with pg_upgrade, or name another one in `store.url`",
    )
}

/// By the codes of PostgreSQL's appendix A.
fn of_database(error: &dyn DatabaseError, address: &Address) -> Refused {
    let (code, told) = (error.code().unwrap_or_default(), error.message());
    let remedy = match &*code {
        "28P01" => format!("set {PASSWORD} to this user's password"),
        "28000" => format!("make the role, let it in by `pg_hba.conf`, and set {PASSWORD} where that asks for one"),
        "3D000" => format!("make it: `createdb {}`", address.database()),
        "42501" => "give the role the rights that it lacks, or run `patchwright migrate` as the owner".into(),
        "53300" => "raise `max_connections` of the server, or run fewer processes".into(),
        "57P03" => "it starts or stops just now: try again in a moment".into(),
        _ => "see the server's log".into(),
    };
    Refused { problem: format!("{address} lets nobody in: {told} ({code})"), remedy }
}

/// A step of the schema that was not applied; its transaction is undone.
pub(super) fn of_step(what: &str, error: &sqlx::Error) -> Refused {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    let remedy = match &*code {
        "42501" => {
            "let the role do it: `GRANT CREATE ON SCHEMA public TO ..`, or make it the tables' owner; or run `patchwright \
                    migrate` as a role that may, and set `store.migrate = false`"
        }
        "55P03" => "somebody held the table for too long: try again, at a quieter time",
        _ => "see the server's log, and try again with `patchwright migrate`",
    };
    refused(format!("{what} cannot be applied, and nothing was changed: {}", told(error)), remedy)
}

/// What the database said, in its words and by its code.
pub(super) fn told(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(cause) => format!("{} ({})", cause.message(), cause.code().unwrap_or_default()),
        error => error.to_string(),
    }
}

/// Whether the server has no room on its disk, by the same codes.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "53100")
}

fn refused(problem: String, remedy: &str) -> Refused {
    Refused { problem, remedy: remedy.into() }
}
