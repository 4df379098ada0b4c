//! The record of a run: entries that are only ever added, each chained to the one before by its digest.
//!
//! What is written here is all that a run *is*: the worker's next step, the dashboard, the audit log and the replay are
//! folds of it. Big things (patches, transcripts, logs) are artifacts; the journal holds their digests.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::effect::{Effect, EffectKey, Receipt};
use crate::job::Usage;
use crate::proof::{Evidence, Verdict};
use crate::triage;
use crate::walls::{Reach, Walls};

/// A SHA-256 digest: the address of an artifact, or a link of the journal's chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(hexadecimal: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(hexadecimal, &mut digest).ok()?;
        Some(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", hex::encode(&self.0[..6]))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a digest is 64 hexadecimal digits"))
    }
}

/// A git commit: forty hexadecimal digits, never a branch or an abbreviation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

impl CommitId {
    /// Reads forty lower-case hexadecimal digits.
    pub fn parse(hexadecimal: &str) -> Option<Self> {
        let well_formed = hexadecimal.len() == 40 && hexadecimal.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        well_formed.then(|| Self(hexadecimal.to_owned()))
    }

    /// All forty digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl TryFrom<String> for CommitId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a commit is forty lower-case hexadecimal digits")
    }
}

impl From<CommitId> for String {
    fn from(commit: CommitId) -> Self {
        commit.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 0.
    pub seq: u32,
    /// When it was written.
    pub at: Timestamp,
    /// The digest of the entry before; of the job's specification for the first.
    pub previous: Digest,
    /// What happened.
    pub kind: EntryKind,
    /// This entry's own digest.
    pub digest: Digest,
}

/// A stored journal that does not hold together.
#[derive(Debug, thiserror::Error)]
#[error("entry {seq} of the journal {problem}")]
pub struct BrokenChain {
    /// The entry.
    pub seq: u32,
    /// What is wrong with it.
    pub problem: String,
}

impl Entry {
    /// Chains a new entry to the one before and gives the text to store.
    pub fn write(seq: u32, at: Timestamp, previous: Digest, kind: EntryKind) -> (Self, String) {
        let text = serde_json::to_string(&kind).expect("an entry holds only what JSON can hold");
        let digest = link(seq, at, previous, &text);
        (Self { seq, at, previous, kind, digest }, text)
    }

    /// Reads a stored entry and checks its place in the chain. The digest is over the stored text, so that entries
    /// written before a field was added still hold.
    ///
    /// # Errors
    /// [`BrokenChain`] where the digest differs or the text is not an entry.
    pub fn read(seq: u32, at: Timestamp, previous: Digest, text: &str, digest: Digest) -> Result<Self, BrokenChain> {
        if link(seq, at, previous, text) != digest {
            return Err(BrokenChain { seq, problem: "is not what was written".into() });
        }
        let kind = serde_json::from_str(text).map_err(|e| BrokenChain { seq, problem: format!("cannot be read: {e}") })?;
        Ok(Self { seq, at, previous, kind, digest })
    }
}

fn link(seq: u32, at: Timestamp, previous: Digest, text: &str) -> Digest {
    Digest::of(format!("{seq}\n{}\n{previous}\n{text}", at.as_millisecond()).as_bytes())
}

/// The things that can be written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum EntryKind {
    /// A worker took the job.
    Claimed {
        /// The worker's name.
        worker: String,
        /// Whether the one before gave it back in good order, rather than dying with it.
        handed_back: bool,
    },
    /// What confines the code that runs from here on, as it was found by trying; written again where it differs later.
    Confined {
        /// The walls.
        walls: Walls,
    },
    /// Somebody else's change was fetched: what is to be proven, and against what.
    Adopted {
        /// Both.
        adopted: Adopted,
    },
    /// Somebody else's change was fetched and does not go into its branch, so that there is nothing to be proven.
    Unmerged {
        /// The commit that was proposed.
        head: CommitId,
        /// How the run is to end.
        conclusion: Conclusion,
    },
    /// It was found out what a red check is about.
    Triaged {
        /// What, and by which runs.
        triaged: Box<Triaged>,
    },
    /// The base is fixed and its tests were run.
    Prepared {
        /// What was found.
        prepared: Box<Prepared>,
    },
    /// The model was asked once.
    TurnTaken {
        /// What that used.
        usage: Usage,
        /// What it did, in a line.
        note: String,
    },
    /// The agent left a tree that differs from the base.
    Solved {
        /// The difference.
        proposal: Proposal,
    },
    /// The agent answered, reviewed or planned, and changed nothing.
    Answered {
        /// What it said, as people read it; hearsay.
        answer: Digest,
        /// The same in its parts, as JSON.
        closing: Digest,
        /// The agent's transcript.
        transcript: Digest,
    },
    /// The agent ended without anything to verify.
    GaveUp {
        /// How the run is to end.
        conclusion: Conclusion,
        /// The agent's transcript.
        transcript: Digest,
        /// What the model said at the end; hearsay.
        answer: Digest,
    },
    /// The harness judged the proposal.
    Verified {
        /// The judgement with its evidence.
        verdict: Verdict,
    },
    /// How the run ends, and everything that will be done to say so.
    PublishPlanned {
        /// The end.
        conclusion: Conclusion,
        /// The effects, in order.
        effects: Vec<Effect>,
        /// The signed statement about the patch, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attestation: Option<Digest>,
    },
    /// An effect was done, and found done.
    Performed {
        /// Which.
        key: EffectKey,
        /// What came of it.
        receipt: Receipt,
    },
    /// Somebody wants the run to stop.
    CancelRequested {
        /// Who and why, in a line.
        because: String,
    },
    /// A step cannot be done.
    Failed {
        /// What to tell whom.
        failure: Failure,
        /// The effect that failed, if it was one.
        effect: Option<EffectKey>,
    },
    /// Nothing is left to do.
    Completed {
        /// How it ended.
        outcome: Outcome,
    },
}

