//! The address of a database, read strictly: what is misspelt in it would be left out, and a word of it decides whether anybody
//! on the way can read along.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// What may stand behind the question mark.
const PARAMETERS: [&str; 9] =
    ["application_name", "dbname", "host", "port", "sslcert", "sslkey", "sslmode", "sslrootcert", "user"];
const FORMS: &str = "write `postgres://USER@HOST/DATABASE`, or `postgres:///DATABASE?host=FOLDER&user=USER` for a socket";
/// What the database's own list of connections calls us.
const APPLICATION: &str = "patchwright";

/// Where a database is and who we are there. It is shown without the password.
#[derive(Clone)]
pub struct Address {
    options: Box<PgConnectOptions>,
}

impl Address {
    /// Reads `postgres://USER@HOST:PORT/DATABASE?sslmode=..`. What it leaves out comes from libpq's variables (`PGHOST`,
    /// `PGPASSWORD`, `PGPASSFILE`, ..), the password too where none is given.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead; never the address itself, for there may be a password in it.
    pub fn parse(url: &str, password: Option<&SecretString>) -> Result<Self, String> {
        let parsed = reqwest::Url::parse(url).map_err(|e| format!("it is no address: {e}; {FORMS}"))?;
        if parsed.password().is_some() {
            return Err("it holds a password, which everybody sees who sees the address; give it as `store.password`".into());
        }
        for (name, _) in parsed.query_pairs() {
            match &*name {
                "password" => return Err("it holds a password; give it as `store.password`".into()),
                name if PARAMETERS.contains(&name) => {}
                name => return Err(format!("there is no parameter `{name}`, only {}", PARAMETERS.join(", "))),
            }
        }
        let options = PgConnectOptions::from_str(url).map_err(|e| format!("it cannot be read: {e}"))?;
        let mode = parsed.query_pairs().find(|(name, _)| name == "sslmode").map(|(_, value)| value.into_owned());
        let has_authority = parsed.query_pairs().any(|(name, _)| name == "sslrootcert");
        let mode = ssl_mode(&options, mode.as_deref(), has_authority)?;
        let mut options = options.ssl_mode(mode).application_name(APPLICATION).disable_statement_logging();
        if let Some(password) = password {
            options = options.password(password.expose_secret());
        }
        Ok(Self { options: Box::new(options) })
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The database's name; by default it is the user's.
    pub(super) fn database(&self) -> &str {
        self.options.get_database().unwrap_or(self.options.get_username())
    }
}

/// Over a network a certificate has to hold, unless the operator says otherwise. What would try TLS and go on without is
/// refused: whoever is on the way decides then.
fn ssl_mode(options: &PgConnectOptions, given: Option<&str>, has_authority: bool) -> Result<PgSslMode, String> {
    let host = options.get_host();
    let is_socket = options.get_socket().is_some() || host.starts_with('/');
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match given {
        _ if is_socket => Ok(PgSslMode::Disable),
        None if is_loopback => Ok(PgSslMode::Prefer),
        None | Some("verify-full") => Ok(PgSslMode::VerifyFull),
        Some("verify-ca") => Ok(PgSslMode::VerifyCa),
        // As libpq does: who names an authority wants it asked.
        Some("require") if has_authority => Ok(PgSslMode::VerifyCa),
        Some("require") => Ok(PgSslMode::Require),
        Some("disable") => Ok(PgSslMode::Disable),
        Some(other) => Err(format!("`sslmode` is verify-full, verify-ca, require or disable, not `{other}`")),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let host = match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None if options.get_host().starts_with('/') => options.get_host().to_owned(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        write!(f, "database `{}` at {host} as user `{}`", self.database(), options.get_username())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
