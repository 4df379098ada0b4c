//! Publish: fix all effects in the journal, then do them one by one.

use patchwright_domain::effect::{self, Effect, Receipt};
use patchwright_domain::job::{JobId, JobSpec, Reply, Task};
use patchwright_domain::journal::{CommitId, Conclusion, Entry, EntryKind, Outcome};
use patchwright_domain::proof::secrets::{Plain, Veil};
use patchwright_domain::proof::{Doubt, Verdict};
use patchwright_domain::report::replies::UnderWay;
use patchwright_domain::report::{Sealed, Story};
use patchwright_domain::review::Reviewed;
use patchwright_domain::run::Run;
use patchwright_domain::turn::Closing;
use tracing::info;

use super::workshop::Workshop;
use super::{Answer, Progress, StepError, Tools, attest, conclusions, consent, repair, solve};
use crate::forge::ForgeError;
use crate::store::{JobState, StoreError};
use crate::workspace::{Update, WorkspaceError};

/// What people call the entries of a run together.
const JOURNAL: &str = "the run's journal";

/// Writes everything that people will read, and plans what is to be done.
///
/// All that is told comes by here, and nothing of the server's own secrets: whatever the repository's processes have printed, named
/// or written, the texts are made of a journal without them, and are looked at once more when they are made.
pub(super) async fn plan(
    tools: &Tools,
    workshop: &dyn Workshop,
    spec: &JobSpec,
    progress: &Progress,
    conclusion: Conclusion,
) -> Result<Answer, StepError> {
    let conclusion = repair::unless_moved_on(tools, spec, &progress.run, conclusion).await?;
    let has_words = progress.run.answer(conclusion.outcome).is_some();
    let (conclusion, is_withheld) = consent::unless_lost(tools, spec, conclusion, has_words).await?;
    if let (Some(egress), true) = (&tools.egress, progress.run.prepared().is_some()) {
        // A process that was started since has not asked the host's tools yet, and what it has not read it cannot take out.
        egress.found().await;
    }
    let veil = tools.guarded().veil();
    let entry = |entry: &Entry| Ok(Entry { kind: veil.value(JOURNAL, &entry.kind)?, ..entry.clone() });
    let journal = progress.journal.iter().map(entry).collect::<Result<Vec<Entry>, Plain>>().map_err(conclusions::plain_secret)?;
    let Ok(run) = Run::fold(spec, &journal) else {
        // It was folded as it is, so that a name by which its entries go has changed.
        let kinds: Vec<&EntryKind> = progress.journal.iter().map(|entry| &entry.kind).collect();
        let told = serde_json::to_string(&kinds).unwrap_or_default();
        return Err(conclusions::plain_secret(veil.plain(JOURNAL, &told)));
    };
    let (run, conclusion) = (&run, veil.value("the end of the run", &conclusion).map_err(conclusions::plain_secret)?);
    let (title, threads) = match run.prepared() {
        Some(prepared) => {
            let request = solve::request(tools, prepared).await?;
            (veil.text(&effect::title_of(&request)), request.threads())
        }
        None => (String::new(), Vec::new()),
    };
    let answer = match run.answer(conclusion.outcome) {
        Some(_) if is_withheld => String::new(),
        Some(digest) => veil.text(&String::from_utf8_lossy(&tools.store.artifact(&digest).await?)),
        None => String::new(),
    };
    let reviewed = match spec.task.reviews() {
        Some(_) if conclusion.outcome == Outcome::Answered => reviewed(tools, run, &veil).await?,
        Some(_) | None => None,
    };
    let log = match run.triaged().and_then(|triaged| triaged.log) {
        Some(digest) => veil.text(&String::from_utf8_lossy(&tools.store.artifact(&digest).await?)),
        None => String::new(),
    };
    let moved_to = match (run.proposed(), spec.task.works_on()) {
        (_, Some((head, _))) if reviewed.is_some() => moved_head(tools, spec, head).await,
        (Some(proposed), _) => moved_head(tools, spec, proposed).await,
        (None, _) if !looks_at_commits(run, &conclusion) || run.triaged().is_some() => None,
        (None, Some((head, _))) => moved_head(tools, spec, head).await,
        (None, None) => moved_base(tools, workshop, spec, run).await,
    };
    let sealed = if looks_at_commits(run, &conclusion) { attest::of_run(tools, spec, run, &journal).await? } else { None };
    let under_way = under_way(tools, spec).await?;
    let story = Story {
        spec,
        conclusion: &conclusion,
        walls: run.walls(),
        adopted: run.adopted(),
        proposed: run.proposed(),
        triaged: run.triaged(),
        log: &log,
        prepared: run.prepared(),
        judged: run.judged(),
        finished: run.finished(),
        title: &title,
        answer: &answer,
        reviewed: reviewed.as_ref(),
        usage: run.usage(),
        branch: run.branch(),
        is_priced: tools.settings.is_priced,
        model: &tools.settings.model,
        moved_to: moved_to.as_ref(),
        host: &tools.settings.host,
        attestation: sealed.as_ref(),
        threads: &threads,
        under_way: &under_way,
    };
    let effects = told(&veil, effect::plan(&story), sealed.as_ref()).map_err(conclusions::plain_secret)?;
    let attestation = sealed.map(|sealed| sealed.digest);
    Ok(Answer::entry(EntryKind::PublishPlanned { conclusion, effects, attestation }))
}

