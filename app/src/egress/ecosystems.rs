//! The registries that the host's own tools use, by what these tools are configured to and say of themselves.
//!
//! What a tool inside needs of that is carried in, without passwords and tokens: those stay with the proxy, which adds them
//! to what is asked in plain and goes out over TLS. No registry is named in here but in [`defaults`], for the tools that do
//! not tell where they go when nothing is configured.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use tokio::process::Command;
use tokio::time::timeout;
use tracing::warn;

use crate::egress::Carried;
use crate::egress::name::{HostName, Pattern};
use crate::egress::rules::{Credential, Grant, Host, PORTS, decoded};

mod cargo;
pub mod defaults;
mod go;
mod netrc;
mod npm;
mod python;

use netrc::Login;

/// How long a tool may take to say what it is configured to.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest file of settings that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where the tools and their settings are.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Where tools are looked for, as in `PATH`.
    pub path: OsString,
    /// The home directory of whoever configured them.
    pub home: Option<PathBuf>,
    /// The variables that they see.
    pub environment: BTreeMap<String, String>,
}

impl Sources {
    /// This process's own.
    pub fn of_this_process() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        // A variable that is no text is no setting of these tools.
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self {
            path: std::env::var_os("PATH").unwrap_or_default(),
            home,
            environment: std::env::vars_os().filter_map(text).collect(),
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// A file of settings; what cannot be read is none.
    fn read(&self, path: &Path) -> Option<String> {
        let is_small = std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= FILE_BYTES_MAX);
        is_small.then(|| std::fs::read_to_string(path).ok()).flatten()
    }

    fn below_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }

    fn has(&self, name: &str) -> bool {
        self.program(name).is_some()
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        let folders = std::env::split_paths(&self.path).filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// What a tool answers. It is the operator's own, so it runs as we do, but far from any repository.
    async fn ask(&self, name: &str, question: &[&str]) -> Option<String> {
        let mut command = Command::new(self.program(name)?);
        command.args(question).current_dir("/").env_clear().envs(&self.environment).env("PATH", &self.path);
        if let Some(home) = &self.home {
            command.env("HOME", home);
        }
        command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        match timeout(ANSWER_TIMEOUT, command.output()).await {
            Ok(Ok(answer)) if answer.status.success() => String::from_utf8(answer.stdout).ok(),
            Ok(_) | Err(_) => {
                warn!(
                    "`{name}` does not say which registry it uses, so its setups reach none; add hosts to `sandbox.egress.hosts`"
                );
                None
            }
        }
    }
}

/// What the tools use.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The hosts of their registries.
    pub hosts: Vec<Host>,
    /// What is carried in.
    pub carried: Carried,
    /// The hosts of registries that are configured by an address, so that no setup reaches them.
    pub skipped: Vec<String>,
    /// Whom tools are that read `~/.netrc`.
    logins: Vec<Login>,
    /// The other secrets that stand in the tools' settings, whether a setup can reach what they are for or not.
    others: Vec<SecretString>,
}

/// Asks cargo, npm, pip, uv and go, those of them that are there.
pub async fn discover(sources: &Sources) -> Found {
    let mut found = Found { logins: netrc::logins(sources), ..Found::default() };
    let (npm, python, go) = tokio::join!(npm::ask(sources), python::ask(sources), go::ask(sources));
    cargo::add(sources, &mut found);
    npm::add(sources, npm, &mut found);
    python::add(sources, &python, &mut found);
    go::add(go, &mut found);
    found
}

impl Found {
    /// Every secret that was read.
    pub fn secrets(&self) -> impl Iterator<Item = SecretString> {
        self.logins.iter().flat_map(|login| login.credential.secrets()).chain(self.others.iter().cloned())
    }

    /// Allows the host of a registry's address and returns the address as it is to be used inside; none where it is no
    /// address that can be allowed.
    fn registry(&mut self, address: &str) -> Option<String> {
        self.registry_with(address, None)
    }

    /// The same for tools that read `~/.netrc`, which holds where it goes out over TLS.
    fn registry_with_login(&mut self, address: &str) -> Option<String> {
        let host =
            Url::parse(address).ok().filter(|url| url.scheme() == "https").and_then(|url| url.host_str().map(str::to_owned));
        let login = host.and_then(|host| self.logins.iter().find(|login| login.machine.eq_ignore_ascii_case(&host)));
        // The file knows of hosts, not of paths.
        let grant = login.map(|login| Grant::of_host(login.credential.clone()));
        self.registry_with(address, grant)
    }

    /// The same, with what the proxy is to add where the address itself has nothing.
    fn registry_with(&mut self, address: &str, grant: Option<Grant>) -> Option<String> {
        let (prefix, plain) = address.strip_prefix("sparse+").map_or(("", address), |plain| ("sparse+", plain));
        let mut url = Url::parse(plain).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let has_own = !url.username().is_empty() || url.password().is_some();
        let own = has_own.then(|| Credential::Password {
            username: decoded(url.username()),
            password: SecretString::from(decoded(url.password().unwrap_or_default())),
        });
        let given = grant.as_ref().map(|grant| &grant.credential);
        self.others.extend(own.iter().chain(given).flat_map(Credential::secrets));
        let Ok(name) = HostName::parse(&host) else {
            warn!("a registry is configured by an address, {host}, which no setup reaches: give it a name");
            if !self.skipped.contains(&host) {
                self.skipped.push(host);
            }
            return None;
        };
        // As the tools do it, which find what an index leads to at other paths of its host.
        let grant = own.map(Grant::of_host).or(grant);
        // Neither fails: the scheme is http or https, so there is a host.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        let ports = url.port().map_or_else(|| PORTS.to_vec(), |port| vec![port]);
        let upgrade_to_tls = grant.is_some() && url.scheme() == "https";
        let text = url.as_str().to_owned();
        let inside = if upgrade_to_tls { text.replacen("https://", "http://", 1) } else { text };
        self.allow(Host { ports, upgrade_to_tls, grants: grant.into_iter().collect(), ..Host::new(Pattern::Exactly(name)) });
        Some(format!("{prefix}{inside}"))
    }

    /// Allows a host by its name.
    fn host(&mut self, name: &str) {
        if let Ok(pattern) = Pattern::parse(name) {
            self.allow(Host::new(pattern));
        }
    }

    fn allow(&mut self, host: Host) {
        let is_there = |there: &&mut Host| there.pattern == host.pattern;
        match self.hosts.iter_mut().find(is_there) {
            None => self.hosts.push(host),
            Some(there) => {
                there.ports.extend(host.ports.iter().filter(|port| !there.ports.contains(port)).copied().collect::<Vec<_>>());
                there.upgrade_to_tls |= host.upgrade_to_tls;
                for grant in host.grants {
                    if !there.grants.iter().any(|known| known.below == grant.below) {
                        there.grants.push(grant);
                    }
                }
            }
        }
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.carried.environment.push((name.to_owned(), value.into()));
    }
}

/// Puts the operator's own entries and the tools' together: what the operator says of a name holds for the tools' entry too.
pub fn merge(operator: &[Host], found: &[Host]) -> Vec<Host> {
    let (speaking, silent): (Vec<&Host>, Vec<&Host>) = operator.iter().partition(|host| !host.grants.is_empty());
    let of_tool = found.iter().map(|host| {
        let same = operator.iter().filter(|own| own.pattern == host.pattern);
        Host { private: host.private || same.clone().any(|own| own.private), ..host.clone() }
    });
    speaking.into_iter().cloned().chain(of_tool).chain(silent.into_iter().cloned()).collect()
}

#[cfg(test)]
mod tests;
