//! What must be there once, and whether it is: deliveries in the store, jobs, and what they did on GitHub.

use std::collections::{BTreeMap, BTreeSet};

use patchwright::rehearsal::scene::RepositoryId;

use super::books::{Books, Job};
use super::site::{Asked, Site};

/// How many findings of a kind are told.
const TOLD_MAX: usize = 20;

/// What was found, as sentences.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
    pub(crate) left: Vec<String>,
}

/// What people and the load have done.
pub(crate) struct Done {
    pub(crate) asked: Vec<Asked>,
    /// The names that the load was answered 202 for.
    pub(crate) accepted: Vec<String>,
    /// The names of what GitHub has told.
    pub(crate) told: BTreeSet<String>,
}

/// What there is of one request on GitHub.
#[derive(Debug, Default, PartialEq, Eq)]
struct Effects {
    branches: usize,
    pulls: usize,
    comments: usize,
    checks: usize,
}

const PUBLISHED: Effects = Effects { branches: 1, pulls: 1, comments: 1, checks: 1 };
const TOLD: Effects = Effects { branches: 0, pulls: 0, comments: 1, checks: 0 };
const NOTHING: Effects = Effects { branches: 0, pulls: 0, comments: 0, checks: 0 };

impl Findings {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.left.is_empty()
    }

    /// The first of each kind, and how many there are.
    pub(crate) fn told(&self) -> Vec<String> {
        let kinds = [("lost", &self.lost), ("doubled", &self.doubled), ("left over", &self.left)];
        let told = kinds.into_iter().flat_map(|(kind, found)| {
            let more = found.len().saturating_sub(TOLD_MAX);
            let rest = (more > 0).then(|| format!("{kind}: and {more} more"));
            found.iter().take(TOLD_MAX).map(move |found| format!("{kind}: {found}")).chain(rest)
        });
        told.collect()
    }

    /// Compares what was accepted with what is in the store, and what was asked with what is on GitHub.
    pub(crate) async fn of(site: &Site, books: &Books, done: &Done) -> anyhow::Result<Self> {
        let mut findings = Self::default();
        findings.deliveries(&books.deliveries().await?, done);
        let jobs: BTreeMap<String, Job> = books.jobs().await?.into_iter().map(|job| (job.id.clone(), job)).collect();
        findings.jobs(&jobs, &done.asked);
        findings.effects(site, &jobs, &done.asked);
        let reserved = books.reserved().await?;
        if reserved > 0 {
            findings.left.push(format!("{reserved} requests to the model are counted as under way"));
        }
        Ok(findings)
    }

    fn deliveries(&mut self, rows: &[(String, bool)], done: &Done) {
        let mut stored = BTreeMap::new();
        for (name, is_decided) in rows {
            if stored.insert(name.as_str(), *is_decided).is_some() {
                self.doubled.push(format!("delivery {name} is in the store twice"));
            }
        }
        let sent = done
            .accepted
            .iter()
            .map(|name| (name, "was accepted"))
            .chain(done.told.iter().map(|name| (name, "was told by GitHub")));
        for (name, how) in sent {
            match stored.remove(name.as_str()) {
                None => self.lost.push(format!("delivery {name} {how}, and is not in the store")),
                Some(false) => self.lost.push(format!("delivery {name} {how}, and is not decided")),
                Some(true) => {}
            }
        }
        self.doubled.extend(stored.into_keys().map(|name| format!("delivery {name} is in the store, and nobody has sent it")));
    }

    fn jobs(&mut self, jobs: &BTreeMap<String, Job>, asked: &[Asked]) {
        let known: BTreeSet<&str> = asked.iter().map(|asked| asked.job.as_str()).collect();
        for job in jobs.values() {
            if !known.contains(job.id.as_str()) {
                self.doubled.push(format!("job {} is nobody's request", job.id));
            }
            if job.outcome.is_none() {
                self.lost.push(format!("job {} has not ended", job.id));
            }
            if job.is_leased {
                self.left.push(format!("job {} has a lease", job.id));
            }
        }
    }

    fn effects(&mut self, site: &Site, jobs: &BTreeMap<String, Job>, asked: &[Asked]) {
        let mut pages: BTreeMap<RepositoryId, Page> = site.repositories().map(|repo| (repo, Page::of(site, repo))).collect();
        for request in asked {
            let Some(page) = pages.get_mut(&request.repo) else { continue };
            let found = page.take(site, request);
            let name = format!("issue {} of repository {}", request.issue, request.repo.0);
            let n_reactions = site.github.reactions(request.repo, request.comment).len();
            if n_reactions > 1 {
                self.doubled.push(format!("the request on {name} has {n_reactions} reactions"));
            }
            let outcome = jobs.get(request.job.as_str()).map(|job| job.outcome.as_deref());
            let wanted = match outcome {
                Some(Some("proven")) => PUBLISHED,
                Some(Some("cancelled")) if request.is_closed => TOLD,
                None if request.is_closed => NOTHING,
                None => {
                    self.lost.push(format!("the request on {name} has no job"));
                    continue;
                }
                Some(outcome) => {
                    let outcome = outcome.unwrap_or("nothing yet");
                    self.lost.push(format!("the request on {name} came to {outcome}"));
                    continue;
                }
            };
            let pairs = [
                ("branches", wanted.branches, found.branches),
                ("pull requests", wanted.pulls, found.pulls),
                ("comments", wanted.comments, found.comments),
                ("check runs", wanted.checks, found.checks),
            ];
            for (what, wanted, found) in pairs {
                if found < wanted {
                    self.lost.push(format!("{name} has {found} {what}"));
                } else if found > wanted {
                    self.doubled.push(format!("{name} has {found} {what}"));
                }
            }
        }
        self.doubled.extend(pages.into_values().flat_map(Page::rest));
    }
}

/// What the App has made in a repository, by name; what is known to be a request's is taken away.
struct Page {
    branches: Vec<String>,
    /// The branches that pull requests are from.
    pulls: Vec<String>,
    /// What check runs say of whose they are.
    checks: Vec<String>,
}

impl Page {
    fn of(site: &Site, repo: RepositoryId) -> Self {
        let branches = site.github.branches(repo).into_keys().filter(|branch| branch != "main").collect();
        let pulls = site.github.pull_requests(repo).into_iter().map(|(_, pull)| pull.head).collect();
        let checks = site.github.check_runs(repo).into_iter().map(|check| check.external_id).collect();
        Self { branches, pulls, checks }
    }

    fn take(&mut self, site: &Site, asked: &Asked) -> Effects {
        let (start, end) = (format!("codex/{}-", asked.issue), format!("-{}", asked.job.short()));
        let is_ours = |branch: &String| branch.starts_with(&start) && branch.ends_with(&end);
        let comments = site.github.comments(asked.repo, asked.issue);
        Effects {
            branches: self.branches.extract_if(.., |branch| is_ours(branch)).count(),
            pulls: self.pulls.extract_if(.., |branch| is_ours(branch)).count(),
            checks: self.checks.extract_if(.., |name| name.starts_with(asked.job.as_str())).count(),
            comments: comments.iter().filter(|comment| comment.via_app).count(),
        }
    }

    fn rest(self) -> impl Iterator<Item = String> {
        let named = |what: &'static str| move |name: String| format!("{what} {name} is nobody's");
        let branches = self.branches.into_iter().map(named("branch"));
        branches
            .chain(self.pulls.into_iter().map(named("the pull request from")))
            .chain(self.checks.into_iter().map(named("check run")))
    }
}