/// What a review has found, and beside which lines that can be said.
async fn reviewed(tools: &Tools, run: &Run, veil: &Veil) -> Result<Option<Reviewed>, StepError> {
    let (Some(closing), Some(prepared)) = (run.closing(), run.prepared()) else { return Ok(None) };
    let closing = tools.store.artifact(&closing).await?;
    let closing: Closing =
        serde_json::from_slice(&closing).map_err(|e| StoreError::Corrupt(format!("an answer cannot be read: {e}")))?;
    let mut told = veil.value("what the review found", &closing).map_err(conclusions::plain_secret)?;
    // What is no longer as it was written is nothing to put in the place of code.
    for (finding, written) in told.findings.iter_mut().zip(&closing.findings) {
        finding.suggestion = finding.suggestion.take().filter(|lines| Some(lines) == written.suggestion.as_ref());
    }
    let hunks = solve::request(tools, prepared).await?.difference.map(|difference| difference.hunks);
    Ok(Some(Reviewed { closing: told, hunks: hunks.unwrap_or_default() }))
}

/// The verdict on a patch that was allowed and not tested before the time was up, where the operator wants people to have it. It says
/// so, and is written down like any other; where a round before has a verdict, that one's patch is what there is.
pub(super) fn untested(tools: &Tools, spec: &JobSpec, run: &Run, conclusion: &Conclusion) -> Option<Verdict> {
    let is_late = conclusion.outcome == Outcome::TimedOut && run.proposal().is_some() && run.judged().is_none();
    let is_issue = matches!(spec.task, Task::FixIssue { .. });
    let wants_it = tools.settings.publishes_untested && is_late && is_issue;
    let base = run.prepared().filter(|_| wants_it)?.baseline.clone();
    Some(Verdict::Unproven { doubt: Doubt::OutOfTime, base, head: None, account: None })
}

/// The jobs that are not over where somebody has asked which there are.
async fn under_way(tools: &Tools, spec: &JobSpec) -> Result<Vec<UnderWay>, StepError> {
    let Task::Reply { issue, reply: Reply::Status } = &spec.task else { return Ok(Vec::new()) };
    let mut under_way = Vec::new();
    for key in tools.store.open_jobs(spec.repo.id, *issue).await? {
        let job = JobId::of(&key);
        under_way.push(match known(tools, &job).await {
            Ok(known) => known,
            Err(StoreError::Corrupt(_)) => UnderWay::Unreadable(job),
            // It has ended and was forgotten since.
            Err(StoreError::Unknown { .. }) => continue,
            Err(error @ (StoreError::Unavailable(_) | StoreError::LeaseLost { .. })) => return Err(error.into()),
        });
    }
    Ok(under_way)
}

