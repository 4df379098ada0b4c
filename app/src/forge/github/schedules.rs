//! What policy files have done at certain times, of all repositories that the App is installed on.
//!
//! Nobody tells when such a file is changed where nothing else happens, so that the repositories are listed now and then, and the file
//! is read of each that somebody has pushed to since.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use patchwright_domain::event::RepoRef;
use patchwright_domain::policy::schedule::Schedule;
use serde_json::Value;
use tracing::{info, warn};

use super::GitHub;
use super::client::{Answer, Call};
use super::tokens::Grant;
use crate::forge::{ForgeError, Schedules, Unknown};

/// How many pages of a hundred installations are read.
const INSTALLATION_PAGES_MAX: u32 = 10;
/// How many pages of a hundred repositories are read of one installation.
const REPOSITORY_PAGES_MAX: u32 = 10;
/// How many policy files are read in one go, of all installations together; the others are in the next ones.
const FILES_MAX: usize = 1_000;
/// How many of them are read at the same time.
const FILES_AT_ONCE: usize = 4;
/// How long ago a push must be for its second to be over, and what it has changed to be what is read.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);

const LISTING: &str = "listing the App's installations";
const LISTING_REPOSITORIES: &str = "listing an installation's repositories";

/// A repository as it stands in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    repo: RepoRef,
    /// When somebody has last pushed to it, where that is long enough ago for nobody to have pushed in that second after the list was made.
    pushed_at: Option<Timestamp>,
}

/// What was read of policy files, by the numbers of their repositories.
#[derive(Default)]
pub(super) struct Read(Mutex<HashMap<u64, (Listed, Vec<Schedule>)>>);

impl Read {
    /// What was read while the repository stood in the list as it does now.
    fn of(&self, listed: &Listed) -> Option<Vec<Schedule>> {
        listed.pushed_at?;
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&listed.repo.id).filter(|(then, _)| then == listed).map(|(_, entries)| entries.clone())
    }

    /// Keeps what was read, and nothing of repositories that are not listed any more.
    fn keep(&self, all: HashMap<u64, (Listed, Vec<Schedule>)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

impl GitHub {
    /// All entries there are. What cannot be read for good is left out, and told in the log.
    pub(super) async fn all_schedules(&self) -> Result<Schedules, ForgeError> {
        let mut unknown = Vec::new();
        let (mut to_read, mut kept) = (Vec::new(), HashMap::new());
        for installation in self.installations().await? {
            match self.repositories(installation).await {
                Ok(found) => {
                    for listed in found {
                        match self.schedules.of(&listed) {
                            Some(entries) => drop(kept.insert(listed.repo.id, (listed, entries))),
                            None => to_read.push(listed),
                        }
                    }
                }
                Err(error) if is_passing(&error) => {
                    warn!(installation, error = %error, "the schedules of an installation cannot be read now");
                    unknown.push(Unknown::Installation(installation));
                }
                Err(error) => info!(installation, error = %error, "the repositories of an installation cannot be listed"),
            }
        }
        let later = to_read.split_off(to_read.len().min(FILES_MAX));
        unknown.extend(later.iter().map(|listed| Unknown::Repository(listed.repo.id)));
        if !later.is_empty() {
            info!("the policy files of {} repositories are looked through for schedules the next time", later.len());
        }
        let reading = to_read.into_iter().map(async |listed| (self.scheduled_in(&listed.repo).await, listed));
        let mut read = stream::iter(reading).buffer_unordered(FILES_AT_ONCE);
        while let Some((found, listed)) = read.next().await {
            let repo = &listed.repo;
            match found {
                Ok(entries) => drop(kept.insert(repo.id, (listed, entries))),
                Err(error) if is_passing(&error) => {
                    warn!(%repo, error = %error, "the schedule of a repository cannot be read now");
                    unknown.push(Unknown::Repository(repo.id));
                }
                Err(error) => info!(%repo, error = %error, "the policy file of a repository cannot be read"),
            }
        }
        let scheduled = kept.values().filter(|(_, entries)| !entries.is_empty());
        let mut of: Vec<_> = scheduled.map(|(listed, entries)| (listed.repo.clone(), entries.clone())).collect();
        of.sort_by_key(|(repo, _)| repo.id);
        self.schedules.keep(kept);
        Ok(Schedules { of, unknown: unknown.into_iter().collect() })
    }

    /// What a repository's policy file has done at certain times; nothing, where it cannot be understood.
    pub(super) async fn scheduled_in(&self, repo: &RepoRef) -> Result<Vec<Schedule>, ForgeError> {
        let grant = Grant::new(repo, &[("contents", "read")]);
        let (policy, unread) = self.policy_or_place(&grant).await?;
        if let Some(place) = unread {
            info!(%repo, "the policy file cannot be read {place}, so that it schedules nothing");
        }
        Ok(policy.schedule)
    }

    /// The installations that are not suspended.
    async fn installations(&self) -> Result<Vec<u64>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=INSTALLATION_PAGES_MAX {
            let call = Call::get(format!("/app/installations?per_page=100&page={page}"), LISTING);
            let Answer { body, has_next_page, .. } = self.client.call_as_app(&call).await?;
            let listed = body.as_array().into_iter().flatten();
            let at_work = listed.filter(|found| found.get("suspended_at").is_none_or(Value::is_null));
            all.extend(at_work.filter_map(|found| found.get("id")?.as_u64()));
            if !has_next_page {
                return Ok(all);
            }
        }
        warn!("of the App's installations only the first {INSTALLATION_PAGES_MAX} pages are looked through for schedules");
        Ok(all)
    }

    /// The repositories of an installation in which work can be done.
    async fn repositories(&self, installation: u64) -> Result<Vec<Listed>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=REPOSITORY_PAGES_MAX {
            let call = Call::get(format!("/installation/repositories?per_page=100&page={page}"), LISTING_REPOSITORIES);
            let Answer { body, has_next_page, at, .. } = self.client.call_as_installation(installation, &call).await?;
            let found = body.get("repositories").and_then(Value::as_array).into_iter().flatten();
            all.extend(found.filter_map(|found| listed(installation, found, at)));
            if !has_next_page {
                return Ok(all);
            }
        }
        warn!(installation, "of its repositories only the first {REPOSITORY_PAGES_MAX} pages are looked through for schedules");
        Ok(all)
    }
}

/// Reads a repository from a list that was made at this time, unless it can only be read or is disabled.
fn listed(installation: u64, found: &Value, made_at: Option<Timestamp>) -> Option<Listed> {
    let is = |field: &str| found.get(field).and_then(Value::as_bool) == Some(true);
    let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str);
    if is("archived") || is("disabled") {
        return None;
    }
    let (id, owner) = (found.get("id")?.as_u64()?, text("/owner/login")?);
    let repo = RepoRef::new(id, installation, owner, text("/name")?, text("/default_branch")?).ok()?;
    let pushed_at: Option<Timestamp> = text("/pushed_at").and_then(|at| at.parse().ok());
    let is_settled = |at: &Timestamp| made_at.is_some_and(|made_at| made_at.duration_since(*at) >= SETTLED);
    Some(Listed { repo, pushed_at: pushed_at.filter(is_settled) })
}

/// Whether it may be otherwise another time, without that anybody does something about it.
fn is_passing(error: &ForgeError) -> bool {
    match error {
        ForgeError::RateLimited { .. } | ForgeError::Unavailable(_) => true,
        ForgeError::Denied { .. } | ForgeError::Rejected { .. } => false,
    }
}
