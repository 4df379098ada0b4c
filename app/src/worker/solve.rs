//! Solve: let the agent work in a scratch tree, write down its turns as they happen, and make a commit of what it left.

use patchwright_domain::brief::{self, Request};
use patchwright_domain::effect;
use patchwright_domain::job::{JobSpec, Usage};
use patchwright_domain::journal::{Conclusion, Digest, EntryKind, Outcome, Prepared, Proposal};
use patchwright_domain::proof;
use patchwright_domain::report::{self, Stage};
use patchwright_domain::run::Run;
use tokio::sync::mpsc;
use tracing::info;

use super::commands;
use super::{Answer, Progress, StepError, Tools, conclusions};
use crate::agent::{Assignment, Ending, Open, Solution, Unmetered};
use crate::sandbox::Profile;
use crate::store::{Lease, StoreError};
use crate::workspace::{Message, Proposed, Scratch, WorkspaceError};

/// Where the repository tells agents how to work in it.
const AGENTS_MD: &str = "AGENTS.md";

pub(super) async fn solve(
    tools: &Tools,
    spec: &JobSpec,
    lease: &Lease,
    progress: &mut Progress,
    round: u32,
    feedback: Option<String>,
) -> Result<Answer, StepError> {
    super::show(tools, spec, Stage::Solving(round)).await;
    let run = &progress.run;
    let prepared = run.prepared().cloned().ok_or_else(|| StoreError::Corrupt("a run that is not prepared solves".into()))?;
    let request = request(tools, &prepared).await?;
    let start = run.judged().map_or(&prepared.base, |judged| &judged.proposal.commit).clone();
    if let Some(judged) = run.judged() {
        let pack = tools.store.artifact(&judged.proposal.pack).await?;
        tools.workspaces.unpack(&spec.repo, &start, pack).await?;
    }
    let tree = tools.workspaces.scratch(&spec.repo, &start).await?;
    let agents_md = tools.workspaces.read(&spec.repo, &prepared.base, AGENTS_MD).await?;
    let agents_md = agents_md.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let brief = brief::brief(spec, &request, &prepared, agents_md.as_deref(), feedback.as_deref());

    let mut executor = commands::open(tools, &tree, Profile::Agent).await?;
    if let Some(setup) = &prepared.plan.setup {
        commands::run(tools, executor.as_mut(), setup).await?;
    }
    // Bounded by the budget's turns, each of which sends once.
    let (turns, mut taken) = mpsc::unbounded_channel::<(Usage, String)>();
    let on_turn = move |usage: &Usage, note: &str| drop(turns.send((*usage, note.to_owned())));
    let allowance = run.allowance(tools.clock.now());
    let assignment = Assignment {
        brief: &brief,
        continued: None,
        allowance,
        meter: &Unmetered,
        gate: &Open,
        checks_max: 0,
        on_turn: &on_turn,
    };
    let working = tools.agent.solve(assignment, executor.as_mut());
    tokio::pin!(working);
    let mut solution = None;
    while solution.is_none() || !taken.is_empty() {
        tokio::select! {
            biased;
            Some((usage, note)) = taken.recv() => {
                if progress.record(tools, lease, EntryKind::TurnTaken { usage, note }).await? {
                    return Ok(Answer::Written);
                }
            }
            done = &mut working, if solution.is_none() => solution = Some(done),
        }
    }
    let solution = solution.expect("the loop ends with a solution");
    let run = &progress.run;
    info!(turns = run.usage().turns, "the agent ended: {:?}", solution.ending);
    conclude(tools, spec, run, &prepared, &request, &tree, solution).await
}

/// The request as it was when the run was prepared.
pub(super) async fn request(tools: &Tools, prepared: &Prepared) -> Result<Request, StepError> {
    let bytes = tools.store.artifact(&prepared.request).await?;
    serde_json::from_slice(&bytes).map_err(|e| StoreError::Corrupt(format!("the request cannot be read: {e}")).into())
}

async fn conclude(
    tools: &Tools,
    spec: &JobSpec,
    run: &Run,
    prepared: &Prepared,
    request: &Request,
    tree: &Scratch,
    solution: Solution,
) -> Result<Answer, StepError> {
    let transcript = tools.store.put_artifact(solution.transcript).await?;
    let answer = tools.store.put_artifact(solution.closing.text.into_bytes()).await?;
    let gave_up = |conclusion| Ok(Answer::entry(EntryKind::GaveUp { conclusion, transcript, answer }));
    let no_change = match solution.ending {
        Ending::ModelFailed { public, internal } | Ending::SandboxFailed { public, internal } => {
            tracing::warn!(error = %internal, "the agent could not go on");
            let next_step = "An operator should run `patchwright doctor` on the server and mend what it names, then ask again.";
            return gave_up(Conclusion::new(Outcome::EnvironmentFailed, public, next_step));
        }
        Ending::Refused => Conclusion::new(
            Outcome::NoChange,
            "The model declined to do this.",
            "Read its last words, say differently what is wanted, or have the operator choose another model.",
        ),
        Ending::Finished => Conclusion::new(
            Outcome::NoChange,
            "The agent changed no file.",
            "Read its last words, add what is missing to the issue, and ask again.",
        ),
        Ending::BudgetExhausted { limit } => Conclusion::new(
            Outcome::BudgetExhausted,
            limit,
            "Ask again with a narrower task, or raise the limit in the server's `[limits]`.",
        ),
    };
    let title = report::neutral::plain(&effect::title_of(request), 200);
    let message = Message {
        text: report::commit_message(spec, &title),
        author: tools.settings.author.clone(),
        email: tools.settings.email.clone(),
        at: run.started_at().unwrap_or(spec.requested_at),
    };
    match tools.workspaces.propose(&spec.repo, &prepared.base, tree, &prepared.plan.droppings, message).await {
        Ok(None) => gave_up(no_change),
        Ok(Some(proposed)) => match proof::forbidden(&proposed.changes) {
            Some(reason) => gave_up(refused(&reason)),
            None => proposal(tools, proposed, answer, transcript).await,
        },
        Err(WorkspaceError::Refused(reason)) => gave_up(refused(&format!("the change is refused: {reason}"))),
        Err(error) => Err(error.into()),
    }
}

fn refused(reason: &str) -> Conclusion {
    conclusions::policy(
        &format!("Nothing was published: {reason}."),
        "Make this change by hand, or ask for one that does not need it.",
    )
    .conclusion
}

async fn proposal(tools: &Tools, proposed: Proposed, answer: Digest, transcript: Digest) -> Result<Answer, StepError> {
    let pack = tools.store.put_artifact(proposed.pack).await?;
    let diff = tools.store.put_artifact(proposed.diff.into_bytes()).await?;
    let proposal = Proposal { commit: proposed.commit, pack, diff, answer, transcript, changes: proposed.changes };
    Ok(Answer::entry(EntryKind::Solved { proposal }))
}