async fn known(tools: &Tools, job: &JobId) -> Result<UnderWay, StoreError> {
    let (spec, state) = tools.store.job(job).await?;
    let journal = tools.store.journal(job, 0).await?;
    let run = Run::fold(&spec, &journal).map_err(|misfit| StoreError::Corrupt(misfit.to_string()))?;
    Ok(UnderWay::Known { spec: Box::new(spec), run: Box::new(run), is_at_work: state == JobState::Running })
}

/// Whether planning looks at commits. Without a verdict there is nothing in them to be told, and where a step has failed they may be
/// what workers die of; people are to be told all the same.
pub(super) fn looks_at_commits(run: &Run, conclusion: &Conclusion) -> bool {
    run.judged().is_some() && conclusion.outcome != Outcome::Failed
}

/// What is to be done, its texts without secrets. What programs go by is told as it is or not at all: a branch by another name would be
/// another branch, a text without its mark would be written twice, and a statement with one letter changed does not hold.
fn told(veil: &Veil, effects: Vec<Effect>, sealed: Option<&Sealed>) -> Result<Vec<Effect>, Plain> {
    for (what, name) in effects.iter().flat_map(Effect::names) {
        veil.leaves(what, name)?;
    }
    veil.leaves("the place of the pull request's address", effect::PULL_REQUEST_PLACEHOLDER)?;
    if let Some(sealed) = sealed {
        veil.leaves("the signed statement", &sealed.envelope)?;
    }
    veil.value("what is to be done", &effects)
}

/// Where the default branch points now, if that is no longer the base. Not knowing it stops nothing.
async fn moved_base(tools: &Tools, workshop: &dyn Workshop, spec: &JobSpec, run: &Run) -> Option<CommitId> {
    let base = &run.prepared()?.base;
    run.judged()?;
    let now = workshop.base(tools, spec).await?;
    (now != *base).then_some(now)
}

/// Where a pull request points now, if that is no longer what was proven. Not knowing it stops nothing.
pub(super) async fn moved_head(tools: &Tools, spec: &JobSpec, proven: &CommitId) -> Option<CommitId> {
    let now = tools.forge.pull_request(spec).await.ok()??.head;
    (now != *proven).then_some(now)
}

/// Does one effect. One that is refused is written down as such; the run decides what that means.
pub(super) async fn perform(tools: &Tools, workshop: &dyn Workshop, spec: &JobSpec, effect: Effect) -> Result<Answer, StepError> {
    let key = effect.key(&spec.id());
    let failure = match attempt(tools, workshop, spec, &effect).await {
        Ok(receipt) => {
            info!(effect = %key, url = receipt.url, "performed");
            return Ok(Answer::entry(EntryKind::Performed { key, receipt }));
        }
        Err(StepError::Forge(error @ (ForgeError::Denied { .. } | ForgeError::Rejected { .. }))) => conclusions::forge(&error),
        Err(StepError::Workspace(error @ (WorkspaceError::Refused(_) | WorkspaceError::Rejected { .. }))) => {
            conclusions::workspace(&error)
        }
        Err(StepError::Failed(failure)) => *failure,
        Err(error @ (StepError::Store(_) | StepError::Forge(_) | StepError::Workspace(_))) => return Err(error),
    };
    tracing::warn!(effect = %key, error = %failure.internal, "an effect was refused");
    Ok(Answer::entry(EntryKind::Failed { failure, effect: Some(key) }))
}

async fn attempt(tools: &Tools, workshop: &dyn Workshop, spec: &JobSpec, effect: &Effect) -> Result<Receipt, StepError> {
    if effect.publishes() {
        consent::hold(tools, spec).await?;
    }
    let Effect::PushBranch { branch, commit, pack, from } = effect else {
        return Ok(tools.forge.perform(&spec.repo, &effect.key(&spec.id()), effect).await?);
    };
    let pack = tools.store.artifact(pack).await?;
    let update = Update { branch: branch.clone(), from: from.clone(), commit: commit.clone() };
    workshop.push(tools, spec, &update, pack).await
}
