//! The state of the rehearsed GitHub and how to find one's way in it; what happens in it is in `act.rs`.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Settings,
    access::Token,
    fault::Fault,
    hook::Outgoing,
    scene::{Account, Attempt, Comment, Delivery, Exchange, Installation, Issue, Repository, RepositoryId, User},
};

/// The most exchanges that are remembered; older ones are forgotten first.
pub(super) const EXCHANGES_MAX: usize = 10_000;

pub(super) struct World {
    pub(super) settings: Settings,
    /// The address of the pages and of git, without a slash at the end.
    pub(super) web: String,
    /// The address of the REST API, without a slash at the end.
    pub(super) api: String,
    /// Where the bare repositories are.
    pub(super) root: PathBuf,
    pub(super) started_at: Timestamp,
    pub(super) users: Vec<User>,
    pub(super) installations: Vec<Installation>,
    pub(super) repositories: Vec<Repository>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) faults: Vec<Fault>,
    pub(super) exchanges: VecDeque<Exchange>,
    pub(super) deliveries: Vec<Delivery>,
    /// The attempts to deliver that have ended, oldest first.
    pub(super) attempts: Vec<Attempt>,
    /// How many of the next answers to webhooks are not heard.
    pub(super) n_unheard: u32,
    /// Names that repositories had, as `owner/name` in lower case.
    pub(super) former_names: BTreeMap<String, RepositoryId>,
    pub(super) webhook_url: Option<String>,
    pub(super) outbox: Vec<Outgoing>,
    /// Whether webhooks stay in the outbox for now.
    pub(super) holds_webhooks: bool,
    /// Whether commits that GitHub makes stay without its signature.
    pub(super) leaves_unsigned: bool,
    pub(super) n_requests: u64,
    pub(super) n_deliveries: u64,
    last_id: u64,
}

impl World {
    pub(super) fn new(settings: Settings, web: String, root: PathBuf) -> Self {
        let started_at = (settings.now)();
        let mut world = Self {
            api: format!("{web}/api/v3"),
            web,
            root,
            started_at,
            users: Vec::new(),
            installations: Vec::new(),
            repositories: Vec::new(),
            tokens: BTreeMap::new(),
            faults: Vec::new(),
            exchanges: VecDeque::new(),
            deliveries: Vec::new(),
            attempts: Vec::new(),
            n_unheard: 0,
            former_names: BTreeMap::new(),
            webhook_url: None,
            outbox: Vec::new(),
            holds_webhooks: false,
            leaves_unsigned: false,
            n_requests: 0,
            n_deliveries: 0,
            last_id: 4_000_000_000,
            settings,
        };
        let bot = world.bot_login();
        world.ensure_user(&bot, Account::Bot);
        world.ensure_user("github-actions[bot]", Account::Bot);
        world
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.settings.now)()
    }

    /// Numbers are beyond 32 bits on purpose, as many of GitHub's are.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1_000_000_007;
        self.last_id
    }

    /// The login under which the App writes.
    pub(super) fn bot_login(&self) -> String {
        format!("{}[bot]", self.settings.app_slug)
    }

    pub(super) fn user(&self, login: &str) -> Option<&User> {
        self.users.iter().find(|user| user.login.eq_ignore_ascii_case(login))
    }

    pub(super) fn ensure_user(&mut self, login: &str, account: Account) -> u64 {
        if let Some(user) = self.user(login) {
            return user.id;
        }
        let (id, is_bot) = (self.next_id(), login.ends_with("[bot]"));
        let account = if is_bot { Account::Bot } else { account };
        self.users.push(User { id, login: login.to_owned(), account });
        id
    }

    pub(super) fn repository_api(&self, repo: &Repository) -> String {
        format!("{}/repos/{}", self.api, repo.full_name())
    }

    /// The log of a job, by its number.
    pub(super) fn log(&self, id: u64) -> Option<Vec<u8>> {
        let mut runs = self.repositories.iter().flat_map(|repo| &repo.checks);
        runs.find(|run| run.id == id)?.job.as_ref()?.log.clone()
    }

    pub(super) fn repository(&self, id: RepositoryId) -> Option<&Repository> {
        self.repositories.iter().find(|repo| repo.id == id)
    }

    pub(super) fn repository_mut(&mut self, id: RepositoryId) -> Option<&mut Repository> {
        self.repositories.iter_mut().find(|repo| repo.id == id)
    }

    pub(super) fn repository_named(&self, owner: &str, name: &str) -> Option<&Repository> {
        let is_it = |repo: &&Repository| repo.owner.eq_ignore_ascii_case(owner) && repo.name.eq_ignore_ascii_case(name);
        self.repositories.iter().find(is_it)
    }

    /// The installation that covers an account's repositories.
    pub(super) fn installation_of(&self, owner: &str) -> Option<&Installation> {
        self.installations.iter().find(|found| found.account.eq_ignore_ascii_case(owner))
    }

    pub(super) fn issue(&self, repo: RepositoryId, number: u64) -> Option<&Issue> {
        self.repository(repo)?.issues.get(&number)
    }

    pub(super) fn issue_mut(&mut self, repo: RepositoryId, number: u64) -> Option<&mut Issue> {
        self.repository_mut(repo)?.issues.get_mut(&number)
    }

    /// Finds a comment by its number, with its issue.
    pub(super) fn comment(&self, repo: RepositoryId, id: u64) -> Option<(&Issue, &Comment)> {
        let find = |issue: &'_ Issue| issue.comments.iter().position(|comment| comment.id == id);
        let issue = self.repository(repo)?.issues.values().find(|issue| find(issue).is_some())?;
        Some((issue, issue.comments.iter().find(|comment| comment.id == id)?))
    }

    pub(super) fn comment_mut(&mut self, repo: RepositoryId, id: u64) -> Option<&mut Comment> {
        let issues = self.repository_mut(repo)?.issues.values_mut();
        issues.flat_map(|issue| &mut issue.comments).find(|comment| comment.id == id)
    }

    pub(super) fn record(&mut self, exchange: Exchange) {
        if self.exchanges.len() == EXCHANGES_MAX {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back(exchange);
    }

    /// The object of a repository's JSON for a number that is known to be there.
    pub(super) fn shape(&self, id: RepositoryId, of: impl FnOnce(&Self, &Repository) -> Value) -> Value {
        self.repository(id).map_or(Value::Null, |repo| of(self, repo))
    }
}
