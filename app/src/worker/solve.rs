//! Solve: let the agent work in a scratch tree, write down its turns as they happen, and make a commit of what it left.

use std::path::Path;

use patchwright_domain::answer;
use patchwright_domain::brief::{self, Request, Survey};
use patchwright_domain::effect;
use patchwright_domain::instructions;
use patchwright_domain::job::{JobSpec, Usage};
use patchwright_domain::journal::{CommitId, Conclusion, Digest, EntryKind, Outcome, Prepared, Proposal};
use patchwright_domain::patch::FileState;
use patchwright_domain::proof;
use patchwright_domain::report;
use patchwright_domain::review;
use patchwright_domain::run::{Judged, Run};
use patchwright_domain::turn::{Closing, Finding, Standing};
use tokio::sync::mpsc;
use tracing::info;

use super::commands;
use super::gate::{self, AnswerGate, ChangeGate, Forbidden};
use super::meter::LedgerMeter;
use super::progress::HEED_INTERVAL;
use super::{Answer, Progress, StepError, Tools, conclusions, scope};
use crate::agent::{Assignment, Continued, Ending, Gate, Solution};
use crate::sandbox::{Executor, Profile};
use crate::setup::Patch;
use crate::store::{Lease, StoreError};
use crate::syntax;
use crate::workspace::{Message, Proposed, Scratch, WorkspaceError};

/// One solve: where it begins and what it goes on from.
#[derive(Clone, Debug)]
pub struct Solve {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Which round of it, from 1.
    pub round: u32,
    /// What was found after the round before.
    pub feedback: Option<String>,
}

pub(super) async fn solve(
    tools: &Tools,
    spec: &JobSpec,
    lease: &Lease,
    progress: &mut Progress,
    solve: Solve,
) -> Result<Answer, StepError> {
    let run = &progress.run;
    let prepared = run.prepared().cloned().ok_or_else(|| StoreError::Corrupt("a run that is not prepared solves".into()))?;
    let request = request(tools, &prepared).await?;
    let mode = spec.task.mode();
    let setup = prepared.plan.setup.as_deref().filter(|_| mode.edits());
    let tree = start(tools, spec, &prepared, run.current(), setup).await?;
    let before = match run.current() {
        Some(judged) => Some(tools.store.artifact(&judged.proposal.transcript).await?),
        None => None,
    };
    let survey = survey(tools, spec, run.ruled_by().unwrap_or(&prepared.base)).await?;
    let brief = brief::brief(spec, &request, &prepared, &survey);
    let mut executor = commands::open(tools, &tree, &prepared.plan, Profile::of_agent(spec.task.mode())).await?;
    let message = message(tools, spec, run, &request);
    let change_gate = ChangeGate::new(tools, spec, &prepared, message.clone());
    let gate: &dyn Gate = if mode.edits() { &change_gate } else { &AnswerGate };
    // Bounded by the budget's turns, each of which sends once, and by the requests that broke off.
    let (turns, mut taken) = mpsc::unbounded_channel::<(Usage, String)>();
    let on_turn = move |usage: &Usage, note: &str| drop(turns.send((*usage, note.to_owned())));
    let feedback = solve.feedback.as_deref().map(brief::feedback);
    let continued = before.as_deref().zip(feedback.as_deref());
    let meter = LedgerMeter::new(tools.store.as_ref(), tools.clock.as_ref(), lease, tools.settings.limits_of_day);
    let assignment = Assignment {
        brief: &brief,
        continued: continued.map(|(transcript, feedback)| Continued { transcript, feedback }),
        allowance: run.allowance(tools.clock.now()),
        meter: &meter,
        gate,
        checks_max: spec.budget.rounds,
        on_turn: &on_turn,
    };
    let Some(mut solution) =
        watch(tools, lease, progress, tools.agent(solve.attempt).solve(assignment, executor.as_mut()), &mut taken).await?
    else {
        return Ok(Answer::Written);
    };
    meter.check()?;
    withhold(tools, &mut solution.closing);
    info!(turns = progress.run.usage().turns, "the agent ended: {:?}", solution.ending);
    let kept = Kept::of(tools, &solution).await?;
    if mode.edits() {
        let files = executor.collect().await.map_err(|error| conclusions::sandbox(&error))?;
        propose(tools, spec, &prepared, &files, message, solution, kept).await
    } else {
        answer(tools, &prepared, executor.as_mut(), solution, kept).await
    }
}

