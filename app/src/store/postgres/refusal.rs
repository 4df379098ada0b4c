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
        error => refused(format!("{address} does not work: {error}"), "see the server's log"),
    }
}

pub(super) fn of_silence(address: &Address) -> Refused {
    refused(format!("PostgreSQL does not answer for {address} within {} s", CONNECT_TIMEOUT.as_secs()), REACH)
}

pub(super) fn of_version(version: u32, address: &Address) -> Refused {
    refused(
        format!(
            "PostgreSQL at {address} is version {}.{}, and 13 is the oldest that is supported",
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

fn refused(problem: String, remedy: &str) -> Refused {
    Refused { problem, remedy: remedy.into() }
}
