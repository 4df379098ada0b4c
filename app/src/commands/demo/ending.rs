//! What the demo came to, read back from the journal and from the rehearsal GitHub.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;
use patchwright::store::Store;
use patchwright_domain::journal::{Entry, EntryKind, Outcome};
use patchwright_domain::proof::{Evidence, Verdict};
use patchwright_domain::run::Run;
use serde_json::{Value, json};

use super::{Called, Stage};

/// The end of a demo.
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    cause: String,
    pull_request: Option<String>,
    branch: Option<String>,
    verdict: Option<Verdict>,
    elapsed_ms: i64,
    /// In the order in which they happen; none for one that was not reached.
    phases_ms: Vec<(&'static str, Option<i64>)>,
}

pub(super) async fn read(stage: &Stage, store: &dyn Store, called: &Called) -> anyhow::Result<Ending> {
    let (spec, _) = store.job(&called.job).await.context("reading the job")?;
    let journal = store.journal(&called.job, 0).await.context("reading the journal")?;
    let run = Run::fold(&spec, &journal).context("folding the journal")?;
    let planned = journal.iter().find_map(|entry| match &entry.kind {
        EntryKind::PublishPlanned { conclusion, .. } => Some(conclusion.cause.clone()),
        _ => None,
    });
    let received = store.received_at(&spec.delivery).await.context("reading the delivery")?;
    let ended = journal.last().map_or(called.at, |entry| entry.at);
    // What counts is what GitHub has, not what the journal says.
    let pull_request = stage.github.pull_requests(stage.id).first().map(|(issue, _)| issue.number);
    let pull_request = pull_request.map(|number| format!("{}/{}/pull/{number}", stage.github.web_url(), stage.repository));
    let branches = stage.github.branches(stage.id);
    Ok(Ending {
        outcome: run.outcome().context("the run has no outcome")?,
        cause: planned.unwrap_or_default(),
        pull_request,
        branch: run.branch().filter(|branch| branches.contains_key(*branch)).map(str::to_owned),
        verdict: run.judged().map(|judged| judged.verdict.clone()),
        elapsed_ms: since(called.at, ended),
        phases_ms: phases(called.at, received, &journal),
    })
}

fn since(start: Timestamp, end: Timestamp) -> i64 {
    end.as_millisecond() - start.as_millisecond()
}

/// Each phase ends where the next begins; one that was not reached has no time.
fn phases(called: Timestamp, received: Timestamp, journal: &[Entry]) -> Vec<(&'static str, Option<i64>)> {
    let last = |is_it: fn(&EntryKind) -> bool| journal.iter().rev().find(|entry| is_it(&entry.kind)).map(|entry| entry.at);
    let ends = [
        ("delivery", Some(received)),
        ("decide", last(|kind| matches!(kind, EntryKind::Claimed { .. }))),
        ("prepare", last(|kind| matches!(kind, EntryKind::Prepared { .. }))),
        ("solve", last(|kind| matches!(kind, EntryKind::Solved { .. } | EntryKind::GaveUp { .. }))),
        ("prove", last(|kind| matches!(kind, EntryKind::Verified { .. }))),
        ("publish", last(|kind| matches!(kind, EntryKind::Completed { .. }))),
    ];
    let mut start = called;
    let phase = |(name, end): (&'static str, Option<Timestamp>)| {
        let begin = start;
        start = end.unwrap_or(begin);
        (name, end.map(|end| since(begin, end)))
    };
    ends.into_iter().map(phase).collect()
}

impl Ending {
    pub(super) fn to_json(&self, n_deliveries: usize) -> Value {
        json!({
            "outcome": self.outcome,
            "pull_request": self.pull_request,
            "branch": self.branch,
            "proof": self.proof(),
            "deliveries": n_deliveries,
            "elapsed_ms": self.elapsed_ms,
            "phases_ms": self.phases_ms.iter().copied().collect::<BTreeMap<_, _>>(),
        })
    }

    fn proof(&self) -> Value {
        let run = |evidence: &Evidence| json!({ "exit": evidence.exit.to_string(), "duration_ms": evidence.duration_ms });
        match &self.verdict {
            None => Value::Null,
            Some(Verdict::Proven { base, head, .. }) => {
                json!({ "verdict": "proven", "command": base.command, "base": run(base), "head": run(head) })
            }
            Some(Verdict::Unproven { doubt, base, head, .. }) => json!({
                "verdict": "unproven", "doubt": doubt, "command": base.as_ref().map(|base| &base.command),
                "base": base.as_ref().map(run), "head": head.as_ref().map(run),
            }),
        }
    }

    pub(super) fn to_text(&self) -> String {
        let reached = self.phases_ms.iter().filter_map(|(name, time)| Some(format!("{name} {}", (*time)?)));
        let phases: Vec<String> = reached.collect();
        let pull_request = self.pull_request.as_deref().unwrap_or("none");
        let branch = self.branch.as_deref().unwrap_or("none");
        format!(
            "Outcome:      {}\n              {}\nPull request: {pull_request}\nBranch:       {branch}\nTime:         {} ms ({})",
            self.outcome,
            self.cause,
            self.elapsed_ms,
            phases.join(", ")
        )
    }
}