/// Writes down the turns of an agent that works, until it ends; `None` where somebody asked for a cancel meanwhile, which is
/// heard between turns and within a long one.
///
/// # Errors
/// [`StepError`] where a turn cannot be written down.
pub async fn watch(
    tools: &Tools,
    lease: &Lease,
    progress: &mut Progress,
    working: impl Future<Output = Solution> + Send,
    taken: &mut mpsc::UnboundedReceiver<(Usage, String)>,
) -> Result<Option<Solution>, StepError> {
    tokio::pin!(working);
    let (mut solution, mut next_look) = (None, tools.clock.wait(HEED_INTERVAL));
    while solution.is_none() || !taken.is_empty() {
        tokio::select! {
            biased;
            Some((usage, note)) = taken.recv() => {
                if progress.record(tools, lease, EntryKind::TurnTaken { usage, note }).await? {
                    return Ok(None);
                }
            }
            done = &mut working, if solution.is_none() => solution = Some(done),
            () = &mut next_look, if solution.is_none() => {
                match progress.hear(tools, lease.job()).await {
                    Ok(true) => return Ok(None),
                    // Whoever keeps the lease knows what to do about a store that is gone.
                    Ok(false) | Err(StoreError::Unavailable(_)) => next_look = tools.clock.wait(HEED_INTERVAL),
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(solution)
}

/// Takes out of an agent's last words what looks like a secret: people read them, whatever becomes of the patch.
fn withhold(tools: &Tools, closing: &mut Closing) {
    let texts = closing.findings.iter_mut().flat_map(|finding| [&mut finding.title, &mut finding.body]);
    let guarded = tools.guarded();
    for text in texts.chain([&mut closing.text]) {
        *text = guarded.redacted(text);
    }
    for finding in &mut closing.findings {
        finding.suggestion = finding.suggestion.take().filter(|lines| guarded.redacted(lines) == *lines);
    }
}

/// The tree that the agent works in: the base, or what the round before has left. Whatever its setup said, the agent sees
/// what came of it.
async fn start(
    tools: &Tools,
    spec: &JobSpec,
    prepared: &Prepared,
    current: Option<&Judged>,
    setup: Option<&str>,
) -> Result<Scratch, StepError> {
    if let Some(judged) = current {
        let pack = tools.store.artifact(&judged.proposal.pack).await?;
        tools.workspaces.unpack(&spec.repo, &judged.proposal.commit, pack).await?;
    }
    let patch = current.map(|Judged { proposal, .. }| Patch { commit: &proposal.commit, changes: &proposal.changes });
    Ok(commands::ready(tools, spec, &prepared.base, patch, &prepared.plan, setup, (Profile::of_agent(spec.task.mode()), None))
        .await?
        .tree)
}

/// The request as it was when the run was prepared.
pub(super) async fn request(tools: &Tools, prepared: &Prepared) -> Result<Request, StepError> {
    let bytes = tools.store.artifact(&prepared.request).await?;
    serde_json::from_slice(&bytes).map_err(|e| StoreError::Corrupt(format!("the request cannot be read: {e}")).into())
}

/// What the base says of itself; whatever a patch or a branch says is not asked.
async fn survey(tools: &Tools, spec: &JobSpec, base: &CommitId) -> Result<Survey, StepError> {
    let fallbacks = &tools.settings.instruction_fallbacks;
    let names = instructions::NAMES.into_iter().map(str::to_owned).chain(fallbacks.iter().cloned()).collect();
    let found = tools.workspaces.survey(&spec.repo, base, names).await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let files: Vec<instructions::File> =
        found.files.into_iter().map(|(path, bytes)| instructions::File { path, text: text(bytes) }).collect();
    Ok(Survey {
        instructions: instructions::told(&files, fallbacks),
        languages: patchwright_domain::ecosystem::languages(&found.extensions),
    })
}

/// The message of the commit that may come of it; nothing in it depends on the agent.
fn message(tools: &Tools, spec: &JobSpec, run: &Run, request: &Request) -> Message {
    let title = report::neutral::plain(&effect::title_of(request), 200);
    Message {
        text: report::commit_message(spec, &title),
        author: tools.settings.author.clone(),
        email: tools.settings.email.clone(),
        at: run.started_at().unwrap_or(spec.requested_at),
    }
}

/// What an agent left beside the tree, as artifacts.
struct Kept {
    transcript: Digest,
    answer: Digest,
}

impl Kept {
    async fn of(tools: &Tools, solution: &Solution) -> Result<Self, StepError> {
        let transcript = tools.store.put_artifact(solution.transcript.clone(), tools.clock.now()).await?;
        let answer = tools.store.put_artifact(solution.closing.text.clone().into_bytes(), tools.clock.now()).await?;
        Ok(Self { transcript, answer })
    }

    fn gave_up(&self, conclusion: Conclusion) -> Answer {
        Answer::entry(EntryKind::GaveUp { conclusion, transcript: self.transcript, answer: self.answer })
    }
}

/// Makes a proposal of what the agent left, or says why there is none.
async fn propose(
    tools: &Tools,
    spec: &JobSpec,
    prepared: &Prepared,
    files: &Path,
    message: Message,
    solution: Solution,
    kept: Kept,
) -> Result<Answer, StepError> {
    let without_change = match without_result(&solution) {
        WithoutResult::End(conclusion) => return Ok(kept.gave_up(conclusion)),
        WithoutResult::Unless(conclusion) => conclusion,
    };
    match tools.workspaces.propose(&spec.repo, &prepared.base, files, &prepared.plan.droppings, message).await {
        Ok(None) => Ok(kept.gave_up(without_change)),
        Ok(Some(proposed)) => match gate::looked_at(tools, spec, prepared, &proposed).await? {
            Err(Forbidden(reason)) => Ok(kept.gave_up(refused(&reason))),
            Ok(_) => proposal(tools, proposed, kept).await,
        },
        Err(WorkspaceError::Refused(reason)) => Ok(kept.gave_up(refused(&format!("the change is refused: {reason}")))),
        Err(error) => Err(error.into()),
    }
}

async fn proposal(tools: &Tools, proposed: Proposed, kept: Kept) -> Result<Answer, StepError> {
    let fingerprint = Some(proof::fingerprint(&proposed.diff));
    let pack = tools.store.put_artifact(proposed.pack, tools.clock.now()).await?;
    let diff = tools.store.put_artifact(proposed.diff.into_bytes(), tools.clock.now()).await?;
    let Kept { transcript, answer } = kept;
    let proposal = Proposal { commit: proposed.commit, pack, diff, answer, transcript, changes: proposed.changes, fingerprint };
    Ok(Answer::entry(EntryKind::Solved { proposal }))
}

/// Keeps the answer of a task that was to change nothing, or says why there is none.
async fn answer(
    tools: &Tools,
    prepared: &Prepared,
    executor: &mut dyn Executor,
    solution: Solution,
    kept: Kept,
) -> Result<Answer, StepError> {
    match without_result(&solution) {
        WithoutResult::End(conclusion) => return Ok(kept.gave_up(conclusion)),
        WithoutResult::Unless(conclusion)
            if solution.ending != Ending::Finished || solution.closing.standing != Standing::Done =>
        {
            return Ok(kept.gave_up(conclusion));
        }
        WithoutResult::Unless(_) => {}
    }
    let mut closing = solution.closing;
    drop_unfit(tools, prepared, executor, &mut closing).await;
    let closing = &closing;
    let missing = gate::missing_places(executor, closing).await;
    let text = answer::text(closing, &missing);
    let answer = tools.store.put_artifact(text.into_bytes(), tools.clock.now()).await?;
    let parts = serde_json::to_vec(closing).expect("an answer holds only text and numbers");
    let closing = tools.store.put_artifact(parts, tools.clock.now()).await?;
    Ok(Answer::entry(EntryKind::Answered { answer, closing, transcript: kept.transcript }))
}

/// Drops the suggestions of lines that are not there, those that would break the file, and those where no patch may go.
async fn drop_unfit(tools: &Tools, prepared: &Prepared, executor: &mut dyn Executor, closing: &mut Closing) {
    for finding in &mut closing.findings {
        let Some(suggestion) = finding.suggestion.take() else { continue };
        let (change, forbidden) = review::looked_at(finding, &suggestion, &tools.settings.instruction_fallbacks);
        let leaves = scope::left(&prepared.plan.scope, &[change]);
        if forbidden.is_none() && leaves.is_none() && is_whole(executor, finding, &suggestion).await {
            finding.suggestion = Some(suggestion);
        }
    }
}

/// Whether a file has the lines of a finding, and is no more broken with the suggestion in their place.
async fn is_whole(executor: &mut dyn Executor, Finding { path, first_line, last_line, .. }: &Finding, lines: &str) -> bool {
    let Ok(Some(FileState::Regular { content, .. })) = executor.read(path).await else { return false };
    let after = review::with_suggestion(&content, *first_line, *last_line, lines);
    after.is_some_and(|after| syntax::breakage(path, Some(&content), &after).is_none())
}

/// How a solve ends that has no result.
enum WithoutResult {
    /// Whatever it left: it could not go on.
    End(Conclusion),
    /// If it left nothing.
    Unless(Conclusion),
}

fn without_result(solution: &Solution) -> WithoutResult {
    let Closing { standing, .. } = &solution.closing;
    WithoutResult::Unless(match (&solution.ending, standing) {
        (Ending::ModelFailed { public, internal } | Ending::SandboxFailed { public, internal }, _) => {
            tracing::warn!(error = %internal, "the agent could not go on");
            let next_step = "An operator should run `patchwright doctor` on the server and mend what it names, then ask again.";
            return WithoutResult::End(Conclusion::new(Outcome::EnvironmentFailed, public, next_step));
        }
        (Ending::BudgetExhausted { limit }, _) => Conclusion::new(
            Outcome::BudgetExhausted,
            limit,
            "Ask again with a narrower task, or raise the limit in the server's `[limits]`.",
        ),
        (Ending::Stuck { reason }, _) => Conclusion::new(
            Outcome::NoChange,
            reason,
            "Ask again with a narrower task, or have the operator choose another model.",
        ),
        (Ending::Refused, _) => Conclusion::new(
            Outcome::NoChange,
            "The model declined to do this.",
            "Read its last words, say differently what is wanted, or have the operator choose another model.",
        ),
        (Ending::Finished, Standing::NeedsInput) => Conclusion::new(
            Outcome::NeedsInput,
            "The agent needs an answer before it can go on.",
            "Answer what it asks in its last words, and ask again.",
        ),
        (Ending::Finished, Standing::NotPossible) => Conclusion::new(
            Outcome::NoChange,
            "The agent says that this cannot be done, and changed no file.",
            "Read its last words for the reason.",
        ),
        (Ending::Finished, Standing::Done) => Conclusion::new(
            Outcome::NoChange,
            "The agent changed no file.",
            "Read its last words, add what is missing to the issue, and ask again.",
        ),
    })
}

fn refused(reason: &str) -> Conclusion {
    conclusions::policy(
        &format!("Nothing was published: {reason}."),
        "Make this change by hand, or ask for one that does not need it.",
    )
    .conclusion
}
