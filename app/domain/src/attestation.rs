//! What a proof rests on, as a statement that somebody else can check later: an in-toto Statement, version 1, about the
//! commit and the tree, with a predicate of ours.
//!
//! All that stands in it was executed or journaled; what is not known is absent. A statement has one form, the bytes of
//! [`Statement::to_bytes`], so that nothing can be carried in one beside what is read here. Signing is not known here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ecosystem::{Plan, runner};
use crate::event::{DeliveryId, Role};
use crate::job::{Budget, JobId, JobSpec, Usage};
use crate::journal::{Change, CommitId, Digest, Entry, Prepared};
use crate::proof::findings::Finding;
use crate::proof::{Account, Doubt, Evidence, Exit, Run as Tested, Stand, Verdict};
use crate::results::table::Table;
use crate::walls::{Reach, Walls};

mod fault;

pub use fault::Fault;

/// What kind of statement it is, by in-toto's name for it.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// What kind of predicate it has. The address names the schema, which is this module's; nothing is ever asked for there.
pub const PREDICATE_TYPE: &str = "https://patchwright.dev/attestation/proof/v1";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about: the commit, then its tree.
    pub subject: Vec<Subject>,
    /// [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said of it.
    pub predicate: Predicate,
}

/// Something that a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// `commit` or `tree`.
    pub name: String,
    /// Which.
    pub digest: SubjectDigest,
}

/// An object of git, by in-toto's names of digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubjectDigest {
    /// A commit.
    GitCommit(CommitId),
    /// A tree: the files of a commit, whoever made it and when.
    GitTree(String),
}

/// What is known of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// What made this.
    pub program: Program,
    /// When the verdict was written down.
    pub judged_at: Timestamp,
    /// Whether the patch is proven.
    pub verdict: Ruling,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
    /// What the patch is against.
    pub base: CommitId,
    /// The commit that somebody has proposed, where the subject is its merge into the base; the merge can be made again of the
    /// two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<CommitId>,
    /// The difference.
    pub patch: Patch,
    /// Who asked for it; none where nobody did, as for a patch that somebody else has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// The snapshot of the request that the patch answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// The operator's configuration, without its secrets.
    pub configuration: Digest,
    /// The repository's policy file, on the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// How the repository is set up and tested.
    pub plan: Plan,
    /// The digest of the plan as it stands here.
    pub plan_digest: Digest,
    /// What confined the code, the first walls first.
    pub walls: Vec<Walls>,
    /// What the setup could reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// The model that made the patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// Every prompt and response, one transcript for each time that an agent worked, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcripts: Vec<Digest>,
    /// Every run of the tests, in their order.
    pub runs: Vec<Ran>,
    /// The tests that fail every time without the patch's code and pass every time with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reproducers: Vec<String>,
    /// Without the code beside with it, test by test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// Whether tests that must fail were reported as failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_runner_honest: Option<bool>,
    /// What stands in the patch itself against its proof.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What the whole run used of its budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// The run's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Journal>,
}

/// A version of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A verdict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// Red without what the patch mends, green with it.
    Proven,
    /// There is no such proof.
    Unproven,
}

impl std::fmt::Display for Ruling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Proven => "proven",
            Self::Unproven => "unproven",
        })
    }
}

/// The difference between the base and the subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// The difference as text.
    pub diff: Digest,
    /// The files that differ.
    pub changes: Vec<Change>,
}

/// Who asked, where, and by which delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The repository, as `owner/name`.
    pub repository: String,
    /// The issue.
    pub issue: u64,
    /// The delivery.
    pub delivery: DeliveryId,
    /// The sender's login name.
    pub sender: String,
    /// The sender's number, which survives renames.
    pub sender_id: u64,
    /// What the sender was allowed to do in the repository at that time.
    pub role: Role,
    /// When.
    pub at: Timestamp,
}

/// A model behind an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The model's name, as the endpoint knows it.
    pub name: String,
    /// The endpoint's host, with its port where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// One run of the tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// What was run; none in journals from before it was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What of the patch was in the tree.
    pub stand: Stand,
    /// How it ended.
    pub exit: Exit,
    /// What that says of the repository's own tests.
    pub colour: crate::proof::Colour,
    /// How long it took.
    pub duration_ms: u64,
    /// All of its output that was kept.
    pub log: Digest,
}

/// What was used, and what there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// What was used.
    pub usage: Usage,
    /// The limits.
    pub budget: Budget,
}

/// A run's journal as it was when this was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// The run.
    pub job: JobId,
    /// How many entries there were.
    pub n_entries: u32,
    /// The digest of the last of them, which is chained to all before it.
    pub head: Digest,
}

/// What the program knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The program's version.
    pub version: String,
    /// The operator's configuration, without its secrets.
    pub configuration: Digest,
    /// The models of the attempts, the first attempt's first; behind the last one the first has its turn again.
    pub models: Vec<String>,
    /// The host of the endpoint that they are asked at.
    pub host: Option<String>,
}

/// What is known of any proof, whoever made the patch.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the program knows of itself.
    pub deployment: &'a Deployment,
    /// The commit with the patch.
    pub commit: &'a CommitId,
    /// The commit that somebody has proposed, where that one is its merge into the base.
    pub head: Option<&'a CommitId>,
    /// Its tree.
    pub tree: &'a str,
    /// The difference as text.
    pub diff: Digest,
    /// The files that differ.
    pub changes: &'a [Change],
    /// The repository's policy file on the base.
    pub policy: Option<Digest>,
    /// How it was tested, and what the base said.
    pub prepared: &'a Prepared,
    /// What was concluded.
    pub verdict: &'a Verdict,
    /// When.
    pub judged_at: Timestamp,
    /// What confined the code.
    pub walls: &'a [Walls],
}

