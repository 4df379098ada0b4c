//! GitHub as people see it, at the other end of requests that may be lost: it adds what it is told to add, as often as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchwright::forge::{
    Access, Attempt, Attempts, CheckedJob, CloneAccess, Cursor, Forge, ForgeError, PullRequest, RepoFacts, Unauthentic,
};
use patchwright::store::Store as _;
use patchwright_domain::brief::Request;
use patchwright_domain::effect::{Effect, EffectKey, MARKER_START, Receipt};
use patchwright_domain::event::{
    Actor, DeliveryId, Event, EventKind, IssueNumber, Place, RawDelivery, RepoRef, Role, Text, Untrusted,
};
use patchwright_domain::job::{JobId, JobSpec, Opening};
use patchwright_domain::journal::{CommitId, EntryKind};
use patchwright_domain::policy::wanted::Policy;
use tokio_util::sync::CancellationToken;

use super::guards::Guard;
use super::store::at_once;
use super::without;
use super::world::{Kind, State, Unanswered, World};

/// How often an effect is looked for and tried, as the real adapter does.
const ROUNDS_MAX: u32 = 3;
/// For how long GitHub wants to hear nothing, where there were too many requests.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// What the policy has put on pull requests.
const LABEL: &str = "by a robot";

/// What is there.
#[derive(Default)]
pub(super) struct GitHub {
    pub(super) branches: BTreeMap<String, CommitId>,
    pub(super) pulls: Vec<Pull>,
    pub(super) comments: Vec<Comment>,
    pub(super) checks: Vec<Check>,
    pub(super) reactions: BTreeSet<String>,
    /// What it has sent, in its order; numbers begin with 1.
    pub(super) attempts: Vec<Attempt>,
    /// Deliveries that somebody wants to have once more.
    pub(super) wanted_again: Vec<DeliveryId>,
}

pub(super) struct Pull {
    pub(super) head: String,
    pub(super) labels: Vec<String>,
}

pub(super) struct Comment {
    pub(super) issue: IssueNumber,
    pub(super) body: String,
}

pub(super) struct Check {
    pub(super) commit: CommitId,
    pub(super) external_id: String,
}

impl GitHub {
    /// The address of the pull request from a branch.
    pub(super) fn url(&self, head: &str) -> Option<String> {
        self.pulls.iter().position(|pull| pull.head == head).map(address)
    }
}

fn address(index: usize) -> String {
    format!("https://github.test/octo/rocket/pull/{}", index + 1)
}

/// The repository.
pub(super) fn repo() -> RepoRef {
    RepoRef::new(7, 1, "octo", "rocket", "main").expect("plain names")
}

/// The job that a key is of.
fn job_of(key: &str) -> JobId {
    JobId::parse(key.split('/').next().unwrap_or_default()).expect("a key begins with its job")
}

/// Holds what arrives against the rules that hold at every moment: publishing was planned before it is done.
pub(super) fn arrived(state: &mut State, job: &JobId, effect: &Effect) {
    if matches!(effect, Effect::React { .. } | Effect::EnsureComment { .. }) {
        return;
    }
    let journal = at_once(state.store.journal(job, 0)).unwrap_or_default();
    let is_planned = journal.iter().any(|entry| match &entry.kind {
        EntryKind::PublishPlanned { effects, .. } => effects.iter().any(|planned| planned.name() == effect.name()),
        _ => false,
    });
    if !is_planned {
        state.violate(format!("the effect `{}` of {job} is done and was not planned in the journal", effect.name()));
    }
}

/// GitHub as one process reaches it.
pub(super) struct WorldForge {
    pub(super) world: Arc<World>,
    pub(super) process: usize,
    pub(super) stop: CancellationToken,
}

fn no_answer() -> ForgeError {
    ForgeError::Unavailable("no answer within 30 s".into())
}

fn refusal(unanswered: Unanswered) -> ForgeError {
    match unanswered {
        Unanswered::Lost => no_answer(),
        Unanswered::Limited => ForgeError::RateLimited { retry_after: RETRY_AFTER },
    }
}

