//! Lists for operators: which jobs there are, and which deliveries were given up.
//!
//! They are made for people who look, not for the work: newest first, bounded, and one that cannot be read is in them as well.

use std::num::NonZeroU32;

use jiff::Timestamp;
use patchwright_domain::event::{DeliveryId, RepoRef};
use patchwright_domain::job::{JobId, JobSpec};
use patchwright_domain::journal::Outcome;
use patchwright_domain::policy::Decision;

use super::records::{read_spec, read_state, timestamp};
use super::{JobState, Lanes, StoreError};

/// How many are listed at most, whatever is asked for.
pub const LISTED_MAX: u32 = 1_000;

/// Which jobs are wanted; all of them where nothing is said.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The one of this name.
    pub job: Option<JobId>,
    /// Those that stand there.
    pub standing: Option<Standing>,
    /// Those that ended so.
    pub outcome: Option<Outcome>,
    /// Those of this repository.
    pub repository: Option<Name>,
    /// Those that were made since then.
    pub since: Option<Timestamp>,
}

/// Where a job stands, whatever came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits for a worker.
    Waiting,
    /// A worker has it.
    Running,
    /// It is completed.
    Done,
}

impl Standing {
    /// Its name in queries, on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
        }
    }
}

impl From<JobState> for Standing {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Ready => Self::Waiting,
            JobState::Running => Self::Running,
            JobState::Done(_) => Self::Done,
        }
    }
}

/// A repository's name with its owner, as it was when a job was asked for; letters of either case are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    owner: String,
    name: String,
}

impl Name {
    /// Reads `owner/name`.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let repo = RepoRef::new(0, 0, owner, name, "main").ok()?;
        Some(Self { owner: repo.owner().to_ascii_lowercase(), name: repo.name().to_ascii_lowercase() })
    }

    /// Whether a repository is called so.
    pub(super) fn is_of(&self, repo: &RepoRef) -> bool {
        self.owner.eq_ignore_ascii_case(repo.owner()) && self.name.eq_ignore_ascii_case(repo.name())
    }

    /// What stands in the text of a specification in small letters, and nowhere in what people have written: quotes in that are
    /// escaped. It is looked for as text, so that one that cannot be read disturbs no query.
    pub(super) fn written(&self) -> String {
        format!(r#""owner":"{}","name":"{}","#, self.owner, self.name)
    }
}

/// A job in a list.
#[derive(Debug)]
pub struct Listed {
    /// Its name, as it is stored.
    pub id: String,
    /// What it is and where it stands, if that can be read.
    pub job: Result<(JobSpec, JobState), StoreError>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Before then nobody takes it.
    pub free_at: Timestamp,
    /// Until when its worker has it; that may be over.
    pub leased_until: Option<Timestamp>,
    /// When it was completed.
    pub ended_at: Option<Timestamp>,
    /// How often a worker took it.
    pub n_claims: u32,
    /// What a claim finds beside it.
    pub beside: Beside,
}

/// The other jobs that may keep a job from being claimed, found as a claim finds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// One of the same issue that was begun and is not over: it is first, also where its lease ran out.
    pub of_issue: Option<String>,
    /// How many of the same repository have a worker whose lease holds.
    pub n_of_repository: u32,
    /// How many of the same installation of the App do.
    pub n_of_installation: u32,
}

/// Why a job that is free is not to be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// This job of the same issue is first.
    Issue(String),
    /// As many jobs of the repository have a worker as may have one.
    Repository(NonZeroU32),
    /// As many of the installation do.
    Installation(NonZeroU32),
}

impl Beside {
    /// What keeps a job that has these beside it from being claimed.
    pub fn hindrance(&self, lanes: Lanes) -> Option<Hindrance> {
        let full = |lane: Option<NonZeroU32>, n_jobs: u32| lane.filter(|lane| n_jobs >= lane.get());
        let issue = self.of_issue.clone().map(Hindrance::Issue);
        issue
            .or_else(|| full(lanes.repository, self.n_of_repository).map(Hindrance::Repository))
            .or_else(|| full(lanes.installation, self.n_of_installation).map(Hindrance::Installation))
    }
}

/// A delivery that nobody could decide on, so that nothing comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The delivery.
    pub id: DeliveryId,
    /// What kind of event it tells of.
    pub event: String,
    /// When it came.
    pub received_at: Timestamp,
    /// Why.
    pub because: String,
}

/// Which rows of deliveries are such, by what stands in the text of such a decision and of no other: quotes in what others have
/// written are escaped. There is an index of these rows alone, which is used where a query says it in the index's own words.
macro_rules! is_given_up {
    () => {
        r#"decision LIKE '%"is_given_up":true%'"#
    };
}
pub(super) use is_given_up;

/// A job's row: its name, its specification, when it was made, is free, is leased until, how often it was claimed, its outcome, when
/// it ended, and what is beside it.
pub(super) type Row = (String, String, i64, i64, Option<i64>, i64, Option<String>, Option<i64>, Option<String>, i64, i64);

/// The columns of such a row, of jobs that are called `job` in the query, at this moment: the text is the same for every database.
macro_rules! columns {
    ($now:literal) => {
        concat!(
            "job.id, spec, created_at, run_after, lease_until, fence, outcome, ended_at, (SELECT other.id ",
            $crate::store::records::beside!("repo", "issue"),
            " LIMIT 1), (SELECT count(*) ",
            $crate::store::records::at_work_beside!("repo", $now),
            "), (SELECT count(*) ",
            $crate::store::records::at_work_beside!("installation", $now),
            ")"
        )
    };
}
pub(super) use columns;

pub(super) fn listed(row: Row) -> Result<Listed, StoreError> {
    let (id, spec, made_at, free_at, leased_until, fence, outcome, ended_at, of_issue, n_of_repository, n_of_installation) = row;
    let counted = |n_jobs: i64| u32::try_from(n_jobs).unwrap_or(u32::MAX);
    let state = read_state(outcome.as_deref(), leased_until.is_some());
    Ok(Listed {
        id,
        job: read_spec(&spec).and_then(|spec| Ok((spec, state?))),
        made_at: timestamp(made_at)?,
        free_at: timestamp(free_at)?,
        leased_until: leased_until.map(timestamp).transpose()?,
        ended_at: ended_at.map(timestamp).transpose()?,
        n_claims: counted(fence),
        beside: Beside { of_issue, n_of_repository: counted(n_of_repository), n_of_installation: counted(n_of_installation) },
    })
}

/// Of a delivery's row: its name, its event, when it came, and the decision on it.
pub(super) fn given_up((id, event, received_at, decision): (String, String, i64, String)) -> Result<GivenUp, StoreError> {
    let id = DeliveryId::new(id).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let because = match serde_json::from_str::<Decision>(&decision) {
        Ok(decision) => decision.because().into_owned(),
        Err(error) => format!("the decision on it cannot be read: {error}"),
    };
    Ok(GivenUp { id, event, received_at: timestamp(received_at)?, because })
}

#[cfg(test)]
mod tests;
