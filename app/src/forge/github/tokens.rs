//! Installation tokens: each is asked for once, kept in memory alone, and renewed before it expires.
//!
//! A token is for one repository and no more than some permissions, so each such grant has its own. However many ask at
//! once for the same, one request is made. What is refused is told to all who wait and asked for again by the next.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use patchwright_domain::event::RepoRef;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::forge::ForgeError;

/// How many tokens are kept; the one that was not used for longest goes first.
const TOKENS_MAX: u64 = 10_000;
/// How long before its end a token is not used any more.
const RENEWED_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// How long GitHub's tokens live; what is older is dropped from memory.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Names of permissions with their levels.
pub(super) type Permissions = &'static [(&'static str, &'static str)];

/// For what requests are allowed: one repository, and no more than these permissions.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) repo: RepoRef,
    pub(super) permissions: Permissions,
}

impl Grant {
    pub(super) fn new(repo: &RepoRef, permissions: Permissions) -> Self {
        Self { repo: repo.clone(), permissions }
    }

    pub(super) fn key(&self) -> Key {
        Key { installation: self.repo.installation, repo: Some(self.repo.id), permissions: self.permissions }
    }
}

/// What tells grants apart. Names are none of it, for they change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    installation: u64,
    /// None for all of the installation's, of which that is no more than their names.
    repo: Option<u64>,
    permissions: Permissions,
}

impl Key {
    /// What lists the repositories of an installation, and reaches nothing in them.
    pub(super) fn of_list(installation: u64) -> Self {
        Self { installation, repo: None, permissions: &[("metadata", "read")] }
    }

    /// What GitHub is asked for.
    pub(super) fn request(&self) -> Value {
        let permissions: serde_json::Map<String, Value> =
            self.permissions.iter().map(|(name, level)| ((*name).to_owned(), json!(level))).collect();
        match self.repo {
            Some(repo) => json!({ "repository_ids": [repo], "permissions": permissions }),
            None => json!({ "permissions": permissions }),
        }
    }

    pub(super) fn installation(&self) -> u64 {
        self.installation
    }
}

/// A token as GitHub gave it.
#[derive(Clone)]
pub(super) struct Minted {
    token: SecretString,
    renew_at: Timestamp,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Minted(until {})", self.renew_at)
    }
}

impl Minted {
    /// Reads GitHub's answer. Its clock and ours may differ, so what counts is how long the token lives from that answer on.
    pub(super) fn read(answer: &Value, asked_at: Timestamp, answered_at: Option<Timestamp>) -> Result<Self, ForgeError> {
        let odd = |what: &str| ForgeError::Unavailable(format!("GitHub's answer {what}"));
        let token = answer.get("token").and_then(Value::as_str).ok_or_else(|| odd("holds no token"))?;
        let expires_at = answer.get("expires_at").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
        let expires_at = expires_at.ok_or_else(|| odd("does not say until when the token holds"))?;
        let lifetime = expires_at.duration_since(answered_at.unwrap_or(asked_at));
        let renew_at = asked_at.checked_add(lifetime.saturating_sub(RENEWED_BEFORE)).unwrap_or(asked_at);
        Ok(Self { token: SecretString::from(token), renew_at })
    }
}

/// All tokens that are in use.
pub(super) struct Tokens {
    kept: Cache<Key, Result<Minted, ForgeError>>,
}

impl Tokens {
    pub(super) fn new() -> Self {
        let kept = Cache::builder().max_capacity(TOKENS_MAX).eviction_policy(EvictionPolicy::lru());
        Self { kept: kept.time_to_live(TOKEN_LIFETIME).build() }
    }

    /// The grant's token; `mint` is waited for where there is none that holds, or only the one that was refused.
    pub(super) async fn token(
        &self,
        key: Key,
        now: Timestamp,
        refused: Option<&SecretString>,
        mint: impl Future<Output = Result<Minted, ForgeError>>,
    ) -> Result<SecretString, ForgeError> {
        let is_of_no_use = |kept: &Result<Minted, ForgeError>| match kept {
            Ok(minted) => {
                minted.renew_at <= now || refused.is_some_and(|refused| refused.expose_secret() == minted.token.expose_secret())
            }
            Err(_) => true,
        };
        let entry = self.kept.entry(key).or_insert_with_if(mint, is_of_no_use).await;
        entry.into_value().map(|minted| minted.token)
    }
}