impl WorldForge {
    async fn look<R: Send + 'static>(
        &self,
        what: impl FnOnce() -> String,
        arrival: impl FnOnce(&mut State) -> R + Send + 'static,
    ) -> Result<R, ForgeError> {
        self.world.call(self.process, Kind::GitHub, what, arrival).await.map_err(refusal)
    }

    /// Sends something that changes GitHub. It must be the job's worker who sends it, and still be when it arrives.
    pub(super) async fn change<R: Send + 'static>(
        &self,
        job: JobId,
        effect: &Effect,
        arrival: impl FnOnce(&mut State) -> R + Send + 'static,
    ) -> Result<R, ForgeError> {
        let (process, name, effect) = (self.process, effect.name(), effect.clone());
        let (sent_by, is_waited_for) = {
            let mut state = self.world.state();
            let holder = state.books.holders.get(&job).copied();
            if holder.is_none_or(|holder| holder.process != process) {
                state.violate(format!("p{process} sends `{name}` of {job}, which another worker has"));
            }
            (holder.map(|holder| holder.fence), state.removed != Some(Guard::StoppedWorkersWait))
        };
        let what = || format!("change `{name}` of {job}");
        let changed = self.world.call(process, Kind::GitHub, what, {
            let job = job.clone();
            move |state| {
                if state.books.holders.get(&job).map(|holder| holder.fence) != sent_by {
                    state.violate(format!("`{name}` of {job} arrives after another worker has taken the job"));
                }
                arrived(state, &job, &effect);
                arrival(state)
            }
        });
        let changed = tokio::select! {
            biased;
            changed = changed => changed,
            () = self.stop.cancelled(), if !is_waited_for => Err(Unanswered::Lost),
        };
        changed.map_err(refusal)
    }

    /// Finds it and brings it up to date, or makes it.
    async fn ensure(
        &self,
        key: &EffectKey,
        effect: &Effect,
        find: impl Fn(&GitHub) -> Option<usize> + Clone + Send + Sync + 'static,
        make: impl Fn(&mut GitHub) -> Option<usize> + Clone + Send + Sync + 'static,
        update: impl Fn(&mut GitHub, usize) + Clone + Send + Sync + 'static,
    ) -> Result<usize, ForgeError> {
        let job = job_of(key.as_str());
        for _ in 0..ROUNDS_MAX {
            let (find, make, update) = (find.clone(), make.clone(), update.clone());
            let found = self.look(
                || format!("look for `{}` of {job}", effect.name()),
                move |state| if state.removed == Some(Guard::EffectsAreLookedForFirst) { None } else { find(&state.github) },
            );
            if let Some(found) = found.await? {
                self.change(job, effect, move |state| update(&mut state.github, found)).await?;
                return Ok(found);
            }
            match self.change(job.clone(), effect, move |state| make(&mut state.github)).await {
                Ok(Some(made)) => return Ok(made),
                Err(limited @ ForgeError::RateLimited { .. }) => return Err(limited),
                Ok(None) | Err(_) => {}
            }
        }
        Err(no_answer())
    }

    async fn ensure_comment(
        &self,
        key: &EffectKey,
        effect: &Effect,
        issue: IssueNumber,
        text: &str,
    ) -> Result<Receipt, ForgeError> {
        let marker = self.marker(key);
        let body = format!("{text}\n{marker}");
        let (written, marker, job) = (body.clone(), marker, job_of(key.as_str()));
        let ours = format!("{MARKER_START}{job}");
        let find = move |github: &GitHub| github.comments.iter().position(|comment| comment.body.contains(&marker));
        let make = move |github: &mut GitHub| {
            github.comments.push(Comment { issue, body: body.clone() });
            Some(github.comments.len() - 1)
        };
        let update = move |github: &mut GitHub, index: usize| github.comments[index].body.clone_from(&written);
        self.ensure(key, effect, find, make, update).await?;
        let mut state = self.world.state();
        if state.github.comments.iter().filter(|comment| comment.body.contains(&ours)).count() > 1 {
            state.violate(format!("{job} has more than one comment"));
        }
        Ok(Receipt::default())
    }

    async fn ensure_pull_request(&self, key: &EffectKey, effect: &Effect, branch: &str) -> Result<Receipt, ForgeError> {
        let (wanted, head) = (branch.to_owned(), branch.to_owned());
        let find = move |github: &GitHub| github.pulls.iter().position(|pull| pull.head == wanted);
        let make = move |github: &mut GitHub| {
            // GitHub itself has one open pull request from a branch.
            let is_there = github.pulls.iter().any(|pull| pull.head == head);
            if is_there || !github.branches.contains_key(&head) {
                return None;
            }
            github.pulls.push(Pull { head: head.clone(), labels: Vec::new() });
            Some(github.pulls.len() - 1)
        };
        let index = self.ensure(key, effect, find, make, |_, _| ()).await?;
        Ok(Receipt { url: Some(address(index)), ..Receipt::default() })
    }

    async fn introduce(&self, key: &EffectKey, effect: &Effect, branch: &str, labels: &[String]) -> Result<Receipt, ForgeError> {
        let (wanted, head, labels) = (branch.to_owned(), branch.to_owned(), labels.to_vec());
        let known = labels.clone();
        let find = move |github: &GitHub| {
            github.pulls.iter().position(|pull| pull.head == wanted && known.iter().all(|label| pull.labels.contains(label)))
        };
        let make = move |github: &mut GitHub| {
            let index = github.pulls.iter().position(|pull| pull.head == head)?;
            github.pulls[index].labels.extend(labels.iter().cloned());
            Some(index)
        };
        self.ensure(key, effect, find, make, |_, _| ()).await?;
        Ok(Receipt::default())
    }

    async fn set_check(&self, key: &EffectKey, effect: &Effect, commit: &CommitId) -> Result<Receipt, ForgeError> {
        let external_id = self.marker(key);
        let (commit, known) = (commit.clone(), external_id.clone());
        let find = move |github: &GitHub| github.checks.iter().position(|check| check.external_id == known);
        let make = move |github: &mut GitHub| {
            github.checks.push(Check { commit: commit.clone(), external_id: external_id.clone() });
            Some(github.checks.len() - 1)
        };
        self.ensure(key, effect, find, make, |_, _| ()).await?;
        Ok(Receipt::default())
    }

    /// The key as GitHub keeps it.
    fn marker(&self, key: &EffectKey) -> String {
        let mut state = self.world.state();
        match state.removed {
            Some(Guard::EffectKeysAreTheSame) => format!("{}{}", key.marker(), state.rng.u64(..)),
            _ => key.marker(),
        }
    }
}

