//! Where repositories are now. Their numbers stay; their names, and those of their owners, change.
//!
//! What GitHub answers under an old name leads to an address, which is not followed: the repository is asked for by its
//! number, and what is put into addresses are the names in that answer, checked as those of payloads are.

use moka::future::Cache;
use moka::policy::EvictionPolicy;
use patchwright_domain::event::RepoRef;
use serde_json::Value;

use crate::forge::ForgeError;

/// How many repositories are remembered that have moved; the one that was not asked for longest is forgotten first.
const PLACES_MAX: u64 = 10_000;

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) owner: String,
    pub(super) name: String,
    /// Whether nothing can be written to it.
    pub(super) is_archived: bool,
}

impl Place {
    /// Reads GitHub's description of a repository.
    pub(super) fn read(repo: &RepoRef, answer: &Value) -> Result<Self, ForgeError> {
        let rejected = |reason: String| ForgeError::Rejected { what: "looking for the repository".into(), reason };
        let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if answer.get("id").and_then(Value::as_u64) != Some(repo.id) {
            return Err(rejected("GitHub's answer is about another one".into()));
        }
        let now = RepoRef::new(repo.id, repo.installation, text("/owner/login"), text("/name"), repo.default_branch())
            .map_err(|e| rejected(e.to_string()))?;
        let is_archived = answer.get("archived").and_then(Value::as_bool).unwrap_or(false);
        Ok(Self { owner: now.owner().to_owned(), name: now.name().to_owned(), is_archived })
    }

    /// Where a payload said that it is.
    fn told(repo: &RepoRef) -> Self {
        Self { owner: repo.owner().to_owned(), name: repo.name().to_owned(), is_archived: false }
    }
}

/// The repositories of which it is known, each under its number and the name that it was told by: what a later payload says
/// is newer than what was found out before.
pub(super) struct Places {
    known: Cache<(u64, String), Place>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { known: Cache::builder().max_capacity(PLACES_MAX).eviction_policy(EvictionPolicy::lru()).build() }
    }

    pub(super) async fn of(&self, repo: &RepoRef) -> Place {
        self.known.get(&(repo.id, repo.to_string())).await.unwrap_or_else(|| Place::told(repo))
    }

    pub(super) async fn remember(&self, repo: &RepoRef, place: &Place) {
        self.known.insert((repo.id, repo.to_string()), place.clone()).await;
    }
}
