//! Replay: drives the agent again from the recorded replies of a run, and finds out whether it comes to the same tree.
//!
//! The machine, the edits and the commands are real; what the model said, what the commands printed and what was found
//! missing are the recording's, because clocks and test runners never print the same twice. So the first place where a
//! request, a command, its end or the tree differs is where the program, the machine or the record has changed.

use std::sync::Arc;
use std::time::Duration;

use patchwright_domain::brief::{self, Brief};
use patchwright_domain::job::{Allowance, JobId, JobSpec};
use patchwright_domain::journal::{CommitId, Digest, EntryKind, Outcome, Prepared};
use patchwright_domain::run::{Misfit, Run};
use patchwright_domain::turn::Item;
use serde::Serialize;

use crate::agent::turns::transcript::{self, Line};
use crate::agent::turns::{Backoff, ShellLimits, Turns};
use crate::agent::{Agent as _, Assignment, Continued, Unmetered};
use crate::egress::Egress;
use crate::sandbox::{Command, Executor, Profile, Refusal, Sandbox, SandboxError};
use crate::setup::{Ground, Patch, SetupError, terms};
use crate::store::{Store, StoreError};
use crate::workspace::{Message, Scratch, WorkspaceError, Workspaces};

mod recorded;

use recorded::Recording;

/// The longest that a replayed solve may take: what it waits for is commands that ended once.
const WALL_CLOCK_MS: u64 = 24 * 60 * 60 * 1000;
/// How much of the setup command's output is kept: nobody reads it.
const SETUP_OUTPUT_BYTES_MAX: usize = 1024;

/// Why a run cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store has no such run, or cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The base or a proposal is not there any more.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The machine has no sandbox.
    #[error(transparent)]
    NoSandbox(#[from] Refusal),
    /// The sandbox broke.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The tree could not be made ready.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The journal does not fold.
    #[error("the journal cannot be read")]
    Misfit(#[from] Misfit),
    /// The agent was another program, whose replies are not recorded turn by turn.
    #[error("attempt {attempt}, round {round} was solved by another program than the built-in agent, and cannot be replayed")]
    NotOurs {
        /// Which attempt.
        attempt: u32,
        /// Which round of it.
        round: u32,
    },
}

/// The first difference between a recording and its replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// The turn in which it shows, from 1.
    pub turn: u32,
    /// What differs.
    pub what: String,
}

/// One replayed solve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Solve {
    /// Which attempt.
    pub attempt: u32,
    /// Which round of it.
    pub round: u32,
    /// How many replies of the model were played.
    pub turns: u32,
    /// The tree that was proposed, as git names it; none where nothing was.
    pub recorded_tree: Option<String>,
    /// The tree that the replay came to.
    pub tree: Option<String>,
    /// The first difference, if there is one.
    pub divergence: Option<Divergence>,
}

/// Replays runs.
pub struct Replayer {
    /// Where the journals are.
    pub store: Arc<dyn Store>,
    /// Where the bases are.
    pub workspaces: Arc<Workspaces>,
    /// Where commands run.
    pub sandbox: Arc<dyn Sandbox>,
    /// Where setups may reach out; nowhere without it.
    pub egress: Option<Arc<Egress>>,
    /// How long the setup command may take.
    pub setup_timeout: Duration,
}

/// One solve as it was recorded.
struct Recorded<'r> {
    spec: &'r JobSpec,
    run: &'r Run,
    prepared: &'r Prepared,
    attempt: u32,
    round: u32,
    feedback: Option<String>,
    transcript: Vec<u8>,
    /// What it proposed.
    commit: Option<CommitId>,
}

impl Replayer {
    /// Replays every solve of a run that has ended with a result, in order.
    ///
    /// # Errors
    /// [`ReplayError`] where the run is not here any more or cannot be replayed; a difference is a result.
    pub async fn replay(&self, job: &JobId) -> Result<Vec<Solve>, ReplayError> {
        let (spec, _) = self.store.job(job).await?;
        let journal = self.store.journal(job, 0).await?;
        let mut run = Run::new(&spec);
        let mut solves = Vec::new();
        for entry in &journal {
            if let (Some((transcript, commit)), Some((attempt, round, feedback)), Some(prepared)) =
                (result(&entry.kind), run.solving(), run.prepared())
            {
                let (transcript, feedback) = (self.store.artifact(&transcript).await?, feedback.map(str::to_owned));
                let recorded = Recorded { spec: &spec, run: &run, prepared, attempt, round, feedback, transcript, commit };
                if let Some(proposal) = proposed(&entry.kind) {
                    let pack = self.store.artifact(&proposal.pack).await?;
                    self.workspaces.unpack(&spec.repo, &proposal.commit, pack).await?;
                }
                solves.push(self.solve(recorded).await?);
            }
            run.apply(entry)?;
        }
        Ok(solves)
    }