#[async_trait]
impl Forge for WorldForge {
    fn authenticate(&self, _signature: Option<&str>, _body: &[u8]) -> Result<(), Unauthentic> {
        Ok(())
    }

    /// A body is a verb, an issue, a comment's number and a moment.
    fn parse(&self, delivery: &RawDelivery) -> Result<Event, String> {
        let body = String::from_utf8_lossy(&delivery.body).into_owned();
        let words: Vec<&str> = body.split(' ').collect();
        let [verb, issue, comment_id, at_ms] = words[..] else { return Err("it is no body of ours".into()) };
        let number = |text: &str| text.parse::<u64>().map_err(|e| e.to_string());
        let issue = IssueNumber(number(issue)?);
        let kind = match verb {
            "closed" => EventKind::IssueClosed { issue },
            _ => EventKind::Written {
                issue,
                place: Place::Comment(number(comment_id)?),
                text: Text { title: None, body: Untrusted::new("@codex fix this") },
                before: None,
                on_pull_request: false,
                via_app: None,
                wants_changes: false,
            },
        };
        let at = jiff::Timestamp::from_millisecond(at_ms.parse().map_err(|_| "no moment")?).map_err(|e| e.to_string())?;
        let actor = Actor { id: 9, login: "ada".into(), is_bot: false };
        Ok(Event { delivery: delivery.id.clone(), repo: repo(), actor, at, kind, described: None, proposes: None })
    }

