//! Tells a run while it goes on, from its journal.

use std::process::ExitCode;
use std::time::Duration;

use patchwright::store::Store;
use patchwright_domain::ecosystem::runner;
use patchwright_domain::job::JobId;
use patchwright_domain::journal::{EntryKind, Outcome};
use patchwright_domain::proof::{Colour, Evidence, Verdict};
use patchwright_domain::walls::MARK;

use super::{NEGATIVE, terminal};

/// How often the journal is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// Prints every entry of a job's journal as it appears, until the job is completed.
pub(super) async fn tell(store: &dyn Store, job: &JobId, is_told: bool) {
    let mut seen = 0;
    loop {
        // Before the decision there is no job, and nothing to tell.
        let entries = store.journal(job, seen).await.unwrap_or_default();
        for entry in &entries {
            seen = entry.seq + 1;
            if is_told {
                terminal::say(format_args!("  {}", line(&entry.kind)));
            }
            if matches!(entry.kind, EntryKind::Completed { .. }) {
                return;
            }
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn line(kind: &EntryKind) -> String {
    match kind {
        EntryKind::Claimed { worker, .. } => format!("claimed    by worker {worker}"),
        EntryKind::Confined { walls } if walls.are_missing() => {
            format!("confined   {} {}", MARK.to_uppercase(), walls.line())
        }
        EntryKind::Confined { walls } => format!("confined   {} ({})", walls.line(), walls.layers.join(", ")),
        EntryKind::Adopted { adopted } => {
            let (head, base) = (adopted.proposed().short(), adopted.base.short());
            format!("adopted    commit {head} of the pull request, against {base}")
        }
        EntryKind::Triaged { triaged } => format!("triaged    {}", triaged.verdict.sentence()),
        EntryKind::Unmerged { conclusion, .. } => format!("not merged {}", conclusion.cause),
        EntryKind::Prepared { prepared } => match &prepared.baseline {
            Some(baseline) => format!("prepared   base {}: {}", prepared.base.short(), tested(baseline)),
            None if prepared.plan.test.is_some() => format!("prepared   base {}", prepared.base.short()),
            None => format!("prepared   base {}: no test command is known", prepared.base.short()),
        },
        EntryKind::TurnTaken { note, .. } => format!("turn       {note}"),
        EntryKind::Solved { proposal } => {
            let added: u32 = proposal.changes.iter().map(|change| change.lines_added).sum();
            let removed: u32 = proposal.changes.iter().map(|change| change.lines_removed).sum();
            format!("solved     {} changed, +{added} −{removed} lines", count(proposal.changes.len(), "file"))
        }
        EntryKind::Answered { .. } => "answered   and changed nothing".to_owned(),
        EntryKind::GaveUp { conclusion, .. } => format!("gave up    {}", conclusion.cause),
        EntryKind::Verified { verdict: Verdict::Proven { head, .. } } => format!("proven     with the patch: {}", tested(head)),
        EntryKind::Verified { verdict: Verdict::Unproven { doubt, .. } } => format!("unproven   {}", doubt.sentence()),
        EntryKind::PublishPlanned { effects, .. } => format!("planned    {}", count(effects.len(), "effect")),
        EntryKind::Performed { key, receipt } => {
            let name = key.as_str().rsplit('/').next().unwrap_or_default();
            let published = receipt.published.as_ref().map(|published| {
                let signed = if published.is_verified { "verified" } else { "not verified" };
                format!("as {}, {signed}", published.commit.short())
            });
            format!("performed  {name} {}", receipt.url.clone().or(published).unwrap_or_default())
        }
        EntryKind::CancelRequested { because } => format!("cancelled  {because}"),
        EntryKind::Failed { failure, .. } => format!("failed     {}", failure.conclusion.cause),
        EntryKind::Completed { outcome } => format!("completed  {outcome}"),
    }
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn tested(evidence: &Evidence) -> String {
    let colour = match runner::colour(evidence) {
        Colour::Green => "passes",
        Colour::Red => "fails",
        Colour::None => "gives no result",
    };
    format!("`{}` {colour} ({}, {} ms)", evidence.command, evidence.exit, evidence.duration_ms)
}

/// What an outcome means to the shell.
pub(super) fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        outcome if outcome.is_positive() => ExitCode::SUCCESS,
        Outcome::EnvironmentFailed => ExitCode::from(3),
        _ => ExitCode::from(NEGATIVE),
    }
}