impl EntryKind {
    /// What the agent has said and done, where it ended with this.
    pub fn transcript(&self) -> Option<Digest> {
        match self {
            Self::Solved { proposal } => Some(proposal.transcript),
            Self::Answered { transcript, .. } | Self::GaveUp { transcript, .. } => Some(*transcript),
            Self::Claimed { .. }
            | Self::Confined { .. }
            | Self::Adopted { .. }
            | Self::Unmerged { .. }
            | Self::Triaged { .. }
            | Self::Prepared { .. }
            | Self::TurnTaken { .. }
            | Self::Verified { .. }
            | Self::PublishPlanned { .. }
            | Self::Performed { .. }
            | Self::CancelRequested { .. }
            | Self::Failed { .. }
            | Self::Completed { .. } => None,
        }
    }
}

/// What preparing found out about the base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The commit whose files say how this run works, where that is not the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<CommitId>,
    /// The commit that everything is measured against.
    pub base: CommitId,
    /// How the repository is set up and tested.
    pub plan: crate::ecosystem::Plan,
    /// What the tests said before anybody touched anything; `None` where no test command is known.
    pub baseline: Option<Evidence>,
    /// The request as it was at that moment: title, body, comments.
    pub request: Digest,
    /// What the setup could reach; `None` where there was none, or it had no way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// What people have to know of how it was prepared, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a red check is about, and what that rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triaged {
    /// What was run of the commit: itself, or its merge into what it is to go to.
    pub head: CommitId,
    /// What it is to go to.
    pub base: CommitId,
    /// What was run, where anything could be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What was run before that, where anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// What is different here from where the check ran, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// The part of the job's log that shows the failure, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Digest>,
    /// The runs, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<triage::Rerun>,
    /// What follows from them.
    pub verdict: triage::Verdict,
}

/// A change that somebody else has made, as it was when it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// The branch that it is to go to.
    pub branch: String,
    /// What it is measured against: where that branch pointed. In journals from before it was merged, the last commit that both
    /// share.
    pub base: CommitId,
    /// The commit that was proposed, where what is proven is its merge into the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<CommitId>,
    /// The files of that merge, by the name that git gives them: whoever makes it again has the same, under another commit. None in
    /// journals from before it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The change. No model has said anything about it, so that answer and transcript are empty.
    pub proposal: Proposal,
}

impl Adopted {
    /// The commit that somebody has proposed.
    pub fn proposed(&self) -> &CommitId {
        self.head.as_ref().unwrap_or(&self.proposal.commit)
    }
}

/// What is proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The commit: of an agent's work the one that the harness made, by its parent, tree, message and date alone.
    pub commit: CommitId,
    /// The objects that the base does not have, as a git pack.
    pub pack: Digest,
    /// The difference as text, for people.
    pub diff: Digest,
    /// What the model says of it; hearsay.
    pub answer: Digest,
    /// Every request and reply.
    pub transcript: Digest,
    /// The files that differ.
    pub changes: Vec<Change>,
    /// The digest of the difference without what means nothing, by which two attempts are known to be the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
}

/// A file that differs from the base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its path from the repository's root.
    pub path: String,
    /// What became of it.
    pub kind: ChangeKind,
    /// Lines added; 0 for binary files.
    pub lines_added: u32,
    /// Lines taken away; 0 for binary files.
    pub lines_removed: u32,
}

/// What can become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content or mode differs.
    Modified,
    /// It is gone.
    Deleted,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Red on base, green on head, both executed by the harness.
    Proven,
    /// There is a patch, and no proof of it.
    Unproven,
    /// A question was answered.
    Answered,
    /// The agent changed nothing.
    NoChange,
    /// The agent needs to know something from a person.
    NeedsInput,
    /// A limit on turns, tokens, cost or rounds was reached.
    BudgetExhausted,
    /// The time ran out.
    TimedOut,
    /// Sandbox, setup, test command or model endpoint do not work.
    EnvironmentFailed,
    /// What was asked or proposed is not allowed here.
    BlockedByPolicy,
    /// A newer job took its place.
    Superseded,
    /// Somebody stopped it.
    Cancelled,
    /// Something of ours or of GitHub's did not work.
    Failed,
}

impl Outcome {
    /// The outcome's name in journals, JSON and headings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Unproven => "unproven",
            Self::Answered => "answered",
            Self::NoChange => "no_change",
            Self::NeedsInput => "needs_input",
            Self::BudgetExhausted => "budget_exhausted",
            Self::TimedOut => "timed_out",
            Self::EnvironmentFailed => "environment_failed",
            Self::BlockedByPolicy => "blocked_by_policy",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether what was asked for was done.
    pub fn is_positive(self) -> bool {
        matches!(self, Self::Proven | Self::Unproven | Self::Answered)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An outcome with its cause and what the user can do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conclusion {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in one sentence.
    pub cause: String,
    /// What to do next, in one sentence.
    pub next_step: String,
}

impl Conclusion {
    /// Joins the three parts.
    pub fn new(outcome: Outcome, cause: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { outcome, cause: cause.into(), next_step: next_step.into() }
    }
}

/// A step that cannot be done: one text for the pull request, one for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// How the run ends because of it, and what the user is told.
    pub conclusion: Conclusion,
    /// The chain of causes, for the operator's log alone.
    pub internal: String,
}

#[cfg(test)]
mod tests;
