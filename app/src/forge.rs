//! Where repositories, issues and pull requests live.
//!
//! The port speaks in the domain's words. It decides nothing and holds no state of a job; every write is find-or-create,
//! so that doing it again finds it done.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use patchwright_domain::brief::Request;
use patchwright_domain::effect::{CheckUnderWay, Effect, EffectKey, Receipt};
use patchwright_domain::event::{Actor, DeliveryId, Event, IssueNumber, RawDelivery, RepoRef, Role};
use patchwright_domain::job::JobSpec;
use patchwright_domain::job_log;
use patchwright_domain::journal::CommitId;
use patchwright_domain::policy::schedule::Schedule;
use patchwright_domain::policy::wanted::Policy;
use patchwright_domain::policy::{PullHead, RedCheck};
use patchwright_domain::report::policy::Flaw;
use patchwright_domain::triage::Told;
use secrecy::SecretString;

pub mod github;
pub mod local;
pub mod signing;

/// How long one request to a forge may take; behind that it is given up.
///
/// A worker relies on it: it begins none so short before its lease ends, so that what it has sent has arrived by then, or never
/// does.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the forge did not do it, by what the caller should do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ForgeError {
    /// Come back no earlier than this.
    #[error("the forge limits the rate of requests")]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Not reachable, or a server error, several times: come back later.
    #[error("the forge is not available: {0}")]
    Unavailable(String),
    /// We may not do this: an owner or the operator must act.
    #[error("{what}: {reason}")]
    Denied {
        /// What was tried, as the beginning of a sentence.
        what: String,
        /// What the forge said.
        reason: String,
        /// What would allow it.
        remedy: String,
    },
    /// It will never be done as it was asked.
    #[error("{what}: {reason}")]
    Rejected {
        /// What was tried.
        what: String,
        /// What the forge said.
        reason: String,
    },
}

/// What a repository says about an event, before it is decided.
#[derive(Clone, Debug)]
pub struct RepoFacts {
    /// The policy file's content, or the default where there is none or it cannot be read.
    pub policy: Policy,
    /// Where in its file the policy cannot be read, if it cannot.
    pub unread: Option<String>,
    /// What the actor may do.
    pub role: Role,
    /// Whether the issue that it is about is open.
    pub is_open: bool,
    /// Whether what the event calls an issue is a pull request.
    pub is_no_issue: bool,
    /// The red check that it is about, where the policy has those looked into and there is one now.
    pub check: Option<RedCheck>,
    /// What the pull request that it is about proposes, where it is about one.
    pub pull: Option<PullHead>,
}

/// What the forge says of a job that a check is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedJob {
    /// How it ended, without what its log marks as errors.
    pub told: Told,
    /// What its workflow is called.
    pub workflow: Option<String>,
    /// When the step ran that failed.
    pub during: Option<job_log::Span>,
    /// The end of its log, where there is one still.
    pub log: Option<Vec<u8>>,
}

/// One time that the forge sent a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The forge's number of it, by which it can be asked for again.
    pub number: u64,
    /// The delivery; the same each time that it is sent.
    pub delivery: DeliveryId,
    /// When.
    pub at: Timestamp,
    /// Whether the forge heard that it was taken.
    pub is_taken: bool,
}

/// Some of the forge's attempts, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Those of this page.
    pub attempts: Vec<Attempt>,
    /// Where the older ones are, if there are any.
    pub next: Option<Cursor>,
}

/// A place in the forge's list, in the forge's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// A pull request, as far as a proof needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// The repository that it is in, of which the branch is meant that it is to go to.
    pub target: RepoRef,
    /// The last commit that it proposes, for people to be told of; what is proven is what git fetches.
    pub head: CommitId,
}

/// What the policy files of repositories have done at certain times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedules {
    /// Of each repository whose policy file has something done, its entries.
    pub of: Vec<(RepoRef, Vec<Schedule>)>,
    /// What cannot be read now and may be another time.
    pub unknown: BTreeSet<Unknown>,
}

/// Something of which is not known now what it has done at certain times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// All of an installation of the App.
    Installation(u64),
    /// A repository, by the forge's number.
    Repository(u64),
}