    async fn solve(&self, recorded: Recorded<'_>) -> Result<Solve, ReplayError> {
        let Recorded { spec, prepared, attempt, round, .. } = recorded;
        let not_ours = || ReplayError::NotOurs { attempt, round };
        let recording = Recording::of(&recorded.transcript).ok_or_else(not_ours)?;
        let before = match recorded.run.current() {
            Some(judged) => Some(self.store.artifact(&judged.proposal.transcript).await?),
            None => None,
        };
        let tree = self.start(spec, recorded.run, prepared).await?;
        let mut executor = self.open(spec, prepared, &tree).await?;
        let (agent, brief, allowance, checks_max) = agent(&recording, before.as_deref()).ok_or_else(not_ours)?;
        let feedback = recorded.feedback.as_deref().map(brief::feedback);
        let continued = before.as_deref().zip(feedback.as_deref());
        let gate = recording.gate();
        let assignment = Assignment {
            brief: &brief,
            continued: continued.map(|(transcript, feedback)| Continued { transcript, feedback }),
            allowance,
            meter: &Unmetered,
            gate: &gate,
            checks_max,
            on_turn: &|_, _| {},
        };
        let mut again = recording.executor(executor.as_mut());
        agent.solve(assignment, &mut again).await;
        let files = executor.collect().await?;

        let message =
            Message { text: "Replay".into(), author: "replay".into(), email: "replay@localhost".into(), at: spec.requested_at };
        let base = &prepared.base;
        let proposed = self.workspaces.propose(&spec.repo, base, &files, &prepared.plan.droppings, message).await?;
        let tree = match &proposed {
            Some(proposed) => Some(self.workspaces.tree(&spec.repo, &proposed.commit).await?),
            None => None,
        };
        let recorded_tree = match &recorded.commit {
            Some(commit) => Some(self.workspaces.tree(&spec.repo, commit).await?),
            None => None,
        };
        let turns = recording.n_replies();
        let differs = || Divergence { turn: turns, what: "the files that were left differ".to_owned() };
        let divergence = recording.divergence().or_else(|| (tree != recorded_tree).then(differs));
        Ok(Solve { attempt, round, turns, recorded_tree, tree, divergence })
    }

    async fn start(&self, spec: &JobSpec, run: &Run, prepared: &Prepared) -> Result<Scratch, ReplayError> {
        let patch = run.current().map(|judged| Patch { commit: &judged.proposal.commit, changes: &judged.proposal.changes });
        let setup = prepared.plan.setup.as_ref().filter(|_| spec.task.mode().edits()).map(|setup| Command {
            script: setup.clone(),
            directory: String::new(),
            timeout: self.setup_timeout,
            output_bytes_max: SETUP_OUTPUT_BYTES_MAX,
        });
        let ground = Ground {
            workspaces: &self.workspaces,
            sandbox: self.sandbox.as_ref(),
            egress: self.egress.as_deref(),
            demands: &prepared.plan.demands,
            look: None,
        };
        // Whatever came of it came of it then as well, and the tree tells.
        Ok(ground.ready(&spec.repo, &prepared.base, patch, setup.as_ref(), Profile::of_agent(spec.task.mode())).await?.tree)
    }

    async fn open(&self, spec: &JobSpec, prepared: &Prepared, tree: &Scratch) -> Result<Box<dyn Executor>, ReplayError> {
        Ok(self.sandbox.open(tree.tree(), terms(Profile::of_agent(spec.task.mode()), &prepared.plan.demands)).await?)
    }
}

/// The transcript of a solve that has come to something, and the commit that it proposed.
fn result(kind: &EntryKind) -> Option<(Digest, Option<CommitId>)> {
    let transcript = kind.transcript()?;
    let (commit, is_something) = match kind {
        EntryKind::Solved { proposal } => (Some(proposal.commit.clone()), true),
        EntryKind::GaveUp { conclusion, .. } => (None, matches!(conclusion.outcome, Outcome::NoChange | Outcome::NeedsInput)),
        _ => (None, true),
    };
    is_something.then_some((transcript, commit))
}

fn proposed(kind: &EntryKind) -> Option<&patchwright_domain::journal::Proposal> {
    if let EntryKind::Solved { proposal } = kind { Some(proposal) } else { None }
}

/// The agent as it was, with the recording in the place of the model.
fn agent(recording: &Recording, before: Option<&[u8]>) -> Option<(Turns, Brief, Allowance, u32)> {
    let Line::Opened {
        mode,
        edit_form,
        instructions,
        cache_key,
        turns,
        tokens,
        cost_microusd,
        prices,
        context_tokens,
        output_tokens_max,
        checks_max,
        ..
    } = recording.opened()
    else {
        return None;
    };
    let backoff = Backoff { base: Duration::ZERO, attempts_max: u32::MAX, wait_max: Duration::ZERO };
    let agent = Turns {
        prices: *prices,
        edit_form: *edit_form,
        context_tokens: *context_tokens,
        output_tokens_max: *output_tokens_max,
        backoff,
        shell: ShellLimits::default(),
        toolbox: recording.toolbox(),
        ..Turns::new(recording.model())
    };
    let task = before.map_or_else(|| recording.task(), task_of)?;
    let brief = Brief { mode: *mode, instructions: instructions.clone(), task, cache_key: cache_key.clone() };
    let allowance = Allowance { turns: *turns, tokens: *tokens, cost_microusd: *cost_microusd, wall_clock_ms: WALL_CLOCK_MS };
    Some((agent, brief, allowance, *checks_max))
}

/// What a transcript's conversation was opened with.
fn task_of(transcript: &[u8]) -> Option<String> {
    transcript::lines(transcript).find_map(|line| match line {
        Line::Request { items, .. } | Line::Rewritten { items } => items.into_iter().find_map(|item| match item {
            Item::User { text } => Some(text),
            Item::Assistant { .. } | Item::Reasoning { .. } | Item::Call { .. } | Item::Result { .. } => None,
        }),
        Line::Opened { .. }
        | Line::LeftOut { .. }
        | Line::External { .. }
        | Line::Reply { .. }
        | Line::Failure { .. }
        | Line::Result { .. }
        | Line::Ran { .. }
        | Line::Checked { .. }
        | Line::Ended { .. }
        | Line::Cut { .. } => None,
    })
}