    async fn facts(&self, _event: &Event) -> Result<RepoFacts, ForgeError> {
        let facts = |_: &mut State| {
            let opening = Opening { labels: vec![LABEL.into()], ..Opening::default() };
            let policy = Policy { opening, ..Policy::default() };
            RepoFacts { policy, unread: None, role: Role::Write, is_open: true, is_no_issue: false, check: None, pull: None }
        };
        self.look(|| "ask for the sender's role".into(), facts).await
    }

    async fn role(&self, _repo: &RepoRef, _actor: &Actor) -> Result<Role, ForgeError> {
        self.look(|| "ask for the sender's role again".into(), |_| Role::Write).await
    }

    async fn context(&self, spec: &JobSpec) -> Result<Request, ForgeError> {
        let title = format!("Issue {:?}", spec.task.issue());
        let request =
            move |_: &mut State| Request::new(Untrusted::new(title), Untrusted::new("It is wrong."), Untrusted::new("mona"));
        self.look(|| "read the issue".into(), request).await
    }

    async fn pull_request(&self, _spec: &JobSpec) -> Result<Option<PullRequest>, ForgeError> {
        Ok(None)
    }

    async fn checked_job(&self, _repo: &RepoRef, _check: u64) -> Result<Option<CheckedJob>, ForgeError> {
        Ok(None)
    }

    async fn clone_access(&self, _repo: &RepoRef, _access: Access) -> Result<CloneAccess, ForgeError> {
        Ok(CloneAccess { url: String::new(), token: None })
    }

    async fn attempts(&self, _from: Option<&Cursor>) -> Result<Attempts, ForgeError> {
        let list = |state: &mut State| match state.removed {
            Some(Guard::MissedDeliveriesAreAskedFor) => Attempts::default(),
            _ => Attempts { attempts: state.github.attempts.iter().rev().cloned().collect(), next: None },
        };
        self.look(|| "list the deliveries".into(), list).await
    }

    async fn redeliver(&self, attempt: &Attempt) -> Result<(), ForgeError> {
        let delivery = attempt.delivery.clone();
        self.look(|| format!("send {} again", attempt.delivery), move |state| state.github.wanted_again.push(delivery)).await
    }

    async fn perform(&self, _repo: &RepoRef, key: &EffectKey, effect: &Effect) -> Result<Receipt, ForgeError> {
        if without::publishing_to_its_end(&self.world.state(), &job_of(key.as_str())) {
            return Ok(Receipt::default());
        }
        match effect {
            Effect::PushBranch { .. } => {
                Err(ForgeError::Rejected { what: "pushing the branch".into(), reason: "branches are pushed by git".into() })
            }
            Effect::EnsurePullRequest { branch, .. } => self.ensure_pull_request(key, effect, branch).await,
            Effect::IntroducePull { branch, labels, .. } => self.introduce(key, effect, branch, labels).await,
            Effect::EnsureReview { .. } | Effect::AnswerThreads { .. } => {
                Err(ForgeError::Rejected { what: "writing the review".into(), reason: "nobody asks for one here".into() })
            }
            Effect::EnsureComment { issue, body } => self.ensure_comment(key, effect, *issue, body).await,
            Effect::SetCheck { commit, .. } => self.set_check(key, effect, commit).await,
            Effect::React { subject } => {
                let subject = format!("{subject:?}");
                let reacted = self.world.call(
                    self.process,
                    Kind::Beside,
                    || "react".into(),
                    move |state| {
                        state.github.reactions.insert(subject);
                    },
                );
                reacted.await.map_err(refusal)?;
                Ok(Receipt::default())
            }
        }
    }
}