/// What a clone is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Fetch,
    /// To push a branch.
    Push,
}

/// Where and with what to reach a repository by git.
#[derive(Debug)]
pub struct CloneAccess {
    /// The address; it holds no secret.
    pub url: String,
    /// The password that goes with the user `x-access-token`, for as short as the forge allows; `None` for a local path.
    pub token: Option<SecretString>,
}

/// A delivery whose signature does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Unauthentic {
    /// There is no signature.
    #[error("the request carries no X-Hub-Signature-256 header; set a secret for the webhook")]
    Unsigned,
    /// It is not ours.
    #[error("the signature does not match; the webhook's secret and `github.webhook_secret` differ")]
    Mismatch,
}

/// The outside world of a repository.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Checks that a body was signed by the forge, in constant time.
    ///
    /// # Errors
    /// [`Unauthentic`] says what is wrong.
    fn authenticate(&self, signature: Option<&str>, body: &[u8]) -> Result<(), Unauthentic>;

    /// Reads the event out of a delivery.
    ///
    /// # Errors
    /// The reason, where it holds none that we listen to.
    fn parse(&self, delivery: &RawDelivery) -> Result<Event, String>;

    /// Fetches what deciding needs to know.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn facts(&self, event: &Event) -> Result<RepoFacts, ForgeError>;

    /// Asks what somebody may do in the repository now.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn role(&self, repo: &RepoRef, actor: &Actor) -> Result<Role, ForgeError>;

    /// Fetches the request as it stands: title, body, comments.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn context(&self, spec: &JobSpec) -> Result<Request, ForgeError>;

    /// Looks at the pull request that a job is about; `None` where there is an issue of that number instead.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn pull_request(&self, spec: &JobSpec) -> Result<Option<PullRequest>, ForgeError>;

    /// Looks at the job that a check is of, with its log; `None` where the forge has no such job, or does not show it to us.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn checked_job(&self, repo: &RepoRef, check: u64) -> Result<Option<CheckedJob>, ForgeError>;

    /// Gives access by git, for this repository alone and no more than asked for.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn clone_access(&self, repo: &RepoRef, access: Access) -> Result<CloneAccess, ForgeError>;

    /// Lists what the forge has sent, newest first, from the beginning or from a place on.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn attempts(&self, from: Option<&Cursor>) -> Result<Attempts, ForgeError>;

    /// Has the forge send a delivery again; it comes under the same name.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn redeliver(&self, attempt: &Attempt) -> Result<(), ForgeError>;

    /// Reads the policy file of what a pull request proposes; none where that leaves the file as it is, or takes it away.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn proposed_policy(
        &self,
        _repo: &RepoRef,
        _number: IssueNumber,
        _head: &CommitId,
    ) -> Result<Option<Result<(), Flaw>>, ForgeError> {
        Ok(None)
    }

    /// Reads what all policy files have done at certain times: of each repository that work can be done in, that of the default branch.
    ///
    /// # Errors
    /// [`ForgeError`], where nothing of it can be read.
    async fn schedules(&self) -> Result<Schedules, ForgeError> {
        Ok(Schedules::default())
    }

    /// Reads what one repository's policy file has done at certain times; nothing, where it cannot be understood.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn schedule_of(&self, _repo: &RepoRef) -> Result<Vec<Schedule>, ForgeError> {
        Ok(Vec::new())
    }

    /// Does an effect, or finds it done. Branches are pushed by git and not here.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn perform(&self, repo: &RepoRef, key: &EffectKey, effect: &Effect) -> Result<Receipt, ForgeError>;

    /// Says beside a commit that something is under way, or finds that said, or what came of it. A forge without check runs has nothing
    /// to say.
    ///
    /// # Errors
    /// [`ForgeError`].
    async fn begin_check(&self, _repo: &RepoRef, _key: &EffectKey, _check: &CheckUnderWay) -> Result<(), ForgeError> {
        Ok(())
    }

    /// Who makes commits that the forge signs; none where it cannot.
    fn signer(&self) -> Option<&dyn signing::Signer> {
        None
    }
}
