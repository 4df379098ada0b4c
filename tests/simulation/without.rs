//! What the store does once a guard is taken away, where that is more than to leave something out.

use jiff::Timestamp;
use patchwright::store::ledger::Spending;
use patchwright::store::{Lease, Store as _, StoreError};
use patchwright_domain::effect::Effect;
use patchwright_domain::event::{IssueNumber, RepoRef};
use patchwright_domain::job::{JobId, JobKey};
use patchwright_domain::journal::{Entry, EntryKind};
use patchwright_domain::policy::Decision;

use super::github;
use super::guards::Guard;
use super::store::at_once;
use super::world::State;

/// The number of the first repository that an issue has for each of its jobs, where the store is to let it have several workers.
const REPOSITORIES_APART: u64 = 1_000;

/// Changes a decision before it is stored.
pub(super) fn guards_of_a_decision(state: &mut State, decision: &mut Decision) {
    let loses_its_job = matches!(decision, Decision::Start { .. }) && state.does_without(Guard::DecisionsMakeTheirJobs, 64);
    if loses_its_job {
        *decision = Decision::ignore("the job is stored later, and is not");
    }
    let Decision::Start { spec, .. } = decision else { return };
    if state.removed == Some(Guard::JobsAreNamedByTheirKey) {
        let issue = spec.task.place().expect("all tasks come from issues");
        spec.key = JobKey::of_comment(&spec.repo, issue, state.rng.u64(..));
    }
    if state.removed == Some(Guard::IssuesHaveOneWorker) {
        let number = REPOSITORIES_APART + state.rng.u64(..1_000_000);
        spec.repo = RepoRef::new(number, 1, "octo", "rocket", "main").expect("plain names");
    }
}

/// The open jobs of an issue, in whichever repository the store believes them to be.
pub(super) fn open_jobs_wherever(state: &State, issue: IssueNumber) -> Vec<JobKey> {
    let books = &state.books;
    let open = books.jobs.iter().filter(|spec| spec.task.issue() == Some(issue) && !books.completed.contains(&spec.id()));
    open.map(|spec| spec.key.clone()).collect()
}

/// Stops jobs once more by a decision that was made before.
pub(super) fn decided_once(state: &mut State, decision: &Decision, now: Timestamp) -> Result<(), StoreError> {
    let Decision::Cancel { keys, because } = decision else { return Ok(()) };
    if state.removed != Some(Guard::DeliveriesAreDecidedOnce) {
        return Ok(());
    }
    keys.iter().try_for_each(|key| at_once(state.store.request_cancel(key, because, now)))
}

/// Forgets what those had reserved whose leases are over.
pub(super) fn reservations_that_outlive(state: &mut State) {
    if state.removed != Some(Guard::ReservationsOutliveTheirWorker) {
        return;
    }
    let now_ms = state.now_ms();
    for (job, holder) in state.books.held.iter().filter(|(_, holder)| holder.until_ms <= now_ms) {
        // Where nothing is reserved there is nothing to forget.
        let _ = at_once(state.store.settle(&Lease::of(job.clone(), holder.fence), Spending::default()));
    }
}

/// Pushes a branch before its plan is in the journal.
pub(super) fn effects_that_are_journaled_first(state: &mut State, job: &JobId, kind: &EntryKind) {
    let EntryKind::PublishPlanned { effects, .. } = kind else { return };
    if state.removed != Some(Guard::EffectsAreJournaledFirst) {
        return;
    }
    for effect in effects {
        if let Effect::PushBranch { branch, commit, .. } = effect {
            github::arrived(state, job, effect);
            state.github.branches.insert(branch.clone(), commit.clone());
        }
    }
}

/// Acknowledges an entry and keeps nothing of it.
pub(super) fn durable_entries(
    state: &State,
    job: &JobId,
    seen: u32,
    kind: EntryKind,
    now: Timestamp,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = at_once(state.store.journal(job, 0))?;
    let last = entries.last().expect("a claim is there");
    let (entry, _) = Entry::write(last.seq + 1, now, last.digest, kind);
    entries.push(entry);
    Ok(entries.into_iter().filter(|entry| entry.seq >= seen).collect())
}

/// Tells of a cancel as if it were something else.
pub(super) fn cancels_that_are_heard(state: &State, entries: &mut [Entry]) {
    if state.removed != Some(Guard::CancelsAreHeard) {
        return;
    }
    for entry in entries.iter_mut().filter(|entry| matches!(entry.kind, EntryKind::CancelRequested { .. })) {
        entry.kind = EntryKind::Claimed { worker: "somebody".into(), handed_back: true };
    }
}

/// Whether an effect is left undone and told as done, because its job was cancelled after all was planned.
pub(super) fn publishing_to_its_end(state: &State, job: &JobId) -> bool {
    if state.removed != Some(Guard::PublishingRunsToItsEnd) {
        return false;
    }
    let journal = at_once(state.store.journal(job, 0)).unwrap_or_default();
    let mut behind_the_plan = journal.iter().skip_while(|entry| !matches!(entry.kind, EntryKind::PublishPlanned { .. }));
    behind_the_plan.any(|entry| matches!(entry.kind, EntryKind::CancelRequested { .. }))
}