/// What is known of a patch that a run of ours made.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// The job.
    pub spec: &'a JobSpec,
    /// Its record so far.
    pub journal: &'a [Entry],
    /// What it used.
    pub usage: &'a Usage,
    /// The attempt that the patch is of, from 1.
    pub attempt: u32,
}

impl Statement {
    /// A statement about a patch that somebody else has made.
    pub fn of_patch(facts: &Facts<'_>) -> Self {
        let Facts { deployment, prepared, verdict, .. } = facts;
        let (verdict_said, doubt) = match verdict {
            Verdict::Proven { .. } => (Ruling::Proven, None),
            Verdict::Unproven { doubt, .. } => (Ruling::Unproven, Some(*doubt)),
        };
        let account = verdict.account().cloned().unwrap_or_default();
        let Account { runs: _, reproducers, table, is_runner_honest, findings } = account;
        let subject = |name: &str, digest| Subject { name: name.to_owned(), digest };
        let predicate = Predicate {
            program: Program { name: "patchwright".to_owned(), version: deployment.version.clone() },
            judged_at: facts.judged_at,
            verdict: verdict_said,
            doubt,
            base: prepared.base.clone(),
            head: facts.head.cloned(),
            patch: Patch { diff: facts.diff, changes: facts.changes.to_vec() },
            trigger: None,
            request: None,
            configuration: deployment.configuration,
            policy: facts.policy,
            plan: prepared.plan.clone(),
            plan_digest: plan_digest(&prepared.plan),
            walls: facts.walls.to_vec(),
            reach: prepared.reach.clone(),
            model: None,
            transcripts: Vec::new(),
            runs: runs(verdict),
            reproducers,
            table,
            is_runner_honest,
            findings,
            spent: None,
            journal: None,
        };
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![
                subject("commit", SubjectDigest::GitCommit(facts.commit.clone())),
                subject("tree", SubjectDigest::GitTree(facts.tree.to_owned())),
            ],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate,
        }
    }

    /// A statement about a patch that a run of ours made.
    pub fn of_run(facts: &Facts<'_>, history: &History<'_>) -> Self {
        let mut statement = Self::of_patch(facts);
        let History { spec, journal, usage, attempt } = *history;
        let predicate = &mut statement.predicate;
        predicate.trigger = trigger(spec);
        predicate.request = Some(facts.prepared.request);
        let models = &facts.deployment.models;
        let model = models.get((attempt.max(1) as usize - 1) % models.len().max(1)).filter(|_| usage.turns > 0);
        predicate.model = model.map(|name| Model { name: name.clone(), host: facts.deployment.host.clone() });
        predicate.transcripts = journal.iter().filter_map(|entry| entry.kind.transcript()).collect();
        predicate.spent = Some(Spent { usage: *usage, budget: spec.budget });
        predicate.journal =
            journal.last().map(|last| Journal { job: spec.id(), n_entries: last.seq.saturating_add(1), head: last.digest });
        statement
    }

    /// The one form that a statement has: JSON without spaces, the fields in the order of these types.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a statement holds only what JSON can hold")
    }

    /// The commit that it is about.
    pub fn commit(&self) -> Option<&CommitId> {
        self.subject.iter().find_map(|subject| match &subject.digest {
            SubjectDigest::GitCommit(commit) => Some(commit),
            SubjectDigest::GitTree(_) => None,
        })
    }

    /// The tree that it is about.
    pub fn tree(&self) -> Option<&str> {
        self.subject.iter().find_map(|subject| match &subject.digest {
            SubjectDigest::GitTree(tree) => Some(tree.as_str()),
            SubjectDigest::GitCommit(_) => None,
        })
    }
}

/// The digest of a plan, as it stands in a statement.
fn plan_digest(plan: &Plan) -> Digest {
    Digest::of(&serde_json::to_vec(plan).expect("a plan holds only what JSON can hold"))
}

/// The runs of a verdict. Journals from before all of them were written down have the two that it rests on.
fn runs(verdict: &Verdict) -> Vec<Ran> {
    if let Some(account) = verdict.account() {
        return account.runs.iter().map(ran).collect();
    }
    let (base, head) = match verdict {
        Verdict::Proven { base, head, .. } => (Some(base), Some(head)),
        Verdict::Unproven { base, head, .. } => (base.as_ref(), head.as_ref()),
    };
    let of = |stand, evidence: Option<&Evidence>| {
        evidence.map(|evidence| Ran {
            command: Some(evidence.command.clone()),
            stand,
            exit: evidence.exit,
            colour: runner::colour(evidence),
            duration_ms: evidence.duration_ms,
            log: evidence.output,
        })
    };
    [of(Stand::Base, base), of(Stand::Head, head)].into_iter().flatten().collect()
}

fn ran(run: &Tested) -> Ran {
    let Tested { command, stand, exit, colour, duration_ms, output } = run;
    let command = (!command.is_empty()).then(|| command.clone());
    Ran { command, stand: *stand, exit: *exit, colour: *colour, duration_ms: *duration_ms, log: *output }
}

/// Who asked on the forge. A task of the command line was asked for by whoever holds the key.
fn trigger(spec: &JobSpec) -> Option<Trigger> {
    spec.task.place().map(|issue| Trigger {
        repository: spec.repo.to_string(),
        issue: issue.0,
        delivery: spec.delivery.clone(),
        sender: spec.requested_by.login.clone(),
        sender_id: spec.requested_by.id,
        role: spec.role,
        at: spec.requested_at,
    })
}

#[cfg(test)]
mod tests;
