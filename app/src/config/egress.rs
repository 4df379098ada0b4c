//! What a repository's setup may reach, as the operator sets it.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::egress::name::Pattern;
use crate::egress::rules::{self, Credential, Grant};
use crate::egress::{self, Limits};

const MIB: u64 = 1024 * 1024;

/// What a repository's setup may reach; everything else runs without a network. A list of names keeps nothing in: who may
/// write to an allowed host can take the repository there.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Egress {
    /// Whether setups may reach anything at all.
    pub enabled: bool,
    /// Whether the registries that this machine's cargo, npm, pip, uv and go use, by their own configuration, are on the list.
    pub ecosystems: bool,
    /// Further hosts, at the ports 80 and 443; `*.` at the beginning means everything below a name.
    pub hosts: Vec<String>,
    /// Whether the setup of a tree that the agent has changed may reach out too. Then code that the agent wrote runs with a
    /// way out; without, the setup runs on the base, and the agent's files are put in their place behind it.
    pub patched: bool,
    /// A file of certificate authorities, in PEM form, that is trusted beside the machine's own and used inside in their place.
    pub ca_file: Option<PathBuf>,
    /// What one setup may send, in MiB.
    pub upload_mib: u64,
    /// What one setup may receive, in MiB.
    pub download_mib: u64,
    /// Connections at a time; a further one waits.
    pub connections: u32,
    /// How many seconds nothing may move on a connection before it is closed.
    pub idle_seconds: u64,
    /// Hosts of which there is more to say than the name; one such table for each.
    pub host: Vec<Host>,
}

impl Default for Egress {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            enabled: true,
            ecosystems: true,
            hosts: Vec::new(),
            patched: false,
            ca_file: None,
            upload_mib: limits.up_bytes / MIB,
            download_mib: limits.down_bytes / MIB,
            connections: u32::try_from(limits.n_connections).unwrap_or(u32::MAX),
            idle_seconds: limits.idle.as_secs(),
            host: Vec::new(),
        }
    }
}

/// A host of which there is more to say than the name.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// Its name; `*.` at the beginning means everything below it.
    pub name: String,
    /// The ports that may be reached.
    pub ports: Vec<u16>,
    /// Whether its addresses may be of this machine or its networks, as those of a company's own registry are.
    pub private: bool,
    /// Whether a plain request to it goes out over TLS: the tool inside is given `http://NAME/`, so that the proxy can add
    /// the token or password, and nobody inside sees it.
    pub upgrade_to_tls: bool,
    /// A bearer token that is added to plain requests that read, by GET or HEAD, and to no other.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// A user's name that is added to the same requests, with the password.
    pub username: Option<String>,
    /// The password that goes with it.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub password: Option<SecretString>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            name: String::new(),
            ports: rules::PORTS.to_vec(),
            private: false,
            upgrade_to_tls: false,
            token: None,
            username: None,
            password: None,
        }
    }
}

impl Egress {
    /// What one gate lets through.
    pub fn limits(&self) -> Limits {
        Limits {
            up_bytes: self.upload_mib.saturating_mul(MIB),
            down_bytes: self.download_mib.saturating_mul(MIB),
            n_connections: self.connections as usize,
            idle: Duration::from_secs(self.idle_seconds),
            ..Limits::default()
        }
    }

    /// The hosts that are named here, those of which there is more to say first.
    ///
    /// # Errors
    /// Which key is wrong, and why.
    pub fn hosts(&self) -> Result<Vec<egress::rules::Host>, String> {
        let described = self.host.iter().map(Host::host);
        let named = self.hosts.iter().map(|name| Ok(egress::rules::Host::new(pattern("sandbox.egress.hosts", name)?)));
        described.chain(named).collect()
    }

    /// Says what is wrong, naming the key.
    pub(super) fn check(&self) -> Result<(), String> {
        let positive = [
            ("upload_mib", self.upload_mib),
            ("download_mib", self.download_mib),
            ("connections", self.connections.into()),
            ("idle_seconds", self.idle_seconds),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("`sandbox.egress.{key}` must be at least 1"));
        }
        self.hosts().map(drop)
    }
}

impl Host {
    fn host(&self) -> Result<egress::rules::Host, String> {
        let wrong = |reason: &str| format!("`sandbox.egress.host` of `{}`: {reason}", self.name);
        let credential = match (&self.token, &self.username, &self.password) {
            (None, None, None) => None,
            (Some(token), None, None) => Some(Credential::Token(token.clone())),
            (None, Some(username), Some(password)) => {
                Some(Credential::Password { username: username.clone(), password: password.clone() })
            }
            (Some(_) | None, ..) => return Err(wrong("either `token`, or `username` and `password`")),
        };
        if let Some(credential) = &credential {
            credential.header().map_err(|reason| wrong(&format!("the token or password: {reason}")))?;
            if !self.upgrade_to_tls && !self.private {
                return Err(wrong("a token or password goes out over TLS only: set `upgrade_to_tls = true`"));
            }
        }
        if self.ports.is_empty() || self.ports.contains(&0) {
            return Err(wrong("`ports` names at least one port, and none is 0"));
        }
        Ok(egress::rules::Host {
            pattern: pattern("sandbox.egress.host.name", &self.name)?,
            ports: self.ports.clone(),
            private: self.private,
            upgrade_to_tls: self.upgrade_to_tls,
            grants: credential.map(Grant::of_host).into_iter().collect(),
        })
    }
}

fn pattern(key: &str, name: &str) -> Result<Pattern, String> {
    Pattern::parse(name).map_err(|reason| format!("`{key}` has `{name}`, which is neither a name nor `*.` and a name: {reason}"))
}
