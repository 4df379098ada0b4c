//! The server's own secrets, as far as they are known: what they are called, and what may be in no patch and no answer.
//!
//! None of them is inside a sandbox, so that none should ever be found; this is for the day on which one is.

use std::sync::Arc;

use patchwright_domain::proof::secrets::{self, Own, Veil};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::Config;

/// What the secrets of registries are called together.
const HOST: &str = "credential of a registry in `sandbox.egress.host`";

/// Secrets and their names.
#[derive(Clone, Debug, Default)]
pub struct Guarded {
    secrets: Arc<[(String, SecretString)]>,
}

impl Guarded {
    /// The secrets of a configuration, and the App's key where that is at hand.
    pub fn new(config: &Config, app_key: Option<SecretString>) -> Self {
        let Config { github, model, mcp, sandbox, store, .. } = config;
        let own = [
            ("`github.webhook_secret`", &github.webhook_secret),
            ("`github.webhook_secret_previous`", &github.webhook_secret_previous),
            ("`model.api_key`", &model.api_key),
            ("`store.password`", &store.password),
            ("App's private key", &app_key),
        ];
        let mcp = mcp.iter().map(|mcp| ("`mcp.token`", &mcp.token));
        let all = own.into_iter().chain(mcp).filter_map(|(name, secret)| Some((name.to_owned(), secret.clone()?)));
        // A host's user name may be a token itself. What is wrong with a host is said where the configuration is read.
        let hosts = sandbox.egress.hosts().unwrap_or_default();
        let grants = hosts.into_iter().flat_map(|host| host.grants);
        let of_hosts = grants.flat_map(|grant| grant.credential.secrets()).map(|secret| (HOST.to_owned(), secret));
        Self { secrets: all.chain(of_hosts).collect() }
    }

    /// These, and others.
    #[must_use]
    pub fn with(&self, others: impl IntoIterator<Item = (&'static str, SecretString)>) -> Self {
        let others = others.into_iter().map(|(name, secret)| (name.to_owned(), secret));
        Self { secrets: self.secrets.iter().cloned().chain(others).collect() }
    }

    /// Them, for looking them up.
    pub(crate) fn own(&self) -> Vec<Own<'_>> {
        self.secrets.iter().map(|(name, value)| Own { name, value: value.expose_secret() }).collect()
    }

    /// A text for people without what stands in it of them, and without what looks like a secret.
    pub(crate) fn redacted(&self, text: &str) -> String {
        secrets::redacted(text, &self.own())
    }

    /// Which of them are hard to keep, each with why.
    pub fn weaknesses(&self) -> Vec<String> {
        let weakness = |(name, value): &(String, SecretString)| {
            secrets::weakness(value.expose_secret()).map(|weakness| format!("{name} {weakness}"))
        };
        self.secrets.iter().filter_map(weakness).collect()
    }

    /// What takes them out of texts that others have written.
    pub(crate) fn veil(&self) -> Veil {
        Veil::over(&self.own())
    }
}
